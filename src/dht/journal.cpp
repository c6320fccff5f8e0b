// Layout of a row: [u64 checksum][u64 sequence][msgpack body]; the checksum covers all behind it.
// Layout of a sealed fact or state row: [u64 checksum][value]; the checksum covers table, key and
// value, so that no row can stand for another.
#include "dht/journal.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/fields.h"

namespace dunlin {

namespace {

constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kRowHeader = 2 * kChecksumSize;

enum class Table : std::uint8_t { kFact = 1, kState = 2 };

// The state row that describes its checkpoint; no other key is empty.
const std::string kMarkKey;

std::uint64_t sealed_checksum(const Bytes& sealed) {
  return get_u64(sealed.data());
}

std::uint64_t checksum_of(Table table, const std::string& key, ByteView value) {
  std::array<std::uint8_t, 9> head;
  head[0] = static_cast<std::uint8_t>(table);
  put_u64(head.data() + 1, key.size());
  Blake2b hash(16);
  hash.update(head);
  hash.update(as_bytes(key));
  hash.update(value);
  std::array<std::uint8_t, 16> out;
  hash.finish(out);
  return get_u64(out.data());
}

Bytes seal_value(Table table, const std::string& key, ByteView value) {
  Bytes sealed(kChecksumSize);
  sealed.reserve(kChecksumSize + value.size());
  put_u64(sealed.data(), checksum_of(table, key, value));
  append(sealed, value);
  return sealed;
}

bool is_whole(Table table, const std::string& key, const Bytes& sealed) {
  return sealed.size() >= kChecksumSize &&
         sealed_checksum(sealed) ==
             checksum_of(table, key, ByteView(sealed).subspan(kChecksumSize));
}

void unseal(Bytes& sealed) {
  sealed.erase(sealed.begin(), sealed.begin() + kChecksumSize);
}

// Seals each change in place and tells the digest.
void seal_changes(Table table, std::vector<KeyedChange>& changes, SetDigest& digest) {
  for (auto& [key, value] : changes) {
    if (value) {
      value = seal_value(table, key, *value);
      digest.put(key, sealed_checksum(*value));
    } else {
      digest.erase(key);
    }
  }
}

tl::unexpected<Error> rotten(std::string what) {
  return fail(Code::kCorrupt, std::move(what), kAmnesiaHint);
}

bool is_module(std::uint8_t value) {
  return value >= static_cast<std::uint8_t>(Module::kGossip) &&
         value <= static_cast<std::uint8_t>(Module::kNode);
}

std::string damaged_row(std::uint64_t sequence) {
  return "the log is rotten: row " + std::to_string(sequence) + " is damaged";
}

std::string missing_row(std::uint64_t sequence) {
  return "the log is rotten: row " + std::to_string(sequence) + " is missing";
}

}  // namespace

// ---- SetDigest ----------------------------------------------------------------------------------

void SetDigest::put(const std::string& key, std::uint64_t checksum) {
  std::uint64_t& held = checksums_[blake2b_64(as_bytes(key))];
  sum_ += checksum - held;
  held = checksum;
}

void SetDigest::erase(const std::string& key) {
  const auto at = checksums_.find(blake2b_64(as_bytes(key)));
  if (at == checksums_.end()) return;
  sum_ -= at->second;
  checksums_.erase(at);
}

// ---- what rows and checkpoints say --------------------------------------------------------------

struct Journal::Row {
  std::uint64_t previous = 0;    // checksum of the row before
  std::uint64_t first = 0;       // first row still needed
  std::uint64_t facts = 0;       // digest of all facts after this batch
  std::uint64_t checkpoint = 0;  // the newest completed one
  std::vector<std::pair<std::uint8_t, Bytes>> records;
  static constexpr auto fields() {
    return Fields<&Row::previous, &Row::first, &Row::facts, &Row::checkpoint, &Row::records>{};
  }

