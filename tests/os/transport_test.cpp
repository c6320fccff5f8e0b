#include "os/transport.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "os/transport_node.h"

namespace dunlin::transport_testing {
namespace {

// A plain client socket, to misbehave with.
struct RawSocket {
  int descriptor = socket(AF_INET, SOCK_STREAM, 0);

  explicit RawSocket(const SocketAddress& to, const std::string& from = "127.0.0.1") {
    EXPECT_EQ(bind(descriptor, SocketAddress::from_ip(from, 0)->raw(), sizeof(sockaddr_in)), 0);
    EXPECT_EQ(connect(descriptor, to.raw(), sizeof(sockaddr_in)), 0);
  }
  ~RawSocket() { close(descriptor); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  void write(ByteView bytes) {
    EXPECT_EQ(::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Takes what is there; true when the other end has closed.
  bool is_closed() {
    std::array<std::uint8_t, 4096> buffer;
    for (;;) {
      const ssize_t size = recv(descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size > 0) {
        received += static_cast<std::size_t>(size);
      } else {
        return size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
      }
    }
  }
  std::size_t received = 0;
};

// An address at which no other process listens: a port that is let go there is free for a while.
std::string address_of_this_process(unsigned n) {
  const auto pid = static_cast<unsigned>(getpid());
  return "127." + std::to_string(64 + 32 * n + (pid >> 16 & 31)) + "." +
         std::to_string(pid >> 8 & 255) + "." + std::to_string(pid & 255);
}

TEST(Transport, CarriesStreamsBothWaysOverOneConnection) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  b.echo = true;
  for (std::uint8_t i = 0; i < 100; ++i) a.send(b, Channel::kStream, frame_of(i * 100U, i));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 100; }));
  for (std::uint8_t i = 0; i < 100; ++i) {
    EXPECT_EQ(b.got[i].frame, frame_of(i * 100U, i));
    EXPECT_EQ(a.got[i].frame, frame_of(i * 100U, i));
    EXPECT_EQ(a.got[i].from, b.id());
    EXPECT_EQ(a.got[i].channel, Channel::kStream);
  }
  EXPECT_TRUE(a.resets.empty() && b.resets.empty());
  EXPECT_EQ(a.transport->counters().frames_dropped, 0U);
}

TEST(Transport, CarriesTheLargestFramesWithoutHoldingUpTheLoop) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  b.echo = true;
  a.send(b, Channel::kStream, frame_of(kMaxFrame, 7));
  a.send(b, Channel::kStream, frame_of(1, 8));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 2; }));
  EXPECT_EQ(a.got[0].frame.size(), kMaxFrame);
  EXPECT_EQ(a.got[1].frame, frame_of(1, 8));
}

TEST(Transport, CarriesDatagramsFromTheFirstOn) {
  Loop loop;
  Node a(loop, 1, 3);
  Node b(loop, 2, 4);
  acquaint({&a, &b});
  b.echo = true;
  a.send(b, Channel::kDatagram, frame_of(kMaxDatagram, 7));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  EXPECT_EQ(a.got[0].frame, frame_of(kMaxDatagram, 7));
  EXPECT_EQ(a.got[0].channel, Channel::kDatagram);
}

TEST(Transport, ConnectsThreeNodesOnAddressesOfTheirOwn) {
  Loop loop;
  Node a(loop, 1, 1, "127.0.0.2");
  Node b(loop, 2, 1, "127.0.0.3");
  Node c(loop, 3, 1, "127.0.0.4");
  const std::vector<Node*> nodes = {&a, &b, &c};
  acquaint(nodes);
  for (Node* from : nodes) {
    for (Node* to : nodes) {
      if (from == to) continue;
      from->send(*to, Channel::kStream, frame_of(10, 1));
      from->send(*to, Channel::kDatagram, frame_of(10, 2));
    }
  }
  EXPECT_TRUE(
      loop.run_until([&] { return a.got.size() == 4 && b.got.size() == 4 && c.got.size() == 4; }));
}

