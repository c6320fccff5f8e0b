#include "os/cluster_check.h"

#include <memory>
#include <utility>

#include "os/chance.h"
#include "os/connection.h"
#include "os/dial.h"

namespace dunlin {

namespace {

// All servers at once; it ends with the first that is of the own cluster, or with the last.
class ClusterCheck {
 public:
  ClusterCheck(uv_loop_t* loop, const Identity& self, const KeyRing& keys)
      : loop_(loop), self_(self), key_(JoinKey::of_cluster(self.cluster, keys)) {
    uv_timer_init(loop_, &timer_);
    timer_.data = this;
  }

  std::optional<std::string> run(const std::vector<std::string>& servers) {
    uv_timer_start(
        &timer_, [](uv_timer_t* timer) { static_cast<ClusterCheck*>(timer->data)->over_ = true; },
        static_cast<std::uint64_t>(kClusterCheckTimeout.milliseconds()), 0);
    for (const std::string& server : servers) {
      if (asked_.size() < kMaxClusterChecks) ask(server);
    }
    while (!over_ && waiting_ > 0) uv_run(loop_, UV_RUN_ONCE);
    close();
    if (is_own_) return std::nullopt;
    for (const auto& server : asked_) {
      if (server->is_other) return server->name;
    }
    return std::nullopt;
  }

 private:
  struct Server {
    std::string name;
    Connection* connection = nullptr;
    bool is_other = false;
  };

  void ask(const std::string& name) {
    const Result<HostPort> place = parse_host_port(name);
    if (!place) return;
    asked_.push_back(std::make_unique<Server>(Server{name, nullptr, false}));
    Server* server = asked_.back().get();
    ++waiting_;
    if (const auto number = SocketAddress::from_ip(place->host, place->port)) {
      return dial(*server, *number);
    }
    const std::weak_ptr<bool> alive = alive_;
    auto found = [this, alive, server](Result<std::vector<SocketAddress>> addresses) {
      if (alive.expired()) return;
      addresses ? dial(*server, addresses->front()) : void(--waiting_);
    };
    if (!resolve(loop_, *place, std::move(found))) --waiting_;
  }

  // As a node that asks for its succession, which the cluster's own key is good for; it then says
  // nothing.
  void dial(Server& server, const SocketAddress& address) {
    const Session::Target target = key_.target();
    Connection::Events events;
    events.on_open = [this](Connection&) { is_own_ = over_ = true; };
    events.on_frame = [](Connection&, const Bytes&) {};
    events.on_end = [this, &server](Connection&, const Error& error) {
      server.connection = nullptr;
      server.is_other = error.code == Code::kConflict;
      --waiting_;
    };
    const Result<Connection*> dialled =
        Connection::dial(loop_, address, std::nullopt, Session::dial(self_, target, secret_key()),
                         *buffer_, std::move(events));
    if (dialled) {
      server.connection = *dialled;
    } else {
      --waiting_;
    }
  }

  void close() {
    alive_.reset();
    int open = 1;
    const auto gone = [&open] { --open; };
    for (const auto& server : asked_) {
      if (server->connection == nullptr) continue;
      ++open;
      server->connection->close(gone);
    }
    timer_.data = &open;
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_),
             [](uv_handle_t* handle) { --*static_cast<int*>(handle->data); });
    while (open > 0) uv_run(loop_, UV_RUN_ONCE);
  }

  uv_loop_t* loop_;
  const Identity& self_;
  const JoinKey key_;
  std::unique_ptr<ReadBuffer> buffer_ = std::make_unique<ReadBuffer>();
  std::vector<std::unique_ptr<Server>> asked_;
  int waiting_ = 0;
  bool over_ = false;
  bool is_own_ = false;
  uv_timer_t timer_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // watched by name lookups
};

}  // namespace

std::optional<std::string> server_of_other_cluster(uv_loop_t* loop, const Identity& self,
                                                   const KeyRing& keys,
                                                   const std::vector<std::string>& servers) {
  ClusterCheck check(loop, self, keys);
  return check.run(servers);
}

}  // namespace dunlin
