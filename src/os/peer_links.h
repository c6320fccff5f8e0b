// The streams to the members of the cluster: for each a bounded queue of frames, a connection that
// is dialled when there is something to send, and the backoff between attempts. A connection that
// the peer has dialled serves as well.
#pragma once

#include <uv.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/keyring.h"
#include "base/random.h"
#include "base/session.h"
#include "base/time.h"
#include "os/address.h"
#include "os/connection.h"

namespace dunlin {

// Over it the oldest frames are dropped and counted.
constexpr std::size_t kMaxQueuedBytes = 12 * 1024 * 1024;
// Frames that waited longer than this for a connection are dropped when an attempt fails.
constexpr Duration kMaxQueueAge = seconds(5);
// Frames given to a connection beyond what the kernel has taken: only they are lost with it.
constexpr std::size_t kMaxInSession = 256 * 1024;
constexpr Duration kMinBackoff = milliseconds(50);
constexpr Duration kMaxBackoff = seconds(2);
constexpr Duration kHandshakeTimeout = seconds(5);

class PeerLinks {
 public:
  struct Events {
    std::function<void(NodeId, Bytes)> on_frame;
    // An established connection broke, or nobody listens where the peer should.
    std::function<void(NodeId)> on_reset;
    // The peer has shown this boot in a handshake. False when a later one is known.
    std::function<bool(NodeId, Boot)> on_boot;
    // A peer knows a later life of this node.
    std::function<void()> on_newer_self;
    // A peer says that the cluster admits this node no more.
    std::function<void()> on_shut_out;
    // A dial failed; `address` is where to.
    std::function<void(const std::string& address, const Error&)> on_trouble;
    // The peer there is connected: what was wrong is so no more.
    std::function<void(const std::string& address)> on_connected;
  };

  PeerLinks(uv_loop_t* loop, const Identity& self, ReadBuffer& buffer, Events events);

  void set_keys(const KeyRing& keys) { keys_ = keys; }
  // Dials come from this address where that is possible.
  void set_local(const SocketAddress& local) { local_ = local; }
  // `address` is HOST:PORT. A changed one is used from the next dial on.
  void set_peer(NodeId id, const PublicKey& key, const std::string& address);
  // Its address is not known; it may connect.
  void add_peer(NodeId id, const PublicKey& key) { peers_[id].key = key; }
  void forget(NodeId id);
  // An inbound connection of this member has opened; its boot is the peer's latest.
  void adopt(Connection& inbound);
  // What adopt() took has room for frames, or has ended.
  void refill(Connection& connection);
  void on_inbound_end(Connection& inbound);

  // False when the peer is unknown, or the queue was so full that frames were dropped.
  bool send(NodeId id, Bytes frame);
  const PublicKey* key_of(NodeId id) const;
  // Where datagrams to it go; nothing while its name is not resolved (which this call begins).
  std::optional<SocketAddress> address_of(NodeId id);
  bool is_connected(NodeId id) const;
  std::uint64_t dropped() const { return dropped_; }

  // Writes what this turn of the loop has queued, each connection's in one go.
  void flush();
  Instant next_deadline() const;
  void tick(Instant now);
  void close();

 private:
  struct Queued {
    Instant at;
    Bytes frame;
  };
  struct Peer {
    PublicKey key;
    std::string address_text;
    std::optional<SocketAddress> address;
    bool must_resolve = false;  // the address is a name, and not known or in doubt
    bool is_resolving = false;
    Connection* outbound = nullptr;  // being dialled, or open
    Connection* inbound = nullptr;   // open
    std::deque<Queued> queue;
    std::size_t queued_bytes = 0;
    int failures = 0;
    std::size_t key_choice = 0;  // which key of the ring to prove
    Instant next_dial;
    Instant dial_deadline = Instant::never();
  };

  Peer* find(NodeId id);
  static Connection* open_connection(const Peer& peer);
  void resolve_name(NodeId id, Peer& peer);
  void want(NodeId id, Peer& peer, Instant now);
  void dial(NodeId id, Peer& peer, Instant now);
  Connection::Events outbound_events(NodeId id);
  void on_outbound_open(NodeId id, Connection& connection);
  void on_outbound_end(NodeId id, Connection& connection, const Error& error);
  void on_dial_failed(NodeId id, Peer& peer, Instant now, const Error& error);
  void drop_front(Peer& peer);
  // A connection to an earlier life of the peer is dead, though the socket may not know it yet.
  bool drop_if_older(Connection*& connection, Boot boot);

  uv_loop_t* loop_;
  Identity self_;
  ReadBuffer& buffer_;
  Events events_;
  KeyRing keys_;
  std::optional<SocketAddress> local_;
  Random random_;
  std::map<NodeId, Peer> peers_;
  std::set<NodeId> dirty_;    // have frames that this turn queued
  std::set<NodeId> pending_;  // have a deadline: dialling, or waiting to dial again
  std::uint64_t dropped_ = 0;
  // Outlives no callback of the name service.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dunlin
