// What pause, resume, retry, delete and set ask of a node.
#include <gtest/gtest.h>

#include "cli/shell.h"

namespace dunlin {
namespace {

class OrderCommands : public Shell {
 protected:
  OrderJob last_order() {
    OrderJob last;
    server.on_loop([&](FakeNode& node) {
      if (!node.orders.empty()) last = node.orders.back();
    });
    return last;
  }
};

TEST_F(OrderCommands, NameJobsOrTasksOfThem) {
  const std::string id = submit({"--array", "1-9", "hang"});
  EXPECT_EQ(run({"pause", id + ".2-4", "--freeze"}).code, 0);
  EXPECT_EQ(last_order().id.text(), id);
  EXPECT_EQ(last_order().tasks, (std::vector<TaskRange>{{2, 4, 1}}));
  EXPECT_TRUE(std::get<PauseTasks>(last_order().order).freezes);
  EXPECT_EQ(run({"resume", "last"}).code, 0);
  EXPECT_TRUE(std::holds_alternative<ResumeTasks>(last_order().order));
  EXPECT_TRUE(last_order().tasks.empty());
  EXPECT_EQ(run({"retry", id, "--all"}).code, 0);
  EXPECT_TRUE(std::get<RetryTasks>(last_order().order).all);
  EXPECT_EQ(run({"delete", id}).code, 0);
  EXPECT_TRUE(std::holds_alternative<DeleteJob>(last_order().order));
}

TEST_F(OrderCommands, SetChangesWhatIsGivenAndNothingElse) {
  const std::string id = submit({"hang"});
  EXPECT_EQ(run({"set", id, "--priority", "-3", "--time", "2h"}).code, 0);
  const auto change = std::get<ChangeJob>(last_order().order);
  EXPECT_EQ(change.priority, -3);
  EXPECT_EQ(change.time_limit, seconds(7200));
  EXPECT_FALSE(change.limit.has_value());
  EXPECT_FALSE(change.keep.has_value());
  EXPECT_EQ(run({"set", id, "--limit", "0", "--keep", "0"}).code, 0);
  EXPECT_EQ(std::get<ChangeJob>(last_order().order).limit, 0u);
  EXPECT_EQ(std::get<ChangeJob>(last_order().order).keep, Duration{});
}

TEST_F(OrderCommands, RetryTellsOfAJobThatIsDone) {
  const std::string over = submit({"true"});
  const std::string line = over + ": it is done; ";
  EXPECT_TRUE(run({"retry", over}).err.starts_with(line));
  EXPECT_EQ(run({"retry", over, "--all"}).err, "");
  EXPECT_EQ(run({"retry", over, "--json"}).err, "");
  EXPECT_EQ(run({"retry", submit({"hang"})}).err, "");
}

TEST_F(OrderCommands, GoOnAfterAJobThatIsNotThere) {
  const std::string id = submit({"hang"});
  const Ran ran = run({"pause", "zzzzzzzzzz", id});
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(last_order().id.text(), id);
  EXPECT_EQ(run({"pause", "zzzzzzzzzz", "NO", id}).code, 4) << "the first trouble counts";
  EXPECT_EQ(run({"pause", id, "--quiet"}).out, id + "\n");
  EXPECT_EQ(run({"pause", id, "--json"}).out.front(), '{');
}

}  // namespace
}  // namespace dunlin
