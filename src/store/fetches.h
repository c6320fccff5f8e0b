// Getting: one search per blob, whoever waits for it and why. Own copy first; then the nodes that
// likely hold it (the caller's hint, the ring's owners), one at a time; then everyone present is
// asked whether he does, a few at a time. What comes is verified here; a bad answer is counted, its
// sender told to look at his copy, and the search goes on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "store/deadlines.h"
#include "store/events.h"
#include "store/members.h"
#include "store/messages.h"
#include "store/shelf.h"

namespace dunlin::store {

constexpr std::size_t kMaxGets = 64;         // contents asked for and not yet come
constexpr std::size_t kMaxGetsPerPeer = 8;   // of one peer
constexpr std::size_t kMaxInquiries = 16;    // "do you have it?" at once, for one blob
constexpr std::size_t kMaxWaiters = 65'536;  // callers, in all searches
constexpr std::size_t kMaxHint = 16;         // nodes of a caller's hint that are used

enum class Want : std::uint8_t {
  kContent,  // BlobFetched
  kLocal,    // BlobLocal
  kReplica,  // kept here with its pins; take_pulled() tells
};

struct Pulled {
  BlobId id;
  Result<void> result;
};

class Fetches {
 public:
  Fetches(NodeId self, const StoreConfig& config, Random random, Members& members, Shelf& shelf,
          std::vector<BlobEvent>& events);

  void want(Instant now, Want want, std::uint64_t token, const BlobId& id,
            const std::vector<NodeId>& hint, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const { return deadlines_.next(); }

  void on_get(NodeId from, const Get& get, Effects& out);
  void on_answer(Instant now, NodeId from, const GetAnswer& answer, Effects& out);
  void on_doubt(NodeId from, const Doubt& doubt, Effects& out);
  void on_served_read(const ReadJob& job, const ReadDone& done, Effects& out);
  void on_own_read(Instant now, const ReadJob& job, const ReadDone& done, Effects& out);
  void on_written(Instant now, const BlobId& id, Effects& out);
  void on_members(Instant now, Effects& out);

  std::vector<Pulled> take_pulled() { return std::exchange(pulled_, {}); }
  std::size_t size() const { return searches_.size(); }
  std::uint64_t bad_answers() const { return bad_answers_; }

 private:
  enum class Stage : std::uint8_t { kBegin, kReading, kAsking, kWriting };
  enum class State : std::uint8_t { kAsked, kInquired, kHas, kMissing, kSilent, kBad };
  struct Peer {
    State state = State::kAsked;
    Instant deadline = Instant::never();  // of the answer; if kSilent, not to be asked before
    std::uint32_t attempts = 0;
  };
  struct Waiter {
    Want want{};
    std::uint64_t token = 0;
  };
  struct Search {
    BlobId id;
    Stage stage = Stage::kBegin;
    bool looked_twice = false;  // at the own bad copy, after all others failed
    Instant retry = Instant::never();
    Instant deadline;
    std::vector<Waiter> waiters;
    std::vector<NodeId> likely;
    std::map<NodeId, Peer> peers;
    std::vector<NodeId> starved_at;  // peers that have too much to do for this node to ask them
    bool was_asked_for = false;
  };
  using Number = std::uint64_t;

  void advance(Instant now, Number number, Effects& out);
  void begin(Instant now, Number number, Search& search, Effects& out);
  void ask_next(Instant now, Number number, Search& search, Effects& out);
  bool ask_likely(Instant now, Number number, Search& search, Effects& out);
  void inquire(Instant now, Number number, Search& search, Effects& out);
  void give_up_if_all_answered(Number number, Search& search, Effects& out);
  bool may_ask(const Search& search, NodeId node) const;
  bool may_inquire(const Search& search, NodeId node, Instant now) const;
  void ask(Instant now, Number number, Search& search, NodeId node, bool only_asking, Effects& out);
  void expire_peers(Instant now, Search& search);
  void settle(Peer& peer, NodeId node, State state);
  void use_freed(Instant now, Effects& out);
  // A search that may be asked for now, peers in turn, the oldest of each first.
  std::optional<Number> next_starved();
  void forget_starved(Number number, Search& search);
  void deliver(Instant now, Number number, Search& search, Bytes content,
               const std::vector<Pin>& pins, Effects& out);
  bool keep(Instant now, Search& search, ByteView content, const std::vector<Pin>& pins,
            Effects& out);
  void report(Search& search, Want want, const Result<Bytes>& content);
  void tell(const Waiter& waiter, const BlobId& id, const Result<Bytes>& content);
  void fail_all(Number number, Search& search, const Error& error);
  void drop(Number number);

  const NodeId self_;
  const StoreConfig& config_;
  Random random_;
  Members& members_;
  Shelf& shelf_;
  std::vector<BlobEvent>& events_;
  Number next_number_;
  std::map<Number, Search> searches_;
  std::map<BlobId, Number> by_id_;
  Deadlines<Number> deadlines_;
  std::size_t waiters_ = 0;
  std::size_t gets_ = 0;
  std::map<NodeId, std::size_t> gets_of_;
  std::map<NodeId, std::set<Number>> starved_;  // would ask, had the peer or this node less to do
  NodeId last_served_;
  bool freed_ = false;
  Instant progress_at_;  // when a content came last
  std::vector<Pulled> pulled_;
  std::uint64_t bad_answers_ = 0;
};

}  // namespace dunlin::store
