#include "cli/units.h"

#include <gtest/gtest.h>

#include "cli/ignore_rules.h"
#include "cli/job_ref.h"
#include "cli/job_text.h"
#include "cli/table.h"
#include "os/task_ranges.h"

namespace dunlin {
namespace {

TEST(Units, DurationsHaveUnits) {
  const auto ms = [](const char* text) {
    const auto duration = duration_from(text);
    return duration ? duration->milliseconds() : -1;
  };
  EXPECT_EQ(ms("0"), 0);
  EXPECT_EQ(ms("90s"), 90'000);
  EXPECT_EQ(ms("10m"), 600'000);
  EXPECT_EQ(ms("1h30m"), 5'400'000);
  EXPECT_EQ(ms("30d"), 30LL * 86'400'000);
  EXPECT_EQ(ms("2w"), 14LL * 86'400'000);
  EXPECT_EQ(ms("250ms"), 250);
  EXPECT_EQ(ms("1m1ms"), 60'001);
  for (const char* bad : {"", "90", "s", "-5s", "1.5h", "10 m", "1h30", "5x",
                          "99999999999999999999s", "10000000d", "1:00:00"}) {
    EXPECT_EQ(ms(bad), -1) << bad;
  }
}

TEST(Units, SizesAreBinaryAndHaveUnits) {
  const auto bytes = [](const char* text) {
    const auto size = size_from(text);
    return size ? static_cast<long long>(*size) : -1;
  };
  EXPECT_EQ(bytes("0"), 0);
  EXPECT_EQ(bytes("512K"), 512 * 1024);
  EXPECT_EQ(bytes("4G"), 4LL << 30);
  EXPECT_EQ(bytes("4g"), 4LL << 30);
  EXPECT_EQ(bytes("4GiB"), 4LL << 30);
  EXPECT_EQ(bytes("100B"), 100);
  EXPECT_EQ(bytes("1T"), 1LL << 40);
  for (const char* bad :
       {"", "4", "G", "-1G", "1.5G", "4X", "4GG", "9999999P", "100BiB", "4\xe7"}) {
    EXPECT_EQ(bytes(bad), -1) << bad;
  }
}

TEST(Units, ArePrintedInTwoFigures) {
  EXPECT_EQ(text_of(milliseconds(250)), "250ms");
  EXPECT_EQ(text_of(milliseconds(1500)), "1.5s");
  EXPECT_EQ(text_of(seconds(90)), "90s");
  EXPECT_EQ(text_of(seconds(200)), "3m20s");
  EXPECT_EQ(text_of(seconds(3 * 3600)), "3h00m");
  EXPECT_EQ(text_of(seconds(5 * 86400)), "5d0h");
  EXPECT_EQ(size_text(0), "0B");
  EXPECT_EQ(size_text(1536), "1.5K");
  EXPECT_EQ(size_text(64ULL << 30), "64G");
}

TEST(JobWords, AreTakenApart) {
  const auto taken = [](const char* text) {
    const auto words = job_words_from(text);
    return words ? words->job + "|" + text_of(words->tasks) : std::string("refused");
  };
  EXPECT_EQ(taken("abcdefghij"), "abcdefghij|");
  EXPECT_EQ(taken("last"), "last|");
  EXPECT_EQ(taken("ab.7"), "ab|7");
  EXPECT_EQ(taken("last.1-5"), "last|1-5");
  EXPECT_EQ(taken("abc.1,4-9"), "abc|1,4-9");
  for (const char* bad :
       {"", ".", ".7", "7", "1abc", "ABC", "abcdefghijk", "ab.", "ab.x", "ab.7.8"}) {
    EXPECT_EQ(taken(bad), "refused") << bad;
  }
}

TEST(Tables, AreAsWideAsTheyMustBeAndCutOnlyWhereTold) {
  Table table({"NAME", ">N", "NOTE"});
  table.add({"a", "5", "short"});
  table.add({"\xc3\xa4\xc3\xa4 long", "1000", "a note\x1b[31m\n"});
  EXPECT_EQ(table.text(0),
            "NAME        N  NOTE\n"
            "a           5  short\n"
            "\xc3\xa4\xc3\xa4 long  1000  a note?[31m?\n");
  EXPECT_EQ(table.text(6), "NAME  \na     \n\xc3\xa4\xc3\xa4 lon\n");
}

TEST(IgnoreRules, WorkAsThoseOfGit) {
  const IgnoreRules rules(
      "# comment\n*.o\nbuild/\n/top.txt\ndocs/*.html\n!keep.o\n\n  \r\nnode_modules\n");
  EXPECT_TRUE(rules.ignores("a.o", false));
  EXPECT_TRUE(rules.ignores("deep/er/a.o", false));
  EXPECT_FALSE(rules.ignores("keep.o", false));
  EXPECT_TRUE(rules.ignores("build", true));
  EXPECT_FALSE(rules.ignores("build", false));
  EXPECT_TRUE(rules.ignores("top.txt", false));
  EXPECT_FALSE(rules.ignores("deep/top.txt", false));
  EXPECT_TRUE(rules.ignores("docs/x.html", false));
  EXPECT_FALSE(rules.ignores("docs/deep/x.html", false));
  EXPECT_TRUE(rules.ignores("a/node_modules", true));
  EXPECT_FALSE(rules.ignores("src/main.c", false));
}

TEST(JobText, SaysHowAJobEnded) {
  JobSummary job;
  job.id = *JobId::from_text("abcdefghij");
  job.state = JobState::kFailed;
  job.tasks.total = 100;
  job.tasks.failed = 2;
  job.started_at = {1000};
  job.finished_at = {201'000};
  EXPECT_EQ(how_it_ended(job), "abcdefghij: failed, 2 of 100 tasks failed, after 3m20s");
  TaskView task;
  task.reason = Reason::kMissingExecutable;
  task.detail = "foo: not found; it exists here: add --file foo";
  EXPECT_EQ(why_of(task), "foo: not found; it exists here: add --file foo");
}

}  // namespace
}  // namespace dunlin
