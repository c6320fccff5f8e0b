// The part of workdir.h that any thread may call: staging, finding, reading and removing files.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "base/inner_path.h"
#include "os/directory_entries.h"
#include "os/file_descriptor.h"
#include "os/glob.h"
#include "os/workdir.h"

namespace dunlin {

namespace {

constexpr std::size_t kCopyPiece = 256 * 1024;
constexpr int kInner = O_NOFOLLOW | O_CLOEXEC;
// Below this depth a directory is moved up before it is emptied, so that descriptors suffice.
constexpr int kMaxRemoveDepth = 64;
constexpr int kMaxRemoveRounds = 10'000'000;
// Directories that somebody else filled again after they had been emptied.
constexpr int kMaxRefilled = 10'000;

std::vector<std::string> split_name(const std::string& name) {
  std::vector<std::string> components;
  std::size_t begin = 0;
  while (begin <= name.size()) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    components.push_back(name.substr(begin, end - begin));
    begin = end + 1;
  }
  return components;
}

// Nothing where the name would lead out of the directory or too deep.
std::optional<std::vector<std::string>> inner_components(const std::string& name) {
  if (!is_inner_path(name)) return std::nullopt;
  std::vector<std::string> components = split_name(name);
  if (components.size() > kMaxWorkdirDepth) return std::nullopt;
  return components;
}

FileDescriptor open_directory(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | kInner));
}

tl::unexpected<Error> file_error(const std::string& doing, const std::string& name) {
  const Code code = errno == ENOENT ? Code::kNotFound : Code::kFailed;
  return fail(code, "cannot " + doing + " " + name + ": " + strerror(errno));
}

// ---- staging ----------------------------------------------------------------------------------

struct Stager {
  const std::string& pack_root;
  const std::optional<FileOwner>& owner;
  std::map<std::string, FileDescriptor> packs;
  Bytes piece;

  int give(int fd) const { return owner && fchown(fd, owner->uid, owner->gid) != 0 ? errno : 0; }

  int copy(const FileExtent& extent, int to) {
    FileDescriptor& pack = packs[extent.file];
    if (!pack.is_open())
      pack = FileDescriptor(::open((pack_root + "/" + extent.file).c_str(), O_RDONLY | O_CLOEXEC));
    if (!pack.is_open()) return errno;
    auto from = static_cast<off_t>(extent.offset);
    std::uint64_t left = extent.length;
    // Shares or moves the bytes within the kernel where the file system can.
    while (left > kCopyPiece) {
      const ssize_t count = copy_file_range(pack.get(), &from, to, nullptr, left, 0);
      if (count <= 0) break;
      left -= static_cast<std::uint64_t>(count);
    }
    while (left > 0) {
      piece.resize(std::min<std::uint64_t>(left, kCopyPiece));
      const ssize_t count = pread(pack.get(), piece.data(), piece.size(), from);
      if (count <= 0) return count == 0 ? EIO : errno;
      for (ssize_t written = 0; written < count;) {
        const ssize_t more =
            write(to, piece.data() + written, static_cast<std::size_t>(count - written));
        if (more < 0) return errno;
        written += more;
      }
      from += count;
      left -= static_cast<std::uint64_t>(count);
    }
    return 0;
  }

  int stage(const FileDescriptor& top, const StagedFile& file) {
    const auto inside = inner_components(file.name);
    if (!inside) return EINVAL;
    const std::vector<std::string>& components = *inside;
    FileDescriptor inner;
    for (std::size_t i = 0; i + 1 < components.size(); ++i) {
      const int above = inner.is_open() ? inner.get() : top.get();
      const bool made = mkdirat(above, components[i].c_str(), 0755) == 0;
      if (!made && errno != EEXIST) return errno;
      FileDescriptor next(openat(above, components[i].c_str(), O_RDONLY | O_DIRECTORY | kInner));
      if (!next.is_open()) return errno;
      if (const int error = made ? give(next.get()) : 0) return error;
      inner = std::move(next);
    }
    const FileDescriptor target(openat(inner.is_open() ? inner.get() : top.get(),
                                       components.back().c_str(),
                                       O_WRONLY | O_CREAT | O_EXCL | kInner, 0600));
    if (!target.is_open()) return errno;
    for (const FileExtent& extent : file.content) {
      if (const int error = copy(extent, target.get())) return error;
    }
    if (fchmod(target.get(), file.mode & 0777) != 0) return errno;
    return give(target.get());
  }
};

