#include "sched/sched_cluster.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "sched/commands.h"

namespace dunlin::sched::testing {

Cluster::Cluster(ClusterOptions options) : options_(options), random_(options.seed) {
  hosts_.resize(options_.nodes);
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    hosts_[i].id.raw[0] = static_cast<std::uint8_t>(i + 1);
    hosts_[i].id.raw[15] = static_cast<std::uint8_t>(7 * i + 3);
  }
  for (std::size_t i = 0; i < options_.nodes; ++i) start(i);
  for (std::uint16_t g = 0; g < options_.groups; ++g) {
    groups_[GroupId{g}];
    lead(GroupId{g}, g % options_.nodes);
  }
}

Cluster::~Cluster() = default;

// ---- time ---------------------------------------------------------------------------------------

void Cluster::at(Instant when, std::function<void()> what) {
  queue_[{std::max(when, now_), sequence_++}] = std::move(what);
}

bool Cluster::run_until(const std::function<bool()>& condition, Duration most) {
  const Instant end = now_ + most;
  while (!condition()) {
    if (queue_.empty() || queue_.begin()->first.first > end) {
      now_ = end;
      return condition();
    }
    const auto first = queue_.begin();
    now_ = first->first.first;
    const std::function<void()> what = std::move(first->second);
    queue_.erase(first);
    what();
  }
  return true;
}

void Cluster::run_for(Duration time) {
  run_until([] { return false; }, time);
}

void Cluster::tick(std::size_t host) {
  Host& here = hosts_[host];
  here.tick_at = Instant::never();
  if (!here.scheduler) return;
  enter(host, [&](Scheduler& s, Effects& out) { s.tick(now_, wall(), out); });
}

void Cluster::enter(std::size_t host, const std::function<void(Scheduler&, Effects&)>& input) {
  Host& here = hosts_[host];
  if (!here.scheduler) return;
  Effects effects;
  input(*here.scheduler, effects);
  const std::vector<SchedEvent> events = here.scheduler->take_events();
  perform(host, effects);
  for (const SchedEvent& event : events) forward(host, event);
  if (!here.scheduler) return;
  const Instant next = std::max(here.scheduler->next_deadline(), now_);
  if (next < here.tick_at && next != Instant::never()) {
    here.tick_at = next;
    const std::uint64_t life = here.life;
    // A loop needs a moment to come round: without it a deadline in the past would stop time.
    at(std::max(next, now_ + microseconds(20)), [this, host, life, next] {
      if (hosts_[host].life == life && hosts_[host].tick_at == next) tick(host);
    });
  }
}

// ---- hosts --------------------------------------------------------------------------------------

std::size_t Cluster::index_of(const NodeId& id) const {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].id == id) return i;
  }
  return hosts_.size();
}

template <class T>
T of_host(const std::map<std::size_t, T>& given, std::size_t host) {
  const auto at = given.find(host);
  return at == given.end() ? T{} : at->second;
}

void Cluster::tell_members() {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    std::map<NodeId, SchedMember> members;
    std::vector<RingNode> ring;
    for (const Host& host : hosts_) {
      SchedMember member;
      member.state = host.state;
      member.is_retired = host.is_retired;
      member.boot = host.boot;
      member.cpus = options_.cpus;
      member.root_jobs_only =
          options_.root_jobs_only_is_told && options_.root_jobs_only.contains(index_of(host.id));
      member.zone = of_host(options_.zones, index_of(host.id));
      member.labels = of_host(options_.labels, index_of(host.id));
      member.devices = of_host(options_.devices, index_of(host.id));
      members[host.id] = member;
      if (host.state != SchedMemberState::kDead) ring.push_back({host.id, "", 1});
    }
    enter(i, [&](Scheduler& s, Effects& out) { s.set_members(now_, members, Ring(ring), out); });
  }
}

