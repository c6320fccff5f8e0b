#include "store/fetches.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.h"

namespace dunlin::store {

namespace {

// A search that meets a full reading queue on its own disk tries again after this.
constexpr Duration kReadAgain = milliseconds(20);
constexpr std::uint32_t kMaxRetryDoublings = 1;
// What a blob of full size may take on the wire, at 8 MiB/s.
constexpr Duration kSlowestBlob = milliseconds(500);

}  // namespace

Fetches::Fetches(NodeId self, const StoreConfig& config, Random random, Members& members,
                 Shelf& shelf, std::vector<BlobEvent>& events)
    : self_(self),
      config_(config),
      random_(random),
      members_(members),
      shelf_(shelf),
      events_(events),
      // Answers meant for an earlier life of this node must not fit.
      next_number_(random_.next() >> 1) {}

void Fetches::want(Instant now, Want want, std::uint64_t token, const BlobId& id,
                   const std::vector<NodeId>& hint, Effects& out) {
  const auto joined = by_id_.find(id);
  const bool over =
      waiters_ >= kMaxWaiters || (joined == by_id_.end() && by_id_.size() >= kMaxFetches);
  if (over) {
    return tell({want, token}, id, fail(Code::kLimit, "too many blobs are being fetched at once"));
  }
  const Number number = joined == by_id_.end() ? next_number_++ : joined->second;
  Search& search = searches_[number];
  search.id = id;
  by_id_[id] = number;
  search.waiters.push_back({want, token});
  waiters_ += 1;
  search.deadline = now + config_.fetch_deadline;
  for (std::size_t i = 0; i < hint.size() && i < kMaxHint; ++i) {
    if (std::ranges::find(search.likely, hint[i]) == search.likely.end()) {
      search.likely.push_back(hint[i]);
    }
  }
  random_.shuffle(search.likely);
  // Who joins a search that reads or writes is told together with the others.
  if (search.stage == Stage::kBegin || search.stage == Stage::kAsking) advance(now, number, out);
}

// ---- the search -------------------------------------------------------------------------------

void Fetches::advance(Instant now, Number number, Effects& out) {
  const auto found = searches_.find(number);
  if (found == searches_.end()) return;
  Search& search = found->second;
  if (!search.starved_at.empty()) {
    // While others' contents come it is not late, only behind them.
    search.deadline = std::max(search.deadline, progress_at_ + config_.fetch_deadline);
  }
  if (now >= search.deadline) {
    return fail_all(number, search,
                    {Code::kTimeout, "blob " + search.id.short_text() + " was not found in time",
                     "some nodes did not answer; ask again"});
  }
  forget_starved(number, search);
  search.retry = Instant::never();
  if (search.stage == Stage::kBegin) begin(now, number, search, out);
  if (!searches_.contains(number)) return;
  if (search.stage == Stage::kAsking) ask_next(now, number, search, out);
  if (!searches_.contains(number)) return;

  Instant next = std::min(search.deadline, search.retry);
  for (const auto& [node, peer] : search.peers) {
    if (peer.deadline > now) next = std::min(next, peer.deadline);
  }
  deadlines_.set(number, next);
}

// The own copy, if there is one.
void Fetches::begin(Instant now, Number number, Search& search, Effects& out) {
  if (!shelf_.holds(search.id)) {
    search.stage = Stage::kAsking;
    return;
  }
  const auto needs_bytes = [](const Waiter& waiter) { return waiter.want == Want::kContent; };
  if (shelf_.is_verified(now, search.id) && std::ranges::none_of(search.waiters, needs_bytes)) {
    search.stage = Stage::kWriting;
    if (shelf_.is_durable(search.id)) on_written(now, search.id, out);
    return;
  }
  if (shelf_.read(search.id, {ReadFor::kFetch, number, self_, {}}, out)) {
    search.stage = Stage::kReading;
  } else {
    search.retry = now + kReadAgain;
  }
}

void Fetches::ask_next(Instant now, Number number, Search& search, Effects& out) {
  expire_peers(now, search);
  const auto is_asked = [](const auto& peer) { return peer.second.state == State::kAsked; };
  if (std::ranges::any_of(search.peers, is_asked)) return;
  if (ask_likely(now, number, search, out)) return;
  inquire(now, number, search, out);
  give_up_if_all_answered(number, search, out);
}

void Fetches::expire_peers(Instant now, Search& search) {
  for (auto& [node, peer] : search.peers) {
    const bool waits = peer.state == State::kAsked || peer.state == State::kInquired;
    if (!waits || peer.deadline > now) continue;
    settle(peer, node, State::kSilent);
    peer.deadline = now + config_.answer_timeout;
  }
}

// True when somebody was asked for the content, or is to be asked as soon as he has less to do.
bool Fetches::ask_likely(Instant now, Number number, Search& search, Effects& out) {
  std::vector<NodeId> nodes;
  for (const auto& [node, peer] : search.peers) {
    if (peer.state == State::kHas) nodes.push_back(node);
  }
  nodes.insert(nodes.end(), search.likely.begin(), search.likely.end());
  for (const NodeId node : members_.candidates(search.id, config_.replicas, config_.replicas)) {
    nodes.push_back(node);
  }
  std::stable_partition(nodes.begin(), nodes.end(),
                        [&](NodeId node) { return members_.is_trusted(node); });
  for (const NodeId node : nodes) {
    if (!may_ask(search, node)) continue;
    const auto busy = gets_of_.find(node);
    if (gets_ >= kMaxGets || (busy != gets_of_.end() && busy->second >= kMaxGetsPerPeer)) {
      starved_[node].insert(number);
      search.starved_at.push_back(node);
      continue;
    }
    forget_starved(number, search);
    ask(now, number, search, node, false, out);
    return true;
  }
  return !search.starved_at.empty();
}

void Fetches::forget_starved(Number number, Search& search) {
  for (const NodeId node : std::exchange(search.starved_at, {})) {
    const auto at = starved_.find(node);
    if (at == starved_.end()) continue;
    at->second.erase(number);
    if (at->second.empty()) starved_.erase(at);
  }
}

void Fetches::inquire(Instant now, Number number, Search& search, Effects& out) {
  auto inquired = static_cast<std::size_t>(std::ranges::count_if(
      search.peers, [](const auto& peer) { return peer.second.state == State::kInquired; }));
  for (const bool trusted : {true, false}) {
    for (const NodeId node : members_.present()) {
      if (inquired >= kMaxInquiries) return;
      if (members_.is_trusted(node) != trusted || !may_inquire(search, node, now)) continue;
      ask(now, number, search, node, true, out);
      ++inquired;
    }
  }
}

bool Fetches::may_ask(const Search& search, NodeId node) const {
  if (node == self_ || !members_.is_present(node)) return false;
  const auto known = search.peers.find(node);
  return known == search.peers.end() || known->second.state == State::kHas;
}

// Those who were silent are asked again only when everybody has been asked once.
bool Fetches::may_inquire(const Search& search, NodeId node, Instant now) const {
  if (node == self_) return false;
  const auto known = search.peers.find(node);
  if (known == search.peers.end()) return true;
  return known->second.state == State::kSilent && known->second.deadline <= now;
}

// When every node that is present says that it has none, waiting would not help.
void Fetches::give_up_if_all_answered(Number number, Search& search, Effects& out) {
  for (const NodeId node : members_.present()) {
    if (node == self_) continue;
    const auto peer = search.peers.find(node);
    if (peer == search.peers.end()) return;
    if (peer->second.state != State::kMissing && peer->second.state != State::kBad) return;
  }
  if (members_.present().empty()) return;
  if (shelf_.is_bad(search.id) && !search.looked_twice) {
    search.looked_twice = true;
    if (shelf_.read(search.id, {ReadFor::kFetch, number, self_, {}}, out)) {
      search.stage = Stage::kReading;
      return;
    }
  }
  fail_all(number, search, {Code::kNotFound, "no node holds blob " + search.id.short_text(), {}});
}

void Fetches::ask(Instant now, Number number, Search& search, NodeId node, bool only_asking,
                  Effects& out) {
  Peer& peer = search.peers[node];
  peer.state = only_asking ? State::kInquired : State::kAsked;
  const auto doublings = std::min(peer.attempts++, kMaxRetryDoublings);
  peer.deadline = now + config_.answer_timeout * (std::int64_t{1} << doublings);
  if (!only_asking) {
    gets_ += 1;
    gets_of_[node] += 1;
    if (!std::exchange(search.was_asked_for, true)) search.deadline = now + config_.fetch_deadline;
    peer.deadline = peer.deadline + kSlowestBlob * static_cast<std::int64_t>(gets_of_[node]);
  }
  out.send(node, Channel::kStream, frame_of(Get{number, search.id, only_asking}));
}

void Fetches::settle(Peer& peer, NodeId node, State state) {
  if (peer.state == State::kAsked) {
    gets_ -= 1;
    if (--gets_of_[node] == 0) gets_of_.erase(node);
    freed_ = true;
  }
  peer.state = state;
  peer.deadline = Instant::never();
}

void Fetches::on_answer(Instant now, NodeId from, const GetAnswer& answer, Effects& out) {
  const auto found = searches_.find(answer.operation);
  if (found == searches_.end() || found->second.id != answer.id) return;
  Search& search = found->second;
  const auto at = search.peers.find(from);
  if (at == search.peers.end() || search.stage != Stage::kAsking) return;
  Peer& peer = at->second;
  switch (answer.verdict) {
    case GetVerdict::kData:
      if (answer.data.size() <= kMaxBlob && blob_id_of(answer.data) == search.id) {
        settle(peer, from, State::kHas);
        deliver(now, answer.operation, search, answer.data, answer.pins, out);
        break;
      }
      bad_answers_ += 1;
      settle(peer, from, State::kBad);
      out.send(from, Channel::kStream, frame_of(Doubt{search.id}));
      break;
    case GetVerdict::kHave:
      if (peer.state == State::kInquired) settle(peer, from, State::kHas);
      break;
    case GetVerdict::kMissing: settle(peer, from, State::kMissing); break;
    case GetVerdict::kBusy:
      settle(peer, from, State::kSilent);
      peer.deadline = now + config_.answer_timeout / 4;
      break;
  }
  advance(now, answer.operation, out);
  use_freed(now, out);
}

void Fetches::use_freed(Instant now, Effects& out) {
  while (std::exchange(freed_, false)) {
    while (const auto number = next_starved()) advance(now, *number, out);
  }
}

std::optional<Fetches::Number> Fetches::next_starved() {
  if (gets_ >= kMaxGets) return std::nullopt;
  // Hardly more peers are passed over than have all that they may be asked for.
  for (std::size_t i = 0; i < starved_.size(); ++i) {
    auto at = starved_.upper_bound(last_served_);
    if (at == starved_.end()) at = starved_.begin();
    last_served_ = at->first;
    const auto busy = gets_of_.find(at->first);
    if (busy == gets_of_.end() || busy->second < kMaxGetsPerPeer) return *at->second.begin();
  }
  return std::nullopt;
}

void Fetches::on_members(Instant now, Effects& out) {
  std::vector<Number> numbers;
  for (auto& [number, search] : searches_) {
    numbers.push_back(number);
    for (auto& [node, peer] : search.peers) {
      const bool waits = peer.state == State::kAsked || peer.state == State::kInquired;
      if (waits && !members_.is_trusted(node)) {
        settle(peer, node, State::kSilent);
        peer.deadline = now + config_.answer_timeout;
      } else if (peer.state == State::kSilent && members_.is_trusted(node)) {
        peer.deadline = now;
      }
    }
  }
  for (const Number number : numbers) advance(now, number, out);
  use_freed(now, out);
}

void Fetches::tick(Instant now, Effects& out) {
  while (const auto number = deadlines_.pop_due(now)) advance(now, *number, out);
  use_freed(now, out);
}

// ---- ends -------------------------------------------------------------------------------------

void Fetches::deliver(Instant now, Number number, Search& search, Bytes content,
                      const std::vector<Pin>& pins, Effects& out) {
  progress_at_ = now;
  const bool kept = keep(now, search, content, pins, out);
  report(search, Want::kContent, std::move(content));
  if (!kept) {
    const Error full{
        Code::kLimit, "no room on this node's disk for blob " + search.id.short_text(), {}};
    report(search, Want::kLocal, tl::unexpected(full));
    report(search, Want::kReplica, tl::unexpected(full));
  }
  if (search.waiters.empty()) return drop(number);
  search.stage = Stage::kWriting;
  if (shelf_.is_durable(search.id)) on_written(now, search.id, out);
}

// Keeps the content if anybody wants it here; false when there is no room.
bool Fetches::keep(Instant now, Search& search, ByteView content, const std::vector<Pin>& pins,
                   Effects& out) {
  const auto wants = [&](Want want) {
    return std::ranges::any_of(search.waiters, [&](const Waiter& w) { return w.want == want; });
  };
  const bool replica = wants(Want::kReplica);
  if (!replica && !wants(Want::kLocal)) return true;
  if (!shelf_.holds(search.id)) {
    const BlobRef blob{search.id, static_cast<std::uint32_t>(content.size())};
    if (!shelf_.has_room_for(blob.length)) return false;
    shelf_.add(now, blob, content, out);
  }
  if (!replica) return true;
  for (const Pin pin : pins) shelf_.add_pin(search.id, pin, out);
  return true;
}

void Fetches::on_written(Instant now, const BlobId& id, Effects& out) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return;
  const Number number = found->second;
  Search& search = searches_.at(number);
  if (search.stage != Stage::kWriting) return;
  report(search, Want::kLocal, Bytes{});
  report(search, Want::kReplica, Bytes{});
  if (search.waiters.empty()) return drop(number);
  search.stage = Stage::kBegin;
  advance(now, number, out);
}

