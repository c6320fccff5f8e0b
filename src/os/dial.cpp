#include "os/dial.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "os/chance.h"

namespace dunlin {

JoinKey JoinKey::of_token(const JoinToken& token) {
  JoinKey key{token.cluster, {}, token.psk()};
  key.name.raw = token.id.raw;
  return key;
}

JoinKey JoinKey::of_cluster(const ClusterId& cluster, const KeyRing& ring) {
  const auto& [epoch, secret] = ring.keys.front();
  return {cluster, key_name_of_epoch(epoch), member_psk(secret)};
}

Session::Target JoinKey::target(const std::optional<PublicKey>& peer) const {
  return {SessionMode::kJoin, name, psk, peer};
}

JoinDial::JoinDial(uv_loop_t* loop, const Identity& self, const JoinKey& key, Bytes request,
                   Callbacks callbacks)
    : loop_(loop),
      self_(self),
      key_(key),
      request_(std::move(request)),
      callbacks_(std::move(callbacks)),
      buffer_(std::make_unique<ReadBuffer>()),
      last_error_{Code::kUnreachable, "there is nobody to ask", ""} {
  ASSERT(request_.size() <= kMaxJoinFrame);
  self_.cluster = key.cluster;
  uv_timer_init(loop_, &timer_);
  timer_.data = this;
}

JoinDial::~JoinDial() {
  ASSERT(is_closed_);
}

void JoinDial::start(std::vector<std::string> servers) {
  std::reverse(servers.begin(), servers.end());
  servers_ = std::move(servers);
  set_timer({}, &JoinDial::next);  // from the loop, so that nothing is called from within start()
}

void JoinDial::set_timer(Duration wait, void (JoinDial::*then)()) {
  on_timer_ = then;
  uv_timer_start(
      &timer_,
      [](uv_timer_t* timer) {
        auto* self = static_cast<JoinDial*>(timer->data);
        (self->*self->on_timer_)();
      },
      static_cast<std::uint64_t>(wait.milliseconds()), 0);
}

void JoinDial::next() {
  if (servers_.empty()) {
    finish(tl::unexpected(last_error_));
    return;
  }
  server_ = std::move(servers_.back());
  servers_.pop_back();
  const Result<HostPort> place = parse_host_port(server_);
  if (!place) {
    on_failed(place.error());
    return;
  }
  if (const auto number = SocketAddress::from_ip(place->host, place->port)) {
    addresses_ = {*number};
    next_address();
    return;
  }
  const std::weak_ptr<bool> alive = alive_;
  const Result<void> asked =
      resolve(loop_, *place, [this, alive](Result<std::vector<SocketAddress>> found) {
        if (alive.expired()) return;
        if (!found) {
          on_failed(found.error());
          return;
        }
        addresses_.assign(found->rbegin(), found->rend());
        next_address();
      });
  if (!asked) on_failed(asked.error());
}

void JoinDial::next_address() {
  const SocketAddress address = addresses_.back();
  addresses_.pop_back();
  const Session::Target target = key_.target();
  Connection::Events events;
  events.on_open = [this](Connection&) { on_open(); };
  events.on_frame = [this](Connection&, Bytes reply) { on_reply(std::move(reply)); };
  events.on_end = [this](Connection&, const Error& error) {
    connection_ = nullptr;
    on_failed(error);
  };
  const Result<Connection*> dialled =
      Connection::dial(loop_, address, std::nullopt, Session::dial(self_, target, secret_key()),
                       *buffer_, std::move(events));
  if (!dialled) {
    on_failed(dialled.error());
    return;
  }
  connection_ = *dialled;
  set_timer(kDialTimeout, &JoinDial::on_timeout);
}

void JoinDial::on_open() {
  connection_->send(request_);
  connection_->flush();
  set_timer(kReplyTimeout, &JoinDial::on_timeout);
}

void JoinDial::on_reply(Bytes reply) {
  Reply out{std::move(reply), connection_->peer(), connection_->remote()};
  std::exchange(connection_, nullptr)->close();
  finish(std::move(out));
}

void JoinDial::on_timeout() {
  std::exchange(connection_, nullptr)->close();
  on_failed(Error{Code::kTimeout, "no answer in time", ""});
}

void JoinDial::on_failed(const Error& error) {
  uv_timer_stop(&timer_);
  if (error.code != Code::kUnreachable || last_error_.code == Code::kUnreachable) {
    last_error_ = error;
  }
  if (callbacks_.on_attempt_failed) callbacks_.on_attempt_failed(server_, error);
  if (is_done_) return;  // closed by the callback
  if (!addresses_.empty()) {
    next_address();
  } else {
    set_timer({}, &JoinDial::next);
  }
}

void JoinDial::finish(Result<Reply> result) {
  if (is_done_) return;
  is_done_ = true;
  uv_timer_stop(&timer_);
  callbacks_.on_done(std::move(result));
}

void JoinDial::close(std::function<void()> done) {
  is_done_ = true;
  alive_.reset();
  on_closed_ = std::move(done);
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->close();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), [](uv_handle_t* handle) {
    auto* self = static_cast<JoinDial*>(handle->data);
    self->is_closed_ = true;
    if (self->on_closed_) std::exchange(self->on_closed_, {})();
  });
}

}  // namespace dunlin
