#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "os/clock.h"
#include "os/runner_testing.h"

namespace dunlin {

bool wait_until(const std::function<bool()>& condition, Duration limit) {
  const Instant until = monotonic_now() + limit;
  while (!condition()) {
    if (monotonic_now() >= until) return false;
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
  return true;
}

RunnerOptions test_options(const std::string& directory, Duration unattended) {
  RunnerOptions options;
  options.directory = directory;
  options.unattended = unattended;
  return options;
}

TestNode::TestNode(RunnerOptions options) : directory_(options.directory) {
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &tick_);
  auto runner =
      Runner::open(&loop_, std::move(options),
                   {.on_events =
                        [this](std::vector<ProcessEvent> events) {
                          for (ProcessEvent& event : events) on_event(std::move(event));
                        },
                    .on_problem = [this](const std::string& text) { problems.push_back(text); }});
  EXPECT_TRUE(runner.has_value());
  runner_ = std::move(*runner);
}

TestNode::~TestNode() {
  close();
}

void TestNode::close() {
  if (!runner_) return;
  runner_->close();
  while (!runner_->is_closed()) uv_run(&loop_, UV_RUN_ONCE);
  runner_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&tick_), nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop_), 0);
}

void TestNode::on_event(ProcessEvent event) {
  if (auto* ready = std::get_if<RunnerReady>(&event)) {
    held = std::move(ready->held);
    isolation_note = ready->note;
    ++times_ready;
    for (const RunnerHeld& process : held) {
      SeenProcess& now = seen[process.key] = {};
      now.pid = process.pid;
      now.begin[0] = process.stdout_taken;
      now.begin[1] = process.stderr_taken;
    }
  } else if (std::holds_alternative<RunnerLost>(event)) {
    ++times_lost;
  } else if (const auto* silence = std::get_if<RunnerSilence>(&event)) {
    is_silent = silence->is_silent;
    times_silent += is_silent ? 1 : 0;
  } else if (auto* started = std::get_if<ProcessStarted>(&event)) {
    seen[started->key].pid = started->pid;
  } else if (auto* output = std::get_if<ProcessOutput>(&event)) {
    SeenProcess& process = seen[output->key];
    const int which = output->is_stderr ? 1 : 0;
    std::string& text = process.text[which];
    EXPECT_EQ(output->offset, process.begin[which] + text.size());
    EXPECT_FALSE(process.end.has_value()) << "output after the end";
    text += as_text(output->bytes);
    const std::uint64_t end = output->offset + output->bytes.size();
    if (takes_output) runner_->output_taken({output->key, output->is_stderr, end});
  } else if (auto* exit = std::get_if<ProcessExited>(&event)) {
    EXPECT_FALSE(seen[exit->key].end.has_value()) << "a second end";
    seen[exit->key].end = *exit;
  } else if (auto* files = std::get_if<OutputsFound>(&event)) {
    found.push_back(std::move(*files));
  } else if (auto* bytes = std::get_if<OutputData>(&event)) {
    data.push_back(std::move(*bytes));
  }
}

bool TestNode::wait(const std::function<bool()>& condition, Duration limit) {
  const Instant until = monotonic_now() + limit;
  uv_timer_start(
      &tick_, [](uv_timer_t*) {}, 5, 5);
  while (!condition() && monotonic_now() < until) uv_run(&loop_, UV_RUN_ONCE);
  uv_timer_stop(&tick_);
  return condition();
}

bool TestNode::wait_ready() {
  return wait([this] { return times_ready > 0; });
}

bool TestNode::wait_end(ProcessKey key) {
  return wait([this, key] { return seen[key].end.has_value(); });
}

void TestNode::start(ProcessKey key, std::vector<std::string> argv) {
  seen.erase(key);
  StartProcess process;
  process.key = key;
  process.label = to_bytes("label " + std::to_string(key));
  process.argv = std::move(argv);
  runner_->start(std::move(process));
}

void TestNode::start_shell(ProcessKey key, const std::string& script) {
  start(key, {"sh", "-c", script});
}

SeenProcess TestNode::run(ProcessKey key, std::vector<std::string> argv) {
  start(key, std::move(argv));
  EXPECT_TRUE(wait_end(key)) << "process " << key << " does not end";
  if (!seen[key].end) seen[key].end.emplace();
  return seen[key];
}

SeenProcess TestNode::run_shell(ProcessKey key, const std::string& script) {
  return run(key, {"sh", "-c", script});
}

void TestNode::shut_down() {
  if (!runner_) return;
  runner_->shut_down();
  close();
  EXPECT_TRUE(runner_is_gone(directory_));
}

bool runner_is_gone(const std::string& directory, Duration limit) {
  const int fd =
      ::open((directory + "/" + kRunnerLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const bool gone = wait_until([fd] { return flock(fd, LOCK_EX | LOCK_NB) == 0; }, limit);
  close(fd);
  return gone;
}

bool process_is_gone(int pid, Duration limit) {
  // A zombie is dead; when its parent fetches it is none of ours.
  return wait_until(
      [pid] {
        const std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
        return stat.empty() || stat.find(") Z ") != std::string::npos;
      },
      limit);
}

std::string wait_for_file(const std::string& path, Duration limit) {
  wait_until([&] { return !read_text(path).empty(); }, limit);
  return read_text(path);
}

void write_text(const std::string& path, const std::string& text, unsigned mode) {
  std::ofstream(path) << text;
  chmod(path.c_str(), mode);
}

std::string read_text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int run_test_node(const std::vector<std::string>& words) {
  const std::string directory = words.at(0);
  TestNode node(test_options(directory));
  node.takes_output = false;
  if (!node.wait_ready()) return 1;
  node.start_shell(1, words.at(1));
  if (!node.wait([&] { return node.seen[1].text[0].size() >= 2000; })) return 1;
  node.runner().output_taken({1, false, strtoull(words.at(2).c_str(), nullptr, 10)});
  // One more answer from the runner says that it has read what was sent before.
  node.run(2, {"true"});
  write_text(directory + "/node-ready", std::to_string(node.seen[1].pid));
  node.wait([] { return false; }, seconds(120));
  return 0;
}

int run_group_leaver(const std::string& file, long long size) {
  const pid_t other = fork();
  if (other == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  if (setpgid(other, other) != 0 || setpgid(0, other) != 0) return 1;
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string piece(64 * 1024, 'x');
  for (long long written = 0; written < size;) {
    const ssize_t count = write(fd, piece.data(), piece.size());
    if (count < 0) return 1;
    written += count;
  }
  for (;;) pause();
}

}  // namespace dunlin
