// A node that keeps jobs in memory and runs nothing: what the API and the command line are tested
// against. Commands it knows: `true`, `false`, `exit N`, `echo WORDS`, `complain WORDS` (stderr),
// `die N` (signal), `nowhere` (missing), `hang` (until finish or cancel), `queue` (never starts).
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/crypto.h"
#include "node/client.h"
#include "sched/validate.h"

namespace dunlin {

class FakeNode {
 public:
  static constexpr std::size_t kInline = 100;  // bytes of a log that lie in a result
  using Deliver = std::function<void(client::Reply)>;

  struct Log {
    std::string text;
    std::uint64_t cut = 0;  // bytes that were cut out before `text`
  };
  struct Job {
    SubmitJob submission;
    JobSummary summary;
    std::map<std::uint32_t, TaskView> tasks;
    std::map<std::pair<std::uint32_t, bool>, Log> logs;
  };

  Deliver deliver;
  std::uint16_t group_count = 16;
  NodeId self = NodeId::from_text(std::string(25, '0') + "4").value_or(NodeId{});
  std::map<JobId, Job> jobs;
  std::map<BlobId, Bytes> blobs;
  std::vector<Member> members;
  std::vector<client::TokenView> tokens;
  client::Status status;
  client::Metrics metrics;
  client::Checkup checkup;
  std::vector<std::string> leave_progress = {"groups: 3 left", "groups: none left"};
  std::optional<Error> leave_error;
  std::uint32_t silent_groups = 0;
  std::vector<client::EventList> event_pages;  // one behind the other, then empty ones
  std::size_t event_pages_told = 0;
  std::uint32_t tasks_scanned = UINT32_MAX;  // for one page, as a node scans large jobs
  bool stopped = false;

  // What came, and who left before he was answered.
  std::vector<client::Request> asked;
  std::vector<client::RequestId> gone;
  // An error for a request instead of its answer; nothing: as usual.
  std::function<std::optional<Error>(const client::Request&)> fault;

  void submit(client::RequestId id, client::Request request) {
    asked.push_back(request);
    if (fault) {
      if (const auto error = fault(request)) return reply(id, tl::unexpected(*error));
    }
    std::visit([&](auto& what) { on(id, what); }, request);
  }
  void leave(client::RequestId id) {
    gone.push_back(id);
    watchers.erase(id);
    readers.erase(id);
  }

  // ---- what a test does to a job ------------------------------------------------------------
  void write_log(const JobId& id, std::uint32_t task, bool is_stderr, const std::string& text) {
    jobs.at(id).logs[{task, is_stderr}].text += text;
    changed(id);
  }
  void finish_task(const JobId& id, std::uint32_t number, TaskState state, Reason reason,
                   int exit_code = 0) {
    TaskView& task = jobs.at(id).tasks.at(number);
    if (is_final(task.state)) return;
    task.state = state;
    task.reason = reason;
    task.finished_at = {clock += 1000};
    if (reason == Reason::kSignal) {
      task.signal = exit_code;
    } else if (state == TaskState::kDone || reason == Reason::kExit) {
      task.exit_code = exit_code;
    }
    recount(id);
  }
  void restart_task(const JobId& id, std::uint32_t number) {
    Job& job = jobs.at(id);
    job.tasks.at(number).attempt += 1;
    for (const bool is_stderr : {false, true}) job.logs[{number, is_stderr}] = {};
    recount(id);
  }

  std::size_t watching() const { return watchers.size(); }
  std::vector<OrderJob> orders;  // as they were asked for

 private:
  struct Reader {
    ReadLog what;
  };

  void reply(client::RequestId id, Result<client::Answer> answer, bool last = true) {
    deliver({id, std::move(answer), last});
  }
  void reply_job(client::RequestId id, JobAnswer answer) {
    reply(id, client::Answer(std::move(answer)));
  }
  Job* find(client::RequestId request, const JobId& id) {
    const auto at = jobs.find(id);
    if (at != jobs.end()) return &at->second;
    reply(request, fail(Code::kNotFound, "there is no job " + id.text()));
    return nullptr;
  }

