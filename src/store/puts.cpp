#include "store/puts.h"

#include <algorithm>
#include <string>

#include "base/assert.h"

namespace dunlin::store {

namespace {

constexpr std::uint32_t kMaxPutDoublings = 1;
constexpr Duration kBusyPause = milliseconds(100);
constexpr std::uint64_t kSlowestBytesPerSecond = 8ULL * 1024 * 1024;

// What a blob takes of a peer's window; even an empty one takes some.
std::uint64_t weight_of(const BlobRef& blob) {
  return std::uint64_t{blob.length} + 128;
}

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

Duration time_to_send(std::uint64_t bytes) {
  return microseconds(static_cast<std::int64_t>(bytes * 1'000'000 / kSlowestBytesPerSecond));
}

}  // namespace

Puts::Puts(NodeId self, const StoreConfig& config, Random random, Members& members, Shelf& shelf,
           std::vector<BlobEvent>& events)
    : self_(self),
      config_(config),
      members_(members),
      shelf_(shelf),
      events_(events),
      // Answers meant for an earlier life of this node must not fit.
      next_number_(random.next() >> 1) {}

// ---- the putter -------------------------------------------------------------------------------

void Puts::put(Instant now, std::uint64_t token, Pin pin, Bytes data, Effects& out) {
  const auto refuse = [&](Code code, std::string why) {
    events_.push_back(BlobPutFailed{token, Error{code, std::move(why), {}}});
  };
  if (data.size() > kMaxBlob) return refuse(Code::kUsage, "a blob is at most 4 MiB");
  if (puts_.size() >= kMaxPuts || bytes_ + data.size() > kMaxPutBytes) {
    return refuse(Code::kLimit, "too many blobs are being stored at once by this node");
  }
  const Number number = next_number_++;
  Put& put = puts_[number];
  put.token = token;
  put.blob = {blob_id_of(data), static_cast<std::uint32_t>(data.size())};
  put.pin = pin;
  put.data = std::move(data);
  put.deadline = now + config_.put_deadline;
  bytes_ += put.blob.length;
  advance(now, number, out);
}

// Everything that may follow from a change of one put, to the end.
void Puts::advance(Instant now, Number number, Effects& out) {
  const auto found = puts_.find(number);
  if (found == puts_.end()) return;
  Put& put = found->second;
  expire_targets(now, number, put, out);
  recruit(now, number, put, out);
  if (finish(now, number, put)) return;
  Instant next = put.deadline;
  for (const auto& [node, target] : put.targets) {
    if (target.deadline > now) next = std::min(next, target.deadline);
  }
  deadlines_.set(number, next);
}

void Puts::expire_targets(Instant now, Number number, Put& put, Effects& out) {
  for (auto& [node, target] : put.targets) {
    if (target.state >= State::kStored || target.deadline > now) continue;
    if (target.state == State::kBusy) {
      start(now, number, put, node, out);
    } else {
      retry_later(now, put, node, target);
    }
  }
}

// Makes as many nodes as should hold the blob busy with it. Nodes that are not trusted are turned
// to only where the promise of W holders needs them: a live successor costs less than waiting.
void Puts::recruit(Instant now, Number number, Put& put, Effects& out) {
  const std::size_t wanted = std::min(config_.replicas, members_.present().size());
  std::vector<NodeId> nodes;
  while (true) {
    const auto active = static_cast<std::size_t>(std::ranges::count_if(
        put.targets, [](const auto& target) { return target.second.state <= State::kStored; }));
    if (active >= wanted) return;
    if (nodes.empty()) nodes = members_.candidates(put.blob.id, config_.replicas, kSpareCandidates);
    const NodeId node = next_candidate(now, put, nodes);
    if (node.is_none() || (active >= needed() && !members_.is_trusted(node))) return;
    put.targets[node].attempts += 1;
    start(now, number, put, node, out);
  }
}

// None when nobody is left for now. Those who failed once come after those never asked, but before
// those who are not trusted.
NodeId Puts::next_candidate(Instant now, const Put& put, const std::vector<NodeId>& nodes) const {
  NodeId retry;
  for (const NodeId node : nodes) {
    const auto target = put.targets.find(node);
    if (target == put.targets.end()) {
      if (members_.is_trusted(node) || retry.is_none()) return node;
      continue;
    }
    const bool may_retry = target->second.state == State::kSilent && target->second.deadline <= now;
    if (may_retry && retry.is_none()) retry = node;
  }
  return retry;
}

void Puts::start(Instant now, Number number, Put& put, NodeId node, Effects& out) {
  Target& target = put.targets[node];
  if (node == self_) return keep_here(now, number, put, out);
  const bool is_busy = target.busy_since != Instant::never();
  if (target.wanted || (put.blob.length <= kMaxUnasked && !is_busy)) {
    return send_data(now, number, put, node, out);
  }
  target.state = State::kOffered;
  target.deadline = now + config_.answer_timeout *
                              (std::int64_t{1} << std::min(target.attempts - 1, kMaxPutDoublings));
  out.send(node, Channel::kStream, frame_of(Offer{number, put.blob, put.pin}));
}

void Puts::keep_here(Instant now, Number number, Put& put, Effects& out) {
  Target& target = put.targets[self_];
  target.state = State::kSending;
  target.deadline = Instant::never();
  const BlobId& id = put.blob.id;
  if (shelf_.holds(id) && !shelf_.is_verified(now, id)) {
    const bool reading = shelf_.read(id, {ReadFor::kPut, number, self_, put.pin}, out);
    if (!reading) wait_for_busy(now, put, self_, target);
    return;
  }
  if (!shelf_.holds(id)) {
    if (!shelf_.has_room_for(put.blob.length)) {
      target.state = State::kFull;
      target.disk_free = shelf_.disk_free();
      return;
    }
    if (shelf_.is_behind()) return wait_for_busy(now, put, self_, target);
    shelf_.add(now, put.blob, put.data, out);
  }
  shelf_.add_pin(id, put.pin, out);
  out.notify_when_durable(
      {Module::kStore, static_cast<std::uint64_t>(TicketKind::kPut), number, 0});
}

void Puts::on_own_read(Instant now, const ReadJob& job, const ReadDone& done, Effects& out) {
  const auto found = puts_.find(job.number);
  if (found == puts_.end()) return;
  Put& put = found->second;
  // Sound, it is verified now; rotten, it is held no more, and the content at hand replaces it.
  Target& target = put.targets[self_];
  if (target.state == State::kSending && done.was_read()) {
    keep_here(now, job.number, put, out);
  } else if (target.state == State::kSending) {
    wait_for_busy(now, put, self_, target);
  }
  advance(now, job.number, out);
  use_freed_windows(now, out);
}

void Puts::on_own_durable(Instant now, const Ticket& ticket, Effects& out) {
  const auto found = puts_.find(ticket.b);
  if (found == puts_.end()) return;
  settle(found->second, self_, found->second.targets[self_], State::kStored);
  advance(now, ticket.b, out);
  use_freed_windows(now, out);
}

void Puts::send_data(Instant now, Number number, Put& put, NodeId node, Effects& out) {
  Target& target = put.targets[node];
  const std::uint64_t in_flight = in_flight_[node];
  if (in_flight != 0 && in_flight + weight_of(put.blob) > kMaxInFlightPerPeer) {
    target.state = State::kQueued;
    target.deadline = Instant::never();
    queued_[node].insert(number);
    return;
  }
  in_flight_[node] += weight_of(put.blob);
  target.state = State::kSending;
  target.deadline = now +
                    config_.answer_timeout *
                        (std::int64_t{1} << std::min(target.attempts - 1, kMaxPutDoublings)) +
                    time_to_send(in_flight + weight_of(put.blob));
  out.send(node, Channel::kStream,
           frame_of(Deposit{number, put.blob.id, put.pin, put.data}, put.data.size()));
}

// Sends what waited for room in the windows of peers that have answered or failed.
void Puts::use_freed_windows(Instant now, Effects& out) {
  while (!freed_.empty()) {
    const NodeId node = *freed_.begin();
    freed_.erase(node);
    const auto queue = queued_.find(node);
    if (queue == queued_.end()) continue;
    const std::set<Number> waiting = std::move(queue->second);
    queued_.erase(queue);
    for (const Number number : waiting) {
      const auto found = puts_.find(number);
      if (found == puts_.end()) continue;
      if (found->second.targets[node].state != State::kQueued) continue;
      send_data(now, number, found->second, node, out);
      advance(now, number, out);
    }
  }
}

void Puts::settle(Put& put, NodeId node, Target& target, State state) {
  if (target.state == State::kSending && node != self_) {
    const auto in_flight = in_flight_.find(node);
    ASSERT(in_flight != in_flight_.end() && in_flight->second >= weight_of(put.blob));
    in_flight->second -= weight_of(put.blob);
    if (in_flight->second == 0) in_flight_.erase(in_flight);
    freed_.insert(node);
  }
  target.state = state;
  target.deadline = Instant::never();
}

// A disk that is a moment behind is no reason to turn to somebody else; a longer while is.
void Puts::wait_for_busy(Instant now, Put& put, NodeId node, Target& target) {
  const Instant since = std::min(target.busy_since, now);
  if (now - since >= config_.answer_timeout) return retry_later(now, put, node, target);
  settle(put, node, target, State::kBusy);
  target.busy_since = since;
  target.wanted = false;  // asked again before the content is sent again
  target.deadline = now + kBusyPause;
}

void Puts::retry_later(Instant now, Put& put, NodeId node, Target& target) {
  settle(put, node, target, State::kSilent);
  target.busy_since = Instant::never();
  target.deadline = now + config_.answer_timeout / 2;
}

void Puts::on_answer(Instant now, NodeId from, const PutAnswer& answer, Effects& out) {
  const auto found = puts_.find(answer.operation);
  if (found == puts_.end() || found->second.blob.id != answer.id) return;
  Put& put = found->second;
  const auto at = put.targets.find(from);
  if (at == put.targets.end() || from == self_) return;
  Target& target = at->second;
  switch (answer.verdict) {
    case PutVerdict::kStored: settle(put, from, target, State::kStored); break;
    case PutVerdict::kWanted:
      if (target.state == State::kSending || target.state == State::kStored) return;
      target.wanted = true;
      send_data(now, answer.operation, put, from, out);
      break;
    case PutVerdict::kFull:
      target.disk_free = answer.disk_free;
      settle(put, from, target, State::kFull);
      break;
    case PutVerdict::kLeaving: settle(put, from, target, State::kGone); break;
    case PutVerdict::kBusy: wait_for_busy(now, put, from, target); break;
  }
  advance(now, answer.operation, out);
  use_freed_windows(now, out);
}

// Reports what is decided; true when the put is over and gone.
bool Puts::finish(Instant now, Number number, Put& put) {
  std::size_t stored = 0;
  bool pending = false, silent = false, full = false;
  for (const auto& [node, target] : put.targets) {
    stored += target.state == State::kStored ? 1 : 0;
    pending |= target.state < State::kStored;
    silent |= target.state == State::kSilent;
    full |= target.state == State::kFull;
  }
  if (!put.announced && stored >= needed()) {
    announce(put);
    // Time enough for the other owners to answer, if they do.
    put.deadline = std::min(put.deadline, now + config_.answer_timeout * 2);
  }
  const bool hopeless = full && !silent;
  if (pending ? now < put.deadline : !put.announced && !hopeless && now < put.deadline)
    return false;
  if (!put.announced) events_.push_back(BlobPutFailed{put.token, failure(put)});
  drop(number);
  return true;
}

void Puts::announce(Put& put) {
  put.announced = true;
  BlobStored stored{put.token, put.blob, {}};
  for (const auto& [node, target] : put.targets) {
    if (target.state == State::kStored) stored.holders.push_back(node);
  }
  events_.push_back(std::move(stored));
}

Error Puts::failure(const Put& put) const {
  std::string silent;
  std::size_t stored = 0;
  for (const auto& [node, target] : put.targets) {
    if (target.state == State::kFull) {
      return {Code::kLimit,
              "the disk of node " + node.short_text() + " has only " + mebibytes(target.disk_free) +
                  " left, within its reserve",
              "make room on it, or add a node"};
    }
    if (target.state == State::kStored) {
      ++stored;
    } else {
      silent += (silent.empty() ? "" : ", ") + node.short_text();
    }
  }
  return {Code::kTimeout,
          "blob " + put.blob.id.short_text() + " is durable on " + std::to_string(stored) + " of " +
              std::to_string(needed()) + " nodes" +
              (silent.empty() ? std::string() : "; no answer from " + silent),
          {}};
}

void Puts::drop(Number number) {
  Put& put = puts_.at(number);
  for (auto& [node, target] : put.targets) {
    settle(put, node, target, State::kGone);
  }
  bytes_ -= put.blob.length;
  deadlines_.clear(number);
  puts_.erase(number);
}

void Puts::on_members(Instant now, Effects& out) {
  std::vector<Number> numbers;
  for (auto& [number, put] : puts_) {
    numbers.push_back(number);
    // Who was written off and is back may be asked like anybody else.
    std::erase_if(put.targets, [&](const auto& target) {
      return target.second.state == State::kGone && members_.is_trusted(target.first);
    });
    for (auto& [node, target] : put.targets) {
      if (!members_.is_present(node)) {
        settle(put, node, target, State::kGone);
      } else if (target.state < State::kStored && !members_.is_trusted(node)) {
        retry_later(now, put, node, target);
      } else if (target.state == State::kSilent && members_.is_trusted(node)) {
        target.deadline = now;
      }
    }
  }
  for (const Number number : numbers) advance(now, number, out);
  use_freed_windows(now, out);
}

void Puts::tick(Instant now, Effects& out) {
  while (const auto number = deadlines_.pop_due(now)) advance(now, *number, out);
  use_freed_windows(now, out);
}

// ---- the holder -------------------------------------------------------------------------------

void Puts::on_offer(Instant now, NodeId from, const Offer& offer, Effects& out) {
  const BlobId& id = offer.blob.id;
  if (const auto refusal = refusal_of(offer.blob)) {
    return answer(from, offer.operation, id, *refusal, out);
  }
  if (!shelf_.holds(id)) return answer(from, offer.operation, id, PutVerdict::kWanted, out);
  accept_held(now, from, offer.operation, id, offer.pin, out);
}

void Puts::on_deposit(Instant now, NodeId from, const Deposit& deposit, Effects& out) {
  if (deposit.data.size() > kMaxBlob) return;
  const BlobRef blob{deposit.id, static_cast<std::uint32_t>(deposit.data.size())};
  if (const auto refusal = refusal_of(blob)) {
    return answer(from, deposit.operation, blob.id, *refusal, out);
  }
  if (shelf_.holds(blob.id)) {
    return accept_held(now, from, deposit.operation, blob.id, deposit.pin, out);
  }
  if (blob_id_of(deposit.data) != blob.id) return;
  shelf_.add(now, blob, deposit.data, out);
  pin_and_answer(from, deposit.operation, blob.id, deposit.pin, out);
}

// Why this node does not take the blob, if it does not.
std::optional<PutVerdict> Puts::refusal_of(const BlobRef& blob) const {
  if (members_.is_leaving()) return PutVerdict::kLeaving;
  if (shelf_.holds(blob.id)) return std::nullopt;
  if (!shelf_.has_room_for(blob.length)) return PutVerdict::kFull;
  if (shelf_.is_behind()) return PutVerdict::kBusy;
  return std::nullopt;
}

// "Have it" is a promise about bytes, so it rests on bytes that were looked at.
void Puts::accept_held(Instant now, NodeId from, std::uint64_t operation, const BlobId& id, Pin pin,
                       Effects& out) {
  if (shelf_.is_verified(now, id)) return pin_and_answer(from, operation, id, pin, out);
  const ReadJob job{ReadFor::kOffer, operation, from, pin};
  if (!shelf_.read(id, job, out)) answer(from, operation, id, PutVerdict::kBusy, out);
}

void Puts::on_offered_read(const ReadJob& job, const ReadDone& done, Effects& out) {
  if (done.content) return pin_and_answer(job.peer, job.number, done.id, job.pin, out);
  const PutVerdict verdict = done.was_read() ? PutVerdict::kWanted : PutVerdict::kBusy;
  answer(job.peer, job.number, done.id, verdict, out);
}

void Puts::pin_and_answer(NodeId to, std::uint64_t operation, const BlobId& id, Pin pin,
                          Effects& out) {
  shelf_.add_pin(id, pin, out);
  out.send_when_durable(to, Channel::kStream,
                        frame_of(PutAnswer{operation, id, PutVerdict::kStored, 0}));
}

void Puts::answer(NodeId to, std::uint64_t operation, const BlobId& id, PutVerdict verdict,
                  Effects& out) {
  const std::uint64_t free = verdict == PutVerdict::kFull ? shelf_.disk_free() : 0;
  out.send(to, Channel::kStream, frame_of(PutAnswer{operation, id, verdict, free}));
}

}  // namespace dunlin::store
