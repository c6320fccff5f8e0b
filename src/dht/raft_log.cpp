#include "dht/raft_log.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

std::optional<Term> RaftLog::term_at(LogIndex index) const {
  if (index < base_ || index > last()) return std::nullopt;
  return index == base_ ? base_term_ : entries_[index - base_ - 1].entry.term;
}

const Entry& RaftLog::at(LogIndex index) const {
  ASSERT(index > base_ && index <= last());
  return entries_[index - base_ - 1].entry;
}

void RaftLog::append(Entry entry, std::uint64_t row) {
  ASSERT(entry.term >= last_term());
  ASSERT(entries_.empty() || row >= entries_.back().row);
  entries_.push_back({std::move(entry), row});
}

void RaftLog::truncate_after(LogIndex index) {
  ASSERT(index >= base_);
  if (index >= last()) return;
  entries_.resize(index - base_);
  durable_ = std::min(durable_, index);
}

void RaftLog::reset(LogIndex index, Term term, std::uint64_t row) {
  ASSERT(index >= base_);
  entries_.clear();
  base_ = index;
  base_term_ = term;
  base_row_ = row;
  durable_ = std::min(durable_, index);
  on_durable(durable_row_);
}

void RaftLog::forget_through(LogIndex index) {
  ASSERT(index <= last());
  if (index <= base_) return;
  base_term_ = *term_at(index);
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(index - base_));
  base_ = index;
  base_row_ = 0;
  durable_ = std::max(durable_, base_);
}

bool RaftLog::on_durable(std::uint64_t row) {
  durable_row_ = std::max(durable_row_, row);
  const LogIndex before = durable_;
  if (durable_ < base_ && base_row_ <= durable_row_) durable_ = base_;
  if (durable_ < base_) return false;
  while (durable_ < last() && entries_[durable_ - base_].row <= durable_row_) ++durable_;
  return durable_ > before;
}

std::optional<std::uint64_t> RaftLog::row_needed_above(LogIndex index) const {
  if (base_ > index && base_row_ != 0) return base_row_;
  const LogIndex first = std::max(index, base_) + 1;
  if (first > last()) return std::nullopt;
  return entries_[first - base_ - 1].row;
}

void RaftLog::rewritten(LogIndex index, std::uint64_t row) {
  ASSERT(index > base_ && index <= last());
  entries_[index - base_ - 1].row = row;
}

std::size_t RaftLog::bytes_above(LogIndex index) const {
  std::size_t bytes = 0;
  for (LogIndex i = last(); i > std::max(index, base_); --i) bytes += at(i).payload.size();
  return bytes;
}

std::vector<Entry> RaftLog::slice(LogIndex first, std::size_t most_bytes, std::size_t most) const {
  std::vector<Entry> some;
  std::size_t bytes = 0;
  for (LogIndex i = first; i <= last() && some.size() < most; ++i) {
    const Entry& entry = at(i);
    bytes += entry.payload.size();
    if (bytes > most_bytes && !some.empty()) break;
    some.push_back(entry);
  }
  return some;
}

LogIndex RaftLog::last_with_term_up_to(LogIndex index, Term term) const {
  LogIndex at = std::min(index, last());
  while (at > base_ && *term_at(at) > term) --at;
  return std::max(at, base_);
}

}  // namespace dunlin