  void on(client::RequestId id, JobRequest& request) {
    std::visit([&](auto& what) { on_job(id, what); }, request);
  }
  void on(client::RequestId id, client::PickGroup&) {
    reply(id, client::Answer(client::PickedGroup{GroupId{3}, group_count}));
  }
  void on(client::RequestId id, client::PutBlob& put) {
    const BlobId name = blob_id_of(put.data);
    blobs[name] = put.data;
    reply(id, client::Answer(client::BlobPut{name, {self}}));
  }
  void on(client::RequestId id, client::GetBlob& get) {
    const auto at = blobs.find(get.id);
    if (at == blobs.end()) return reply(id, fail(Code::kNotFound, "no such blob"));
    reply(id, client::Answer(client::BlobGot{at->second}));
  }
  void on(client::RequestId id, client::ListNodes&) {
    reply(id, client::Answer(client::NodeList{members, self, Instant{5'000'000}}));
  }
  void on(client::RequestId id, client::GetStatus&) { reply(id, client::Answer(status)); }
  void on(client::RequestId id, client::CreateToken& create) {
    reply(id, client::Answer(client::TokenCreated{"dunlin-token-" + std::to_string(create.uses),
                                                  "tok1",
                                                  {clock + create.ttl.milliseconds()},
                                                  create.role,
                                                  create.user}));
  }
  void on(client::RequestId id, client::ListTokens& list) {
    client::TokenList found;
    for (const client::TokenView& token : tokens) {
      if (list.all || token.state == TokenState::kValid) found.tokens.push_back(token);
    }
    reply(id, client::Answer(std::move(found)));
  }
  void on(client::RequestId id, client::EndToken& end) {
    for (client::TokenView& token : tokens) {
      if (token.id != end.token) continue;
      token.state = TokenState::kRevoked;
      return reply(id, client::Answer(client::Done{}));
    }
    reply(id, fail(Code::kNotFound, "there is no token " + end.token.text()));
  }
  void on(client::RequestId id, client::LeaveNode&) {
    for (const std::string& line : leave_progress) {
      reply(id, client::Answer(client::Progress{line}), false);
    }
    if (leave_error) return reply(id, tl::unexpected(*leave_error));
    reply(id, client::Answer(client::Done{}));
  }
  void on(client::RequestId id, client::DrainNode& drain) {
    if (drain.wait) reply(id, client::Answer(client::Progress{"2 tasks still run"}), false);
    reply(id, client::Answer(client::Done{}));
  }
  void on(client::RequestId id, client::UndrainNode&) { reply(id, client::Answer(client::Done{})); }
  void on(client::RequestId id, client::ForgetNode& forget) {
    for (const Member& member : members) {
      const bool is_meant = member.facts.id == forget.node;
      if (!is_meant || member.state == MemberState::kDead) continue;
      return reply(id, fail(Code::kRefused, member.facts.name + " is alive", "dunlin leave"));
    }
    reply(id, client::Answer(client::Done{}));
  }
  void on(client::RequestId id, client::GetMetrics&) { reply(id, client::Answer(metrics)); }
  void on(client::RequestId id, client::GetCheckup&) { reply(id, client::Answer(checkup)); }
  void on(client::RequestId id, client::ListEvents&) {
    client::EventList page;
    if (event_pages_told < event_pages.size()) page = event_pages[event_pages_told++];
    page.silent_groups = silent_groups;
    reply(id, client::Answer(std::move(page)));
  }
  void on(client::RequestId id, client::StopNode&) {
    stopped = true;
    reply(id, client::Answer(client::Done{}));
  }

