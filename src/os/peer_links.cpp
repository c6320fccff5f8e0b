#include "os/peer_links.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "os/chance.h"
#include "os/clock.h"

namespace dunlin {

namespace {

bool is_number(const std::string& address) {
  const Result<HostPort> place = parse_host_port(address);
  return place && SocketAddress::from_ip(place->host, place->port);
}

}  // namespace

PeerLinks::PeerLinks(uv_loop_t* loop, const Identity& self, ReadBuffer& buffer, Events events)
    : loop_(loop),
      self_(self),
      buffer_(buffer),
      events_(std::move(events)),
      random_(random_seed()) {}

// ---- the address book --------------------------------------------------------------------------

PeerLinks::Peer* PeerLinks::find(NodeId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

void PeerLinks::set_peer(NodeId id, const PublicKey& key, const std::string& address) {
  ASSERT(node_id_of(key) == id);
  Peer& peer = peers_[id];
  peer.key = key;
  if (peer.address_text == address) return;
  peer.address_text = address;
  peer.address.reset();
  peer.failures = 0;
  peer.next_dial = {};
  if (peer.outbound != nullptr && !peer.outbound->is_open()) {
    std::exchange(peer.outbound, nullptr)->close();
    pending_.erase(id);
  }
  const Result<HostPort> place = parse_host_port(address);
  if (place) peer.address = SocketAddress::from_ip(place->host, place->port);
  peer.must_resolve = place && !peer.address;
  if (peer.must_resolve) resolve_name(id, peer);
  dirty_.insert(id);
}

// Names are asked for at first and again after each failed dial.
void PeerLinks::resolve_name(NodeId id, Peer& peer) {
  if (peer.is_resolving) return;
  const std::weak_ptr<bool> alive = alive_;
  const std::string name = peer.address_text;
  auto done = [this, alive, id, name](Result<std::vector<SocketAddress>> found) {
    if (alive.expired()) return;
    Peer* waiting = find(id);
    if (waiting == nullptr) return;
    waiting->is_resolving = false;
    if (waiting->address_text != name) return;
    if (!found) {
      on_dial_failed(id, *waiting, monotonic_now(), found.error());
      return;
    }
    waiting->address = found->front();
    waiting->must_resolve = false;
    dirty_.insert(id);
  };
  peer.is_resolving = resolve(loop_, *parse_host_port(name), std::move(done)).has_value();
}

void PeerLinks::forget(NodeId id) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  if (peer->outbound != nullptr) peer->outbound->close();
  if (peer->inbound != nullptr) peer->inbound->close();
  peers_.erase(id);
  dirty_.erase(id);
  pending_.erase(id);
}

void PeerLinks::close() {
  alive_.reset();
  while (!peers_.empty()) {
    const NodeId id = peers_.begin()->first;
    forget(id);
  }
}

const PublicKey* PeerLinks::key_of(NodeId id) const {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second.key;
}

std::optional<SocketAddress> PeerLinks::address_of(NodeId id) {
  Peer* peer = find(id);
  if (peer == nullptr) return std::nullopt;
  if (!peer->address && peer->must_resolve && monotonic_now() >= peer->next_dial) {
    resolve_name(id, *peer);
  }
  return peer->address;
}

bool PeerLinks::is_connected(NodeId id) const {
  const auto found = peers_.find(id);
  return found != peers_.end() && open_connection(found->second) != nullptr;
}

// ---- sending -----------------------------------------------------------------------------------

Connection* PeerLinks::open_connection(const Peer& peer) {
  if (peer.outbound != nullptr && peer.outbound->is_open()) return peer.outbound;
  return peer.inbound;
}

bool PeerLinks::send(NodeId id, Bytes frame) {
  ASSERT(frame.size() <= kMaxFrame);
  Peer* peer = find(id);
  if (peer == nullptr) {
    ++dropped_;
    return false;
  }
  const std::uint64_t dropped_before = dropped_;
  peer->queued_bytes += frame.size();
  peer->queue.push_back({monotonic_now(), std::move(frame)});
  while (peer->queued_bytes > kMaxQueuedBytes) drop_front(*peer);
  dirty_.insert(id);
  return dropped_ == dropped_before;
}

void PeerLinks::drop_front(Peer& peer) {
  peer.queued_bytes -= peer.queue.front().frame.size();
  peer.queue.pop_front();
  ++dropped_;
}

void PeerLinks::flush() {
  const Instant now = monotonic_now();
  for (const NodeId id : std::exchange(dirty_, {})) {
    Peer* peer = find(id);
    if (peer == nullptr) continue;
    if (Connection* connection = open_connection(*peer)) {
      connection->flush();
    } else {
      want(id, *peer, now);
    }
  }
}

void PeerLinks::refill(Connection& connection) {
  Peer* peer = find(connection.peer().id);
  if (peer == nullptr || open_connection(*peer) != &connection) return;
  while (!peer->queue.empty() && connection.session().queued_bytes() < kMaxInSession) {
    Bytes frame = std::move(peer->queue.front().frame);
    peer->queued_bytes -= frame.size();
    peer->queue.pop_front();
    connection.send(std::move(frame));
  }
}

// ---- dialling ----------------------------------------------------------------------------------

// Something may wait for the peer, and no connection is open: dial now, or note when.
void PeerLinks::want(NodeId id, Peer& peer, Instant now) {
  if (peer.outbound != nullptr || peer.inbound != nullptr || peer.queue.empty()) return;
  if (peer.is_resolving) return;  // the answer brings it back
  if (now < peer.next_dial || keys_.keys.empty()) {
    peer.next_dial = std::max(peer.next_dial, now + kMinBackoff);
    pending_.insert(id);
  } else if (peer.must_resolve) {
    resolve_name(id, peer);
  } else if (peer.address) {
    dial(id, peer, now);
  }
}

void PeerLinks::dial(NodeId id, Peer& peer, Instant now) {
  const auto& [epoch, cluster_key] = keys_.keys[peer.key_choice % keys_.keys.size()];
  const Session::Target target{SessionMode::kMember, key_name_of_epoch(epoch),
                               member_psk(cluster_key), peer.key};
  std::optional<SocketAddress> from;
  if (local_ && !local_->is_wildcard() && local_->family() == peer.address->family() &&
      local_->is_loopback() == peer.address->is_loopback()) {
    from = local_;
  }
  const Result<Connection*> dialled =
      Connection::dial(loop_, *peer.address, from, Session::dial(self_, target, secret_key()),
                       buffer_, outbound_events(id));
  if (!dialled) {
    on_dial_failed(id, peer, now, dialled.error());
    return;
  }
  peer.outbound = *dialled;
  peer.dial_deadline = now + kHandshakeTimeout;
  pending_.insert(id);
}

Connection::Events PeerLinks::outbound_events(NodeId id) {
  Connection::Events events;
  events.on_open = [this, id](Connection& connection) { on_outbound_open(id, connection); };
  events.on_frame = [this, id](Connection&, Bytes frame) {
    events_.on_frame(id, std::move(frame));
  };
  events.refill = [this](Connection& connection) { refill(connection); };
  events.on_end = [this, id](Connection& connection, const Error& error) {
    on_outbound_end(id, connection, error);
  };
  return events;
}

void PeerLinks::on_outbound_open(NodeId id, Connection& connection) {
  Peer* peer = find(id);
  ASSERT(peer != nullptr && peer->outbound == &connection);
  const Boot boot = connection.peer().boot;
  if (!events_.on_boot(id, boot)) {
    std::exchange(peer->outbound, nullptr)->close();
    on_dial_failed(
        id, *peer, monotonic_now(),
        Error{Code::kConflict, "an earlier life of the node answers: a restored copy?", ""});
    return;
  }
  peer->failures = 0;
  peer->dial_deadline = Instant::never();
  pending_.erase(id);
  events_.on_connected(peer->address_text);
  if (drop_if_older(peer->inbound, boot)) events_.on_reset(id);
}

void PeerLinks::on_outbound_end(NodeId id, Connection& connection, const Error& error) {
  Peer* peer = find(id);
  ASSERT(peer != nullptr && peer->outbound == &connection);
  peer->outbound = nullptr;
  const Instant now = monotonic_now();
  if (peer->dial_deadline != Instant::never()) {
    if (error.code == Code::kRefused) ++peer->key_choice;  // perhaps it holds the other key only
    const bool is_outlived = connection.session().is_outlived();
    const bool is_shut_out = connection.session().is_shut_out();
    on_dial_failed(id, *peer, now, error);
    if (is_outlived) events_.on_newer_self();
    if (is_shut_out) events_.on_shut_out();
    return;
  }
  // Something that breaks as soon as it opens must not make a busy loop.
  peer->next_dial = now + random_.between(kMinBackoff, kMinBackoff * 2);
  want(id, *peer, now);
  events_.on_reset(id);
}

void PeerLinks::on_dial_failed(NodeId id, Peer& peer, Instant now, const Error& error) {
  peer.dial_deadline = Instant::never();
  pending_.erase(id);
  Duration backoff = kMaxBackoff;
  if (peer.failures < 6) backoff = std::min(kMaxBackoff, kMinBackoff * (1 << peer.failures));
  ++peer.failures;
  peer.next_dial = now + random_.between(backoff / 2, backoff);
  while (!peer.queue.empty() && now - peer.queue.front().at > kMaxQueueAge) drop_front(peer);
  peer.must_resolve = peer.must_resolve || !is_number(peer.address_text);
  if (!peer.queue.empty() && peer.inbound == nullptr) pending_.insert(id);

  const std::string address = peer.address_text;
  events_.on_trouble(address, error);
  // An end that answers, however rudely, is alive; silence is for the failure detector to judge.
  if (error.code == Code::kUnreachable) events_.on_reset(id);
}

// ---- connections that the peer dialled ---------------------------------------------------------

bool PeerLinks::drop_if_older(Connection*& connection, Boot boot) {
  if (connection == nullptr || !connection->is_open() || connection->peer().boot >= boot) {
    return false;
  }
  std::exchange(connection, nullptr)->close();
  return true;
}

void PeerLinks::adopt(Connection& inbound) {
  const NodeId id = inbound.peer().id;
  const Boot boot = inbound.peer().boot;
  Peer& peer = peers_.at(id);
  bool was_older = drop_if_older(peer.outbound, boot);
  if (peer.inbound != nullptr) {
    was_older = was_older || peer.inbound->peer().boot < boot;
    peer.inbound->close();
  }
  peer.inbound = &inbound;
  peer.failures = 0;
  peer.next_dial = {};
  dirty_.insert(id);  // what waited may go this way
  events_.on_connected(peer.address_text);
  if (was_older) events_.on_reset(id);
}

void PeerLinks::on_inbound_end(Connection& inbound) {
  const NodeId id = inbound.peer().id;
  Peer* peer = find(id);
  if (peer == nullptr || peer->inbound != &inbound) return;
  peer->inbound = nullptr;
  dirty_.insert(id);
  events_.on_reset(id);
}

// ---- time --------------------------------------------------------------------------------------

Instant PeerLinks::next_deadline() const {
  Instant next = Instant::never();
  for (const NodeId id : pending_) {
    const Peer& peer = peers_.at(id);
    next = std::min(next, peer.outbound != nullptr ? peer.dial_deadline : peer.next_dial);
  }
  return next;
}

void PeerLinks::tick(Instant now) {
  for (const NodeId id : std::set<NodeId>(pending_)) {
    Peer* peer = find(id);
    if (peer == nullptr) continue;
    if (peer->outbound == nullptr) {
      if (now < peer->next_dial) continue;
      pending_.erase(id);
      want(id, *peer, now);
    } else if (now >= peer->dial_deadline) {
      std::exchange(peer->outbound, nullptr)->close();
      on_dial_failed(id, *peer, now, Error{Code::kTimeout, "no handshake in time", ""});
    }
  }
}

}  // namespace dunlin
