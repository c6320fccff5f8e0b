#include "sim/sim_disk.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace dunlin::sim {

namespace {

void apply_changes(const std::vector<KeyedChange>& changes, std::map<std::string, Bytes>& table) {
  for (const auto& [key, value] : changes) {
    if (value) {
      table[key] = *value;
    } else {
      table.erase(key);
    }
  }
}

// Flips one bit of one value and tells of which, and in which byte; nothing when there is none
// with bytes in it.
template <class Table>
std::optional<std::pair<typename Table::key_type, std::uint64_t>> flip_bit(Table& table,
                                                                           Random& random) {
  std::uint64_t total = 0;
  for (const auto& [key, value] : table) total += value.size();
  if (total == 0) return std::nullopt;
  std::uint64_t at = random.below(total);
  for (auto& [key, value] : table) {
    if (at >= value.size()) {
      at -= value.size();
      continue;
    }
    value[at] ^= static_cast<std::uint8_t>(1u << random.below(8));
    return std::pair{key, at};
  }
  return std::nullopt;
}

std::uint64_t size_of(const DiskBatch& batch) {
  std::uint64_t size = batch.row_data.size();
  for (const auto& [key, value] : batch.facts) size += key.size() + (value ? value->size() : 0);
  for (const FileWrite& write : batch.files) size += write.data.size();
  return size;
}

}  // namespace

const char* name_of(DiskFault fault) {
  switch (fault) {
    case DiskFault::kLostBatches: return "lost batches";
    case DiskFault::kTornRow: return "torn row";
    case DiskFault::kTornFile: return "torn file";
    case DiskFault::kLaggingWitness: return "lagging witness";
    case DiskFault::kFlippedRow: return "flipped bit in a row";
    case DiskFault::kFlippedFact: return "flipped bit in a fact";
    case DiskFault::kFlippedState: return "flipped bit in the state";
    case DiskFault::kFlippedFile: return "flipped bit in a pack";
    case DiskFault::kReadRot: return "flipped bit that was read";
    case DiskFault::kLostTail: return "lost tail";
    case DiskFault::kLostLog: return "lost log";
    case DiskFault::kLostState: return "lost state";
    case DiskFault::kFull: return "disk full";
    case DiskFault::kIoError: return "I/O error";
    case DiskFault::kHang: return "hung disk";
    case DiskFault::kRestored: return "restored copy";
  }
  return "";
}

// ---- the contract ------------------------------------------------------------------------------

Result<DiskImage> SimDisk::read_image() const {
  DiskImage image;
  image.rows.assign(now_.rows.begin(), now_.rows.end());
  image.facts = now_.facts;
  image.state = now_.state;
  for (const auto& [file, data] : now_.files) image.files[file] = data.size();
  image.witness = now_.witness;
  return image;
}

void SimDisk::submit(Instant now, DiskBatch batch) {
  ASSERT(batch.row != 0);
  jobs_.push_back({std::move(batch), {}, now});
}

void SimDisk::checkpoint(CheckpointBatch batch) {
  checkpoints_.push_back(std::move(batch));
}

void SimDisk::read_file(FileExtent extent, const Ticket& ticket) {
  reads_.push_back({std::move(extent), ticket});
}

void SimDisk::remove_file(std::string file) {
  jobs_.push_back({{}, std::move(file), {}});
}

std::optional<Instant> SimDisk::stalled_since(Instant now, Duration limit) const {
  for (const Job& job : jobs_) {
    if (job.batch.row == 0) continue;
    if (now - job.since < limit) return std::nullopt;
    return job.since;
  }
  return std::nullopt;
}

std::uint64_t SimDisk::backlog() const {
  std::uint64_t size = 0;
  for (const Job& job : jobs_) size += size_of(job.batch);
  return size;
}

// ---- becoming durable --------------------------------------------------------------------------

SimDisk::Completions SimDisk::complete(std::size_t max_batches) {
  Completions out;
  if (hung_) {
    if (!jobs_.empty() && !std::exchange(held_up_, true)) note(DiskFault::kHang);
    return out;
  }
  if (!full_) {
    reserve_ = kReserve;
    if (std::exchange(reported_full_, false)) out.disk_full = false;
  }
  if (!complete_batches(max_batches, out)) return out;
  complete_checkpoints(out);
  for (const FileRead& wanted : reads_) {
    out.file_data.emplace_back(wanted.ticket, read(wanted.extent));
  }
  reads_.clear();
  return out;
}