// Tells all who want this and takes them off the list.
void Fetches::report(Search& search, Want want, const Result<Bytes>& content) {
  waiters_ -= std::erase_if(search.waiters, [&](const Waiter& waiter) {
    if (waiter.want == want) tell(waiter, search.id, content);
    return waiter.want == want;
  });
}

// For kLocal and kReplica the content is not looked at: it lies in the shelf.
void Fetches::tell(const Waiter& waiter, const BlobId& id, const Result<Bytes>& content) {
  switch (waiter.want) {
    case Want::kContent: events_.push_back(BlobFetched{waiter.token, id, content}); break;
    case Want::kReplica: pulled_.push_back({id, content.map([](const Bytes&) {})}); break;
    case Want::kLocal:
      const auto extent = [&](const Bytes&) { return shelf_.extent(id); };
      events_.push_back(BlobLocal{waiter.token, id, content.map(extent)});
      break;
  }
}

void Fetches::fail_all(Number number, Search& search, const Error& error) {
  for (const Want want : {Want::kContent, Want::kLocal, Want::kReplica}) {
    report(search, want, tl::unexpected(error));
  }
  drop(number);
}

void Fetches::drop(Number number) {
  Search& search = searches_.at(number);
  for (auto& [node, peer] : search.peers) settle(peer, node, State::kMissing);
  by_id_.erase(search.id);
  deadlines_.clear(number);
  forget_starved(number, search);
  searches_.erase(number);
}

