// Asking a cluster to be let in, before there is a node: connects to one of several servers, proves
// a join token, sends one request and gives back the one reply. Goes once through the list; who
// wants to keep trying starts another.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/keyring.h"
#include "base/session.h"
#include "base/time.h"
#include "base/token.h"
#include "os/address.h"
#include "os/connection.h"

namespace dunlin {

// From the first packet to the sealed request, for each address.
constexpr Duration kDialTimeout = seconds(5);
// From the request to the reply: the cluster commits the admission meanwhile.
constexpr Duration kReplyTimeout = seconds(30);

// What the session with a server proves: a join token, or the cluster's own key for a node that
// asks to succeed its former self.
struct JoinKey {
  ClusterId cluster;
  KeyName name;
  Key32 psk{};

  static JoinKey of_token(const JoinToken& token);
  static JoinKey of_cluster(const ClusterId& cluster, const KeyRing& ring);
  // A session with whoever answers, or with the owner of `peer` alone.
  Session::Target target(const std::optional<PublicKey>& peer = std::nullopt) const;
};

class JoinDial {
 public:
  struct Reply {
    Bytes bytes;
    SessionPeer from;
    SocketAddress address;  // where it was reached
  };
  struct Callbacks {
    // One server, or one of its addresses, did not do; the next one is tried.
    std::function<void(const std::string& server, const Error&)> on_attempt_failed;
    // Once, from the loop, unless close() comes before. The error is the last attempt's that says
    // more than "unreachable", if there is one.
    std::function<void(Result<Reply>)> on_done;
  };

  // `self.cluster` is not looked at: the key says which cluster is meant.
  JoinDial(uv_loop_t* loop, const Identity& self, const JoinKey& key, Bytes request,
           Callbacks callbacks);
  JoinDial(const JoinDial&) = delete;
  JoinDial& operator=(const JoinDial&) = delete;
  // Only after close() has called back.
  ~JoinDial();

  // Each HOST:PORT. Once.
  void start(std::vector<std::string> servers);
  void close(std::function<void()> done);

 private:
  void next();
  void next_address();
  void on_open();
  void on_reply(Bytes reply);
  void on_failed(const Error& error);
  void finish(Result<Reply> result);
  void set_timer(Duration wait, void (JoinDial::*then)());
  void on_timeout();

  uv_loop_t* loop_;
  Identity self_;
  JoinKey key_;
  Bytes request_;
  Callbacks callbacks_;
  std::unique_ptr<ReadBuffer> buffer_;
  std::vector<std::string> servers_;      // still to be tried, the next one last
  std::string server_;                    // being tried
  std::vector<SocketAddress> addresses_;  // of it, still to be tried, the next one last
  Connection* connection_ = nullptr;
  Error last_error_;
  uv_timer_t timer_{};
  void (JoinDial::*on_timer_)() = nullptr;
  bool is_done_ = false;
  bool is_closed_ = false;
  std::function<void()> on_closed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by name lookups
};

}  // namespace dunlin