  static std::optional<Row> open(std::uint64_t sequence, const Bytes& data);
};

std::optional<Journal::Row> Journal::Row::open(std::uint64_t sequence, const Bytes& data) {
  if (data.size() < kRowHeader) return std::nullopt;
  const ByteView covered = ByteView(data).subspan(kChecksumSize);
  if (get_u64(data.data()) != blake2b_64(covered)) return std::nullopt;
  if (get_u64(covered.data()) != sequence) return std::nullopt;
  Result<Row> row = decode<Row>(covered.subspan(kChecksumSize));
  if (!row || row->first == 0 || row->first > sequence) return std::nullopt;
  for (const auto& [module, record] : row->records) {
    if (!is_module(module)) return std::nullopt;
  }
  return std::move(*row);
}

// What the state says of itself, in the same transaction as the rows it speaks of.
struct Journal::CheckpointMark {
  std::uint64_t id = 0;
  std::uint64_t durable_row = 0;  // the log held this row when the checkpoint was sealed
  std::uint64_t digest = 0;       // of all state rows but the mark
  static constexpr auto fields() {
    return Fields<&CheckpointMark::id, &CheckpointMark::durable_row, &CheckpointMark::digest>{};
  }
};

// ---- writing ------------------------------------------------------------------------------------

bool Journal::needs_batch(const Effects& effects) const {
  return effects.has_durable() || effects.trim_below > first_row_;
}

DiskBatch Journal::seal(Effects& effects) {
  ASSERT(effects.row == next_row_);
  DiskBatch batch;
  batch.row = next_row_;
  batch.files = std::exchange(effects.file_writes, {});
  batch.facts.reserve(effects.facts.size());
  for (Fact& fact : effects.facts) batch.facts.emplace_back(fact.key, std::move(fact.value));
  effects.facts.clear();
  seal_changes(Table::kFact, batch.facts, facts_);
  // The newest row always stays: without one the sequence would be forgotten.
  first_row_ = std::max(first_row_, std::min(effects.trim_below, batch.row));
  effects.trim_below = 0;
  batch.trim_below = first_row_;

  Row row{last_checksum_, first_row_, facts_.sum(), completed_checkpoint_, {}};
  row.records.reserve(effects.records.size());
  for (auto& [module, record] : effects.records) {
    row.records.emplace_back(static_cast<std::uint8_t>(module), std::move(record));
  }
  effects.records.clear();
  batch.row_data.resize(kRowHeader);
  put_u64(batch.row_data.data() + kChecksumSize, batch.row);
  Encoder out(batch.row_data);
  put(out, row);
  last_checksum_ = blake2b_64(ByteView(batch.row_data).subspan(kChecksumSize));
  put_u64(batch.row_data.data(), last_checksum_);
  ++next_row_;
  return batch;
}

void Journal::on_durable(std::uint64_t row) {
  ASSERT(row < next_row_);
  durable_row_ = std::max(durable_row_, row);
}

CheckpointBatch Journal::seal_checkpoint(std::vector<KeyedChange> changes) {
  ASSERT(!checkpoint_in_flight());
  // The mark must be able to witness against a log that is lost later.
  ASSERT(durable_row_ > 0);
  for (const auto& [key, value] : changes) ASSERT(!key.empty());
  seal_changes(Table::kState, changes, state_);
  const CheckpointMark mark{++sealed_checkpoint_, durable_row_, state_.sum()};
  changes.emplace_back(kMarkKey, seal_value(Table::kState, kMarkKey, encode(mark)));
  return {mark.id, std::move(changes)};
}

void Journal::on_checkpoint(std::uint64_t id) {
  ASSERT(id == sealed_checkpoint_);
  completed_checkpoint_ = id;
}

// ---- reading back -------------------------------------------------------------------------------

Result<std::uint64_t> Journal::open_state(DiskImage& image, Recovered& out) {
  if (image.state.empty()) return 0;
  for (auto& [key, sealed] : image.state) {
    if (!is_whole(Table::kState, key, sealed)) {
      return rotten("the applied state is rotten: row '" + key + "' does not match its checksum");
    }
    if (key != kMarkKey) state_.put(key, sealed_checksum(sealed));
    unseal(sealed);
  }
  const auto at = image.state.find(kMarkKey);
  if (at == image.state.end()) return rotten("the applied state is rotten: it has lost its mark");
  const Result<CheckpointMark> mark = decode<CheckpointMark>(at->second);
  if (!mark) return rotten("the applied state is rotten: its mark cannot be read");
  image.state.erase(at);
  if (mark->digest != state_.sum()) {
    return rotten("the applied state is rotten: rows of checkpoint " + std::to_string(mark->id) +
                  " are missing or outdated");
  }
  sealed_checkpoint_ = completed_checkpoint_ = mark->id;
  out.state = std::move(image.state);
  return mark->durable_row;
}

Result<void> Journal::open_facts(DiskImage& image, Recovered& out) {
  for (auto& [key, sealed] : image.facts) {
    if (!is_whole(Table::kFact, key, sealed)) {
      return rotten("the log is rotten: fact '" + key + "' does not match its checksum");
    }
    facts_.put(key, sealed_checksum(sealed));
    unseal(sealed);
  }
  out.facts = std::move(image.facts);
  return {};
}

// A bad last row that nobody can have been promised is a write cut short. It can only follow a
// whole row (the batches before it are durable first), and it cannot have been row 2 or later with
// nothing before it, since the newest whole row is never trimmed.
bool Journal::drop_torn_tail(Rows& rows, std::uint64_t witness) {
  if (rows.empty() || rows.back().first <= witness) return false;
  const std::uint64_t torn = rows.back().first;
  if (Row::open(torn, rows.back().second)) return false;
  const std::uint64_t before = rows.size() > 1 ? rows[rows.size() - 2].first : 0;
  if (torn != before + 1) return false;
  rows.pop_back();
  return true;
}

Result<void> Journal::open_rows(const Rows& rows, Recovered& out) {
  const std::optional<Row> last = Row::open(rows.back().first, rows.back().second);
  if (!last) return rotten(damaged_row(rows.back().first));
  first_row_ = last->first;
  last_checksum_ = sealed_checksum(rows.back().second);
  next_row_ = rows.back().first + 1;
  if (last->facts != facts_.sum()) {
    return rotten("the log is rotten: facts are missing or not as row " +
                  std::to_string(last_row()) + " left them");
  }
  if (last->checkpoint > completed_checkpoint_) {
    return rotten("the applied state is lost or outdated: it is at checkpoint " +
                  std::to_string(completed_checkpoint_) + ", and the log relies on " +
                  std::to_string(last->checkpoint));
  }
  // Rows below the first one needed may still lie there, in any condition.
  std::uint64_t expected = first_row_;
  std::uint64_t previous = 0;
  for (const auto& [sequence, data] : rows) {
    if (sequence < first_row_) continue;
    if (sequence != expected) return rotten(missing_row(expected));
    std::optional<Row> row = Row::open(sequence, data);
    if (!row || (sequence > first_row_ && row->previous != previous)) {
      return rotten(damaged_row(sequence));
    }
    previous = sealed_checksum(data);
    ++expected;
    for (auto& [module, record] : row->records) {
      out.records.push_back({sequence, static_cast<Module>(module), std::move(record)});
    }
  }
  return {};
}

Result<Recovered> Journal::open(DiskImage image) {
  ASSERT(next_row_ == 1 && facts_.sum() == 0);
  Recovered out;
  out.files = std::move(image.files);
  const Result<std::uint64_t> marked = open_state(image, out);
  if (!marked) return tl::unexpected(marked.error());
  if (Result<void> facts = open_facts(image, out); !facts) return tl::unexpected(facts.error());
  const std::uint64_t witness = std::max(image.witness, *marked);

  out.torn = drop_torn_tail(image.rows, witness);
  const std::uint64_t newest = image.rows.empty() ? 0 : image.rows.back().first;
  if (newest < witness) {
    return rotten("the log has lost its end: row " + std::to_string(witness) +
                  " was durable, and the last one left is " + std::to_string(newest));
  }
  if (!image.rows.empty()) {
    if (Result<void> rows = open_rows(image.rows, out); !rows) return tl::unexpected(rows.error());
  } else if (!out.facts.empty() || !out.state.empty()) {
    return rotten("the log is lost: it has no rows, but facts or applied state are there");
  }
  durable_row_ = last_row();
  out.next_row = next_row_;
  return out;
}

}  // namespace dunlin
