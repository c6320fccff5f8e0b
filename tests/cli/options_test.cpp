#include "cli/options.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

const OptionTable& table() {
  static const OptionTable options = {
      {"name", 'J', "NAME", Takes::kText, ""},
      {"cpus", 'c', "N", Takes::kCount, ""},
      {"priority", 'p', "N", Takes::kNumber, ""},
      {"mem", 0, "SIZE", Takes::kSize, ""},
      {"time", 0, "TIME", Takes::kDuration, ""},
      {"env", 0, "K=V", Takes::kText, "", true},
      {"label", 0, "K=V", Takes::kPair, "", true},
      {"follow", 'f', nullptr, Takes::kNothing, ""},
      {"gpus", 0, "N", Takes::kCount, "", false, false},
  };
  return options;
}

std::string parsed(const std::vector<std::string>& args, Words words = Words::kCommand) {
  const auto got = parse_arguments(args, {&table()}, words);
  if (!got) return got.error().message + "; " + got.error().hint;
  std::string text;
  for (const Option& option : table()) {
    for (const std::string& value : got->all(option.name)) {
      text += std::string(option.name) + "=" + value + " ";
    }
  }
  for (const std::string& word : got->words) text += "[" + word + "]";
  return text;
}

TEST(Options, AreReadInAllTheirSpellings) {
  EXPECT_EQ(parsed({"--name", "x", "-c", "4", "-f"}), "name=x cpus=4 follow= ");
  EXPECT_EQ(parsed({"--name=x=y", "-c4", "-p=-3"}), "name=x=y cpus=4 priority=-3 ");
  EXPECT_EQ(parsed({"--env", "A=1", "--env", "B"}), "env=A=1 env=B ");
}

TEST(Options, TheFirstWordBeginsACommandAndAllAfterItIsIts) {
  EXPECT_EQ(parsed({"-c", "2", "make", "-c", "4", "--", "--name"}),
            "cpus=2 [make][-c][4][--][--name]");
  EXPECT_EQ(parsed({"-c", "2", "--", "--name", "-c"}), "cpus=2 [--name][-c]");
  EXPECT_EQ(parsed({"-"}), "[-]");
  EXPECT_EQ(parsed({"last", "-f", "b"}, Words::kAnywhere), "follow= [last][b]");
}

TEST(Options, AMistakeIsNamedWithItsOptionAndAWayOut) {
  EXPECT_EQ(parsed({"--nmae", "x"}), "unknown option --nmae; did you mean --name?");
  EXPECT_EQ(parsed({"--zzzzzzz"}), "unknown option --zzzzzzz; see --help");
  EXPECT_EQ(parsed({"-z"}), "unknown option -z; see --help");
  EXPECT_EQ(parsed({"--cpus"}), "--cpus needs a value: --cpus N; ");
  EXPECT_EQ(parsed({"--cpus", "four"}), "--cpus: 'four' is no whole number; ");
  EXPECT_EQ(parsed({"--cpus", "-1"}), "--cpus: '-1' is not between 0 and 2147483647; ");
  EXPECT_EQ(parsed({"--mem", "4"}),
            "--mem: '4' is a bare number, not a size; write it with a unit, as in 512K, 4G or 1T");
  EXPECT_EQ(parsed({"--time", "90"}),
            "--time: '90' is a bare number, not a duration; write it with units, as in 90s, 10m, "
            "1h30m or 30d");
  EXPECT_EQ(parsed({"--label", "x"}), "--label: 'x' is not of the form NAME=VALUE; ");
  EXPECT_EQ(parsed({"--name="}), "--name: the value is empty; ");
  EXPECT_EQ(parsed({"--follow=1"}), "--follow takes no value; ");
  EXPECT_EQ(parsed({"--name", "a", "--name", "b"}), "--name is given twice; ");
  EXPECT_EQ(parsed({"--gpus", "1"}), "--gpus is not available yet; ");
  EXPECT_NE(parsed({"-n", "4"}).find("--array 1-N"), std::string::npos);
}

TEST(Options, HelpShowsWhatIsAvailableOnly) {
  const std::string help = help_of(table());
  EXPECT_NE(help.find("-c, --cpus N"), std::string::npos);
  EXPECT_EQ(help.find("gpus"), std::string::npos);
}

TEST(Options, TheNearestNameIsNearIndeed) {
  const std::vector<std::string> known = {"jobs", "submit", "status", "nodes"};
  EXPECT_EQ(nearest("jbos", known), "jobs");
  EXPECT_EQ(nearest("submti", known), "submit");
  EXPECT_EQ(nearest("stauts", known), "status");
  EXPECT_EQ(nearest("node", known), "nodes");
  EXPECT_EQ(nearest("frobnicate", known), "");
  EXPECT_EQ(nearest("x", known), "");
}

}  // namespace
}  // namespace dunlin