  void on_job(client::RequestId id, SubmitJob& submit) {
    if (const Result<void> valid = sched::validate(submit); !valid) {
      return reply(id, tl::unexpected(valid.error()));
    }
    const auto known = jobs.find(submit.id);
    if (known != jobs.end()) {
      if (encode(known->second.submission.spec) != encode(submit.spec)) {
        return reply(id, fail(Code::kConflict, "job " + submit.id.text() + " exists already",
                              "choose another --key"));
      }
      return reply_job(id, Submitted{known->second.summary});
    }
    Job& job = jobs[submit.id];
    job.submission = submit;
    job.summary.id = submit.id;
    job.summary.name = submit.spec.name;
    job.summary.user = submit.user;
    job.summary.priority = submit.spec.priority;
    job.summary.submitted_at = {clock += 1000};
    for (const TaskRange& range : submit.spec.tasks) {
      for (std::uint32_t n = range.first; n <= range.last; n += range.step) {
        job.tasks[n].job = submit.id;
        job.tasks[n].task = n;
      }
    }
    if (submit.spec.argv[0] != "queue") start(job);
    recount(submit.id);
    reply_job(id, Submitted{job.summary});
    for (const auto& [number, task] : std::map(job.tasks)) play(submit.id, number);
  }
  void start(Job& job) {
    for (auto& [number, task] : job.tasks) {
      task.state = TaskState::kRunning;
      task.attempt = 1;
      task.node = self;
      task.started_at = {clock};
    }
  }
  void play(const JobId& id, std::uint32_t number) {
    const std::vector<std::string>& argv = jobs.at(id).submission.spec.argv;
    const std::string& command = argv[0];
    std::string words;
    for (std::size_t i = 1; i < argv.size(); ++i) words += (i > 1 ? " " : "") + argv[i];
    const int number_given = words.empty() ? 0 : std::atoi(words.c_str());
    if (command == "echo") jobs.at(id).logs[{number, false}].text = words + "\n";
    if (command == "complain") jobs.at(id).logs[{number, true}].text = words + "\n";
    if (command == "true" || command == "echo" || command == "complain") {
      finish_task(id, number, TaskState::kDone, Reason::kNone);
    } else if (command == "false" || command == "exit") {
      finish_task(id, number, TaskState::kFailed, Reason::kExit,
                  command == "false" ? 1 : number_given);
    } else if (command == "last-exits") {
      const bool is_last = number == jobs.at(id).tasks.rbegin()->first;
      finish_task(id, number, is_last ? TaskState::kFailed : TaskState::kDone,
                  is_last ? Reason::kExit : Reason::kNone, is_last ? number_given : 0);
    } else if (command == "die") {
      finish_task(id, number, TaskState::kFailed, Reason::kSignal, number_given);
    } else if (command == "nowhere") {
      jobs.at(id).tasks.at(number).detail = "nowhere: not found";
      finish_task(id, number, TaskState::kFailed, Reason::kMissingExecutable);
    }
  }
  void on_job(client::RequestId id, ShowJob& show) {
    if (const Job* job = find(id, show.id)) {
      reply_job(id, JobView{job->summary, job->submission.spec});
    }
  }
  void on_job(client::RequestId id, WatchJob& watch) {
    const Job* job = find(id, watch.id);
    if (job == nullptr) return;
    const bool is_due = job->summary.version > watch.seen || watch.hold.us == 0;
    if (is_due) return reply_job(id, JobChanged{job->summary});
    watchers[id] = watch.id;
  }
  void on_job(client::RequestId id, ListJobs& list) {
    JobList found;
    found.silent_groups = silent_groups;
    for (const auto& [name, job] : jobs) {
      const JobSummary& summary = job.summary;
      if (list.user && summary.user != *list.user) continue;
      if (list.state && summary.state != *list.state) continue;
      if (!name.text().starts_with(list.id_prefix)) continue;
      if (!list.name_glob.empty() &&
          fnmatch(list.name_glob.c_str(), summary.name.c_str(), 0) != 0) {
        continue;
      }
      if (summary.submitted_at < list.since) continue;
      found.jobs.push_back(summary);
    }
    std::sort(found.jobs.begin(), found.jobs.end(),
              [](const auto& a, const auto& b) { return a.submitted_at > b.submitted_at; });
    found.cut = found.jobs.size() > list.limit;
    if (found.cut) found.jobs.resize(list.limit);
    reply_job(id, std::move(found));
  }
  void on_job(client::RequestId id, ListTasks& list) {
    const Job* job = find(id, list.id);
    if (job == nullptr) return;
    TaskList found;
    std::uint32_t scanned = 0;
    for (const auto& [number, task] : job->tasks) {
      if (number < list.from) continue;
      if (++scanned > tasks_scanned) {
        found.next = number;
        break;
      }
      if (list.state && task.state != *list.state) continue;
      const bool is_wanted =
          list.tasks.empty() ||
          std::any_of(list.tasks.begin(), list.tasks.end(), [&](const TaskRange& range) {
            return number >= range.first && number <= range.last &&
                   (number - range.first) % range.step == 0;
          });
      if (!is_wanted) continue;
      if (found.tasks.size() == list.limit) {
        found.next = number;
        break;
      }
      found.tasks.push_back(task);
      if (list.logs_from && number >= *list.logs_from) add_logs(*job, task, found);
    }
    reply_job(id, std::move(found));
  }
  // As a node does: of what is over and lies in the results alone.
  void add_logs(const Job& job, const TaskView& task, TaskList& found) const {
    if (!is_final(task.state) || task.attempt == 0) return;
    TaskLogs logs{task.task, {}, {}, {}};
    logs.attempt.number = task.attempt;
    for (const bool is_stderr : {false, true}) {
      const auto log = job.logs.find({task.task, is_stderr});
      if (log == job.logs.end()) continue;
      if (log->second.cut > 0 || log->second.text.size() > kInline) return;
      (is_stderr ? logs.err : logs.out) = to_bytes(log->second.text);
    }
    found.logs.push_back(std::move(logs));
  }
  void on_job(client::RequestId id, CancelTasks& cancel) {
    Job* job = find(id, cancel.id);
    if (job == nullptr) return;
    if (job->summary.user != cancel.user && !cancel.is_admin) {
      return reply(id, fail(Code::kRefused, "the job belongs to " + job->summary.user));
    }
    const JobId name = cancel.id;
    const std::vector<TaskRange> wanted = cancel.tasks;
    for (const auto& [number, task] : std::map(job->tasks)) {
      const bool is_wanted =
          wanted.empty() || (number >= wanted.front().first && number <= wanted.front().last);
      if (is_wanted) finish_task(name, number, TaskState::kCancelled, Reason::kCancelled);
    }
    reply_job(id, Cancelled{jobs.at(name).summary});
  }
  void on_job(client::RequestId id, ExplainTask& explain) {
    Job* job = find(id, explain.id);
    if (job == nullptr) return;
    Explained answer;
    if (!job->tasks.empty()) answer.task = job->tasks.begin()->second;
    reply_job(id, std::move(answer));
  }
  void on_job(client::RequestId id, OrderJob& order) {
    Job* job = find(id, order.id);
    if (job == nullptr) return;
    orders.push_back(order);
    reply_job(id, Ordered{job->summary});
  }
  void on_job(client::RequestId id, ReadLog& read) {
    const Job* job = find(id, read.id);
    if (job == nullptr) return;
    if (!job->tasks.contains(read.task)) return reply(id, fail(Code::kNotFound, "no such task"));
    if (const auto chunk = read_now(*job, read)) return reply_job(id, *chunk);
    readers[id] = {read};
  }
  // Nothing: a follower has to wait.
  std::optional<LogChunk> read_now(const Job& job, const ReadLog& read) const {
    const TaskView& task = job.tasks.at(read.task);
    LogChunk chunk;
    chunk.attempt.number = task.attempt;
    chunk.offset = read.offset;
    const auto at = job.logs.find({read.task, read.is_stderr});
    const Log empty;
    const Log& log = at == job.logs.end() ? empty : at->second;
    if (chunk.offset < log.cut) {
      chunk.offset = log.cut;
      chunk.truncated = true;
    }
    const std::uint64_t size = log.cut + log.text.size();
    if (chunk.offset < size) {
      chunk.data = to_bytes(std::string_view(log.text).substr(
          static_cast<std::size_t>(chunk.offset - log.cut), read.limit));
    }
    chunk.end = is_final(task.state) && chunk.offset + chunk.data.size() >= size;
    if (read.follow && chunk.data.empty() && !chunk.end) return std::nullopt;
    return chunk;
  }

