#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/runner_testing.h"

namespace dunlin {
namespace {

struct Outcome {
  SpawnReport report;
  int status = 0;
  pid_t pid = 0;
  std::string text;  // of both streams
};

class Spawn : public testing::Test {
 protected:
  Outcome run(std::vector<std::string> argv, std::vector<std::string> candidates = {},
              const std::string& directory = "/") {
    if (candidates.empty()) candidates.push_back(argv[0]);
    std::vector<char*> words;
    for (std::string& word : argv) words.push_back(word.data());
    words.push_back(nullptr);
    std::vector<const char*> files;
    for (const std::string& file : candidates) files.push_back(file.c_str());
    files.push_back(nullptr);
    std::string path = "PATH=/usr/bin:/bin";
    char* environment[] = {path.data(), nullptr};
    int out[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    SpawnRequest request;
    request.directory = directory.c_str();
    request.argv = words.data();
    request.environment = environment;
    request.candidates = files.data();
    request.stdin_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    request.stdout_fd = out[1];
    request.stderr_fd = out[1];
    Outcome outcome;
    const auto spawned = slot_.start(request);
    EXPECT_TRUE(spawned.has_value());
    close(out[1]);
    char piece[4096];
    ssize_t count;
    while ((count = read(out[0], piece, sizeof piece)) > 0) {
      outcome.text.append(piece, static_cast<std::size_t>(count));
    }
    close(out[0]);
    close(request.stdin_fd);
    outcome.pid = spawned->pid;
    EXPECT_EQ(waitpid(spawned->pid, &outcome.status, 0), spawned->pid);
    close(spawned->pidfd);
    outcome.report = slot_.report();
    return outcome;
  }

  TemporaryDirectory scratch_;
  SpawnSlot slot_;
};

TEST_F(Spawn, RunsAProgramAndItsExitCodeComesBack) {
  const Outcome outcome = run({"/bin/sh", "-c", "echo hello; exit 7"});
  EXPECT_EQ(outcome.report.error, 0);
  EXPECT_EQ(WEXITSTATUS(outcome.status), 7);
  EXPECT_EQ(outcome.text, "hello\n");
}

TEST_F(Spawn, OneSlotServesManyProcessesInTurn) {
  for (int i = 0; i < 50; ++i) EXPECT_EQ(run({"/bin/true"}).report.error, 0);
}

TEST_F(Spawn, SaysThatAnExecutableIsMissing) {
  const Outcome outcome = run({"/no/such/program"});
  EXPECT_EQ(outcome.report.error, ENOENT);
  EXPECT_TRUE(outcome.report.is_missing);
  EXPECT_FALSE(outcome.report.before_exec);
}

TEST_F(Spawn, SaysThatAnExecutableCannotBeExecuted) {
  const auto error_of = [&](const std::string& file) {
    const Outcome outcome = run({file});
    EXPECT_FALSE(outcome.report.is_missing) << file;
    EXPECT_FALSE(outcome.report.before_exec) << file;
    return outcome.report.error;
  };
  EXPECT_EQ(error_of("/usr"), EACCES);
  const std::string file = scratch_.path() + "/file";
  write_text(file, "#!/bin/sh\n", 0644);
  EXPECT_EQ(error_of(file), EACCES);
  write_text(file, "#!/no/such/interpreter\n", 0755);
  EXPECT_EQ(error_of(file), ENOENT);
  write_text(file, "echo this is no program\n", 0755);
  EXPECT_EQ(error_of(file), ENOEXEC);
}

TEST_F(Spawn, TriesCandidatesInOrderAndPassesOverWhatCannotBeExecuted) {
  const std::string plain = scratch_.path() + "/plain";
  write_text(plain, "", 0644);
  const Outcome outcome = run({"x"}, {"/no/such", plain, "/usr", "/bin/true", "/bin/false"});
  EXPECT_EQ(outcome.report.error, 0);
  EXPECT_EQ(outcome.report.candidate, 3U);
  EXPECT_EQ(outcome.status, 0);
  // As execvp: "permission denied" says more than "not found".
  EXPECT_EQ(run({"x"}, {"/no/such", plain, "/no/other"}).report.error, EACCES);
}

TEST_F(Spawn, AClosedDirectoryInThePathHidesNoMissingProgram) {
  const std::string closed = scratch_.path() + "/closed";
  ASSERT_EQ(mkdir(closed.c_str(), 0000), 0);
  const Outcome outcome = run({"x"}, {closed + "/x", "/no/such"});
  EXPECT_EQ(outcome.report.error, ENOENT);
  EXPECT_TRUE(outcome.report.is_missing);
  chmod(closed.c_str(), 0700);
}

TEST_F(Spawn, AMissingDirectoryIsNoErrorOfTheProgram) {
  const Outcome outcome = run({"/bin/true"}, {}, "/no/such/directory");
  EXPECT_EQ(outcome.report.error, ENOENT);
  EXPECT_TRUE(outcome.report.before_exec);
}

TEST_F(Spawn, TheProcessSeesNoDescriptorButTheThreeStreams) {
  // What the caller of the tests left open is not ours.
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  const int leaked = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(run({"/bin/sh", "-c", "ls /proc/$$/fd; :"}).text, "0\n1\n2\n");
  close(leaked);
  // The test can fail: a descriptor that is not close-on-exec does show.
  const int open_one = ::open("/dev/null", O_RDONLY);
  EXPECT_NE(run({"/bin/sh", "-c", "ls /proc/$$/fd; :"}).text, "0\n1\n2\n");
  close(open_one);
}

TEST_F(Spawn, TheProcessLeadsAGroupAndBlocksNoSignals) {
  const Outcome outcome =
      run({"/bin/sh", "-c", "cat /proc/$$/stat; exec grep SigBlk /proc/self/status"});
  const std::string pid = std::to_string(outcome.pid);
  EXPECT_NE(outcome.text.find(pid + " (sh) "), std::string::npos);
  EXPECT_NE(outcome.text.find(" " + std::to_string(getpid()) + " " + pid + " "), std::string::npos)
      << "parent, then group: " << outcome.text;
  EXPECT_NE(outcome.text.find("SigBlk:\t0000000000000000"), std::string::npos) << outcome.text;
}

TEST(ProgramSearch, GoesThroughThePathAndRemembersAHitForASecond) {
  ProgramSearch search;
  const Instant now{1'000'000};
  using Files = std::vector<std::string>;
  EXPECT_EQ(search.candidates("ls", "/a:/b::/c", now), (Files{"/a/ls", "/b/ls", "./ls", "/c/ls"}));
  search.found("ls", "/a:/b", "/b/ls", now);
  EXPECT_EQ(search.candidates("ls", "/a:/b", now), (Files{"/b/ls", "/a/ls", "/b/ls"}));
  EXPECT_EQ(search.candidates("ls", "/other:/b", now), (Files{"/other/ls", "/b/ls"}));
  EXPECT_EQ(search.candidates("ls", "/a:/b", now + seconds(1)), (Files{"/a/ls", "/b/ls"}));
}

TEST(ProgramSearch, APathStandsForItself) {
  ProgramSearch search;
  EXPECT_EQ(search.candidates("./run", "/a:/b", {}), std::vector<std::string>{"./run"});
  search.found("run", "/a:.", "./run", {});
  EXPECT_EQ(search.candidates("run", "/a:.", {}).front(), "/a/run");
}

}  // namespace
}  // namespace dunlin
