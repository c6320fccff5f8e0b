// What a client can ask of a node, as typed data: the HTTP layer (src/os) translates JSON to and
// from it, the simulator uses it directly. Every request is answered by Replies, the last with
// `last` set; LeaveNode and DrainNode may be answered by more than one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "gossip/gossip.h"
#include "node/checkup.h"
#include "node/cluster_record.h"
#include "node/metrics.h"
#include "node/node_events.h"
#include "sched/job_events.h"
#include "sched/requests.h"

namespace dunlin {

// What tasks may use on such a node beside cores and memory.
Devices devices_of(const NodeFacts& facts);

}  // namespace dunlin

namespace dunlin::client {

// Names a request between the node and whoever drives it; never reused in one life of a node.
using RequestId = std::uint64_t;

// A group that has a quorum as far as this node knows, for the client to mint a job id in
// (JobId::make), or for job_id_for_key.
struct PickGroup {};
struct PickedGroup {
  GroupId group;
  std::uint16_t group_count = 0;
};

// Stored on W nodes before it is acknowledged. At most kMaxBlob bytes.
struct PutBlob {
  Bytes data;
};
struct BlobPut {
  BlobId id;
  std::vector<NodeId> holders;
};
struct GetBlob {
  BlobId id;
};
struct BlobGot {
  Bytes data;
};

struct ListNodes {
  // Each present node is asked for its load, for 0.7 s at most; else it is as gossip has told.
  bool asks = false;
};
struct NodeList {
  std::vector<Member> nodes;  // this node's view; itself included
  NodeId self;
  Instant now;                                  // for the ages of `load_at`
  std::map<NodeId, Devices> devices_free = {};  // of this node and those that were asked
  // Of this node alone.
  std::string isolation_note = {};
};

struct GetStatus {};
struct Status {
  ClusterId cluster;
  std::uint32_t can_lose = 0;  // any that many hosts may be lost at once, and nothing is
  std::uint32_t alive = 0, suspect = 0, dead = 0, left = 0, draining = 0, total = 0;
  std::uint32_t groups = 0, groups_with_quorum = 0, groups_fully_replicated = 0;
  std::uint64_t blocks = 0, blocks_under_replicated = 0, blocks_missing = 0;
  std::vector<std::uint32_t> jobs_by_state;  // indexed by JobState
  std::uint32_t silent_groups = 0;           // whose jobs are not counted: nobody answered
};

struct CreateToken {
  std::string role = "node";
  std::string user;
  Duration ttl;            // 0: does not expire
  std::uint32_t uses = 1;  // 0: any number
  // For the id and the secret, from the operating system's generator.
  std::array<std::uint8_t, 24> entropy{};
};
struct TokenCreated {
  std::string token;
  std::string token_id;
  WallTime expires_at;
  std::string role = "node";
  std::string user;
};

// As this node's copy of the cluster record has them, which may be a moment old.
struct ListTokens {
  bool all = false;  // those that are of no use any more, too
};
struct TokenView {
  TokenId id;
  std::string role;
  std::string user;
  TokenState state = TokenState::kValid;
  WallTime expires_at;     // 0: never
  std::uint32_t uses = 0;  // 0: any number
  std::uint32_t used = 0;
};
struct TokenList {
  std::vector<TokenView> tokens;
};
// Answered by Done when the cluster has committed it.
struct EndToken {
  TokenId token;
};

// Hands over groups and blobs, then goes; refused where data would be lost, unless `now`.
// Answered by Progress lines and then Done.
struct LeaveNode {
  NodeId node;
  bool now = false;
};
struct Progress {
  std::string text;
};

// The node takes no new tasks; what runs there goes on, and is given back after the deadline.
// Answered by Progress lines and, with `wait` once nothing runs there any more, Done.
struct DrainNode {
  NodeId node;
  Duration deadline;  // 0: none
  bool wait = false;
};
struct UndrainNode {
  NodeId node;
};

// A dead host never comes back: its id is retired, others take its place at once. Refused while it
// is not known to be dead.
struct ForgetNode {
  NodeId node;
};

// How far a reader of events is: what any node goes on from. Empty: at the oldest that is kept.
struct EventCursor {
  std::map<GroupId, EventPlace> groups;
  std::uint64_t reader = 0;
  // Events of nodes: up to this one of the node that was asked last, in that life of it; another
  // node tells all that it keeps, and the reader passes over the ids that he has seen.
  NodeId node;
  Boot boot = 0;
  std::uint64_t node_events = 0;
  static constexpr auto fields() {
    using E = EventCursor;
    return Fields<&E::groups, &E::reader, &E::node, &E::boot, &E::node_events>{};
  }
};
struct ListEvents {
  EventCursor after;
  JobId job;      // none: of all jobs, and of nodes
  Duration hold;  // 0: what there is; else until there is more, or so long
};
struct EventList {
  std::vector<JobEvent> jobs;    // as dunlin::EventList has them
  std::vector<NodeEvent> nodes;  // in the order in which this node heard of them
  EventCursor next;
  std::uint32_t missed_groups = 0;
  std::uint32_t silent_groups = 0;
  bool is_more = false;
};

// `dunlin down`: ends the node behind the socket.
struct StopNode {};
struct Done {};

using Request = std::variant<JobRequest, PickGroup, PutBlob, GetBlob, ListNodes, GetStatus,
                             CreateToken, LeaveNode, DrainNode, UndrainNode, StopNode, ListTokens,
                             EndToken, ForgetNode, GetMetrics, GetCheckup, ListEvents>;
using Answer = std::variant<JobAnswer, PickedGroup, BlobPut, BlobGot, NodeList, Status,
                            TokenCreated, Progress, Done, TokenList, Metrics, Checkup, EventList>;

struct Reply {
  RequestId request = 0;
  Result<Answer> answer;
  bool last = true;
};

}  // namespace dunlin::client
