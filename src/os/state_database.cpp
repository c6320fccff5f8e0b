#include "os/state_database.h"

#include <utility>

namespace dunlin {

namespace {

constexpr const char* kStateSchema =
    "CREATE TABLE IF NOT EXISTS state(key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID";

}  // namespace

Result<StateDatabase> StateDatabase::open(const std::string& path) {
  Result<Database> database = Database::open(path, kStateSchema);
  if (!database) return tl::unexpected(database.error());
  StateDatabase state(std::move(*database));
  const std::pair<Statement*, const char*> all[] = {
      {&state.begin_, "BEGIN IMMEDIATE"},
      {&state.commit_, "COMMIT"},
      {&state.put_, "INSERT OR REPLACE INTO state(key, data) VALUES(?1, ?2)"},
      {&state.erase_, "DELETE FROM state WHERE key = ?1"},
  };
  for (const auto& [statement, sql] : all) {
    Result<Statement> prepared = state.database_.prepare(sql);
    if (!prepared) return tl::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return state;
}

Result<void> StateDatabase::read(DiskImage& image) {
  Result<Statement> rows = database_.prepare("SELECT key, data FROM state");
  if (!rows) return tl::unexpected(rows.error());
  for (;;) {
    const Result<bool> row = rows->next();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return {};
    image.state[rows->text(0)] = rows->blob(1);
  }
}

Result<void> StateDatabase::write(const CheckpointBatch& batch) {
  if (Result<void> done = begin_.run(); !done) return done;
  for (const auto& [key, value] : batch.rows) {
    Result<void> done = value ? put_.bind(1, std::string_view(key)).bind(2, ByteView(*value)).run()
                              : erase_.bind(1, std::string_view(key)).run();
    if (!done) return done;
  }
  return commit_.run();
}

Result<void> StateDatabase::commit(const CheckpointBatch& batch) {
  Result<void> done = write(batch);
  if (!done) database_.roll_back();
  return done;
}

}  // namespace dunlin
