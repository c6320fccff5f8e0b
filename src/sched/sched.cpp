// Puts the scheduler's parts together. Each input becomes one Turn; parts do not call each other,
// coordinator and executor of one node talk by frames like those of two.
#include "sched/sched.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/client_desk.h"
#include "sched/coordinator.h"
#include "sched/epoch_gate.h"
#include "sched/event_reader.h"
#include "sched/executor.h"
#include "sched/group_leaders.h"
#include "sched/job_lists.h"
#include "sched/job_machine.h"
#include "sched/leader_desk.h"
#include "sched/log_reader.h"
#include "sched/members.h"

namespace dunlin {

using namespace sched;

namespace {

// Tokens say by their first byte whose they are.
constexpr std::uint64_t first_token(std::uint64_t part) {
  return (part << 56) + 1;
}

// How soon after an input the node hears whom to watch and what load to gossip.
constexpr Duration kReportDelay = milliseconds(100);

// Another number for another life, of the same chance.
std::uint64_t mixed(std::uint64_t chance, Boot boot) {
  return Random(chance ^ (boot << 32)).next();
}

bool is_same(const LoadChanged& a, const LoadChanged& b) {
  return a.cpus_free == b.cpus_free && a.memory_free == b.memory_free && a.running == b.running &&
         a.queued == b.queued;
}

}  // namespace

struct Scheduler::Parts {
  Parts(NodeId node, Boot node_boot, SchedConfig sched_config, std::uint64_t chance)
      : self(node),
        config(std::move(sched_config)),
        coordinator(self, config, machine, members, first_token(1)),
        surveys(members, first_token(7)),
        leader_desk(machine, coordinator, surveys, config.group_count, first_token(2)),
        client_desk(config.group_count, chance, first_token(3)),
        log_reader(config.group_count, first_token(4)),
        leaders(self, coordinator, members),
        job_lists(machine, coordinator, leaders, config.group_count, first_token(5)),
        event_reader(machine.events(), coordinator, leaders, config.group_count, first_token(8),
                     mixed(chance, node_boot)),
        gates(self, node_boot == 1, mixed(chance, node_boot)),
        executor(self, node_boot, config, gates, first_token(6)) {}

  const NodeId self;
  const SchedConfig config;
  Members members;
  JobMachine machine;
  Coordinator coordinator;
  FitSurveys surveys;
  LeaderDesk leader_desk;
  ClientDesk client_desk;
  LogReader log_reader;
  GroupLeaders leaders;
  JobLists job_lists;
  EventReader event_reader;
  EpochGate gates;
  Executor executor;
  std::vector<SchedEvent> events;

  // The wall time runs with the monotonic clock between the inputs that bring it.
  Instant wall_known_at;
  WallTime wall_known;

  std::set<NodeId> watched;
  std::map<GroupId, bool> unfinished;
  bool said_unfinished = false;  // of what was recovered
  std::optional<LoadChanged> load;
  Instant report_at;

  Turn turn(Instant now, Effects& out) {
    const Duration since = now - wall_known_at;
    return {now, {wall_known.ms + since.milliseconds()}, out, events};
  }
  Turn turn(Instant now, WallTime wall, Effects& out) {
    wall_known_at = now;
    wall_known = wall;
    return {now, wall, out, events};
  }

  // What every input may have changed for others.
  void end(Turn& turn) {
    leader_desk.touched(turn, coordinator.take_touched());
    if (report_at == Instant::never()) report_at = turn.now + kReportDelay;
  }

  void report(Turn& turn) {
    report_at = Instant::never();
    std::set<NodeId> peers;
    coordinator.add_watched(peers);
    executor.add_watched(peers);
    peers.erase(self);
    if (peers != watched) {
      watched = peers;
      turn.raise(WatchPeers{std::move(peers)});
    }
    const LoadChanged now_load = executor.load();
    if (load && is_same(*load, now_load)) return;
    load = now_load;
    turn.raise(now_load);
  }

  void note_unfinished(GroupId group) {
    const bool is_unfinished = !machine.open_jobs(group).empty();
    bool& known = unfinished[group];
    if (known == is_unfinished) return;
    known = is_unfinished;
    events.push_back(Unfinished{group, is_unfinished});
  }

  void obey(Turn& turn, NodeId from, const SchedMessage& order) {
    std::visit(
        [&](const auto& message) {
          using T = std::decay_t<decltype(message)>;
          if constexpr (std::is_same_v<T, AskHeld>) {
            executor.obey(turn, from, message);
          } else if constexpr (requires { executor.obey(turn, message); }) {
            executor.obey(turn, message);
          }
        },
        order);
  }

