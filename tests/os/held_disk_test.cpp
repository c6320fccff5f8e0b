// Tasks that are ended for a nearly full disk: who, when their room comes back, and who is not.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "os/clock.h"
#include "os/file_descriptor.h"
#include "os/held_processes.h"
#include "os/runner_testing.h"
#include "os/storage_child.h"
#include "os/troubled_disk.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMB = 1'000'000;
constexpr std::uint64_t kDisk = 24 * kMB;  // with less than 1.2 MB free it is nearly full

// The runner's processes, and a node that takes output only when told to.
class Held {
 public:
  explicit Held(std::string directory)
      : directory_(std::move(directory)), held_(epoll_.get(), options(directory_)) {}
  ~Held() { held_.kill_all(seconds(10)); }

  std::string work(ProcessKey key, const std::string& name = "") const {
    return directory_ + "/" + std::to_string(key) + "/" + name;
  }

  void start(ProcessKey key, const std::string& script, std::uint64_t staged = 0) {
    RunnerStart start;
    start.key = key;
    for (const std::string& word : {std::string("/bin/sh"), std::string("-c"), script}) {
      append(start.arguments, as_bytes(word));
      start.arguments.push_back(0);
    }
    start.environment = to_bytes(as_bytes("PATH=/usr/local/bin:/usr/bin:/bin"));
    start.environment.push_back(0);
    start.directory = directory_ + "/" + std::to_string(key);
    start.staged = staged;
    fs::create_directories(start.directory);
    held_.start(monotonic_now(), std::move(start));
    report();
  }

  bool turn_until(const std::function<bool()>& condition) {
    return wait_until([&] {
      std::array<epoll_event, 16> events{};
      const int count = epoll_wait(epoll_.get(), events.data(), 16, 5);
      const Instant now = monotonic_now();
      for (int i = 0; i < count; ++i) {
        held_.on_event(now, events[static_cast<std::size_t>(i)].data.u64);
      }
      if (held_.next_deadline() <= now) held_.tick(now);
      report();
      return condition();
    });
  }
  bool turn_until_end(ProcessKey key) {
    return turn_until([&] { return ends.contains(key); });
  }

  HeldProcesses& processes() { return held_; }

  bool takes_output = true;
  std::map<ProcessKey, pid_t> pids;
  std::map<ProcessKey, std::uint64_t> said;
  std::map<ProcessKey, ProcessExited> ends;

 private:
  static HeldOptions options(const std::string& directory) {
    HeldOptions options;
    options.directory = directory;
    options.may_pin = false;
    return options;
  }

  void report() {
    Bytes out;
    held_.fill(out, 1 << 20);
    RunnerFrames frames;
    frames.append(out);
    for (auto frame = frames.next(); frame && *frame; frame = frames.next()) {
      const auto report = decode<RunnerReport>(**frame);
      ASSERT_TRUE(report.has_value());
      if (const auto* begin = std::get_if<ProcessStarted>(&*report)) pids[begin->key] = begin->pid;
      if (const auto* end = std::get_if<ProcessExited>(&*report)) ends[end->key] = *end;
      const auto* output = std::get_if<ProcessOutput>(&*report);
      if (output != nullptr) said[output->key] = output->offset + output->bytes.size();
    }
    if (!takes_output) return;
    for (const auto& [key, end] : said) held_.take(key, false, end);
  }

  const std::string directory_;
  const FileDescriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
  HeldProcesses held_;
};

