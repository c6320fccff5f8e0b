// What a dead runner left is removed, and nothing besides.
#include "os/left_tasks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "os/file_descriptor.h"
#include "os/runner_protocol.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

class LeftTasks : public testing::Test {
 protected:
  LeftTasks() {
    fs::create_directories(at("tasks/77/deep"));
    write_text(at("tasks/77/deep/large"), "x");
  }
  std::string at(const std::string& name) const { return directory_ / name; }
  bool removes() const {
    remove_left_tasks(directory_.path());
    return !fs::exists(at("tasks/77"));
  }

  TemporaryDirectory directory_;
};

TEST_F(LeftTasks, AreRemovedWhereNoRunnerIsOrLives) {
  EXPECT_TRUE(removes()) << "no lock";
  fs::create_directories(at("tasks/77"));
  write_text(at(kRunnerLock), "123\n");
  EXPECT_TRUE(removes()) << "a dead one's";
}

TEST_F(LeftTasks, StayWhileARunnerLives) {
  const FileDescriptor lock = open_file(at(kRunnerLock), O_RDWR | O_CREAT);
  ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
  EXPECT_FALSE(removes());
}

TEST_F(LeftTasks, StayWhereTheLockCannotBeOpened) {
  ASSERT_EQ(mkdir(at(kRunnerLock).c_str(), 0700), 0);
  EXPECT_FALSE(removes());
}

TEST_F(LeftTasks, OnlyWhatBearsTheNodesNamesIsRemoved) {
  fs::create_directories(at("tasks/7x"));
  fs::create_directories(at("tasks/mine"));
  write_text(at("tasks/notes"), "x");
  EXPECT_TRUE(removes());
  for (const char* name : {"tasks/7x", "tasks/mine", "tasks/notes"}) {
    EXPECT_TRUE(fs::exists(at(name))) << name;
  }
}

TEST_F(LeftTasks, ALinkIsNotFollowed) {
  fs::rename(at("tasks"), at("elsewhere"));
  ASSERT_EQ(symlink(at("elsewhere").c_str(), at("tasks").c_str()), 0);
  remove_left_tasks(directory_.path());
  EXPECT_TRUE(fs::exists(at("elsewhere/77/deep/large")));
}

}  // namespace
}  // namespace dunlin
