// What this node believes of the cluster, and what of it is still to be told: the rules by which
// news are taken for newer, doubted, answered or passed on. It sends nothing by itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "gossip/config.h"
#include "gossip/events.h"
#include "gossip/health.h"
#include "gossip/messages.h"
#include "gossip/roster.h"
#include "gossip/rumours.h"
#include "gossip/suspicion.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxNotices = 128;  // direct words waiting to be sent
constexpr std::size_t kMaxDoubts = 64;    // members waiting to be probed out of turn
constexpr std::size_t kMaxForgotten = 10'000;

class View {
 public:
  // The config and health must outlive it.
  View(NodeFacts self, Boot boot, const GossipConfig& config, LocalHealth& health, Random random);

  NodeId self() const { return self_; }
  Boot boot() const { return boot_; }
  bool has_left() const { return has_left_; }
  Roster& roster() { return roster_; }
  const Roster& roster() const { return roster_; }
  Suspicions& suspicions() { return suspicions_; }
  const Suspicions& suspicions() const { return suspicions_; }
  const std::map<GroupId, Route>& routes() const { return routes_; }
  Introduction introduction() const;
  std::uint64_t digest() const { return roster_.digest() ^ route_digest_; }
  std::vector<std::uint64_t> route_digests(std::size_t count) const;
  // When a member or route last changed.
  Instant changed_at() const { return changed_at_; }
  bool is_forgotten(NodeId node) const { return forgotten_.contains(node); }

  // News as rumours: passed on when they are news. Malformed ones are passed over.
  void learn_news(Instant now, NodeId from, const std::vector<Bytes>& news);
  void learn(Instant now, NodeId from, const Introduction& introduction);
  // From an exchange: passed on too, so that one exchange heals both sides of a partition. True
  // when something was news.
  bool learn_records(Instant now, NodeId from, const std::vector<Record>& records);
  bool learn_routes(Instant now, const std::vector<Route>& routes);

  void heard(Instant now, NodeId from);
  // An own probe, begun then, went unanswered.
  void missed(Instant now, NodeId node);
  // Its own probe went unanswered since it last heard from the member, and not long ago.
  bool is_witness(NodeId node) const;
  void accuse(Instant now, NodeId node, std::vector<NodeId> accusers);
  void declare_dead(Instant now, NodeId node);
  // `boot` came in a frame: an older one than is known is told so (a restored copy).
  void check_boot(Instant now, NodeId from, Boot boot);

  void seed(Instant now, const std::vector<Member>& members);
  void set_facts(Instant now, NodeFacts facts);
  void set_own_load(Instant now, const Load& load);
  void announce_load(std::uint32_t sequence, std::uint32_t load_class, bool is_urgent);
  void announce_route(Instant now, const Route& route);
  void leave(Instant now);
  void mark_forgotten(Instant now, NodeId node);
  void decay_patience(Instant now);
  Instant next_deadline() const { return decay_at_; }
  void reap(Instant now) { roster_.reap(now, config_.keep_left); }

  bool has_rumours() const { return !rumours_.is_empty(); }
  // News for one receiver, what it should know of itself first: at most `budget` framed bytes.
  std::vector<Bytes> take_news(NodeId to, std::size_t budget);
  void drop_rumours() { rumours_ = {}; }
  // Words for one receiver, out of turn.
  std::vector<std::pair<NodeId, Bytes>> take_notices() { return std::exchange(notices_, {}); }
  // A member to be probed out of turn.
  void doubt(Instant now, NodeId node);
  std::optional<NodeId> take_doubt();
  // Since when they wait; never: there are none.
  Instant noticed_at() const { return notices_.empty() ? Instant::never() : noticed_at_; }
  Instant doubted_at() const { return doubts_.empty() ? Instant::never() : doubted_at_; }
  std::vector<GossipEvent> take_events() { return std::exchange(events_, {}); }

 private:
  enum class Source : std::uint8_t { kRumour, kExchange };

  void learn(Instant now, NodeId from, const Status& status);
  void learn(Instant now, NodeId from, const LoadReport& report);
  void learn(Instant now, NodeId from, const Route& route);
  void learn_self(Instant now, NodeId from, const Standing& standing);
  bool learn_card(Instant now, NodeId from, const Card& card);
  bool learn_status(Instant now, const Status& status, Source source, Duration age);
  bool learn_route(Instant now, const Route& route);
  void learn_load(Instant at, const LoadReport& report);
  void set_load(Instant at, NodeId node, std::uint32_t sequence, const Load& load);
  void learn_newcomer(Instant now, const Card& card, const Standing& standing, Duration age);
  bool is_doubtful_death(Instant now, const Status& status, Source source) const;
  void adopt(Instant now, const Status& status, Duration age);
  void announce_state(NodeId node, MemberState state);
  void refute(Instant now);
  void see_twin(Boot boot, std::string evidence);
  void spread(const Update& update);
  void spread_status(NodeId node);
  // At most once a second and member.
  bool reassure(Instant now, NodeId node, const Update& update);
  void notify(Instant now, NodeId node, const Update& update);

  const GossipConfig& config_;
  LocalHealth& health_;
  Random random_;
  const NodeId self_;
  const Boot boot_;
  Roster roster_;
  RumourQueue rumours_;
  Suspicions suspicions_;
  std::map<GroupId, Route> routes_;
  std::uint64_t route_digest_ = 0;
  Instant changed_at_ = kLongAgo;
  std::set<NodeId> forgotten_;
  std::set<NodeId> doubts_;
  std::vector<std::pair<NodeId, Bytes>> notices_;
  Instant noticed_at_;
  Instant doubted_at_;
  std::vector<GossipEvent> events_;
  Instant refuted_at_ = kLongAgo;
  Instant decay_at_ = Instant::never();
  bool has_left_ = false;
  bool twin_seen_ = false;
};

}  // namespace dunlin::gossip
