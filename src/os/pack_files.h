// The files that FileWrite, FileExtent and DiskBatch::files name: paths of the form FOLDER/NAME
// below the node's directory. Writes go through one thread, which syncs exactly what it touched;
// reads and removals need no object and may run on another.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>

#include "base/effects.h"
#include "base/result.h"
#include "os/file_descriptor.h"

namespace dunlin {

class PackFiles {
 public:
  static constexpr std::size_t kMaxOpen = 8;

  explicit PackFiles(std::string directory) : directory_(std::move(directory)) {}

  // Creates file and folder if need be. After kLimit it may be tried again.
  Result<void> write(const FileWrite& write);
  // All that was written since the last sync is durable, names too. An error means that nothing is
  // known any more: the process must end.
  Result<void> sync();
  // The file will be removed: keep it open no longer.
  void forget(const std::string& file);

 private:
  struct Open {
    FileDescriptor descriptor;
    bool touched = false;
    std::uint64_t used = 0;
  };

  Result<Open*> open(const std::string& file);
  Result<void> make_room();

  std::string directory_;
  std::map<std::string, Open> open_;
  std::set<std::string> unsynced_folders_;  // in which names are new
  std::uint64_t clock_ = 0;                 // order of use
};

// kNotFound without such a file; kCorrupt when it ends before the extent does; kLimit above
// kMaxFileRead, or when this process may open no further file just now.
Result<Bytes> read_pack(const std::string& directory, const FileExtent& extent);
constexpr std::uint64_t kMaxFileRead = 64 * 1024 * 1024;

// A file that is not there counts as removed.
Result<void> remove_pack(const std::string& directory, const std::string& file);

// All files in that folder ("packs" below `directory`), as FOLDER/NAME with their sizes.
std::map<std::string, std::uint64_t> list_packs(const std::string& directory,
                                                const std::string& folder);

}  // namespace dunlin