// ---- finding ----------------------------------------------------------------------------------

struct Search {
  std::vector<std::vector<std::string>> patterns;
  std::vector<FoundOutput> found;
  std::size_t walked = 0;

  Result<void> visit(int directory, const std::string& prefix, std::size_t depth,
                     const std::vector<std::size_t>& active, bool takes_all);
  Result<void> enter(int directory, const char* name, const std::string& prefix, std::size_t depth,
                     const std::vector<std::size_t>& active, bool takes_all);
};

Result<void> Search::enter(int directory, const char* name, const std::string& prefix,
                           std::size_t depth, const std::vector<std::size_t>& active,
                           bool takes_all) {
  const std::string path = prefix + name;
  if (depth + 1 >= kMaxWorkdirDepth) {
    return fail(Code::kLimit, "outputs lie more than " + std::to_string(kMaxWorkdirDepth) +
                                  " directories deep: " + path);
  }
  const FileDescriptor inner(openat(directory, name, O_RDONLY | O_DIRECTORY | kInner));
  if (!inner.is_open()) return file_error("open the output directory", path);
  return visit(inner.get(), path + "/", depth + 1, active, takes_all);
}

// `active` are the patterns whose first `depth` components match the way here.
Result<void> Search::visit(int directory, const std::string& prefix, std::size_t depth,
                           const std::vector<std::size_t>& active, bool takes_all) {
  const Directory stream = directory_stream(directory);
  if (!stream) return file_error("read the output directory", prefix);
  while (const dirent* entry = readdir(stream.get())) {
    const char* name = entry->d_name;
    if (is_dots(name)) continue;
    if (++walked > kMaxWalkedEntries) {
      return fail(Code::kLimit, "more than " + std::to_string(kMaxWalkedEntries) +
                                    " files in the task's directory");
    }
    bool is_wanted = takes_all;
    std::vector<std::size_t> deeper;
    for (const std::size_t each : active) {
      if (!glob_matches(patterns[each][depth], name)) continue;
      is_wanted |= patterns[each].size() == depth + 1;
      if (patterns[each].size() > depth + 1) deeper.push_back(each);
    }
    if (!is_wanted && deeper.empty()) continue;
    struct stat info {};
    if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      auto entered = enter(directory, name, prefix, depth, deeper, is_wanted);
      if (!entered) return entered;
    } else if (S_ISREG(info.st_mode) && is_wanted) {
      if (found.size() >= kMaxOutputs) {
        return fail(Code::kLimit, "more than " + std::to_string(kMaxOutputs) + " output files");
      }
      found.push_back({prefix + name, static_cast<std::uint64_t>(info.st_size),
                       static_cast<std::uint32_t>(info.st_mode & 0777)});
    }
  }
  return {};
}

// ---- removing ---------------------------------------------------------------------------------

// Another one may be at work in the same tree (the runner's and the node's are): what is gone is
// gone, whoever removed it.
struct Remover {
  int top = -1;
  std::uint64_t moved = 0;
  bool has_moved = false;
  int rounds = 0;
  int refilled = 0;

  // What cannot be entered or changed is made so first; root needs that for nothing.
  static FileDescriptor force_open(int directory, const char* name) {
    FileDescriptor inner(openat(directory, name, O_RDONLY | O_DIRECTORY | kInner));
    if (!inner.is_open() && errno == EACCES && fchmodat(directory, name, 0700, 0) == 0) {
      inner = FileDescriptor(openat(directory, name, O_RDONLY | O_DIRECTORY | kInner));
    }
    return inner;
  }

