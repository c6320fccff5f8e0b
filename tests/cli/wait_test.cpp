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

TEST_F(WaitCommand, ThatEndsInTimeIsSilentOfAGroupThatAnswersAgain) {
  const std::string id = submit({"hang"});
  lose_quorum(1);
  const Ran ran = run({"wait", "--timeout", "2s", id});
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("wait longer"), std::string::npos) << ran.err;
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
