#include "sched/sched_cluster.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "sched/commands.h"

namespace dunlin::sched::testing {

namespace {

constexpr std::uint64_t kWindow = 1024 * 1024;
constexpr std::size_t kPiece = 64 * 1024;

// The executor's label, as far as the checkers read it.
struct Label {
  GroupId group;
  JobId job;
  std::string user;
  std::uint32_t index = 0;
  Attempt attempt;
  static constexpr auto fields() {
    return std::tuple{&Label::group, &Label::job, &Label::user, &Label::index, &Label::attempt};
  }
};

std::uint64_t word(const std::vector<std::string>& argv, std::size_t at) {
  return at < argv.size() ? std::stoull(argv[at]) : 0;
}

}  // namespace

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
  std::vector<SchedEvent> events = here.scheduler->take_events();
  perform(host, effects);
  for (SchedEvent& event : events) forward(host, event);
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

void Cluster::tell_members() {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    std::map<NodeId, SchedMember> members;
    std::vector<RingNode> ring;
    for (const Host& host : hosts_) {
      SchedMember member;
      member.state = host.state;
      member.boot = host.boot;
      member.cpus = options_.cpus;
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
  config.group_count = options_.groups;
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
                          process.exit.has_value(), process.output_from[0],
                          process.output_from[1]});
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
  hosts_[host].running.clear();
  const std::uint64_t life = hosts_[host].life;
  after(seconds(1), [this, host, life] {
    if (hosts_[host].life != life) return;
    hosts_[host].state = SchedMemberState::kSuspect;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      enter(i, [&](Scheduler& s, Effects& out) { s.peer_suspected(now_, hosts_[host].id, out); });
    }
  });
  after(dead_after, [this, host, life] {
    if (hosts_[host].life != life) return;
    hosts_[host].state = SchedMemberState::kDead;
    tell_members();
  });
}

void Cluster::crash_process(std::size_t host) {
  stop(host);
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

void Cluster::hand_back(std::size_t host) {
  enter(host, [&](Scheduler& s, Effects& out) { s.hand_back(now_, out); });
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
        const Term epoch = decode<Term>(*fact.value).value_or(0);
        Term& known = epochs_[{host, fact.key}];
        if (epoch < known) violations_.push_back("an epoch went back: " + fact.key);
        known = std::max(known, epoch);
      }
      for (const Send& message : sends) send(host, message);
      for (const Ticket& ticket : tickets) {
        enter(host, [&](Scheduler& s, Effects& out) { s.on_durable(now_, ticket, out); });
      }
    });
  }
  for (const StartProcess& start : effects.starts) start_process(host, start);
  for (const SignalProcess& order : effects.signals) {
    SimProcess* process = find(host, order.key);
    if (process == nullptr || process->exit) continue;
    if (order.signal == 15 && process->argv[0] == "stubborn") continue;
    end_process(host, order.key, 128 + order.signal, order.signal);
  }
  for (const OutputTaken& taken : effects.taken) {
    SimProcess* process = find(host, taken.key);
    if (process == nullptr) continue;
    const std::size_t stream = taken.is_stderr ? 1 : 0;
    std::uint64_t& from = process->output_from[stream];
    if (taken.up_to <= from) continue;
    Bytes& output = process->output[stream];
    const std::uint64_t count = std::min<std::uint64_t>(taken.up_to - from, output.size());
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(count));
    from += count;
    const ProcessKey key = taken.key;
    after(microseconds(50), [this, host, key] { deliver(host, key); });
  }
  const std::uint64_t life = here.life;
  for (const FindOutputs& search : effects.output_searches) {
    after(microseconds(100), [this, host, life, search] {
      SimProcess* process = find(host, search.key);
      if (process == nullptr || hosts_[host].life != life) return;
      OutputsFound found{search.key, {}, ""};
      for (const auto& [name, bytes] : process->files) {
        found.files.push_back({name, bytes.size(), 0644});
      }
      tell(host, found);
    });
  }
  for (const ReadOutput& read : effects.output_reads) {
    after(microseconds(100), [this, host, life, read] {
      SimProcess* process = find(host, read.key);
      if (process == nullptr || hosts_[host].life != life) return;
      const Bytes& bytes = process->files[read.name];
      OutputData data{read.key, read.name, read.offset, {}, ""};
      const std::size_t from = std::min<std::size_t>(read.offset, bytes.size());
      const std::size_t count = std::min<std::size_t>(read.length, bytes.size() - from);
      data.bytes = to_bytes(ByteView(bytes).subspan(from, count));
      tell(host, data);
    });
  }
  for (const ReleaseProcess& release : effects.releases) {
    std::erase_if(here.running, [&](const SimProcess& p) { return p.key == release.key; });
  }
}

