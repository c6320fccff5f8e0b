// What the scheduler tells the node around it: answers for clients, and wishes that the groups, the
// store and the membership fulfil. Node forwards each; the comments name the input that answers.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "sched/job_events.h"
#include "sched/requests.h"
#include "store/blob.h"
#include "store/config.h"

namespace dunlin {

// Ends request(): exactly one for each.
struct Answer {
  std::uint64_t request = 0;
  Result<JobAnswer> answer;
};

// Ends count_jobs(): jobs of the whole cluster, indexed by JobState.
struct JobsCounted {
  std::uint64_t request = 0;
  std::vector<std::uint32_t> by_state;
  std::uint32_t silent_groups = 0;  // whose jobs are not in it
};

// Ends list_events().
struct EventsListed {
  std::uint64_t request = 0;
  Result<EventList> list;
};

// For the leader of a group, wherever it is: tried again until the deadline while nobody answers
// or the answer is kUnreachable. Answered by on_group_reply, exactly once.
struct AskGroup {
  std::uint64_t token = 0;
  GroupId group;
  Bytes body;
  Instant deadline;
};

// Answers on_group_request, exactly once; kUnreachable means "not the leader (any more)".
struct ReplyGroup {
  std::uint64_t handle = 0;
  Result<Bytes> reply;
};

// A linearizable read of a group led here. Answered by on_read_ready once everything committed
// when this was asked has been applied, or with ok = false when the lead is lost.
struct ReadGroup {
  GroupId group;
  std::uint64_t token = 0;
};

// An entry for the group's log, in this term alone. Its success is its apply(); a refusal (not the
// leader of that term, log full) comes as on_propose_refused.
struct Propose {
  GroupId group;
  Term term = 0;
  std::uint64_t token = 0;
  Bytes payload;
};

struct FetchBlob {  // answered by on_blob_fetched
  std::uint64_t token = 0;
  BlobRef blob;
  std::vector<NodeId> hint;
};
struct LocalizeBlob {  // answered by on_blob_local
  std::uint64_t token = 0;
  BlobRef blob;
  std::vector<NodeId> hint;
};
struct PutBlob {  // answered by on_blob_stored
  std::uint64_t token = 0;
  Pin pin;
  Bytes data;
};

// The nodes this one depends on now: coordinators of what it runs, executors of what it
// coordinates. Replaces the former set.
struct WatchPeers {
  std::set<NodeId> peers;
};

// Does the group hold work that is not finished? When leaders are lost, such groups elect their
// next ones before others do.
struct Unfinished {
  GroupId group;
  bool unfinished = false;
};

// For gossip; raised when any of it changed, at most each 100 ms.
struct LoadChanged {
  std::uint32_t cpus_free = 0;
  std::uint64_t memory_free = 0;  // bytes; 0: none, or not known
  std::uint32_t running = 0;
  std::uint32_t queued = 0;  // tasks this node may pull and has no room for
};

// An entry that a quorum committed makes no sense here: the log is damaged, or a newer program
// wrote it. The node must stop with this line: a replica that passed over it would differ from the
// others.
struct SchedFatal {
  std::string text;
};

// How far are the logs of these groups applied here, entries that are no business of the scheduler
// included? Answered by on_applied, once all that is committed has been applied.
struct AppliedWanted {
  std::uint64_t token = 0;
  std::vector<GroupId> groups;
};

using SchedEvent = std::variant<Answer, JobsCounted, AskGroup, ReplyGroup, ReadGroup, Propose,
                                FetchBlob, LocalizeBlob, PutBlob, WatchPeers, Unfinished,
                                LoadChanged, SchedFatal, EventsListed, AppliedWanted>;

}  // namespace dunlin
