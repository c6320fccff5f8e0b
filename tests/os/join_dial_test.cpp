#include "os/dial.h"

#include <gtest/gtest.h>

#include <memory>

#include "os/transport_node.h"

namespace dunlin::transport_testing {
namespace {

struct Joiner {
  Loop& loop;
  std::unique_ptr<JoinDial> dial;
  std::vector<std::pair<std::string, Error>> failures;
  std::optional<Result<JoinDial::Reply>> result;

  Joiner(Loop& on, const JoinToken& token, const std::string& request,
         std::vector<std::string> servers)
      : loop(on) {
    JoinDial::Callbacks callbacks;
    callbacks.on_attempt_failed = [this](const std::string& server, const Error& error) {
      failures.emplace_back(server, error);
    };
    callbacks.on_done = [this](Result<JoinDial::Reply> reply) { result = std::move(reply); };
    dial = std::make_unique<JoinDial>(
        &loop.loop, Identity{key_pair_from_seed(key_of(77)), 1, ClusterId()},
        JoinKey::of_token(token), to_bytes(request), std::move(callbacks));
    dial->start(std::move(servers));
  }
  ~Joiner() {
    bool is_closed = false;
    dial->close([&] { is_closed = true; });
    EXPECT_TRUE(loop.run_until([&] { return is_closed; }));
  }
};

JoinToken token_of(std::uint8_t seed, ClusterId cluster = cluster_of(1)) {
  JoinToken token;
  token.cluster = cluster;
  token.id.raw[0] = seed;
  token.secret[0] = seed;
  return token;
}

TEST(JoinDial, AsksAndIsAnsweredAfterTryingWhoIsNotThere) {
  Loop loop;
  Node a(loop, 1);
  a.token = token_of(5);
  Joiner joiner(loop, token_of(5), "let me in", {"nonsense", "127.0.0.1:1", a.address.text()});
  ASSERT_TRUE(loop.run_until([&] { return a.joins.size() == 1; }));
  const JoinRequest& request = a.joins[0];
  EXPECT_EQ(to_text(request.request), "let me in");
  EXPECT_EQ(request.token, token_of(5).id);
  EXPECT_EQ(request.key, key_pair_from_seed(key_of(77)).public_key);
  EXPECT_EQ(request.node, node_id_of(request.key));

  const Bytes answer(kMaxJoinFrame, 9);
  a.transport->reply_join(request.id, answer);
  ASSERT_TRUE(loop.run_until([&] { return joiner.result.has_value(); }));
  ASSERT_TRUE(*joiner.result);
  EXPECT_EQ((*joiner.result)->bytes, answer);
  EXPECT_EQ((*joiner.result)->from.id, a.id());
  ASSERT_EQ(joiner.failures.size(), 2U);
  EXPECT_EQ(joiner.failures[0].first, "nonsense");
  EXPECT_EQ(joiner.failures[1].first, "127.0.0.1:1");
  EXPECT_EQ(joiner.failures[1].second.code, Code::kUnreachable);
  a.transport->reply_join(request.id, answer);  // is over: nothing happens
}

TEST(JoinDial, SaysThatTheTokenIsNotValid) {
  Loop loop;
  Node a(loop, 1);
  a.token = token_of(5);
  JoinToken guessed = token_of(5);
  guessed.secret[3] ^= 1;
  for (const JoinToken& token : {token_of(6), guessed}) {
    Joiner joiner(loop, token, "let me in", {a.address.text(), "127.0.0.1:1"});
    ASSERT_TRUE(loop.run_until([&] { return joiner.result.has_value(); }));
    ASSERT_FALSE(*joiner.result);
    EXPECT_EQ(joiner.result->error().code, Code::kRefused);
    EXPECT_EQ(joiner.result->error().message, "the token is not valid there (any more)");
  }
  EXPECT_TRUE(a.joins.empty());
}

TEST(JoinDial, SaysThatTheTokenIsOfAnotherCluster) {
  Loop loop;
  Node a(loop, 1);
  Joiner joiner(loop, token_of(5, cluster_of(9)), "let me in", {a.address.text()});
  ASSERT_TRUE(loop.run_until([&] { return joiner.result.has_value(); }));
  ASSERT_FALSE(*joiner.result);
  EXPECT_EQ(joiner.result->error().code, Code::kConflict);
}

TEST(JoinDial, FindsServersByName) {
  Loop loop;
  Node a(loop, 1);
  a.token = token_of(5);
  Joiner joiner(loop, token_of(5), "let me in", {"localhost:" + std::to_string(a.address.port())});
  ASSERT_TRUE(loop.run_until([&] { return a.joins.size() == 1; }));
  a.transport->reply_join(a.joins[0].id, {});
  ASSERT_TRUE(loop.run_until([&] { return joiner.result.has_value(); }));
  EXPECT_TRUE(*joiner.result);
}

}  // namespace
}  // namespace dunlin::transport_testing
