// A node that drains takes no new tasks, in its later lives too; what runs goes on until the
// deadline. Its groups and blobs stay where they are.
#include <algorithm>
#include <utility>

#include "node/parts.h"

namespace dunlin {

namespace {

constexpr Duration kLongestDeadline = seconds(std::int64_t{365} * 24 * 3600);

}  // namespace

void Node::Parts::serve(client::RequestId request, const client::DrainNode& body) {
  if (Result<void> allowed = may_order(body.node, "runs nothing"); !allowed) {
    answer(request, tl::unexpected(allowed.error()));
    return;
  }
  const std::uint64_t number = next_order_number++;
  const auto deadline = static_cast<std::uint64_t>(
      std::max<std::int64_t>(body.deadline.us > 0 ? 1 : 0, body.deadline.milliseconds()));
  send_order(number,
             {request, body.node, node_frame(DrainOrder{number, true, deadline, body.wait}), true});
}

void Node::Parts::serve(client::RequestId request, const client::UndrainNode& body) {
  if (Result<void> allowed = may_order(body.node, "runs nothing"); !allowed) {
    answer(request, tl::unexpected(allowed.error()));
    return;
  }
  const std::uint64_t number = next_order_number++;
  send_order(number, {request, body.node, node_frame(DrainOrder{number, false, 0, false}), false});
}

void Node::Parts::recover_draining(const std::map<std::string, Bytes>& facts) {
  const std::optional<WallTime> until = remembered_draining(facts);
  if (!until) return;
  const std::int64_t left = until->ms - wall.ms;
  set_draining(true, until->ms == 0 ? Instant::never()
                                    : now + milliseconds(std::max<std::int64_t>(left, 0)));
}

// The asker may hear twice that it is done, and orders again until it has heard once.
void Node::Parts::on_drain_order(NodeId from, const DrainOrder& order) {
  const std::pair id{from, order.order};
  if (draining.obeyed.first == from && order.order < draining.obeyed.second) return;
  if (!order.on && (leaving.active || ending.active)) {
    out.send(from, Channel::kStream,
             node_frame(OrderProgress{order.order, "it is about to go", true, true}));
    return;
  }
  if (id != draining.obeyed) {
    draining.obeyed = id;
    if (order.on) {
      const auto limit = milliseconds(static_cast<std::int64_t>(
          std::min<std::uint64_t>(order.deadline_ms, kLongestDeadline.milliseconds())));
      put_draining(order.deadline_ms == 0 ? WallTime{} : WallTime{wall.ms + limit.milliseconds()},
                   out);
      set_draining(true, order.deadline_ms == 0 ? Instant::never() : now + limit);
    } else {
      erase_draining(out);
      set_draining(false, Instant::never());
    }
  }
  if (order.on && order.wait && sched.has_tasks()) {
    if (draining.orders.size() < kMaxOrders || draining.orders.contains(id)) {
      draining.orders.insert(id);
      draining.last_line.clear();
      return;
    }
    out.send_when_durable(
        from, Channel::kStream,
        node_frame(OrderProgress{order.order, "it drains, but too many wait for the end of that",
                                 true, true}));
    return;
  }
  // It is to hold even if this node's process ends now.
  out.send_when_durable(from, Channel::kStream,
                        node_frame(OrderProgress{order.order, {}, true, false}));
}

void Node::Parts::set_draining(bool on, Instant until) {
  if (!on) {
    for (const auto& [node, number] : std::exchange(draining.orders, {})) {
      out.send(node, Channel::kStream,
               node_frame(OrderProgress{number, "it takes tasks again", true, true}));
    }
  }
  draining.active = on;
  draining.until = until;
  load.draining = on || leaving.active;
  gossip.set_load(now, load);
  sched.set_draining(now, load.draining, out);
}

std::string Node::Parts::draining_line() const {
  const std::string count = std::to_string(load.running);
  if (load.running == 0) return "the last results are being committed";
  return count + (load.running == 1 ? " task still runs" : " tasks still run");
}

// Called at the end of every turn.
void Node::Parts::follow_draining() {
  if (!draining.active) return;
  if (draining.until <= now) {
    draining.until = Instant::never();
    sched.hand_back(now, out);
  }
  if (draining.orders.empty()) return;
  const bool is_done = !sched.has_tasks();
  const std::string line = is_done ? std::string() : draining_line();
  if (!is_done && line == draining.last_line) return;
  draining.last_line = line;
  for (const auto& [node, number] : draining.orders) {
    out.send_when_durable(node, Channel::kStream,
                          node_frame(OrderProgress{number, line, is_done, false}));
  }
  if (is_done) draining.orders.clear();
}

}  // namespace dunlin
