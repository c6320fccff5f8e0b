#include "os/memory.h"

#include <cstdio>
#include <utility>

#include "base/crypto.h"
#include "node/setup.h"
#include "os/chance.h"

namespace dunlin {

namespace {

void say_of_memory(const std::string& line) {
  std::fprintf(stderr, "dunlin: %s\n", line.c_str());
}

Result<Memory> read_directory(const std::string& directory) {
  Memory memory;
  Result<std::unique_ptr<Storage>> storage = Storage::open(directory);
  if (!storage) return tl::unexpected(storage.error());
  Result<DiskImage> image = (*storage)->read_image();
  if (!image) return tl::unexpected(image.error());
  Result<Recovered> recovered = memory.journal.open(std::move(*image));
  if (!recovered) return tl::unexpected(recovered.error());
  memory.storage = std::move(*storage);
  memory.recovered = std::move(*recovered);
  return memory;
}

// The life of the successor has begun: its own identity stands in the log.
bool has_begun(const Memory& memory) {
  return remembered(memory.recovered.facts).has_value();
}

Result<Memory> begin_anew(const std::string& directory, IdentityFile former) {
  const Result<std::string> aside = set_aside(directory);
  if (!aside) return tl::unexpected(aside.error());
  say_of_memory("the old data is kept in " + *aside);
  Result<Memory> memory = read_directory(directory);
  if (memory) memory->former = std::move(former);
  return memory;
}

Result<void> plan_succession(const std::string& directory, IdentityFile& former) {
  if (former.peers.empty()) {
    return fail(Code::kCorrupt, "the memory of this node is lost, and it was the only one",
                "to begin a new cluster without it: dunlin up --reset");
  }
  former.successor = secret_key();
  return write_succession(directory, former);
}

// A succession that was planned: carried out, under way, or only just decided.
Result<Memory> go_on_with(const std::string& directory, IdentityFile former) {
  Result<Memory> memory = read_directory(directory);
  if (!memory && memory.error().code != Code::kCorrupt) return memory;
  if (memory && !has_begun(*memory)) {
    memory->former = std::move(former);
    return memory;
  }
  if (memory) {
    const Result<Remembered> present = remembered(memory->recovered.facts);
    if (present->membership.id() != former.id()) {
      remove_succession(directory);
      return memory;
    }
    memory = Memory{};  // gives the directory back
  }
  return begin_anew(directory, std::move(former));
}

Result<Memory> forget_everything(const std::string& directory) {
  remove_succession(directory);
  const Result<std::string> aside = set_aside(directory);
  if (aside) {
    say_of_memory("the old data is kept in " + *aside);
  } else if (aside.error().code != Code::kNotFound) {
    return tl::unexpected(aside.error());
  }
  return read_directory(directory);
}

}  // namespace

Result<Memory> open_memory(const NodeOptions& options) {
  if (options.reset) return forget_everything(options.dir);
  if (std::optional<IdentityFile> former = read_succession(options.dir)) {
    return go_on_with(options.dir, std::move(*former));
  }
  Result<Memory> memory = read_directory(options.dir);
  if (memory || memory.error().code != Code::kCorrupt) return memory;
  std::optional<IdentityFile> former = read_identity(options.dir);
  if (!former) return memory;
  say_of_memory(memory.error().message);
  if (Result<void> planned = plan_succession(options.dir, *former); !planned) {
    return tl::unexpected(planned.error());
  }
  say_of_memory("a node that may have forgotten a promise takes a new id; the old one, " +
                former->id().short_text() + ", is being retired");
  return begin_anew(options.dir, std::move(*former));
}

Result<void> disown(const std::string& directory) {
  std::optional<IdentityFile> former = read_identity(directory);
  if (!former) return fail(Code::kCorrupt, directory + "/identity cannot be read");
  return plan_succession(directory, *former);
}

}  // namespace dunlin