  // By now an even higher epoch may have come.
  void obey_again(Turn& turn, std::vector<EpochGate::Order> orders) {
    for (EpochGate::Order& order : orders) dispatch(turn, order.from, order.message, 0);
  }

  void dispatch(Turn& turn, NodeId from, SchedMessage& received, std::size_t bytes) {
    std::visit(
        [&](auto& message) {
          using T = std::decay_t<decltype(message)>;
          constexpr bool is_order = std::is_same_v<T, AskHeld> || requires {
            executor.obey(turn, message);
          };
          if constexpr (is_order) {
            if (gates.admit(turn, from, message.group, message.epoch, received)) {
              obey(turn, from, received);
            }
          } else if constexpr (std::is_same_v<T, Results> || std::is_same_v<T, Logs>) {
            coordinator.on(turn, from, std::move(message), bytes);
          } else if constexpr (std::is_same_v<T, Pull> || std::is_same_v<T, HeldList> ||
                               std::is_same_v<T, Status> || std::is_same_v<T, AskLead>) {
            coordinator.on(turn, from, message);
          } else if constexpr (std::is_same_v<T, LeadStands>) {
            obey_again(turn, gates.on_stands(message));
          } else if constexpr (std::is_same_v<T, FitReply>) {
            surveys.on(turn, from, message);
          } else if constexpr (std::is_same_v<T, TailLog> || std::is_same_v<T, AskFit>) {
            executor.on(turn, from, message);
          } else if constexpr (std::is_same_v<T, TailReply>) {
            log_reader.on(turn, message);
          } else if constexpr (std::is_same_v<T, AskEvents> || std::is_same_v<T, EventsReply>) {
            event_reader.on(turn, from, message);
          } else if constexpr (requires { job_lists.on(turn, from, message); }) {
            job_lists.on(turn, from, message);
          }
          // Refused: the group itself will tell this node that it leads no more.
        },
        received);
  }
};

Scheduler::Scheduler(NodeId self, Boot boot, SchedConfig config, Random random)
    : parts_(std::make_unique<Parts>(self, boot, std::move(config), random.next())) {}
Scheduler::~Scheduler() = default;

// ---- recovery -----------------------------------------------------------------------------------

Result<void> Scheduler::recover_fact(std::string_view key, ByteView value) {
  return parts_->gates.recover(key, value);
}

Result<void> Scheduler::recover_row(std::string_view key, ByteView value) {
  return parts_->machine.recover_row(key, value);
}

void Scheduler::recover_applied(GroupId group, LogIndex index) {
  parts_->machine.events().reset(group, index);
}

// ---- protocol -----------------------------------------------------------------------------------

void Scheduler::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  Result<SchedMessage> message = decode_frame(frame);
  if (!message) return;
  Turn turn = parts_->turn(now, out);
  parts_->dispatch(turn, from, *message, frame.size());
  parts_->end(turn);
}

void Scheduler::tick(Instant now, WallTime wall, Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  parts_->coordinator.tick(turn);
  parts_->executor.tick(turn);
  parts_->leader_desk.tick(turn);
  parts_->log_reader.tick(turn);
  parts_->job_lists.tick(turn);
  parts_->event_reader.tick(turn);
  parts_->surveys.tick(turn);
  // Recovered groups say once whether they have work.
  if (!parts_->said_unfinished) {
    parts_->said_unfinished = true;
    for (const auto& [group, jobs] : parts_->machine.groups()) parts_->note_unfinished(group);
  }
  parts_->leader_desk.touched(turn, parts_->coordinator.take_touched());
  if (parts_->report_at <= now) parts_->report(turn);
}

Instant Scheduler::next_deadline() const {
  return std::min({parts_->coordinator.next_deadline(), parts_->executor.next_deadline(),
                   parts_->leader_desk.next_deadline(), parts_->log_reader.next_deadline(),
                   parts_->job_lists.next_deadline(), parts_->surveys.next_deadline(),
                   parts_->event_reader.next_deadline(), parts_->report_at});
}

void Scheduler::on_durable(Instant now, const Ticket& ticket, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->obey_again(turn, parts_->gates.on_durable(ticket));
  parts_->end(turn);
}

void Scheduler::on_process(Instant now, WallTime wall, ProcessEvent event, Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  parts_->executor.on_process(turn, std::move(event));
  parts_->end(turn);
}

