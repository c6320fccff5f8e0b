#include "os/http_server.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>

#include <csignal>

#include "base/random.h"
#include "os/bound_sockets.h"
#include "os/raw_client.h"
#include "os/temporary_directory.h"

namespace dunlin {
namespace {

Result<void> listen_at(HttpServer& server, const std::string& path, unsigned mode) {
  Result<FileDescriptor> bound = bind_local_socket(path, mode);
  if (!bound) return tl::unexpected(bound.error());
  return server.listen(path, std::move(*bound));
}

// A server and its clients in one thread: `pump` turns the loop until something is so.
class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() {
    std::signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop);
  }
  ~HttpServerTest() override {
    if (server) {
      server->close();
      uv_run(&loop, UV_RUN_DEFAULT);
      server.reset();
    }
    EXPECT_EQ(uv_loop_close(&loop), 0);
  }

  void start(HttpPatience patience = {}, std::uint32_t own_uid = geteuid()) {
    HttpServer::Handlers handlers;
    handlers.on_request = [this](HttpRequest request) {
      requests.push_back(request);
      if (answer) answer(request);
    };
    handlers.on_gone = [this](ExchangeId id) { gone.push_back(id); };
    handlers.on_drained = [this](ExchangeId id) {
      drained.push_back(id);
      if (on_drained) on_drained(id);
    };
    handlers.body_limit = [](std::string_view method, std::string_view) {
      return method == "PUT" ? kMaxHttpBody : std::size_t{100};
    };
    handlers.error_body = [](const Error& error) { return error.message; };
    server = std::make_unique<HttpServer>(&loop, std::move(handlers), patience, own_uid);
    ASSERT_TRUE(listen_at(*server, path, 0600));
  }
  void echo() {
    answer = [this](const HttpRequest& request) {
      server->respond(request.id, 200, "text/plain",
                      request.method + " " + request.path + " [" + to_text(request.body) + "]");
    };
  }
  // Turns the loop, and lets the client read, until it is so or ten seconds are over.
  bool pump(RawClient& client, const std::function<bool()>& is_so) {
    for (int i = 0; i < 5000; ++i) {
      uv_run(&loop, UV_RUN_NOWAIT);
      client.read_some(0);
      if (is_so()) return true;
      client.read_some(2);
    }
    return is_so();
  }
  bool pump_until(RawClient& client, std::string_view text) {
    return pump(client, [&] { return client.received.find(text) != std::string::npos; });
  }

  TemporaryDirectory directory;
  const std::string path = directory / "api.sock";
  uv_loop_t loop{};
  std::unique_ptr<HttpServer> server;
  std::function<void(const HttpRequest&)> answer;
  std::function<void(ExchangeId)> on_drained;
  std::vector<HttpRequest> requests;
  std::vector<ExchangeId> gone;
  std::vector<ExchangeId> drained;
};

