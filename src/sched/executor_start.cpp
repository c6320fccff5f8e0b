// How attempts come to this node's processes: started, adopted from the runner, or given back.
#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "sched/executor.h"
#include "sched/process_label.h"

namespace dunlin::sched {

// The first of what is ready; or, as long as its files are not here, nothing.
void Executor::start_next(Turn& turn, const JobId& id, HeldJob& job) {
  ASSERT(job.spec && !job.ready.empty());
  TaskRun& front = job.ready.front();
  const TaskRun task{front.first, 1, front.attempt};
  const std::uint32_t number = job.numbers->number_of(task.first);
  const Staging::Files files = staging_.files(turn, id, *job.spec);
  const Staging::Entry entry = staging_.entry(turn, id, *job.spec, number);
  const std::optional<Error> error = files.error ? files.error : entry.error;
  if (!error && (!files.is_ready || !entry.is_ready)) {
    job.is_staging = true;
    return;
  }
  // Only what no node has is the task's failure; other trouble is this node's own.
  if (error && error->code != Code::kNotFound) {
    give_back(turn, id, job, "could not get the job's files");
    return;
  }
  unstaged_.erase(id);
  ++front.first;
  if (--front.count == 0) job.ready.pop_front();
  if (error) {
    fail_start(turn, id, job, task, *error);
    claim(turn, id, job);
    return;
  }
  TaskNames names{id, number, task.attempt.number, entry.text, config_.node_name, config_.server};
  start(turn, id, job, task, std::move(names), *files.files);
  queue_.served(id, turn.now);
  claim(turn, id, job);
  pull_ahead(turn, id, job);
}

void Executor::start(Turn& turn, const JobId& id, HeldJob& job, const TaskRun& task,
                     TaskNames names, const std::vector<StagedFile>& files) {
  const ProcessKey key = next_key_++;
  const std::vector<std::uint32_t> gpus = take_gpus(job.task.devices.gpus);
  if (all_.devices.gpus > 0) names.gpus = gpus;
  StartProcess start;
  start.key = key;
  start.label =
      encode(ProcessLabel{job.group, id, job.user, task.first, task.attempt, job.task.cpus,
                          job.task.memory, gpus, job.task.devices.resources});
  start.argv = task_argv(*job.spec, names);
  start.environment = task_environment(*job.spec, names);
  start.files = files;
  start.stdin_file = job.spec->stdin_file;
  start.host_directory = job.spec->host_directory;
  start.cpus = job.task.cpus;
  start.memory = job.task.memory;
  turn.effects.starts.push_back(std::move(start));
  ++counts_.started;

  Process& process = enter(turn, key, id, job, task, gpus);
  process.started = turn.now;
  process.started_at = turn.wall;
  set_time_limit(job, process);
  // An older attempt that is being ended here may still linger.
  const auto rival = job.processes.find(task.first);
  if (rival != job.processes.end()) give_up(turn, rival->second);
  job.processes[task.first] = key;
  logs_.open(key, {job.group, id, task.first, task.attempt}, 0, 0);
  logs_.set_limit(key, job.spec->log_limit);
}

// A process is here and takes the room of one of the job's tasks.
Executor::Process& Executor::enter(Turn& turn, ProcessKey key, const JobId& id, HeldJob& job,
                                   const TaskRun& task, std::vector<std::uint32_t> gpus) {
  Process& process = processes_[key];
  process.job = id;
  process.index = task.first;
  process.attempt = task.attempt;
  process.room = job.task;
  process.gpus = std::move(gpus);
  process.user = job.user;
  take_room(turn.now, job.user, process.room);
  job.keys.insert(key);
  ++job.running;
  return process;
}

// The coordinator binds them to other nodes once it hears that they are not held here.
void Executor::give_back(Turn& turn, const JobId& id, HeldJob& job, std::string trouble) {
  for (const TaskRun& run : job.ready) job.held.remove(run);
  job.ready.clear();
  job.allowed = 0;
  // Of many that began together each may fail: that is one trouble.
  if (job.refused_until <= turn.now) {
    job.refusal = std::clamp(job.refusal * 2, kFirstRefusal, kLastRefusal);
  }
  job.refused_until = turn.now + job.refusal;
  job.trouble = std::move(trouble);
  due(job.refused_until);
  lists_due_.insert(job.group);
  status_at_ = std::min(status_at_, turn.now);
  claim(turn, id, job);
}

void Executor::wake_staged() {
  for (const JobId& id : staging_.take_woken()) {
    const auto job = jobs_.find(id);
    if (job != jobs_.end()) job->second.is_staging = false;
  }
}

void Executor::fail_start(Turn& turn, const JobId& id, HeldJob& job, const TaskRun& task,
                          const Error& error) {
  Finished finished;
  finished.result.index = task.first;
  finished.result.attempt = task.attempt;
  finished.result.reason = Reason::kFileMissing;
  finished.result.exit_code = 125;
  finished.result.detail = error.message.substr(0, kMaxDetail);
  finished.result.finished = turn.wall;
  ++counts_.started;
  finish(turn, id, job, std::move(finished));
}

// `:` ends as it begins: everything that came is one batch of results.
void Executor::run_no_ops(Turn& turn, const JobId& id, HeldJob& job) {
  ResultBatch batch;
  for (const TaskRun& run : job.ready) {
    PlainResults plain;
    plain.run = run;
    plain.finished = turn.wall;
    counts_.started += run.count;
    counts_.done += run.count;
    batch.plain.push_back(std::move(plain));
  }
  job.ready.clear();
  if (batch.has_results()) send_batch(turn, id, job, std::move(batch), {});
}

void Executor::adopt(Turn& turn, const RunnerHeld& held) {
  const Result<ProcessLabel> label = decode<ProcessLabel>(held.label);
  if (!label || label->job.is_none()) {
    turn.effects.releases.push_back({held.key});
    return;
  }
  HeldJob& job = job_of(label->job, label->group);
  job.user = label->user;
  job.task = {label->cpus,
              label->memory,
              {static_cast<std::uint32_t>(label->gpus.size()), label->resources}};
  const TaskRun task{label->index, 1, label->attempt};
  Process& process = enter(turn, held.key, label->job, job, task, label->gpus);
  used_gpus_.insert(process.gpus.begin(), process.gpus.end());
  const Duration age = milliseconds(std::max<std::int64_t>(0, turn.wall.ms - held.started_at.ms));
  process.started = turn.now - age;
  process.started_at = held.started_at;
  process.is_frozen.reset();
  process.told_before = held.told_to_end;
  // Of two attempts at one task the coordinator knows the newer; the older one is over for it.
  const auto rival = job.processes.find(label->index);
  const bool is_newest =
      rival == job.processes.end() || processes_.at(rival->second).attempt < label->attempt;
  if (is_newest) {
    if (rival != job.processes.end()) give_up(turn, rival->second);
    job.processes[label->index] = held.key;
    job.held.add(task);
  } else {
    give_up(turn, held.key);
  }
  logs_.open(held.key, {label->group, label->job, label->index, label->attempt}, held.stdout_taken,
             held.stderr_taken);
}

bool Executor::on_blob_local(Turn& turn, std::uint64_t token, const Result<FileExtent>& extent) {
  if (!staging_.on_local(turn, token, extent)) return false;
  fill(turn);
  return true;
}

bool Executor::on_blob_fetched(Turn& turn, std::uint64_t token, const Result<Bytes>& content) {
  if (!staging_.on_fetched(token, content)) return false;
  fill(turn);
  return true;
}

}  // namespace dunlin::sched
