// A thin owner of SQLite's handles (sqlite.cpp alone knows the library), set up for this program:
// write-ahead log, every commit synced, one connection that holds the file for itself (so that the
// index of the log is heap memory and no second file), a page cache of 256 KiB, no lookaside, and
// no checkpoint during a commit. https://www.sqlite.org/wal.html
//
// A Database and its statements belong to one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace dunlin {

class Statement {
 public:
  Statement() = default;
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters count from 1. What they view must live until the statement has run.
  Statement& bind(int parameter, std::uint64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, ByteView blob);

  // Runs to the end; rows are passed over.
  Result<void> run();
  // For reading: true while there is a row, whose columns count from 0.
  Result<bool> next();
  std::uint64_t integer(int column) const;
  std::string text(int column) const;
  Bytes blob(int column) const;

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  sqlite3_stmt* handle_ = nullptr;
};

// Errors: kLimit when the disk is full (the transaction is undone and may be tried again);
// kCorrupt when the file is damaged or no database; kFailed for all else, and then nothing is
// known about what is on disk: the process must end.
class Database {
 public:
  // Creates the file if need be and runs `schema`. kRefused when somebody else holds it, or when a
  // newer version wrote it.
  static Result<Database> open(const std::string& path, const char* schema);
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;
  ~Database();

  Result<Statement> prepare(const char* sql);
  // Undoes the transaction if one is open.
  void roll_back();

  // Pages that the write-ahead log holds: about what the next checkpoint has to copy.
  int log_pages() const { return *log_pages_; }
  // Copies the write-ahead log into the database, synced. The log's file keeps its size, so that
  // later commits overwrite it in place.
  Result<void> checkpoint();
  // Gives cached pages back to the allocator.
  void release_memory();

 private:
  Database(sqlite3* handle, std::string path);
  Result<void> execute(const char* sql);
  Result<void> set_up(const char* schema);

  sqlite3* handle_ = nullptr;
  std::string path_;
  int* log_pages_ = nullptr;  // owned; where SQLite's hook writes, wherever this object moves
};

}  // namespace dunlin
