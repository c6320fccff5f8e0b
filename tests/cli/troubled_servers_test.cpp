// What commands make of servers that turn them away, say nothing, or are not there.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "base/session.h"
#include "base/token.h"
#include "cli/shell.h"
#include "os/file_descriptor.h"

namespace dunlin {
namespace {

// Hands each connection to `serve`, in a thread of its own, and closes it then.
class OddServer {
 public:
  using Serve = std::function<void(int connection)>;

  // On a port of 127.0.0.1.
  explicit OddServer(Serve serve) : serve_(std::move(serve)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_at(AF_INET, own);
    socklen_t size = sizeof own;
    EXPECT_EQ(getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    address = "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }
  OddServer(const std::string& path, Serve serve) : address(path), serve_(std::move(serve)) {
    sockaddr_un own{};
    own.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), own.sun_path);
    listen_at(AF_UNIX, own);
  }
  ~OddServer() {
    shutdown(listening_.get(), SHUT_RDWR);
    thread_.join();
  }
  OddServer(const OddServer&) = delete;
  OddServer& operator=(const OddServer&) = delete;

  std::string address;

 private:
  template <class Address>
  void listen_at(int family, const Address& own) {
    listening_ = FileDescriptor(socket(family, SOCK_STREAM, 0));
    EXPECT_EQ(bind(listening_.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own), 0);
    EXPECT_EQ(listen(listening_.get(), 8), 0);
    thread_ = std::thread([this] {
      while (true) {
        const FileDescriptor taken(accept(listening_.get(), nullptr, nullptr));
        if (!taken.is_open()) return;
        serve_(taken.get());
      }
    });
  }

  Serve serve_;
  FileDescriptor listening_;
  std::thread thread_;
};

std::string some_bytes(int connection) {
  std::string bytes(4096, '\0');
  const ssize_t count = recv(connection, bytes.data(), bytes.size(), 0);
  bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return bytes;
}

void say(int connection, std::string_view bytes) {
  EXPECT_EQ(send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
}

void until_it_is_closed(int connection) {
  while (!some_bytes(connection).empty()) {
  }
}

class TroubledServers : public Shell {
 protected:
  TroubledServers() {
    token.cluster.raw[0] = 7;
    token.id.raw[0] = 1;
    token.secret[0] = 9;
    environment["DUNLIN_TOKEN"] = token.text();
  }
  // Knows the token, and has no place for its bearer.
  void turn_away(int connection) const {
    Key32 own{}, passing{};
    own[0] = 1;
    passing[0] = 2;
    const Identity self{key_pair_from_seed(own), 1, token.cluster};
    Session session = Session::listen(
        self, [this](SessionMode, const KeyName&) { return client_psk(token.psk()); }, passing);
    while (session.phase() != Session::Phase::kClosed) {
      std::vector<Bytes> frames;
      ASSERT_TRUE(session.receive(to_bytes(some_bytes(connection)), frames));
      if (session.phase() == Session::Phase::kDeciding) session.decide(Verdict::kBusy);
      while (session.has_output()) say(connection, to_text(session.take_output(4096)));
    }
  }

  JoinToken token;
};

TEST_F(TroubledServers, OneThatTakesConnectionsAndSaysNothingIsPassedOver) {
  const OddServer stopped(files / "stopped.sock", until_it_is_closed);
  environment["DUNLIN_SERVER"] = stopped.address + "," + server.socket;
  EXPECT_EQ(run({"jobs"}).code, 0);
}

TEST_F(TroubledServers, OneThatIsStuckIsGivenUpBySlowQuestionsTooAndIsNotToBeStarted) {
  const OddServer stopped(files / "stopped.sock", until_it_is_closed);
  environment["DUNLIN_SERVER"] = stopped.address;
  const Ran ran = run({"jobs"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.err, "dunlin: no node answers at " + stopped.address +
                         ": no sign of life for 15 s; it runs, but does not answer: see dunlin "
                         "doctor, or name another --server\n");
}

TEST_F(TroubledServers, OneThatIsStuckIsNotWaitedForLongerThanWasSaid) {
  const std::string id = submit({"hang"});
  const OddServer stopped(files / "stopped.sock", until_it_is_closed);
  environment["DUNLIN_SERVER"] = stopped.address;
  const Ran ran = run({"wait", "--timeout", "1s", id});
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("in time: " + id + ": no node answers at " + stopped.address +
                         ": no sign of life for 1 s; "),
            std::string::npos)
      << ran.err;
}

TEST_F(TroubledServers, OneThatIsStuckAmidClientsThatWaitIsNotTakenToBeDown) {
  const OddServer stopped(files / "stopped.sock", until_it_is_closed);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(stopped.address.begin(), stopped.address.end(), address.sun_path);
  std::vector<FileDescriptor> waiting;
  int failed = 0;
  while (failed == 0 && waiting.size() < 100) {
    FileDescriptor& one = waiting.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    if (connect(one.get(), name, sizeof address) != 0) failed = errno;
  }
  ASSERT_EQ(failed, EAGAIN);
  environment["DUNLIN_SERVER"] = stopped.address;
  const Ran ran = run({"jobs"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.err.find("it runs, but does not answer"), std::string::npos) << ran.err;
  EXPECT_EQ(ran.err.find("dunlin up"), std::string::npos) << ran.err;
}

TEST_F(TroubledServers, OneThatSpeaksAnotherProtocolIsPassedOver) {
  const OddServer other([](int connection) {
    some_bytes(connection);
    say(connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  environment["DUNLIN_SERVER"] = other.address;
  const Ran alone = run({"jobs"});
  EXPECT_EQ(alone.code, 1);
  EXPECT_NE(alone.err.find("does not speak dunlin's protocol"), std::string::npos) << alone.err;
  environment["DUNLIN_SERVER"] += "," + server.socket;
  const Ran ran = run({"jobs"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(TroubledServers, OneThatHasTooManyClientsIsPassedOver) {
  initialise_crypto();
  const OddServer full([this](int connection) { turn_away(connection); });
  environment["DUNLIN_SERVER"] = full.address + "," + (files / "none.sock");
  // Why it turns away is worth more than that nobody else is there.
  const Ran alone = run({"jobs"});
  EXPECT_EQ(alone.code, 5);
  EXPECT_NE(alone.err.find("too many such connections"), std::string::npos) << alone.err;
  environment["DUNLIN_SERVER"] = full.address + "," + server.socket;
  const Ran ran = run({"jobs"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(TroubledServers, OneThatBreaksOffBeforeItsAnswerIsNamed) {
  const OddServer killed(files / "killed.sock", some_bytes);
  environment["DUNLIN_SERVER"] = killed.address;
  const Ran ran = run({"status"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.err, "dunlin: no node answers at " + killed.address +
                         ": it broke off before it had answered: the connection ended; start one "
                         "with: dunlin up\n");
}

TEST_F(TroubledServers, OneThatIsStuckWhileItObeysIsNoticed) {
  const OddServer stuck(files / "stuck.sock", [](int connection) {
    some_bytes(connection);
    say(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    until_it_is_closed(connection);
  });
  environment["DUNLIN_SERVER"] = stuck.address;
  const Ran ran = run({"leave"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.err.find("no sign of life"), std::string::npos) << ran.err;
}

TEST_F(TroubledServers, ThatNoneAnswersIsSaidOnceForAllJobs) {
  environment["DUNLIN_SERVER"] = files / "none.sock";
  const Ran ran = run({"wait", "--timeout", "0", "abcdefghij", "bcdefghijk", "cdefghijkl"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
}

}  // namespace
}  // namespace dunlin
