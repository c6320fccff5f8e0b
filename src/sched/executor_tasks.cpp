// One attempt on its node, from the start of its process to its result.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crypto.h"
#include "base/fields.h"
#include "sched/executor.h"
#include "sched/process_label.h"
#include "sched/task_command.h"

namespace dunlin::sched {

namespace {

constexpr Duration kPutAgain = seconds(1);

Reason reason_of(const ProcessExited& exit, bool timed_out) {
  if (exit.start_error != 0) {
    if (exit.lacks_directory) return Reason::kFileMissing;
    if (exit.exit_code == 127) return Reason::kMissingExecutable;
    return exit.exit_code == 126 ? Reason::kCannotExecute : Reason::kDisk;
  }
  if (exit.killed_for_memory) return Reason::kMemory;
  if (exit.killed_with > 0) return Reason::kDisk;
  if (timed_out) return Reason::kTimeLimit;
  if (exit.signal != 0) return Reason::kSignal;
  return exit.exit_code == 0 ? Reason::kNone : Reason::kExit;
}

// The host has no process, descriptor or memory left to start one with: nothing of the task's.
bool lacks_means(const ProcessExited& exit) {
  constexpr int kLacking[] = {EAGAIN, ENOMEM, EMFILE, ENFILE};
  return std::find(std::begin(kLacking), std::end(kLacking), exit.start_error) !=
         std::end(kLacking);
}

bool is_over_time(const JobSpec& spec, const ProcessExited& exit) {
  const std::int64_t ms = exit.finished_at.ms - exit.started_at.ms;
  return spec.time_limit.us > 0 && ms >= spec.time_limit.milliseconds();
}

// What of these outputs is more than a result may carry; empty: nothing.
std::string excess_of(const std::vector<FoundOutput>& files) {
  if (files.size() > kMaxOutputFiles) {
    return "more than " + std::to_string(kMaxOutputFiles) + " output files: pack them into one";
  }
  std::size_t bytes = 0;
  for (const FoundOutput& file : files) {
    const auto pieces = static_cast<std::size_t>(file.size / kMaxOutputRead + 1);
    bytes += encoded_size({file.name, 0, 0, {}}) + 45 * std::min(pieces, kMaxOutputListBytes);
  }
  if (bytes <= kMaxOutputListBytes) return {};
  return "the list of its outputs and their pieces of 1 MiB is longer than " +
         std::to_string(kMaxOutputListBytes / 1024) + " KiB";
}

}  // namespace

// ---- start --------------------------------------------------------------------------------------

bool Executor::start_next(Turn& turn, const JobId& id, HeldJob& job) {
  ASSERT(job.spec && !job.ready.empty());
  TaskRun& front = job.ready.front();
  const TaskRun task{front.first, 1, front.attempt};
  const std::uint32_t number = job.numbers->number_of(task.first);
  const Staging::Files files = staging_.files(turn, id, *job.spec);
  const Staging::Entry entry = staging_.entry(turn, id, *job.spec, number);
  const std::optional<Error> error = files.error ? files.error : entry.error;
  if (!error && (!files.is_ready || !entry.is_ready)) {
    job.is_staging = true;
    return true;
  }
  // Only what no node has is the task's failure; other trouble is this node's own.
  if (error && error->code != Code::kNotFound) {
    give_back(turn, id, job, "could not get the job's files");
    return true;
  }
  unstaged_.erase(id);
  ++front.first;
  if (--front.count == 0) job.ready.pop_front();
  if (error) {
    fail_start(turn, id, job, task, *error);
    claim(turn, id, job);
    return true;
  }
  const std::vector<std::uint32_t> gpus = take_gpus(job.task.devices.gpus);
  TaskNames names{id, number, task.attempt.number, entry.text, config_.node_name, config_.server};
  if (all_.devices.gpus > 0) names.gpus = gpus;
  StartProcess start;
  start.key = next_key_++;
  start.label =
      encode(ProcessLabel{job.group, id, job.user, task.first, task.attempt, job.task.cpus,
                          job.task.memory, gpus, job.task.devices.resources});
  start.argv = task_argv(*job.spec, names);
  start.environment = task_environment(*job.spec, names);
  start.files = *files.files;
  start.stdin_file = job.spec->stdin_file;
  start.host_directory = job.spec->host_directory;
  start.cpus = job.task.cpus;
  start.memory = job.task.memory;

  Process& process = processes_[start.key];
  process.job = id;
  process.index = task.first;
  process.attempt = task.attempt;
  process.room = job.task;
  process.gpus = gpus;
  process.user = job.user;
  process.started = turn.now;
  process.started_at = turn.wall;
  set_time_limit(job, process);
  take_room(turn.now, job.user, job.task);
  // An older attempt that is being ended here may still linger.
  const auto rival = job.processes.find(task.first);
  if (rival != job.processes.end()) give_up(turn, rival->second);
  job.processes[task.first] = start.key;
  job.keys.insert(start.key);
  ++job.running;
  logs_.open(start.key, {job.group, id, task.first, task.attempt}, 0, 0);
  logs_.set_limit(start.key, job.spec->log_limit);
  turn.effects.starts.push_back(std::move(start));
  ++counts_.started;
  queue_.served(id, turn.now);
  claim(turn, id, job);
  pull_ahead(turn, id, job);
  return true;
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
  if (!batch.is_empty()) send_batch(turn, id, job, std::move(batch), {});
}

// ---- what the runner says -----------------------------------------------------------------------

void Executor::on_process(Turn& turn, ProcessEvent event) {
  std::visit([&](const auto& held) { on(turn, held); }, event);
  fill(turn);
}

void Executor::on(Turn& turn, const RunnerReady& event) {
  is_ready_ = has_runner_ = true;
  isolation_note_ = event.note;
  std::set<ProcessKey> held;
  for (const RunnerHeld& process : event.held) {
    held.insert(process.key);
    next_key_ = std::max(next_key_, process.key + 1);
    if (!processes_.contains(process.key)) adopt(turn, process);
  }
  std::vector<ProcessKey> gone;
  for (const auto& [key, process] : processes_) {
    // An end that is known already needs its runner no more, unless outputs were to be read.
    const bool is_known = process.exit && (!process.wants_outputs || process.outputs_done);
    if (!held.contains(key) && !is_known) gone.push_back(key);
  }
  for (const ProcessKey key : gone) {
    lists_due_.insert(jobs_.at(processes_.at(key).job).group);
    forget_process(turn, key, false);
  }
  for (const auto& [id, job] : jobs_) {
    if (!job.held.is_empty()) lists_due_.insert(job.group);
  }
  status_at_ = turn.now;
  // What was adopted just now is not to be kept either.
  if (keeps_none_) hand_back(turn);
}

void Executor::on(Turn&, const RunnerLost&) {
  has_runner_ = false;
  is_runner_silent_ = false;
}

// What it holds may go on; nothing more is given to it until it answers.
void Executor::on(Turn& turn, const RunnerSilence& event) {
  is_runner_silent_ = event.is_silent;
  if (event.is_silent) give_back_ready(turn);
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
  Process& process = processes_[held.key];
  process.job = label->job;
  process.index = label->index;
  process.attempt = label->attempt;
  process.room = job.task;
  process.gpus = label->gpus;
  process.user = label->user;
  const Duration age = milliseconds(std::max<std::int64_t>(0, turn.wall.ms - held.started_at.ms));
  process.started = turn.now - age;
  process.started_at = held.started_at;
  process.is_frozen.reset();
  process.told_before = held.told_to_end;
  take_room(turn.now, job.user, process.room);
  used_gpus_.insert(process.gpus.begin(), process.gpus.end());
  job.keys.insert(held.key);
  ++job.running;
  // Of two attempts at one task the coordinator knows the newer; the older one is over for it.
  const auto rival = job.processes.find(label->index);
  const bool is_newest =
      rival == job.processes.end() || processes_.at(rival->second).attempt < label->attempt;
  if (is_newest) {
    if (rival != job.processes.end()) give_up(turn, rival->second);
    job.processes[label->index] = held.key;
    job.held.add({label->index, 1, label->attempt});
  } else {
    give_up(turn, held.key);
  }
  logs_.open(held.key, {label->group, label->job, label->index, label->attempt}, held.stdout_taken,
             held.stderr_taken);
}

void Executor::give_up(Turn& turn, ProcessKey key) {
  Process& process = processes_.at(key);
  if (process.dropped) return;
  process.dropped = true;
  if (!process.exit) {
    terminate(turn, key, process);
    return;
  }
  process.reported = false;
  logs_.end(turn, key, 0);
  conclude(turn, key);
}

void Executor::on(Turn& turn, const ProcessStarted& event) {
  const auto at = processes_.find(event.key);
  if (at != processes_.end()) at->second.started_at = turn.wall;
}

void Executor::on(Turn& turn, const ProcessOutput& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end()) return;
  logs_.receive(turn, event);
  answer_tails(turn, at->second.job);
}

