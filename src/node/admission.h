// Letting hosts in: keeps this node's copy of the cluster record, answers joiners once group 0 has
// committed their admission (under a token, or as the successor of an id that lost its memory),
// and hands the record to nodes that hold no replica of group 0.
//
//   joiner -> any node: question under a token    node -> group 0's leader: Admit (Router)
//   leader: checks, proposes, commits, replies    node -> joiner: key ring, members, P
//
// Copies spread by push (the leader's, when the record changed) and by pull (a node asks another
// one now and then, and after its start); the higher version wins.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "node/cluster_record.h"
#include "node/messages.h"
#include "node/output.h"
#include "node/setup.h"

namespace dunlin {

// Limits (Q10).
constexpr std::size_t kMaxJoinsUnderWay = 256;
constexpr std::size_t kMaxRecordProposals = 1024;

// Whether this member may be retired on somebody's word that it never comes back.
Result<void> may_forget(const Member& member);

class Admission {
 public:
  // A command for the leader of group 0, wherever it is.
  struct Ask {
    std::uint64_t token = 0;
    Bytes body;
  };
  // At the leader: an entry for group 0's log, and whom to answer when it is applied.
  struct Propose {
    std::uint64_t handle = 0;
    Bytes payload;
  };
  struct Answer {  // to a command that came through the router
    std::uint64_t handle = 0;
    Result<Bytes> result;
  };
  struct Joined {  // to a joiner
    JoinId join = 0;
    Bytes reply;
  };
  struct Ended {  // of a command begun with issue()
    std::uint64_t request = 0;
    Result<void> result;
  };
  using Event = std::variant<Ask, Propose, Answer, Joined, Ended>;

  Admission(const Membership& membership, Random random);

  const ClusterRecord& record() const { return record_; }
  Bytes encode_record() const { return record_.encode(); }
  // From a snapshot, a checkpoint or a peer; an older copy is ignored.
  Result<void> merge_record(ByteView copy);

  // Names are unique: one that a member bears is refused, unless that one is dead or gone, or was
  // at the joiner's own address, where it cannot be any more.
  void on_join(JoinId join, const TokenId& token, const PublicKey& key, ByteView request,
               const std::map<NodeId, Member>& members, WallTime wall);
  // A command of this node's own (a token, a retirement); ends in Ended{request}.
  void issue(std::uint64_t request, const RecordCommand& command);

  // The router's answer to an Ask. `members`: whom a joiner may talk to first.
  void on_answer(std::uint64_t token, const Result<Bytes>& result,
                 const std::vector<Member>& members);
  // At the leader of group 0: a command came in. Of `members` none that lives is retired.
  void on_request(std::uint64_t handle, ByteView body, const std::map<NodeId, Member>& members,
                  WallTime wall);
  // The Propose of that handle went to the log at this place, or was refused.
  void on_proposed(std::uint64_t handle, const Result<LogIndex>& index);
  // Group 0 committed an entry of ours. An error, and nothing changed, if it makes no sense: the
  // node must stop, for it would differ from the other replicas. (A command that is refused is no
  // error.)
  Result<void> apply(LogIndex index, ByteView payload);
  // This node leads group 0 no more: whoever waits asks the next leader.
  void on_leadership_lost();

  // Spreading: peers to tell or to ask. `leads` says whether this node leads group 0.
  void spread(Instant now, bool leads, bool has_replica, const std::vector<NodeId>& peers,
              Effects& out);
  void on_query(NodeId from, const RecordQuery& query, Effects& out);
  Instant next_deadline() const { return next_pull_; }

  std::vector<Event> take_events();

 private:
  static Result<void> check_name(const NodeId& joiner, const AdmissionRequest& asked,
                                 const std::map<NodeId, Member>& members);
  void on_succession(JoinId join, const PublicKey& key, const AdmissionRequest& asked);
  void refuse(JoinId join, const Error& error);
  void welcome(JoinId join, const std::vector<Member>& members);

  const Membership& membership_;
  Random random_;
  ClusterRecord record_;
  std::uint64_t next_token_ = 1;
  std::map<std::uint64_t, JoinId> joins_;          // by ask token
  std::map<std::uint64_t, std::uint64_t> issued_;  // ask token -> request
  std::map<LogIndex, std::uint64_t> proposed_;     // -> handle
  std::map<NodeId, std::uint64_t> told_;           // version last pushed to a peer
  Instant next_pull_;
  std::vector<Event> events_;
};

}  // namespace dunlin
