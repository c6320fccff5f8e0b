#include "os/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "os/directory_entries.h"

namespace dunlin {

namespace {

constexpr timespec kLongPast{1, 0};

std::string errno_text(const std::string& doing) {
  return doing + ": " + strerror(errno);
}

}  // namespace

std::vector<std::string> entries_in(const std::string& path) {
  std::vector<std::string> paths;
  const Directory directory(opendir(path.c_str()));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    if (!is_dots(entry->d_name)) paths.emplace_back(path).append("/").append(entry->d_name);
  }
  return paths;
}

bool holds_anything(const std::string& root) {
  const std::vector<std::string> paths = entries_in(root);
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    const Directory directory(opendir(path.c_str()));
    if (!directory) return errno != ENOENT && errno != ENOTDIR;
    while (const dirent* entry = readdir(directory.get())) {
      if (!is_dots(entry->d_name)) return true;
    }
    return false;
  });
}

Result<Workdirs> Workdirs::open(std::string root, std::optional<FileOwner> owner) {
  // Tasks of another user pass through it, and see nothing but their own.
  const mode_t mode = owner ? 0711 : 0700;
  if (mkdir(root.c_str(), mode) != 0 && errno != EEXIST) {
    return fail(Code::kFailed, errno_text("cannot make " + root));
  }
  if (chmod(root.c_str(), mode) != 0) {
    return fail(Code::kFailed, errno_text("cannot set the mode of " + root));
  }
  Workdirs workdirs;
  workdirs.root_ = std::move(root);
  workdirs.owner_ = owner;
  // Numbers go on where an earlier life stopped: its directories may be in use, or on their way
  // out.
  const std::size_t name = workdirs.root_.size() + 1;
  for (const std::string& path : entries_in(workdirs.root_)) {
    const std::uint64_t number = strtoull(path.c_str() + name, nullptr, 10);
    workdirs.next_ = std::max(workdirs.next_, number + 1);
  }
  return workdirs;
}

std::optional<Workdirs::Mark> Workdirs::mark_of(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return std::nullopt;
  if (info.st_mtim.tv_sec != kLongPast.tv_sec || info.st_mtim.tv_nsec != 0) return std::nullopt;
  return Mark{info.st_ctim};
}

tl::expected<std::string, int> Workdirs::make() {
  std::string path = root_ + "/" + std::to_string(next_++);
  if (mkdir(path.c_str(), 0700) != 0) return tl::unexpected(errno);
  if (owner_ && lchown(path.c_str(), owner_->uid, owner_->gid) != 0) return tl::unexpected(errno);
  return path;
}

tl::expected<std::string, int> Workdirs::take_empty() {
  if (!pool_.empty()) {
    auto [path, mark] = std::move(pool_.back());
    pool_.pop_back();
    lent_.emplace(path, mark);
    return path;
  }
  auto path = make();
  if (!path) return path;
  const timespec times[2] = {kLongPast, kLongPast};
  utimensat(AT_FDCWD, path->c_str(), times, AT_SYMLINK_NOFOLLOW);
  if (const auto mark = mark_of(*path)) lent_.emplace(*path, *mark);
  return path;
}

bool Workdirs::give_back(const std::string& path) {
  const auto at = lent_.find(path);
  if (at == lent_.end()) return false;
  const Mark lent = at->second;
  lent_.erase(at);
  if (pool_.size() >= kMaxPooledWorkdirs || mark_of(path) != lent) return false;
  pool_.emplace_back(path, lent);
  return true;
}

std::vector<std::string> Workdirs::leftovers(const std::set<std::string>& held) const {
  std::vector<std::string> paths;
  for (std::string& path : entries_in(root_)) {
    const bool is_pooled = std::any_of(pool_.begin(), pool_.end(),
                                       [&](const auto& pooled) { return pooled.first == path; });
    if (!is_pooled && !held.contains(path)) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace dunlin
