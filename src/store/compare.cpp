#include "store/compare.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

namespace dunlin::store {

namespace {

// A cell of so few blobs is listed at once rather than split.
constexpr std::uint32_t kFew = 64;
// Of one summary: splitting a cell takes a look at each of its blobs.
constexpr std::size_t kMaxSplits = 8;
constexpr std::size_t kMaxPinQuestions = 256;  // after one list of items
constexpr std::uint32_t kMaxCompareDoublings = 5;
// Large inventories are compared in several questions, so that no answer takes long.
constexpr std::uint64_t kLargeInventory = 65'536;
constexpr std::size_t kCellsAtOnce = 16;

// What is over the limit of a message is not looked at.
template <class Value>
std::span<const Value> head(const std::vector<Value>& values, std::size_t most) {
  return std::span(values).first(std::min(values.size(), most));
}

bool is_sound(const Cell& cell) {
  return cell.bits == 16 || (cell.bits == 8 && cell.prefix < kCells);
}

}  // namespace

void Compare::reset() {
  peers_.clear();
  deadlines_ = {};
  lacking_.clear();
}

void Compare::begin(Instant now) {
  for (const auto& [node, shared] : inventory_.peers()) {
    Peer& other = peer(node);
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      if (shared.held[cell] == 0) continue;
      other.changed.set(cell);
      other.unconfirmed.set(cell);
    }
    if (other.changed.any()) schedule(now, node);
  }
}

void Compare::on_change(Instant now, const BlobId& id) {
  if (!inventory_.is_complete() || !inventory_.owns(id)) return;
  for (const NodeId node : inventory_.owners(id)) {
    if (node == self_) continue;
    peer(node).changed.set(id.raw[0]);
    peer(node).attempts = 0;
    schedule(now, node);
  }
}

Compare::Peer& Compare::peer(NodeId node) {
  return peers_[node];
}

// Of two owners the one with the lower id asks; the other only if nothing came of that.
void Compare::schedule(Instant now, NodeId node) {
  const Duration base = config_.compare_delay * (self_ < node ? 1 : 2);
  if (deadlines_.of(node) <= now + base + config_.compare_delay / 4) return;
  deadlines_.set(node, now + base + random_.between(microseconds(0), config_.compare_delay / 4));
}

Duration Compare::backoff(const Peer& other) const {
  return config_.compare_delay *
         (std::int64_t{1} << std::min(other.attempts, kMaxCompareDoublings));
}

void Compare::tick(Instant now, Effects& out) {
  while (const auto node = deadlines_.pop_due(now)) {
    Peer& other = peer(*node);
    if (other.changed.none()) continue;
    if (!members_.is_trusted(*node)) {
      deadlines_.set(*node, now + config_.compare_delay);
      continue;
    }
    if (other.asked) other.attempts += 1;
    ask(now, *node, other, out);
  }
}

void Compare::ask(Instant now, NodeId node, Peer& other, Effects& out) {
  const std::size_t most = shelf_.held() > kLargeInventory ? kCellsAtOnce : kCells;
  Summary summary{inventory_.view().digest, {}};
  std::size_t cell = other.cursor;
  for (; cell < kCells && summary.cells.size() < most; ++cell) {
    if (!other.changed.test(cell)) continue;
    Cell asked{static_cast<std::uint16_t>(cell), 8, 0};
    asked.digest = inventory_.digest(node, asked);
    summary.cells.push_back(asked);
  }
  if (summary.cells.empty()) {  // the round is over
    other.cursor = 0;
    other.attempts += 1;
    deadlines_.set(node, now + backoff(other));
    return;
  }
  other.asked = true;
  // Where the answer does not come, the same cells are asked about again.
  other.asked_up_to = cell;
  const auto doublings = std::min(other.attempts, kMaxCompareDoublings);
  deadlines_.set(node, now + config_.answer_timeout * (std::int64_t{2} << doublings));
  out.send(node, Channel::kStream, frame_of(std::move(summary)));
}

bool Compare::is_comparable(NodeId from, std::uint64_t view) const {
  return inventory_.is_complete() && view == inventory_.view().digest && members_.is_present(from);
}