// False when the process has to end.
bool SimDisk::complete_batches(std::size_t max_batches, Completions& out) {
  while (!jobs_.empty()) {
    const Job& job = jobs_.front();
    if (job.batch.row == 0) {
      now_.files.erase(job.removal);
      std::erase_if(now_.rotten, [&](const auto& spot) { return spot.first == job.removal; });
      jobs_.pop_front();
      continue;
    }
    if (max_batches-- == 0) return true;
    if (std::exchange(fails_, false)) {
      note(DiskFault::kIoError);
      out.fatal = "log.db: disk I/O error";
      return false;
    }
    if (!make_room(job.batch, out)) return false;
    write_files(job.batch);
    apply(job.batch);
    out.durable = job.batch.row;
    jobs_.pop_front();
  }
  return true;
}

bool SimDisk::make_room(const DiskBatch& batch, Completions& out) {
  if (!full_) return true;
  report_full(out);
  const std::uint64_t size = size_of(batch);
  if (size > reserve_) {
    out.fatal = "log.db: database or disk is full";
    return false;
  }
  reserve_ -= size;
  return true;
}

void SimDisk::report_full(Completions& out) {
  if (std::exchange(reported_full_, true)) return;
  note(DiskFault::kFull);
  out.disk_full = true;
}

void SimDisk::complete_checkpoints(Completions& out) {
  if (full_ && !checkpoints_.empty()) {
    report_full(out);
    return;
  }
  for (const CheckpointBatch& batch : checkpoints_) {
    apply(batch);
    out.checkpoints.push_back(batch.id);
  }
  checkpoints_.clear();
}

void SimDisk::write_files(const DiskBatch& batch) {
  for (const FileWrite& write : batch.files) {
    Bytes& file = now_.files[write.file];
    file.resize(std::max<std::size_t>(file.size(), write.offset + write.data.size()));
    std::copy(write.data.begin(), write.data.end(),
              file.begin() + static_cast<std::ptrdiff_t>(write.offset));
    now_.rotten.erase(now_.rotten.lower_bound({write.file, write.offset}),
                      now_.rotten.lower_bound({write.file, write.offset + write.data.size()}));
  }
}

void SimDisk::apply(const DiskBatch& batch) {
  Undo undo;
  undo.row = batch.row;
  for (const auto& [key, value] : batch.facts) {
    const auto held = now_.facts.find(key);
    undo.facts.try_emplace(
        key, held == now_.facts.end() ? std::nullopt : std::optional<Bytes>(held->second));
  }
  apply_changes(batch.facts, now_.facts);
  now_.rows[batch.row] = batch.row_data;
  while (!now_.rows.empty() && now_.rows.begin()->first < batch.trim_below) {
    undo.trimmed.insert(now_.rows.extract(now_.rows.begin()));
  }
  now_.witness = batch.row;
  // The first one of each life is synced.
  if (std::exchange(is_first_row_, false)) now_.synced_witness = batch.row;
  undo_.push_back(std::move(undo));
  if (undo_.size() > kMaxUndo) undo_.pop_front();
}

void SimDisk::apply(const CheckpointBatch& batch) {
  apply_changes(batch.rows, now_.state);
}

bool SimDisk::is_rotten(const FileExtent& extent) const {
  const auto first = now_.rotten.lower_bound({extent.file, extent.offset});
  return first != now_.rotten.end() &&
         *first < std::pair(extent.file, extent.offset + extent.length);
}

Result<Bytes> SimDisk::read(const FileExtent& extent) {
  const auto at = now_.files.find(extent.file);
  if (at == now_.files.end()) return fail(Code::kNotFound, extent.file + " is missing");
  const Bytes& file = at->second;
  if (extent.offset > file.size() || extent.length > file.size() - extent.offset) {
    return fail(Code::kCorrupt, extent.file + " is shorter than it was");
  }
  const std::pair end(extent.file, extent.offset + extent.length);
  for (auto spot = now_.rotten.lower_bound({extent.file, extent.offset});
       spot != now_.rotten.end() && *spot < end; ++spot) {
    if (met_rot_.insert(*spot).second) note(DiskFault::kReadRot);
  }
  const auto begin = file.begin() + static_cast<std::ptrdiff_t>(extent.offset);
  return Bytes(begin, begin + static_cast<std::ptrdiff_t>(extent.length));
}