void Cluster::send(std::size_t from, const Send& message) {
  const std::size_t to = index_of(message.to);
  if (to == hosts_.size()) return;
  ++messages_;
  const bool is_local = to == from;
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

// ---- events -------------------------------------------------------------------------------------

void Cluster::forward(std::size_t host, SchedEvent& event) {
  const std::uint64_t life = hosts_[host].life;
  const auto later = [&](Duration time, std::function<void(Scheduler&, Effects&)> input) {
    after(time, [this, host, life, input = std::move(input)] {
      if (hosts_[host].life == life) enter(host, input);
    });
  };
  if (auto* answer = std::get_if<Answer>(&event)) {
    if (answers.contains(answer->request)) violations_.push_back("a request answered twice");
    answers.emplace(answer->request, answer->answer);
  } else if (auto* counts = std::get_if<JobsCounted>(&event)) {
    counted[counts->request] = *counts;
  } else if (auto* ask = std::get_if<AskGroup>(&event)) {
    const std::uint64_t number = next_ask_++;
    asks_[number] = {host, life, *ask};
    after(microseconds(100), [this, number] { try_ask(number); });
    at(ask->deadline, [this, number] {
      Ask& late = asks_[number];
      if (late.done || hosts_[late.host].life != late.life) return;
      late.done = true;
      enter(late.host, [&](Scheduler& s, Effects& out) {
        s.on_group_reply(now_, late.question.token, fail(Code::kTimeout, "no leader"), out);
      });
    });
  } else if (auto* reply = std::get_if<ReplyGroup>(&event)) {
    const std::uint64_t number = handles_[reply->handle];
    if (number == 0) {
      violations_.push_back("a handle answered twice");
      return;
    }
    handles_.erase(reply->handle);
    after(microseconds(200), [this, number, what = reply->reply] {
      Ask& asked = asks_[number];
      if (asked.done || hosts_[asked.host].life != asked.life) return;
      if (!what && what.error().code == Code::kUnreachable) {
        after(milliseconds(20), [this, number] { try_ask(number); });
        return;
      }
      asked.done = true;
      enter(asked.host, [&](Scheduler& s, Effects& out) {
        s.on_group_reply(now_, asked.question.token, what, out);
      });
    });
  } else if (auto* read = std::get_if<ReadGroup>(&event)) {
    const Term term = groups_[read->group].term;
    const GroupId group = read->group;
    const std::uint64_t token = read->token;
    later(microseconds(300), [this, host, group, token, term](Scheduler& s, Effects& out) {
      const Group& state = groups_[group];
      const bool ok = state.leader == host && state.term == term;
      if (ok) apply_next(group, host);
      s.on_read_ready(now_, group, token, ok, out);
    });
  } else if (auto* propose = std::get_if<Propose>(&event)) {
    later(microseconds(400), [this, host, p = *propose](Scheduler& s, Effects& out) {
      Group& state = groups_[p.group];
      if (state.leader != host || state.term != p.term) {
        s.on_propose_refused(now_, p.group, p.token, out);
        return;
      }
      state.log.emplace_back(p.term, p.payload);
      if (options_.check) check_entry(p.group, p.payload);
      for (std::size_t i = 0; i < hosts_.size(); ++i) {
        const GroupId group = p.group;
        after(i == host ? microseconds(1) : microseconds(300),
              [this, i, group] { apply_next(group, i); });
      }
    });
  } else if (auto* fetch = std::get_if<FetchBlob>(&event)) {
    later(microseconds(500), [this, f = *fetch](Scheduler& s, Effects& out) {
      const auto blob = blobs_.find(f.blob.id);
      Result<Bytes> content = fail(Code::kNotFound, "no such blob");
      if (blob != blobs_.end()) content = blob->second;
      s.on_blob_fetched(now_, f.token, content, out);
    });
  } else if (auto* local = std::get_if<LocalizeBlob>(&event)) {
    later(microseconds(500), [this, l = *local](Scheduler& s, Effects& out) {
      Result<FileExtent> extent = fail(Code::kNotFound, "no such blob");
      if (blobs_.contains(l.blob.id)) extent = FileExtent{"packs/1", 0, l.blob.length};
      s.on_blob_local(now_, l.token, extent, out);
    });
  } else if (auto* put = std::get_if<PutBlob>(&event)) {
    later(milliseconds(1), [this, p = *put](Scheduler& s, Effects& out) {
      if (random_.chance(blob_failures_)) {
        s.on_blob_stored(now_, p.token, fail(Code::kTimeout, "slow"), out);
        return;
      }
      const BlobRef ref{blob_id_of(p.data), static_cast<std::uint32_t>(p.data.size())};
      put_bytes_ += p.data.size();
      blobs_[ref.id] = p.data;
      s.on_blob_stored(now_, p.token, ref, out);
    });
  } else if (auto* watch = std::get_if<WatchPeers>(&event)) {
    hosts_[host].watched = watch->peers;
  }
}

void Cluster::try_ask(std::uint64_t number) {
  Ask& asked = asks_[number];
  if (asked.done || hosts_[asked.host].life != asked.life) return;
  const GroupId group = asked.question.group;
  const std::optional<std::size_t> leader = groups_[group].leader;
  if (!leader || !hosts_[*leader].scheduler || cuts_.contains(std::minmax(asked.host, *leader))) {
    after(milliseconds(50), [this, number] { try_ask(number); });
    return;
  }
  const std::uint64_t handle = next_handle_++;
  handles_[handle] = number;
  const std::uint64_t life = hosts_[*leader].life;
  // A leader that dies with the question is noticed by the router.
  after(seconds(2), [this, number, handle, leader = *leader, life] {
    if (handles_.contains(handle) && hosts_[leader].life != life) {
      handles_.erase(handle);
      try_ask(number);
    }
  });
  enter(*leader, [&](Scheduler& s, Effects& out) {
    s.on_group_request(now_, wall(), handle, hosts_[asked.host].id, group, asked.question.body,
                       out);
  });
}

// ---- clients ------------------------------------------------------------------------------------

JobId Cluster::make_id(GroupId group) {
  std::array<std::uint8_t, 10> chance;
  random_.fill(chance);
  return JobId::make(group, options_.groups, chance);
}

std::uint64_t Cluster::ask(std::size_t host, JobRequest what) {
  const std::uint64_t request = next_request_++;
  enter(host, [&](Scheduler& s, Effects& out) {
    s.request(now_, wall(), request, std::move(what), out);
  });
  return request;
}

std::uint64_t Cluster::count(std::size_t host) {
  const std::uint64_t request = next_request_++;
  enter(host, [&](Scheduler& s, Effects& out) { s.count_jobs(now_, wall(), request, out); });
  return request;
}

Result<JobAnswer> Cluster::call(std::size_t host, JobRequest what, Duration most) {
  const std::uint64_t request = ask(host, std::move(what));
  run_until([&] { return answers.contains(request); }, most);
  const auto at = answers.find(request);
  if (at == answers.end()) return fail(Code::kTimeout, "no answer at all");
  return at->second;
}

JobSpec Cluster::spec(std::vector<std::string> argv, std::uint32_t tasks) {
  JobSpec spec;
  spec.argv = std::move(argv);
  spec.tasks = {{1, tasks, 1}};
  spec.many = tasks > 1;
  return spec;
}

JobId Cluster::submit(std::size_t host, GroupId group, const JobSpec& spec,
                      const std::string& user) {
  const JobId id = make_id(group);
  const Result<JobAnswer> answer = call(host, SubmitJob{id, user, "", spec});
  if (!answer) violations_.push_back("a submission was refused: " + answer.error().message);
  return id;
}

JobSummary Cluster::show(const JobId& job) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i].scheduler) continue;
    const Result<JobAnswer> answer = call(i, ShowJob{job, false});
    if (answer) return std::get<JobView>(*answer).job;
  }
  return {};
}

