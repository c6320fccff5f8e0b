#include "os/transport.h"

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "os/chance.h"
#include "os/clock.h"

namespace dunlin {

namespace {

template <class Handle>
uv_handle_t* as_handle(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

}  // namespace

Transport::Transport(uv_loop_t* loop, const Identity& self, Callbacks callbacks)
    : loop_(loop),
      self_(self),
      callbacks_(std::move(callbacks)),
      buffer_(std::make_unique<ReadBuffer>()),
      links_(loop, self, *buffer_,
             {[this](NodeId from, Bytes frame) {
                callbacks_.on_frame(from, Channel::kStream, std::move(frame));
              },
              [this](NodeId id) { callbacks_.on_peer_reset(id); },
              [this](NodeId id, Boot boot) { return datagrams_.prove_boot(id, boot); },
              [this] { on_newer_self(); },
              [this] {
                if (callbacks_.on_shut_out) callbacks_.on_shut_out();
              },
              [this](const std::string& address, const Error& error) { trouble(address, error); },
              [this](const std::string& address) { troubles_.forget(address); }}),
      datagrams_(self, [this](NodeId id) -> std::optional<PublicKey> {
        const PublicKey* key = links_.key_of(id);
        if (key == nullptr || !callbacks_.is_admitted(id, *key)) return std::nullopt;
        return *key;
      }) {
  uv_timer_init(loop_, &timer_);
  uv_prepare_init(loop_, &turn_);
  timer_.data = turn_.data = listener_.data = udp_.data = this;
  open_handles_ = 2;
  uv_prepare_start(&turn_,
                   [](uv_prepare_t* handle) { static_cast<Transport*>(handle->data)->on_turn(); });
}

Transport::~Transport() {
  ASSERT(open_handles_ == 0);
}

// ---- listening ---------------------------------------------------------------------------------

Result<SocketAddress> Transport::listen(const SocketAddress& address) {
  Result<BoundSockets> bound = bind_sockets(address);
  if (!bound) return tl::unexpected(bound.error());
  return listen(std::move(*bound));
}

Result<SocketAddress> Transport::listen(BoundSockets sockets) {
  ASSERT(open_handles_ == 2);
  uv_tcp_init(loop_, &listener_);
  uv_udp_init(loop_, &udp_);
  open_handles_ += 2;
  ASSERT(uv_tcp_open(&listener_, sockets.tcp.release()) == 0);
  ASSERT(uv_udp_open(&udp_, sockets.udp.release()) == 0);
  links_.set_local(sockets.address);

  const int listening = uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), kListenBacklog,
                                  [](uv_stream_t* stream, int status) {
                                    static_cast<Transport*>(stream->data)->on_connection(status);
                                  });
  if (listening != 0) return cannot_listen(sockets.address, "TCP", -listening);
  const auto give_buffer = [](uv_handle_t* handle, std::size_t, uv_buf_t* out) {
    ReadBuffer& buffer = *static_cast<Transport*>(handle->data)->buffer_;
    *out = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
  };
  const auto take = [](uv_udp_t* handle, ssize_t size, const uv_buf_t* buffer, const sockaddr* from,
                       unsigned flags) {
    if (size <= 0 || from == nullptr || (flags & UV_UDP_PARTIAL) != 0) return;
    const auto* data = reinterpret_cast<const std::uint8_t*>(buffer->base);
    static_cast<Transport*>(handle->data)
        ->on_packet(ByteView(data, static_cast<std::size_t>(size)), SocketAddress(from));
  };
  const int receiving = uv_udp_recv_start(&udp_, give_buffer, take);
  if (receiving != 0) return cannot_listen(sockets.address, "UDP", -receiving);
  return sockets.address;
}

void Transport::on_connection(int status) {
  if (status != 0 || is_closing_) return;
  auto lookup = [this](SessionMode mode, const KeyName& name) { return psk_of(mode, name); };
  Connection* connection = Connection::accept(
      reinterpret_cast<uv_stream_t*>(&listener_),
      Session::listen(self_, std::move(lookup), secret_key()), *buffer_, inbound_events());
  if (connection == nullptr) return;
  if (!make_room_for(connection->remote())) {
    ++counters_.connections_refused;
    connection->close();
    return;
  }
  handshakes_.push_back({connection, monotonic_now() + kHandshakeTimeout});
  arm_timer();
}

std::optional<Key32> Transport::psk_of(SessionMode mode, const KeyName& name) const {
  if (mode == SessionMode::kClient) {
    const auto psk = callbacks_.token_psk(TokenId{name.raw});
    return psk ? std::optional(client_psk(*psk)) : std::nullopt;
  }
  if (mode == SessionMode::kJoin) {
    if (const auto psk = callbacks_.token_psk(TokenId{name.raw})) return psk;
  }
  if (name != key_name_of_epoch(name.raw[0])) return std::nullopt;
  const std::optional<Key32> key = keys_.find(name.raw[0]);
  return key ? std::optional(member_psk(*key)) : std::nullopt;
}