void Executor::on(Turn& turn, const ProcessExited& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || at->second.exit) return;
  Process& process = at->second;
  HeldJob& job = jobs_.at(process.job);
  if (lacks_means(event) && !process.dropped) {
    const JobId id = process.job;
    forget_process(turn, event.key, true);
    return give_back(turn, id, job,
                     std::string("could not start a process: ") + std::strerror(event.start_error));
  }
  if (event.start_error == 0) job.refusal = {};
  process.exit = event;
  process.kill_at = Instant::never();
  process.has_room = false;
  give_room(turn.now, process);
  --job.running;
  const std::int64_t ms = std::max<std::int64_t>(0, event.finished_at.ms - event.started_at.ms);
  const Duration took = std::max(milliseconds(ms), microseconds(500));
  job.typical = job.typical.us == 0 ? took : (job.typical * 7 + took) / 8;
  process.wants_outputs = job.spec && !job.spec->outputs.empty() && event.start_error == 0 &&
                          event.killed_with == 0 && !process.dropped;
  // Cancelled attempts bring no result that output could ride in.
  logs_.end(turn, event.key, process.dropped ? 0 : job.most_inline);
  next_output(turn, event.key, process);
  conclude(turn, event.key);
  pull_ahead(turn, process.job, job);
}

// ---- outputs ------------------------------------------------------------------------------------