TEST(Transport, TellsOfAPeerThatDiedAndFindsItAgainUnderANewBoot) {
  Loop loop;
  Node a(loop, 1);
  const std::string address = address_of_this_process(1);
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{1}, address);
  acquaint({&a, b.get()});
  a.send(*b, Channel::kStream, frame_of(1, 1));
  a.send(*b, Channel::kDatagram, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return b->got.size() == 2; }));

  const std::uint16_t port = b->address.port();
  b.reset();
  ASSERT_TRUE(loop.run_until([&] { return !a.resets.empty(); }));
  EXPECT_EQ(a.resets[0], id_of(2));
  a.transport->send(id_of(2), Channel::kStream, frame_of(1, 2));  // refused, and kept for a while

  b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{2}, address, port);
  b->knows(a);
  ASSERT_TRUE(loop.run_until([&] { return b->got.size() == 1; }));
  EXPECT_EQ(b->got[0].frame, frame_of(1, 2));
  a.send(*b, Channel::kDatagram, frame_of(1, 3));
  ASSERT_TRUE(loop.run_until([&] { return b->got.size() == 2; }));
  EXPECT_EQ(b->got[1].frame, frame_of(1, 3));
}

TEST(Transport, FollowsAPeerToAnotherAddress) {
  Loop loop;
  Node a(loop, 1);
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{1}, address_of_this_process(1));
  a.knows(*b);
  b.reset();
  a.transport->send(id_of(2), Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return !a.troubles.empty(); }));
  b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{2}, address_of_this_process(2));
  a.knows(*b);
  ASSERT_TRUE(loop.run_until([&] { return b->got.size() == 1; }));
}

TEST(Transport, FindsAPeerByName) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  a.transport->set_peer(b.id(), b.identity.keys.public_key,
                        "localhost:" + std::to_string(b.address.port()), 1);
  a.send(b, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return b.got.size() == 1; }));
  a.send(b, Channel::kDatagram, frame_of(1, 2));
  ASSERT_TRUE(loop.run_until([&] { return b.got.size() == 2; }));
}

TEST(Transport, RefusesWhomTheOwnerDoesNotAdmit) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  b.banned.insert(a.id());
  a.send(b, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return !a.troubles.empty(); }));
  EXPECT_EQ(a.troubles[0].message, "the cluster does not admit this node");
  a.send(b, Channel::kDatagram, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return b.transport->counters().datagrams_refused > 0; }));
  EXPECT_TRUE(b.got.empty());
}

TEST(Transport, RefusesNodesOfAnotherClusterAndSaysSo) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2, 1, "127.0.0.1", 0, cluster_of(2));
  acquaint({&a, &b});
  a.send(b, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return !a.troubles.empty(); }));
  EXPECT_EQ(a.troubles[0].message, "the two ends belong to different clusters");
}

TEST(Transport, FindsTheKeyThatAPeerStillHolds) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  a.transport->set_keys({{{2, key_of(201)}, {1, key_of(200)}}});
  a.send(b, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return b.got.size() == 1; }));
}

TEST(Transport, ForgetsAPeerCompletely) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  a.send(b, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return b.got.size() == 1; }));
  a.transport->forget_peer(b.id());
  EXPECT_FALSE(a.transport->is_connected(b.id()));
  ASSERT_TRUE(loop.run_until([&] { return !b.resets.empty(); }));
  const std::uint64_t before = a.transport->counters().frames_dropped;
  a.send(b, Channel::kStream, frame_of(1, 1));
  a.send(b, Channel::kDatagram, frame_of(1, 1));
  EXPECT_EQ(a.transport->counters().frames_dropped, before + 2);
}

TEST(Transport, DropsTheOldestFramesOfAFullQueueAndCountsThem) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  for (std::uint8_t i = 0; i < 5; ++i) a.send(b, Channel::kStream, frame_of(kMaxFrame, i));
  EXPECT_EQ(a.transport->counters().frames_dropped, 3U) << "kMaxQueuedBytes hold two of them";
  ASSERT_TRUE(loop.run_until([&] { return b.got.size() == 2; }));
  EXPECT_EQ(b.got[0].frame[0], 3);
  EXPECT_EQ(b.got[1].frame[0], 4);
}