// ---- replicated state ---------------------------------------------------------------------------

void Scheduler::apply(Instant now, GroupId group, LogIndex index, Term term, ByteView payload,
                      Effects& out) {
  Turn turn = parts_->turn(now, out);
  const Result<Command> command = parts_->machine.apply(group, index, payload);
  if (!command) {
    turn.raise(SchedFatal{"entry " + std::to_string(index) + " of group " +
                          std::to_string(group.value) +
                          " cannot be applied: " + command.error().message +
                          "; its log is damaged, or a newer dunlin wrote it"});
    return;
  }
  parts_->coordinator.applied(turn, group, term, *command);
  parts_->leader_desk.applied(turn, group, *command, payload);
  parts_->event_reader.applied(turn, group);
  parts_->note_unfinished(group);
  parts_->end(turn);
}

Bytes Scheduler::snapshot(GroupId group) const {
  return parts_->machine.snapshot(group);
}

Result<void> Scheduler::restore(GroupId group, LogIndex index, ByteView snapshot) {
  parts_->coordinator.follow(group);
  Result<void> result = parts_->machine.restore(group, snapshot);
  parts_->machine.events().reset(group, index);
  parts_->note_unfinished(group);
  return result;
}

void Scheduler::drop_group(GroupId group) {
  parts_->coordinator.follow(group);
  parts_->machine.drop_group(group);
  parts_->machine.events().drop(group);
  parts_->note_unfinished(group);
}

void Scheduler::take_dirty(StateRows& rows) {
  parts_->machine.take_dirty(rows);
}

// ---- leadership ---------------------------------------------------------------------------------

void Scheduler::leading(Instant now, GroupId group, Term term, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->leaders.learn(group, parts_->self);
  parts_->coordinator.lead(turn, group, term);
  // What this node holds of jobs that are over is reported to itself from now on: nobody asks for
  // it.
  if (parts_->gates.coordinator(group) != parts_->self) {
    parts_->gates.learn_leader(group, parts_->self);
    parts_->executor.leader_changed(turn, group);
  }
  parts_->end(turn);
}

void Scheduler::following(Instant now, GroupId group, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->coordinator.follow(group);
  parts_->leader_desk.follow(turn, group);
  parts_->end(turn);
}

void Scheduler::learn_leader(Instant now, GroupId group, std::optional<NodeId> leader,
                             Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->leaders.learn(group, leader);
  if (leader && parts_->gates.coordinator(group) != leader) {
    parts_->gates.learn_leader(group, *leader);
    parts_->executor.leader_changed(turn, group);
  }
  parts_->end(turn);
}

void Scheduler::on_read_ready(Instant now, GroupId group, std::uint64_t token, bool ok,
                              Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->leader_desk.on_read_ready(turn, token, ok)) {
    parts_->coordinator.on_read_ready(turn, group, token, ok);
  }
  parts_->end(turn);
}

void Scheduler::on_propose_refused(Instant now, GroupId group, std::uint64_t token, Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->leader_desk.on_refused(turn, token)) {
    parts_->coordinator.on_refused(turn, group, token);
  }
  parts_->end(turn);
}

// ---- members ------------------------------------------------------------------------------------

void Scheduler::set_members(Instant now, std::map<NodeId, SchedMember> members, Ring ring,
                            Effects& out) {
  Turn turn = parts_->turn(now, out);
  std::vector<NodeId> restarted;
  for (const auto& [node, member] : members) {
    const Boot known = parts_->members.boot(node);
    if (known != 0 && known < member.boot) restarted.push_back(node);
  }
  parts_->members.set(std::move(members), std::move(ring));
  parts_->coordinator.members_changed(turn);
  for (const NodeId& node : restarted) parts_->coordinator.peer_restarted(turn, node);
  parts_->end(turn);
}

void Scheduler::peer_suspected(Instant now, NodeId node, Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->members.is_gone(node)) {
    parts_->members.set_state(node, SchedMemberState::kSuspect);
  }
  parts_->end(turn);
}

void Scheduler::peer_recovered(Instant now, NodeId node, Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->members.is_gone(node)) {
    parts_->members.set_state(node, SchedMemberState::kAlive);
    parts_->coordinator.members_changed(turn);
  }
  parts_->end(turn);
}

void Scheduler::peer_restarted(Instant now, NodeId node, Boot boot, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->members.learn_boot(node, boot);
  parts_->coordinator.peer_restarted(turn, node);
  parts_->end(turn);
}

