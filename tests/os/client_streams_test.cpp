// Clients elsewhere at a node's port: a transport with real sockets, and a connection as a client
// has it.
#include <gtest/gtest.h>

#include "os/bound_sockets.h"
#include "os/http_server.h"
#include "os/temporary_directory.h"
#include "os/transport_node.h"

namespace dunlin::transport_testing {
namespace {

JoinToken users_token(std::uint8_t seed) {
  JoinToken token;
  token.cluster = cluster_of(1);
  token.id.raw[0] = seed;
  token.secret[0] = seed;
  return token;
}

// What a command line is to a node: one connection in client mode.
struct RemoteClient {
  Identity self{key_pair_from_seed(key_of(77)), 1, cluster_of(1)};
  ReadBuffer buffer{};
  Connection* connection = nullptr;
  bool is_open = false;
  std::string received;
  std::optional<Error> end;

  RemoteClient(Loop& loop, const SocketAddress& to, const JoinToken& token) {
    Session::Target target;
    target.mode = SessionMode::kClient;
    target.key_name.raw = token.id.raw;
    target.psk = client_psk(token.psk());
    Connection::Events events;
    events.on_open = [this](Connection&) { is_open = true; };
    events.on_frame = [this](Connection&, const Bytes& frame) { received += as_text(frame); };
    events.on_end = [this](Connection&, const Error& error) {
      end = error;
      connection = nullptr;
    };
    const auto dialled =
        Connection::dial(&loop.loop, to, std::nullopt, Session::dial(self, target, key_of(78)),
                         buffer, std::move(events));
    if (dialled) connection = *dialled;
  }
  ~RemoteClient() { leave(); }
  RemoteClient(const RemoteClient&) = delete;
  RemoteClient& operator=(const RemoteClient&) = delete;

  void leave() {
    if (connection != nullptr) std::exchange(connection, nullptr)->close();
  }
  void send(const std::string& text) const {
    connection->send(to_bytes(text));
    connection->flush();
  }
};

// A node that lets clients in, and keeps what they say.
struct Door : Node {
  std::string heard;
  int ended = 0;
  int sent = 0;  // times that some of what waited had gone

  explicit Door(Loop& on) : Node(on, 1) {
    token = users_token(5);
    on_client = [this](std::unique_ptr<ByteStream>& stream) {
      stream->open({[this](std::string_view data) { heard += data; }, [this] { ++sent; },
                    [this] { ++ended; }});
      stream->set_reading(true);
    };
  }
  ~Door() { stop(); }
};

TEST(ClientStreams, CarryBytesBothWaysAndTellOfTheEnd) {
  Loop loop;
  Door door(loop);
  RemoteClient client(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return client.is_open && door.clients.size() == 1; }));
  client.send("GET");
  ASSERT_TRUE(loop.run_until([&] { return door.heard == "GET"; }));
  const std::string long_answer(3 * kMaxClientFrame + 17, 'x');
  door.clients[0]->send(long_answer);
  ASSERT_TRUE(loop.run_until([&] { return client.received.size() >= long_answer.size(); }));
  EXPECT_EQ(client.received, long_answer);
  EXPECT_EQ(door.clients[0]->unsent(), 0U);
  client.leave();
  EXPECT_TRUE(loop.run_until([&] { return door.ended == 1; }));
}

TEST(ClientStreams, HoldTheClientBackWhileNobodyReads) {
  Loop loop;
  Door door(loop);
  RemoteClient client(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return client.is_open && door.clients.size() == 1; }));
  door.clients[0]->set_reading(false);
  client.send("early");
  // Another client's whole round shows that the loop has been at both sockets.
  RemoteClient other(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return door.clients.size() == 2; }));
  other.send("other");
  ASSERT_TRUE(loop.run_until([&] { return !door.heard.empty(); }));
  EXPECT_EQ(door.heard, "other");
  door.clients[0]->set_reading(true);
  EXPECT_TRUE(loop.run_until([&] { return door.heard == "otherearly"; }));
}

