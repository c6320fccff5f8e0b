// Identifiers as types of their own, so that a node is never passed where a blob is meant.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace dunlin {

// A fixed-size identifier of opaque bytes; all zero means "none". `Tag` keeps the kinds apart.
template <class Tag, std::size_t N>
struct OpaqueId {
  std::array<std::uint8_t, N> raw{};
  auto operator<=>(const OpaqueId&) const = default;

  bool is_none() const { return *this == OpaqueId{}; }
  ByteView bytes() const { return raw; }
  // The whole id in base32: what `--json` and `--quiet` print.
  std::string text() const { return to_base32(raw); }
  // Enough of it for a person to tell things apart on a screen.
  std::string short_text() const { return text().substr(0, 8); }

  static std::optional<OpaqueId> from_text(std::string_view text) {
    OpaqueId id;
    if (!from_base32(text, id.raw)) return std::nullopt;
    return id;
  }
};

// The first 16 bytes of BLAKE2b over the node's Ed25519 public key.
using NodeId = OpaqueId<struct NodeTag, 16>;
using ClusterId = OpaqueId<struct ClusterTag, 16>;
// BLAKE2b-256 over the hashes of the blob's leaves; see store/blob.h.
using BlobId = OpaqueId<struct BlobTag, 32>;
// An Ed25519 public key.
using PublicKey = OpaqueId<struct KeyTag, 32>;

// One of the cluster's P consensus groups, 0 .. P-1. Group 0 is also the cluster record.
struct GroupId {
  std::uint16_t value = 0;
  auto operator<=>(const GroupId&) const = default;
};
constexpr GroupId kClusterGroup{0};
constexpr std::uint16_t kMaxGroups = 512;

// Ten lower-case letters and digits, the first a letter. The first two name the job's group:
// read as a number (26 * 36 values), modulo P.
struct JobId {
  std::array<char, 10> raw{};
  auto operator<=>(const JobId&) const = default;

  bool is_none() const { return raw[0] == 0; }
  std::string text() const { return is_none() ? std::string() : std::string(raw.data(), 10); }
  GroupId group(std::uint16_t group_count) const;

  // Any 10 bytes of chance (or of a hash, for --key) to an id of that group.
  static JobId make(GroupId group, std::uint16_t group_count, std::span<const std::uint8_t, 10>);
  static std::optional<JobId> from_text(std::string_view text);
};

// Which life of a node's data directory: 1 at the first start, made durable before it is used.
using Boot = std::uint64_t;
// A consensus term; as a job's epoch it fences every order and every commit.
using Term = std::uint64_t;
// Position in a group's log; the first entry is 1.
using LogIndex = std::uint64_t;

}  // namespace dunlin
