#include "os/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/runner_testing.h"
#include "os/temporary_directory.h"
#include "os/thread.h"

namespace dunlin {
namespace {

class Workdir : public testing::Test {
 protected:
  Workdir() : workdirs_(Workdirs::open(directory_ / "tasks", std::nullopt).value()) {}

  std::vector<std::string> found(const std::vector<std::string>& patterns) {
    std::vector<std::string> names;
    const auto files = find_outputs_in(work_, patterns).value();
    for (const FoundOutput& file : files) names.push_back(file.name);
    return names;
  }

  int stage(const std::vector<StagedFile>& files) {
    const auto result = stage_files(work_, directory_.path(), files, std::nullopt);
    return result ? 0 : result.error();
  }

  std::string read(const std::string& name) {
    const auto bytes = read_output_of(work_, name, 0, 1000);
    return bytes ? to_text(*bytes) : "error";
  }

  TemporaryDirectory directory_;
  Workdirs workdirs_;
  std::string work_ = workdirs_.make().value();
};

using Names = std::vector<std::string>;

TEST_F(Workdir, AnUntouchedDirectoryIsUsedAgain) {
  const std::string path = workdirs_.take_empty().value();
  EXPECT_TRUE(workdirs_.give_back(path));
  EXPECT_EQ(workdirs_.take_empty().value(), path);
  EXPECT_NE(workdirs_.take_empty().value(), path) << "only one at a time";
}

TEST_F(Workdir, AChangeWithinTheClocksTickIsSeen) {
  for (int i = 0; i < 100; ++i) {
    const std::string path = workdirs_.take_empty().value();
    write_text(path + "/file", "");
    EXPECT_FALSE(workdirs_.give_back(path));
  }
}

TEST_F(Workdir, AFileThatCameAndWentOrANewModeIsAChangeToo) {
  const std::string first = workdirs_.take_empty().value();
  write_text(first + "/file", "");
  unlink((first + "/file").c_str());
  EXPECT_FALSE(workdirs_.give_back(first));
  const std::string second = workdirs_.take_empty().value();
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(second.c_str(), &before), 0);
  do {  // the clock's tick may have to pass before a new mode shows
    chmod(second.c_str(), 0500);
    ASSERT_EQ(stat(second.c_str(), &after), 0);
  } while (before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
  EXPECT_FALSE(workdirs_.give_back(second));
  const std::string third = workdirs_.take_empty().value();
  EXPECT_TRUE(remove_tree(third));
  EXPECT_FALSE(workdirs_.give_back(third));
}

TEST_F(Workdir, ADirectoryForFilesIsNeverUsedAgain) {
  EXPECT_FALSE(workdirs_.give_back(work_));
}

TEST_F(Workdir, LeftoversOfEarlierLivesAreFoundAndTheirNumbersNotReused) {
  const std::string old = work_;
  Workdirs next = Workdirs::open(directory_ / "tasks", std::nullopt).value();
  const std::string held = next.make().value();
  EXPECT_NE(held, old);
  EXPECT_TRUE(next.give_back(next.take_empty().value()));
  EXPECT_EQ(next.leftovers({held}), Names{old});
}

TEST_F(Workdir, FilesArePutTogetherFromExtents) {
  write_text(directory_ / "pack1", "0123456789");
  write_text(directory_ / "pack2", "abcdef");
  EXPECT_EQ(stage({{"run", 0755, {{"pack2", 2, 3}, {"pack1", 0, 2}}},
                   {"a/b/c", 0400, {{"pack1", 9, 1}}},
                   {"a/empty", 0644, {}}}),
            0);
  EXPECT_EQ(read_text(work_ + "/run"), "cde01");
  EXPECT_EQ(read_text(work_ + "/a/b/c"), "9");
  struct stat info {};
  ASSERT_EQ(stat((work_ + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755U);
  ASSERT_EQ(stat((work_ + "/a/b/c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0400U);
}

TEST_F(Workdir, LargeExtentsAreCopiedWhole) {
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += std::to_string(i);
  write_text(directory_ / "pack", content);
  EXPECT_EQ(stage({{"large", 0644, {{"pack", 1, content.size() - 1}}}}), 0);
  EXPECT_EQ(read_text(work_ + "/large"), content.substr(1));
}

TEST_F(Workdir, NamesThatLeaveTheDirectoryAreRefused) {
  for (const char* name : {"", "/etc/x", "..", "../x", "a/../x", "a//b", "a/", "./a", "."}) {
    EXPECT_EQ(stage({{name, 0644, {}}}), EINVAL) << name;
  }
  EXPECT_EQ(stage({{std::string("a\0b", 3), 0644, {}}}), EINVAL);
  // Nor through a link, should one lie there.
  ASSERT_EQ(symlink("/tmp", (work_ + "/link").c_str()), 0);
  EXPECT_NE(stage({{"link/x", 0644, {}}}), 0);
  EXPECT_NE(stage({{"link", 0644, {}}}), 0);
}

TEST_F(Workdir, AMissingOrShortPackIsAnError) {
  EXPECT_EQ(stage({{"x", 0644, {{"none", 0, 1}}}}), ENOENT);
  write_text(directory_ / "pack", "12");
  EXPECT_EQ(stage({{"y", 0644, {{"pack", 0, 3}}}}), EIO);
}

TEST_F(Workdir, OutputsAreFoundByPatternAndDirectoriesWhole) {
  ASSERT_EQ(stage({{"a.txt", 0640, {}},
                   {"b.dat", 0644, {}},
                   {"d/e/f.txt", 0644, {}},
                   {"d/g.txt", 0644, {}},
                   {"h/i.txt", 0644, {}},
                   {".hidden", 0644, {}}}),
            0);
  EXPECT_EQ(found({"*.txt"}), Names{"a.txt"});
  EXPECT_EQ(found({"*.txt", "?.*"}), (Names{"a.txt", "b.dat"})) << "each once";
  EXPECT_EQ(found({"*/*.txt"}), (Names{"d/g.txt", "h/i.txt"}));
  EXPECT_EQ(found({"d"}), (Names{"d/e/f.txt", "d/g.txt"}));
  EXPECT_EQ(found({"d/"}), (Names{"d/e/f.txt", "d/g.txt"}));
  EXPECT_EQ(found({"d/e", "h/*"}), (Names{"d/e/f.txt", "h/i.txt"}));
  EXPECT_EQ(found({"nothing"}), Names{});
  EXPECT_EQ(find_outputs_in(work_, {"a*"}).value()[0].mode, 0640U);
  EXPECT_FALSE(find_outputs_in(work_, {"../*"}));
}

TEST_F(Workdir, OutputsAreRegularFilesOnly) {
  ASSERT_EQ(stage({{"real", 0644, {}}}), 0);
  ASSERT_EQ(symlink("/etc/passwd", (work_ + "/link").c_str()), 0);
  ASSERT_EQ(symlink("/etc", (work_ + "/directory").c_str()), 0);
  ASSERT_EQ(mkfifo((work_ + "/pipe").c_str(), 0644), 0);
  EXPECT_EQ(found({"*"}), Names{"real"});
  EXPECT_EQ(found({"directory/*"}), Names{});
  for (const char* name : {"link", "directory/passwd", "pipe", "../../x", "/etc/passwd"}) {
    EXPECT_EQ(read(name), "error") << name;
  }
}

TEST_F(Workdir, OutputsAreReadInPieces) {
  write_text(directory_ / "pack", "0123456789");
  ASSERT_EQ(stage({{"d/out", 0644, {{"pack", 0, 10}}}}), 0);
  EXPECT_EQ(to_text(read_output_of(work_, "d/out", 2, 3).value()), "234");
  EXPECT_EQ(to_text(read_output_of(work_, "d/out", 8, 100).value()), "89");
  EXPECT_EQ(to_text(read_output_of(work_, "d/out", 10, 100).value()), "");
  EXPECT_EQ(read_output_of(work_, "none", 0, 1).error().code, Code::kNotFound);
  EXPECT_FALSE(read_output_of(work_, "d/out", 0, kMaxOutputRead + 1));
}

TEST_F(Workdir, RemovalFollowsNoLinksAndMindsNoModes) {
  const std::string outside = directory_ / "outside";
  ASSERT_EQ(mkdir(outside.c_str(), 0755), 0);
  write_text(outside + "/precious", "x");
  ASSERT_EQ(stage({{"a/b/c", 0644, {}}}), 0);
  ASSERT_EQ(symlink(outside.c_str(), (work_ + "/a/link").c_str()), 0);
  chmod((work_ + "/a/b").c_str(), 0000);
  chmod((work_ + "/a").c_str(), 0500);
  chmod(work_.c_str(), 0500);
  EXPECT_TRUE(remove_tree(work_));
  EXPECT_NE(access(work_.c_str(), F_OK), 0);
  EXPECT_EQ(read_text(outside + "/precious"), "x");
  EXPECT_TRUE(remove_tree(work_)) << "what is gone is removed";
}

TEST_F(Workdir, RemovalCopesWithAnyDepth) {
  int at = ::open(work_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(mkdirat(at, "deeper", 0755), 0);
    const int next = openat(at, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(at);
    at = next;
  }
  close(at);
  EXPECT_TRUE(remove_tree(work_));
  EXPECT_NE(access(work_.c_str(), F_OK), 0);
}

TEST_F(Workdir, TwoMayRemoveOneTreeAtOnce) {
  for (int round = 0; round < 10; ++round) {
    const std::string path = workdirs_.make().value();
    std::string deep = path;
    for (int i = 0; i < 70; ++i) {
      deep += "/d";
      ASSERT_EQ(mkdir(deep.c_str(), 0755), 0);
      for (int j = 0; j < 5; ++j) write_text(deep + "/" + std::to_string(j), "");
    }
    Result<void> first;
    Result<void> second;
    {
      const Thread one("one", [&] { first = remove_tree(path); });
      const Thread other("other", [&] { second = remove_tree(path); });
    }
    EXPECT_TRUE(first) << first.error().message;
    EXPECT_TRUE(second) << second.error().message;
    EXPECT_NE(access(path.c_str(), F_OK), 0);
  }
}

TEST_F(Workdir, EmptyDirectoriesHoldNothing) {
  const std::string root = directory_ / "tasks";
  ASSERT_EQ(mkdir((root + "/7").c_str(), 0755), 0);
  EXPECT_FALSE(holds_anything(root)) << "two of them, both empty";
  EXPECT_FALSE(holds_anything(directory_ / "none"));
  write_text(root + "/7/.hidden", "");
  EXPECT_TRUE(holds_anything(root));
}

TEST_F(Workdir, ADeepTreeOfOutputsIsAnErrorThatSaysSo) {
  std::string path = work_;
  for (int i = 0; i < 70; ++i) {
    path += "/d";
    ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  }
  const auto result = find_outputs_in(work_, {"d"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kLimit);
}

}  // namespace
}  // namespace dunlin
