#include "cli/sbatch.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/commands.h"
#include "cli/shell_words.h"

namespace dunlin {
namespace {

// What the lines come to, as options of `submit`; or what is wrong.
std::string read(const std::vector<std::string>& lines) {
  SlurmOptions slurm(submit_options());
  for (const std::string& line : lines) {
    const auto words = shell_words_from(line);
    if (!words) return "wrong: " + words.error().message;
    if (const Result<void> fine = slurm.take(*words); !fine)
      return "wrong: " + fine.error().message;
  }
  if (const Result<void> fine = slurm.check(); !fine) return "wrong: " + fine.error().message;
  std::string text;
  for (const Option& option : submit_options()) {
    for (const std::string& value : slurm.options.all(option.name)) {
      text += std::string(text.empty() ? "" : " ") + option.name + "=" + value;
    }
  }
  if (slurm.memory_per_cpu) text += " per_cpu=" + std::to_string(*slurm.memory_per_cpu);
  for (const std::string& name : slurm.ignored) text += " -" + name;
  for (const std::string& name : slurm.unwritten) text += " ~" + name;
  return text;
}

TEST(Sbatch, OptionsAreReadInAllTheirSpellings) {
  EXPECT_EQ(read({"--job-name=a b", "-c 4"}), "wrong: 'b' is no option");
  EXPECT_EQ(read({"--job-name='a b'", "-c 4"}), "name=a b cpus=4");
  EXPECT_EQ(read({"-Jx -c4 --time 5   # not long"}), "name=x cpus=4 time=300s");
  EXPECT_EQ(read({"-a 0-15:4%2"}), "array=0-15:4%2");
  EXPECT_EQ(read({"-D /data", "--requeue"}), "chdir=/data");
  EXPECT_EQ(read({"-c 4", "-c 8"}), "cpus=8");  // as with sbatch, the last one counts
}

TEST(Sbatch, TimeIsInSlurmsOwnFormats) {
  const std::vector<std::pair<std::string, std::int64_t>> times = {
      {"90", 5400},      {"1:30", 90},     {"01:02:03", 3723},
      {"1-0", 86400},    {"2-12", 216000}, {"1-02:30", 95400},
      {"0-00:00:05", 5}, {"UNLIMITED", 0}, {"1-02:03:04", 93784}};
  for (const auto& [text, seconds] : times) {
    const auto read_back = slurm_seconds_from(text);
    ASSERT_TRUE(read_back) << text;
    EXPECT_EQ(*read_back, seconds) << text;
  }
  for (const char* text : {"", "x", "1:2:3:4", "1-", "-5", "1h", "1:-2", "1-2-3"}) {
    EXPECT_FALSE(slurm_seconds_from(text)) << text;
  }
}

TEST(Sbatch, MemoryIsInMegabytesUnlessItSaysOtherwise) {
  EXPECT_EQ(slurm_size_from("4000").value_or(0), 4000ULL << 20);
  EXPECT_EQ(slurm_size_from("512K").value_or(0), 512ULL << 10);
  EXPECT_EQ(slurm_size_from("4G").value_or(0), 4ULL << 30);
  EXPECT_EQ(slurm_size_from("4gb").value_or(0), 4ULL << 30);
  EXPECT_EQ(slurm_size_from("1T").value_or(0), 1ULL << 40);
  for (const char* text : {"", "G", "4X", "4GiB", "-1", "4.5G"}) {
    EXPECT_FALSE(slurm_size_from(text)) << text;
  }
  EXPECT_EQ(read({"--mem=2G"}), "mem=2147483648B");
  EXPECT_EQ(read({"--mem-per-cpu=1G -c 2"}), "cpus=2 per_cpu=1073741824");
  EXPECT_TRUE(read({"--mem=1G", "--mem-per-cpu=1G"}).starts_with("wrong: "));
  EXPECT_TRUE(read({"--mem=0"}).starts_with("wrong: --mem: "));
}

TEST(Sbatch, DependenciesNameJobsOfDunlin) {
  EXPECT_EQ(read({"-d afterok:abcdefghij:k3v9x2m4pq,afterany:last"}),
            "after=abcdefghij after=k3v9x2m4pq afterany=last");
  for (const char* line : {"-d singleton", "-d after:abc", "-d afterok", "-d afternotok:abc",
                           "-d afterok:a?afterok:b", "-d afterok:"}) {
    EXPECT_TRUE(read({line}).starts_with("wrong: -d: ")) << line << read({line});
  }
}

TEST(Sbatch, GpusAreCountedAndHaveNoTypes) {
  EXPECT_EQ(read({"--gres=gpu:2"}), "gpus=2");
  EXPECT_EQ(read({"--gres=gpu"}), "gpus=1");
  EXPECT_EQ(read({"-G 3"}), "gpus=3");
  EXPECT_TRUE(read({"--gres=gpu:a100:2"}).starts_with("wrong: --gres: "));
  EXPECT_TRUE(read({"--gres=license:1"}).starts_with("wrong: --gres: "));
}

TEST(Sbatch, ExportNamesVariables) {
  setenv("SBATCH_TEST_THERE", "1", 1);
  EXPECT_EQ(read({"--export=ALL"}), "env-all=");
  EXPECT_EQ(read({"--export=NONE"}), "");
  EXPECT_EQ(read({"--export=ALL,A=1"}), "env=A=1 env-all=");
  EXPECT_EQ(read({"--export=SBATCH_TEST_THERE,SBATCH_TEST_NOT_THERE,B=2"}),
            "env=SBATCH_TEST_THERE env=B=2");
  unsetenv("SBATCH_TEST_THERE");
}

TEST(Sbatch, BeginTakesSlurmsWords) {
  EXPECT_EQ(read({"--begin=now+1hour"}), "begin=now+1h");
  EXPECT_EQ(read({"-b now+90"}), "begin=now+90s");
  EXPECT_EQ(read({"-b now+2days"}), "begin=now+2d");
  EXPECT_EQ(read({"-b teatime"}), "begin=16:00");
  EXPECT_EQ(read({"-b 2030-01-20T12:34:00"}), "begin=2030-01-20T12:34:00");
  EXPECT_TRUE(read({"-b now+1year"}).starts_with("wrong: -b: "));
}

TEST(Sbatch, WhatHasNoMeaningHereIsNotedOnceAndWhatWouldChangeTheJobIsRefused) {
  EXPECT_EQ(read({"-p long", "--partition=short", "-A me", "--qos=high", "--mail-type=ALL",
                  "--mail-user=a@b"}),
            " -partition -account -qos -mail");
  EXPECT_EQ(read({"-o out/%A_%a.txt", "--error=err"}), " ~output ~error");
  EXPECT_EQ(read({"-N 1", "--nodes=1-1", "-n1", "--ntasks 1"}), "");
  for (const char* line : {"-N 2", "--ntasks=4", "--exclusive", "--constraint=fast", "-w host1",
                           "--ntasks-per-node=1", "--no-requeue", "--requeue=1", "--mem"}) {
    EXPECT_TRUE(read({line}).starts_with("wrong: -")) << line << ": " << read({line});
  }
}

}  // namespace
}  // namespace dunlin
