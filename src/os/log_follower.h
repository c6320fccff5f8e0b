// Follows the output of a job's tasks until the job is final: watches the job, learns which tasks
// have output, reads each of their logs as it grows, and starts a log anew when the task does.
// Part of an Exchange, which asks the questions and sends the frames. One task (the usual case)
// costs three questions, all asked at once. Of many tasks those that wrote little come with their
// list; the others share kMaxOpenLogs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "node/client.h"
#include "os/frames.h"

namespace dunlin {

constexpr std::size_t kMaxFollowedTasks = 20'000;  // of one job, in one stream
constexpr std::size_t kMaxOpenLogs = 32;           // being read at once
constexpr int kMaxFollowFailures = 20;             // in a row, half a second apart

// What stands in a log where its middle was cut out.
std::string log_cut_mark(std::uint64_t bytes);

class LogFollower {
 public:
  struct Wish {
    JobId job;
    std::vector<TaskRange> tasks;  // empty: all
    bool want_stdout = true;
    bool want_stderr = true;
    bool attends = false;  // the client is who the job runs for
  };
  struct Ways {
    std::function<void(std::uint64_t tag, JobRequest)> ask;
    std::function<void(std::uint64_t tag, JobRequest, Duration)> ask_later;
    // False: hold back until resume().
    std::function<bool(std::string frame)> send;
    std::function<std::string(const JobSummary&)> job_json;
    // Everything has been sent but kEnd; the job is final, unless something was refused for good.
    std::function<void(const JobSummary&)> finished;
    std::function<void(const Error&)> failed;  // before anything was sent
  };

  LogFollower(Wish wish, Ways ways);

  // `known`: the job as just submitted; without it the job is asked for first.
  void start(const JobSummary* known);
  void on_answer(std::uint64_t tag, Result<JobAnswer> answer);
  void resume();  // the client reads again

 private:
  struct Log {
    Attempt attempt;  // whose bytes `offset` counts
    std::uint64_t offset = 0;
    bool asked = false;
    bool asked_when_final = false;  // the question in flight was asked of a final job
    bool ended = false;             // the attempt's last byte was sent
    bool confirmed = false;         // and the job was final when that was asked
    bool is_whole = false;          // came with the list, all of what its attempt wrote
    std::uint32_t generation = 0;   // of the question in flight: answers to others are late
    int failures = 0;
    int empties = 0;  // answers in a row that held nothing
  };
  struct Task {
    std::uint32_t attempt = 0;  // as last listed; 0: not listed, or has not run
    Log logs[2];                // stdout, stderr
  };
  using LogKey = std::pair<std::uint32_t, bool>;  // task, is it stderr?

  bool wants(bool is_stderr) const { return is_stderr ? wish_.want_stderr : wish_.want_stdout; }
  void want(std::uint32_t task);
  void read_logs();
  void drop_questions();
  void ask_log(LogKey key, Duration delay);
  void watch(Duration delay);
  void list(std::uint32_t from, Duration delay);
  void on_job(Result<JobChanged> changed);
  void on_tasks(Result<TaskList> page);
  void on_chunk(LogKey key, Result<LogChunk> chunk);
  void on_log_failure(LogKey key, const Error& error);
  void take_chunk(LogKey key, Log& log, const LogChunk& chunk);
  void drop_question(LogKey key, Log& log);
  void take_whole(const TaskLogs& logs);
  void confirm(const TaskView& view);
  bool is_whole(const TaskView& view);
  void send(FrameKind kind, std::uint32_t task, std::string_view payload);
  void give_up(const Error& error);
  void finish_if_done();

  Wish wish_;
  Ways ways_;
  JobSummary job_;
  bool is_single_ = false;  // the wish names one task: nothing needs to be listed
  bool has_begun_ = false;
  bool is_final_ = false;
  bool listed_when_final_ = false;
  bool listing_since_final_ = false;
  bool is_listing_ = false;
  std::uint32_t logs_from_ = 0;             // the first task of which the list has not brought all
  std::uint32_t next_logs_from_ = 0;        // the same, as the list under way shows it
  std::optional<std::uint32_t> held_page_;  // to be asked for once the client reads
  std::uint32_t list_generation_ = 0;       // answers to former questions are late
  bool held_ = false;                       // the client does not read
  bool done_ = false;
  int failures_ = 0;
  int changes_ = 0;
  std::map<std::uint32_t, Task> tasks_;
  std::set<LogKey> ready_;  // to be asked for as soon as there is room
  std::set<LogKey> open_;   // asked for
};

}  // namespace dunlin
