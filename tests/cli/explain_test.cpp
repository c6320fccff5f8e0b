// What `explain` makes of a node's answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "cli/shell.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {
namespace {

class ExplainCommand : public Shell {
 protected:
  // In place of what the fake node knows of a task.
  void node_says(const Explained& what) {
    server.on_loop([&](FakeNode& node) {
      node.deliver = [deliver = node.deliver, what](client::Reply reply) {
        auto* answer = reply.answer ? std::get_if<JobAnswer>(&*reply.answer) : nullptr;
        if (answer != nullptr && std::holds_alternative<Explained>(*answer)) *answer = what;
        deliver(std::move(reply));
      };
    });
  }
  // The line that begins with this word, with one blank between its words.
  static std::string line_of(const std::string& text, const std::string& word) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string whole;
      for (std::string each; words >> each;) whole += (whole.empty() ? "" : " ") + each;
      if (whole.starts_with(word + " ")) return whole;
    }
    return "no line of " + word + " in: " + text;
  }
};

NodeVerdict verdict_of(const std::string& name, FitVerdict verdict) {
  NodeVerdict node;
  node.name = name;
  node.verdict = verdict;
  return node;
}

// The only task of a job, for which there is no room.
Explained waiting(const std::string& id) {
  Explained what;
  what.task.job = *JobId::from_text(id);
  what.task.task = 1;
  what.task.state = TaskState::kQueued;
  what.task.reason = Reason::kResources;
  return what;
}

TEST_F(ExplainCommand, OfATaskThatWaitsSaysWhatEachNodeLacks) {
  const std::string id = submit({"queue"});
  Explained waits = waiting(id);
  waits.needs.room.cpus = 8;
  waits.needs.room.memory = 4ULL << 30;
  waits.needs.zone = "z1";
  NodeVerdict small = verdict_of("alpha", FitVerdict::kLacks);
  small.has = waits.needs;
  small.has->room.cpus = 4;
  NodeVerdict taken = verdict_of("beta", FitVerdict::kFull);
  taken.has = waits.needs;
  taken.has->room.memory = 1ULL << 30;
  taken.ahead = 3;
  NodeVerdict free = verdict_of("gamma", FitVerdict::kFits);
  free.has = waits.needs;
  free.note = small.note = "memory is not enforced";
  NodeVerdict lost = verdict_of("delta", FitVerdict::kUnreachable);
  lost.since = {wall_now().ms - 3'600'000 * 5};
  waits.nodes = {small, taken, free, lost};
  node_says(waits);
  const std::string out = run({"explain", id}).out;
  EXPECT_TRUE(out.starts_with("task " + id + ".1 is queued (resources)\n")) << out;
  EXPECT_EQ(line_of(out, "alpha"), "alpha lacks 8 cpus 4 cpus -");
  EXPECT_EQ(line_of(out, "beta"), "beta full 4.0G mem 1.0G mem 3");
  EXPECT_EQ(line_of(out, "gamma"),
            "gamma fits 8 cpus, 4.0G mem, zone=z1 8 cpus, 4.0G mem, zone=z1 -");
  EXPECT_NE(out.find("\non alpha, gamma: memory is not enforced\n"), std::string::npos) << out;
  EXPECT_EQ(line_of(out, "delta"), "delta unreachable - - - since 5h00m");
  EXPECT_EQ(out.find("ATTEMPT"), std::string::npos) << out;
}

TEST_F(ExplainCommand, OfWhatIsNotNeededNothingIsShown) {
  const std::string id = submit({"queue"});
  Explained waits = waiting(id);
  waits.needs.room.cpus = 2;
  NodeVerdict free = verdict_of("alpha", FitVerdict::kFits);
  free.has = waits.needs;
  waits.nodes = {free};
  node_says(waits);
  EXPECT_EQ(line_of(run({"explain", id}).out, "alpha"), "alpha fits 2 cpus 2 cpus -");
}

