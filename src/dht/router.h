// Requests from any node to the leader of a group, wherever it is: tries the leader believed in,
// then the group's voters, then whom the ring suggests; follows "not leader" answers; and asks
// again when the leader is suspected, restarted or replaced. Delivery is at least once: a request
// must be idempotent in its own terms. Lives in Module::kRouter frames.
#pragma once

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "dht/groups.h"

namespace dunlin {

// At the asker: the answer, exactly one per request(). An error is the leader's own, or
// kTimeout with a message that names the hosts that a quorum misses.
struct RouterReply {
  std::uint64_t token = 0;
  Result<Bytes> result;
};

// At the node that leads the group: answer with Router::reply(handle, ...), soon or late. Whoever
// asks long before the deadline may wait for something (a long poll).
struct RouterRequest {
  std::uint64_t handle = 0;
  NodeId from;
  GroupId group;
  Bytes body;
  Instant deadline;  // by this node's clock; the asker waits no longer
};

using RouterEvent = std::variant<RouterReply, RouterRequest>;

class Router {
 public:
  static constexpr std::size_t kMaxRequests = 4096;         // of this node, unanswered
  static constexpr std::size_t kMaxServed = 8192;           // taken here, unanswered
  static constexpr std::size_t kMaxBody = 4 * 1024 * 1024;  // of a request or an answer
  static constexpr Duration kMaxWait = seconds(300);        // longer deadlines are cut

  // `groups` must outlive the router; it is asked who leads, and told of leaders that do not.
  Router(NodeId self, Groups& groups, Random random);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  void tick(Instant now, Effects& out);
  // Due at once when a leader changed in `groups`: call after inputs to it.
  Instant next_deadline() const;
  std::vector<RouterEvent> take_events();

  // Ends in exactly one RouterReply with this token, by the deadline.
  void request(Instant now, std::uint64_t token, GroupId group, Bytes body, Instant deadline,
               Effects& out);
  // The asker has gone: no RouterReply comes any more.
  void cancel(std::uint64_t token);
  // Answers a RouterRequest; a handle that is no longer known is passed over. An error of code
  // kUnreachable means "I do not lead (any more)": the asker tries elsewhere.
  void reply(Instant now, std::uint64_t handle, Result<Bytes> result, Effects& out);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