void Cluster::start(std::size_t host) {
  Host& here = hosts_[host];
  ++here.boot;
  ++here.life;
  here.state = SchedMemberState::kAlive;
  SchedConfig config;
  config.cpus = options_.cpus;
  config.root_jobs_only = options_.root_jobs_only.contains(host);
  config.devices = of_host(options_.devices, host);
  config.group_count = options_.groups;
  config.most_group_bytes = options_.most_group_bytes;
  config.node_name = "n" + std::to_string(host);
  here.scheduler =
      std::make_unique<Scheduler>(here.id, here.boot, config, Random(options_.seed * 1000 + host));
  here.tick_at = Instant::never();
  here.durable_at = now_;
  for (const auto& [key, value] : here.facts) {
    ASSERT(here.scheduler->recover_fact(key, value).has_value());
  }
  for (const auto& [key, value] : here.rows) {
    if (value) ASSERT(here.scheduler->recover_row(key, *value).has_value());
  }
  here.applied = here.checkpointed;
  for (const auto& [group, count] : here.applied) here.scheduler->recover_applied(group, count);
  for (auto& [group, state] : groups_) apply_next(group, host);
  enter(host, [&](Scheduler& s, Effects& out) { s.tick(now_, wall(), out); });
  tell_members();
  for (auto& [group, state] : groups_) {
    if (state.leader && *state.leader != host) {
      const NodeId leader = hosts_[*state.leader].id;
      enter(host,
            [&, g = group](Scheduler& s, Effects& out) { s.learn_leader(now_, g, leader, out); });
    }
  }
  RunnerReady ready;
  for (SimProcess& process : here.running) {
    process.delivered = process.output_from;
    process.exit_told = false;
    ready.held.push_back({process.key, process.label, process.pid, process.started_at,
                          process.exit.has_value(), process.output_from[0], process.output_from[1],
                          process.told_to_end});
  }
  tell(host, ready);
  for (const RunnerHeld& held : ready.held) deliver(host, held.key);
}

void Cluster::stop(std::size_t host) {
  Host& here = hosts_[host];
  here.scheduler.reset();
  ++here.life;
  for (auto& [group, state] : groups_) {
    if (state.leader == host) {
      state.leader.reset();
      const GroupId g = group;
      after(seconds(1), [this, g] {
        if (groups_[g].leader) return;
        std::vector<std::size_t> up;
        for (std::size_t i = 0; i < hosts_.size(); ++i) {
          if (hosts_[i].scheduler) up.push_back(i);
        }
        if (!up.empty()) lead(g, up[random_.below(up.size())]);
      });
    }
  }
}

void Cluster::crash(std::size_t host, Duration dead_after) {
  stop(host);
  for (const SimProcess& process : hosts_[host].running) {
    const Result<ProcessLabel> label = decode<ProcessLabel>(process.label);
    if (label && !process.exit_told) died_under_[{label->job, label->index}].insert(host);
  }
  hosts_[host].running.clear();
  const std::uint64_t life = hosts_[host].life;
  after(seconds(1), [this, host, life] {
    if (hosts_[host].life != life) return;
    hosts_[host].state = SchedMemberState::kSuspect;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      enter(i, [&](Scheduler& s, Effects& out) { s.peer_suspected(now_, hosts_[host].id, out); });
    }
  });
  declare_dead(host, dead_after);
}

void Cluster::suspect(std::size_t host) {
  hosts_[host].state = SchedMemberState::kSuspect;
  tell_members();
}

void Cluster::declare_dead(std::size_t host, Duration delay) {
  after(delay, [this, host, life = hosts_[host].life] {
    if (hosts_[host].life != life) return;
    hosts_[host].state = SchedMemberState::kDead;
    tell_members();
  });
}

std::size_t Cluster::hosts_that_died_under_a_task(const JobId& job) const {
  std::size_t most = 0;
  for (auto task = died_under_.lower_bound({job, 0});
       task != died_under_.end() && task->first.first == job; ++task) {
    most = std::max(most, task->second.size());
  }
  return most;
}

void Cluster::crash_process(std::size_t host, std::optional<Duration> dead_after) {
  stop(host);
  if (dead_after) declare_dead(host, *dead_after);
}

void Cluster::restart(std::size_t host) {
  start(host);
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (i == host) continue;
    enter(i, [&](Scheduler& s, Effects& out) {
      s.peer_restarted(now_, hosts_[host].id, hosts_[host].boot, out);
    });
  }
  for (auto& [group, state] : groups_) {
    if (!state.leader) lead(group, host);
  }
}

void Cluster::set_draining(std::size_t host, bool draining) {
  enter(host, [&](Scheduler& s, Effects& out) { s.set_draining(now_, draining, out); });
}

void Cluster::hand_back(std::size_t host) {
  enter(host, [&](Scheduler& s, Effects& out) { s.hand_back(now_, out); });
}

