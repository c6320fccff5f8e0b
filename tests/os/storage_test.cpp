// The real disk: processes that die, files that rot, directories that are not what they should be.
#include "os/storage.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/random.h"
#include "os/clock.h"
#include "os/pack_files.h"
#include "os/storage_child.h"
#include "os/storage_life.h"
#include "os/temporary_directory.h"
#include "os/troubled_disk.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

// A directory whose process was killed after so many durable rows, its write-ahead logs in place;
// the last row that it acknowledged. The log may hold more.
std::uint64_t leave_killed(const std::string& directory, std::uint64_t rows) {
  Child child([&](int report) { write_in_child(directory, report); });
  while (child.row < rows && child.next()) {
  }
  child.kill();
  child.finish();
  return child.row;
}

void expect_corrupt(const std::string& directory, const std::string& words) {
  StorageLife life;
  const Result<void> opened = life.open(directory);
  ASSERT_FALSE(opened.has_value()) << words;
  EXPECT_EQ(opened.error().code, Code::kCorrupt) << opened.error().message;
  EXPECT_NE(opened.error().message.find(words), std::string::npos) << opened.error().message;
  EXPECT_EQ(opened.error().message.find('\n'), std::string::npos);
  EXPECT_FALSE(opened.error().hint.empty());
}

TEST(Storage, MakesItsDirectoryForItsAccountAlone) {
  const TemporaryDirectory directory;
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  struct stat about {};
  ASSERT_EQ(::stat((directory / "node").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0700u);
}

unsigned mode_of(const std::string& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777;
}

TEST(Storage, ClosesADirectoryThatWasThereToOthers) {
  const TemporaryDirectory directory;
  const std::string node = directory / "node";
  {
    StorageLife life;
    ASSERT_TRUE(life.open(node).has_value());
    life.write_durably(1);
  }
  ASSERT_EQ(::chmod(node.c_str(), 0777), 0);
  for (const char* name : {"/log.db", "/state.db"}) {
    ASSERT_EQ(::chmod((node + name).c_str(), 0666), 0);
  }
  StorageLife life;
  ASSERT_TRUE(life.open(node).has_value());
  EXPECT_EQ(mode_of(node), 0711u);
  EXPECT_EQ(mode_of(node + "/log.db"), 0600u);
  EXPECT_EQ(mode_of(node + "/state.db"), 0600u);
}

TEST(Storage, RefusesADirectoryOfSomebodyElseAndLeavesItAsItWas) {
  const TemporaryDirectory directory;
  const std::string home = directory / "home";
  fs::create_directories(home + "/Documents");
  ASSERT_EQ(::chmod(home.c_str(), 0755), 0);
  const auto in_use = Storage::open(home);
  ASSERT_FALSE(in_use.has_value());
  EXPECT_EQ(in_use.error().code, Code::kRefused);
  EXPECT_NE(in_use.error().message.find("it holds Documents/"), std::string::npos);
  EXPECT_EQ(mode_of(home), 0755u);
  EXPECT_FALSE(fs::exists(home + "/lock"));
}

// Root gives one away; whoever is not root finds root's everywhere.
std::string directory_of_another(const TemporaryDirectory& directory) {
  std::string foreign = "/usr";
  if (::geteuid() == 0) {
    foreign = directory / "foreign";
    EXPECT_EQ(::mkdir(foreign.c_str(), 0755), 0);
    EXPECT_EQ(::chown(foreign.c_str(), 65534, 65534), 0);
  }
  return foreign;
}

TEST(Storage, RefusesADirectoryOfAnotherAccountAndLeavesItAsItWas) {
  const TemporaryDirectory directory;
  const std::string foreign = directory_of_another(directory);
  const unsigned mode = mode_of(foreign);
  const auto refused = Storage::open(foreign);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kRefused);
  EXPECT_NE(refused.error().message.find("belongs to another account"), std::string::npos)
      << refused.error().message;
  EXPECT_EQ(mode_of(foreign), mode);
  EXPECT_FALSE(fs::exists(foreign + "/lock"));
}

