#include "cli/servers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/known_servers.h"
#include "os/temporary_directory.h"

namespace dunlin {
namespace {

// With a home of its own, and nothing of the caller's.
class ServersToTry : public ::testing::Test {
 protected:
  ServersToTry() {
    setenv("HOME", home.path().c_str(), 1);
    for (const char* name : {"DUNLIN_SERVER", "DUNLIN_TOKEN", "DUNLIN_DIR"}) unsetenv(name);
    token.cluster.raw[0] = 7;
    token.id.raw[0] = 1;
    std::ofstream(home / "token") << token.text() << "\n";
  }
  ~ServersToTry() override {
    for (const char* name : {"DUNLIN_SERVER", "DUNLIN_TOKEN"}) unsetenv(name);
  }

  TemporaryDirectory home;
  JoinToken token;
};

TEST_F(ServersToTry, SocketsTakeNoToken) {
  const auto servers = servers_to_try("/a/b.sock,c/d.sock", "");
  ASSERT_TRUE(servers);
  EXPECT_EQ(servers->addresses, (std::vector<std::string>{"/a/b.sock", "c/d.sock"}));
  EXPECT_FALSE(servers->token);
}

TEST_F(ServersToTry, OfNodesElsewhereTakeATokenFromTheFirstPlaceThatHasOne) {
  const auto without = servers_to_try("10.0.0.5:7400", "");
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, Code::kUsage);
  EXPECT_TRUE(servers_to_try("10.0.0.5:7400", home / "token")->token);
  setenv("DUNLIN_TOKEN", "dun1-short", 1);
  EXPECT_TRUE(servers_to_try("10.0.0.5:7400", home / "token")->token);
  const auto cut = servers_to_try("10.0.0.5:7400", "");
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().message.find("DUNLIN_TOKEN: "), 0U) << cut.error().message;
  setenv("DUNLIN_TOKEN", token.text().c_str(), 1);
  EXPECT_EQ(servers_to_try("10.0.0.5:7400", "")->token->id, token.id);
  unsetenv("DUNLIN_TOKEN");
  std::filesystem::create_directory(home / ".dunlin");
  std::filesystem::copy(home / "token", home / ".dunlin/token");
  EXPECT_EQ(servers_to_try("10.0.0.5:7400", "")->token->id, token.id);
}

TEST_F(ServersToTry, ThatWereLearntComeBehindThoseGivenForTheSameCluster) {
  ClusterId other;
  remember_servers(other, {"10.9.9.9:7400"});
  remember_servers(token.cluster, {"10.0.0.5:7400", "10.0.0.6:7400"});
  remember_servers(token.cluster, {"10.0.0.5:7400", "10.0.0.7:7400"});
  EXPECT_EQ(known_servers(other), std::vector<std::string>{"10.9.9.9:7400"});
  const auto servers = servers_to_try("10.0.0.5:7400", home / "token");
  ASSERT_TRUE(servers);
  EXPECT_EQ(servers->addresses, (std::vector<std::string>{"10.0.0.5:7400", "10.0.0.7:7400"}));
  // A node's socket is asked alone: it knows where its cluster is.
  EXPECT_EQ(servers_to_try("/a/b.sock", "")->addresses.size(), 1U);
}

TEST_F(ServersToTry, AreKeptForAFewClustersOnly) {
  for (std::size_t i = 0; i < kMaxKnownClusters + 2; ++i) {
    ClusterId cluster;
    cluster.raw[0] = static_cast<std::uint8_t>(i + 1);
    remember_servers(cluster, {"10.0.0.5:7400"});
  }
  ClusterId first;
  first.raw[0] = 1;
  EXPECT_TRUE(known_servers(first).empty());
  first.raw[0] = kMaxKnownClusters + 2;
  EXPECT_EQ(known_servers(first).size(), 1U);
}

}  // namespace
}  // namespace dunlin