void Cluster::lose_runner(std::size_t host) {
  hosts_[host].running.clear();
  tell(host, RunnerLost{});
  tell(host, RunnerReady{});
}

void Cluster::set_disk(std::size_t host, std::uint64_t total, std::uint64_t free) {
  enter(host, [&](Scheduler& s, Effects&) { s.set_disk(total, free); });
}

void Cluster::trouble_staging(std::size_t host, std::optional<Error> error) {
  hosts_[host].staging_trouble = std::move(error);
}

void Cluster::forget(std::size_t host) {
  hosts_[host].is_retired = true;
  tell_members();
}

void Cluster::cut(std::size_t a, std::size_t b, bool is_cut) {
  const auto pair = std::minmax(a, b);
  if (is_cut) {
    cuts_.insert(pair);
  } else {
    cuts_.erase(pair);
  }
}

void Cluster::checkpoint(std::size_t host) {
  Host& here = hosts_[host];
  StateRows rows;
  here.scheduler->take_dirty(rows);
  for (auto& [key, value] : rows) here.rows[key] = std::move(value);
  here.checkpointed = here.applied;
}

// ---- effects ------------------------------------------------------------------------------------

void Cluster::perform(std::size_t host, Effects& effects) {
  Host& here = hosts_[host];
  for (const Send& message : effects.sends) send(host, message);
  if (effects.has_durable() || !effects.tickets.empty() || !effects.sends_when_durable.empty()) {
    // Batches become durable in order.
    here.durable_at = std::max(here.durable_at, now_ + microseconds(200));
    const std::uint64_t life = here.life;
    at(here.durable_at, [this, host, life, facts = effects.facts, tickets = effects.tickets,
                         sends = effects.sends_when_durable] {
      Host& there = hosts_[host];
      if (there.life != life) return;
      for (const Fact& fact : facts) {
        if (!fact.value) {
          there.facts.erase(fact.key);
          continue;
        }
        there.facts[fact.key] = *fact.value;
        check_epoch(host, fact.key, decode<Term>(*fact.value).value_or(0));
      }
      for (const Send& message : sends) send(host, message);
      for (const Ticket& ticket : tickets) {
        enter(host, [&](Scheduler& s, Effects& out) { s.on_durable(now_, ticket, out); });
      }
    });
  }
  perform_runner(host, effects);
}

void Cluster::send(std::size_t from, const Send& message) {
  const std::size_t to = index_of(message.to);
  if (to == hosts_.size()) return;
  ++messages_;
  const bool is_local = to == from;
  if (on_frame && !is_local) on_frame(from, to, message.frame);
  if (!is_local && cuts_.contains(std::minmax(from, to))) return;
  if (!is_local && random_.chance(options_.loss)) return;
  const int copies = !is_local && random_.chance(options_.duplication) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Duration delay =
        is_local ? microseconds(5) : random_.between(options_.least_delay, options_.most_delay);
    const NodeId sender = hosts_[from].id;
    after(delay, [this, to, sender, frame = message.frame] {
      enter(to, [&](Scheduler& s, Effects& out) { s.receive(now_, sender, frame, out); });
    });
  }
}

// ---- groups -------------------------------------------------------------------------------------

void Cluster::lead(GroupId group, std::optional<std::size_t> host) {
  Group& state = groups_[group];
  const std::optional<std::size_t> before = state.leader;
  state.leader = host;
  ++state.term;
  if (before && hosts_[*before].scheduler) {
    enter(*before, [&](Scheduler& s, Effects& out) { s.following(now_, group, out); });
  }
  if (!host) return;
  const Term term = state.term;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (i == *host) continue;
    const NodeId leader = hosts_[*host].id;
    after(milliseconds(1), [this, i, group, leader] {
      enter(i, [&](Scheduler& s, Effects& out) { s.learn_leader(now_, group, leader, out); });
    });
  }
  enter(*host, [&](Scheduler& s, Effects& out) { s.leading(now_, group, term, out); });
}

std::optional<std::size_t> Cluster::leader(GroupId group) const {
  return groups_.at(group).leader;
}

void Cluster::apply_next(GroupId group, std::size_t host) {
  Host& here = hosts_[host];
  Group& state = groups_[group];
  while (here.scheduler && here.applied[group] < state.log.size()) {
    const std::size_t index = here.applied[group]++;
    const auto [term, payload] = state.log[index];
    enter(host,
          [&](Scheduler& s, Effects& out) { s.apply(now_, group, index + 1, term, payload, out); });
    if (here.scheduler && random_.chance(0.02)) checkpoint(host);
  }
}