std::string Cluster::read_log(std::size_t host, const JobId& job, std::uint32_t task,
                              bool is_stderr) {
  std::string text;
  ReadLog read;
  read.id = job;
  read.task = task;
  read.is_stderr = is_stderr;
  read.follow = true;
  for (;;) {
    const Result<JobAnswer> answer = call(host, read);
    if (!answer) return "error: " + answer.error().message;
    const LogChunk& chunk = std::get<LogChunk>(*answer);
    if (chunk.truncated) text += "[cut]";
    text += to_text(chunk.data);
    if (chunk.end) return text;
    read.offset = chunk.offset + chunk.data.size();
    if (chunk.attempt != 0) read.attempt = chunk.attempt;
  }
}

std::size_t Cluster::starts(const JobId& job) const {
  return static_cast<std::size_t>(
      std::count_if(starts_.begin(), starts_.end(),
                    [&](const auto& entry) { return std::get<0>(entry.first) == job; }));
}

std::size_t Cluster::running(const JobId& job) const {
  std::size_t count = 0;
  for (const Host& host : hosts_) {
    for (const SimProcess& process : host.running) {
      const Result<Label> label = decode<Label>(process.label);
      if (label && label->job == job && !process.exit) ++count;
    }
  }
  return count;
}

// ---- processes ----------------------------------------------------------------------------------

