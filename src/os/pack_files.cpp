#include "os/pack_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace dunlin {

namespace {

// FOLDER/NAME, neither hidden: a name can lead nowhere else.
bool is_plain(const std::string& file) {
  const std::size_t slash = file.find('/');
  return slash != std::string::npos && slash > 0 && slash + 1 < file.size() &&
         file.find('/', slash + 1) == std::string::npos && file[0] != '.' &&
         file[slash + 1] != '.' && file.find('\0') == std::string::npos;
}

std::string folder_of(const std::string& file) {
  return file.substr(0, file.find('/'));
}

// A new name that cannot be synced for want of a descriptor just now waits, as does the batch.
Result<void> sync_folder(const std::string& path) {
  const FileDescriptor folder = open_patiently(path, O_RDONLY | O_DIRECTORY);
  if (!folder.is_open()) return system_error("cannot open " + path, errno);
  if (::fsync(folder.get()) != 0) return system_error("cannot sync " + path, errno);
  return {};
}

}  // namespace

Result<void> PackFiles::make_room() {
  if (open_.size() < kMaxOpen) return {};
  const auto oldest =
      std::min_element(open_.begin(), open_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  if (oldest->second.touched) {
    if (Result<void> done = sync(); !done) {
      // The caller may try again what is kLimit, and a failed sync must never be tried again.
      return fail(Code::kFailed, done.error().message);
    }
  }
  open_.erase(oldest);
  return {};
}

Result<PackFiles::Open*> PackFiles::open(const std::string& file) {
  // Names come from this program alone; one that leaves the directory is a bug.
  ASSERT(is_plain(file));
  const auto at = open_.find(file);
  if (at != open_.end()) return &at->second;
  if (Result<void> done = make_room(); !done) return tl::unexpected(done.error());
  const std::string folder = folder_of(file);
  const std::string path = directory_ + "/" + file;
  Open opened;
  opened.descriptor = open_patiently(path, O_RDWR);
  if (!opened.descriptor.is_open() && errno == ENOENT) {
    const std::string parent = directory_ + "/" + folder;
    if (::mkdir(parent.c_str(), 0700) == 0) {
      if (Result<void> done = sync_folder(directory_); !done) {
        return fail(Code::kFailed, done.error().message);
      }
    } else if (errno != EEXIST) {
      return system_error("cannot create " + parent, errno);
    }
    opened.descriptor = open_patiently(path, O_RDWR | O_CREAT);
    unsynced_folders_.insert(folder);
  }
  if (!opened.descriptor.is_open()) return system_error("cannot open " + path, errno);
  return &(open_[file] = std::move(opened));
}

Result<void> PackFiles::write(const FileWrite& write) {
  Result<Open*> opened = open(write.file);
  if (!opened) return tl::unexpected(opened.error());
  (*opened)->touched = true;
  (*opened)->used = ++clock_;
  return write_at((*opened)->descriptor.get(), write.offset, write.data,
                  directory_ + "/" + write.file);
}

Result<void> PackFiles::sync() {
  for (auto& [file, opened] : open_) {
    if (!opened.touched) continue;
    if (::fdatasync(opened.descriptor.get()) != 0) {
      return system_error("cannot sync " + directory_ + "/" + file, errno);
    }
    opened.touched = false;
  }
  for (const std::string& folder : unsynced_folders_) {
    if (Result<void> done = sync_folder(directory_ + "/" + folder); !done) return done;
  }
  unsynced_folders_.clear();
  return {};
}

void PackFiles::forget(const std::string& file) {
  open_.erase(file);
}

Result<Bytes> read_pack(const std::string& directory, const FileExtent& extent) {
  const std::string path = directory + "/" + extent.file;
  if (!is_plain(extent.file)) return fail(Code::kNotFound, path + " is no name of a pack");
  if (extent.length > kMaxFileRead) {
    return fail(Code::kLimit, path + ": more than 64 MiB asked for at once");
  }
  const FileDescriptor file = open_file(path, O_RDONLY);
  if (!file.is_open() && errno == ENOENT) return fail(Code::kNotFound, path + " is missing");
  if (!file.is_open() && is_want_of_descriptors(errno)) {
    return fail(Code::kLimit, path + " cannot be opened now: " + ::strerror(errno));
  }
  if (!file.is_open()) return system_error("cannot open " + path, errno);
  Bytes data(extent.length);
  const Result<std::size_t> got = read_at(file.get(), extent.offset, data, path);
  if (!got) return tl::unexpected(got.error());
  if (*got < data.size()) {
    return fail(Code::kCorrupt, path + " is shorter than it was: it ends at or before byte " +
                                    std::to_string(extent.offset + *got));
  }
  return data;
}

Result<void> remove_pack(const std::string& directory, const std::string& file) {
  ASSERT(is_plain(file));
  const std::string path = directory + "/" + file;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return system_error("cannot remove " + path, errno);
  }
  return {};
}

std::map<std::string, std::uint64_t> list_packs(const std::string& directory,
                                                const std::string& folder) {
  std::map<std::string, std::uint64_t> files;
  DIR* open = ::opendir((directory + "/" + folder).c_str());
  if (open == nullptr) return files;
  while (const dirent* entry = ::readdir(open)) {
    struct stat about {};
    if (entry->d_name[0] == '.') continue;
    if (::fstatat(::dirfd(open), entry->d_name, &about, 0) != 0 || !S_ISREG(about.st_mode))
      continue;
    files[folder + "/" + entry->d_name] = static_cast<std::uint64_t>(about.st_size);
  }
  ::closedir(open);
  return files;
}

}  // namespace dunlin