void Cluster::check_entry(GroupId group, const Bytes& payload) {
  const Result<Command> command = reference_.apply(group, ++reference_applied_[group], payload);
  if (!command) {
    violations_.push_back("an entry that makes no sense");
    return;
  }
  std::set<JobId> jobs;
  if (const auto* c = std::get_if<SubmitCommand>(&*command)) jobs.insert(c->job);
  if (const auto* c = std::get_if<CompleteCommand>(&*command)) {
    for (const NodeResults& results : c->results) jobs.insert(results.job);
  }
  if (const auto* c = std::get_if<LostCommand>(&*command)) jobs.insert(c->job);
  if (const auto* c = std::get_if<CancelCommand>(&*command)) jobs.insert(c->job);
  if (const auto* c = std::get_if<OutcomeCommand>(&*command)) jobs.insert(c->job);
  if (const auto* c = std::get_if<RetryCommand>(&*command)) {
    jobs.insert(c->job);
    note_reopened(group, *c);
  }
  for (const JobId& id : jobs) {
    const Job* found = reference_.find(group, id);
    if (found == nullptr) continue;
    const JobHead& head = found->head;
    const bool adds_up = head.done == found->columns.count(Closed::kDone) &&
                         head.failed == found->columns.count(Closed::kFailed) &&
                         head.cancelled == found->columns.count(Closed::kCancelled) &&
                         head.open() == found->columns.count(Closed::kOpen);
    if (!adds_up) violations_.push_back("counts do not add up: " + id.text());
    if (head.total > 5000) continue;
    for (std::uint32_t i = 0; i < head.total; ++i) {
      const Closed state = found->columns.state(i);
      const auto known = closed_.find({id, i});
      if (known != closed_.end() && known->second != state) {
        violations_.push_back("a final task changed: " + id.text() + "." + std::to_string(i));
      }
      if (state != Closed::kOpen) closed_[{id, i}] = state;
    }
  }
}

// A retry alone may open what was closed, of the tasks that it names, and what was done only where
// it says so.
void Cluster::note_reopened(GroupId group, const RetryCommand& command) {
  const Job* job = reference_.find(group, command.job);
  if (job == nullptr) return;
  const auto is_named = [&](std::uint32_t i) {
    return command.tasks.empty() ||
           std::any_of(command.tasks.begin(), command.tasks.end(),
                       [&](const IndexRun& run) { return run.first <= i && i < run.end(); });
  };
  for (std::uint32_t i = 0; i < job->head.total; ++i) {
    const auto known = closed_.find({command.job, i});
    if (known == closed_.end() || job->columns.state(i) != Closed::kOpen || !is_named(i)) continue;
    if (known->second == Closed::kDone && !command.all) continue;
    closed_.erase(known);
  }
}

void Cluster::check_epoch(std::size_t host, const std::string& key, Term epoch) {
  Term& known = epochs_[{host, key}];
  if (epoch < known) violations_.push_back("an epoch went back: " + key);
  known = std::max(known, epoch);
}

void Cluster::check_start(std::size_t host, const ProcessLabel& label) {
  const std::tuple key{label.job, label.index, label.attempt};
  if (!starts_.emplace(key, StartRecord{host, now_}).second) {
    violations_.push_back("an attempt was started twice: " + label.job.text() + "." +
                          std::to_string(label.index));
  }
}

const Job* Cluster::job(const JobId& job) const {
  return reference_.find(job.group(options_.groups), job);
}

bool Cluster::is_final(const JobId& id) const {
  const Job* found = job(id);
  return found != nullptr && found->is_final();
}

std::size_t Cluster::entries(GroupId group) const {
  return groups_.at(group).log.size();
}

void Cluster::check_replicas() {
  for (const auto& [group, state] : groups_) {
    std::optional<Bytes> first;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      Host& host = hosts_[i];
      if (!host.scheduler || host.applied[group] != state.log.size()) continue;
      Bytes snapshot = host.scheduler->snapshot(group);
      if (first && *first != snapshot) {
        violations_.push_back("replicas of a group differ: " + std::to_string(group.value));
      }
      first = std::move(snapshot);
    }
  }
}

}  // namespace dunlin::sched::testing