void Compare::on_answer(Instant now, NodeId from, const SummaryAnswer& answer) {
  const auto found = peers_.find(from);
  if (found == peers_.end() || !found->second.asked || !inventory_.is_complete()) return;
  Peer& other = found->second;
  other.asked = false;
  if (!answer.comparable || answer.view != inventory_.view().digest) {
    other.cursor = 0;
    deadlines_.set(from, now + backoff(other));
    other.attempts += 1;
    return;
  }
  other.cursor = other.asked_up_to;
  for (const Cell& cell : head(answer.equal, kMaxCellsInMessage)) {
    if (cell.bits != 8 || !is_sound(cell)) continue;
    other.attempts = 0;
    // What has changed here since the question is still to be compared.
    if (inventory_.digest(from, cell) == cell.digest) {
      confirm(from, static_cast<std::uint8_t>(cell.prefix));
    }
  }
  if (other.changed.none()) {
    deadlines_.clear(from);
  } else {
    deadlines_.set(from, now);
  }
}

void Compare::confirm(NodeId node, std::uint8_t prefix) {
  Peer& other = peer(node);
  other.changed.reset(prefix);
  other.unconfirmed.reset(prefix);
  if (other.changed.none()) {
    other.asked = false;
    other.cursor = 0;
    other.attempts = 0;
    deadlines_.clear(node);
  }
  if (lacking_.empty()) return;
  std::vector<std::pair<BlobId, NodeId>> mended;
  lacking_.scan({first_of({prefix, 8, 0}), NodeId{}}, [&](const Lack& lack) {
    if (lack.key.first.raw[0] != prefix) return false;
    if (lack.key.second == node) mended.push_back(lack.key);
    return true;
  });
  for (const auto& key : mended) lacking_.erase(key);
}

// ---- answering --------------------------------------------------------------------------------

void Compare::on_summary(Instant now, NodeId from, const Summary& summary, Effects& out) {
  SummaryAnswer answer{inventory_.view().digest, is_comparable(from, summary.view), {}};
  if (!answer.comparable) {
    return out.send(from, Channel::kStream, frame_of(std::move(answer)));
  }
  Summary deeper{inventory_.view().digest, {}};
  std::vector<Cell> listed;
  std::size_t splits = 0;
  for (const Cell& cell : head(summary.cells, kMaxCellsInMessage)) {
    if (!is_sound(cell)) continue;
    const auto prefix = static_cast<std::uint8_t>(cell.prefix);
    if (inventory_.digest(from, cell) == cell.digest) {
      answer.equal.push_back(cell);
      if (cell.bits == 8) confirm(from, prefix);
    } else if (cell.bits == 16 || inventory_.held(from, prefix) <= kFew) {
      if (listed.size() < kMaxCellsInMessage) listed.push_back(cell);
    } else if (splits < kMaxSplits) {
      ++splits;
      const std::vector<Cell> within = inventory_.split(from, prefix);
      deeper.cells.insert(deeper.cells.end(), within.begin(), within.end());
    }
    const bool differs = answer.equal.empty() || answer.equal.back() != cell;
    if (differs && cell.bits == 8) {
      peer(from).changed.set(prefix);
      schedule(now, from);
    }
  }
  out.send(from, Channel::kStream, frame_of(std::move(answer)));
  if (!deeper.cells.empty()) out.send(from, Channel::kStream, frame_of(std::move(deeper)));
  send_items(from, listed, true, out);
}

void Compare::send_items(NodeId to, const std::vector<Cell>& cells, bool answer, Effects& out) {
  Items message{inventory_.view().digest, {}, {}, answer};
  const auto flush = [&] {
    out.send(to, Channel::kStream, frame_of(message, message.items.size() * 64));
    message.complete.clear();
    message.items.clear();
  };
  for (const Cell& cell : cells) {
    const std::vector<Item> items = inventory_.items(to, cell);
    const bool is_full = message.items.size() + items.size() > kMaxItemsInMessage ||
                         message.complete.size() >= kMaxCellsInMessage;
    if (is_full && (!message.items.empty() || !message.complete.empty())) flush();
    if (items.size() <= kMaxItemsInMessage) {
      message.complete.push_back(cell);
      message.items.insert(message.items.end(), items.begin(), items.end());
      continue;
    }
    for (const Item& item : items) {
      message.items.push_back(item);
      if (message.items.size() == kMaxItemsInMessage) flush();
    }
  }
  if (!message.items.empty() || !message.complete.empty()) flush();
}