TEST(Transport, DropsAFrameOverTheLimit) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  a.send(b, Channel::kStream, frame_of(kMaxFrame + 1, 1));
  a.send(b, Channel::kDatagram, frame_of(kMaxDatagram + 1, 1));
  EXPECT_EQ(a.transport->counters().frames_dropped, 2U);
}

TEST(Transport, MakesARestoredCopyKnowOfItsLaterLife) {
  Loop loop;
  Node a(loop, 1);
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{5});
  acquaint({&a, b.get()});
  b->send(a, Channel::kDatagram, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{4});
  b->knows(a, a.identity.boot);
  // Hints are rare: one packet may go without.
  EXPECT_TRUE(loop.run_until([&] {
    b->send(a, Channel::kDatagram, frame_of(1, 2));
    return b->saw_newer_self;
  }));
  EXPECT_EQ(a.got.size(), 1U);
}

TEST(Transport, TurnsARestoredCopyAwayFromItsStreams) {
  Loop loop;
  Node a(loop, 1);
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{5});
  acquaint({&a, b.get()});
  b->send(a, Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  Node copy(loop, 2, Boot{4});
  copy.knows(a);
  copy.send(a, Channel::kStream, frame_of(1, 2));
  ASSERT_TRUE(loop.run_until([&] { return copy.saw_newer_self; }));
  b->send(a, Channel::kStream, frame_of(1, 3));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 2; }));
  EXPECT_EQ(a.got[1].frame, frame_of(1, 3));
  EXPECT_TRUE(b->resets.empty()) << "the copy must not have cut off the node itself";
}

TEST(Transport, TellsWhoeverIsAdmittedNoMore) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  a.banned.insert(b.id());
  b.send(a, Channel::kStream, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return b.is_shut_out; }));
  EXPECT_FALSE(a.is_shut_out);
  EXPECT_TRUE(a.got.empty());
}

TEST(Transport, DoesNotBelieveARestoredCopyThatAnswers) {
  Loop loop;
  Node a(loop, 1);
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{5});
  acquaint({&a, b.get()});
  b->send(a, Channel::kDatagram, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  Node copy(loop, 2, Boot{4});
  a.knows(copy);
  a.troubles.clear();
  a.send(copy, Channel::kStream, frame_of(1, 2));
  ASSERT_TRUE(loop.run_until([&] { return !a.troubles.empty(); }));
  EXPECT_EQ(a.troubles[0].code, Code::kConflict);
  EXPECT_FALSE(a.transport->is_connected(copy.id()));
}

// ---- strangers ---------------------------------------------------------------------------------

