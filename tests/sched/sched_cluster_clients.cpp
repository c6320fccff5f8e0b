// What the simulated cluster does with a scheduler's events, and the clients that ask it.
#include <algorithm>

#include "base/codec.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {

// ---- events -------------------------------------------------------------------------------------

void Cluster::forward(std::size_t host, const SchedEvent& event) {
  std::visit([&](const auto& held) { on(host, held); }, event);
}

// An input for the same life of the host, a little later.
void Cluster::later(std::size_t host, Duration time,
                    std::function<void(Scheduler&, Effects&)> input) {
  const std::uint64_t life = hosts_[host].life;
  after(time, [this, host, life, input = std::move(input)] {
    if (hosts_[host].life == life) enter(host, input);
  });
}

void Cluster::on(std::size_t, const Answer& answer) {
  if (answers.contains(answer.request)) violations_.push_back("a request answered twice");
  answers.emplace(answer.request, answer.answer);
}

void Cluster::on(std::size_t, const JobsCounted& counts) {
  counted[counts.request] = counts;
}

void Cluster::on(std::size_t, const EventsListed& answer) {
  listed.insert_or_assign(answer.request, answer.list);
}

void Cluster::on(std::size_t host, const AppliedWanted& wanted) {
  later(host, {}, [this, host, wanted](Scheduler& s, Effects& out) {
    std::vector<std::pair<GroupId, LogIndex>> applied;
    for (const GroupId group : wanted.groups) {
      applied.emplace_back(group, hosts_[host].applied[group]);
    }
    s.on_applied(now_, wanted.token, applied, out);
  });
}

void Cluster::on(std::size_t host, const AskGroup& question) {
  const std::uint64_t number = next_ask_++;
  asks_[number] = {host, hosts_[host].life, question};
  after(microseconds(100), [this, number] { try_ask(number); });
  at(question.deadline, [this, number] {
    Ask& late = asks_[number];
    if (late.done || hosts_[late.host].life != late.life) return;
    late.done = true;
    enter(late.host, [&](Scheduler& s, Effects& out) {
      s.on_group_reply(now_, late.question.token, fail(Code::kTimeout, "no leader"), out);
    });
  });
}

void Cluster::on(std::size_t, const ReplyGroup& reply) {
  const auto handle = handles_.find(reply.handle);
  if (handle == handles_.end()) {
    violations_.push_back("a handle answered twice");
    return;
  }
  const std::uint64_t number = handle->second;
  handles_.erase(handle);
  after(microseconds(200), [this, number, what = reply.reply] {
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
}

void Cluster::on(std::size_t host, const ReadGroup& read) {
  const Term term = groups_[read.group].term;
  later(host, microseconds(300), [this, host, read, term](Scheduler& s, Effects& out) {
    const Group& state = groups_[read.group];
    const bool ok = state.leader == host && state.term == term;
    if (ok) apply_next(read.group, host);
    s.on_read_ready(now_, read.group, read.token, ok, out);
  });
}

void Cluster::on(std::size_t host, const Propose& p) {
  later(host, microseconds(400), [this, host, p](Scheduler& s, Effects& out) {
    Group& state = groups_[p.group];
    constexpr std::size_t kMostPayload =
        1024 * 1024 - 1;  // the groups' limit, with a byte of module
    if (p.payload.size() > kMostPayload) violations_.push_back("an entry is too long");
    const bool is_led = state.leader == host && state.term == p.term && !state.refuses;
    if (!is_led || p.payload.size() > kMostPayload) {
      s.on_propose_refused(now_, p.group, p.token, out);
      return;
    }
    state.log.emplace_back(p.term, p.payload);
    if (on_entry) on_entry(host, p.group, p.payload);
    if (options_.check) check_entry(p.group, p.payload);
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      after(i == host ? microseconds(1) : microseconds(300),
            [this, i, group = p.group] { apply_next(group, i); });
    }
  });
}

void Cluster::on(std::size_t host, const FetchBlob& fetch) {
  ++fetches_;
  later(host, hosts_[host].staging_time, [this, fetch](Scheduler& s, Effects& out) {
    const auto blob = blobs_.find(fetch.blob.id);
    Result<Bytes> content = fail(Code::kNotFound, "no such blob");
    if (blob != blobs_.end()) content = blob->second;
    s.on_blob_fetched(now_, fetch.token, content, out);
  });
}

void Cluster::on(std::size_t host, const LocalizeBlob& local) {
  most_localizing_ = std::max(most_localizing_, ++hosts_[host].localizing);
  later(host, hosts_[host].staging_time, [this, host, local](Scheduler& s, Effects& out) {
    --hosts_[host].localizing;
    Result<FileExtent> extent = fail(Code::kNotFound, "no such blob");
    if (blobs_.contains(local.blob.id)) extent = FileExtent{"packs/1", 0, local.blob.length};
    if (hosts_[host].staging_trouble) extent = tl::unexpected(*hosts_[host].staging_trouble);
    s.on_blob_local(now_, local.token, extent, out);
  });
}

BlobRef Cluster::store(const Bytes& blob) {
  const BlobRef ref{blob_id_of(blob), static_cast<std::uint32_t>(blob.size())};
  blobs_[ref.id] = blob;
  return ref;
}

void Cluster::on(std::size_t host, const PutBlob& put) {
  later(host, milliseconds(1), [this, put](Scheduler& s, Effects& out) {
    const BlobRef ref{blob_id_of(put.data), static_cast<std::uint32_t>(put.data.size())};
    put_bytes_ += put.data.size();
    blobs_[ref.id] = put.data;
    s.on_blob_stored(now_, put.token, ref, out);
  });
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

std::uint64_t Cluster::ask_events(std::size_t host, const ListEvents& query) {
  const std::uint64_t request = next_request_++;
  enter(host,
        [&](Scheduler& s, Effects& out) { s.list_events(now_, wall(), request, query, out); });
  return request;
}

Result<EventList> Cluster::events(std::size_t host, const ListEvents& query, Duration most) {
  const std::uint64_t request = ask_events(host, query);
  run_until([&] { return listed.contains(request); }, most);
  const auto at = listed.find(request);
  if (at == listed.end()) return fail(Code::kTimeout, "no answer at all");
  return at->second;
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

bool Cluster::ends(const JobId& job, Duration most) {
  return run_until([&] { return is_final(job); }, most);
}

TaskView Cluster::task(const JobId& job, std::uint32_t number) {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i].scheduler) continue;
    const ListTasks query{job, {{number, number, 1}}, std::nullopt, 0, 1};
    const Result<JobAnswer> answer = call(i, query);
    if (!answer) continue;
    const TaskList& list = std::get<TaskList>(*answer);
    return list.tasks.empty() ? TaskView{} : list.tasks[0];
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
    if (chunk.attempt.number != 0) read.attempt = chunk.attempt.number;
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
      const Result<ProcessLabel> label = decode<ProcessLabel>(process.label);
      if (label && label->job == job && !process.exit) ++count;
    }
  }
  return count;
}

}  // namespace dunlin::sched::testing
