// state.db: the applied state as keyed rows, replaced one checkpoint at a time. Used by one thread.
#pragma once

#include <string>

#include "base/result.h"
#include "dht/journal.h"
#include "os/sqlite.h"

namespace dunlin {

class StateDatabase {
 public:
  static Result<StateDatabase> open(const std::string& path);

  // Adds the state to `image`. Errors as Database.
  Result<void> read(DiskImage& image);
  // The checkpoint in one synced transaction; errors as LogDatabase::commit.
  Result<void> commit(const CheckpointBatch& batch);

  Database& database() { return database_; }

 private:
  explicit StateDatabase(Database database) : database_(std::move(database)) {}
  Result<void> write(const CheckpointBatch& batch);

  Database database_;
  Statement begin_;
  Statement commit_;
  Statement put_;
  Statement erase_;
};

}  // namespace dunlin