  void recount(const JobId& id) {
    Job& job = jobs.at(id);
    TaskCounts counts;
    for (const auto& [number, task] : job.tasks) {
      counts.total += 1;
      counts.waiting += task.state == TaskState::kWaiting ? 1 : 0;
      counts.running += task.state == TaskState::kRunning ? 1 : 0;
      counts.done += task.state == TaskState::kDone ? 1 : 0;
      counts.failed += task.state == TaskState::kFailed ? 1 : 0;
      counts.cancelled += task.state == TaskState::kCancelled ? 1 : 0;
    }
    JobSummary& summary = job.summary;
    summary.tasks = counts;
    if (counts.running > 0) {
      summary.state = JobState::kRunning;
      summary.started_at = {clock};
    } else if (counts.waiting == 0) {
      summary.state = counts.failed > 0      ? JobState::kFailed
                      : counts.cancelled > 0 ? JobState::kCancelled
                                             : JobState::kDone;
      summary.finished_at = {clock};
      if (counts.total == 1) summary.exit_code = job.tasks.begin()->second.exit_code;
      if (counts.total == 1) summary.reason = job.tasks.begin()->second.reason;
    } else {
      summary.reason = Reason::kResources;
    }
    changed(id);
  }
  void changed(const JobId& id) {
    jobs.at(id).summary.version += 1;
    for (const auto& [request, name] : std::map(watchers)) {
      if (name != id) continue;
      watchers.erase(request);
      reply_job(request, JobChanged{jobs.at(id).summary});
    }
    for (const auto& [request, reader] : std::map(readers)) {
      if (reader.what.id != id) continue;
      const auto chunk = read_now(jobs.at(id), reader.what);
      if (!chunk) continue;
      readers.erase(request);
      reply_job(request, *chunk);
    }
  }

  std::int64_t clock = 1'700'000'000'000;
  std::map<client::RequestId, JobId> watchers;
  std::map<client::RequestId, Reader> readers;
};

inline Member fake_member(std::uint8_t n, const std::string& name) {
  Member member;
  member.facts.id.raw[15] = n;
  member.facts.name = name;
  member.facts.address = "127.0.0." + std::to_string(n) + ":7400";
  member.facts.zone = "z" + std::to_string(n % 2);
  member.facts.labels["disk"] = "ssd";
  member.facts.cpus = 4;
  member.facts.memory = 8ULL << 30;
  member.facts.version = "0.1.0";
  member.load.cpus_free = 3;
  member.load.memory_free = 4ULL << 30;
  member.load.running = 1;
  member.load_at = Instant{4'000'000};
  return member;
}

}  // namespace dunlin