class HeldDisk : public testing::Test {
 protected:
  // In a process of its own, with a small disk.
  void run(const std::function<void(Held&)>& body) {
    Child inside([&](int) {
      ::prctl(PR_SET_CHILD_SUBREAPER, 1);
      limit_disk(directory_.path(), kDisk);
      {
        Held held(directory_.path());
        body(held);
      }
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(inside.finish(), 0) << inside.stderr_text;
  }
  // What lies on the disk and belongs to no task, from now on.
  void set_other(std::uint64_t bytes) const {
    write_text(directory_ / "other", "");
    fs::resize_file(directory_ / "other", bytes);
  }

  TemporaryDirectory directory_;
};

std::string hold(std::uint64_t bytes) {
  return "head -c " + std::to_string(bytes) + " /dev/zero >> large; ";
}

constexpr const char* kWaitToGo = "touch ready; while [ ! -e go ]; do sleep 0.01; done; ";

TEST_F(HeldDisk, RoomComesBackBeforeTheOutputOfWhoIsEndedIsTaken) {
  run([](Held& held) {
    held.takes_output = false;
    for (const ProcessKey key : {1, 2}) {
      held.start(key, "head -c 3000000 /dev/zero & " + std::string(kWaitToGo) + hold(kDisk) +
                          "sleep 1000");
      // Its pipe is full, and nothing more is read.
      ASSERT_TRUE(held.turn_until([&] { return held.said[key] == kMaxUntaken; }));
      write_text(held.work(key, "go"), "");
      ASSERT_TRUE(held.turn_until([&] { return !fs::exists(held.work(key)); }))
          << "task " << key << ": what the one before has not yet said keeps nobody";
      EXPECT_FALSE(held.ends.contains(key));
    }
    held.takes_output = true;
    for (const ProcessKey key : {1, 2}) {
      ASSERT_TRUE(held.turn_until_end(key));
      EXPECT_GE(held.ends[key].killed_with, kDisk / 20);
      EXPECT_EQ(held.ends[key].signal, SIGKILL);
    }
  });
}

TEST_F(HeldDisk, WhoIsOverBeforeItIsEndedKeepsWhatItMade) {
  run([](Held& held) {
    held.start(1, hold(kDisk) + "exit 0");
    ASSERT_TRUE(wait_until([&] { return held.pids.contains(1); }));
    siginfo_t info{};
    const auto pid = static_cast<id_t>(held.pids[1]);
    ASSERT_EQ(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
    // The disk is looked at before it is known that the process has ended.
    held.processes().tick(monotonic_now() + seconds(1));
    ASSERT_TRUE(held.turn_until_end(1));
    EXPECT_EQ(held.ends[1].exit_code, 0);
    EXPECT_EQ(held.ends[1].killed_with, 0U);
    EXPECT_EQ(fs::file_size(held.work(1, "large")), kDisk);
  });
}

TEST_F(HeldDisk, WhoHasLeftItsGroupIsEndedAsWell) {
  run([](Held& held) {
    const std::string self = fs::read_symlink("/proc/self/exe").string();
    held.start(1, "exec " + self + " leave-group large " + std::to_string(kDisk));
    ASSERT_TRUE(held.turn_until([&] { return !fs::exists(held.work(1)); }));
    ASSERT_TRUE(held.turn_until_end(1));
    EXPECT_EQ(held.ends[1].signal, SIGKILL);
    EXPECT_GT(held.ends[1].killed_with, 0U);
  });
}

TEST_F(HeldDisk, WhenSomethingElseFillsItOneIsEndedAndThenOnlyWhoGrows) {
  run([this](Held& held) {
    const std::uint64_t sizes[] = {4 * kMB, 3 * kMB, kMB / 2};
    for (const ProcessKey key : {1, 2, 3}) {
      held.start(key, hold(sizes[key - 1]) + kWaitToGo + hold(2 * kMB) + "sleep 1000");
      ASSERT_TRUE(held.turn_until([&] { return fs::exists(held.work(key, "ready")); }));
    }
    set_other(16 * kMB);
    ASSERT_TRUE(held.turn_until_end(1));
    ASSERT_TRUE(held.turn_until([&] { return !fs::exists(held.work(1)); }));
    set_other(20 * kMB);
    write_text(held.work(3, "go"), "");
    ASSERT_TRUE(held.turn_until_end(3));
    EXPECT_GT(held.ends[3].killed_with, 0U);
    EXPECT_FALSE(held.ends.contains(2)) << "the larger one, which did not grow";
  });
}

TEST_F(HeldDisk, WhatTheNodeStagedIsNotHeldAgainstATask) {
  run([this](Held& held) {
    const std::uint64_t staged = 6 * kMB;
    fs::create_directories(held.work(1));
    write_text(held.work(1, "input"), std::string(staged, 'x'));
    for (const ProcessKey key : {1, 2}) {
      held.start(key, hold(key * kMB) + kWaitToGo, key == 1 ? staged : 0);
      ASSERT_TRUE(held.turn_until([&] { return fs::exists(held.work(key, "ready")); }));
    }
    set_other(14 * kMB + kMB / 2);
    ASSERT_TRUE(held.turn_until_end(2));
    EXPECT_FALSE(held.ends.contains(1));
    EXPECT_GT(held.ends[2].killed_with, 0U);
  });
}

}  // namespace
}  // namespace dunlin
