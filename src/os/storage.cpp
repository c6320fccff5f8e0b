#include "os/storage.h"

#include <utility>

#include "base/assert.h"
#include "os/file_reader.h"
#include "os/left_tasks.h"
#include "os/log_database.h"
#include "os/log_writer.h"
#include "os/pack_files.h"
#include "os/state_database.h"
#include "os/state_writer.h"

namespace dunlin {

struct Storage::Parts {
  DataDirectory directory;
  std::uint64_t reserve = 0;
  // Until start(); then they belong to their threads.
  std::optional<LogDatabase> log;
  std::optional<StateDatabase> state;
  // Destroyed from the last: the log may still hand files to the reader.
  std::optional<StorageMailbox> mailbox;
  std::optional<FileReader> files;
  std::optional<StateWriter> state_writer;
  std::optional<LogWriter> log_writer;
};

Storage::Storage(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Storage::~Storage() = default;

namespace {

// A disk that is nearly full is given what room there can be before it is needed.
constexpr std::uint64_t kRoomToOpen = 4 * DataDirectory::kReserve;

struct Databases {
  LogDatabase log;
  StateDatabase state;
};

Result<Databases> open_databases(const DataDirectory& directory) {
  Result<LogDatabase> log = LogDatabase::open(directory.file("log.db"));
  if (!log) return tl::unexpected(log.error());
  // The log's name is durable before there is a state: a state without a log is damage.
  const std::string& path = directory.path();
  if (Result<void> done = sync_directory(path); !done) return tl::unexpected(done.error());
  Result<StateDatabase> state = StateDatabase::open(directory.file("state.db"));
  if (!state) return tl::unexpected(state.error());
  if (Result<void> done = sync_directory(path); !done) return tl::unexpected(done.error());
  return Databases{std::move(*log), std::move(*state)};
}

}  // namespace

Result<std::unique_ptr<Storage>> Storage::open(const std::string& path, std::uint64_t reserve) {
  Result<DataDirectory> directory = DataDirectory::open(path);
  if (!directory) return tl::unexpected(directory.error());
  if (Result<void> done = directory->check_log_is_not_lost(); !done) {
    return tl::unexpected(done.error());
  }
  if (const Result<DiskSpace> now = directory->space(); now && now->free < kRoomToOpen) {
    remove_left_tasks(path);
  }
  Result<Databases> databases = open_databases(*directory);
  if (!databases && databases.error().code == Code::kLimit) {
    directory->remove_reserve();
    databases = open_databases(*directory);
  }
  if (!databases && databases.error().code == Code::kLimit) {
    return fail(Code::kLimit, "the disk of " + path + " is full: a node cannot begin on it",
                "free some space there, then start it again");
  }
  if (!databases) return tl::unexpected(databases.error());
  // Braces: clang 14 knows no parentheses for aggregates.
  std::unique_ptr<Parts> parts(new Parts{std::move(*directory),
                                         reserve,
                                         std::move(databases->log),
                                         std::move(databases->state),
                                         {},
                                         {},
                                         {},
                                         {}});
  return std::unique_ptr<Storage>(new Storage(std::move(parts)));
}

Result<DiskImage> Storage::read_image() {
  ASSERT(parts_->log && parts_->state);
  DiskImage image;
  if (Result<void> done = parts_->log->read(image); !done) return tl::unexpected(done.error());
  if (Result<void> done = parts_->state->read(image); !done) return tl::unexpected(done.error());
  image.files = list_packs(parts_->directory.path(), "packs");
  image.witness = parts_->directory.read_witness();
  return image;
}

void Storage::start(uv_loop_t* loop, StorageCallbacks callbacks) {
  Parts& parts = *parts_;
  ASSERT(parts.log && parts.state);
  parts.mailbox.emplace(loop, std::move(callbacks));
  parts.files.emplace(parts.directory, *parts.mailbox);
  parts.state_writer.emplace(parts.directory, std::move(*parts.state), *parts.mailbox);
  parts.log_writer.emplace(parts.directory, std::move(*parts.log), parts.reserve, *parts.mailbox,
                           *parts.files);
  parts.log.reset();
  parts.state.reset();
}

void Storage::submit(DiskBatch batch) {
  parts_->log_writer->submit(std::move(batch));
}

void Storage::checkpoint(CheckpointBatch batch) {
  parts_->state_writer->submit(std::move(batch));
}

void Storage::read_file(FileExtent extent, const Ticket& ticket) {
  parts_->files->read({std::move(extent), ticket});
}

void Storage::remove_file(std::string file) {
  parts_->log_writer->remove_file(std::move(file));
}

std::optional<Instant> Storage::stalled_since(Instant now) const {
  const std::optional<Instant> since = parts_->log_writer->waiting_since();
  if (!since || now - *since < kStallLimit) return std::nullopt;
  return since;
}

std::uint64_t Storage::backlog() const {
  return parts_->log_writer->waiting_bytes();
}

LatencyHistogram Storage::log_commits() const {
  return parts_->log_writer->commits();
}

DiskSpace Storage::space() {
  return parts_->files->space();
}

}  // namespace dunlin
