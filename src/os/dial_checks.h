// Can a peer be reached at its address? Opens a new connection to it, lets it prove who it is, and
// closes it again: neither side counts it among those between members.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/keyring.h"
#include "base/session.h"
#include "base/time.h"
#include "os/connection.h"
#include "os/dial.h"

namespace dunlin {

constexpr std::size_t kMaxDialChecks = 64;  // under way; beyond it a check is passed over
constexpr Duration kDialCheckTimeout = seconds(3);

class DialChecks {
 public:
  using Done = std::function<void(const Result<void>&)>;

  DialChecks(uv_loop_t* loop, const Identity& self, const KeyRing& keys);
  // Only after close(), and a further turn of the loop.
  ~DialChecks();
  DialChecks(const DialChecks&) = delete;
  DialChecks& operator=(const DialChecks&) = delete;

  // `address` is HOST:PORT. One check of a peer at a time: further ones are passed over. `done` is
  // called once, from the loop, unless close() comes before.
  void start(NodeId peer, const PublicKey& key, const std::string& address, Done done);
  void close();

 private:
  struct Check {
    Instant deadline;
    Connection* connection = nullptr;  // none while the name is being looked up
    Done done;
    Error error;  // at the deadline
  };
  void dial(NodeId peer, const PublicKey& key, const SocketAddress& address);
  void end(NodeId peer, const Result<void>& how);
  void end_soon(NodeId peer, const Error& error);
  void tick();

  uv_loop_t* loop_;
  Identity self_;
  JoinKey key_;
  std::unique_ptr<ReadBuffer> buffer_ = std::make_unique<ReadBuffer>();
  std::map<NodeId, Check> checks_;
  uv_timer_t timer_{};
  bool is_closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by name lookups
};

}  // namespace dunlin