void Executor::next_output(Turn& turn, ProcessKey key, Process& process) {
  if (!process.wants_outputs || process.outputs_done) return;
  if (process.found.empty() && process.outputs.empty() && process.put_token == 0) {
    turn.effects.output_searches.push_back({key, jobs_.at(process.job).spec->outputs});
    return;
  }
  while (!process.outputs.empty()) {
    const FoundOutput& found = process.found[process.outputs.size() - 1];
    OutputFile& output = process.outputs.back();
    if (output.size < found.size) {
      turn.effects.output_reads.push_back({key, found.name, output.size, kMaxOutputRead});
      return;
    }
    if (process.outputs.size() == process.found.size()) break;
    const FoundOutput& next = process.found[process.outputs.size()];
    process.outputs.push_back({next.name, 0, next.mode, {}});
  }
  process.outputs_done = true;
}

void Executor::on(Turn& turn, const OutputsFound& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || !at->second.wants_outputs || !at->second.found.empty()) return;
  Process& process = at->second;
  process.found = event.files;
  process.output_error = event.error;
  if (const std::string excess = excess_of(process.found); !excess.empty()) {
    process.output_error = excess;
  }
  if (!process.output_error.empty() || process.found.empty()) {
    process.outputs_done = true;
  } else {
    process.outputs.push_back({process.found[0].name, 0, process.found[0].mode, {}});
    next_output(turn, event.key, process);
  }
  conclude(turn, event.key);
}

void Executor::on(Turn& turn, const OutputData& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || at->second.outputs.empty()) return;
  Process& process = at->second;
  const OutputFile& output = process.outputs.back();
  const bool is_expected =
      output.name == event.name && output.size == event.offset && process.put_token == 0;
  if (!is_expected || process.outputs_done) return;
  if (!event.error.empty() || event.bytes.empty()) {
    process.output_error = event.error.empty() ? event.name + " became shorter" : event.error;
    process.outputs_done = true;
    conclude(turn, event.key);
    return;
  }
  process.put_data = event.bytes;
  process.put_again = turn.now;
  tick_process(turn, event.key, process);
}

