// The inside of a Node, shared by its source files: node.cpp (turns and inputs), recovery.cpp
// (start), routing.cpp (events between modules), clients.cpp (what clients ask of the node itself),
// orders.cpp (what they order of other nodes), draining.cpp, events.cpp, metrics.cpp,
// reachability.cpp.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "node/admission.h"
#include "node/checkpointer.h"
#include "node/checkups.h"
#include "node/load_surveys.h"
#include "node/node.h"
#include "node/node_events.h"
#include "node/reach.h"
#include "node/status.h"
#include "node/tokens.h"

namespace dunlin {

constexpr std::size_t kMaxClientRequests = 10'000;  // waiting at one node
// Who waits here, by order of another node, for this one to have left, and for it to be drained,
// and is told how it goes (Q10). One too many is obeyed, and told that it cannot wait.
constexpr std::size_t kMaxOrders = 256;
// For what KILL does not end at once, and for results that no quorum commits.
constexpr Duration kAfterGrace = seconds(5);

// The fact that holds Groups::peer_marks().
inline constexpr const char* kMarksFact = "node/marks";

struct Node::Parts {
  enum class Asker : std::uint8_t { kSched, kAdmission };
  enum class BlobAsker : std::uint8_t { kSched, kClient };

  Parts(NodeConfig config, NodeStart start, Journal journal, Random random);

  // recovery.cpp
  void recover(Recovered recovered);
  void recover_facts(const std::map<std::string, Bytes>& facts);
  void recover_state(const std::map<std::string, Bytes>& state, GroupsRecovery& groups);

  // routing.cpp
  // False when it gave up with events left: they are forwarded in the next turn.
  bool settle();
  bool forward_events();
  void on(const MemberUp& event);
  void on(const MemberSuspect& event);
  void on(const MemberDead& event);
  void on(const MemberLeft& event);
  void on(const MemberRestarted& event);
  void on(const MemberChanged& event);
  void on(const RouteChanged& event);
  void on(const TwinSeen& event);
  void on(const PeerSuspected& event);
  void on(const PeerRecovered& event);
  void on(const StorageStalled& event);
  void on(const StorageRecovered& event);
  void on(Committed& event);
  void on(const LeadershipGained& event);
  void on(const LeadershipLost& event);
  void on(const RouteLearnt& event);
  void on(const SnapshotWanted& event);
  void on(const RestoreState& event);
  void on(const ReplicaRemoved& event);
  void on(const ReadReady& event);
  void on(const GroupsFatal& event);
  void on(const SchedFatal& event);
  void on(RouterReply& event);
  void on(const RouterRequest& event);
  void on(BlobStored& event);
  void on(const BlobPutFailed& event);
  void on(BlobFetched& event);
  void on(BlobLocal& event);
  void on(Answer& event);
  void on(const JobsCounted& event);
  void on(AskGroup& event);
  void on(ReplyGroup& event);
  void on(const ReadGroup& event);
  void on(Propose& event);
  void on(const FetchBlob& event);
  void on(const LocalizeBlob& event);
  void on(PutBlob& event);
  void on(const WatchPeers& event);
  void on(const Unfinished& event);
  void on(const LoadChanged& event);
  void on(Admission::Ask& event);
  void on(Admission::Propose& event);
  void on(Admission::Answer& event);
  void on(Admission::Joined& event);
  void on(const Admission::Ended& event);
  void members_changed();
  void watch_pairs();
  std::vector<Member> reachable_members() const;
  Bytes snapshot_of(GroupId group) const;
  void provide_snapshots();
  void checkpoint_if_due();
  void spread_record();
  void follow_record();

  // clients.cpp
  void serve(client::RequestId request, client::Request& body);
  void serve(client::RequestId request, JobRequest& body);
  void serve(client::RequestId request, const client::PickGroup& body);
  bool is_alive(const NodeId& node) const;
  bool is_whole() const;
  bool is_served(GroupId group, bool is_whole) const;
  void serve(client::RequestId request, client::PutBlob& body);
  void serve(client::RequestId request, const client::GetBlob& body);
  void serve(client::RequestId request, const client::ListNodes& body);
  void serve(client::RequestId request, const client::GetStatus& body);
  void serve(client::RequestId request, const client::CreateToken& body);
  void serve(client::RequestId request, const client::ListTokens& body);
  void serve(client::RequestId request, const client::EndToken& body);
  void serve(client::RequestId request, const client::LeaveNode& body);
  void serve(client::RequestId request, const client::DrainNode& body);
  void serve(client::RequestId request, const client::UndrainNode& body);
  void serve(client::RequestId request, const client::ForgetNode& body);
  void serve(client::RequestId request, const client::StopNode& body);
  void serve(client::RequestId request, const client::GetMetrics& body);
  void serve(client::RequestId request, const client::GetCheckup& body);
  void answer(client::RequestId request, Result<client::Answer> answer, bool last = true);
  void receive(NodeId from, Channel channel, const NodeMessage& message);
  Error with_names(Error error) const;
  std::string dead_members() const;
  StatusShare share_of_status(std::uint64_t query) const;
  Load exact_load() const;
  client::NodeList list_of_nodes() const;
  void end_load_surveys();
  void begin_ending();
  void follow_ending();
  Instant hand_back_tasks();
  void begin_leaving(bool at_once);
  void follow_leaving();
  void say_leaving(const std::string& line, bool done);
  Result<void> may_begin_leaving() const;
  void on_leave_order(NodeId from, const LeaveOrder& order);
  std::size_t seats() const;