void Compare::on_items(Instant now, NodeId from, const Items& items, Effects& out) {
  if (!is_comparable(from, items.view)) return;
  std::map<BlobId, std::uint64_t> theirs;
  std::size_t questions = 0;
  for (const Item& item : head(items.items, kMaxItemsInMessage)) {
    const BlobId& id = item.blob.id;
    if (!inventory_.shares(id, from)) continue;
    theirs.emplace(id, item.pins);
    if (!shelf_.holds(id)) {
      pulls_.want(now, item.blob, from);
    } else if (shelf_.pins_digest(id) != item.pins && questions < kMaxPinQuestions) {
      ++questions;
      out.send(from, Channel::kStream, frame_of(AskPins{id, Pin{}}));
    }
  }
  std::vector<Cell> different;
  for (const Cell& cell : head(items.complete, kMaxCellsInMessage)) {
    if (!is_sound(cell)) continue;
    if (compare_cell(from, cell, theirs)) different.push_back(cell);
  }
  if (items.answer) send_items(from, different, false, out);
}

// Remembers what the other owner lacks; true when there is any difference.
bool Compare::compare_cell(NodeId from, const Cell& cell,
                           const std::map<BlobId, std::uint64_t>& theirs) {
  std::size_t in_common = 0;
  bool differs = false;
  for (const Item& own : inventory_.items(from, cell)) {
    const auto found = theirs.find(own.blob.id);
    if (found != theirs.end()) {
      ++in_common;
      differs |= found->second != own.pins;
      continue;
    }
    differs = true;
    if (lacking_.size() < kMaxLacking && inventory_.counts(own.blob.id)) {
      lacking_.insert({{own.blob.id, from}});
    }
  }
  std::size_t listed = 0;
  for (auto at = theirs.lower_bound(first_of(cell)); at != theirs.end(); ++at, ++listed) {
    if (!is_in(cell, at->first)) break;
  }
  return differs || in_common != listed;
}

void Compare::on_ask_pins(NodeId from, const AskPins& ask, Effects& out) {
  PinsOf answer{ask.id, shelf_.pins(ask.id, ask.from, kMaxPinsInMessage + 1), false};
  if (answer.pins.size() > kMaxPinsInMessage) {
    answer.pins.pop_back();
    answer.more = true;
  }
  out.send(from, Channel::kStream, frame_of(std::move(answer)));
}

namespace {

// The least pin above this one; nothing behind the last there can be.
std::optional<Pin> pin_after(const Pin& pin) {
  if (pin.intent != std::numeric_limits<std::uint64_t>::max()) {
    return Pin{pin.group, pin.intent + 1};
  }
  if (pin.group.value + 1 >= kMaxGroups) return std::nullopt;
  return Pin{GroupId{static_cast<std::uint16_t>(pin.group.value + 1)}, 0};
}

}  // namespace

void Compare::on_pins(NodeId from, const PinsOf& pins, Effects& out) {
  if (!shelf_.holds(pins.id) || pins.pins.size() > kMaxPinsInMessage) return;
  for (const Pin pin : pins.pins) shelf_.add_pin(pins.id, pin, out);
  if (!pins.more || pins.pins.empty()) return;
  if (const std::optional<Pin> next = pin_after(pins.pins.back())) {
    out.send(from, Channel::kStream, frame_of(AskPins{pins.id, *next}));
  }
}

// ---- counts -----------------------------------------------------------------------------------

std::uint64_t Compare::lacking() const {
  std::uint64_t blobs = 0;
  BlobId last;
  lacking_.scan({BlobId{}, NodeId{}}, [&](const Lack& lack) {
    blobs += lack.key.first != last ? 1 : 0;
    last = lack.key.first;
    return true;
  });
  return blobs;
}

std::uint64_t Compare::unchecked() const {
  std::array<std::uint32_t, kCells> most{};
  for (const auto& [node, other] : peers_) {
    const auto shared = inventory_.peers().find(node);
    if (shared == inventory_.peers().end()) continue;
    for (std::size_t cell = 0; cell < kCells; ++cell) {
      if (other.unconfirmed.test(cell)) {
        most[cell] = std::max(most[cell], shared->second.counted[cell]);
      }
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint32_t count : most) sum += count;
  return sum;
}

}  // namespace dunlin::store
