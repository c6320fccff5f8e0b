// What a person or a test may tune about the groups of one node, and the members they live on.
// None of it carries safety: times may delay a step, never permit it.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/time.h"

namespace dunlin {

struct GroupsConfig {
  std::uint16_t group_count = 256;  // P, fixed when the cluster is founded; at most kMaxGroups
  std::uint32_t voters = 3;         // of a group, where there are as many hosts; odd

  // A replica without a leader asks for pre-votes after its rank among the voters times
  // `election_stagger`, plus chance up to `election_jitter`. It waits `election_answer` for votes
  // (longer each time), and after a failure half to all of `election_retry`, doubling up to
  // `election_retry_most`.
  Duration election_stagger = milliseconds(100);
  Duration election_jitter = milliseconds(30);
  Duration election_answer = milliseconds(300);
  Duration election_retry = milliseconds(100);
  Duration election_retry_most = seconds(5);
  // A leader without a quorum that pairwise liveness calls alive steps down after this.
  Duration quorum_grace = seconds(1);
  // A leader that is asked whether it leads must answer within this.
  Duration leader_answer = seconds(1);
  // What is not acknowledged is sent again after this, doubling up to `resend_most`.
  Duration resend = milliseconds(250);
  Duration resend_most = seconds(4);
  // Followers of a quiet group learn a new commit index this late.
  Duration commit_notice = milliseconds(20);
  Duration transfer_timeout = seconds(1);
  // Entries that keep log rows older than this from being trimmed are written once more.
  std::uint64_t rows_behind = 4096;

  // Placement. A view must have stood still for `stable_view` before a group is filled up, a voter
  // must have been dead for `replace_after` before it is replaced. A healthy group moves at most
  // once in `move_interval`, and changes its leader for balance `settle` after its last move at the
  // earliest, and only to a node that has been up for `settle`.
  Duration stable_view = seconds(1);
  Duration replace_after = seconds(300);
  Duration move_interval = seconds(120);
  Duration settle = seconds(60);
};

enum class GroupMemberState : std::uint8_t { kAlive, kSuspect, kDead, kLeaving, kLeft };

// A node as gossip knows it. Weight 0 holds no replicas.
struct GroupMember {
  NodeId id;
  std::string zone;
  std::uint64_t weight = 1;
  GroupMemberState state = GroupMemberState::kAlive;
  bool operator==(const GroupMember&) const = default;
};

}  // namespace dunlin
