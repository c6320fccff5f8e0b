// DIR/identity: what a node must still know when its log is rotten or lost, so that it can retire
// its old id with the old key and go on under a new one (Q8). Written when a life
// begins and when the members change; nothing that was promised to anyone stands in it.
//
// DIR/succession is the same, written before the old data is set aside, with the new id's seed: cut
// short anywhere, the next start goes on with the same new id.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/ids.h"
#include "base/keyring.h"
#include "base/result.h"

namespace dunlin {

constexpr std::size_t kMaxIdentityPeers = 64;
constexpr const char* kSuccessionName = "succession";  // within the directory

struct IdentityFile {
  Key32 seed{};
  ClusterId cluster;
  KeyRing key_ring;
  std::vector<std::string> peers;  // HOST:PORT of other members; empty: it was alone
  std::optional<Key32> successor;  // the seed of the id to come

  NodeId id() const { return node_id_of(key_pair_from_seed(seed).public_key); }
};

// Replaces the file as a whole; mode 0600.
Result<void> write_identity(const std::string& directory, const IdentityFile& identity);
// Nothing when it is missing or damaged.
std::optional<IdentityFile> read_identity(const std::string& directory);

Result<void> write_succession(const std::string& directory, const IdentityFile& identity);
std::optional<IdentityFile> read_succession(const std::string& directory);
void remove_succession(const std::string& directory);

}  // namespace dunlin