void Fetches::on_own_read(Instant now, const ReadJob& job, const ReadDone& done, Effects& out) {
  const auto found = searches_.find(job.number);
  if (found == searches_.end() || found->second.stage != Stage::kReading) return;
  Search& search = found->second;
  if (done.content) {
    report(search, Want::kContent, done.content);
    search.stage = Stage::kWriting;
    on_written(now, search.id, out);
  } else if (!done.was_read() && now < search.deadline) {
    search.stage = Stage::kBegin;
    return deadlines_.set(job.number, now + kReadAgain);
  } else {
    search.stage = Stage::kAsking;
  }
  advance(now, job.number, out);
}

// ---- the holder -------------------------------------------------------------------------------

void Fetches::on_get(NodeId from, const Get& get, Effects& out) {
  GetVerdict verdict = GetVerdict::kMissing;
  if (shelf_.holds(get.id)) {
    verdict = GetVerdict::kHave;
    if (!get.only_asking) {
      if (shelf_.read(get.id, {ReadFor::kServe, get.operation, from, {}}, out)) return;
      verdict = GetVerdict::kBusy;
    }
  }
  out.send(from, Channel::kStream, frame_of(GetAnswer{get.operation, get.id, verdict, {}, {}}));
}

void Fetches::on_served_read(const ReadJob& job, const ReadDone& done, Effects& out) {
  GetAnswer answer{job.number, done.id, GetVerdict::kMissing, {}, {}};
  if (done.content) {
    answer.verdict = GetVerdict::kData;
    answer.data = *done.content;
    answer.pins = shelf_.pins(done.id, Pin{}, kMaxPinsInMessage);
  } else if (!done.was_read()) {
    answer.verdict = GetVerdict::kBusy;
  }
  const std::size_t size = answer.data.size() + 16 * answer.pins.size();
  out.send(job.peer, Channel::kStream, frame_of(std::move(answer), size));
}

// Reading it is all: what is found rotten counts as missing from then on.
void Fetches::on_doubt(NodeId from, const Doubt& doubt, Effects& out) {
  if (shelf_.holds(doubt.id)) shelf_.read(doubt.id, {ReadFor::kScrub, 0, from, {}}, out);
}

}  // namespace dunlin::store