int last_taken = -1;  // for a signal's handler

TEST(Storage, WaitsForADescriptorWhenAllAreTaken) {
  const TemporaryDirectory directory;
  Child child([&](int) {
    PackFiles packs(directory.path());
    const rlimit limit{64, 64};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(9);
    for (int next; (next = ::open("/dev/null", O_RDONLY)) >= 0;) last_taken = next;
    // One is free again after a while: by then the writer, who does all in this thread, waits.
    ::signal(SIGALRM, [](int) { ::close(last_taken); });
    ::ualarm(50'000, 0);
    const bool written = packs.write({"packs/000001", 0, to_bytes("content")}).has_value();
    ::_exit(written ? 0 : 8);
  });
  EXPECT_EQ(child.finish(), 0) << child.stderr_text;
  EXPECT_EQ(fs::file_size(directory / "packs/000001"), 7u);
}

TEST(Storage, EveryAcknowledgedBatchSurvivesKillNine) {
  const TemporaryDirectory directory;
  std::uint64_t acknowledged = 0;
  for (std::uint64_t round = 0; round < 12; ++round) {
    Child child([&](int report) { write_in_child(directory / "node", report); });
    const std::uint64_t stop = acknowledged + 1 + 37 * round;
    while (child.row < stop && child.next()) {
    }
    child.kill();
    EXPECT_EQ(child.finish(), -1);
    ASSERT_GE(child.row, stop) << child.stderr_text;
    acknowledged = child.row;
    StorageLife life;
    const Result<void> opened = life.open(directory / "node");
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    life.check(acknowledged);
    if (round % 3 == 0) life.checkpoint("state " + std::to_string(round));
  }
}

TEST(Storage, MakesDurableWhatWaitsWhenItIsClosed) {
  const TemporaryDirectory directory;
  {
    StorageLife life;
    ASSERT_TRUE(life.open(directory / "node").has_value());
    for (int i = 0; i < 500; ++i) life.write();
  }
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  life.check(500);
}

TEST(Storage, ASecondProcessIsRefusedWithThePidOfTheFirst) {
  const TemporaryDirectory directory;
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  Child second([&](int) {
    const auto refused = Storage::open(directory / "node");
    if (refused) ::_exit(1);
    const std::string line = refused.error().message;
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) ::_exit(2);
    ::_exit(refused.error().code == Code::kRefused ? 0 : 3);
  });
  EXPECT_EQ(second.finish(), 0);
  EXPECT_EQ(second.stderr_text,
            directory / "node is in use by process " + std::to_string(::getpid()));
}

TEST(Storage, AKilledProcessHoldsItsDirectoryNoLonger) {
  const TemporaryDirectory directory;
  leave_killed(directory / "node", 1);
  StorageLife life;
  EXPECT_TRUE(life.open(directory / "node").has_value());
}

TEST(Storage, SaysWhyADirectoryCannotBeUsed) {
  const TemporaryDirectory directory;
  const auto orphan = Storage::open(directory / "no/such/parent");
  ASSERT_FALSE(orphan.has_value());
  EXPECT_EQ(orphan.error().message,
            "cannot create " + (directory / "no/such/parent") + ": No such file or directory");
  std::ofstream(directory / "file") << "x";
  EXPECT_FALSE(Storage::open(directory / "file").has_value());
  // Root may write anywhere, so another account tries; harmless where we are not root.
  ASSERT_EQ(::mkdir((directory / "readonly").c_str(), 0555), 0);
  Child other([&](int) {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(9);
    const auto refused = Storage::open(directory / "readonly");
    if (refused) ::_exit(1);
    const std::string line = refused.error().message;
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) ::_exit(2);
  });
  EXPECT_EQ(other.finish(), 0);
  EXPECT_NE(other.stderr_text.find("Permission denied"), std::string::npos) << other.stderr_text;
}

