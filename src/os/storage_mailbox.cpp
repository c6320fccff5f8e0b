#include "os/storage_mailbox.h"

#include "base/assert.h"

namespace dunlin {

StorageMailbox::StorageMailbox(uv_loop_t* loop, StorageCallbacks callbacks)
    : callbacks_(std::move(callbacks)), wake_up_(new uv_async_t) {
  ASSERT(uv_async_init(loop, wake_up_, [](uv_async_t* handle) {
           static_cast<StorageMailbox*>(handle->data)->deliver();
         }) == 0);
  wake_up_->data = this;
}

StorageMailbox::~StorageMailbox() {
  uv_close(reinterpret_cast<uv_handle_t*>(wake_up_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_async_t*>(handle); });
}

void StorageMailbox::post_durable(std::uint64_t row) {
  {
    const std::scoped_lock lock(mutex_);
    letters_.durable = row;
  }
  uv_async_send(wake_up_);
}

void StorageMailbox::post_checkpoint(std::uint64_t id) {
  {
    const std::scoped_lock lock(mutex_);
    letters_.checkpoints.push_back(id);
  }
  uv_async_send(wake_up_);
}

void StorageMailbox::post_file_data(const Ticket& ticket, Result<Bytes> data) {
  {
    const std::scoped_lock lock(mutex_);
    letters_.file_data.emplace_back(ticket, std::move(data));
  }
  uv_async_send(wake_up_);
}

void StorageMailbox::post_disk_full(Source source, bool full) {
  {
    const std::scoped_lock lock(mutex_);
    const auto bit = static_cast<std::uint8_t>(source);
    full_ = static_cast<std::uint8_t>(full ? full_ | bit : full_ & ~bit);
  }
  uv_async_send(wake_up_);
}

void StorageMailbox::deliver() {
  Letters letters;
  bool full = false;
  {
    const std::scoped_lock lock(mutex_);
    std::swap(letters, letters_);
    full = full_ != 0;
  }
  // First what narrows what may be taken in, then what lets work go on.
  if (full != reported_full_) {
    reported_full_ = full;
    callbacks_.on_disk_full(full);
  }
  if (letters.durable != 0) callbacks_.on_durable(letters.durable);
  for (const std::uint64_t id : letters.checkpoints) callbacks_.on_checkpoint(id);
  for (auto& [ticket, data] : letters.file_data) {
    callbacks_.on_file_data(ticket, std::move(data));
  }
}

}  // namespace dunlin
