// status, leave, drain, forget and the tokens that let others in.
#include <gtest/gtest.h>

#include "cli/shell.h"

namespace dunlin {
namespace {

using NodeCommands = Shell;

TEST_F(NodeCommands, StatusBeginsWithWhatCanBeLost) {
  const auto first_line = [&](const client::Status& status) {
    server.on_loop([&](FakeNode& node) { node.status = status; });
    const std::string out = run({"status"}).out;
    return out.substr(0, out.find('\n'));
  };
  client::Status status;
  status.alive = status.total = 5;
  status.can_lose = 1;
  EXPECT_EQ(first_line(status), "healthy: can lose any 1 of 5 hosts");
  status.dead = 1;
  EXPECT_EQ(first_line(status), "healthy: can lose any 1 of 5 hosts");
  status.blocks_under_replicated = 1;
  EXPECT_EQ(first_line(status), "mending: can lose any 1 of 5 hosts");
  status = {};
  status.alive = 1;
  EXPECT_EQ(first_line(status), "1 host: can lose none; add two");
  status.alive = 2;
  EXPECT_EQ(first_line(status), "2 hosts: can lose none; add one");
  status.groups = 16;
  status.groups_with_quorum = 12;
  EXPECT_EQ(first_line(status), "broken: 4 of 16 groups have no quorum");
  status.silent_groups = 4;
  server.on_loop([&](FakeNode& node) { node.status = status; });
  EXPECT_EQ(run({"status"}).code, 7);
}

TEST_F(NodeCommands, TheListAsksEachNodeAndShowsNoLoadOfTheDead) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(2, "beta"), fake_member(7, "seven")};
    node.members[1].state = MemberState::kDead;
  });
  const std::string out = run({"nodes"}).out;
  server.on_loop(
      [](FakeNode& node) { EXPECT_TRUE(std::get<client::ListNodes>(node.asked.back()).asks); });
  EXPECT_NE(out.find("3/4  4.0G/8.0G        1       0"), std::string::npos) << out;
  EXPECT_NE(out.find("-/4     -/8.0G        -       -         -"), std::string::npos) << out;
}

TEST_F(NodeCommands, LeaveDownAndTokensReachTheNode) {
  server.on_loop([](FakeNode& node) { node.members = {fake_member(7, "seven")}; });
  const Ran leave = run({"leave", "seven"});
  EXPECT_EQ(leave.code, 0);
  EXPECT_NE(leave.err.find("groups: none left"), std::string::npos);
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(std::get<client::LeaveNode>(node.asked.back()).node.raw[15], 7);
    node.leave_error = Error{Code::kRefused, "block x would be lost", "--now: anyway"};
  });
  EXPECT_EQ(run({"leave"}).code, 5);
  EXPECT_EQ(run({"token", "create", "--uses", "5"}).out, "dunlin-token-5\n");
  EXPECT_EQ(run({"token", "create", "--role", "user"}).code, 2);
}

TEST_F(NodeCommands, DrainAndUndrainReachTheNode) {
  server.on_loop([](FakeNode& node) { node.members = {fake_member(7, "seven")}; });
  const Ran quick = run({"drain", "seven"});
  EXPECT_EQ(quick.code, 0) << quick.err;
  EXPECT_EQ(quick.err, "");
  const Ran patient = run({"drain", "seven", "--deadline", "90m", "--wait"});
  EXPECT_EQ(patient.code, 0);
  EXPECT_NE(patient.err.find("2 tasks still run"), std::string::npos);
  server.on_loop([](FakeNode& node) {
    const auto& drain = std::get<client::DrainNode>(node.asked.back());
    EXPECT_EQ(drain.node.raw[15], 7);
    EXPECT_EQ(drain.deadline, seconds(5400));
    EXPECT_TRUE(drain.wait);
  });
  EXPECT_EQ(run({"undrain", "seven"}).code, 0);
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(std::get<client::UndrainNode>(node.asked.back()).node.raw[15], 7);
  });
  EXPECT_EQ(run({"drain"}).code, 2);
  EXPECT_EQ(run({"drain", "eight"}).code, 4);
}

TEST_F(NodeCommands, ForgetReachesTheNodeAndIsForTheDead) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(7, "seven"), fake_member(8, "eight")};
    node.members[1].state = MemberState::kDead;
  });
  const Ran dead = run({"forget", "eight"});
  EXPECT_EQ(dead.code, 0) << dead.err;
  EXPECT_EQ(dead.out + dead.err, "");
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(std::get<client::ForgetNode>(node.asked.back()).node.raw[15], 8);
  });
  const Ran alive = run({"forget", "seven"});
  EXPECT_EQ(alive.code, 5);
  EXPECT_NE(alive.err.find("seven is alive; dunlin leave"), std::string::npos) << alive.err;
  EXPECT_EQ(run({"forget", "nine"}).code, 4);
  EXPECT_EQ(run({"forget"}).code, 2);
}

TEST_F(NodeCommands, TokensAreListedAndEndedByTheirBeginnings) {
  server.on_loop([](FakeNode& node) {
    node.tokens = {
        {TokenId{{1}}, "node", "", TokenState::kValid, {}, 0, 4},
        {TokenId{{1, 0, 0, 0, 0, 0, 0, 9}}, "user", "ann", TokenState::kValid, {5}, 0, 0},
        {TokenId{{0xf0}}, "node", "", TokenState::kUsedUp, {}, 1, 1}};
  });
  const std::string first = TokenId{{1}}.text(), used = TokenId{{0xf0}}.text();
  const std::string list = run({"token", "list"}).out;
  EXPECT_NE(list.find("never"), std::string::npos) << list;
  EXPECT_NE(list.find("ann"), std::string::npos) << list;
  EXPECT_EQ(list.find(used), std::string::npos) << list;
  EXPECT_NE(run({"token", "list", "--all"}).out.find(used), std::string::npos);
  const Ran ambiguous = run({"token", "revoke", first.substr(0, 4)});
  EXPECT_EQ(ambiguous.code, 2);
  EXPECT_NE(ambiguous.err.find(first), std::string::npos) << ambiguous.err;
  EXPECT_EQ(run({"token", "revoke", "zzz"}).code, 4);
  EXPECT_EQ(run({"token", "revoke", TokenId{{7}}.text()}).code, 4);
  EXPECT_EQ(run({"token", "revoke", first, used.substr(0, 3)}).code, 0);
  const std::string second = TokenId{{1, 0, 0, 0, 0, 0, 0, 9}}.text();
  EXPECT_EQ(run({"token", "list", "--quiet"}).out, second + "\n");
}

TEST_F(NodeCommands, ATokenOfAUserTakesNoUsesAndOneOfANodeNoUser) {
  EXPECT_EQ(run({"token", "create", "--role", "admin"}).code, 2);
  EXPECT_EQ(run({"token", "create", "--role", "user", "--user", "ann", "--uses", "2"}).code, 2);
  EXPECT_EQ(run({"token", "create", "--user", "ann"}).code, 2);
  EXPECT_EQ(run({"token", "create", "--role", "user", "--user", "ann", "--uses", "0"}).code, 0);
  server.on_loop([](FakeNode& node) {
    const auto& made = std::get<client::CreateToken>(node.asked.back());
    EXPECT_EQ(made.user, "ann");
    EXPECT_EQ(made.uses, 0U);
    EXPECT_EQ(made.ttl, seconds(3600));
  });
}

}  // namespace
}  // namespace dunlin
