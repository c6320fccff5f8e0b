#include "os/sqlite.h"

#include <sqlite3.h>

#include <mutex>
#include <utility>

#include "base/assert.h"
#include "dht/journal.h"

namespace dunlin {

namespace {

// Written into every database; a higher one is from a later dunlin.
constexpr std::uint64_t kFormat = 4;

void configure_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Each connection stays with one thread, so the library needs no locks of its own.
    ASSERT(sqlite3_config(SQLITE_CONFIG_MULTITHREAD) == SQLITE_OK);
    ASSERT(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
    ASSERT(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
    ASSERT(sqlite3_initialize() == SQLITE_OK);
  });
}

tl::unexpected<Error> failure(sqlite3* handle) {
  const int code = sqlite3_extended_errcode(handle);
  const char* file = sqlite3_db_filename(handle, "main");
  std::string what = std::string(file != nullptr ? file : "database") + ": " +
                     sqlite3_errmsg(handle) + " (SQLite error " + std::to_string(code) + ")";
  switch (code & 0xff) {
    case SQLITE_FULL: return fail(Code::kLimit, std::move(what), "free space on that disk");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    // Our own statements are well-formed, so it is the schema that is not ours.
    case SQLITE_ERROR: return fail(Code::kCorrupt, std::move(what), kAmnesiaHint);
    case SQLITE_BUSY:
      return fail(Code::kRefused, std::move(what), "another program holds the database open");
    default: return fail(Code::kFailed, std::move(what));
  }
}

int note_log_pages(void* to, sqlite3*, const char*, int pages) {
  *static_cast<int*>(to) = pages;
  return SQLITE_OK;
}

}  // namespace

// ---- Statement -----------------------------------------------------------------------------

Statement::Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement& Statement::bind(int parameter, std::uint64_t value) {
  ASSERT(sqlite3_bind_int64(handle_, parameter, static_cast<std::int64_t>(value)) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  ASSERT(sqlite3_bind_text64(handle_, parameter, text.data(), text.size(), SQLITE_STATIC,
                             SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::bind(int parameter, ByteView blob) {
  // A null pointer would be stored as NULL, which is not the empty blob.
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  ASSERT(sqlite3_bind_blob64(handle_, parameter, data, blob.size(), SQLITE_STATIC) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::next() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  auto error = failure(sqlite3_db_handle(handle_));
  sqlite3_reset(handle_);
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    const Result<bool> row = next();
    if (!row) return tl::unexpected(row.error());
    if (!*row) return {};
  }
}

std::uint64_t Statement::integer(int column) const {
  return static_cast<std::uint64_t>(sqlite3_column_int64(handle_, column));
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return data == nullptr
             ? std::string()
             : std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
}

Bytes Statement::blob(int column) const {
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_, column));
  return data == nullptr ? Bytes() : Bytes(data, data + sqlite3_column_bytes(handle_, column));
}

// ---- Database ------------------------------------------------------------------------------

Database::Database(sqlite3* handle, std::string path)
    : handle_(handle), path_(std::move(path)), log_pages_(new int(0)) {}

Database::Database(Database&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)),
      path_(std::move(other.path_)),
      log_pages_(std::exchange(other.log_pages_, nullptr)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(path_, other.path_);
  std::swap(log_pages_, other.log_pages_);
  return *this;
}

Database::~Database() {
  // _v2: statements that outlive the object keep the connection until they go.
  sqlite3_close_v2(handle_);
  delete log_pages_;
}

Result<Database> Database::open(const std::string& path, const char* schema) {
  configure_library();
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  ASSERT(handle != nullptr);
  Database database(handle, path);
  if (code != SQLITE_OK) return failure(handle);
  if (Result<void> done = database.set_up(schema); !done) return tl::unexpected(done.error());
  return database;
}

Result<void> Database::set_up(const char* schema) {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_wal_hook(handle_, note_log_pages, log_pages_);
  // Exclusive comes first: then the index of the write-ahead log never becomes a shared file.
  for (const char* sql :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA cache_size=-256", "PRAGMA temp_store=MEMORY",
        "PRAGMA synchronous=FULL", "PRAGMA journal_mode=WAL"}) {
    if (Result<void> done = execute(sql); !done) return done;
  }
  Result<Statement> version = prepare("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  const Result<bool> row = version->next();
  if (!row) return tl::unexpected(row.error());
  const std::uint64_t format = *row ? version->integer(0) : 0;
  if (format > kFormat) {
    return fail(Code::kRefused,
                path_ + ": written by a later version (format " + std::to_string(format) + ")",
                "start that version");
  }
  *version = Statement();
  if (format == kFormat) return {};
  if (format != 0) {
    return fail(Code::kRefused,
                path_ + ": written by an earlier version (format " + std::to_string(format) +
                    "), which this one cannot read",
                "start that version, or begin in another directory");
  }
  const std::string all = "BEGIN; " + std::string(schema) +
                          "; PRAGMA user_version=" + std::to_string(kFormat) + "; COMMIT";
  return execute(all.c_str());
}

Result<void> Database::execute(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  auto error = failure(handle_);
  roll_back();
  return error;
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    return failure(handle_);
  }
  return Statement(statement);
}

void Database::roll_back() {
  if (sqlite3_get_autocommit(handle_) == 0) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Result<void> Database::checkpoint() {
  if (sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) !=
      SQLITE_OK) {
    return failure(handle_);
  }
  *log_pages_ = 0;
  return {};
}

void Database::release_memory() {
  sqlite3_db_release_memory(handle_);
}

}  // namespace dunlin
