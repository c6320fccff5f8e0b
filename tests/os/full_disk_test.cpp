// What is promised of a disk on which there is no room.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "os/storage_child.h"
#include "os/storage_life.h"
#include "os/temporary_directory.h"
#include "os/tiny_disk.h"
#include "os/troubled_disk.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

// A small disk: a file system of its own, or a directory below which no more is written.
class FullDisk : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint64_t kBytes = 24 * 1024 * 1024;

  // Runs `body` in a process of its own, with the small disk at `at`.
  static void run(const std::string& at, const std::function<void()>& body) {
    Child inside([&](int) {
      ::mkdir(at.c_str(), 0700);
      // Where nothing may be mounted the second kind of disk is tried twice.
      if (!GetParam() || !mount_tiny_disk(at, kBytes)) limit_disk(at, kBytes);
      body();
      ::_exit(testing::Test::HasFailure() ? 1 : 0);
    });
    EXPECT_EQ(inside.finish(), 0) << inside.stderr_text;
  }
};

INSTANTIATE_TEST_SUITE_P(, FullDisk, testing::Bool(), [](const auto& is_mounted) {
  return is_mounted.param ? "OfAMountedFileSystem" : "OfADirectory";
});

TEST_P(FullDisk, UsesTheReserveSaysSoAndLosesNoPromise) {
  const TemporaryDirectory directory;
  run(directory / "disk", [&] {
    const std::string node = directory / "disk/node";
    Child child([&](int report) { write_in_child(node, report, 4 * 1024 * 1024, 20'000); });
    EXPECT_EQ(child.finish(), kDiskFailedExit);
    EXPECT_TRUE(child.was_full) << "rows became durable in the reserve, and the owner knew";
    EXPECT_NE(child.stderr_text.find("this node ends here"), std::string::npos)
        << child.stderr_text;
    EXPECT_EQ(std::count(child.stderr_text.begin(), child.stderr_text.end(), '\n'), 1);
    StorageLife life;
    const Result<void> opened = life.open(node);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    life.check(child.row);
  });
}

TEST_P(FullDisk, TellsWhenThereIsRoomAgainAndThenWritesTheCheckpointThatWaited) {
  const TemporaryDirectory directory;
  run(directory / "disk", [&] {
    const std::string node = directory / "disk/node";
    std::ofstream(directory / "disk/filler") << std::string(19'000'000, 'x');
    StorageLife life;
    ASSERT_TRUE(life.open(node, 1024 * 1024).has_value());
    life.write_durably(1);
    for (int i = 0; i < 1000 && !life.full(); ++i) {
      life.write(10'000);
      life.settle();
    }
    ASSERT_TRUE(life.full());
    life.storage().checkpoint(
        life.journal().seal_checkpoint({{"large", Bytes(3 * 1024 * 1024, 1)}}));
    life.write_durably(3);
    EXPECT_TRUE(life.journal().checkpoint_in_flight());
    fs::remove(directory / "disk/filler");
    life.turn_until([&] { return !life.full() && !life.journal().checkpoint_in_flight(); });
    life.write_durably(3);
  });
}

TEST_P(FullDisk, AWriteWaitsForRoomThatSomebodyIsMaking) {
  const TemporaryDirectory directory;
  run(directory / "disk", [&] {
    const std::string node = directory / "disk/node";
    StorageLife life;
    ASSERT_TRUE(life.open(node).has_value());
    life.write_durably(1);
    // A task that is to be ended.
    fs::create_directories(node + "/tasks/1/deep");
    std::ofstream(directory / "disk/filler") << std::string(22'000'000, 'x');
    for (int i = 0; i < 1000 && !life.full(); ++i) {
      life.write(100'000);
      life.turn_until([&] { return life.full() || life.durable() == life.journal().last_row(); });
    }
    ASSERT_TRUE(life.full());
    EXPECT_LT(life.durable(), life.journal().last_row());
    fs::remove(directory / "disk/filler");
    life.settle();
    life.write_durably(3);
  });
}

}  // namespace
}  // namespace dunlin
