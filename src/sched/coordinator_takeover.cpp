// What a new coordinator does before it may think that a task is free, and how differences between
// its view and a node's are mended, after takeovers, restarts, losses and cancellations alike.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sched/coordinator.h"

namespace dunlin::sched {

namespace {

constexpr Duration kReadInterval = milliseconds(50);

// Was it given up as lost, by mistake as it seems? In the log it stays superseded, so that its
// success counts and its failure is run again.
bool was_lost(const TaskDetail& detail, const Attempt& attempt) {
  return std::any_of(detail.attempts.begin(), detail.attempts.end(), [&](const auto& record) {
    return record.attempt == attempt && record.end == AttemptEnd::kLost;
  });
}

}  // namespace

void Coordinator::lead(Turn& turn, GroupId id, Term term) {
  follow(id);
  LedGroup& group = groups_[id];
  group.term = term;
  begin_reading(turn, id, group);
}

void Coordinator::begin_reading(Turn& turn, GroupId id, LedGroup& group) {
  group.read_at = Instant::never();
  group.read_token = next_token_++;
  turn.raise(ReadGroup{id, group.read_token});
}

void Coordinator::follow(GroupId id) {
  const auto at = groups_.find(id);
  if (at == groups_.end()) return;
  for (const auto& [job, led] : at->second.jobs) {
    timers_.erase({led->deadline, id, job});
    touched_.insert(job);
  }
  groups_.erase(at);
}

// A reading that was under way when they asked may have been answered before their lives began.
void Coordinator::assure_doubters(Turn& turn, GroupId id, LedGroup& group) {
  if (group.stands_token != 0 || group.doubters.empty()) return;
  group.assured = std::exchange(group.doubters, {});
  group.stands_token = next_token_++;
  turn.raise(ReadGroup{id, group.stands_token});
}

void Coordinator::on(Turn& turn, NodeId from, const AskLead& message) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr || group->term != message.epoch) return;
  if (group->doubters.size() >= kMaxDoubters) return;
  group->doubters[from] = message.life;
  assure_doubters(turn, message.group, *group);
}

void Coordinator::on_read_ready(Turn& turn, GroupId id, std::uint64_t token, bool ok) {
  const auto at = groups_.find(id);
  if (at == groups_.end()) return;
  LedGroup& group = at->second;
  if (token == group.stands_token) {
    group.stands_token = 0;
    for (const auto& [node, life] : std::exchange(group.assured, {})) {
      if (ok) turn.send(node, LeadStands{id, group.term, life});
    }
    assure_doubters(turn, id, group);
    return;
  }
  if (group.read_token != token || group.established) return;
  if (ok) {
    establish(turn, id, at->second);
  } else {
    at->second.read_at = turn.now + kReadInterval;
    due(at->second.read_at);
  }
}

// Everything committed before this term is applied now.
void Coordinator::establish(Turn& turn, GroupId id, LedGroup& group) {
  group.established = true;
  group.sweep_at = turn.now;
  due(group.sweep_at);
  for (const JobId& open : machine_.open_jobs(id)) {
    const Job* job = machine_.find(id, open);
    LedJob& led = *(group.jobs[open] = std::make_unique<LedJob>(*job, id, true));
    Led at{group, id, *job, led};
    led.asked_at = turn.now;
    for (const NodeId& node : job->head.probed) {
      if (members_.is_gone(node)) {
        // Its loss may be in no log, and it may be back soon: it is counted from now.
        if (!members_.has_left(node)) led.nodes[node].lost_at = turn.now;
        continue;
      }
      led.awaited.insert(node);
      ask(group, node, turn.now);
    }
    if (led.awaited.empty()) end_awaiting(turn, at);
    // What lies above the bound was given to nobody: it is bound as soon as the bound is raised.
    led.probe_interval = kFirstProbeInterval;
    led.next_probe = turn.now;
    led.breadth = job->head.probed.size();
    await_others(turn, at);
    review_hold(turn, at);
    changed(turn, at);
  }
  const JobMachine::Jobs* jobs = machine_.jobs(id);
  if (jobs == nullptr) return;
  for (const auto& [job_id, job] : *jobs) note_watchers(turn, group, *job);
}

