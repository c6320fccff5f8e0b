#include "os/log_database.h"

#include <algorithm>
#include <utility>

namespace dunlin {

namespace {

constexpr const char* kLogSchema =
    "CREATE TABLE IF NOT EXISTS log(seq INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE IF NOT EXISTS facts(key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID";

}  // namespace

Result<LogDatabase> LogDatabase::open(const std::string& path) {
  Result<Database> database = Database::open(path, kLogSchema);
  if (!database) return tl::unexpected(database.error());
  LogDatabase log(std::move(*database));
  if (Result<void> done = log.prepare(); !done) return tl::unexpected(done.error());
  return log;
}

Result<void> LogDatabase::prepare() {
  const std::pair<Statement*, const char*> all[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      // A torn last row is written anew under its number.
      {&put_row_, "INSERT OR REPLACE INTO log(seq, data) VALUES(?1, ?2)"},
      {&trim_, "DELETE FROM log WHERE seq < ?1"},
      {&put_fact_, "INSERT OR REPLACE INTO facts(key, data) VALUES(?1, ?2)"},
      {&erase_fact_, "DELETE FROM facts WHERE key = ?1"},
  };
  for (const auto& [statement, sql] : all) {
    Result<Statement> prepared = database_.prepare(sql);
    if (!prepared) return tl::unexpected(prepared.error());
    *statement = std::move(*prepared);
  }
  return {};
}

Result<void> LogDatabase::read(DiskImage& image) {
  Result<Statement> rows = database_.prepare("SELECT seq, data FROM log ORDER BY seq");
  if (!rows) return tl::unexpected(rows.error());
  for (;;) {
    const Result<bool> row = rows->next();
    if (!row) return tl::unexpected(row.error());
    if (!*row) break;
    image.rows.emplace_back(rows->integer(0), rows->blob(1));
  }
  first_row_ = image.rows.empty() ? 1 : image.rows.front().first;
  Result<Statement> facts = database_.prepare("SELECT key, data FROM facts");
  if (!facts) return tl::unexpected(facts.error());
  for (;;) {
    const Result<bool> row = facts->next();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return {};
    image.facts[facts->text(0)] = facts->blob(1);
  }
}

Result<void> LogDatabase::write(const DiskBatch& batch) {
  for (const auto& [key, value] : batch.facts) {
    Result<void> done =
        value ? put_fact_.bind(1, std::string_view(key)).bind(2, ByteView(*value)).run()
              : erase_fact_.bind(1, std::string_view(key)).run();
    if (!done) return done;
  }
  trim_below_ = std::max(trim_below_, batch.trim_below);
  return put_row_.bind(1, batch.row).bind(2, ByteView(batch.row_data)).run();
}

Result<void> LogDatabase::commit(std::span<const DiskBatch> batches) {
  Result<void> done = begin_.run();
  for (const DiskBatch& batch : batches) {
    if (done) done = write(batch);
  }
  return finish(std::move(done));
}

Result<void> LogDatabase::finish(Result<void> written) {
  const std::uint64_t cut = std::min(trim_below_, first_row_ + kMaxTrimPerCommit);
  const bool trims = first_row_ < cut;
  if (written && trims) written = trim_.bind(1, cut).run();
  if (written) written = commit_.run();
  if (!written) {
    database_.roll_back();
    return written;
  }
  if (trims) first_row_ = cut;
  return {};
}

Result<void> LogDatabase::trim_some() {
  if (Result<void> done = begin_.run(); !done) return done;
  return finish({});
}

}  // namespace dunlin
