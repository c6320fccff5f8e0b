// Putting: the putter's side (who is to hold a blob, who has said that he does) and the holder's
// (verify, make durable, then answer).
//
// The putter turns to the R owners, trusted nodes first; who is suspected, silent, full or leaving
// is passed over for the next successor on the ring, and asked again when nobody else is left.
// Once W nodes have answered that it is durable the put is done for the caller; the other owners
// are still served for a while, and after that it is repair's business.
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

constexpr std::uint64_t kMaxInFlightPerPeer =
    16ULL * 1024 * 1024;                     // of content, sent and unanswered
constexpr std::size_t kSpareCandidates = 8;  // successors to turn to beyond the owners

class Puts {
 public:
  Puts(NodeId self, const StoreConfig& config, Random random, Members& members, Shelf& shelf,
       std::vector<BlobEvent>& events);

  void put(Instant now, std::uint64_t token, Pin pin, Bytes data, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const { return deadlines_.next(); }

  // As holder.
  void on_offer(Instant now, NodeId from, const Offer& offer, Effects& out);
  void on_deposit(Instant now, NodeId from, const Deposit& deposit, Effects& out);
  void on_offered_read(const ReadJob& job, const ReadDone& done, Effects& out);
  // As putter.
  void on_answer(Instant now, NodeId from, const PutAnswer& answer, Effects& out);
  void on_own_read(Instant now, const ReadJob& job, const ReadDone& done, Effects& out);
  void on_own_durable(Instant now, const Ticket& ticket, Effects& out);
  // Somebody was suspected, died, came or recovered.
  void on_members(Instant now, Effects& out);

  std::size_t size() const { return puts_.size(); }

 private:
  // Up to kStored a target is on its way to hold the blob.
  enum class State : std::uint8_t {
    kQueued,   // for room in its window
    kOffered,  // the question is under way
    kSending,  // the content is; for this node itself, its own disk is at it
    kBusy,     // it asked to wait a moment
    kStored,
    kSilent,
    kFull,
    kGone,
  };
  struct Target {
    State state = State::kQueued;
    bool wanted = false;  // it asked for the content
    Instant busy_since = Instant::never();
    std::uint32_t attempts = 0;
    Instant deadline = Instant::never();
    std::uint64_t disk_free = 0;
  };
  struct Put {
    std::uint64_t token = 0;
    BlobRef blob;
    Pin pin;
    Bytes data;
    Instant deadline;
    bool announced = false;
    std::map<NodeId, Target> targets;
  };
  using Number = std::uint64_t;

  // The putter's steps.
  std::size_t needed() const { return members_.holders_needed(config_.write_holders); }
  void advance(Instant now, Number number, Effects& out);
  void expire_targets(Instant now, Number number, Put& put, Effects& out);
  void recruit(Instant now, Number number, Put& put, Effects& out);
  NodeId next_candidate(Instant now, const Put& put, const std::vector<NodeId>& nodes) const;
  void start(Instant now, Number number, Put& put, NodeId node, Effects& out);
  void keep_here(Instant now, Number number, Put& put, Effects& out);
  void send_data(Instant now, Number number, Put& put, NodeId node, Effects& out);
  void settle(Put& put, NodeId node, Target& target, State state);
  void wait_for_busy(Instant now, Put& put, NodeId node, Target& target);
  void retry_later(Instant now, Put& put, NodeId node, Target& target);
  void use_freed_windows(Instant now, Effects& out);
  bool finish(Instant now, Number number, Put& put);
  void announce(Put& put);
  Error failure(const Put& put) const;
  void drop(Number number);

  // The holder's.
  std::optional<PutVerdict> refusal_of(const BlobRef& blob) const;
  void accept_held(Instant now, NodeId from, Number operation, const BlobId& id, Pin pin,
                   Effects& out);
  void pin_and_answer(NodeId to, Number operation, const BlobId& id, Pin pin, Effects& out);
  void answer(NodeId to, Number operation, const BlobId& id, PutVerdict verdict, Effects& out);

  const NodeId self_;
  const StoreConfig& config_;
  Members& members_;
  Shelf& shelf_;
  std::vector<BlobEvent>& events_;
  Number next_number_;
  std::map<Number, Put> puts_;
  std::uint64_t bytes_ = 0;  // of content, in puts_
  Deadlines<Number> deadlines_;
  std::map<NodeId, std::uint64_t> in_flight_;
  std::map<NodeId, std::set<Number>> queued_;  // for room in that peer's window
  std::set<NodeId> freed_;                     // windows with new room
};

}  // namespace dunlin::store