void Coordinator::ask(LedGroup& group, NodeId node, Instant at) {
  due(at);
  const auto [entry, is_new] = group.asks.try_emplace(node, Ask{at, kFirstAskInterval, at, {}});
  if (is_new) return;
  entry->second.next = std::min(entry->second.next, at);
  entry->second.after = {};
}

// Notes how far the list has come; a part of it asks for the next.
void Coordinator::listed(Turn& turn, LedGroup& group, NodeId from, const HeldList& part) {
  if (!part.span.up_to) {
    const auto asked = group.asks.find(from);
    const bool is_end = asked != group.asks.end() && asked->second.after == part.span.after;
    if (is_end || part.span.after.is_none()) group.asks.erase(from);
    return;
  }
  const auto asked =
      group.asks.try_emplace(from, Ask{turn.now, kFirstAskInterval, turn.now, {}}).first;
  Ask& ask = asked->second;
  due(turn.now);
  if (ask.after != part.span.after) return;
  ask.after = *part.span.up_to;
  ask.interval = kFirstAskInterval;
  ask.next = turn.now;
}

void Coordinator::on(Turn& turn, NodeId from, const HeldList& message) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr || message.boot < members_.boot(from)) return;
  group->heard[from] = turn.now;
  // Only an answer to this lead's question proves that the node obeys no older epoch any more.
  if (message.epoch != group->term) return;
  listed(turn, *group, from, message);
  std::set<JobId> concerned;
  for (const auto& [job, led] : group->jobs) {
    if (!message.span.covers(job)) continue;
    if (led->awaited.contains(from) || led->nodes.contains(from)) concerned.insert(job);
  }
  for (const JobHeld& held : message.jobs) {
    concerned.erase(held.job);
    if (std::optional<Led> at = find(message.group, held.job)) {
      reconcile(turn, *at, from, message, held);
    } else if (!held.attempts.empty()) {
      // Final, or unknown to everything committed: nothing of it is wanted.
      turn.send(from, Drop{message.group, group->term, held.job, held.attempts});
    }
  }
  for (const JobId& job : concerned) {
    std::optional<Led> at = find(message.group, job);
    if (at) reconcile(turn, *at, from, message, {job, message.last_pull, false, {}});
  }
}

// Brings what this side believes of `from` in line with what it says, for one job.
void Coordinator::reconcile(Turn& turn, Led& at, NodeId from, const HeldList& list,
                            const JobHeld& held) {
  Holding& holding = at.led.nodes[from];
  const bool is_new_life = list.boot > holding.boot && holding.boot != 0;
  if (!is_new_life && held.pull_seen < holding.pull_before) {
    // Overtaken by a whole exchange: it says nothing about the tasks bound since.
    ask(at.group, from, turn.now + kFirstAskInterval);
    return;
  }
  holding.boot = std::max(holding.boot, list.boot);
  AttemptRuns there;
  std::vector<TaskRun> beyond;  // of a former job of this id, which had more tasks
  for (const TaskRun& run : held.attempts) {
    if (is_within(run, at.job.head.total)) {
      there.add(run);
    } else {
      beyond.push_back(run);
    }
  }
  if (!beyond.empty()) turn.send(from, Drop{at.id, at.group.term, held.job, std::move(beyond)});

  // What answered a pull whose answer had not come yet when this was said may still be on its way.
  AttemptRuns missing;
  for (const TaskRun& run : holding.bound.runs()) missing.add(run);
  for (const TaskRun& run : there.runs()) missing.remove(run);
  if (holding.last_pull > held.pull_seen && !is_new_life) {
    for (const TaskRun& run : holding.last_tasks) missing.remove(run);
  }
  std::vector<TaskRun> lost;
  for (const TaskRun& run : missing.runs()) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (at.led.soft(index) == Soft::kBound) lost.push_back({index, 1, run.attempt});
    }
  }
  if (!lost.empty()) lose(turn, at, from, lost, is_new_life);

  AttemptRuns unwanted;
  std::vector<NodeId> losers;
  for (const TaskRun& run : there.runs()) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      const TaskRun one{index, 1, run.attempt};
      if (!adopt(turn, at, from, one, losers)) unwanted.add(one);
    }
  }
  // In this order: of a task the log takes no older loss after a newer one.
  if (!losers.empty()) propose_loss(turn, at, from, holding);
  for (const NodeId& node : losers) propose_loss(turn, at, node, at.led.nodes[node]);
  holding.dropping.clear();
  if (!unwanted.is_empty()) drop(turn, at, from, unwanted.runs());
  if (held.needs_spec) {
    describe(turn, at, from);
  }
  stop_awaiting(turn, at, from);
  if (at.job.is_final()) {
    finish_job(turn, at);
  } else {
    changed(turn, at);
  }
}

