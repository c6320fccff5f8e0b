#include "cli/dial.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "cli/interrupts.h"

namespace dunlin {
namespace {

// Listens on a port of 127.0.0.1.
struct Listening {
  FileDescriptor socket{::socket(AF_INET, SOCK_STREAM, 0)};
  SocketAddress address;

  explicit Listening(int backlog) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&own), size), 0);
    EXPECT_EQ(listen(socket.get(), backlog), 0);
    EXPECT_EQ(getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    address = SocketAddress(reinterpret_cast<const sockaddr*>(&own));
  }
};

// One that the kernel takes no further connection for: whoever dials it hears nothing.
struct Silent : Listening {
  FileDescriptor filling{::socket(AF_INET, SOCK_STREAM, 0)};

  Silent() : Listening(0) {
    EXPECT_EQ(connect(filling.get(), address.raw(), sizeof(sockaddr_in)), 0);
  }
  // Somebody is dialling it.
  bool is_dialled() const {
    std::ifstream table("/proc/net/tcp");
    const std::string text(std::istreambuf_iterator<char>(table), {});
    char place[32];
    std::snprintf(place, sizeof place, "0100007F:%04X 02 ", address.port());
    return text.find(place) != std::string::npos;
  }
};

TEST(Dial, ASilentAddressLeavesTimeForTheNext) {
  const Silent silent;
  const Listening live(8);
  const auto connected =
      connect_to_any({silent.address, live.address}, "host:1", DialPatience(seconds(3)));
  ASSERT_TRUE(connected) << connected.error().message;
  sockaddr_in peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getpeername(connected->get(), reinterpret_cast<sockaddr*>(&peer), &size), 0);
  EXPECT_EQ(ntohs(peer.sin_port), live.address.port());
  const auto none = connect_to_any({silent.address}, "host:1", DialPatience(milliseconds(50)));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kTimeout);
  EXPECT_EQ(none.error().message, "host:1: no answer");
  EXPECT_EQ(connect_to_any({}, "host:1", DialPatience(seconds(3))).error().code,
            Code::kUnreachable);
}

TEST(Dial, AnInterruptEndsItWhateverAddressesAreLeft) {
  const Silent first, second;
  const pid_t child = fork();
  if (child == 0) {
    count_interrupts();
    const auto connected =
        connect_to_any({first.address, second.address}, "host:1", DialPatience(seconds(40)));
    _exit(!connected && connected.error().code == Code::kFailed && !second.is_dialled() ? 0 : 1);
  }
  while (!first.is_dialled() && waitpid(child, nullptr, WNOHANG) == 0) poll(nullptr, 0, 5);
  kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace dunlin