SimProcess* Cluster::find(std::size_t host, ProcessKey key) {
  for (SimProcess& process : hosts_[host].running) {
    if (process.key == key) return &process;
  }
  return nullptr;
}

void Cluster::tell(std::size_t host, ProcessEvent event) {
  enter(host, [&](Scheduler& s, Effects& out) { s.on_process(now_, wall(), event, out); });
}

void Cluster::start_process(std::size_t host, const StartProcess& start) {
  const Result<Label> label = decode<Label>(start.label);
  ASSERT(label.has_value());
  const std::tuple key{label->job, label->index, label->attempt};
  if (!starts_.emplace(key, StartRecord{host, now_}).second) {
    violations_.push_back("an attempt was started twice: " + label->job.text() + "." +
                          std::to_string(label->index));
  }
  SimProcess process;
  process.key = start.key;
  process.label = start.label;
  process.argv = start.argv;
  process.environment.insert(start.environment.begin(), start.environment.end());
  process.started_at = wall();
  process.pid = next_pid_++;
  const std::vector<std::string>& argv = process.argv;
  const std::string what = argv[0];
  const std::uint64_t ms = what == "make" ? 1 : word(argv, argv.size() > 2 ? 2 : 1);
  std::int32_t code = 0;
  if (what == "exit") code = static_cast<std::int32_t>(word(argv, 1));
  if (what == "flaky" && std::stoull(process.environment["DUNLIN_ATTEMPT"]) <= word(argv, 1)) {
    code = 1;
  }
  if (what == "print" || what == "slow-print") process.to_write = word(argv, 1);
  process.writes_at_once = what == "print";
  if (what == "make") {
    process.files[argv[1]] = Bytes(word(argv, 2), 'x');
  }
  const std::uint64_t to_write = process.to_write;
  hosts_[host].running.push_back(std::move(process));
  const ProcessKey number = start.key;
  after(microseconds(50), [this, host, number] {
    const SimProcess* started = find(host, number);
    if (started != nullptr) tell(host, ProcessStarted{number, started->pid});
  });
  if (what == "missing") {
    after(microseconds(100), [this, host, number] {
      if (SimProcess* p = find(host, number)) {
        ProcessExited exit;
        exit.key = number;
        exit.exit_code = 127;
        exit.start_error = 2;
        exit.started_at = exit.finished_at = wall();
        p->exit = exit;
        deliver(host, number);
      }
    });
    return;
  }
  if (what == "slow-print") {
    for (std::uint64_t i = 0; i < to_write; ++i) {
      after(milliseconds(static_cast<std::int64_t>(ms * (i + 1) / (to_write + 1))),
            [this, host, number, i] {
              SimProcess* p = find(host, number);
              if (p == nullptr || p->exit) return;
              const auto byte = static_cast<std::uint8_t>('a' + i % 26);
              write(host, *p, false, Bytes{byte});
            });
    }
  } else if (to_write > 0) {
    after(microseconds(60), [this, host, number] { deliver(host, number); });
  }
  after(milliseconds(static_cast<std::int64_t>(ms)) + microseconds(200),
        [this, host, number, code] { end_process(host, number, code, 0); });
}