TEST_F(HttpServerTest, AnswersARequestAndKeepsTheConnectionForTheNext) {
  start();
  echo();
  RawClient client(path);
  client.send("GET /v1/a?x=1 HTTP/1.1\r\nHost: d\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "GET /v1/a []"));
  EXPECT_EQ(requests[0].query, "x=1");
  client.send("POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz");
  ASSERT_TRUE(pump_until(client, "POST /b [xyz]"));
  EXPECT_FALSE(client.ended);
  EXPECT_EQ(server->connections(), 1U);
}

// The plain port's number.
std::uint16_t listen_plain_at(HttpServer& server) {
  Result<FileDescriptor> bound = bind_tcp_socket(*SocketAddress::from_ip("127.0.0.1", 0));
  EXPECT_TRUE(bound);
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  getsockname(bound->get(), reinterpret_cast<sockaddr*>(&name), &size);
  const auto authorize = [](std::string_view shown) -> Result<HttpCaller> {
    if (shown != "Bearer ann") return fail(Code::kRefused, "who are you?");
    return HttpCaller{kNoAccount, "ann", TokenId{{1}}};
  };
  EXPECT_TRUE(server.listen_plain("127.0.0.1:0", std::move(*bound), authorize));
  return SocketAddress(reinterpret_cast<const sockaddr*>(&name)).port();
}

TEST_F(HttpServerTest, AtThePlainPortEveryRequestSaysWhoseItIs) {
  start();
  echo();
  RawClient client(listen_plain_at(*server));
  client.send("GET /a HTTP/1.1\r\nAuthorization: Bearer ann\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "GET /a []"));
  EXPECT_EQ(requests[0].user, "ann");
  EXPECT_EQ(requests[0].uid, kNoAccount);
  // What was shown before counts for nothing, and no body is taken from a stranger.
  client.send("PUT /b HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "401 Unauthorized"));
  EXPECT_NE(client.received.find("WWW-Authenticate: Bearer"), std::string::npos);
  ASSERT_TRUE(pump(client, [&] { return client.ended; }));
  EXPECT_EQ(requests.size(), 1U);
}

TEST_F(HttpServerTest, DropsThoseWhoseTokenHasEnded) {
  start();
  RawClient client(listen_plain_at(*server));
  RawClient local(path);
  client.send("GET /a HTTP/1.1\r\nAuthorization: Bearer ann\r\n\r\n");
  local.send("GET /b HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return requests.size() == 2; }));
  server->drop_callers([](const TokenId&) { return true; });
  EXPECT_TRUE(gone.empty());
  server->drop_callers([](const TokenId& token) { return token != TokenId{{1}}; });
  ASSERT_TRUE(pump(client, [&] { return client.ended; }));
  EXPECT_EQ(gone.size(), 1U);
  ASSERT_TRUE(pump(client, [&] { return server->connections() == 1; }));
}

TEST_F(HttpServerTest, KnowsFromTheKernelWhoTheCallerIs) {
  start();
  echo();
  RawClient client(path);
  client.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "200 OK"));
  EXPECT_EQ(requests[0].uid, getuid());
  EXPECT_EQ(requests[0].user, getpwuid(getuid())->pw_name);
}

TEST_F(HttpServerTest, TheSocketIsForItsOwnerAlone) {
  start();
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderAndOneAtATime) {
  start();
  RawClient client(path);
  client.send(
      "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
      "GET /3 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return requests.size() == 1; }));
  for (int i = 0; i < 20; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  EXPECT_EQ(requests.size(), 1U);  // the second waits for the first one's answer
  echo();
  server->respond(requests[0].id, 200, "text/plain", "first");
  ASSERT_TRUE(pump_until(client, "GET /3 []"));
  EXPECT_LT(client.received.find("first"), client.received.find("POST /2 [ab]"));
  EXPECT_LT(client.received.find("POST /2 [ab]"), client.received.find("GET /3 []"));
}

TEST_F(HttpServerTest, TakesRequestsThatArriveByteByByte) {
  start();
  echo();
  RawClient client(path);
  const std::string request = "PUT /x HTTP/1.1\r\nContent-Length: 5\r\nA:\r\nB: c\r\n\r\nhello";
  for (const char byte : request) {
    client.send({&byte, 1});
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  EXPECT_TRUE(pump_until(client, "PUT /x [hello]"));
}

// As curl sends a large body: in pieces as long as what is read at once.
TEST_F(HttpServerTest, TakesABodyThatFillsTheBufferAndStops) {
  start();
  answer = [this](const HttpRequest& request) {
    server->respond(request.id, 200, "text/plain", std::to_string(request.body.size()) + " taken");
  };
  RawClient client(path);
  const std::string piece(64UL * 1024, 'x');
  client.send("PUT /x HTTP/1.1\r\nContent-Length: " + std::to_string(3 * piece.size()) +
              "\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    uv_run(&loop, UV_RUN_NOWAIT);
    client.send(piece);
  }
  EXPECT_TRUE(pump_until(client, "196608 taken"));
}

TEST_F(HttpServerTest, TakesChunkedBodiesAndSaysContinue) {
  start();
  echo();
  RawClient client(path);
  client.send("PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "100 Continue"));
  client.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(pump_until(client, "PUT /x [abcde]"));
}

TEST_F(HttpServerTest, RefusesABodyOverTheLimitAndSaysSo) {
  start();
  echo();
  RawClient client(path);
  client.send("POST /x HTTP/1.1\r\nContent-Length: 101\r\n\r\n");
  ASSERT_TRUE(pump_until(client, "413"));
  EXPECT_NE(client.received.find("limit of 100"), std::string::npos);
  EXPECT_TRUE(requests.empty());
  ASSERT_TRUE(pump(client, [&] { return client.ended; }));
}

TEST_F(HttpServerTest, ASenderOfFarTooMuchStillGetsToReadWhy) {
  start();
  echo();
  RawClient client(path);
  std::string head = "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  client.send(head);
  const std::string piece = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  std::string_view rest;
  const bool refused = pump(client, [&] {
    if (rest.empty()) rest = piece;
    rest = client.send_some(rest);
    return client.received.find("413") != std::string::npos;
  });
  EXPECT_TRUE(refused);
  EXPECT_TRUE(requests.empty());
}

TEST_F(HttpServerTest, RefusesHeadersOverTheLimit) {
  start();
  RawClient client(path);
  client.send("GET / HTTP/1.1\r\nX: " + std::string(kMaxHttpHeaderBytes, 'x'));
  EXPECT_TRUE(pump_until(client, "431"));
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  start();
  RawClient client(path);
  client.send("\x16\x03\x01 hello\r\n\r\n");
  EXPECT_TRUE(pump_until(client, "400"));
  ASSERT_TRUE(pump(client, [&] { return client.ended; }));
}

TEST_F(HttpServerTest, StreamsInChunksAndStopsAskingForMoreWhenTheReaderIsSlow) {
  start();
  answer = [this](const HttpRequest& request) {
    server->begin_stream(request.id, 200, "text/plain");
  };
  RawClient client(path);
  client.send("GET /s HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return requests.size() == 1; }));
  const ExchangeId id = requests[0].id;
  const std::string piece(100'000, 'q');
  std::size_t written = 0;
  while (server->write(id, piece)) {
    written += piece.size();
    uv_run(&loop, UV_RUN_NOWAIT);  // the client does not read meanwhile
    ASSERT_LT(written, 10 * kMaxHttpUnsent);
  }
  written += piece.size();
  EXPECT_TRUE(drained.empty());
  ASSERT_TRUE(pump(client, [&] { return !drained.empty(); }));
  server->end(id);
  ASSERT_TRUE(pump_until(client, "\r\n0\r\n\r\n"));
  EXPECT_EQ(std::count(client.received.begin(), client.received.end(), 'q'),
            static_cast<std::ptrdiff_t>(written));
}

TEST_F(HttpServerTest, AReaderThatPipelinesButNeverReadsIsNotServedWithoutEnd) {
  start();
  const std::string big(1'000'000, 'b');
  answer = [&](const HttpRequest& request) { server->respond(request.id, 200, "text/plain", big); };
  RawClient client(path);
  for (int i = 0; i < 50; ++i) client.send("GET / HTTP/1.1\r\n\r\n");
  for (int i = 0; i < 200; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  EXPECT_GE(requests.size(), 1U);
  EXPECT_LE(requests.size(), 3U);
}

TEST_F(HttpServerTest, SaysWhenAClientLeavesBeforeItsAnswer) {
  start();
  RawClient client(path);
  client.send("GET /long HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return requests.size() == 1; }));
  client.leave();
  RawClient other(path);
  ASSERT_TRUE(pump(other, [&] { return gone.size() == 1; }));
  EXPECT_EQ(gone[0], requests[0].id);
  server->respond(requests[0].id, 200, "text/plain", "too late");  // ignored
}

TEST_F(HttpServerTest, ClosesConnectionsThatStopInTheMiddle) {
  start({.request = 300, .body = 300, .idle = 300, .sweep = 20});
  echo();
  RawClient silent(path), half(path), stuck(path), idle(path);
  half.send("GET / HT");
  stuck.send("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n123");
  idle.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(pump(silent, [&] { return silent.ended; }));
  EXPECT_TRUE(pump(half, [&] { return half.ended; }));
  EXPECT_TRUE(pump(stuck, [&] { return stuck.ended; }));
  EXPECT_TRUE(pump(idle, [&] { return idle.ended; }));
  EXPECT_NE(idle.received.find("200 OK"), std::string::npos);
  EXPECT_TRUE(gone.empty());
}

TEST_F(HttpServerTest, AnAnswerMayTakeLongerThanAnyPatience) {
  start({.request = 300, .body = 300, .idle = 300, .sweep = 20});
  RawClient client(path);
  client.send("GET /poll HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return requests.size() == 1; }));
  const std::uint64_t begun = uv_now(&loop);
  ASSERT_TRUE(pump(client, [&] { return uv_now(&loop) > begun + 700; }));
  EXPECT_FALSE(client.ended);
  server->respond(requests[0].id, 200, "text/plain", "at last");
  EXPECT_TRUE(pump_until(client, "at last"));
}

TEST_F(HttpServerTest, TurnsAwayWhoeverComesWhenAllConnectionsAreTaken) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kMaxHttpConnections; ++i) {
    clients.push_back(std::make_unique<RawClient>(path));
    ASSERT_TRUE(clients.back()->is_connected());
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  ASSERT_TRUE(pump(*clients[0], [&] { return server->connections() == kMaxHttpConnections; }));
  RawClient late(path);
  EXPECT_TRUE(pump_until(late, "503"));
  clients.pop_back();
  late.leave();
  ASSERT_TRUE(pump(*clients[0], [&] { return server->connections() < kMaxHttpConnections; }));
  echo();
  RawClient next(path);
  next.send("GET /in HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(pump_until(next, "GET /in"));
}

TEST_F(HttpServerTest, ClosesAtOnceWhatNobodyCanBeToldOf) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kMaxHttpConnections + 2 * kMaxHttpRefusals; ++i) {
    clients.push_back(std::make_unique<RawClient>(path));
    uv_run(&loop, UV_RUN_NOWAIT);
    EXPECT_LE(server->connections(), kMaxHttpConnections + kMaxHttpRefusals + 1);
  }
  RawClient& last = *clients.back();
  EXPECT_TRUE(pump(last, [&] { return last.ended; }));
  EXPECT_EQ(last.received, "");
}

// Connects as somebody who is neither root nor `own_uid`: root as another account; whoever is not
// root as himself, to a server that takes another account for its own.
constexpr std::uint32_t kAnotherUid = 65534;

std::uint32_t uid_of_server() {
  return geteuid() == 0 ? 0 : geteuid() + 1;
}

std::unique_ptr<RawClient> connect_as_another(const std::string& path) {
  const bool is_root = geteuid() == 0;
  // The kernel keeps who connected, however late it is accepted.
  EXPECT_TRUE(!is_root || seteuid(kAnotherUid) == 0);
  auto client = std::make_unique<RawClient>(path);
  EXPECT_TRUE(!is_root || seteuid(0) == 0);
  return client;
}

TEST_F(HttpServerTest, NoUserButItsOwnTakesAllConnections) {
  start({}, uid_of_server());
  echo();
  ASSERT_EQ(chmod(directory.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i <= kMaxHttpConnectionsOfUser; ++i) {
    clients.push_back(connect_as_another(path));
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  EXPECT_TRUE(pump_until(*clients.back(), "503"));
  clients.pop_back();
  if (uid_of_server() == geteuid()) {
    RawClient own(path);
    own.send("GET /own HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(pump_until(own, "GET /own"));
  }
  clients.pop_back();
  RawClient& first = *clients.front();
  ASSERT_TRUE(pump(first, [&] { return server->connections() < kMaxHttpConnectionsOfUser; }));
  const auto next = connect_as_another(path);
  next->send("GET /next HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(pump_until(*next, "GET /next"));
}

TEST_F(HttpServerTest, MakesTheFolderOfItsSocketForEverybodyToPass) {
  const mode_t before = umask(077);
  const std::string place = directory / "run/api.sock";
  {
    HttpServer other(&loop, {});
    ASSERT_TRUE(listen_at(other, place, 0666));
    other.close();
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  umask(before);
  struct stat status {};
  ASSERT_EQ(stat((directory / "run").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0755U);
}

TEST_F(HttpServerTest, ReplacesADeadProcessesSocketButNotALivingOnes) {
  start();
  uv_loop_t other_loop;
  uv_loop_init(&other_loop);
  {
    HttpServer other(&other_loop, {});
    const Result<void> second = listen_at(other, path, 0600);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kConflict);
  }
  EXPECT_EQ(uv_loop_close(&other_loop), 0);
  server->close();
  uv_run(&loop, UV_RUN_DEFAULT);
  server.reset();
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  ASSERT_EQ(bind(stale, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(stale);
  start();
  echo();
  RawClient client(path);
  client.send("GET /again HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(pump_until(client, "GET /again"));
}

TEST_F(HttpServerTest, AnswersOldClientsWithoutChunks) {
  start();
  answer = [this](const HttpRequest& request) {
    server->begin_stream(request.id, 200, "text/plain");
    server->write(request.id, "plain bytes");
    server->end(request.id);
  };
  RawClient client(path);
  client.send("GET / HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(pump(client, [&] { return client.ended; }));
  EXPECT_TRUE(client.received.ends_with("\r\n\r\nplain bytes"));
}

TEST_F(HttpServerTest, SurvivesRandomBytesAndDamagedRequests) {
  start();
  echo();
  const std::string sound =
      "PUT /v1/blobs?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: "
      "100-continue\r\n\r\nbody"
      "GET /v1/jobs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  Random random(20261121);
  for (int round = 0; round < 400; ++round) {
    std::string bytes = sound;
    if (round % 4 == 0) {
      bytes.assign(random.below(400), '\0');
      for (char& byte : bytes) byte = static_cast<char>(random.below(256));
    } else {
      for (std::uint64_t n = random.below(6); n > 0; --n) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
      }
      bytes.resize(random.below(bytes.size() + 1));
    }
    RawClient client(path);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const std::size_t length = std::min<std::size_t>(rest.size(), 1 + random.below(60));
      client.send_some(rest.substr(0, length));
      rest.remove_prefix(length);
      uv_run(&loop, UV_RUN_NOWAIT);
    }
    client.read_some(0);
  }
  // It still works, and the damaged ones have not left anything behind.
  RawClient client(path);
  client.send("GET /well HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(pump_until(client, "GET /well []"));
  EXPECT_TRUE(pump(client, [&] { return server->connections() == 1; }));
}

}  // namespace
}  // namespace dunlin