// Of two attempts of one task that are under way: does the one that `from` holds stay, and the
// holder's end? The newer one stays, but for one whose node was taken for dead and is back soon: it
// has done more.
bool Coordinator::prevails(const Led& at, const Holding& from, const TaskRun& run,
                           const Attempt& holder, Instant now) {
  const TaskDetail* detail = at.job.detail(run.first);
  const auto is_old = [&](const Attempt& attempt) {
    return detail != nullptr && detail->is_superseded(attempt);
  };
  const bool is_back = from.lost_at != Instant{} && now < from.lost_at + kReturnPatience &&
                       !from.waiting.contains(run.first, run.attempt);
  if (is_old(run.attempt)) return is_old(holder) ? run.attempt < holder : is_back;
  const bool is_given_up = from.losing.contains(run.first, run.attempt);
  return !is_given_up && (holder < run.attempt || is_back);
}

// A task that nobody else holds stays with the node that holds it, whoever bound it. False: it is
// not wanted there. `losers`: nodes whose attempts are given up, which the log must say.
bool Coordinator::adopt(Turn& turn, Led& at, NodeId from, const TaskRun& one,
                        std::vector<NodeId>& losers) {
  Holding& holding = at.led.nodes[from];
  const std::uint32_t index = one.first;
  const Soft soft = at.led.soft(index);
  if (soft == Soft::kFinal || !at.job.counts(index, one.attempt)) return false;
  if (holding.bound.contains(index, one.attempt)) return true;
  const TaskDetail* detail = at.job.detail(index);
  const bool is_old = detail != nullptr && detail->is_superseded(one.attempt);
  if (is_old && (soft == Soft::kCommitting || !was_lost(*detail, one.attempt))) return false;
  if (soft == Soft::kCommitting) {
    holding.bound.add(one);  // its result is on the way already
    return true;
  }
  // Only what is bound has a holder: to look through all nodes for every task takes long.
  const auto holder = soft == Soft::kBound ? at.led.holder(index) : std::nullopt;
  if (holder && !prevails(at, holding, one, holder->second, turn.now)) return false;
  const bool is_older = holder && one.attempt < holder->second;
  if (holder) drop(turn, at, holder->first, {{index, 1, holder->second}});
  if (is_older) {
    give_up(at, holder->first, {index, 1, holder->second}, false);
    losers.push_back(holder->first);
  }
  if (is_older && !is_old) {
    // Its loss is in no log, since the coordinator died with its node.
    give_up(at, from, one, true);
  } else {
    holding.losing.remove(one);
  }
  holding.bound.add(one);
  at.led.set_soft(index, Soft::kBound);
  return true;
}

// Of two attempts of one task: the newer one, which is ended for the older one's sake, as its
// number is used up; and the older one, which seemed to be lost and goes on.
void Coordinator::give_up(Led& at, NodeId node, const TaskRun& run, bool node_lost) {
  at.led.nodes[node].losing.add(run, node_lost);
}

void Coordinator::stop_awaiting(Turn& turn, Led& at, NodeId node) {
  if (at.led.awaited.erase(node) == 0 || !at.led.awaited.empty()) return;
  end_awaiting(turn, at);
  at.led.probe_interval = kFirstProbeInterval;
  at.led.next_probe = turn.now;
}

// Everybody has answered, or is gone: what nobody holds is nobody's.
void Coordinator::end_awaiting(Turn& turn, Led& at) {
  lose_recorded(turn, at);
  at.led.resolve_unknown(at.job, turn.now, turn.wall);
}