void Cluster::write(std::size_t host, SimProcess& process, bool is_stderr, ByteView bytes) {
  append(process.output[is_stderr ? 1 : 0], bytes);
  deliver(host, process.key);
}

// Gives what the window allows, then the end.
void Cluster::deliver(std::size_t host, ProcessKey key) {
  SimProcess* process = find(host, key);
  if (process == nullptr) return;
  if (process->writes_at_once) {
    // A task that writes as fast as it may: its pipe is read while the window has room.
    while (process->to_write > 0 && process->output[0].size() < kWindow) {
      const std::uint64_t size =
          std::min<std::uint64_t>({process->to_write, kPiece, kWindow - process->output[0].size()});
      const std::uint64_t at = process->output_from[0] + process->output[0].size();
      for (std::uint64_t i = 0; i < size; ++i) {
        process->output[0].push_back(static_cast<std::uint8_t>('a' + (at + i) % 26));
      }
      process->to_write -= size;
    }
  }
  largest_output_ = std::max(largest_output_, process->output[0].size());
  if (!hosts_[host].scheduler) return;
  for (std::size_t stream = 0; stream < 2; ++stream) {
    process = find(host, key);
    while (process != nullptr) {
      const std::uint64_t end = process->output_from[stream] + process->output[stream].size();
      std::uint64_t& delivered = process->delivered[stream];
      delivered = std::max(delivered, process->output_from[stream]);
      if (delivered >= end) break;
      const std::size_t from = static_cast<std::size_t>(delivered - process->output_from[stream]);
      const std::size_t size = std::min<std::size_t>(kPiece, process->output[stream].size() - from);
      ProcessOutput output{key, stream == 1, delivered,
                           to_bytes(ByteView(process->output[stream]).subspan(from, size))};
      delivered += size;
      tell(host, output);
      process = find(host, key);
    }
  }
  if (process == nullptr || !process->exit || process->exit_told || process->to_write > 0) return;
  process->exit_told = true;
  ProcessExited exit = *process->exit;
  for (std::size_t stream = 0; stream < 2; ++stream) {
    const std::uint64_t end = process->output_from[stream] + process->output[stream].size();
    (stream == 0 ? exit.stdout_end : exit.stderr_end) = end;
  }
  tell(host, exit);
}

void Cluster::end_process(std::size_t host, ProcessKey key, std::int32_t code,
                          std::int32_t signal) {
  SimProcess* process = find(host, key);
  if (process == nullptr || process->exit) return;
  if (process->to_write > 0 && process->writes_at_once && signal == 0) {
    after(milliseconds(5), [this, host, key, code] { end_process(host, key, code, 0); });
    return;
  }
  process->to_write = 0;
  ProcessExited exit;
  exit.key = key;
  exit.exit_code = code;
  exit.signal = signal;
  exit.started_at = process->started_at;
  exit.finished_at = wall();
  exit.cpu_ms = 1;
  exit.max_rss = 1 << 20;
  process->exit = exit;
  deliver(host, key);
}

}  // namespace dunlin::sched::testing
