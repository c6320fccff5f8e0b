#include "node/reach.h"

#include <gtest/gtest.h>

#include <set>

#include "base/codec.h"

namespace dunlin {
namespace {

NodeId reach_node(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

constexpr WallTime kWall{1'000'000};

// A node that tries the ways to peers, and a network that closes some of them.
class Ways : public ::testing::Test {
 protected:
  struct Peer {
    bool answers = true;
    bool udp_to = true;
    bool udp_from = true;
    std::optional<std::string> dial = "";  // its trouble; nothing: it does not say
    std::int64_t clock_ahead_ms = 0;
    int datagrams_lost = 0;  // at first
  };

  // Until nothing is left to do.
  std::vector<PathReport> run(const std::vector<NodeId>& ids) {
    Effects out;
    const std::uint64_t round = reach.begin(now, ids, out);
    EXPECT_NE(round, 0U);
    for (;;) {
      deliver(out);
      out = Effects{};
      if (reach.next_deadline() == Instant::never()) break;
      now = std::max(now, reach.next_deadline());
      reach.tick(now, out);
    }
    std::vector<Reach::Ended> ended = reach.take_ended();
    EXPECT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].round, round);
    return ended[0].paths;
  }

  void deliver(const Effects& out) {
    for (const Send& send : out.sends) {
      const auto message = decode<NodeMessage>(ByteView(send.frame).subspan(1));
      ASSERT_TRUE(message);
      Peer& peer = peers[send.to];
      if (!peer.answers) continue;
      if (const auto* ping = std::get_if<ReachPing>(&*message)) answer(send, peer, *ping);
      const auto* order = std::get_if<DialOrder>(&*message);
      if (order == nullptr || !peer.dial) continue;
      reach.on_dialled(send.to, {order->round, peer.dial->empty(), *peer.dial});
    }
  }

  void answer(const Send& send, Peer& peer, const ReachPing& ping) {
    const bool is_datagram = send.channel == Channel::kDatagram;
    if (is_datagram && (!peer.udp_to || peer.datagrams_lost-- > 0)) return;
    const ReachPong pong = pong_of(ping, send.channel, {kWall.ms + peer.clock_ahead_ms});
    if (peer.udp_from) reach.on_pong(now, kWall, send.to, Channel::kDatagram, pong);
    reach.on_pong(now, kWall, send.to, Channel::kStream, pong);
  }

  Instant now{5'000'000};
  Reach reach{77};
  std::map<NodeId, Peer> peers;
};

TEST_F(Ways, ThatAreOpenAreFoundOpenAtOnce) {
  peers[reach_node(2)].clock_ahead_ms = -1500;
  const Instant begun = now;
  const auto paths = run({reach_node(2)});
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_TRUE(paths[0].answers && paths[0].udp_to && paths[0].udp_from);
  EXPECT_EQ(paths[0].dial, DialResult::kReached);
  EXPECT_EQ(paths[0].clock_ahead_ms, -1500);
  EXPECT_EQ(now, begun);
}

TEST_F(Ways, ThatLoseSomeDatagramsAreOpen) {
  peers[reach_node(2)].datagrams_lost = 3;
  EXPECT_TRUE(run({reach_node(2)})[0].udp_to);
}

TEST_F(Ways, AreToldApartByDirectionAndTransport) {
  peers[reach_node(2)].udp_to = false;
  peers[reach_node(3)].udp_from = false;
  peers[reach_node(4)].dial = "connection refused";
  peers[reach_node(5)].dial.reset();
  peers[reach_node(6)].answers = false;
  const Instant begun = now;
  const auto paths =
      run({reach_node(2), reach_node(3), reach_node(4), reach_node(5), reach_node(6)});
  ASSERT_EQ(paths.size(), 5U);
  EXPECT_FALSE(paths[0].udp_to);
  EXPECT_TRUE(paths[0].udp_from);
  EXPECT_TRUE(paths[1].udp_to);
  EXPECT_FALSE(paths[1].udp_from);
  EXPECT_EQ(paths[2].dial, DialResult::kFailed);
  EXPECT_EQ(paths[2].trouble, "connection refused");
  EXPECT_EQ(paths[3].dial, DialResult::kUnknown);
  EXPECT_TRUE(paths[3].answers);
  EXPECT_FALSE(paths[4].answers);
  EXPECT_EQ(now, begun + kReachPatience);
}

TEST_F(Ways, AreAskedForByNoMoreRoundsThanTheLimit) {
  Effects out;
  std::set<std::uint64_t> rounds;
  for (std::size_t i = 0; i < kMaxReachRounds; ++i) {
    rounds.insert(reach.begin(now, {reach_node(2)}, out));
  }
  EXPECT_EQ(rounds.size(), kMaxReachRounds);
  EXPECT_FALSE(rounds.contains(0));
  EXPECT_EQ(reach.begin(now, {reach_node(2)}, out), 0U);
  // Who answers to no question is not listened to.
  reach.on_pong(now, kWall, reach_node(9), Channel::kStream,
                {*rounds.begin(), 0, Channel::kStream, kWall});
  reach.on_dialled(reach_node(2), {12345, true, ""});
}

NamedPath path(const std::string& name, bool udp_to, bool udp_from, DialResult dial,
               const std::string& trouble = "") {
  PathReport report;
  report.answers = true;
  report.udp_to = udp_to;
  report.udp_from = udp_from;
  report.dial = dial;
  report.trouble = trouble;
  return {name, report};
}

TEST(Unreachable, NodesAreToldTransportAddressAndPort) {
  EXPECT_TRUE(unreachable_lines("10.0.0.2:7400", {path("a", true, true, DialResult::kReached),
                                                  path("b", true, true, DialResult::kUnknown)})
                  .empty());
  // Of one that does not answer nothing is known.
  EXPECT_TRUE(unreachable_lines("10.0.0.2:7400", {{"a", PathReport{}}}).empty());
  const auto lines = unreachable_lines(
      "10.0.0.2:7400", {path("a", true, false, DialResult::kFailed, "no answer within 3 s"),
                        path("b", true, false, DialResult::kReached)});
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0],
            "others cannot reach this node by TCP at 10.0.0.2:7400 (a: no answer within 3 s); open "
            "TCP port 7400 to them, or name the right address with --advertise HOST:PORT");
  EXPECT_EQ(lines[1],
            "others cannot reach this node by UDP at 10.0.0.2:7400 (no datagram of a, b arrives); "
            "open UDP port 7400 to them, or name the right address with --advertise HOST:PORT");
}

TEST(Unreachable, ThatDatagramsGoNeitherWayIsSaidOnce) {
  const auto lines =
      unreachable_lines("10.0.0.2:7400", {path("a", false, false, DialResult::kReached)});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("cannot exchange datagrams with a;"), std::string::npos) << lines[0];
}

}  // namespace
}  // namespace dunlin