void Scheduler::peer_dead(Instant now, NodeId node, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->members.set_state(node, SchedMemberState::kDead);
  parts_->coordinator.members_changed(turn);
  parts_->end(turn);
}

void Scheduler::hand_back(Instant now, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->executor.hand_back(turn);
  parts_->end(turn);
}

void Scheduler::set_draining(Instant now, bool draining, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->executor.set_draining(turn, draining);
  parts_->end(turn);
}

bool Scheduler::has_tasks() const {
  return parts_->executor.has_tasks();
}

LoadChanged Scheduler::load() const {
  return parts_->executor.load();
}

Devices Scheduler::devices_free() const {
  return parts_->executor.devices_free();
}

std::string Scheduler::isolation_note() const {
  return parts_->executor.isolation_note();
}

AttemptCounts Scheduler::attempt_counts() const {
  return parts_->executor.counts();
}

Instant Scheduler::hand_back_until() const {
  return parts_->executor.last_kill();
}

// ---- clients ------------------------------------------------------------------------------------

void Scheduler::request(Instant now, WallTime wall, std::uint64_t request, JobRequest what,
                        Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  const auto* show = std::get_if<ShowJob>(&what);
  if (const auto* list = std::get_if<ListJobs>(&what)) {
    parts_->job_lists.list(turn, request, *list);
  } else if (const auto* read = std::get_if<ReadLog>(&what)) {
    parts_->log_reader.read(turn, request, *read);
  } else if (show != nullptr && show->stale && !show->id.is_none()) {
    parts_->job_lists.show_stale(turn, request, show->id);
  } else {
    parts_->client_desk.forward(turn, request, what);
  }
  parts_->end(turn);
}

void Scheduler::count_jobs(Instant now, WallTime wall, std::uint64_t request, Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  parts_->job_lists.count(turn, request);
  parts_->end(turn);
}

void Scheduler::list_events(Instant now, WallTime wall, std::uint64_t request,
                            const ListEvents& query, Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  parts_->event_reader.list(turn, request, query);
  parts_->end(turn);
}

void Scheduler::hurry_events(Instant now, std::uint64_t request, Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->event_reader.hurry(turn, request);
  parts_->end(turn);
}

void Scheduler::forget_events(std::uint64_t request) {
  parts_->event_reader.forget(request);
}

void Scheduler::on_applied(Instant now, std::uint64_t token,
                           const std::vector<std::pair<GroupId, LogIndex>>& applied, Effects& out) {
  Turn turn = parts_->turn(now, out);
  for (const auto& [group, index] : applied) parts_->machine.events().reached(group, index);
  parts_->event_reader.on_applied(turn, token);
  parts_->end(turn);
}

void Scheduler::on_group_reply(Instant now, std::uint64_t token, const Result<Bytes>& reply,
                               Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->client_desk.on_reply(turn, token, reply) &&
      !parts_->coordinator.on_group_reply(turn, token, reply)) {
    parts_->log_reader.on_reply(turn, token, reply);
  }
  parts_->end(turn);
}

void Scheduler::on_group_request(Instant now, WallTime wall, std::uint64_t handle, NodeId,
                                 GroupId group, ByteView body, Effects& out) {
  Turn turn = parts_->turn(now, wall, out);
  parts_->leader_desk.ask(turn, handle, group, body);
  parts_->end(turn);
}

// ---- blobs --------------------------------------------------------------------------------------

void Scheduler::set_disk(std::uint64_t total, std::uint64_t free) {
  parts_->executor.set_disk_full(free < total / kDiskShare);
}

void Scheduler::on_blob_fetched(Instant now, std::uint64_t token, const Result<Bytes>& content,
                                Effects& out) {
  Turn turn = parts_->turn(now, out);
  if (!parts_->executor.on_blob_fetched(turn, token, content)) {
    parts_->log_reader.on_fetched(turn, token, content);
  }
  parts_->end(turn);
}

void Scheduler::on_blob_local(Instant now, std::uint64_t token, const Result<FileExtent>& extent,
                              Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->executor.on_blob_local(turn, token, extent);
  parts_->end(turn);
}

void Scheduler::on_blob_stored(Instant now, std::uint64_t token, const Result<BlobRef>& blob,
                               Effects& out) {
  Turn turn = parts_->turn(now, out);
  parts_->executor.on_blob_stored(turn, token, blob);
  parts_->end(turn);
}

std::vector<SchedEvent> Scheduler::take_events() {
  return std::exchange(parts_->events, {});
}

}  // namespace dunlin
