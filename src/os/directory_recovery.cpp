#include "os/directory_recovery.h"

#include <utility>

#include "base/crypto.h"
#include "node/setup.h"
#include "os/chance.h"
#include "os/join_token_file.h"
#include "os/say.h"

namespace dunlin {

namespace {

Result<RecoveredDirectory> read_directory(const std::string& directory) {
  RecoveredDirectory found;
  Result<std::unique_ptr<Storage>> storage = Storage::open(directory);
  if (!storage) return tl::unexpected(storage.error());
  Result<DiskImage> image = (*storage)->read_image();
  if (!image) return tl::unexpected(image.error());
  Result<Recovered> recovered = found.journal.open(std::move(*image));
  if (!recovered) return tl::unexpected(recovered.error());
  found.storage = std::move(*storage);
  found.recovered = std::move(*recovered);
  return found;
}

Result<RecoveredDirectory> begin_anew(const std::string& directory, IdentityFile former) {
  const Result<std::string> aside = set_aside(directory);
  if (!aside) return tl::unexpected(aside.error());
  say("the old data is kept in " + *aside);
  Result<RecoveredDirectory> found = read_directory(directory);
  if (found) found->former = std::move(former);
  return found;
}

Result<void> plan_succession(const std::string& directory, IdentityFile& former) {
  if (former.peers.empty()) {
    return fail(Code::kCorrupt, "the memory of this node is lost, and it was the only one",
                "to begin a new cluster without it: dunlin up --reset");
  }
  former.successor = secret_key();
  return write_succession(directory, former);
}

// A succession that was planned: only just decided, under way, or carried out.
Result<RecoveredDirectory> go_on_with(const std::string& directory, IdentityFile former) {
  Result<RecoveredDirectory> found = read_directory(directory);
  if (!found && found.error().code != Code::kCorrupt) return found;
  if (found) {
    const Result<Remembered> present = remembered(found->recovered.facts);
    if (!present) {
      found->former = std::move(former);
      return found;
    }
    if (present->membership.id() != former.id()) {
      remove_succession(directory);
      return found;
    }
    found = RecoveredDirectory{};  // gives the directory back
  }
  return begin_anew(directory, std::move(former));
}

// A token that lets others into the former cluster is of no use to the next one.
Result<RecoveredDirectory> forget_everything(const std::string& directory) {
  const std::optional<IdentityFile> former = read_identity(directory);
  const Result<std::string> aside = set_aside(directory, {kSuccessionName, kJoinTokenName});
  if (!aside && aside.error().code != Code::kNotFound) return tl::unexpected(aside.error());
  if (aside && former) {
    say(directory + " was node " + former->id().short_text() + " of cluster " +
        former->cluster.short_text() +
        (former->peers.empty() ? ", alone in it"
                               : ", where it is missed now: there run dunlin forget"));
  }
  if (aside) say("the old data is kept in " + *aside + "; remove that once it is of no use");
  return read_directory(directory);
}

}  // namespace

Result<RecoveredDirectory> recover_directory(const NodeOptions& options) {
  if (options.reset) return forget_everything(options.dir);
  if (std::optional<IdentityFile> former = read_succession(options.dir)) {
    return go_on_with(options.dir, std::move(*former));
  }
  Result<RecoveredDirectory> found = read_directory(options.dir);
  if (found || found.error().code != Code::kCorrupt) return found;
  std::optional<IdentityFile> former = read_identity(options.dir);
  if (!former) return found;
  say(found.error().message);
  if (Result<void> planned = plan_succession(options.dir, *former); !planned) {
    return tl::unexpected(planned.error());
  }
  say("a node that may have forgotten a promise takes a new id; the old one, " +
      former->id().short_text() + ", is being retired");
  return begin_anew(options.dir, std::move(*former));
}

Result<void> disown_directory(const std::string& directory) {
  std::optional<IdentityFile> former = read_identity(directory);
  if (!former) return fail(Code::kCorrupt, directory + "/identity cannot be read");
  return plan_succession(directory, *former);
}

}  // namespace dunlin
