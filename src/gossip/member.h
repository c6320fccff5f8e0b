// What is known of a member of the cluster: facts that change rarely, a state that everyone agrees
// on in the end, and a coarse load. Plain data; gossip.h keeps it up to date.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace dunlin {

// Facts are refused above these, by validate_facts() and by every decoder: an introduction of a
// member must fit into one datagram.
constexpr std::size_t kMaxNameSize = 64;        // of a name, zone, version, address
constexpr std::size_t kMaxLabels = 32;          // and as many kinds of resources
constexpr std::size_t kMaxFactsTextSize = 600;  // all characters of the facts together

struct NodeFacts {
  NodeId id;
  PublicKey key;
  std::string name;
  std::string address;  // "IP:PORT", one port for TCP and UDP
  std::string zone;
  std::map<std::string, std::string> labels;
  std::uint32_t cpus = 0;
  std::uint64_t memory = 0;                        // bytes
  std::map<std::string, std::uint32_t> resources;  // total of each
  std::uint32_t gpus = 0;
  std::string version;
  std::uint64_t disk_total = 0;  // bytes
  // Its tasks would run as root, so that it takes none of other users' jobs.
  bool root_jobs_only = false;

  bool operator==(const NodeFacts&) const = default;
  static constexpr auto fields() {
    using F = NodeFacts;
    return Fields<&F::id, &F::key, &F::name, &F::address, &F::zone, &F::labels, &F::cpus,
                  &F::memory, &F::resources, &F::gpus, &F::version, &F::disk_total,
                  &F::root_jobs_only>{};
  }
};

// kLimit when the texts are too long or too many, kUsage when the id is not the key's.
Result<void> validate_facts(const NodeFacts& facts);

// Alive and suspect members are worked with; a suspect one may be about to be declared dead. A
// dead member may come back by itself; one that left comes back only in a later life (boot).
enum class MemberState : std::uint8_t { kAlive, kSuspect, kDead, kLeft, kLast = kLeft };

// "alive", "suspect", "dead", "left".
const char* member_state_name(MemberState state);

// What a node has to spare, rounded down to coarse classes so that it changes rarely. It says what
// is feasible, never who is best.
struct Load {
  std::uint32_t cpus_free = 0;
  std::uint64_t memory_free = 0;  // bytes
  std::uint32_t running = 0;      // tasks
  std::uint32_t queued = 0;       // tasks
  std::uint64_t disk_free = 0;    // bytes
  bool draining = false;
  bool operator==(const Load&) const = default;
  static constexpr auto fields() {
    using L = Load;
    return Fields<&L::cpus_free, &L::memory_free, &L::running, &L::queued, &L::disk_free,
                  &L::draining>{};
  }
};

// A load as 31 bits: five classes of two to the octave (memory in MiB, disk in GiB), and draining.
std::uint32_t load_class(const Load& load);
// The least load of that class.
Load load_of_class(std::uint32_t load_class);

struct Member {
  NodeFacts facts;
  MemberState state = MemberState::kAlive;
  std::uint64_t incarnation = 0;  // within the boot; raised by the member alone
  Boot boot = 0;
  Load load;
  Instant load_at;  // when it was so, by this node's clock; zero: never heard
  Instant since;    // of the state, by this node's clock
};

// Alive or suspect: reckoned with wherever a member's part is asked for.
inline bool is_present(const Member& member) {
  return member.state == MemberState::kAlive || member.state == MemberState::kSuspect;
}

// For other modules' messages and facts (seeds on disk, a joiner's first view). Times by this
// node's clock mean nothing elsewhere and are left out.
Bytes encode_member(const Member& member);
Result<Member> decode_member(ByteView bytes);

// Which node leads a group. Gossip finds and suggests; it never defines a quorum.
struct Route {
  GroupId group;
  Term term = 0;
  NodeId leader;
  Boot leader_boot = 0;
  bool operator==(const Route&) const = default;
  static constexpr auto fields() {
    return Fields<&Route::group, &Route::term, &Route::leader, &Route::leader_boot>{};
  }
};

}  // namespace dunlin