  bool move_up(int directory, const char* name) {
    for (int i = 0; i < 1000; ++i) {
      const std::string place = ".deep-" + std::to_string(moved++);
      has_moved = true;
      if (renameat(directory, name, top, place.c_str()) == 0 || errno == ENOENT) return true;
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) return false;
    }
    return false;
  }

  bool remove_entry(int directory, const char* name, int depth) {
    if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return true;
    if (errno != EISDIR && errno != EPERM) return false;
    if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES) return false;
    const FileDescriptor inner = force_open(directory, name);
    if (!inner.is_open()) return errno == ENOENT;
    if (depth >= kMaxRemoveDepth) {
      fchmod(inner.get(), 0700);
      return move_up(directory, name);
    }
    if (!empty(inner.get(), depth + 1)) return false;
    // Somebody is still at work in it: it is met again in the next round.
    return unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT || may_retry(errno);
  }

  bool may_retry(int error) {
    return (error == ENOTEMPTY || error == EEXIST) && ++refilled <= kMaxRefilled;
  }

  // Again and again, since removing may hide entries from the stream that is being read.
  bool empty(int directory, int depth) {
    bool has_mode = false;
    for (;;) {
      if (++rounds > kMaxRemoveRounds) return false;
      const Directory stream = directory_stream(directory);
      if (!stream) return errno == ENOENT;
      bool is_empty = true;
      while (const dirent* entry = readdir(stream.get())) {
        if (is_dots(entry->d_name)) continue;
        is_empty = false;
        if (remove_entry(directory, entry->d_name, depth)) continue;
        if (has_mode || errno != EACCES || fchmod(directory, 0700) != 0) return false;
        has_mode = true;
      }
      if (is_empty) return true;
    }
  }
};

}  // namespace

tl::expected<void, int> stage_files(const std::string& workdir, const std::string& pack_root,
                                    const std::vector<StagedFile>& files,
                                    const std::optional<FileOwner>& owner) {
  const FileDescriptor top = open_directory(workdir);
  if (!top.is_open()) return tl::unexpected(errno);
  Stager stager{pack_root, owner, {}, {}};
  for (const StagedFile& file : files) {
    if (const int error = stager.stage(top, file)) return tl::unexpected(error);
  }
  return {};
}

Result<std::vector<FoundOutput>> find_outputs_in(const std::string& workdir,
                                                 const std::vector<std::string>& patterns) {
  Search search;
  std::vector<std::size_t> active;
  for (const std::string& pattern : patterns) {
    auto components = split_glob(pattern);
    if (!components) return tl::unexpected(components.error());
    active.push_back(search.patterns.size());
    search.patterns.push_back(std::move(*components));
  }
  const FileDescriptor top = open_directory(workdir);
  if (!top.is_open()) return file_error("open", workdir);
  auto visited = search.visit(top.get(), "", 0, active, false);
  if (!visited) return tl::unexpected(visited.error());
  std::sort(search.found.begin(), search.found.end(),
            [](const FoundOutput& a, const FoundOutput& b) { return a.name < b.name; });
  return std::move(search.found);
}

Result<Bytes> read_output_of(const std::string& workdir, const std::string& name,
                             std::uint64_t offset, std::uint32_t length) {
  const auto components = inner_components(name);
  if (!components) return fail(Code::kUsage, "no output can be named \"" + name + "\"");
  if (length > kMaxOutputRead) return fail(Code::kLimit, "too much of an output at once");
  FileDescriptor at = open_directory(workdir);
  for (std::size_t i = 0; at.is_open() && i < components->size(); ++i) {
    // A pipe in the file's place must not make us wait for its writer.
    const int kind = i + 1 < components->size() ? O_DIRECTORY : O_NONBLOCK;
    at = FileDescriptor(openat(at.get(), (*components)[i].c_str(), O_RDONLY | kind | kInner));
  }
  struct stat info {};
  if (!at.is_open() || fstat(at.get(), &info) != 0) return file_error("open the output", name);
  if (!S_ISREG(info.st_mode)) return fail(Code::kRefused, "not a regular file: " + name);
  Bytes bytes(length);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = pread(at.get(), bytes.data() + size, bytes.size() - size,
                                static_cast<off_t>(offset + size));
    if (count < 0) return file_error("read the output", name);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  bytes.resize(size);
  return bytes;
}

Result<void> remove_tree(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno == ENOTDIR) {
    if (unlink(path.c_str()) == 0) return {};
    return file_error("remove", path);
  }
  const FileDescriptor top = Remover::force_open(AT_FDCWD, path.c_str());
  if (!top.is_open() && errno == ENOENT) return {};
  if (!top.is_open()) return file_error("open", path);
  Remover remover;
  remover.top = top.get();
  for (;;) {
    remover.has_moved = false;
    if (!remover.empty(top.get(), 0)) return file_error("empty", path);
    if (remover.has_moved) continue;
    if (rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
    if (!remover.may_retry(errno)) return file_error("remove", path);
  }
}

}  // namespace dunlin
