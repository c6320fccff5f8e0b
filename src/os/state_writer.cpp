#include "os/state_writer.h"

#include <chrono>
#include <utility>

#include "os/file_descriptor.h"

namespace dunlin {

namespace {

constexpr std::chrono::seconds kStateRetryDelay{1};

// Each row may touch pages of its own, in the write-ahead log and then in the database.
std::uint64_t space_for(const CheckpointBatch& batch) {
  constexpr std::uint64_t kDatabasePage = 4096;
  std::uint64_t size = 0;
  for (const auto& [key, value] : batch.rows) {
    size += kDatabasePage + key.size() + (value ? value->size() : 0);
  }
  return 2 * size;
}

}  // namespace

StateWriter::StateWriter(const DataDirectory& directory, StateDatabase state,
                         StorageMailbox& mailbox)
    : directory_(directory),
      mailbox_(mailbox),
      state_(std::move(state)),
      thread_("state", [this] { run(); }) {}

StateWriter::~StateWriter() {
  const std::scoped_lock lock(mutex_);
  stop_ = true;
  changed_.notify_one();
}

void StateWriter::submit(CheckpointBatch batch) {
  const std::scoped_lock lock(mutex_);
  waiting_.push_back(std::move(batch));
  changed_.notify_one();
}

void StateWriter::run() {
  for (;;) {
    CheckpointBatch batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      batch = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (!write(batch)) return;
    mailbox_.post_checkpoint(batch.id);
    if (state_.database().log_pages() < kMaxLogPages) continue;
    const Result<void> copied = state_.database().checkpoint();
    if (!copied && copied.error().code != Code::kLimit) end_process(copied.error().message);
    state_.database().release_memory();
  }
}

// False when it was told to stop before there was room.
bool StateWriter::write(const CheckpointBatch& batch) {
  if (try_write(batch)) return true;
  mailbox_.post_disk_full(StorageMailbox::Source::kState, true);
  do {
    if (!wait_for_room()) return false;
  } while (!try_write(batch));
  mailbox_.post_disk_full(StorageMailbox::Source::kState, false);
  return true;
}

// False when the disk is too full. A failed attempt would leave a longer write-ahead log behind,
// at the expense of the other one, so it is not even made where it looks hopeless.
bool StateWriter::try_write(const CheckpointBatch& batch) {
  if (!directory_.has_room_beside_log(space_for(batch))) return false;
  const Result<void> done = state_.commit(batch);
  if (!done && done.error().code != Code::kLimit) end_process(done.error().message);
  return done.has_value();
}

bool StateWriter::wait_for_room() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, kStateRetryDelay, [this] { return stop_; });
}

}  // namespace dunlin