TEST_F(ExplainCommand, OfATaskThatHasRunShowsEachAttempt) {
  server.on_loop([](FakeNode& node) { node.members = {fake_member(2, "beta")}; });
  const std::string id = submit({"exit", "3"});
  Explained failed;
  failed.task.job = *JobId::from_text(id);
  failed.task.task = 1;
  failed.task.state = TaskState::kFailed;
  failed.task.reason = Reason::kExit;
  failed.attempts.resize(2);
  for (std::uint32_t i = 0; i < 2; ++i) {
    AttemptView& attempt = failed.attempts[i];
    attempt.attempt = i + 1;
    attempt.node.emplace().raw[15] = static_cast<std::uint8_t>(9 - 7 * i);
    attempt.started_at = {1'000'000};
    attempt.finished_at = {1'200'000};
  }
  failed.attempts[0].outcome = "lost";
  failed.attempts[0].signal = 9;
  failed.attempts[1].outcome = "failed";
  failed.attempts[1].reason = Reason::kExit;
  failed.attempts[1].exit_code = 3;
  failed.attempts[1].max_rss = 2ULL << 20;
  failed.attempts[1].detail = "some words";
  node_says(failed);
  const std::string out = run({"explain", id}).out;
  EXPECT_TRUE(out.starts_with("task " + id + ".1 is failed (exit)\n")) << out;
  // A node that nobody knows any more goes by its id.
  EXPECT_EQ(line_of(out, "1"),
            "1 " + failed.attempts[0].node->short_text() + " lost signal 9 3m20s -");
  EXPECT_EQ(line_of(out, "2"), "2 beta failed exit 3 3m20s 2.0M some words");
  EXPECT_EQ(out.find("VERDICT"), std::string::npos) << out;
}

TEST_F(ExplainCommand, OfATaskThatWaitsForJobsNamesThemAndHowTheyAre) {
  const std::string first = submit({"hang"});
  const std::string last = submit({"true"});
  const std::string id = submit({"--after", first, "--afterany", last, "queue"});
  Explained waits = waiting(id);
  waits.task.reason = Reason::kDependency;
  node_says(waits);
  server.on_loop([&](FakeNode& node) { node.jobs.erase(*JobId::from_text(last)); });
  const Ran ran = run({"explain", id});
  EXPECT_NE(ran.out.find("after job " + first + ", which is "), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("after the end of job " + last + ", which is not there any more\n"),
            std::string::npos)
      << ran.out;
}

TEST_F(ExplainCommand, TakesAJobOrOneOfItsTasks) {
  const std::string id = submit({"--array", "1-9", "hang"});
  EXPECT_EQ(run({"explain", id, "--quiet"}).out, id + ".1\n");
  const auto told = explained_from_json(run({"explain", id + ".7", "--json"}).out);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->task.job.text(), id);
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(std::get<ExplainTask>(std::get<JobRequest>(node.asked.back())).task, 7U);
  });
  const Ran many = run({"explain", id + ".1-2"});
  EXPECT_EQ(many.code, 2);
  EXPECT_NE(many.err.find("dunlin tasks " + id), std::string::npos) << many.err;
  EXPECT_EQ(run({"explain", "zzzzzzzzzz"}).code, 4);
  EXPECT_EQ(run({"explain"}).code, 2);
}

TEST_F(ExplainCommand, OfAJobThatWaitsForOthersNamesSomeOfThemAndHowTheyAre) {
  std::vector<std::string> words = {"queue"};
  for (int i = 0; i < 23; ++i) {
    words.insert(words.begin(), {"--after", submit({i == 0 ? "false" : "hang"})});
  }
  const std::string id = submit(words);
  Explained waits = waiting(id);
  waits.task.reason = Reason::kDependency;
  node_says(waits);
  const std::string out = run({"explain", id}).out;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 22) << out;
  EXPECT_NE(out.find(", which is running\n"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("and 3 more\n")) << out;
}

}  // namespace
}  // namespace dunlin
