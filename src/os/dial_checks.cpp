#include "os/dial_checks.h"

#include <utility>
#include <vector>

#include "base/assert.h"
#include "os/chance.h"
#include "os/clock.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kTickMs = 200;

// Who says no is there; whoever proves to be another is not the one that was meant.
Result<void> verdict_on(const Error& error) {
  if (error.code == Code::kRefused || error.code == Code::kLimit) return {};
  if (error.code == Code::kConflict) return fail(Code::kConflict, "another node answers there");
  return tl::unexpected(error);
}

}  // namespace

DialChecks::DialChecks(uv_loop_t* loop, const Identity& self, const KeyRing& keys)
    : loop_(loop), self_(self), key_(JoinKey::of_cluster(self.cluster, keys)) {
  uv_timer_init(loop_, &timer_);
  timer_.data = this;
}

DialChecks::~DialChecks() {
  ASSERT(is_closed_);
}

void DialChecks::start(NodeId peer, const PublicKey& key, const std::string& address, Done done) {
  if (is_closed_ || checks_.size() >= kMaxDialChecks || checks_.contains(peer)) return;
  const Error late{Code::kTimeout,
                   "no answer within " + std::to_string(kDialCheckTimeout.us / 1'000'000) + " s",
                   ""};
  checks_[peer] = {monotonic_now() + kDialCheckTimeout, nullptr, std::move(done), late};
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&timer_)) == 0) {
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<DialChecks*>(timer->data)->tick(); }, kTickMs,
        kTickMs);
  }
  const Result<HostPort> place = parse_host_port(address);
  if (!place) return end_soon(peer, place.error());
  if (const auto number = SocketAddress::from_ip(place->host, place->port)) {
    return dial(peer, key, *number);
  }
  const std::weak_ptr<bool> alive = alive_;
  const Result<void> asked =
      resolve(loop_, *place, [this, alive, peer, key](Result<std::vector<SocketAddress>> found) {
        if (alive.expired() || !checks_.contains(peer)) return;
        found ? dial(peer, key, found->front()) : end_soon(peer, found.error());
      });
  if (!asked) end_soon(peer, asked.error());
}

// As one who asks to be let in, so that it replaces no connection between members.
void DialChecks::dial(NodeId peer, const PublicKey& key, const SocketAddress& address) {
  const Session::Target target = key_.target(key);
  Connection::Events events;
  events.on_open = [this, peer](Connection&) { end(peer, {}); };
  events.on_frame = [](Connection&, const Bytes&) {};
  events.on_end = [this, peer](Connection&, const Error& error) {
    checks_.at(peer).connection = nullptr;
    end(peer, verdict_on(error));
  };
  const Result<Connection*> dialled =
      Connection::dial(loop_, address, std::nullopt, Session::dial(self_, target, secret_key()),
                       *buffer_, std::move(events));
  if (!dialled) return end_soon(peer, dialled.error());
  checks_.at(peer).connection = *dialled;
}

void DialChecks::end(NodeId peer, const Result<void>& how) {
  auto check = checks_.extract(peer);
  if (check.empty()) return;
  if (check.mapped().connection != nullptr) check.mapped().connection->close();
  check.mapped().done(how);
}

// Nobody is called from within start().
void DialChecks::end_soon(NodeId peer, const Error& error) {
  checks_.at(peer).deadline = {};
  checks_.at(peer).error = error;
}

void DialChecks::tick() {
  const Instant now = monotonic_now();
  std::vector<NodeId> late;
  for (const auto& [peer, check] : checks_) {
    if (check.deadline <= now) late.push_back(peer);
  }
  for (const NodeId& peer : late) end(peer, tl::unexpected(checks_.at(peer).error));
  if (checks_.empty()) uv_timer_stop(&timer_);
}

void DialChecks::close() {
  if (is_closed_) return;
  is_closed_ = true;
  alive_.reset();
  for (auto& [peer, check] : checks_) {
    if (check.connection != nullptr) check.connection->close();
  }
  checks_.clear();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
}

}  // namespace dunlin
