// What a data directory remembers at the start of a life. One that is rotten, lost or known to have
// forgotten promises is set aside whole, and the node is to go on as a successor of the id it had:
// a node with amnesia must not vote or promise under its old one (Q8).
#pragma once

#include <memory>
#include <optional>

#include "dht/journal.h"
#include "os/identity_file.h"
#include "os/node_options.h"
#include "os/storage.h"

namespace dunlin {

struct RecoveredDirectory {
  std::unique_ptr<Storage> storage;  // not yet started
  Journal journal;
  Recovered recovered;
  std::optional<IdentityFile> former;  // with a successor: whom this life is to succeed
};

// Says on stderr what it does with a directory that it does not take as it is. kCorrupt: rotten,
// and nobody is known who could admit a successor; the hint names the command that accepts the
// loss. With options.reset whatever is there is set aside, the identity too.
Result<RecoveredDirectory> recover_directory(const NodeOptions& options);

// The next life on this directory is a successor's: what is there is known to have forgotten.
Result<void> disown_directory(const std::string& directory);

}  // namespace dunlin
