// The directories that tasks run in: DIR/tasks/<number>, one for each process. A directory of a
// task that brought no files and left nothing behind is used again as it is (made and removed, it
// would cost 40-85 us of CPU on ext4; untouched, 1 us).
//
// What a task does to its directory is not trusted: symbolic links are never followed, names never
// leave the directory, only regular files are read.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/effects.h"
#include "base/result.h"
#include "sched/process_events.h"

namespace dunlin {

constexpr std::size_t kMaxPooledWorkdirs = 256;
// Of directories that outputs are looked for in, and of staged names.
constexpr std::size_t kMaxWorkdirDepth = 64;
constexpr std::size_t kMaxWalkedEntries = 1'000'000;

// The user that the directories and files belong to, when it is not the node's.
struct FileOwner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// All paths are absolute. Results that carry an int carry errno.
class Workdirs {
 public:
  // `root` is DIR/tasks; made if need be.
  static Result<Workdirs> open(std::string root, std::optional<FileOwner> owner);

  // An empty directory; a used one where there is one.
  tl::expected<std::string, int> take_empty();
  // A new one, for files to be staged into.
  tl::expected<std::string, int> make();
  // True: it was one of take_empty(), is untouched, and will be used again. Else it is to be
  // removed by remove_tree().
  bool give_back(const std::string& path);

  // Entries of the root other than `held` and what waits to be used: to be removed.
  std::vector<std::string> leftovers(const std::set<std::string>& held) const;

 private:
  // Any change to a directory's entries moves both times. The first is set to a moment long past,
  // so that a change within the clock's tick of the creation shows too.
  struct Mark {
    timespec changed{};
    bool operator==(const Mark& other) const {
      return changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
    }
  };
  static std::optional<Mark> mark_of(const std::string& path);

  std::string root_;
  std::optional<FileOwner> owner_;
  std::uint64_t next_ = 1;
  std::vector<std::pair<std::string, Mark>> pool_;
  std::map<std::string, Mark> lent_;  // by take_empty()
};

// ---- for any thread ----------------------------------------------------------------------------

// Puts the files into `workdir` from extents of files below `pack_root`. On an error some may lie
// there already. EINVAL: a name would leave the directory. EIO: an extent is short.
tl::expected<void, int> stage_files(const std::string& workdir, const std::string& pack_root,
                                    const std::vector<StagedFile>& files,
                                    const std::optional<FileOwner>& owner);

// Regular files that match a pattern (see glob.h), and those in directories that match one, with
// all below; sorted by name, each once.
Result<std::vector<FoundOutput>> find_outputs_in(const std::string& workdir,
                                                 const std::vector<std::string>& patterns);

// Fewer bytes than asked for at the file's end.
Result<Bytes> read_output_of(const std::string& workdir, const std::string& name,
                             std::uint64_t offset, std::uint32_t length);

// What lies in a directory, as paths, in no order; nothing when it cannot be read.
std::vector<std::string> entries_in(const std::string& path);

// Does anything lie in a directory of `root`? What cannot be read counts as full; files do not
// count.
bool holds_anything(const std::string& root);

// Whatever it contains, read-only directories and trees of any depth too. Success as well when it
// is gone, or goes meanwhile.
Result<void> remove_tree(const std::string& path);

}  // namespace dunlin