// ---- faults
// --------------------------------------------------------------------------------------

// The batches that made it to the disk though nobody was told. A removal among them may have
// happened or not; here it has not.
void SimDisk::keep_what_was_written(const Crash& crash) {
  std::erase_if(jobs_, [](const Job& job) { return job.batch.row == 0; });
  for (std::size_t i = 0; i < crash.keep_batches && !jobs_.empty(); ++i) {
    write_files(jobs_.front().batch);
    apply(jobs_.front().batch);
    jobs_.pop_front();
  }
  if (crash.keep_checkpoint && !checkpoints_.empty()) apply(checkpoints_.front());
}

void SimDisk::crash(const Crash& crash) {
  keep_what_was_written(crash);
  if (!jobs_.empty()) {
    note(DiskFault::kLostBatches);
    const DiskBatch& next = jobs_.front().batch;
    if (crash.tear) {
      note(DiskFault::kTornRow);
      const auto length = static_cast<std::ptrdiff_t>(crash.torn_bytes % next.row_data.size());
      now_.rows[next.row] = Bytes(next.row_data.begin(), next.row_data.begin() + length);
    }
    for (const Job& job : jobs_) {
      if (!crash.leak_files || job.batch.files.empty()) continue;
      note(DiskFault::kTornFile);
      write_files(job.batch);
    }
  }
  const std::uint64_t lagging =
      std::max(now_.synced_witness, now_.witness - std::min(now_.witness, crash.witness_lag));
  if (lagging < now_.witness) {
    note(DiskFault::kLaggingWitness);
    now_.witness = lagging;
  }
  jobs_.clear();
  checkpoints_.clear();
  reads_.clear();
  is_first_row_ = true;
  fails_ = hung_ = held_up_ = reported_full_ = false;
}

bool SimDisk::flip_row(Random& random) {
  if (!flip_bit(now_.rows, random)) return false;
  note(DiskFault::kFlippedRow);
  return true;
}

bool SimDisk::flip_fact(Random& random) {
  if (!flip_bit(now_.facts, random)) return false;
  note(DiskFault::kFlippedFact);
  return true;
}

bool SimDisk::flip_state(Random& random) {
  if (!flip_bit(now_.state, random)) return false;
  note(DiskFault::kFlippedState);
  return true;
}

bool SimDisk::flip_file(Random& random) {
  const auto at = flip_bit(now_.files, random);
  if (!at) return false;
  now_.rotten.insert(*at);
  note(DiskFault::kFlippedFile);
  return true;
}

bool SimDisk::lose_tail(std::uint64_t rows) {
  if (rows == 0 || undo_.empty()) return false;
  note(DiskFault::kLostTail);
  for (; rows > 0 && !undo_.empty(); --rows) {
    Undo& last = undo_.back();
    now_.rows.erase(now_.rows.lower_bound(last.row), now_.rows.end());
    now_.rows.merge(last.trimmed);
    for (auto& [key, value] : last.facts) {
      if (value) {
        now_.facts[key] = std::move(*value);
      } else {
        now_.facts.erase(key);
      }
    }
    undo_.pop_back();
  }
  return true;
}

bool SimDisk::lose_log() {
  if (now_.rows.empty() && now_.facts.empty()) return false;
  note(DiskFault::kLostLog);
  now_.rows.clear();
  now_.facts.clear();
  undo_.clear();
  return true;
}

bool SimDisk::lose_state() {
  if (now_.state.empty()) return false;
  note(DiskFault::kLostState);
  now_.state.clear();
  return true;
}

void SimDisk::restore(Snapshot snapshot) {
  ASSERT(jobs_.empty());
  note(DiskFault::kRestored);
  now_ = std::move(snapshot);
  undo_.clear();
}

}  // namespace dunlin::sim
