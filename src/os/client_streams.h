// Clients elsewhere: sessions of the transport in client mode, each as a byte stream for whoever
// serves it. A frame is a piece of the stream, wherever it was cut.
#pragma once

#include <map>
#include <memory>

#include "base/session.h"
#include "base/token.h"
#include "os/byte_stream.h"
#include "os/connection.h"

namespace dunlin {

// Limits (Q10).
constexpr std::size_t kMaxClientSessions = 256;
constexpr std::size_t kMaxClientSessionsOfToken = 64;

class ClientStreams {
 public:
  ClientStreams() = default;
  ~ClientStreams() { close(); }
  ClientStreams(const ClientStreams&) = delete;
  ClientStreams& operator=(const ClientStreams&) = delete;

  // Is there room for one more with this token?
  bool has_room(const TokenId& token) const;
  // The session has opened. The stream must be closed before it is destroyed.
  std::unique_ptr<ByteStream> adopt(Connection& connection);

  // What the transport hears of a session that was adopted.
  void on_frame(Connection& connection, const Bytes& frame);
  void on_room(Connection& connection);
  void on_end(Connection& connection);
  // Ends all of them.
  void close();

 private:
  class Stream;
  std::map<Connection*, Stream*> streams_;
};

}  // namespace dunlin
