#include "os/transport.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "base/random.h"
#include "os/clock.h"
#include "os/dial.h"

namespace dunlin {
namespace {

constexpr Duration kPatience = seconds(20);

ClusterId cluster_of(std::uint8_t n) {
  ClusterId id;
  id.raw[0] = n;
  return id;
}

Key32 key_of(std::uint8_t n) {
  Key32 key{};
  key[0] = n;
  return key;
}

NodeId id_of(std::uint8_t seed) {
  return node_id_of(key_pair_from_seed(key_of(seed)).public_key);
}

// A loop that runs until something is true.
struct Loop {
  uv_loop_t loop;
  uv_timer_t guard;

  Loop() {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &guard);
    // Wakes the loop so that conditions that only time makes true are seen.
    uv_timer_start(
        &guard, [](uv_timer_t*) {}, 20, 20);
  }
  ~Loop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&guard), nullptr);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0) {
    }
    EXPECT_EQ(uv_loop_close(&loop), 0) << "something was left open";
  }

  template <class Condition>
  bool run_until(Condition condition, Duration patience = kPatience) {
    const Instant end = monotonic_now() + patience;
    while (!condition()) {
      if (monotonic_now() > end) return false;
      uv_run(&loop, UV_RUN_ONCE);
    }
    return true;
  }
};

struct Node {
  struct Got {
    NodeId from;
    Channel channel;
    Bytes frame;
  };

  Loop& loop;
  Identity identity;
  SocketAddress address;
  std::unique_ptr<Transport> transport;
  std::vector<Got> got;
  std::vector<NodeId> resets;
  std::vector<JoinRequest> joins;
  std::vector<Error> troubles;
  std::set<NodeId> banned;
  std::optional<JoinToken> token;
  bool echo = false;
  bool saw_newer_self = false;

  Node(Loop& on, std::uint8_t seed, Boot boot = 1, const std::string& ip = "127.0.0.1",
       std::uint16_t port = 0, ClusterId cluster = cluster_of(1))
      : loop(on), identity{key_pair_from_seed(key_of(seed)), boot, cluster} {
    Transport::Callbacks callbacks;
    callbacks.on_frame = [this](NodeId from, Channel channel, Bytes frame) {
      if (echo) transport->send(from, channel, frame);
      got.push_back({from, channel, std::move(frame)});
    };
    callbacks.on_peer_reset = [this](NodeId id) { resets.push_back(id); };
    callbacks.on_join = [this](JoinRequest request) { joins.push_back(std::move(request)); };
    callbacks.on_trouble = [this](const std::string&, const Error& e) { troubles.push_back(e); };
    callbacks.on_newer_self = [this] { saw_newer_self = true; };
    callbacks.is_admitted = [this](NodeId id, const PublicKey&) { return !banned.contains(id); };
    callbacks.token_psk = [this](const TokenId& id) -> std::optional<Key32> {
      if (token && token->id == id) return token->psk();
      return std::nullopt;
    };
    transport = std::make_unique<Transport>(&loop.loop, identity, std::move(callbacks));
    const auto bound = transport->listen(*SocketAddress::from_ip(ip, port));
    EXPECT_TRUE(bound) << (bound ? "" : bound.error().message);
    if (bound) address = *bound;
    transport->set_keys({{{1, key_of(200)}}});
  }
  ~Node() { stop(); }

  void stop() {
    if (!transport) return;
    bool is_closed = false;
    transport->close([&] { is_closed = true; });
    EXPECT_TRUE(loop.run_until([&] { return is_closed; }));
    transport.reset();
  }

  NodeId id() const { return identity.id(); }
  void knows(const Node& other, Boot boot = 0) {
    transport->set_peer(other.id(), other.identity.keys.public_key, other.address.text(), boot);
  }
  void send(const Node& to, Channel channel, Bytes frame) {
    transport->send(to.id(), channel, std::move(frame));
  }
};

Bytes frame_of(std::size_t size, std::uint8_t fill) {
  return Bytes(size, fill);
}

void acquaint(std::vector<Node*> nodes) {
  for (Node* a : nodes) {
    for (Node* b : nodes) {
      if (a != b) a->knows(*b);
    }
  }
}

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
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{1});
  acquaint({&a, b.get()});
  a.send(*b, Channel::kStream, frame_of(1, 1));
  a.send(*b, Channel::kDatagram, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return b->got.size() == 2; }));

  const std::uint16_t port = b->address.port();
  b.reset();
  ASSERT_TRUE(loop.run_until([&] { return !a.resets.empty(); }));
  EXPECT_EQ(a.resets[0], id_of(2));
  a.transport->send(id_of(2), Channel::kStream, frame_of(1, 2));  // refused, and kept for a while

  b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{2}, "127.0.0.1", port);
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
  auto b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{1}, "127.0.0.5");
  a.knows(*b);
  b.reset();
  a.transport->send(id_of(2), Channel::kStream, frame_of(1, 1));
  ASSERT_TRUE(loop.run_until([&] { return !a.troubles.empty(); }));
  b = std::make_unique<Node>(loop, std::uint8_t{2}, Boot{2}, "127.0.0.6");
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
  EXPECT_LE(took, kHandshakeTimeout + seconds(3));
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
  ASSERT_TRUE(loop.run_until([&] { return closed() == 10; }));
  b.send(a, Channel::kStream, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return a.got.size() == 1; }, seconds(3)));
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
  ASSERT_TRUE(loop.run_until(oldest_closed, kHandshakeTimeout - seconds(1)));
  EXPECT_FALSE(crowd.back()->is_closed());
  b.send(a, Channel::kStream, frame_of(1, 1));
  EXPECT_TRUE(loop.run_until([&] { return a.got.size() == 1; }, seconds(3)));
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

// ---- joining -----------------------------------------------------------------------------------

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
    dial = std::make_unique<JoinDial>(&loop.loop,
                                      Identity{key_pair_from_seed(key_of(77)), 1, ClusterId()},
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
    EXPECT_EQ(joiner.result->error().message, "the join token is not valid there (any more)");
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
}  // namespace dunlin
