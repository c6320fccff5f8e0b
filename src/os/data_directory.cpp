#include "os/data_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/crypto.h"
#include "dht/journal.h"

namespace dunlin {

namespace {

constexpr std::size_t kWitnessSize = 16;  // [u64 row][u64 checksum of it]
constexpr int kMaxSetAside = 1000;
constexpr std::array<const char*, 7> kSetAside = {
    "log.db", "log.db-wal", "state.db", "state.db-wal", "packs", "identity", "witness"};

constexpr std::array<const char*, 4> kDatabaseFiles = {"log.db", "log.db-wal", "state.db",
                                                       "state.db-wal"};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<void> take_lock(int file, const std::string& path) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file, F_SETLK, &lock) == 0) return {};
  if (errno != EACCES && errno != EAGAIN) return system_error("cannot lock " + path, errno);
  lock.l_type = F_WRLCK;
  std::string holder = "another process";
  if (::fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0) {
    holder = "process " + std::to_string(lock.l_pid);
  }
  return fail(Code::kRefused, path + " is in use by " + holder,
              "stop that one, or choose another --dir");
}

// A folder in it that is no node's; empty when there is none.
std::string foreign_folder_in(const std::string& path) {
  DIR* open = ::opendir(path.c_str());
  if (open == nullptr) return {};
  std::string found;
  while (const dirent* entry = ::readdir(open)) {
    const std::string name = entry->d_name;
    struct stat about {};
    if (name == "." || name == ".." || name == "lost+found" || name == "packs" || name == "tasks" ||
        name.starts_with("rotten-") ||
        ::fstatat(::dirfd(open), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(about.st_mode)) {
      continue;
    }
    found = name;
    break;
  }
  ::closedir(open);
  return found;
}

// A directory that was there before: it must be this account's alone, since the node's key and all
// jobs' environments lie in it, and not somebody's home by mistake.
Result<void> take_over(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return system_error("cannot look at " + path, errno);
  if (!S_ISDIR(about.st_mode)) return fail(Code::kUsage, path + " is no directory");
  if (about.st_uid != ::geteuid()) {
    return fail(Code::kRefused,
                path + " belongs to another account (uid " + std::to_string(about.st_uid) + ")",
                "choose another --dir, or give it to this account with chown");
  }
  if (!exists(path + "/lock") && !exists(path + "/log.db")) {
    const std::string foreign = foreign_folder_in(path);
    if (!foreign.empty()) {
      return fail(Code::kRefused, path + " is in use for other things: it holds " + foreign + "/",
                  "give a node a directory of its own: --dir " + path + "/dunlin");
    }
  }
  // Whoever may pass through is settled by whoever knows whether tasks run as another account.
  const mode_t mode = about.st_mode & 07777;
  if ((mode & ~mode_t{0711}) != 0 && ::chmod(path.c_str(), mode & 0711) != 0) {
    return system_error("cannot set the mode of " + path, errno);
  }
  for (const char* name : kDatabaseFiles) {
    const std::string file = path + "/" + name;
    if (::chmod(file.c_str(), 0600) != 0 && errno != ENOENT) {
      return system_error("cannot set the mode of " + file, errno);
    }
  }
  return {};
}

}  // namespace

Result<DataDirectory> DataDirectory::open(const std::string& path) {
  const bool created = ::mkdir(path.c_str(), 0700) == 0;
  if (!created && errno != EEXIST) return system_error("cannot create " + path, errno);
  if (!created) {
    if (Result<void> done = take_over(path); !done) return tl::unexpected(done.error());
  }
  // A record lock: unlike flock() it is not shared with children, so that a runner process that
  // outlives its node does not keep the directory, and the kernel knows the holder's pid.
  FileDescriptor lock = open_file(path + "/lock", O_RDWR | O_CREAT);
  if (!lock.is_open()) return system_error("cannot write in " + path, errno);
  if (Result<void> done = take_lock(lock.get(), path); !done) return tl::unexpected(done.error());
  if (Result<void> done = sync_directory(path); !done) return tl::unexpected(done.error());
  if (created) {
    const std::size_t slash = path.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (Result<void> done = sync_directory(parent); !done) return tl::unexpected(done.error());
  }
  DataDirectory directory(path, std::move(lock));
  return directory;
}

Result<void> DataDirectory::check_log_is_not_lost() const {
  if (exists(file("log.db"))) return {};
  for (const char* name : {"log.db-wal", "state.db", "witness", "identity", "packs"}) {
    if (!exists(file(name))) continue;
    return fail(Code::kCorrupt,
                "the log is lost: " + file("log.db") + " is gone, but " + name + " is there",
                kAmnesiaHint);
  }
  return {};
}

