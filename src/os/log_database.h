// log.db: the rows of the journal in order of arrival, and the facts. Rows are appended at the end
// and cut at the front, never looked up: keyed by anything else a group of 64 rows costs five times
// as much. Used by one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "dht/journal.h"
#include "os/sqlite.h"

namespace dunlin {

class LogDatabase {
 public:
  // Rows dropped in one transaction, so that a long cut never holds up a commit for long.
  static constexpr std::uint64_t kMaxTrimPerCommit = 256;

  static Result<LogDatabase> open(const std::string& path);

  // Adds rows and facts to `image`. Errors as Database, kCorrupt for what SQLite itself notices.
  Result<void> read(DiskImage& image);

  // All batches in one synced transaction. After kLimit nothing of it is there; other errors leave
  // unknown what is.
  Result<void> commit(std::span<const DiskBatch> batches);

  bool has_rows_to_trim() const { return first_row_ < trim_below_; }
  // One more step of the cut, in a transaction of its own.
  Result<void> trim_some();

  Database& database() { return database_; }

 private:
  explicit LogDatabase(Database database) : database_(std::move(database)) {}
  Result<void> prepare();
  Result<void> write(const DiskBatch& batch);
  Result<void> finish(Result<void> written);

  Database database_;
  Statement begin_;
  Statement commit_;
  Statement put_row_;
  Statement trim_;
  Statement put_fact_;
  Statement erase_fact_;
  std::uint64_t first_row_ = 0;   // no row below it is there
  std::uint64_t trim_below_ = 0;  // rows below it may go
};

}  // namespace dunlin
