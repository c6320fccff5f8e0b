#include "os/identity_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/codec.h"
#include "base/fields.h"
#include "node/setup.h"
#include "os/file_descriptor.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxIdentityFile = 64UL * 1024;
constexpr std::size_t kSumSize = 32;

using WireSeed = OpaqueId<struct IdentitySeedTag, 32>;

struct WireIdentity {
  WireSeed seed;
  ClusterId cluster;
  Bytes key_ring;
  std::vector<std::string> peers;
  std::optional<WireSeed> successor;
  static constexpr auto fields() {
    using W = WireIdentity;
    return Fields<&W::seed, &W::cluster, &W::key_ring, &W::peers, &W::successor>{};
  }
};

Result<void> write_file(const std::string& directory, const char* name,
                        const IdentityFile& identity) {
  WireIdentity wire;
  wire.seed.raw = identity.seed;
  wire.cluster = identity.cluster;
  wire.key_ring = encode_key_ring(identity.key_ring);
  wire.peers = identity.peers;
  if (wire.peers.size() > kMaxIdentityPeers) wire.peers.resize(kMaxIdentityPeers);
  if (identity.successor) wire.successor.emplace().raw = *identity.successor;
  Bytes content = encode(wire);
  append(content, blake2b_256(content));

  return replace_file(directory, name, content);
}

std::optional<IdentityFile> read_file(const std::string& directory, const char* name) {
  const std::string path = directory + "/" + name;
  const FileDescriptor from = open_file(path, O_RDONLY);
  if (!from.is_open()) return std::nullopt;
  Bytes content(kMaxIdentityFile);
  const Result<std::size_t> got = read_at(from.get(), 0, content, path);
  if (!got || *got < kSumSize) return std::nullopt;
  const ByteView body = ByteView(content).first(*got - kSumSize);
  if (!equal_secrets(blake2b_256(body), ByteView(content).subspan(body.size(), kSumSize))) {
    return std::nullopt;
  }
  Result<WireIdentity> wire = decode<WireIdentity>(body);
  if (!wire) return std::nullopt;
  Result<KeyRing> ring = decode_key_ring(wire->key_ring);
  if (!ring) return std::nullopt;
  IdentityFile identity{
      wire->seed.raw, wire->cluster, std::move(*ring), std::move(wire->peers), {}};
  if (wire->successor) identity.successor = wire->successor->raw;
  return identity;
}

}  // namespace

Result<void> write_identity(const std::string& directory, const IdentityFile& identity) {
  return write_file(directory, "identity", identity);
}

std::optional<IdentityFile> read_identity(const std::string& directory) {
  return read_file(directory, "identity");
}

Result<void> write_succession(const std::string& directory, const IdentityFile& identity) {
  return write_file(directory, kSuccessionName, identity);
}

std::optional<IdentityFile> read_succession(const std::string& directory) {
  return read_file(directory, kSuccessionName);
}

void remove_succession(const std::string& directory) {
  ::unlink((directory + "/succession").c_str());
}

}  // namespace dunlin