// Attempts that the log has met by their output, and whose node is gone with the former
// coordinator, are lost like any other: they count, and what they wrote stays theirs.
void Coordinator::lose_recorded(Turn& turn, Led& at) {
  std::map<NodeId, std::vector<TaskRun>> lost;
  for (const auto& [index, detail] : at.job.details) {
    if (at.led.soft(index) != Soft::kUnknown || detail.attempts.empty()) continue;
    const AttemptRecord& last = detail.attempts.back();
    const bool is_lost = last.end == AttemptEnd::kOpen && at.job.counts(index, last.attempt) &&
                         !detail.is_superseded(last.attempt) && members_.is_gone(last.node);
    if (!is_lost) continue;
    at.led.set_soft(index, Soft::kBound);  // until the log says so
    lost[last.node].push_back({index, 1, last.attempt});
  }
  for (const auto& [node, runs] : lost) lose(turn, at, node, runs, !members_.has_left(node));
}

// ---- losses -------------------------------------------------------------------------------------

void Coordinator::lose(Turn& turn, Led& at, NodeId node, const std::vector<TaskRun>& runs,
                       bool node_lost) {
  Holding& holding = at.led.nodes[node];
  for (const TaskRun& run : runs) {
    holding.bound.remove(run);
    holding.losing.add(run, node_lost);
  }
  if (node_lost) holding.lost_at = turn.now;
  propose_loss(turn, at, node, holding);
}

void Coordinator::propose_loss(Turn& turn, Led& at, NodeId node, Holding& holding) {
  if (holding.losing.is_empty() || holding.losing_token != 0) return;
  const bool node_lost = holding.losing.is_next_with_node();
  std::vector<TaskRun> runs = holding.losing.next();
  if (runs.size() > kMaxLostRuns) runs.resize(kMaxLostRuns);
  std::vector<TaskRun> waiting;
  AttemptRuns named;
  for (const TaskRun& run : runs) {
    named.add(run);
    const std::vector<TaskRun> parts = holding.waiting.common(run);
    waiting.insert(waiting.end(), parts.begin(), parts.end());
  }
  holding.losing_token = propose(turn, at.id, at.group,
                                 LostCommand{at.job.id, node, node_lost, std::move(runs), turn.wall,
                                             std::move(waiting), holding.first_start(named)});
}

void Coordinator::drop(Turn& turn, Led& at, NodeId node, const std::vector<TaskRun>& runs) {
  Holding& holding = at.led.nodes[node];
  for (const TaskRun& run : runs) {
    holding.bound.remove(run);
    holding.dropping.add(run);
  }
  at.led.repeat_at = turn.now;
}

// Sets right what is believed of these tasks after the log spoke of them. Each node is looked at
// once: an order may name a million tasks, and a thousand nodes may hold some.
void Coordinator::restore(Turn& turn, Led& at, std::vector<IndexRun> tasks) {
  if (tasks.empty()) return;
  join_overlaps(tasks);
  const std::uint32_t first = tasks.front().first;
  const std::uint32_t end = tasks.back().end();
  const auto is_named = [&](std::uint32_t index) {
    const auto after = std::upper_bound(tasks.begin(), tasks.end(), IndexRun{index, UINT32_MAX});
    return after != tasks.begin() && std::prev(after)->end() > index;
  };
  std::vector<std::uint32_t> kept;
  for (auto& [node, holding] : at.led.nodes) {
    std::vector<TaskRun> unwanted;
    for (const TaskRun& run : holding.bound.within(first, end)) {
      for (std::uint32_t index = run.first; index < run.end(); ++index) {
        if (!is_named(index)) continue;
        if (at.job.columns.state(index) == Closed::kOpen) {
          kept.push_back(index);
        } else {
          unwanted.push_back({index, 1, run.attempt});
        }
      }
    }
    for (const TaskRun& run : holding.losing.within(first, end)) {
      for (std::uint32_t index = run.first; index < run.end(); ++index) kept.push_back(index);
    }
    if (!unwanted.empty()) drop(turn, at, node, unwanted);
  }
  std::sort(kept.begin(), kept.end());
  for (const IndexRun& run : tasks) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (at.job.columns.state(index) != Closed::kOpen) {
        at.led.finish(index);
      } else if (at.led.soft(index) == Soft::kBound &&
                 !std::binary_search(kept.begin(), kept.end(), index)) {
        at.led.free(at.job, index, turn.now);
      }
    }
  }
}

