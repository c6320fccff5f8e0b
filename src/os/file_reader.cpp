#include "os/file_reader.h"

#include <utility>

#include "os/pack_files.h"

namespace dunlin {

FileReader::FileReader(const DataDirectory& directory, StorageMailbox& mailbox)
    : directory_(directory),
      mailbox_(mailbox),
      space_(directory.space().value_or(DiskSpace{})),
      thread_("files", [this] { run(); }) {}

FileReader::~FileReader() {
  const std::scoped_lock lock(mutex_);
  stop_ = true;
  changed_.notify_one();
}

void FileReader::read(FileRead read) {
  {
    const std::scoped_lock lock(mutex_);
    if (reads_.size() < kMaxWaiting) {
      reads_.push_back(std::move(read));
      changed_.notify_one();
      return;
    }
  }
  mailbox_.post_file_data(read.ticket,
                          fail(Code::kLimit, "too many reads wait for the disk", "try again"));
}

void FileReader::remove(std::string file) {
  const std::scoped_lock lock(mutex_);
  removals_.push_back(std::move(file));
  changed_.notify_one();
}

DiskSpace FileReader::space() {
  const std::scoped_lock lock(mutex_);
  measure_ = true;
  changed_.notify_one();
  return space_;
}

void FileReader::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock,
                  [this] { return stop_ || measure_ || !reads_.empty() || !removals_.empty(); });
    if (stop_) return;
    if (!reads_.empty()) {
      const FileRead next = std::move(reads_.front());
      reads_.pop_front();
      lock.unlock();
      mailbox_.post_file_data(next.ticket, read_pack(directory_.path(), next.extent));
      lock.lock();
    } else if (!removals_.empty()) {
      const std::string next = std::move(removals_.front());
      removals_.pop_front();
      lock.unlock();
      static_cast<void>(remove_pack(directory_.path(), next));
      lock.lock();
    } else {
      measure_ = false;
      lock.unlock();
      const Result<DiskSpace> now = directory_.space();
      lock.lock();
      if (now) space_ = *now;
    }
  }
}

}  // namespace dunlin