TEST(ClientStreams, TellThatSomethingHasGoneOnlyWhenItHas) {
  Loop loop;
  Door door(loop);
  RemoteClient client(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return client.is_open && door.clients.size() == 1; }));
  client.send("GET");
  ASSERT_TRUE(loop.run_until([&] { return door.heard == "GET"; }));
  client.send(" /");
  ASSERT_TRUE(loop.run_until([&] { return door.heard == "GET /"; }));
  EXPECT_EQ(door.sent, 0) << "what has come is nothing that has gone";
  const std::string more_than_fits(std::size_t{32} << 20, 'x');
  door.clients[0]->send(more_than_fits);
  ASSERT_GT(door.clients[0]->unsent(), 0U);
  ASSERT_TRUE(loop.run_until([&] { return client.received.size() == more_than_fits.size(); }));
  EXPECT_GT(door.sent, 0);
  EXPECT_EQ(door.clients[0]->unsent(), 0U);
}

// An HTTP server behind the door: who never ends his request is closed, however often he sends.
TEST(ClientStreams, DoNotKeepAnHttpClientThatDripsItsRequest) {
  Loop loop;
  HttpServer::Handlers handlers;
  handlers.body_limit = [](std::string_view, std::string_view) { return std::size_t{100}; };
  handlers.error_body = [](const Error& error) { return error.message; };
  HttpServer server(&loop.loop, std::move(handlers), {.request = 1000, .sweep = 20});
  const TemporaryDirectory directory;
  const std::string path = directory / "api.sock";
  ASSERT_TRUE(server.listen(path, *bind_local_socket(path, 0600)));
  Door door(loop);
  door.on_client = [&](std::unique_ptr<ByteStream>& stream) {
    server.adopt(std::move(stream), {kNoAccount, "ann", users_token(5).id});
    door.clients.clear();
  };
  RemoteClient client(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return client.is_open; }));
  client.send("GET / HTTP/1.1\r\nX: ");
  Instant drip = monotonic_now();
  EXPECT_TRUE(loop.run_until([&] {
    if (client.end) return true;
    if (monotonic_now() >= drip) {
      client.send("x");
      drip = monotonic_now() + milliseconds(10);
    }
    return false;
  }));
  EXPECT_EQ(client.received, "");
  EXPECT_TRUE(loop.run_until([&] { return server.connections() == 0; }));
  server.close();
  uv_run(&loop.loop, UV_RUN_NOWAIT);
}

TEST(ClientStreams, EndWhenTheirOwnerClosesThem) {
  Loop loop;
  Door door(loop);
  RemoteClient client(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return client.is_open && door.clients.size() == 1; }));
  bool is_closed = false;
  door.clients[0]->close([&] { is_closed = true; });
  EXPECT_FALSE(is_closed) << "never from within the call";
  EXPECT_TRUE(loop.run_until([&] { return is_closed && client.end; }));
  EXPECT_EQ(door.ended, 0) << "who closes it knows";
}

TEST(ClientStreams, AreRefusedWithTheReasonToWhomProvesAToken) {
  Loop loop;
  Door door(loop);
  door.client_verdict = Verdict::kTokenRevoked;
  RemoteClient revoked(loop, door.address, users_token(5));
  RemoteClient stranger(loop, door.address, users_token(6));
  ASSERT_TRUE(loop.run_until([&] { return revoked.end && stranger.end; }));
  EXPECT_EQ(revoked.end->message, "the token was revoked");
  EXPECT_EQ(stranger.end->message, "the token is not known there");
  EXPECT_TRUE(door.clients.empty());
}

TEST(ClientStreams, OfOneTokenAreLimited) {
  Loop loop;
  Door door(loop);
  std::vector<std::unique_ptr<RemoteClient>> clients;
  for (std::size_t i = 0; i < kMaxClientSessionsOfToken; ++i) {
    clients.push_back(std::make_unique<RemoteClient>(loop, door.address, users_token(5)));
    // Half-open ones of one address are few.
    ASSERT_TRUE(loop.run_until([&] { return clients.back()->is_open; }));
  }
  RemoteClient late(loop, door.address, users_token(5));
  ASSERT_TRUE(loop.run_until([&] { return late.end.has_value(); }));
  EXPECT_EQ(late.end->code, Code::kLimit);
  clients.pop_back();
  ASSERT_TRUE(loop.run_until([&] { return door.ended == 1; }));
  RemoteClient next(loop, door.address, users_token(5));
  EXPECT_TRUE(loop.run_until([&] { return next.is_open; }));
}

}  // namespace
}  // namespace dunlin::transport_testing