// ---- rot
// -----------------------------------------------------------------------------------------

TEST(Storage, ATornWriteAheadLogBelowTheWitnessIsAmnesia) {
  const TemporaryDirectory directory;
  leave_killed(directory / "node", 300);
  const std::string wal = directory / "node/log.db-wal";
  fs::resize_file(wal, fs::file_size(wal) / 2);
  expect_corrupt(directory / "node", "the log has lost its end");
}

TEST(Storage, ATornTailThatNobodyWitnessedIsHarmless) {
  const TemporaryDirectory directory;
  leave_killed(directory / "node", 300);
  const std::string wal = directory / "node/log.db-wal";
  fs::resize_file(wal, fs::file_size(wal) / 2);
  fs::remove(directory / "node/witness");
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  EXPECT_LT(life.recovered().next_row, 300u);
  life.check(0);
}

TEST(Storage, ALostOrEmptiedOrForeignLogIsAmnesia) {
  const TemporaryDirectory directory;
  const std::string node = directory / "node";
  leave_killed(node, 100);
  fs::copy(node, directory / "saved");
  const auto again = [&] {
    fs::remove_all(node);
    fs::copy(directory / "saved", node, fs::copy_options::recursive);
  };
  fs::remove(node + "/log.db");
  expect_corrupt(node, "log.db is gone, but log.db-wal is there");
  again();
  fs::remove(node + "/log.db");
  fs::remove(node + "/log.db-wal");
  expect_corrupt(node, "log.db is gone, but state.db is there");
  expect_corrupt(node, "log.db is gone");  // the first refusal has not made a new one
  again();
  fs::remove(node + "/log.db-wal");
  expect_corrupt(node, "the log has lost its end: row ");
  again();
  fs::remove(node + "/log.db-wal");
  fs::resize_file(node + "/log.db", 0);
  expect_corrupt(node, "and the last one left is 0");
  again();
  fs::remove(node + "/log.db-wal");
  std::ofstream(node + "/log.db") << std::string(10'000, 'x');
  expect_corrupt(node, "file is not a database");
}

TEST(Storage, ALostStateIsAmnesiaOnceTheLogReliesOnIt) {
  const TemporaryDirectory directory;
  const std::string node = directory / "node";
  {
    StorageLife life;
    ASSERT_TRUE(life.open(node).has_value());
    life.write_durably(1);
    life.checkpoint("state");
    life.write_durably(1);
  }
  fs::remove(node + "/state.db");
  expect_corrupt(node, "it is at checkpoint 0, and the log relies on 1");
}

// Whatever single byte changes in any database file, what comes back is all of it or kCorrupt.
class StorageRot : public testing::TestWithParam<const char*> {};

TEST_P(StorageRot, NoFlippedBitIsEverASilentLoss) {
  const TemporaryDirectory directory;
  const std::string node = directory / "node";
  std::uint64_t acknowledged = 120;
  if (std::string(GetParam()).ends_with("-wal")) {
    acknowledged = leave_killed(node, acknowledged);
  } else {
    StorageLife life;  // closed properly, so that all is in the databases
    ASSERT_TRUE(life.open(node).has_value());
    life.write_durably(120);
    life.checkpoint("state");
  }
  fs::copy(node, directory / "saved", fs::copy_options::recursive);
  std::map<std::string, Bytes> state;
  {
    StorageLife life;
    ASSERT_TRUE(life.open(node).has_value());
    life.check(acknowledged);
    state = life.recovered().state;
  }
  Random random(7);
  const std::uint64_t size = fs::file_size(directory / "saved/" + GetParam());
  ASSERT_GT(size, 4096u);
  int corrupt = 0;
  for (int i = 0; i < 60; ++i) {
    fs::remove_all(node);
    fs::copy(directory / "saved", node, fs::copy_options::recursive);
    std::fstream file(node + "/" + GetParam(), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(random.below(size));
    file.seekg(at);
    const int byte = file.get() ^ (1 << random.below(8));
    file.seekp(at);
    file.put(static_cast<char>(byte));
    file.close();
    StorageLife life;
    const Result<void> opened = life.open(node);
    if (opened) {
      life.check(acknowledged);
      EXPECT_EQ(life.recovered().state, state);
    } else {
      EXPECT_TRUE(opened.error().code == Code::kCorrupt || opened.error().code == Code::kRefused)
          << opened.error().message;
      ++corrupt;
    }
  }
  EXPECT_GT(corrupt, 5);
}

INSTANTIATE_TEST_SUITE_P(Files, StorageRot, testing::Values("log.db", "log.db-wal", "state.db"),
                         [](const auto& about) {
                           std::string name = about.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

TEST(Storage, ADamagedWitnessRaisesNoFalseAlarm) {
  const TemporaryDirectory directory;
  leave_killed(directory / "node", 10);
  std::ofstream(directory / "node/witness") << "sixteen bytes!!!";
  StorageLife life;
  EXPECT_TRUE(life.open(directory / "node").has_value());
  life.check(10);
}

TEST(Storage, ARottenDirectoryIsSetAsideWhole) {
  const TemporaryDirectory directory;
  const std::string node = directory / "node";
  leave_killed(node, 100);
  std::ofstream(node + "/witness") << "";
  fs::resize_file(node + "/state.db", 5000);  // cuts a page
  const std::string wal = node + "/log.db-wal";
  fs::resize_file(wal, fs::file_size(wal) / 2);
  fs::remove(node + "/witness");
  const Result<std::string> aside = set_aside(node);
  ASSERT_TRUE(aside.has_value()) << aside.error().message;
  EXPECT_EQ(*aside, node + "/rotten-1");
  EXPECT_TRUE(fs::exists(*aside + "/log.db"));
  const Result<std::string> again = set_aside(node);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kNotFound);
  StorageLife life;
  ASSERT_TRUE(life.open(node).has_value());
  EXPECT_EQ(life.recovered().next_row, 1u);
  EXPECT_TRUE(life.recovered().files.empty());
}

// ---- a failing disk ---------------------------------------------------------------------------

TEST(Storage, AFailedWriteEndsTheProcessWithOneLineAndNoFalsePromise) {
  const TemporaryDirectory directory;
  Child child([&](int report) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    write_in_child(directory / "node", report);
  });
  EXPECT_EQ(child.finish(), kDiskFailedExit);
  EXPECT_EQ(child.stderr_text.substr(0, 8), "dunlin: ");
  EXPECT_NE(child.stderr_text.find("this node ends here"), std::string::npos) << child.stderr_text;
  EXPECT_NE(child.stderr_text.find("start it anew with: dunlin up"), std::string::npos);
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  EXPECT_GT(child.row, 5u);
  life.check(child.row);
}

TEST(Storage, AWriteInFlightForLongCountsAsAStall) {
  const TemporaryDirectory directory;
  StorageLife life;
  ASSERT_TRUE(life.open(directory / "node").has_value());
  const Instant later = monotonic_now() + seconds(60);
  EXPECT_EQ(life.storage().stalled_since(later), std::nullopt);
  {
    HeldWrites held(directory / "node");
    life.write();
    EXPECT_TRUE(held.wait_for_a_writer());
    EXPECT_TRUE(life.storage().stalled_since(later).has_value());
    EXPECT_EQ(life.storage().stalled_since(monotonic_now() - seconds(60)), std::nullopt);
    EXPECT_GT(life.storage().backlog(), 0u);
  }
  life.settle();
  life.turn_until([&] { return life.storage().backlog() == 0; });
  EXPECT_EQ(life.storage().stalled_since(later), std::nullopt);
  EXPECT_GT(life.storage().space().total, 0u);
}

}  // namespace
}  // namespace dunlin
