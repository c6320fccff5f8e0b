#include "gossip/view.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crypto.h"

namespace dunlin::gossip {

namespace {

// A miss this long before a suspicion began is not evidence for it.
constexpr Duration kStaleMiss = seconds(5);
constexpr std::uint32_t kLeastDecades = 2;
constexpr Duration kReassurePeriod = seconds(1);

std::uint64_t route_hash(const Route& route) {
  return blake2b_64(encode(route));
}

bool is_newer(const Route& newer, const Route& older) {
  if (newer.term != older.term) return newer.term > older.term;
  return newer.leader == older.leader && newer.leader_boot > older.leader_boot;
}

std::uint32_t decades(std::size_t count) {
  std::uint32_t result = 1;
  for (std::size_t reach = 10; reach < count + 1; reach *= 10) ++result;
  // A node that has just joined knows fewer than there are.
  return std::max(result, kLeastDecades);
}

}  // namespace

View::View(NodeFacts self, Boot boot, const GossipConfig& config, LocalHealth& health,
           Random random)
    : config_(config),
      health_(health),
      random_(random),
      self_(self.id),
      boot_(boot),
      roster_(self.id, random_.fork()) {
  ASSERT(validate_facts(self).has_value());
  const bool added =
      roster_.add({}, {std::move(self), boot, 0, random_.next()}, {.boot = boot}, {});
  ASSERT(added);
}

Introduction View::introduction() const {
  const Peer& own = roster_.peer(self_);
  return {{roster_.find(self_)->facts, own.card_boot, own.card_version, own.life},
          roster_.standing(self_)};
}

std::vector<std::uint64_t> View::route_digests(std::size_t count) const {
  std::vector<std::uint64_t> digests(count, 0);
  for (const auto& [group, route] : routes_) digests[group.value % count] ^= route_hash(route);
  return digests;
}

// ---- learning ----------------------------------------------------------------------------------

// Introductions first: what else is said of a newcomer means nothing before.
void View::learn_news(Instant now, NodeId from, const std::vector<Bytes>& news) {
  std::vector<Update> others;
  for (const Bytes& bytes : news) {
    Result<Update> update = decode_update(bytes);
    if (!update) continue;
    if (const auto* introduction = std::get_if<Introduction>(&*update)) {
      learn(now, from, *introduction);
    } else {
      others.push_back(std::move(*update));
    }
  }
  for (const Update& update : others) {
    std::visit([&](const auto& held) { learn(now, from, held); }, update);
  }
}

void View::learn(Instant now, NodeId from, const Status& status) {
  if (status.node == self_) {
    learn_self(now, from, status.standing);
    return;
  }
  if (learn_status(now, status, Source::kRumour, {})) spread_status(status.node);
}

void View::learn(Instant now, NodeId from, const Introduction& introduction) {
  const NodeId node = introduction.card.facts.id;
  const bool card_is_news = learn_card(now, from, introduction.card);
  if (node == self_) {
    learn_self(now, from, introduction.standing);
    return;
  }
  if (is_forgotten(node)) return;
  if (roster_.find(node) == nullptr) {
    learn_newcomer(now, introduction.card, introduction.standing, {});
  } else {
    const Status status{node, introduction.standing, {}};
    const bool standing_is_news = learn_status(now, status, Source::kRumour, {});
    if (!card_is_news && !standing_is_news) return;
  }
  if (roster_.find(node) != nullptr) spread(introduction);
}

void View::learn(Instant now, NodeId, const LoadReport& report) {
  const Member* member = roster_.find(report.node);
  if (member == nullptr || report.node == self_ || member->boot != report.boot) return;
  if (report.sequence <= roster_.peer(report.node).load_sequence) return;
  learn_load(now, report);
  rumours_.put(report, config_.load_retransmit);
}

void View::learn_load(Instant at, const LoadReport& report) {
  set_load(at, report.node, report.sequence, load_of_class(report.load_class));
}

// Whether a node takes tasks matters at once; how much room it has is for whoever asks.
void View::set_load(Instant at, NodeId node, std::uint32_t sequence, const Load& load) {
  const bool was_draining = roster_.find(node)->load.draining;
  roster_.set_load(at, node, sequence, load);
  if (load.draining != was_draining) events_.push_back(MemberChanged{node});
}

void View::learn(Instant now, NodeId, const Route& route) {
  if (learn_route(now, route)) spread(route);
}

bool View::learn_route(Instant now, const Route& route) {
  const auto [place, is_new] = routes_.try_emplace(route.group, route);
  if (!is_new) {
    if (!is_newer(route, place->second)) return false;
    route_digest_ ^= route_hash(place->second);
    place->second = route;
  }
  route_digest_ ^= route_hash(route);
  changed_at_ = now;
  events_.push_back(RouteChanged{route.group});
  return true;
}

bool View::learn_routes(Instant now, const std::vector<Route>& routes) {
  bool is_news = false;
  for (const Route& route : routes) {
    if (!learn_route(now, route)) continue;
    spread(route);
    is_news = true;
  }
  return is_news;
}

bool View::learn_records(Instant now, NodeId from, const std::vector<Record>& records) {
  bool any_news = false;
  for (const Record& record : records) {
    const NodeId node = record.card.facts.id;
    const bool card_is_news = learn_card(now, from, record.card);
    if (node == self_) {
      learn_self(now, from, record.standing);
      continue;
    }
    if (is_forgotten(node)) continue;
    const Duration age = seconds(record.age_s);
    bool is_news = card_is_news;
    if (roster_.find(node) == nullptr) {
      learn_newcomer(now, record.card, record.standing, age);
      is_news = roster_.find(node) != nullptr;
    } else {
      // Suspicions are the business of rumours; here they would only be old.
      Status status{node, record.standing, {}};
      if (status.standing.state == MemberState::kSuspect) {
        status.standing.state = MemberState::kAlive;
      }
      is_news |= learn_status(now, status, Source::kExchange, age);
    }
    const Member* member = roster_.find(node);
    if (member == nullptr) continue;
    if (member->boot == record.standing.boot &&
        record.load_sequence > roster_.peer(node).load_sequence) {
      learn_load(now - seconds(record.load_age_s),
                 {node, member->boot, record.load_sequence, record.load_class});
    }
    if (!is_news) continue;
    any_news = true;
    spread(Introduction{record.card, roster_.standing(node)});
  }
  return any_news;
}

// Facts of a known member. A card of this boot from another life proves a twin; everyone keeps
// the same of the two, so that views converge, and tells both.
bool View::learn_card(Instant now, NodeId from, const Card& card) {
  const NodeId node = card.facts.id;
  if (roster_.find(node) == nullptr) return false;
  const Peer& known = roster_.peer(node);
  if (node == self_) {
    if (card.boot == boot_ && card.life != known.life) {
      see_twin(card.boot, "the same boot was started twice");
      reassure(now, from, introduction());
    }
    return false;
  }
  const bool is_same = card.boot == known.card_boot && card.version == known.card_version;
  if (is_same && card.life != known.life) {
    // Whoever of the two answers to this id is to see the other's card.
    const Card other = roster_.record(now, node).card;
    if (reassure(now, node, Introduction{card, roster_.standing(node)})) {
      notify(now, node, Introduction{other, roster_.standing(node)});
    }
    if (card.life < known.life) return false;
  } else if (is_same ||
             std::pair(card.boot, card.version) < std::pair(known.card_boot, known.card_version)) {
    return false;
  }
  const bool differs = card.facts != roster_.find(node)->facts;
  roster_.set_card(node, card);
  changed_at_ = now;
  if (differs) events_.push_back(MemberChanged{node});
  return true;
}

void View::learn_newcomer(Instant now, const Card& card, const Standing& standing, Duration age) {
  if (standing.state == MemberState::kLeft && age >= config_.keep_left) return;
  // A suspicion of someone never seen is not taken over: he is probed like everybody else.
  Standing adopted = standing;
  if (adopted.state == MemberState::kSuspect) adopted.state = MemberState::kAlive;
  if (!roster_.add(now, card, adopted, age)) return;
  changed_at_ = now;
  announce_state(card.facts.id, adopted.state);
}

// True when it was news, and worth telling.
bool View::learn_status(Instant now, const Status& status, Source source, Duration age) {
  if (roster_.find(status.node) == nullptr) return false;
  const Standing known = roster_.standing(status.node);
  if (supersedes(status.standing, known)) {
    if (is_doubtful_death(now, status, source)) {
      reassure(now, status.node, status);
      doubt(now, status.node);
      return false;
    }
    adopt(now, status, age);
    return true;
  }
  const bool is_confirmation = known.state == MemberState::kSuspect &&
                               status.standing.state == MemberState::kSuspect &&
                               !supersedes(known, status.standing);
  return is_confirmation && suspicions_.accuse(now, status.node, status.accusers);
}

// Whoever was heard just now is not dead; and after a partition the others' verdicts on everyone
// here prove nothing. The one concerned is told, so that he refutes, and probed.
bool View::is_doubtful_death(Instant now, const Status& status, Source source) const {
  if (status.standing.state != MemberState::kDead) return false;
  const Member& member = *roster_.find(status.node);
  if (member.boot != status.standing.boot) return false;
  if (now - roster_.peer(status.node).heard_at < config_.fresh) return true;
  return source == Source::kExchange && member.state == MemberState::kAlive &&
         member.incarnation == status.standing.incarnation;
}

void View::adopt(Instant now, const Status& status, Duration age) {
  const NodeId node = status.node;
  const MemberState before = roster_.find(node)->state;
  const Boot boot_before = roster_.find(node)->boot;
  roster_.set_standing(now, node, status.standing, age);
  changed_at_ = now;
  suspicions_.close(node);
  if (status.standing.state == MemberState::kSuspect) {
    suspicions_.accuse(now, node, status.accusers);
  }
  if (status.standing.boot > boot_before) {
    events_.push_back(MemberRestarted{node, status.standing.boot});
  }
  if (status.standing.state != before) announce_state(node, status.standing.state);
}

void View::announce_state(NodeId node, MemberState state) {
  switch (state) {
    case MemberState::kAlive: events_.push_back(MemberUp{node}); break;
    case MemberState::kSuspect: events_.push_back(MemberSuspect{node}); break;
    case MemberState::kDead: events_.push_back(MemberDead{node}); break;
    case MemberState::kLeft: events_.push_back(MemberLeft{node}); break;
  }
}

// ---- about this node itself --------------------------------------------------------------------

void View::learn_self(Instant now, NodeId from, const Standing& standing) {
  const Standing own = roster_.standing(self_);
  if (standing.boot > boot_) {
    see_twin(standing.boot, "a later boot of this node is known");
    return;
  }
  if (standing.boot < boot_) {
    // They have not heard of this life yet.
    if (standing.state != MemberState::kAlive) reassure(now, from, introduction());
    return;
  }
  if (standing.incarnation > own.incarnation) {
    see_twin(standing.boot, "somebody refutes in this node's name");
    return;
  }
  if (has_left_ || standing.state == MemberState::kAlive) return;
  if (standing.state == MemberState::kLeft) {
    see_twin(standing.boot, "somebody left in this node's name");
  } else if (standing.incarnation < own.incarnation) {
    reassure(now, from, Status{self_, own, {}});
  } else {
    refute(now);
    reassure(now, from, Status{self_, roster_.standing(self_), {}});
  }
}

// SWIM 4.2. Who must refute again soon is slow to answer, and asks for patience, twice as much
// each time; else the suspicions of everyone who probes him would never end.
void View::refute(Instant now) {
  Standing own = roster_.standing(self_);
  ++own.incarnation;
  own.state = MemberState::kAlive;
  if (now - refuted_at_ < config_.patience_decay) {
    own.patience = std::min<std::uint8_t>(
        kMaxPatience, std::max<std::uint8_t>(1, static_cast<std::uint8_t>(own.patience * 2)));
    decay_at_ = now + random_.between(config_.patience_decay, config_.patience_decay * 2);
  }
  refuted_at_ = now;
  roster_.set_standing(now, self_, own, {});
  changed_at_ = now;
  health_.worsen();
  spread_status(self_);
}

void View::decay_patience(Instant now) {
  if (now < decay_at_) return;
  Standing own = roster_.standing(self_);
  own.patience = own.patience / 2;
  ++own.incarnation;
  decay_at_ = own.patience == 0
                  ? Instant::never()
                  : now + random_.between(config_.patience_decay, config_.patience_decay * 2);
  if (has_left_) return;
  roster_.set_standing(now, self_, own, {});
  spread_status(self_);
}

void View::see_twin(Boot boot, std::string evidence) {
  if (twin_seen_) return;
  twin_seen_ = true;
  events_.push_back(TwinSeen{boot, std::move(evidence)});
}

void View::check_boot(Instant now, NodeId from, Boot boot) {
  const Member* member = roster_.find(from);
  if (member == nullptr || member->boot <= boot) return;
  reassure(now, from, Status{from, roster_.standing(from), {}});
}

void View::seed(Instant now, const std::vector<Member>& members) {
  for (const Member& member : members) {
    const NodeId node = member.facts.id;
    if (node == self_ || is_forgotten(node) || roster_.find(node) != nullptr) continue;
    if (!validate_facts(member.facts)) continue;
    const Standing standing{member.boot, member.incarnation, member.state, 0};
    // Card boot 0 is older than any that the member itself has shown.
    learn_newcomer(now, {member.facts, 0, 0, 0}, standing, {});
  }
  spread(introduction());
}

void View::set_facts(Instant now, NodeFacts facts) {
  ASSERT(facts.id == self_ && validate_facts(facts).has_value());
  Card card = introduction().card;
  if (card.facts == facts) return;
  card.facts = std::move(facts);
  ++card.version;
  roster_.set_card(self_, card);
  changed_at_ = now;
  spread(introduction());
}

void View::set_own_load(Instant now, const Load& load) {
  set_load(now, self_, roster_.peer(self_).load_sequence, load);
}

void View::announce_load(std::uint32_t sequence, std::uint32_t load_class, bool is_urgent) {
  roster_.peer(self_).load_sequence = sequence;
  const LoadReport report{self_, boot_, sequence, load_class};
  if (is_urgent) {
    spread(report);
  } else {
    rumours_.put(report, config_.load_retransmit);
  }
}

void View::announce_route(Instant now, const Route& route) {
  const std::size_t events = events_.size();
  if (!learn_route(now, route)) return;
  events_.resize(events);
  spread(route);
}

void View::leave(Instant now) {
  if (has_left_) return;
  has_left_ = true;
  doubts_.clear();
  Standing own = roster_.standing(self_);
  own.state = MemberState::kLeft;
  roster_.set_standing(now, self_, own, {});
  spread_status(self_);
}

void View::mark_forgotten(Instant now, NodeId node) {
  ASSERT(node != self_);
  if (forgotten_.size() >= kMaxForgotten || !forgotten_.insert(node).second) return;
  if (roster_.find(node) == nullptr) return;
  suspicions_.close(node);
  doubts_.erase(node);
  rumours_.drop(rumour_key(Status{node, {}, {}}));
  const bool was_left = roster_.find(node)->state == MemberState::kLeft;
  roster_.erase(node);
  changed_at_ = now;
  if (!was_left) events_.push_back(MemberLeft{node});
}

// ---- witnesses ---------------------------------------------------------------------------------

void View::heard(Instant now, NodeId from) {
  const Member* member = roster_.find(from);
  if (member == nullptr || from == self_) return;
  roster_.peer(from).heard_at = now;
  if (member->state == MemberState::kDead) {
    reassure(now, from, Status{from, roster_.standing(from), {}});
  }
}

// The first miss since the member was heard counts, so that later ones do not put off the verdict.
void View::missed(Instant now, NodeId node) {
  if (roster_.find(node) != nullptr && !is_witness(node)) roster_.peer(node).missed_at = now;
}

bool View::is_witness(NodeId node) const {
  const Suspicion* suspicion = suspicions_.find(node);
  if (suspicion == nullptr) return false;
  const Peer& peer = roster_.peer(node);
  return peer.missed_at > peer.heard_at && peer.missed_at + kStaleMiss >= suspicion->since;
}

void View::accuse(Instant now, NodeId node, std::vector<NodeId> accusers) {
  const Member* member = roster_.find(node);
  if (member == nullptr || member->state == MemberState::kDead ||
      member->state == MemberState::kLeft) {
    return;
  }
  Standing standing = roster_.standing(node);
  standing.state = MemberState::kSuspect;
  accusers.resize(std::min(accusers.size(), kMaxAccusers));
  const Status accusation{node, standing, std::move(accusers)};
  if (!learn_status(now, accusation, Source::kRumour, {})) return;
  spread_status(node);
  // The suspect hears of it first, and has the most time to refute.
  reassure(now, node, accusation);
}

void View::declare_dead(Instant now, NodeId node) {
  Standing standing = roster_.standing(node);
  ASSERT(standing.state == MemberState::kSuspect);
  standing.state = MemberState::kDead;
  adopt(now, {node, standing, {}}, {});
  spread_status(node);
  // Should he live after all, he is the first to know.
  reassure(now, node, Status{node, standing, {}});
}

// ---- telling -----------------------------------------------------------------------------------

void View::spread(const Update& update) {
  rumours_.put(update, config_.retransmit * decades(roster_.active_count()));
}

void View::spread_status(NodeId node) {
  Status status{node, roster_.standing(node), {}};
  if (const Suspicion* suspicion = suspicions_.find(node)) status.accusers = suspicion->accusers;
  spread(status);
}

// Lifeguard's buddy rule: a suspect hears of it from whoever speaks to him.
std::vector<Bytes> View::take_news(NodeId to, std::size_t budget) {
  std::vector<Bytes> news;
  const Member* member = roster_.find(to);
  if (member != nullptr && member->state != MemberState::kAlive) {
    news.push_back(encode_update(Status{to, roster_.standing(to), {}}));
    budget -= std::min(budget, framed_size(news.back()));
  }
  for (Bytes& update : rumours_.take(budget, kMaxNews - news.size())) {
    news.push_back(std::move(update));
  }
  return news;
}

bool View::reassure(Instant now, NodeId node, const Update& update) {
  if (roster_.find(node) != nullptr) {
    Peer& peer = roster_.peer(node);
    if (now - peer.told_at < kReassurePeriod) return false;
    peer.told_at = now;
  }
  notify(now, node, update);
  return true;
}

void View::notify(Instant now, NodeId node, const Update& update) {
  if (notices_.size() >= kMaxNotices) return;
  if (notices_.empty()) noticed_at_ = now;
  notices_.emplace_back(node, encode_update(update));
}

void View::doubt(Instant now, NodeId node) {
  if (doubts_.size() >= kMaxDoubts || node == self_ || has_left_) return;
  if (doubts_.empty()) doubted_at_ = now;
  doubts_.insert(node);
}

std::optional<NodeId> View::take_doubt() {
  if (doubts_.empty()) return std::nullopt;
  const NodeId node = *doubts_.begin();
  doubts_.erase(doubts_.begin());
  return node;
}

}  // namespace dunlin::gossip
