// Tasks that run in a directory of the host instead of one of their own.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/runner.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

class RunnerDirectory : public testing::Test {
 protected:
  RunnerDirectory() : node_(test_options(directory_.path())) {
    EXPECT_TRUE(node_.wait_ready());
    EXPECT_EQ(mkdir(host().c_str(), 0755), 0);
    EXPECT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  }
  ~RunnerDirectory() override { node_.shut_down(); }

  std::string host() const { return directory_ / "host"; }

  SeenProcess run(TestNode& node, StartProcess start) {
    start.key = 1;
    node.runner().start(std::move(start));
    EXPECT_TRUE(node.wait_end(1));
    return node.seen[1];
  }

  TemporaryDirectory directory_;
  TestNode node_;
};

TEST_F(RunnerDirectory, IsTheHostsAndTheTasksOwnIsNamedBesides) {
  StartProcess start;
  start.argv = {"sh", "-c", "pwd -P; cd \"$DUNLIN_WORKDIR\" && pwd -P"};
  start.host_directory = host();
  const SeenProcess seen = run(node_, std::move(start));
  const std::string text = seen.text[0];
  EXPECT_TRUE(text.starts_with(host() + "\n" + (directory_ / "tasks/"))) << text << seen.text[1];
}

TEST_F(RunnerDirectory, AShippedProgramRunsFromTheTasksOwn) {
  write_text(directory_ / "pack", "#!/bin/sh\npwd -P\n");
  StartProcess start;
  start.argv = {"./bin/hello"};
  start.host_directory = host();
  start.files = {{"bin/hello", 0755, {{"pack", 0, 17}}}};
  const SeenProcess seen = run(node_, std::move(start));
  EXPECT_EQ(seen.text[0], host() + "\n") << seen.text[1];
}

TEST_F(RunnerDirectory, ThatIsNotThereFailsTheStart) {
  StartProcess start;
  start.argv = {"true"};
  start.host_directory = host() + "/gone";
  const ProcessExited end = *run(node_, std::move(start)).end;
  EXPECT_TRUE(end.lacks_directory);
  EXPECT_EQ(end.start_error, ENOENT);
  EXPECT_EQ(end.exit_code, 125);
}

TEST_F(RunnerDirectory, IsEnteredWithTheRightsOfTheTasksAccount) {
  ASSERT_EQ(chmod(host().c_str(), 0700), 0);
  node_.shut_down();
  RunnerOptions options = test_options(directory_.path());
  options.run_as = "nobody";
  TestNode other(std::move(options));
  ASSERT_TRUE(other.wait_ready());
  StartProcess start;
  start.argv = {"true"};
  start.host_directory = host();
  const ProcessExited end = *run(other, std::move(start)).end;
  // Who is not root cannot have tasks of another account at all.
  EXPECT_EQ(end.lacks_directory, geteuid() == 0);
  EXPECT_EQ(end.start_error, geteuid() == 0 ? EACCES : EPERM);
  other.shut_down();
}

}  // namespace
}  // namespace dunlin