bool Executor::on_blob_stored(Turn& turn, std::uint64_t token, const Result<BlobRef>& blob) {
  if (logs_.on_stored(turn, token, blob)) return true;
  const auto put = puts_.find(token);
  if (put == puts_.end()) return false;
  const ProcessKey key = put->second;
  puts_.erase(put);
  const auto at = processes_.find(key);
  if (at == processes_.end()) return true;
  Process& process = at->second;
  process.put_token = 0;
  if (!blob) {
    process.put_again = turn.now + kPutAgain;
    process_due(process.put_again);
    return true;
  }
  process.outputs.back().content.push_back(*blob);
  process.outputs.back().size += process.put_data.size();
  process.put_data.clear();
  next_output(turn, key, process);
  conclude(turn, key);
  fill(turn);
  return true;
}

// ---- end ----------------------------------------------------------------------------------------

// Reports the attempt once its output is safe and its files are kept.
void Executor::conclude(Turn& turn, ProcessKey key) {
  const auto at = processes_.find(key);
  if (at == processes_.end() || !at->second.exit || at->second.reported) return;
  Process& process = at->second;
  if (!logs_.is_settled(key)) return;
  if (process.dropped) {
    forget_process(turn, key, true);
    return;
  }
  HeldJob& job = jobs_.at(process.job);
  // An adopted attempt of a job that is not described yet: its outputs are not known to be wanted.
  if (!job.spec) return;
  if (process.told_before && !process.timed_out) {
    // By an earlier life that handed it back, or dropped it: its end is none of the task's.
    if (!is_over_time(*job.spec, *process.exit)) return give_up(turn, key);
    process.timed_out = true;
  }
  if (process.wants_outputs && !process.outputs_done) return;
  process.reported = true;
  Finished finished;
  finished.key = key;
  finished.result = result_of(process);
  finished.result.out = logs_.take_inline(key, false);
  finished.result.err = logs_.take_inline(key, true);
  finished.result.log_truncated = logs_.is_truncated(key);
  finished.is_plain =
      finished.result.is_success() && logs_.is_silent(key) && finished.result.outputs.empty();
  finish(turn, process.job, job, std::move(finished));
}

// "host7 cannot execute './tool': Permission denied"
std::string Executor::start_trouble(const JobSpec* spec, const ProcessExited& exit) const {
  const std::string program =
      spec == nullptr ? "the command" : "'" + spec->argv.front().substr(0, kMaxDetail / 2) + "'";
  const std::string host = config_.node_name.empty() ? "the host" : config_.node_name;
  if (exit.lacks_directory) {
    const std::string directory =
        spec == nullptr ? "the directory" : spec->host_directory.substr(0, kMaxDetail / 2);
    return exit.start_error == ENOENT ? host + " has no directory " + directory
                                      : host + ": the task cannot enter " + directory + ": " +
                                            std::strerror(exit.start_error);
  }
  if (exit.exit_code == 127) return host + " has no executable " + program;
  const std::string what =
      exit.exit_code == 126 ? " cannot execute " : " cannot prepare the start of ";
  return host + what + program + ": " + std::strerror(exit.start_error);
}

std::string Executor::disk_trouble(const ProcessExited& exit) const {
  const std::string host = config_.node_name.empty() ? "its host" : config_.node_name;
  return "the disk of " + host + " was nearly full, and this task held the most of it, " +
         std::to_string(exit.killed_with >> 20) + " MiB in its directory: it was ended";
}

