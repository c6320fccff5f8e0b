#include "sim/read_back.h"

#include <algorithm>
#include <utility>

namespace dunlin::sim {

namespace {

constexpr int kInsistence = 40;
constexpr int kMostPages = 100;
constexpr std::ptrdiff_t kHostsLostUnderATask = 3;  // --crash-limit

std::string name_of_task(const TaskView& task) {
  return task.job.text() + "." + std::to_string(task.task);
}

std::string wrong_failure(const JobSpec& spec, const TaskView& task, const SimRunner::Ends& ends) {
  const Script script = parse_script(spec.argv);
  const std::string failed = std::string("failed: ") + name_of(task.reason) + " " + task.detail;
  if (task.reason == Reason::kCrashLimit) {
    const auto is_blamed = [&](const NodeId& node) {
      return task.detail.find(node.short_text()) != std::string::npos;
    };
    const auto count = std::count_if(ends.lost_with.begin(), ends.lost_with.end(), is_blamed);
    if (count >= kHostsLostUnderATask) return {};
    return failed + ", and " + std::to_string(count) + " of the hosts it names were lost";
  }
  // Two attempts of different epochs may bear one number, and both fail as it tells them to.
  const bool may_fail = script.exit_code != 0 || ends.failures > spec.retries;
  const std::int32_t code = script.exit_code != 0 ? script.exit_code : 1;
  if (!may_fail || task.reason != Reason::kExit) return failed;
  if (task.exit_code != code) {
    return "exited with " + (task.exit_code ? std::to_string(*task.exit_code) : "nothing") +
           " instead of " + std::to_string(code);
  }
  return {};
}

std::string wrong_success(const Script& script, const TaskView& task, const SimRunner::Ends& ends) {
  if (script.exit_code != 0) return "is done and should have failed";
  if (task.attempt <= script.flaky) {
    return "is done in attempt " + std::to_string(task.attempt) + " and should have failed in it";
  }
  if (task.exit_code != 0) return "is done and shows another exit code than 0";
  if (ends.successes == 0) return "is done, and no attempt ended well";
  return {};
}

}  // namespace

std::string misjudged(const JobSpec& spec, const TaskView& task, const SimRunner::Ends& ends) {
  if (task.state == TaskState::kFailed) return wrong_failure(spec, task, ends);
  return wrong_success(parse_script(spec.argv), task, ends);
}

bool may_pass(const Error& error) {
  return error.code == Code::kUnreachable || error.code == Code::kTimeout ||
         error.code == Code::kLimit || error.code == Code::kIncomplete;
}

std::string ReadBack::Stream::text() const {
  return std::string(is_stderr ? "stderr" : "stdout") + " of " + job.text() + "." +
         std::to_string(task);
}

ReadBack::ReadBack(SimWorld& world, HistoryChecker& history, Random& random,
                   std::function<HostIndex()> any_host)
    : world_(world), history_(history), random_(random), any_host_(std::move(any_host)) {}

void ReadBack::all() {
  for (const auto& [id, known] : std::map(history_.jobs())) job(id);
  history_.dependencies(world_.queue().now());
  blobs();
}

Result<client::Answer> ReadBack::insist(client::Request request) {
  Result<client::Answer> answer = dunlin::fail(Code::kTimeout, "nobody was asked");
  for (int i = 0; i < kInsistence; ++i) {
    answer = world_.call(any_host_(), request);
    if (answer || !may_pass(answer.error())) return answer;
    world_.run_for(milliseconds(500));
  }
  return answer;
}

void ReadBack::fail(const std::string& promise, const std::string& what) {
  world_.verdict().fail(world_.queue().now(), promise, what);
}

void ReadBack::unreadable(const JobId& id, const Error& error) {
  if (error.code == Code::kNotFound) return history_.unknown(world_.queue().now(), id);
  fail("Q7", "job " + id.text() + " cannot be read: " + error.message);
}

// ---- jobs and tasks -----------------------------------------------------------------------------

void ReadBack::job(const JobId& id) {
  const Instant asked = world_.queue().now();
  const Result<client::Answer> shown = insist(client::Request(JobRequest(ShowJob{id, false})));
  const auto* view = job_answer<JobView>(shown);
  if (view == nullptr) return unreadable(id, shown.error());
  history_.seen(world_.queue().now(), asked, view->job);
  std::vector<TaskView> tasks;
  if (!all_tasks(id, tasks)) return;
  const JobSpec spec = history_.jobs().at(id).spec;
  if (tasks.size() != spec.task_count()) {
    fail("Q4", "job " + id.text() + " lists " + std::to_string(tasks.size()) + " tasks of " +
                   std::to_string(spec.task_count()));
  }
  TaskCounts counts;
  for (const TaskView& one : tasks) {
    task(spec, one);
    counts.done += one.state == TaskState::kDone ? 1 : 0;
    counts.failed += one.state == TaskState::kFailed ? 1 : 0;
    counts.cancelled += one.state == TaskState::kCancelled ? 1 : 0;
  }
  count_.cancelled += counts.cancelled > 0 ? 1 : 0;
  const TaskCounts& told = view->job.tasks;
  if (counts.done != told.done || counts.failed != told.failed) {
    fail("Q4", "job " + id.text() + " counts other tasks than it lists");
  }
}

// Page by page; each task must come once, in order.
bool ReadBack::all_tasks(const JobId& id, std::vector<TaskView>& tasks) {
  ListTasks question;
  question.id = id;
  question.limit = 1 + static_cast<std::uint32_t>(random_.below(12));
  for (int page = 0; page < kMostPages; ++page) {
    const Instant asked = world_.queue().now();
    const Result<client::Answer> answer = insist(client::Request(JobRequest(question)));
    const auto* list = job_answer<TaskList>(answer);
    if (list == nullptr) {
      unreadable(id, answer.error());
      return false;
    }
    history_.tasks(world_.queue().now(), asked, id, list->tasks);
    for (const TaskView& one : list->tasks) {
      if (!tasks.empty() && one.task <= tasks.back().task) {
        fail("Q4", "task " + name_of_task(one) + " is listed twice or out of order");
      }
      tasks.push_back(one);
    }
    if (!list->next) return true;
    if (*list->next <= question.from) break;
    question.from = *list->next;
  }
  fail("Q4", "the list of tasks of " + id.text() + " does not end");
  return false;
}

// What the command says must have come of it.
void ReadBack::task(const JobSpec& spec, const TaskView& task) {
  const Script script = parse_script(spec.argv);
  std::string wrong;
  if (!is_final(task.state)) {
    wrong = "is not final";
  } else if (task.state == TaskState::kCancelled) {
    // It may have happened though its answer was lost.
    const HistoryChecker::Job& job = history_.jobs().at(task.job);
    const bool was_waiting = !job.spec.after.empty() && task.reason == Reason::kDependencyFailed;
    if (!job.cancel_asked && !was_waiting) wrong = "is cancelled, which nobody asked for";
  } else {
    wrong = misjudged(spec, task, world_.ends(name_of_task(task)));
  }
  if (!wrong.empty()) return fail("Q4", "task " + name_of_task(task) + " " + wrong);
  if (task.state != TaskState::kDone) return;
  if (!random_.chance(0.7)) log({task.job, task.task, false}, script.out[0]);
  if (script.out[1] > 0 && random_.chance(0.5)) log({task.job, task.task, true}, script.out[1]);
  outputs(script, task);
}

// ---- what was written ---------------------------------------------------------------------------

void ReadBack::log(const Stream& stream, std::uint64_t expected) {
  Bytes all;
  bool cut = false;
  ReadLog read;
  read.id = stream.job;
  read.task = stream.task;
  read.is_stderr = stream.is_stderr;
  for (int i = 0; i < kMostPages; ++i) {
    const Result<client::Answer> answer = insist(client::Request(JobRequest(read)));
    const auto* chunk = job_answer<LogChunk>(answer);
    if (chunk == nullptr) {
      return fail("Q5", stream.text() + " cannot be read: " + answer.error().message);
    }
    append(all, chunk->data);
    cut = cut || chunk->truncated;
    if (chunk->end) break;
    read.offset = chunk->offset + chunk->data.size();
    read.attempt = chunk->attempt.number;
  }
  ++count_.logs;
  history_.written(world_.queue().now(), stream.text(), all, expected, cut);
}

void ReadBack::outputs(const Script& script, const TaskView& task) {
  const std::string what = "output " + script.file + " of " + name_of_task(task);
  const std::size_t wanted = script.file.empty() ? 0 : 1;
  if (task.outputs.size() != wanted) {
    return fail("Q5", name_of_task(task) + " lists " + std::to_string(task.outputs.size()) +
                          " outputs of " + std::to_string(wanted));
  }
  for (const OutputFile& file : task.outputs) {
    if (file.name != script.file || file.size != script.file_size) {
      fail("Q5", what + " is listed as " + file.name + " of " + std::to_string(file.size));
    }
    Bytes all;
    for (const BlobRef& part : file.content) {
      const Result<client::Answer> answer = insist(client::Request(client::GetBlob{part.id}));
      if (!answer) return fail("Q5", what + " cannot be read: " + answer.error().message);
      append(all, std::get<client::BlobGot>(*answer).data);
    }
    ++count_.outputs;
    history_.written(world_.queue().now(), what, all, script.file_size);
  }
}

void ReadBack::blobs() {
  for (const auto& [id, hash] : std::map(history_.blobs())) {
    const Result<client::Answer> answer = insist(client::Request(client::GetBlob{id}));
    if (answer) {
      ++count_.blobs;
      history_.fetched(world_.queue().now(), id, std::get<client::BlobGot>(*answer).data);
    } else {
      history_.unreadable(world_.queue().now(), id, answer.error().message);
    }
  }
}

}  // namespace dunlin::sim
