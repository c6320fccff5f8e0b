// The log of one replica as it lies in memory: what followers, or a restart of the state machine,
// may still need. Knows the journal row of each entry, and so what is durable and what keeps old
// rows from being trimmed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "dht/messages.h"

namespace dunlin {

class RaftLog {
 public:
  // The entry before the first one held; (0, 0) for a log held whole.
  LogIndex base() const { return base_; }
  Term base_term() const { return base_term_; }
  LogIndex last() const { return base_ + entries_.size(); }
  Term last_term() const { return entries_.empty() ? base_term_ : entries_.back().entry.term; }
  // Known from base() to last().
  std::optional<Term> term_at(LogIndex index) const;
  // From base() + 1 to last().
  const Entry& at(LogIndex index) const;

  // The row is that of the batch that will make it durable: rows never fall.
  void append(Entry entry, std::uint64_t row);
  // Drops what comes after `index`, which must not be below base().
  void truncate_after(LogIndex index);
  // A snapshot takes the place of everything: written in `row`.
  void reset(LogIndex index, Term term, std::uint64_t row);
  // Gives up memory up to `index`, which becomes the base; at most last().
  void forget_through(LogIndex index);

  // All batches up to this row are durable. True when durable() rose.
  bool on_durable(std::uint64_t row);
  // Entries up to here survive a crash.
  LogIndex durable() const { return durable_; }

  // The lowest row that holds an entry above `index`, or the base's snapshot if that is above
  // `index`; nothing when no row is needed.
  std::optional<std::uint64_t> row_needed_above(LogIndex index) const;
  // The entry was written once more, in `row`.
  void rewritten(LogIndex index, std::uint64_t row);

  // Bytes of the payloads above `index`.
  std::size_t bytes_above(LogIndex index) const;
  // Entries from `first` on, at least one if there is any, until `most_bytes` or `most` is reached.
  std::vector<Entry> slice(LogIndex first, std::size_t most_bytes, std::size_t most) const;
  // The last index up to `index` whose term is at most `term`; base() when there is none.
  LogIndex last_with_term_up_to(LogIndex index, Term term) const;

 private:
  struct Held {
    Entry entry;
    std::uint64_t row = 0;
  };

  LogIndex base_ = 0;
  Term base_term_ = 0;
  std::uint64_t base_row_ = 0;  // of the snapshot that made the base; 0: needs no row
  LogIndex durable_ = 0;
  std::uint64_t durable_row_ = 0;
  std::deque<Held> entries_;
};

}  // namespace dunlin
