#include "cli/completion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cli/invocation.h"
#include "cli/shell.h"

namespace dunlin {
namespace {

class Completions : public Shell {
 protected:
  // What `dunlin completion words ...` prints: candidates without their explanations, and ":files".
  std::vector<std::string> of(std::vector<std::string> words) {
    words.insert(words.begin(), {"completion", "words"});
    const Ran ran = run(std::move(words));
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.err, "");
    std::vector<std::string> found;
    std::istringstream lines(ran.out);
    std::string line;
    while (std::getline(lines, line)) found.push_back(line.substr(0, line.find('\t')));
    return found;
  }
  static bool has(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  }
  using Words = std::vector<std::string>;
};

TEST_F(Completions, OfferEveryCommandAndEveryOption) {
  const Words first = of({""});
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::size_t blank = name.find(' ');
    EXPECT_EQ(has(first, name.substr(0, blank)), command.run != nullptr) << name;
    if (command.run == nullptr) continue;
    Words words = {name.substr(0, blank)};
    if (blank != std::string::npos) {
      EXPECT_TRUE(has(of({words[0], ""}), name.substr(blank + 1))) << name;
      words.push_back(name.substr(blank + 1));
    }
    words.emplace_back("--");
    Words expected;
    for (const OptionTable* table : {command.options, &general_options()}) {
      for (const Option& option : *table) {
        if (option.available) expected.push_back(std::string("--") + option.name);
      }
    }
    EXPECT_EQ(of(words), expected) << name;
  }
  EXPECT_EQ(of({"subm"}), Words{"submit"});
  EXPECT_EQ(of({"help", "undr"}), Words{"undrain"});
  EXPECT_EQ(of({"--quiet", "undr"}), Words{"undrain"});
  EXPECT_EQ(of({"--qui"}), Words{"--quiet"});
  EXPECT_EQ(of({"nonsense", ""}), Words{});
}

TEST_F(Completions, OfferTheValuesOfAnOptionAndEachIsTaken) {
  std::size_t values = 0;
  for (const Command& command : commands()) {
    for (const Option& option : *command.options) {
      if (option.choices == nullptr) continue;
      Words words = {command.name, std::string("--") + option.name, ""};
      const std::string name = command.name;
      const std::size_t blank = name.find(' ');
      if (blank != std::string::npos) {
        words = {name.substr(0, blank), name.substr(blank + 1), words[1], ""};
      }
      for (const std::string& value : of(words)) {
        ++values;
        words.back() = value;
        Words line = words;
        if (command.least_words == 0 && command.most_words == 1) line.emplace_back("zzzzzzzzzz");
        EXPECT_EQ(run(line).err.find(value + " is no "), std::string::npos) << name;
        line[words.size() - 1] = "nonsense";
        EXPECT_NE(run(line).err.find("nonsense is no "), std::string::npos) << name;
      }
    }
  }
  EXPECT_EQ(values, 6U + 7U + 2U);
  EXPECT_EQ(of({"jobs", "--state=f"}), Words{"--state=failed"});
  EXPECT_EQ(of({"jobs", "--state", "f"}), Words{"failed"});
  EXPECT_EQ(of({"completion", ""}), (Words{"bash", "zsh"}));
  // A value that nobody can know, and one that is a file.
  EXPECT_EQ(of({"submit", "--cpus", ""}), Words{});
  EXPECT_EQ(of({"submit", "--each-line", ""}), Words{":files"});
  EXPECT_EQ(of({"--token-file", ""}), Words{":files"});
}

TEST_F(Completions, AnOptionThatWasGivenIsNotOfferedAgainUnlessItRepeats) {
  const Words words = of({"submit", "-c", "2", "--file=x", "--mem", "1G", "--"});
  EXPECT_FALSE(has(words, "--cpus"));
  EXPECT_FALSE(has(words, "--mem"));
  EXPECT_TRUE(has(words, "--file"));
}

TEST_F(Completions, OfACommandOfOnesOwnKnowNothing) {
  EXPECT_EQ(of({"run", "ma"}), (Words{":commands", ":files"}));
  EXPECT_EQ(of({"run", "-c", "2", "make", "--"}), Words{":files"});
  EXPECT_EQ(of({"submit", "--", "-"}), (Words{":commands", ":files"}));
}

TEST_F(Completions, OfferTheJobsAndNodesOfTheCluster) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(1, "host1"), fake_member(2, "host2")};
  });
  const std::string first = submit({"--name", "weather", "hang"});
  const std::string second = submit({"true"});
  for (const Words& line : std::vector<Words>{
           {"show", ""}, {"wait", second, ""}, {"submit", "--after", ""}, {"logs", "-f", ""}}) {
    const Words words = of(line);
    EXPECT_TRUE(has(words, first)) << line[0];
    EXPECT_TRUE(has(words, "last")) << line[0];
  }
  EXPECT_EQ(of({"show", first.substr(0, 9)}), Words{first});
  EXPECT_EQ(of({"show", first, ""}), Words{});  // it takes one
  const Ran told = run({"completion", "words", "show", first});
  EXPECT_EQ(told.out, first + "\tweather, running\n");
  const Words nodes = {"host1", "host2"};
  for (const Words& line :
       std::vector<Words>{{"drain", ""}, {"submit", "--node", ""}, {"tasks", "--node", "ho"}}) {
    EXPECT_EQ(of(line), nodes) << line[0];
  }
  EXPECT_EQ(of({"submit", "--zone", ""}), (Words{"z0", "z1"}));
  const std::string id = run({"nodes", "--quiet"}).out.substr(0, 26);
  EXPECT_EQ(of({"drain", id.substr(0, 26)}), Words{id});
}

TEST_F(Completions, AskTheServerThatTheLineNames) {
  const std::string id = submit({"true"});
  environment["DUNLIN_SERVER"] = files / "none.sock";
  EXPECT_EQ(of({"show", ""}), Words{});
  EXPECT_TRUE(has(of({"--server", server.socket, "show", ""}), id));
  EXPECT_TRUE(has(of({"show", "--server=" + server.socket, ""}), id));
}

TEST_F(Completions, AreForShellsThatThereAre) {
  EXPECT_NE(run({"completion", "bash"}).out.find("complete -F _dunlin dunlin"), std::string::npos);
  EXPECT_TRUE(run({"completion", "zsh"}).out.starts_with("#compdef dunlin\n"));
  for (const Words& line :
       std::vector<Words>{{"completion"}, {"completion", "fish"}, {"completion", "bash", "zsh"}}) {
    EXPECT_EQ(run(line).code, 2);
  }
}

}  // namespace
}  // namespace dunlin
