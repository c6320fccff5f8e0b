// What the store is told from outside: limits, configuration, pins and members.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"

namespace dunlin {

// Limits (Q10). Over one of the first three, the answer is a failed event with Code::kLimit.
constexpr std::size_t kMaxPuts = 1024;                       // at once, from this node
constexpr std::uint64_t kMaxPutBytes = 64ULL * 1024 * 1024;  // of content, in those puts
constexpr std::size_t kMaxFetches = 4096;                    // blobs being fetched at once
constexpr std::uint64_t kPackSize = 64ULL * 1024 * 1024;     // no pack grows beyond it

// Keeps a blob from collection for one intent of one group, open in that group's log. A pin whose
// intent is closed means nothing.
struct Pin {
  GroupId group;
  std::uint64_t intent = 0;
  auto operator<=>(const Pin&) const = default;
  static constexpr auto fields() { return Fields<&Pin::group, &Pin::intent>{}; }
};

enum class StoreMemberState : std::uint8_t { kAlive, kSuspect, kDead, kLeft };

struct StoreMember {
  NodeId id;
  StoreMemberState state = StoreMemberState::kAlive;
  // Total capacity, in any coarse unit that is the same for all; 0 owns nothing. A change moves
  // copies, so it must not follow what is in use.
  std::uint64_t weight = 1;
  std::string zone;
  bool operator==(const StoreMember&) const = default;
};

struct StoreConfig {
  std::size_t replicas = 3;       // R: owners that the ring names for each blob
  std::size_t write_holders = 2;  // W: durable copies before BlobStored
  Duration put_deadline = seconds(30);
  Duration fetch_deadline = seconds(30);
  Duration answer_timeout = seconds(2);  // for one exchange with one peer; grows with retries
  // How long membership stays unchanged before copies move because of it.
  Duration repair_delay = seconds(20);
  // How long after a change of its inventory a node compares it with its fellow owners'.
  Duration compare_delay = seconds(15);
  std::uint64_t repair_rate = 200ULL * 1024 * 1024;  // bytes/s pulled by this node
  std::uint64_t scrub_rate = 512ULL * 1024;          // bytes/s verified while nothing else is to do
  Duration scrub_pass = seconds(14LL * 24 * 3600);   // a copy verified since then is left alone
  // "Have it" and staged files rely on a copy verified at most this long ago, else it is read.
  Duration trust_verified = seconds(3600);
  std::uint64_t disk_reserve = 1ULL << 30;  // free space that puts may not touch
};

}  // namespace dunlin
