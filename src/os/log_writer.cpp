#include "os/log_writer.h"

#include <poll.h>

#include <chrono>
#include <utility>

#include "base/assert.h"
#include "os/clock.h"
#include "os/workdir.h"

namespace dunlin {

namespace {

constexpr std::chrono::milliseconds kIdleDelay{5};  // no batch for so long: the log is idle
constexpr std::chrono::seconds kRowRetryDelay{1};   // between tries for which there was no room
// How long a commit waits for room: tasks that fill the disk are being ended meanwhile.
constexpr Duration kFullPatience = seconds(10);
constexpr int kFullRetryMs = 20;

constexpr const char* kLastWords =
    "; this node ends here: it has promised nothing that is not on its disk; when that is well "
    "again, and has room, start it anew with: dunlin up";

std::uint64_t size_of(const DiskBatch& batch) {
  std::uint64_t size = sizeof(DiskBatch) + batch.row_data.size();
  for (const auto& [key, value] : batch.facts) size += key.size() + (value ? value->size() : 0);
  for (const FileWrite& write : batch.files) size += write.data.size();
  return size;
}

}  // namespace

LogWriter::LogWriter(DataDirectory& directory, LogDatabase log, std::uint64_t reserve,
                     StorageMailbox& mailbox, FileReader& files)
    : directory_(directory),
      mailbox_(mailbox),
      files_(files),
      reserve_(reserve),
      log_(std::move(log)),
      packs_(directory.path()),
      has_reserve_(reserve == 0),
      thread_("log", [this] { run(); }) {}

LogWriter::~LogWriter() {
  const std::scoped_lock lock(mutex_);
  stop_ = true;
  changed_.notify_one();
}

void LogWriter::submit(DiskBatch batch) {
  ASSERT(batch.row != 0);
  const std::uint64_t size = size_of(batch);
  enqueue({std::move(batch), {}, monotonic_now(), size});
}

void LogWriter::remove_file(std::string file) {
  enqueue({{}, std::move(file), monotonic_now(), 0});
}

void LogWriter::enqueue(Job job) {
  const std::scoped_lock lock(mutex_);
  waiting_bytes_ += job.size;
  if (waiting_bytes_ > kMaxWaitingBytes) {
    end_process(directory_.path() + ": the disk takes no writes and 1 GiB waits for it");
  }
  jobs_.push_back(std::move(job));
  // A writer at work looks at the queue again by itself.
  if (!writing_since_) changed_.notify_one();
}

std::uint64_t LogWriter::waiting_bytes() const {
  const std::scoped_lock lock(mutex_);
  return waiting_bytes_;
}

std::optional<Instant> LogWriter::waiting_since() const {
  const std::scoped_lock lock(mutex_);
  if (writing_since_) return writing_since_;
  if (jobs_.empty()) return std::nullopt;
  return jobs_.front().since;
}

LatencyHistogram LogWriter::commits() const {
  const std::scoped_lock lock(mutex_);
  return commits_;
}

// ---- the thread ------------------------------------------------------------------------------

void LogWriter::run() {
  if (!has_reserve_) be_idle();
  for (;;) {
    switch (wait_for_work()) {
      case Turn::kStop: return;
      case Turn::kIdle: be_idle(); break;
      case Turn::kWork: write_group(); break;
    }
  }
}

LogWriter::Turn LogWriter::wait_for_work() {
  const auto has_work = [this] { return !jobs_.empty() || stop_; };
  std::unique_lock lock(mutex_);
  writing_since_.reset();
  waiting_bytes_ -= std::exchange(group_bytes_, 0);
  if (!has_room_ || !has_reserve_) {
    if (!changed_.wait_for(lock, kRowRetryDelay, has_work)) return Turn::kIdle;
  } else if (log_.database().log_pages() >= kIdleLogPages || log_.has_rows_to_trim()) {
    if (!changed_.wait_for(lock, kIdleDelay, has_work)) return Turn::kIdle;
  } else {
    changed_.wait(lock, has_work);
  }
  if (jobs_.empty()) return Turn::kStop;
  take_group();
  return Turn::kWork;
}

// With the lock held. Removals wait for the batches before them, so they end a group.
void LogWriter::take_group() {
  writing_since_ = jobs_.front().since;
  while (!jobs_.empty() && group_bytes_ < kMaxGroupBytes) {
    Job& job = jobs_.front();
    if (job.batch.row != 0) {
      if (!removals_.empty()) return;
      group_bytes_ += job.size;
      group_.push_back(std::move(job.batch));
    } else {
      removals_.push_back(std::move(job.removal));
    }
    jobs_.pop_front();
  }
}

void LogWriter::write_group() {
  if (!group_.empty()) {
    const Instant begun = monotonic_now();
    Result<void> done = try_write_group();
    if (!done && done.error().code == Code::kLimit) done = write_on_full_disk();
    if (!done) end_process(done.error().message + kLastWords);
    directory_.write_witness(group_.back().row);
    mailbox_.post_durable(group_.back().row);
    const Duration took = monotonic_now() - begun;
    const std::scoped_lock lock(mutex_);
    commits_.add(took);
    group_.clear();
  }
  for (std::string& file : removals_) {
    packs_.forget(file);
    files_.remove(std::move(file));
  }
  removals_.clear();
  if (log_.database().log_pages() >= kMaxLogPages) checkpoint();
}

// The transaction was undone, and packs are overwritten with the same bytes. What was set aside may
// go to a task that writes faster: then that one's end is waited for.
Result<void> LogWriter::write_on_full_disk() {
  // Empty ones are kept for tasks to come: there is nothing to be had from them.
  const bool may_be_made = holds_anything(directory_.file("tasks"));
  const Instant until = monotonic_now() + (may_be_made ? kFullPatience : Duration{});
  directory_.free_reserve();
  has_reserve_ = false;
  mailbox_.post_disk_full(StorageMailbox::Source::kLog, true);
  for (;;) {
    Result<void> done = try_write_group();
    if (done || done.error().code != Code::kLimit || monotonic_now() >= until) return done;
    // Nobody tells when there is room.
    ::poll(nullptr, 0, kFullRetryMs);
  }
}

Result<void> LogWriter::try_write_group() {
  for (const DiskBatch& batch : group_) {
    for (const FileWrite& write : batch.files) {
      if (Result<void> done = packs_.write(write); !done) return done;
    }
  }
  if (Result<void> done = packs_.sync(); !done) end_process(done.error().message + kLastWords);
  return log_.commit(group_);
}

void LogWriter::be_idle() {
  if (!has_reserve_) {
    has_reserve_ = directory_.fill_reserve(reserve_);
    mailbox_.post_disk_full(StorageMailbox::Source::kLog, !has_reserve_);
  }
  has_room_ = true;
  if (log_.has_rows_to_trim()) {
    go_on_unless_broken(log_.trim_some());
  } else if (log_.database().log_pages() >= kIdleLogPages) {
    checkpoint();
  }
}

void LogWriter::checkpoint() {
  // Without room for it the write-ahead log goes on growing, as long as there is room for that.
  go_on_unless_broken(log_.database().checkpoint());
  log_.database().release_memory();
}

void LogWriter::go_on_unless_broken(const Result<void>& done) {
  if (done) return;
  if (done.error().code != Code::kLimit) end_process(done.error().message + kLastWords);
  has_room_ = false;
}

}  // namespace dunlin