  // orders.cpp
  struct SentOrder;
  Result<void> may_order(const NodeId& node, const std::string& what) const;
  void send_order(std::uint64_t number, SentOrder order);
  void on_order_progress(NodeId from, const OrderProgress& progress);
  Result<client::Answer> outcome(const SentOrder& order, bool has_left) const;
  void end_orders(const NodeId& node, bool has_left);
  bool is_seen(const SentOrder& order) const;
  void end_forgetting(client::RequestId request, const Result<void>& how);
  void follow_orders();
  Instant next_order_deadline() const;

  // draining.cpp
  void recover_draining(const std::map<std::string, Bytes>& facts);
  void on_drain_order(NodeId from, const DrainOrder& order);
  void set_draining(bool draining, Instant until);
  void follow_draining();
  std::string draining_line() const;

  // events.cpp
  void serve(client::RequestId request, client::ListEvents& body);
  void on(EventsListed& event);
  void on(const AppliedWanted& event);
  void tell_applied();
  void note(NodeEventType type, const NodeId& node);
  void note_change(const NodeId& node);
  std::vector<NodeEvent> untold(const client::EventCursor& cursor) const;
  void hurry_event_readers();

  // metrics.cpp
  void count_groups(client::Metrics& metrics) const;

  // reachability.cpp
  void follow_reach();
  void judge_own_reach(const std::vector<PathReport>& paths);
  Instant next_reach() const;
  CheckupShare share_of_checkup(std::uint64_t query, const std::vector<PathReport>& paths) const;
  void on_checkup_query(NodeId from, const CheckupQuery& message);

  // node.cpp
  void release_gated(std::uint64_t durable_row);
  void route_ticket(const Ticket& ticket);
  void seal_batch();
  void mark_peers();

  const NodeConfig config;
  const NodeStart start;
  const NodeId self;
  Journal journal;
  Random random;
  Instant now;
  WallTime wall;
  bool in_turn = false;
  Effects out;
  Output output;

  Gossip gossip;
  Liveness liveness;
  Groups groups;
  Router router;
  Blobs blobs;
  Scheduler sched;
  Admission admission;
  StatusGatherer status;
  Reach reach;
  Checkups checkups;
  LoadSurveys load_surveys;
  Checkpointer checkpointer;

  // What waits for a batch on its way to the disk, by row.
  struct Gated {
    std::vector<Send> sends;
    std::vector<Ticket> tickets;
  };
  std::map<std::uint64_t, Gated> gated;
  std::uint64_t durable_row = 0;
  Bytes marked;  // what is known of the peers' disks, as last written
  Instant mark_at;

  Tokens<Asker> asked_groups;
  Tokens<BlobAsker> asked_blobs;
  std::set<client::RequestId> waiting;  // clients' requests without their last answer
  std::map<std::uint64_t, client::Answer> record_answers;  // by request, until it is committed
  std::map<std::uint64_t, client::Status> statuses;        // by request, until jobs are counted
  NodeEvents node_events;
  std::map<client::RequestId, client::ListEvents> event_readers;  // until they are answered
  std::vector<SnapshotWanted> snapshots_wanted;
  std::vector<AppliedWanted> applied_wanted;
  std::set<NodeId> sched_peers;
  std::set<NodeId> watched;
  std::vector<NodeId> died;  // of whom the scheduler hears once it knows the new members
  std::vector<RingNode> ring_nodes;
  Ring ring;  // of ring_nodes: 256 tokens a node to sort, so only when those have changed
  bool members_dirty = true;
  bool unsettled = false;  // events were left when the last turn ended
  bool seeds_dirty = false;
  std::size_t retired_seen = 0;  // ids of the record that have been dealt with
  Load load;

  // Ending in order, the id stays a member: who wants to hear of it, and when it is done.
  struct Ending {
    bool active = false;
    bool is_empty = false;  // nothing runs here any more
    Instant at = Instant::never();
    std::set<client::RequestId> clients;
  };
  Ending ending;

  // Leaving: who wants to hear of it, and what was last said.
  struct Leaving {
    bool active = false;
    Instant tasks_until;  // they are given up then
    bool gossip_said = false;
    std::set<client::RequestId> clients;
    std::set<std::pair<NodeId, std::uint64_t>> orders;  // of other nodes' clients
    std::string last_line;
    bool at_once = false;  // --now: whatever is lost
    Instant said_at;       // good-bye
  };
  Leaving leaving;

  // Draining: how long, and which orders wait for the end of what runs.
  struct Draining {
    bool active = false;
    Instant until = Instant::never();  // what still runs is handed back then
    std::set<std::pair<NodeId, std::uint64_t>> orders;
    std::pair<NodeId, std::uint64_t> obeyed;  // the last order: it may be repeated
    std::string last_line;
  };
  Draining draining;

  // What others say of the ways to this node.
  struct SelfCheck {
    std::uint64_t round = 0;  // under way
    Instant next_at;
    std::vector<std::string> said;
  };
  SelfCheck self_check;
  HostCondition condition;

  MessageCounts sent, received;
  std::uint64_t entries_committed = 0;

  // An order of a client here to a node, perhaps this one.
  struct SentOrder {
    client::RequestId request = 0;
    NodeId node;
    Bytes frame;
    // Obeyed, it ends once this node, too, knows of it, or at give_up_at.
    std::optional<bool> draining{};
    bool forgotten = false;  // not told to the node, but to the cluster's record
    bool is_heard = false;
    bool is_obeyed = false;
    Instant repeat_at{};
    Instant give_up_at{};
  };
  std::map<std::uint64_t, SentOrder> sent_orders;  // by number
  std::uint64_t next_order_number;                 // never used again, not even in a later life
};

}  // namespace dunlin
