// What clients order of a node through another one: to leave, to drain. The order is repeated until
// something is heard of it; that it is obeyed is believed only from the node itself. Of the dead
// the cluster's record is told instead.
#include <algorithm>
#include <utility>

#include "node/parts.h"

namespace dunlin {

namespace {

constexpr Duration kOrderRepeat = seconds(1);
// A node that lives but says nothing to an order by then is not going to.
constexpr Duration kOrderPatience = seconds(10);
// For gossip to tell this node what the other one has told it already.
constexpr Duration kViewPatience = seconds(3);

}  // namespace

// `what`: as in "n3 is dead and cannot leave".
Result<void> Node::Parts::may_order(const NodeId& node, const std::string& what) const {
  const auto member = gossip.members().find(node);
  if (member == gossip.members().end()) return fail(Code::kNotFound, "no node " + node.text());
  const std::string& name = member->second.facts.name;
  if (member->second.state == MemberState::kDead) {
    return fail(Code::kRefused, name + " is dead and " + what,
                "if it never comes back: dunlin forget " + name);
  }
  if (member->second.state == MemberState::kLeft) {
    return fail(Code::kRefused, name + " has left already");
  }
  return {};
}

void Node::Parts::send_order(std::uint64_t number, SentOrder order) {
  order.repeat_at = now + kOrderRepeat;
  order.give_up_at = now + kOrderPatience;
  out.send(order.node, Channel::kStream, order.frame);
  sent_orders[number] = std::move(order);
}

void Node::Parts::on_order_progress(NodeId from, const OrderProgress& progress) {
  const auto found = sent_orders.find(progress.order);
  if (found == sent_orders.end() || found->second.node != from) return;
  SentOrder& order = found->second;
  order.is_heard = true;
  if (progress.refused) {
    answer(order.request, fail(Code::kRefused, progress.text));
    sent_orders.erase(found);
    return;
  }
  if (!progress.text.empty()) {
    answer(order.request, client::Answer(client::Progress{progress.text}), false);
  }
  if (!progress.done) return;
  order.is_obeyed = true;
  order.give_up_at = now + kViewPatience;
}

// Of an order to a node that has left, or (not `has_left`) died.
Result<client::Answer> Node::Parts::outcome(const SentOrder& order, bool has_left) const {
  if (order.draining && !order.is_obeyed) {
    const std::string how = has_left ? " has left meanwhile" : " died meanwhile";
    return fail(has_left ? Code::kRefused : Code::kFailed, order.node.text() + how);
  }
  if (!order.draining && !has_left) {
    return fail(Code::kFailed, "it died before it had handed over everything",
                "see what is missing: dunlin status");
  }
  return client::Answer(client::Done{});
}

// The last word of a node that leaves may be lost, since its process ends right behind it: gossip
// knows better.
void Node::Parts::end_orders(const NodeId& node, bool has_left) {
  for (auto at = sent_orders.begin(); at != sent_orders.end();) {
    const auto next = at++;
    const SentOrder& order = next->second;
    if (order.node != node || order.forgotten) continue;
    if (has_left && !order.draining) {
      answer(order.request, client::Answer(client::Progress{"left"}), false);
    }
    answer(order.request, outcome(order, has_left));
    sent_orders.erase(next);
  }
}

// Does this node, too, know what has become of the order?
bool Node::Parts::is_seen(const SentOrder& order) const {
  if (order.forgotten) return admission.record().is_retired(order.node);
  const auto member = gossip.members().find(order.node);
  return !order.draining || member == gossip.members().end() ||
         member->second.load.draining == *order.draining;
}

// Called at the end of every turn.
void Node::Parts::follow_orders() {
  for (auto at = sent_orders.begin(); at != sent_orders.end();) {
    const auto next = at++;
    SentOrder& order = next->second;
    const bool is_over = order.give_up_at <= now;
    if (order.is_obeyed && (is_seen(order) || is_over)) {
      answer(order.request, client::Answer(client::Done{}));
    } else if (!order.is_heard && is_over) {
      answer(order.request, fail(Code::kTimeout, order.node.text() + " does not answer",
                                 "see whether it can be reached: dunlin nodes"));
    } else {
      if (!order.is_heard && order.repeat_at <= now) {
        order.repeat_at = now + kOrderRepeat;
        out.send(order.node, Channel::kStream, order.frame);
      }
      continue;
    }
    sent_orders.erase(next);
  }
}

Instant Node::Parts::next_order_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, order] : sent_orders) {
    if (order.is_obeyed) next = std::min(next, order.give_up_at);
    if (!order.is_heard) next = std::min({next, order.give_up_at, order.repeat_at});
  }
  return next;
}

// ---- forgetting ---------------------------------------------------------------------------------

void Node::Parts::serve(client::RequestId request, const client::ForgetNode& body) {
  if (admission.record().is_retired(body.node)) {
    answer(request, client::Answer(client::Done{}));
    return;
  }
  const auto member = gossip.members().find(body.node);
  if (member == gossip.members().end()) {
    answer(request, fail(Code::kNotFound, "no node " + body.node.text()));
    return;
  }
  if (Result<void> allowed = may_forget(member->second); !allowed) {
    answer(request, tl::unexpected(allowed.error()));
    return;
  }
  SentOrder order{request, body.node, {}};
  order.forgotten = order.is_heard = true;
  sent_orders[next_order_number++] = std::move(order);
  admission.issue(request, Retire{body.node});
}

void Node::Parts::end_forgetting(client::RequestId request, const Result<void>& how) {
  for (auto at = sent_orders.begin(); at != sent_orders.end(); ++at) {
    SentOrder& order = at->second;
    if (order.request != request || !order.forgotten) continue;
    order.is_obeyed = true;
    order.give_up_at = now + kViewPatience;
    if (how) return;
    answer(request, tl::unexpected(how.error()));
    sent_orders.erase(at);
    return;
  }
}

}  // namespace dunlin
