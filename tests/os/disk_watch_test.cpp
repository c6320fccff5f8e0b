// What the watch over the disk sees, what it leaves out, and how it removes.
#include "os/disk_watch.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "os/runner_testing.h"
#include "os/storage_child.h"
#include "os/temporary_directory.h"
#include "os/tiny_disk.h"
#include "os/workdir.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMany = 1000;

class DiskWatchTest : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return directory_ / name; }
  // Of 64 KiB, with all directories above it.
  void fill(const std::string& name) {
    fs::create_directories(fs::path(at(name)).parent_path());
    write_text(at(name), std::string(64 * 1024, 'x'));
  }
  std::uint64_t held(const std::string& name, std::size_t entries = kMany) {
    return watch_.held_below(at(name), entries);
  }

  static constexpr std::uint64_t kMiB = 1024 * 1024;
  static constexpr std::uint64_t kFile = 64 * 1024;
  TemporaryDirectory directory_;
  DiskWatch watch_{directory_.path()};
};

TEST_F(DiskWatchTest, IsLowBelowAFiftiethOfTheDiskWithinBounds) {
  const auto mark = [](std::uint64_t total) {
    std::uint64_t low = 0;
    for (std::uint64_t step = total; step > 0; step /= 2) {
      while (DiskWatch::judge(total, low + step - 1).is_low) low += step;
    }
    return low;
  };
  EXPECT_EQ(mark(10'000 * kMiB), 200 * kMiB);
  EXPECT_EQ(mark(1'000 * kMiB), 32 * kMiB) << "at least";
  EXPECT_EQ(mark(1'000'000 * kMiB), 512 * kMiB) << "at most";
  EXPECT_EQ(mark(100 * kMiB), 5 * kMiB) << "where no new task is taken, whatever the least";
  EXPECT_EQ(DiskWatch::judge(10'000 * kMiB, 0).least_blamed, 50 * kMiB);
  EXPECT_EQ(DiskWatch::judge(10'000 * kMiB, 7 * kMiB).free, 7 * kMiB);
  EXPECT_FALSE(DiskWatch::judge(0, 0).is_low) << "a file system that does not say";
}

TEST_F(DiskWatchTest, TheLessThereIsTheSoonerItLooksAgain) {
  const std::uint64_t total = 10'000 * kMiB;
  EXPECT_EQ(DiskWatch::judge(total, total).pause, milliseconds(500));
  EXPECT_EQ(DiskWatch::judge(total, 200 * kMiB).pause, milliseconds(20));
  EXPECT_EQ(DiskWatch::judge(total, 0).pause, milliseconds(20));
  EXPECT_EQ(DiskWatch::judge(total, 200 * kMiB + 400'000'000).pause, milliseconds(100));
}

TEST_F(DiskWatchTest, CountsWhatLiesBelowAndFollowsNoLink) {
  fill("task/one");
  fill("task/deep/er/two");
  fill("other/three");
  ASSERT_EQ(symlink(at("other").c_str(), at("task/link").c_str()), 0);
  ASSERT_EQ(symlink(at("other/three").c_str(), at("task/file").c_str()), 0);
  ASSERT_EQ(symlink(at("other").c_str(), at("top").c_str()), 0);
  EXPECT_EQ(held("task"), 2 * kFile);
  EXPECT_EQ(held("top"), 0U);
  EXPECT_EQ(held("gone"), 0U);
}

TEST_F(DiskWatchTest, NothingIsLookedAtBeyondTheEntries) {
  for (int i = 0; i < 10; ++i) fill("task/" + std::to_string(i));
  EXPECT_EQ(held("task", 3), 3 * kFile);
  EXPECT_EQ(held("task", 0), 0U);
  std::size_t entries = 30;
  EXPECT_EQ(watch_.held_below(at("task"), entries), 10 * kFile);
  EXPECT_EQ(entries, 20U);
}

TEST_F(DiskWatchTest, NothingIsLookedAtBelowTheDepth) {
  std::string path = "task/";
  for (std::size_t i = 0; i < kMaxWorkdirDepth; ++i) path += "d/";
  fill(path + "last");
  EXPECT_EQ(held("task"), kFile);
  fill(path + "d/beyond");
  EXPECT_EQ(held("task"), kFile);
}

TEST_F(DiskWatchTest, WhatLiesOnOtherDisksIsNotCounted) {
  fill("task/one");
  struct stat here {};
  struct stat other {};
  ASSERT_EQ(stat(directory_.path().c_str(), &here), 0);
  ASSERT_EQ(stat("/proc/self", &other), 0);
  ASSERT_NE(here.st_dev, other.st_dev);
  std::size_t entries = kMany;
  EXPECT_EQ(watch_.held_below("/proc/self", entries), 0U);
  EXPECT_EQ(entries, kMany) << "not even entered";
  fs::create_directories(at("task/mounted"));
  Child inside([&](int) {
    // Where nothing may be mounted it stays on this disk.
    const bool is_mounted = mount_tiny_disk(at("task/mounted"), kMiB);
    fill("task/mounted/two");
    EXPECT_EQ(held("task"), is_mounted ? kFile : 2 * kFile);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  });
  EXPECT_EQ(inside.finish(), 0) << inside.stderr_text;
}

TEST_F(DiskWatchTest, CountlessFilesOfOneHideNobodyElse) {
  fs::create_directories(at("many"));
  for (int i = 0; i < 100; ++i) write_text(at("many/") + std::to_string(i), "");
  for (int i = 0; i < 30; ++i) fill("large/" + std::to_string(i));
  fill("small/one");
  using Bytes = std::vector<std::uint64_t>;
  const auto bytes = [&](std::size_t entries) {
    return watch_.held_by_each({at("many"), at("large"), at("small"), at("gone")}, entries);
  };
  EXPECT_EQ(bytes(80), (Bytes{0, 30 * kFile, kFile, 0})) << "what the others need not, it gets";
  EXPECT_EQ(bytes(16), (Bytes{0, 6 * kFile, kFile, 0})) << "of 11 left over, 5 and 6";
  EXPECT_EQ(watch_.held_by_each({}, 16), Bytes{});
}

TEST_F(DiskWatchTest, RemovesInAThreadAndWhereThereCanBeNoneAtOnce) {
  fill("task/deep/one");
  watch_.clear(at("task"));
  EXPECT_TRUE(wait_until([&] { return !watch_.is_clearing(); }));
  EXPECT_FALSE(fs::exists(at("task")));
  fill("task/deep/one");
  ASSERT_EQ(chmod(directory_.path().c_str(), 0777), 0);
  for (const char* name : {"task", "task/deep"}) ASSERT_EQ(chmod(at(name).c_str(), 0777), 0);
  Child inside([&](int) {
    // Root is above that limit, and "nobody" is not.
    const uid_t uid = ::geteuid() == 0 ? 65534 : ::geteuid();
    EXPECT_EQ(::setresuid(uid, uid, uid), 0);
    const rlimit none{0, 0};
    EXPECT_EQ(::setrlimit(RLIMIT_NPROC, &none), 0);
    EXPECT_EQ(Thread::try_start("none", [] {}), nullptr);
    watch_.clear(at("task"));
    EXPECT_FALSE(watch_.is_clearing());
    EXPECT_FALSE(fs::exists(at("task")));
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  });
  EXPECT_EQ(inside.finish(), 0) << inside.stderr_text;
}

}  // namespace
}  // namespace dunlin
