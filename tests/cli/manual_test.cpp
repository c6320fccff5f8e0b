#include "cli/manual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cli/invocation.h"
#include "cli/job_options.h"
#include "cli/shell.h"

namespace dunlin {
namespace {

using ManualPage = Shell;

// The page's text: what troff makes of the signs that are not taken as they are.
std::string shown(std::string text) {
  const std::pair<std::string, std::string> signs[] = {
      {"\\fB", ""},   {"\\fI", ""},    {"\\fR", ""},   {"\\&", ""},
      {"\\-", "-"},   {"\\(ti", "~"},  {"\\(ha", "^"}, {"\\(ga", "`"},
      {"\\(aq", "'"}, {"\\(dq", "\""}, {"\\e", "\\"},
  };
  for (const auto& [sign, meaning] : signs) {
    for (std::size_t at = 0; (at = text.find(sign, at)) != std::string::npos;) {
      text.replace(at, sign.size(), meaning);
    }
  }
  return text;
}

// From the heading of the command to the next one.
std::string part_of(const std::string& page, const std::string& command) {
  const std::size_t begin = page.find("\n.SS \"dunlin " + command);
  if (begin == std::string::npos) return {};
  return page.substr(begin, page.find("\n.S", begin + 1) - begin);
}

TEST_F(ManualPage, HasEveryCommandAndEveryOptionWithItsHelp) {
  const std::string lines = shown(manual_page());
  std::size_t options = 0;
  for (const Command& command : commands()) {
    const std::string part = part_of(lines, command.name);
    EXPECT_EQ(part.empty(), command.run == nullptr) << command.name;
    if (command.run == nullptr) continue;
    EXPECT_NE(part.find(command.example), std::string::npos) << command.name;
    for (const Option& option : *command.options) {
      if (!option.available) continue;
      ++options;
      // Those of a job are shared by the commands that refer to them.
      const bool is_shared = part.find("the options of a job") != std::string::npos &&
                             find_option(job_options(), option.name) != nullptr;
      std::string where = is_shared ? lines.substr(lines.find("\n.SH OPTIONS OF A JOB")) : part;
      std::replace(where.begin(), where.end(), '\n', ' ');
      std::string head = std::string("--") + option.name;
      if (option.argument != nullptr) head += std::string(" ") + option.argument;
      EXPECT_NE(where.find(head + " " + option.help), std::string::npos)
          << command.name << " " << head;
    }
  }
  EXPECT_GT(options, 100U);
}

TEST_F(ManualPage, IsPrintedByHelpAndUsesOnlyWhatManKnows) {
  const Ran ran = run({"help", "--man"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, manual_page());
  const std::set<std::string> known = {"TH", "SH", "SS", "TP", "PP", "RS", "RE", "nf", "fi", "br"};
  std::istringstream lines(ran.out);
  std::string line;
  std::size_t number = 0;
  while (std::getline(lines, line)) {
    ++number;
    EXPECT_FALSE(line.empty()) << number;
    EXPECT_NE(line[0], '\'') << number;
    if (line[0] != '.' || line.starts_with(".\\\"")) continue;
    const std::string request = line.substr(1, line.find(' ') - 1);
    EXPECT_TRUE(known.contains(request)) << number << ": " << line;
  }
  EXPECT_GT(number, 300U);
}

}  // namespace
}  // namespace dunlin
