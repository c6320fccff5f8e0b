// What a task's standard input may be. Files come and go while the runner, which may be root, opens
// them: here they are what a task of the same account could have made of them meanwhile.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file_descriptor.h"
#include "os/held_processes.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

class HeldInput : public testing::Test {
 protected:
  // The error of a start with this file as its input.
  int error_of(const std::string& name) {
    HeldProcesses held(epoll_.get(), {});
    RunnerStart start;
    start.key = 1;
    start.arguments = to_bytes(as_bytes(std::string_view("true\0", 5)));
    start.directory = directory_ / "work";
    start.stdin_file = name;
    held.start(monotonic_now(), std::move(start));
    Bytes out;
    held.fill(out, 1 << 20);
    RunnerFrames frames;
    frames.append(out);
    for (auto frame = frames.next(); frame && *frame; frame = frames.next()) {
      const auto report = decode<RunnerReport>(**frame);
      if (!report) return -1;
      if (const auto* end = std::get_if<ProcessExited>(&*report)) return end->start_error;
    }
    held.kill_all(seconds(5));
    return 0;
  }

  void SetUp() override {
    ASSERT_EQ(mkdir((directory_ / "work").c_str(), 0700), 0);
    ASSERT_EQ(mkdir((directory_ / "elsewhere").c_str(), 0700), 0);
    write_text(directory_ / "elsewhere/secret", "secret");
  }
  std::string work(const std::string& name) { return directory_ / ("work/" + name); }

  TemporaryDirectory directory_;
  const FileDescriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
};

TEST_F(HeldInput, IsAFileOfTheTasksOwnDirectoryAndLosesItsName) {
  ASSERT_EQ(mkdir(work("in").c_str(), 0700), 0);
  write_text(work("in/data"), "x");
  EXPECT_EQ(error_of("in/data"), 0);
  EXPECT_NE(access(work("in/data").c_str(), F_OK), 0);
}

TEST_F(HeldInput, IsNothingThatALinkLeadsTo) {
  ASSERT_EQ(symlink("../elsewhere", work("in").c_str()), 0);
  ASSERT_EQ(symlink("../elsewhere/secret", work("link").c_str()), 0);
  for (const char* name : {"in/secret", "link", "../elsewhere/secret", "./link", "/etc/passwd"}) {
    EXPECT_NE(error_of(name), 0) << name;
  }
  EXPECT_EQ(access((directory_ / "elsewhere/secret").c_str(), F_OK), 0);
}

TEST_F(HeldInput, IsNoFifoThatWouldStopTheRunner) {
  ASSERT_EQ(mkfifo(work("fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of("fifo"), EINVAL);
  ASSERT_EQ(mkdir(work("directory").c_str(), 0700), 0);
  EXPECT_EQ(error_of("directory"), EINVAL);
  EXPECT_EQ(error_of("missing"), ENOENT);
}

}  // namespace
}  // namespace dunlin