TEST(Transport, ClosesOnGarbageWithoutAWord) {
  Loop loop;
  Node a(loop, 1);
  RawSocket stranger(a.address);
  stranger.write(as_bytes("GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
  ASSERT_TRUE(loop.run_until([&] { return stranger.is_closed(); }));
  EXPECT_EQ(stranger.received, 0U);
}

TEST(Transport, NeverSendsAStrangerMoreThanItGot) {
  Loop loop;
  Node a(loop, 1);
  Random random(1);
  for (int i = 0; i < 60; ++i) {
    RawSocket stranger(a.address);
    Bytes bytes(1 + random.below(400));
    random.fill(bytes);
    if (i % 2 == 0)
      std::copy_n("dunlin\1\0\1", std::min<std::size_t>(9, bytes.size()), bytes.begin());
    stranger.write(bytes);
    shutdown(stranger.descriptor, SHUT_WR);
    ASSERT_TRUE(loop.run_until([&] { return stranger.is_closed(); }));
    EXPECT_LE(stranger.received, std::min<std::size_t>(bytes.size(), 4));
  }
}

TEST(Transport, IgnoresGarbageOnItsDatagramPort) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2);
  acquaint({&a, &b});
  const int stranger = socket(AF_INET, SOCK_DGRAM, 0);
  Random random(1);
  for (int i = 0; i < 50; ++i) {
    Bytes bytes(1 + random.below(1500));
    random.fill(bytes);
    sendto(stranger, bytes.data(), bytes.size(), 0, a.address.raw(), sizeof(sockaddr_in));
  }
  ASSERT_TRUE(loop.run_until([&] { return a.transport->counters().datagrams_refused == 50; }));
  std::array<std::uint8_t, 100> buffer;
  EXPECT_LT(recv(stranger, buffer.data(), buffer.size(), MSG_DONTWAIT), 0);
  close(stranger);
  b.send(a, Channel::kDatagram, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
}

// Has a connection been closed because its handshake took too long?
bool has_timed_out(const Node& node) {
  return std::any_of(node.troubles.begin(), node.troubles.end(),
                     [](const Error& error) { return error.code == Code::kTimeout; });
}

TEST(Transport, EndsHalfOpenConnectionsInTime) {
  Loop loop;
  Node a(loop, 1);
  RawSocket silent(a.address);
  RawSocket slow(a.address);
  slow.write(as_bytes("dunlin"));
  const Instant start = monotonic_now();
  ASSERT_TRUE(loop.run_until([&] { return silent.is_closed() && slow.is_closed(); }));
  const Duration took = monotonic_now() - start;
  EXPECT_GE(took, kHandshakeTimeout - milliseconds(200));
  EXPECT_TRUE(has_timed_out(a));
  EXPECT_EQ(silent.received + slow.received, 0U);
}

TEST(Transport, LimitsHalfOpenConnectionsOfOneAddressButNotMembersFromOthers) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2, 1, "127.0.0.9");
  acquaint({&a, &b});
  std::vector<std::unique_ptr<RawSocket>> crowd;
  for (std::size_t i = 0; i < kMaxUnauthenticatedPerAddress + 10; ++i) {
    crowd.push_back(std::make_unique<RawSocket>(a.address));
  }
  auto closed = [&] {
    return std::count_if(crowd.begin(), crowd.end(), [](auto& s) { return s->is_closed(); });
  };
  ASSERT_TRUE(loop.run_until([&] { return closed() >= 10; }));
  EXPECT_EQ(closed(), 10);
  b.send(a, Channel::kStream, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  EXPECT_FALSE(has_timed_out(a)) << "the crowd was still there";
}

TEST(Transport, LetsTheOldestHalfOpenConnectionGoWhenThereAreTooManyInAll) {
  Loop loop;
  Node a(loop, 1);
  Node b(loop, 2, 1, "127.0.0.9");
  acquaint({&a, &b});
  std::vector<std::unique_ptr<RawSocket>> crowd;
  for (std::size_t i = 0; i < kMaxUnauthenticated + 8; ++i) {
    const std::string from = "127.0.1." + std::to_string(1 + i / 50);
    crowd.push_back(std::make_unique<RawSocket>(a.address, from));
  }
  auto oldest_closed = [&] {
    return std::all_of(crowd.begin(), crowd.begin() + 8, [](auto& s) { return s->is_closed(); });
  };
  ASSERT_TRUE(loop.run_until(oldest_closed));
  EXPECT_EQ(a.transport->counters().connections_refused, 8U);
  EXPECT_FALSE(crowd[8]->is_closed());
  EXPECT_FALSE(crowd.back()->is_closed());
  b.send(a, Channel::kStream, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return a.got.size() == 1; }));
  EXPECT_FALSE(has_timed_out(a)) << "the crowd was still there";
}

TEST(Transport, SaysThatItsPortIsInUse) {
  Loop loop;
  Node a(loop, 1);
  Transport::Callbacks callbacks;
  Transport second(&loop.loop, {key_pair_from_seed(key_of(9)), 1, cluster_of(1)}, callbacks);
  const auto bound = second.listen(a.address);
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().message.find("in use"), std::string::npos) << bound.error().message;
  bool is_closed = false;
  second.close([&] { is_closed = true; });
  EXPECT_TRUE(loop.run_until([&] { return is_closed; }));
}

}  // namespace
}  // namespace dunlin::transport_testing