std::uint64_t DataDirectory::read_witness() const {
  const FileDescriptor from = open_file(file("witness"), O_RDONLY);
  if (!from.is_open()) return 0;
  std::array<std::uint8_t, kWitnessSize> data{};
  const Result<std::size_t> got = read_at(from.get(), 0, data, file("witness"));
  if (!got || *got != kWitnessSize) return 0;
  const bool whole = get_u64(data.data() + 8) == blake2b_64(ByteView(data).first(8));
  return whole ? get_u64(data.data()) : 0;
}

bool DataDirectory::write_witness(std::uint64_t row) {
  if (!witness_.is_open()) witness_ = open_file(file("witness"), O_RDWR | O_CREAT);
  if (!witness_.is_open()) return false;
  std::array<std::uint8_t, kWitnessSize> data;
  put_u64(data.data(), row);
  put_u64(data.data() + 8, blake2b_64(ByteView(data).first(8)));
  if (!write_at(witness_.get(), 0, data, file("witness"))) return false;
  if (!witness_synced_) {
    witness_synced_ = ::fsync(witness_.get()) == 0 && sync_directory(path_).has_value();
  }
  return true;
}

bool DataDirectory::fill_reserve(std::uint64_t bytes) {
  if (has_reserve_) return true;
  *kept_for_log_ = bytes / 2;
  const std::string path = file("reserve");
  FileDescriptor reserve = open_file(path, O_RDWR | O_CREAT);
  if (!reserve.is_open()) return false;
  struct stat about {};
  const bool kept = ::fstat(reserve.get(), &about) == 0 &&
                    static_cast<std::uint64_t>(about.st_blocks) * 512 >= bytes;
  if (!kept) {
    const Result<DiskSpace> now = space();
    if (!now || now->free < 4 * bytes) return false;
    if (::posix_fallocate(reserve.get(), 0, static_cast<off_t>(bytes)) != 0) {
      ::unlink(path.c_str());
      return false;
    }
  }
  has_reserve_ = true;
  *kept_for_log_ = 0;
  reserved_ = bytes;
  return true;
}

bool DataDirectory::free_reserve() {
  if (!has_reserve_) return false;
  has_reserve_ = false;
  *kept_for_log_ = reserved_ / 2;
  return ::unlink(file("reserve").c_str()) == 0;
}

void DataDirectory::remove_reserve() {
  ::unlink(file("reserve").c_str());
}

bool DataDirectory::has_room_beside_log(std::uint64_t bytes) const {
  const Result<DiskSpace> now = space();
  return !now || now->free >= bytes + *kept_for_log_;
}

Result<DiskSpace> DataDirectory::space() const {
  struct statvfs about {};
  if (::statvfs(path_.c_str(), &about) != 0) {
    return system_error("cannot measure the disk of " + path_, errno);
  }
  const std::uint64_t unit = about.f_frsize;
  // What is reserved for root is no part of the disk for anybody here.
  const std::uint64_t reserved = about.f_bfree - about.f_bavail;
  return DiskSpace{(about.f_blocks - reserved) * unit, about.f_bavail * unit};
}

Result<std::string> set_aside(const std::string& path, const std::vector<const char*>& more) {
  const Result<DataDirectory> held = DataDirectory::open(path);
  if (!held) return tl::unexpected(held.error());
  std::vector<const char*> names(kSetAside.begin(), kSetAside.end());
  names.insert(names.end(), more.begin(), more.end());
  if (std::none_of(names.begin(), names.end(),
                   [&](const char* name) { return exists(held->file(name)); })) {
    return fail(Code::kNotFound, path + " holds nothing to set aside");
  }
  for (int n = 1; n < kMaxSetAside; ++n) {
    const std::string folder = path + "/rotten-" + std::to_string(n);
    if (::mkdir(folder.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return system_error("cannot create " + folder, errno);
    }
    // The log goes first: from then on what is left tells that it is lost, should this be cut
    // short.
    for (const char* name : names) {
      const std::string from = held->file(name);
      if (exists(from) && ::rename(from.c_str(), (folder + "/" + name).c_str()) != 0) {
        return system_error("cannot move " + from, errno);
      }
    }
    if (Result<void> done = sync_directory(folder); !done) return tl::unexpected(done.error());
    if (Result<void> done = sync_directory(path); !done) return tl::unexpected(done.error());
    return folder;
  }
  return fail(Code::kLimit, path + " holds " + std::to_string(kMaxSetAside) + " rotten copies");
}

}  // namespace dunlin