// The job is final. What nodes still hold of it is unwanted; without any the job is led no more.
void Coordinator::finish_job(Turn& turn, Led& at) {
  ASSERT(at.job.is_final());
  // A retry opens only what is over, and the job may stay led until the last process has ended.
  at.led.finish_all();
  note_watchers(turn, at.group, at.job);
  withdraw_offers(turn, at);
  for (auto& [node, holding] : at.led.nodes) {
    for (const TaskRun& run : holding.losing.runs()) holding.dropping.add(run);
    holding.losing.clear();
    if (members_.is_gone(node)) {
      holding.bound.clear();
      holding.dropping.clear();
    }
    if (!holding.bound.is_empty()) drop(turn, at, node, holding.bound.runs());
  }
  at.led.awaited.clear();
  at.led.next_probe = Instant::never();
  if (!at.led.is_held()) at.led.repeat_at = Instant::never();
  changed(turn, at);
  due(turn.now + kLeastKeep);
  at.group.sweep_at =
      std::min(at.group.sweep_at, turn.now + std::max(at.job.head.keep, kLeastKeep));
  if (at.led.is_held()) return;
  timers_.erase({at.led.deadline, at.id, at.job.id});
  at.group.jobs.erase(at.job.id);
}

// ---- members ------------------------------------------------------------------------------------

void Coordinator::node_gone(Turn& turn, NodeId node, bool left) {
  for (auto& [id, group] : groups_) {
    if (!group.established) continue;
    group.asks.erase(node);
    std::vector<JobId> jobs;
    for (const auto& [job, led] : group.jobs) {
      if (led->awaited.contains(node) || led->nodes.contains(node)) jobs.push_back(job);
    }
    for (const JobId& job : jobs) {
      const std::optional<Led> found = find(id, job);
      if (!found) continue;
      Led at = *found;
      Holding& holding = at.led.nodes[node];
      holding.offered = 0;
      if (!left) holding.lost_at = turn.now;
      if (at.job.is_final()) {
        // Also of one that no member list knows: nobody else will say that it holds nothing.
        holding.bound.clear();
        holding.losing.clear();
        holding.dropping.clear();
        finish_job(turn, at);
        continue;
      }
      holding.dropping.clear();
      if (!holding.bound.is_empty()) lose(turn, at, node, holding.bound.runs(), !left);
      stop_awaiting(turn, at, node);
      changed(turn, at);
    }
  }
}

void Coordinator::members_changed(Turn& turn) {
  std::set<NodeId> depended;
  add_watched(depended);
  for (const NodeId& node : depended) {
    if (members_.is_gone(node)) node_gone(turn, node, members_.has_left(node));
  }
  // A newcomer, or one that is well again, is offered what waits; all others have heard of it.
  std::vector<NodeId> fresh;
  std::map<NodeId, Room> usable;
  for (const auto& [node, member] : members_.all()) {
    if (!members_.is_usable(node)) continue;
    const Room room{member.cpus, member.memory, member.devices};
    usable[node] = room;
    const auto known = usable_.find(node);
    if (known == usable_.end() || known->second != room) fresh.push_back(node);
  }
  usable_ = std::move(usable);
  if (fresh.empty()) return;
  for (auto& [id, group] : groups_) {
    for (auto& [job, led] : group.jobs) {
      std::optional<Led> at = find(id, job);
      if (!at || at->job.is_final() || led->count(Soft::kFree) == 0) continue;
      ask_for_bound(turn, *at);
      if (led->probe_token == 0) {
        probe(turn, *at, fresh);
      } else {
        led->probe_interval = kFirstProbeInterval;
        led->next_probe = std::min(led->next_probe, turn.now + kFirstProbeInterval);
      }
      changed(turn, *at);
    }
  }
}

void Coordinator::peer_restarted(Turn& turn, NodeId node) {
  for (auto& [id, group] : groups_) {
    if (!group.established) continue;
    const bool is_holder = std::any_of(group.jobs.begin(), group.jobs.end(), [&](const auto& job) {
      return job.second->nodes.contains(node) || job.second->awaited.contains(node);
    });
    if (is_holder) ask(group, node, turn.now);
  }
}

void Coordinator::add_watched(std::set<NodeId>& peers) const {
  for (const auto& [id, group] : groups_) {
    for (const auto& [job, led] : group.jobs) {
      peers.insert(led->awaited.begin(), led->awaited.end());
      for (const auto& [node, holding] : led->nodes) {
        if (!holding.bound.is_empty() || !holding.dropping.is_empty()) peers.insert(node);
      }
    }
  }
}

}  // namespace dunlin::sched