TaskResult Executor::result_of(const Process& process) const {
  const ProcessExited& exit = *process.exit;
  TaskResult result;
  result.index = process.index;
  result.attempt = process.attempt;
  result.reason = reason_of(exit, process.timed_out);
  result.exit_code = exit.exit_code;
  result.signal = exit.signal;
  result.finished = exit.finished_at;
  const std::int64_t ms = exit.finished_at.ms - exit.started_at.ms;
  result.duration_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ms));
  result.cpu_ms = exit.cpu_ms;
  result.max_rss = exit.max_rss;
  result.outputs = process.outputs;
  if (exit.start_error != 0) {
    result.detail = start_trouble(jobs_.at(process.job).spec.get(), exit);
  } else if (result.reason == Reason::kDisk) {
    result.detail = disk_trouble(exit);
  } else if (!process.output_error.empty()) {
    result.detail = process.output_error.substr(0, kMaxDetail);
    if (result.reason == Reason::kNone) result.reason = Reason::kDisk;
  }
  return result;
}

void Executor::forget_process(Turn& turn, ProcessKey key, bool release) {
  const auto at = processes_.find(key);
  ASSERT(at != processes_.end());
  const Process& process = at->second;
  HeldJob& job = jobs_.at(process.job);
  if (process.has_room) {
    give_room(turn.now, process);
    --job.running;
  }
  job.held.remove({process.index, 1, process.attempt});
  job.keys.erase(key);
  const auto known = job.processes.find(process.index);
  if (known != job.processes.end() && known->second == key) job.processes.erase(known);
  // The coordinator repeats its orders until it hears that the attempt is gone.
  if (process.dropped) {
    lists_due_.insert(job.group);
    status_at_ = std::min(status_at_, turn.now);
  }
  logs_.close(key);
  if (release) turn.effects.releases.push_back({key});
  if (!process.reported) ++counts_.dropped;
  const JobId id = process.job;
  processes_.erase(at);
  answer_tails(turn, id);
}

void Executor::terminate(Turn& turn, ProcessKey key, Process& process) {
  const HeldJob& job = jobs_.at(process.job);
  turn.effects.signals.push_back({key, kSignalTerm});
  // What stands still hears nothing.
  if (process.is_frozen != false) turn.effects.signals.push_back({key, kSignalContinue});
  process.is_ending = true;
  process.kill_at = turn.now + (job.spec ? job.spec->grace : seconds(10));
  process_due(process.kill_at);
}

void Executor::obey(Turn& turn, const Drop& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  HeldJob& job = at->second;
  for (const TaskRun& order : message.attempts) {
    if (order.count == 0 || order.count > UINT32_MAX - order.first) continue;
    for (const TaskRun& part : job.held.common(order)) {
      for (std::uint32_t index = part.first; index < part.end(); ++index) {
        const auto known = job.processes.find(index);
        if (known == job.processes.end() || processes_.at(known->second).attempt != part.attempt) {
          job.held.remove({index, 1, part.attempt});
          lists_due_.insert(job.group);
          continue;
        }
        give_up(turn, known->second);
      }
    }
  }
  std::deque<TaskRun> ready;
  for (const TaskRun& run : job.ready) {
    for (const TaskRun& part : job.held.common(run)) ready.push_back(part);
  }
  job.ready = std::move(ready);
  std::erase_if(job.finished, [&](const Finished& finished) {
    return !job.held.contains(finished.result.index, finished.result.attempt);
  });
  std::erase_if(job.sent, [&](const auto& entry) {
    const std::vector<TaskRun> runs = attempts_of(entry.second.batch);
    return std::none_of(runs.begin(), runs.end(),
                        [&](const TaskRun& run) { return !job.held.common(run).empty(); });
  });
  claim(turn, message.job, job);
  if (!lists_due_.empty()) status_at_ = std::min(status_at_, turn.now);
  fill(turn);
}

void Executor::tick_process(Turn& turn, ProcessKey key, Process& process) {
  if (process.put_again <= turn.now) {
    process.put_again = Instant::never();
    process.put_token = next_token_++;
    puts_[process.put_token] = key;
    const Pin pin{jobs_.at(process.job).group, blake2b_64(as_bytes(process.job.text()))};
    turn.raise(PutBlob{process.put_token, pin, process.put_data});
  }
  if (process.kill_at > turn.now || process.exit) return;
  if (process.dropped || process.timed_out) {
    turn.effects.signals.push_back({key, kSignalKill});
    process.kill_at = turn.now + seconds(5);
    process_due(process.kill_at);
    return;
  }
  process.timed_out = true;
  terminate(turn, key, process);
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