bool Transport::make_room_for(const SocketAddress& remote) {
  const std::string ip = remote.ip();
  const auto same = std::count_if(handshakes_.begin(), handshakes_.end(), [&](const Handshake& h) {
    return h.connection->remote().ip() == ip;
  });
  if (static_cast<std::size_t>(same) >= kMaxUnauthenticatedPerAddress) return false;
  if (handshakes_.size() >= kMaxUnauthenticated) {
    ++counters_.connections_refused;
    handshakes_.front().connection->close();
    handshakes_.pop_front();
  }
  return true;
}

Connection::Events Transport::inbound_events() {
  Connection::Events events;
  events.admit = [this](Connection& connection) { return admit(connection); };
  events.on_open = [this](Connection& connection) { on_inbound_open(connection); };
  events.on_frame = [this](Connection& connection, Bytes frame) {
    on_inbound_frame(connection, std::move(frame));
  };
  events.refill = [this](Connection& connection) {
    if (connection.peer().mode == SessionMode::kMember) links_.refill(connection);
    if (connection.peer().mode == SessionMode::kClient) clients_.on_room(connection);
  };
  events.on_end = [this](Connection& connection, const Error& error) {
    on_inbound_end(connection, error);
  };
  return events;
}

Verdict Transport::admit(Connection& connection) {
  const SessionPeer& peer = connection.peer();
  if (peer.mode == SessionMode::kJoin) {
    return joins_.size() < kMaxJoins ? Verdict::kAdmitted : Verdict::kBusy;
  }
  if (peer.mode == SessionMode::kClient) {
    const TokenId token{peer.key_name.raw};
    if (!callbacks_.admit_client) return Verdict::kNotAdmitted;
    const Verdict verdict = callbacks_.admit_client(token);
    const bool is_full = verdict == Verdict::kAdmitted && !clients_.has_room(token);
    return is_full ? Verdict::kBusy : verdict;
  }
  if (!callbacks_.is_admitted(peer.id, peer.key)) return Verdict::kNotAdmitted;
  links_.add_peer(peer.id, peer.key);  // it may be admitted here before its address is known
  return datagrams_.prove_boot(peer.id, peer.boot) ? Verdict::kAdmitted : Verdict::kOutlived;
}

void Transport::forget_handshake(const Connection& connection) {
  handshakes_.remove_if([&](const Handshake& h) { return h.connection == &connection; });
}

void Transport::on_inbound_open(Connection& connection) {
  forget_handshake(connection);
  if (connection.peer().mode == SessionMode::kJoin) {
    joins_[next_join_++] = {&connection, monotonic_now() + kJoinTimeout};
    arm_timer();
  } else if (connection.peer().mode == SessionMode::kClient) {
    callbacks_.on_client(clients_.adopt(connection), TokenId{connection.peer().key_name.raw});
  } else {
    links_.adopt(connection);
  }
}

void Transport::on_inbound_frame(Connection& connection, Bytes frame) {
  const SessionPeer& peer = connection.peer();
  if (peer.mode == SessionMode::kMember) {
    callbacks_.on_frame(peer.id, Channel::kStream, std::move(frame));
    return;
  }
  if (peer.mode == SessionMode::kClient) return clients_.on_frame(connection, frame);
  const auto join = std::find_if(joins_.begin(), joins_.end(), [&](const auto& entry) {
    return entry.second.connection == &connection;
  });
  ASSERT(join != joins_.end());
  if (join->second.has_asked) {
    connection.close();
    joins_.erase(join);
    return;
  }
  join->second.has_asked = true;
  callbacks_.on_join({join->first, TokenId{peer.key_name.raw}, peer.id, peer.key, peer.boot,
                      connection.remote().text(), std::move(frame)});
}

void Transport::on_inbound_end(Connection& connection, const Error& error) {
  if (!connection.has_opened()) {
    forget_handshake(connection);
    ++counters_.connections_refused;
    trouble(connection.remote().ip(), error);
  } else if (connection.peer().mode == SessionMode::kMember) {
    links_.on_inbound_end(connection);
  } else if (connection.peer().mode == SessionMode::kClient) {
    clients_.on_end(connection);
  } else {
    std::erase_if(joins_,
                  [&](const auto& entry) { return entry.second.connection == &connection; });
  }
}

void Transport::reply_join(JoinId id, Bytes reply) {
  const auto join = joins_.find(id);
  if (join == joins_.end()) return;
  ASSERT(join->second.has_asked && reply.size() <= kMaxJoinFrame);
  // Its deadline still holds: a joiner that does not read is not waited for.
  Connection* connection = join->second.connection;
  connection->send(std::move(reply));
  connection->finish();
}

// ---- members -----------------------------------------------------------------------------------

void Transport::set_keys(const KeyRing& keys) {
  keys_ = keys;
  links_.set_keys(keys);
  datagrams_.set_keys(keys);
}

void Transport::set_peer(NodeId id, const PublicKey& key, const std::string& address, Boot boot) {
  ASSERT(id != self_.id());
  links_.set_peer(id, key, address);
  if (boot != 0) datagrams_.learn_boot(id, boot);
}

void Transport::forget_peer(NodeId id) {
  links_.forget(id);
}

