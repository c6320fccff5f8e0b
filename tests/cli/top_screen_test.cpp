#include "cli/top_screen.h"

#include <gtest/gtest.h>

#include "os/utf8.h"

namespace dunlin {
namespace {

NodeId top_node(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

JobSummary top_job(char letter, std::uint32_t done, std::uint32_t running = 1) {
  JobSummary summary;
  summary.id.raw.fill(letter);
  summary.name = std::string("job-") + letter;
  summary.state = running > 0 ? JobState::kRunning : JobState::kDone;
  summary.tasks.total = 100;
  summary.tasks.done = done;
  summary.tasks.running = running;
  return summary;
}

TopSample top_sample(std::int64_t second, std::vector<JobSummary> jobs) {
  TopSample taken;
  taken.at = Instant{} + seconds(second);
  taken.clock = {second * 1000};
  taken.jobs = std::move(jobs);
  for (std::uint8_t n = 1; n <= 3; ++n) {
    Member member;
    member.facts.id = top_node(n);
    member.facts.name = "höst" + std::to_string(n);
    member.facts.cpus = 4;
    member.load.cpus_free = n;
    member.load.running = 4U - n;
    member.load_at = Instant{1};
    taken.nodes.push_back(member);
  }
  return taken;
}

TEST(TopRates, AreTheTasksThatEndedASecond) {
  TopRates rates;
  rates.add(top_sample(10, {top_job('a', 5)}));
  EXPECT_FALSE(rates.all());
  EXPECT_FALSE(rates.of(top_job('a', 0).id));
  // What is new to the list has not run all that in the meantime.
  rates.add(top_sample(12, {top_job('b', 50), top_job('a', 9)}));
  EXPECT_EQ(rates.all(), 2.0);
  EXPECT_EQ(rates.of(top_job('a', 0).id), 2.0);
  EXPECT_FALSE(rates.of(top_job('b', 0).id));
  // A retry takes back what had ended.
  rates.add(top_sample(14, {top_job('b', 40), top_job('a', 9)}));
  EXPECT_EQ(rates.all(), 0.0);
  rates.add(top_sample(16, {}));
  EXPECT_EQ(rates.all(), 0.0);
}

TEST(TopScreen, ShowsTotalsNodesAndJobs) {
  TopRates rates;
  rates.add(top_sample(0, {top_job('a', 5), top_job('b', 100, 0)}));
  rates.add(top_sample(1, {top_job('b', 100, 0), top_job('a', 7)}));
  const auto lines =
      top_lines(top_sample(1, {top_job('b', 100, 0), top_job('a', 7)}), rates, "", 0, 0);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  EXPECT_NE(text.find("nodes: 3 alive\n"), std::string::npos) << text;
  EXPECT_NE(text.find("cores 6/12 "), std::string::npos) << text;
  EXPECT_NE(text.find("running 6 "), std::string::npos) << text;
  EXPECT_NE(text.find("tasks/s 2.0\n"), std::string::npos) << text;
  // What does more comes first.
  EXPECT_LT(text.find("höst1"), text.find("höst2"));
  EXPECT_LT(text.find("job-a"), text.find("job-b"));
}

TEST(TopScreen, IsNeverLargerThanTheTerminal) {
  std::vector<JobSummary> jobs;
  for (char letter = 'a'; letter <= 'z'; ++letter) jobs.push_back(top_job(letter, 1));
  const TopSample taken = top_sample(1, jobs);
  for (const std::string trouble : {"", "no node answers at a place with a very long name"}) {
    for (std::size_t height = 1; height < 40; ++height) {
      for (const std::size_t width : {1, 7, 30, 80, 200}) {
        const auto lines = top_lines(taken, {}, trouble, width, height);
        EXPECT_LE(lines.size(), height);
        for (const std::string& line : lines) EXPECT_LE(utf8_count(line), width) << line;
      }
    }
  }
  // With room enough all of it is there.
  EXPECT_EQ(top_lines(taken, {}, "", 80, 100).size(), top_lines(taken, {}, "", 0, 0).size());
}

TEST(TopScreen, OfWhatNodesSayNothingMovesTheCursor) {
  TopSample taken = top_sample(1, {top_job('a', 1)});
  taken.jobs[0].name = "x\x1b[2Jy";
  taken.nodes[0].facts.name = "a\nb";
  for (const std::string& line : top_lines(taken, {}, "c\x1b[Hd", 80, 24)) {
    EXPECT_EQ(line.find('\x1b'), std::string::npos) << line;
    EXPECT_EQ(line.find("a\nb"), std::string::npos);
  }
}

}  // namespace
}  // namespace dunlin
