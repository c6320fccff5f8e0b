// What `wait` says of jobs that it cannot hear of.
#include "cli/shell.h"

namespace dunlin {
namespace {

class WaitCommand : public Shell {
 protected:
  // So many questions about jobs fail for want of a quorum.
  void lose_quorum(int questions) {
    server.on_loop([questions](FakeNode& node) {
      node.fault = [left = questions](const client::Request& request) mutable {
        const auto* about = std::get_if<JobRequest>(&request);
        const bool is_watch = about != nullptr && std::holds_alternative<WatchJob>(*about);
        if (!is_watch || left-- <= 0) return std::optional<Error>();
        return std::optional<Error>(Error{Code::kTimeout, "group 7 did not answer in time", ""});
      };
    });
  }
};

TEST_F(WaitCommand, ThatEndsInTimeSaysWhichGroupDoesNotAnswer) {
  const std::string id = submit({"hang"});
  lose_quorum(1000);
  const Ran ran = run({"wait", "--timeout", "300ms", id});
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("waiting on: group 7 did not answer in time\n"), std::string::npos);
  EXPECT_NE(ran.err.find("not known to have ended in time: " + id +
                         ": group 7 did not answer in time; see: dunlin status\n"),
            std::string::npos)
      << ran.err;
}

TEST_F(WaitCommand, GivesTheJobsThatEndedAsJsonInTheOrderAskedFor) {
  const std::string well = submit({"true"}), bad = submit({"false"}), open = submit({"hang"});
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--timeout", "0"}}) {
    std::vector<std::string> words = {"wait", "--json", bad, well};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = run(words);
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err, "");
    EXPECT_TRUE(ran.out.starts_with("[{\"id\":\"" + bad + "\"")) << ran.out;
    EXPECT_NE(ran.out.find(",{\"id\":\"" + well + "\""), std::string::npos) << ran.out;
    EXPECT_EQ(ran.out.find("\"spec\""), std::string::npos) << ran.out;
  }
  const Ran any = run({"wait", "--json", "--any", open, well});
  EXPECT_EQ(any.code, 0);
  EXPECT_TRUE(any.out.starts_with("[{\"id\":\"" + well + "\"")) << any.out;
  const Ran partly = run({"wait", "--json", "--any", "zzzzzzzzzz", well});
  EXPECT_EQ(partly.out.empty(), partly.code == 4) << partly.out << partly.err;
  const Ran unknown = run({"wait", "--json", well, "zzzzzzzzzz"});
  EXPECT_EQ(unknown.code, 4);
  EXPECT_EQ(unknown.out, "");
  const Ran both = run({"wait", "--json", "--timeout", "0", "zzzzzzzzzz", "yyyyyyyyyy", open});
  EXPECT_EQ(both.code, 4);
  EXPECT_EQ(std::count(both.err.begin(), both.err.end(), '\n'), 1) << both.err;
  const Ran late = run({"wait", "--json", "--timeout", "50ms", open, well});
  EXPECT_EQ(late.code, 6);
  EXPECT_EQ(late.out, "");
  EXPECT_TRUE(late.err.starts_with("{\"error\":{\"code\":\"timeout\"")) << late.err;
}

TEST_F(WaitCommand, GivesIdsAloneWhenItIsToBeQuiet) {
  const std::string well = submit({"true"}), open = submit({"hang"});
  const Ran ran = run({"wait", "--quiet", "--any", open, well});
  EXPECT_EQ(ran.out, well + "\n");
  EXPECT_EQ(ran.err, "");
  const std::string other = submit({"true"});
  const Ran look = run({"wait", "--quiet", "--any", "--timeout", "0", well, other});
  EXPECT_EQ(look.out.size(), well.size() + 1);
}

TEST_F(WaitCommand, ThatEndsInTimeIsSilentOfAGroupThatAnswersAgain) {
  const std::string id = submit({"hang"});
  lose_quorum(1);
  const Ran ran = run({"wait", "--timeout", "2s", id});
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("wait longer"), std::string::npos) << ran.err;
}

TEST_F(WaitCommand, ThatEndsInTimeIsSilentOfAGroupThatWasLostForAWhile) {
  const std::string id = submit({"hang"});
  auto waiting = start({"wait", "--timeout", "4s", id});
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() > 0; }));
  lose_quorum(1);
  server.on_loop([id](FakeNode& node) { node.restart_task(*JobId::from_text(id), 1); });
  const Ran ran = waiting->end();
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("waiting on: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("wait longer"), std::string::npos) << ran.err;
}

TEST_F(WaitCommand, SaysThatNoNodeAnswersAndThatItTriesAgain) {
  const auto said = [&](const std::vector<std::string>& args) {
    ApiServer only;
    environment["DUNLIN_SERVER"] = only.socket;
    const std::string id = submit({"hang"});
    std::vector<std::string> words = args;
    if (args[0] != "events") words.push_back(id);
    auto waiting = start(words);
    EXPECT_TRUE(only.wait_until([&](FakeNode& node) {
      return args[0] == "events" ? node.asked.size() > 3 : node.watching() > 0;
    }));
    only.hang_up();
    EXPECT_TRUE(waiting->says("; trying again for 5"));
    waiting->interrupt();
    const Ran ran = waiting->end();
    EXPECT_EQ(ran.code, 130);
    const std::string line = "dunlin: no node answers at " + only.socket + ": ";
    EXPECT_EQ(ran.err.find(line), ran.err.rfind(line)) << ran.err;
    EXPECT_NE(ran.err.find(line), std::string::npos) << ran.err;
  };
  said({"wait"});
  said({"logs", "-f"});
  said({"events", "-f"});
}

TEST_F(WaitCommand, ThatEndsInTimeDoesSoWhileNoNodeAnswers) {
  const std::string id = submit({"hang"});
  auto waiting = start({"wait", "--timeout", "2s", id});
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() > 0; }));
  server.hang_up();
  const Ran ran = waiting->end();
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("in time: " + id + ": no node answers at"), std::string::npos) << ran.err;
}

TEST_F(WaitCommand, AsksFirstWithoutBeingHeld) {
  const std::string id = submit({"hang"});
  EXPECT_EQ(run({"wait", "--timeout", "300ms", id}).code, 6);
  server.on_loop([](FakeNode& node) {
    std::vector<Duration> held;
    for (const client::Request& request : node.asked) {
      const auto* about = std::get_if<JobRequest>(&request);
      const auto* watch = about == nullptr ? nullptr : std::get_if<WatchJob>(about);
      if (watch != nullptr) held.push_back(watch->hold);
    }
    ASSERT_EQ(held.size(), 2U);
    EXPECT_EQ(held[0], Duration{});
    EXPECT_GT(held[1], seconds(1));
  });
}

}  // namespace
}  // namespace dunlin