void Transport::send(NodeId to, Channel channel, Bytes frame) {
  ASSERT(to != self_.id());
  if (is_closing_) return;
  if (channel == Channel::kStream) {
    if (frame.size() > kMaxFrame) {
      ++counters_.frames_dropped;
      trouble(to.short_text(), Error{Code::kLimit, "a frame over the limit was not sent", ""});
      return;
    }
    links_.send(to, std::move(frame));
    return;
  }
  const std::optional<SocketAddress> address = links_.address_of(to);
  const Result<Bytes> packet =
      address ? datagrams_.seal(monotonic_now(), to, frame) : fail(Code::kNotFound, "no address");
  if (packet) {
    send_packet(*packet, *address);
  } else {
    ++counters_.frames_dropped;
  }
}

void Transport::send_packet(const Bytes& packet, const SocketAddress& to) {
  auto* data = reinterpret_cast<char*>(const_cast<std::uint8_t*>(packet.data()));
  const uv_buf_t buffer = uv_buf_init(data, static_cast<unsigned>(packet.size()));
  // Datagrams may be lost; a full socket buffer is one way.
  if (uv_udp_try_send(&udp_, &buffer, 1, to.raw()) < 0) ++counters_.frames_dropped;
}

void Transport::on_packet(ByteView packet, const SocketAddress& from) {
  if (is_closing_) return;
  Result<Datagrams::Received> received = datagrams_.open(monotonic_now(), packet);
  if (!received) {
    ++counters_.datagrams_refused;
    return;
  }
  if (received->reply) send_packet(*received->reply, from);
  if (received->resend) {
    const std::optional<SocketAddress> address = links_.address_of(received->from);
    if (address) send_packet(*received->resend, *address);
  }
  if (received->has_newer_self) on_newer_self();
  if (received->frame) {
    callbacks_.on_frame(received->from, Channel::kDatagram, std::move(*received->frame));
  }
}

Transport::Counters Transport::counters() const {
  Counters all = counters_;
  all.frames_dropped += links_.dropped();
  return all;
}

void Transport::on_newer_self() {
  if (callbacks_.on_newer_self) callbacks_.on_newer_self();
}

void Transport::trouble(const std::string& address, const Error& error) {
  const Instant now = monotonic_now();
  if (now - trouble_since_ >= seconds(1)) {
    trouble_since_ = now;
    trouble_count_ = 0;
  }
  if (trouble_count_ == kMaxTroublePerSecond || !callbacks_.on_trouble) return;
  if (troubles_.news_of(address, error.message, now) == TroubleNews::News::kNone) return;
  ++trouble_count_;
  callbacks_.on_trouble(address, error);
}

// ---- time --------------------------------------------------------------------------------------

// Runs when all that was ready has been handled and the loop is about to wait.
void Transport::on_turn() {
  if (is_closing_) return;
  links_.flush();
  arm_timer();
}

void Transport::arm_timer() {
  if (is_closing_) return;
  Instant next = links_.next_deadline();
  if (!handshakes_.empty()) next = std::min(next, handshakes_.front().deadline);
  for (const auto& [id, join] : joins_) next = std::min(next, join.deadline);
  if (next == armed_for_) return;
  armed_for_ = next;
  if (next == Instant::never()) {
    uv_timer_stop(&timer_);
    return;
  }
  const std::int64_t wait = std::max<std::int64_t>((next - monotonic_now()).milliseconds() + 1, 0);
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<Transport*>(timer->data)->on_timer(); },
      static_cast<std::uint64_t>(wait), 0);
}

void Transport::on_timer() {
  armed_for_ = Instant::never();
  const Instant now = monotonic_now();
  while (!handshakes_.empty() && handshakes_.front().deadline <= now) {
    Connection* connection = handshakes_.front().connection;
    handshakes_.pop_front();
    ++counters_.connections_refused;
    const std::string address = connection->remote().ip();
    connection->close();
    trouble(address, Error{Code::kTimeout, "a connection without a handshake in time", ""});
  }
  std::erase_if(joins_, [&](const auto& entry) {
    if (entry.second.deadline > now) return false;
    entry.second.connection->close();
    return true;
  });
  links_.tick(now);
  arm_timer();
}

void Transport::close(std::function<void()> done) {
  ASSERT(!is_closing_);
  is_closing_ = true;
  on_closed_ = std::move(done);
  for (const Handshake& handshake : handshakes_) handshake.connection->close();
  for (const auto& [id, join] : joins_) join.connection->close();
  handshakes_.clear();
  joins_.clear();
  clients_.close();
  links_.close();
  const auto closed = [](uv_handle_t* handle) {
    auto* self = static_cast<Transport*>(handle->data);
    if (--self->open_handles_ == 0 && self->on_closed_) std::exchange(self->on_closed_, {})();
  };
  const bool has_sockets = open_handles_ == 4;
  uv_close(as_handle(&timer_), closed);
  uv_close(as_handle(&turn_), closed);
  if (has_sockets) {
    uv_close(as_handle(&listener_), closed);
    uv_close(as_handle(&udp_), closed);
  }
}

}  // namespace dunlin
