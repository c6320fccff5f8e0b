// One TCP connection with a Session on it: moves bytes between the socket and the session.
//
// A connection belongs to the loop: it is made by accept() or dial() and deletes itself after
// close(), once libuv lets go of it. Nothing is called after close(); on_end comes at most once,
// is the last call, and means that the connection is closing already. Callbacks may do anything,
// close() included.
#pragma once

#include <uv.h>

#include <array>
#include <functional>
#include <optional>

#include "base/session.h"
#include "os/address.h"

namespace dunlin {

// Shared by all connections of a loop: what was read is used up before the next read.
using ReadBuffer = std::array<char, 64 * 1024>;

// A host that vanishes without a word is noticed after this while something is unacknowledged,
// and after about three times kKeepalive otherwise.
constexpr Duration kUserTimeout = seconds(10);
constexpr Duration kKeepalive = seconds(15);
// What is sealed and handed to the kernel at once.
constexpr std::size_t kWriteSize = 128 * 1024;

class Connection {
 public:
  struct Events {
    // Listener: the peer has proved who it is. May it come in?
    std::function<Verdict(Connection&)> admit;
    std::function<void(Connection&)> on_open;
    std::function<void(Connection&, Bytes)> on_frame;
    // Room for more frames: call send() with them, if there are any. May be empty.
    std::function<void(Connection&)> refill;
    std::function<void(Connection&, const Error&)> on_end;
  };

  // Nothing when there was none after all, or no room for another descriptor.
  static Connection* accept(uv_stream_t* listener, Session session, ReadBuffer& buffer,
                            Events events);
  // `from` is the local address to use, if that matters. Errors that come later come by on_end.
  static Result<Connection*> dial(uv_loop_t* loop, const SocketAddress& to,
                                  const std::optional<SocketAddress>& from, Session session,
                                  ReadBuffer& buffer, Events events);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Queued; leaves with the next flush().
  void send(Bytes frame) { session_.send(std::move(frame)); }
  void flush();
  // Ends once all that is queued has been given to the kernel; on_end comes then, perhaps from
  // within this call.
  void finish();
  void close();
  // Likewise, or it is closing already; `closed` is called when this is gone.
  void close(std::function<void()> closed);
  // False: the other end is left to wait, and is not noticed to go.
  void set_reading(bool is_wanted);
  // Bytes given to send() that the kernel has not taken.
  std::size_t unsent() const {
    return session_.queued_bytes() + (is_writing_ ? writing_.size() : 0);
  }

  const Session& session() const { return session_; }
  const SessionPeer& peer() const { return session_.peer(); }
  bool is_open() const { return is_open_ && !is_closing_; }
  bool has_opened() const { return is_open_; }
  bool is_closing() const { return is_closing_; }
  const SocketAddress& remote() const { return remote_; }

 private:
  Connection(Session session, ReadBuffer& buffer, Events events);
  ~Connection() = default;
  void start();
  void on_read(ssize_t size);
  bool deliver(std::vector<Bytes> frames);
  void end(const Error& error);
  void end(const std::string& what, int status);

  Session session_;
  ReadBuffer& buffer_;
  Events events_;
  SocketAddress remote_;
  uv_tcp_t tcp_{};
  uv_connect_t connecting_{};
  uv_write_t write_{};
  Bytes writing_;
  bool is_reading_ = false;
  bool is_writing_ = false;
  bool is_connected_ = false;
  bool is_open_ = false;
  bool is_finishing_ = false;
  bool is_closing_ = false;
  std::function<void()> closed_;
};

}  // namespace dunlin
