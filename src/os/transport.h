// Sealed datagrams and streams between the members of a cluster, on one libuv loop: TCP and UDP on
// one IP:PORT. It admits holders of the cluster's key whom its owner admits, takes one request from
// holders of a join token, and a stream of bytes from holders of a user's token. Strangers get
// nothing but refusals of a few bytes.
//
// It delivers at most once, in order per connection, and promises nothing: what a broken
// connection or a full queue loses is for the protocols above to send again.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/datagram.h"
#include "base/effects.h"
#include "base/token.h"
#include "os/bound_sockets.h"
#include "os/client_streams.h"
#include "os/peer_links.h"
#include "os/trouble_news.h"

namespace dunlin {

// Connections that have not proved a key. At the first limit the oldest gives way, since honest
// ones need milliseconds; at the second, the newcomer.
constexpr std::size_t kMaxUnauthenticated = 256;
constexpr std::size_t kMaxUnauthenticatedPerAddress = 64;
// Connections in join mode, and how long each may take in all: an admission is a commit.
constexpr std::size_t kMaxJoins = 64;
constexpr Duration kJoinTimeout = seconds(30);
// Lines for the log about strangers and failed dials.
constexpr int kMaxTroublePerSecond = 5;
constexpr Duration kTroubleAgain = seconds(60);  // until one that stays is told again
constexpr int kListenBacklog = 512;

using JoinId = std::uint64_t;

struct JoinRequest {
  JoinId id = 0;
  TokenId token;
  NodeId node;  // who has proved this key
  PublicKey key;
  Boot boot = 0;
  std::string address;  // where the connection comes from
  Bytes request;
};

class Transport {
 public:
  struct Callbacks {
    std::function<void(NodeId from, Channel, Bytes frame)> on_frame;
    // An established connection broke, or nobody listens where the peer should: a reason to
    // suspect it, no more.
    std::function<void(NodeId)> on_peer_reset;
    // To be answered by reply_join, within kJoinTimeout.
    std::function<void(JoinRequest)> on_join;
    // For the log; may be empty.
    std::function<void(const std::string& address, const Error&)> on_trouble;
    // A peer knows a later life of this node: it is a restored copy or has a twin. May be empty.
    std::function<void()> on_newer_self;
    // A peer says that the cluster admits this node no more: its id is retired. May be empty.
    std::function<void()> on_shut_out;
    // Asked for every connection and datagram.
    std::function<bool(NodeId, const PublicKey&)> is_admitted;
    // JoinToken::psk of a token that the cluster knows.
    std::function<std::optional<Key32>(const TokenId&)> token_psk;
    // Of a client that has proved this token. Empty: none is admitted.
    std::function<Verdict(const TokenId&)> admit_client;
    // One that was: its bytes from now on. Not empty where admit_client is not.
    std::function<void(std::unique_ptr<ByteStream>, const TokenId&)> on_client;
  };
  struct Counters {
    std::uint64_t frames_dropped = 0;     // for want of room, or of a peer
    std::uint64_t datagrams_refused = 0;  // forged, repeated, from strangers
    std::uint64_t connections_refused = 0;
  };

  Transport(uv_loop_t* loop, const Identity& self, Callbacks callbacks);
  // Only after close() has called back.
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Port 0 takes any that is free for both TCP and UDP. Once. Gives the address in use.
  Result<SocketAddress> listen(const SocketAddress& address);
  Result<SocketAddress> listen(BoundSockets sockets);

  void set_keys(const KeyRing& keys);
  // `address` is HOST:PORT; `boot` what is known of the peer's, 0: nothing.
  void set_peer(NodeId id, const PublicKey& key, const std::string& address, Boot boot);
  // Closes what is open to it; what was not admitted any more must be forgotten.
  void forget_peer(NodeId id);

  // Not to the node itself. Streams are dialled as needed. Too large frames are dropped, counted.
  void send(NodeId to, Channel channel, Bytes frame);
  // The joiner may be gone: then nothing happens. At most kMaxJoinFrame bytes.
  void reply_join(JoinId id, Bytes reply);

  bool is_connected(NodeId id) const { return links_.is_connected(id); }
  Counters counters() const;
  // Ends all connections, then calls `done` from the loop; after that this may be destroyed.
  void close(std::function<void()> done);

 private:
  struct Handshake {
    Connection* connection;
    Instant deadline;
  };
  struct Join {
    Connection* connection;
    Instant deadline;
    bool has_asked = false;
  };

  void on_connection(int status);
  bool make_room_for(const SocketAddress& remote);
  Connection::Events inbound_events();
  std::optional<Key32> psk_of(SessionMode mode, const KeyName& name) const;
  Verdict admit(Connection& connection);
  void on_inbound_open(Connection& connection);
  void on_inbound_frame(Connection& connection, Bytes frame);
  void on_inbound_end(Connection& connection, const Error& error);
  void forget_handshake(const Connection& connection);
  void on_packet(ByteView packet, const SocketAddress& from);
  void send_packet(const Bytes& packet, const SocketAddress& to);
  void trouble(const std::string& address, const Error& error);
  void on_newer_self();
  void on_turn();
  void on_timer();
  void arm_timer();

  uv_loop_t* loop_;
  Identity self_;
  Callbacks callbacks_;
  std::unique_ptr<ReadBuffer> buffer_;
  KeyRing keys_;
  PeerLinks links_;
  Datagrams datagrams_;
  std::list<Handshake> handshakes_;  // oldest first
  std::map<JoinId, Join> joins_;
  JoinId next_join_ = 1;
  ClientStreams clients_;
  Counters counters_;
  TroubleNews troubles_{kTroubleAgain};
  Instant trouble_since_;
  int trouble_count_ = 0;

  uv_tcp_t listener_{};
  uv_udp_t udp_{};
  uv_timer_t timer_{};
  uv_prepare_t turn_{};
  Instant armed_for_ = Instant::never();
  bool is_closing_ = false;
  int open_handles_ = 0;
  std::function<void()> on_closed_;
};

}  // namespace dunlin
