#include "os/state_writer.h"

#include <chrono>
#include <utility>

#include "os/file_descriptor.h"

namespace dunlin {

namespace {

constexpr std::chrono::seconds kFullDelay{1};

}  // namespace

StateWriter::StateWriter(StateDatabase state, StorageMailbox& mailbox)
    : mailbox_(mailbox), state_(std::move(state)), thread_("state", [this] { run(); }) {}

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
  bool was_full = false;
  for (;;) {
    const Result<void> done = state_.commit(batch);
    if (done) break;
    if (done.error().code != Code::kLimit) end_process(done.error().message);
    was_full = true;
    mailbox_.post_disk_full(StorageMailbox::Source::kState, true);
    if (!wait_for_room()) return false;
  }
  if (was_full) mailbox_.post_disk_full(StorageMailbox::Source::kState, false);
  return true;
}

bool StateWriter::wait_for_room() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, kFullDelay, [this] { return stop_; });
}

}  // namespace dunlin
