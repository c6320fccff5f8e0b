// What clients follow: events of jobs, which the scheduler gathers, and of nodes, as this one heard
// of them.
#include <utility>

#include "node/parts.h"

namespace dunlin {

// What another node has told is known to the reader alone, by its ids: nothing else says which of
// two nodes heard of a change first, the clocks of two hosts least of all.
std::vector<NodeEvent> Node::Parts::untold(const client::EventCursor& cursor) const {
  const bool is_ours = cursor.node == self && cursor.boot == start.boot;
  return node_events.after(is_ours ? cursor.node_events : 0);
}

void Node::Parts::serve(client::RequestId request, client::ListEvents& body) {
  ListEvents query;
  query.after = std::move(body.after.groups);
  query.job = body.job;
  query.hold = body.hold;
  query.reader = body.after.reader;
  body.after.groups.clear();
  const bool is_news = body.job.is_none() && !untold(body.after).empty();
  event_readers[request] = std::move(body);
  sched.list_events(now, wall, request, query, out);
  if (is_news) sched.hurry_events(now, request, out);
}

void Node::Parts::on(EventsListed& event) {
  const auto reader = event_readers.extract(event.request);
  if (reader.empty()) return;
  if (!event.list) return answer(event.request, tl::unexpected(event.list.error()));
  const client::ListEvents& asked = reader.mapped();
  client::EventList list;
  list.jobs = std::move(event.list->events);
  list.next = asked.after;
  list.next.groups = std::move(event.list->next);
  list.next.reader = event.list->reader;
  list.missed_groups = event.list->missed_groups;
  list.silent_groups = event.list->silent_groups;
  list.is_more = event.list->is_more;
  if (asked.job.is_none()) {
    list.nodes = untold(asked.after);
    list.next.node = self;
    list.next.boot = start.boot;
    list.next.node_events = node_events.last();
  }
  answer(event.request, client::Answer(std::move(list)));
}

void Node::Parts::on(const AppliedWanted& event) {
  applied_wanted.push_back(event);
}

// Only between events, as a snapshot: amid them the groups are ahead of what is applied.
void Node::Parts::tell_applied() {
  for (const AppliedWanted& wanted : std::exchange(applied_wanted, {})) {
    std::vector<std::pair<GroupId, LogIndex>> indices;
    for (const GroupId group : wanted.groups) {
      const std::optional<AppliedState> applied = groups.applied(group);
      if (applied) indices.emplace_back(group, applied->index);
    }
    sched.on_applied(now, wanted.token, indices, out);
  }
}

void Node::Parts::note(NodeEventType type, const NodeId& node) {
  const auto member = gossip.members().find(node);
  if (member == gossip.members().end()) {
    node_events.note_forgotten(node, wall);
  } else {
    node_events.note(type, member->second, wall);
  }
  hurry_event_readers();
}

void Node::Parts::note_change(const NodeId& node) {
  const auto member = gossip.members().find(node);
  if (member == gossip.members().end()) return;
  const std::uint64_t before = node_events.last();
  node_events.note_change(member->second, wall);
  if (node_events.last() != before) hurry_event_readers();
}

void Node::Parts::hurry_event_readers() {
  for (const auto& [request, asked] : event_readers) {
    if (asked.job.is_none()) sched.hurry_events(now, request, out);
  }
}

}  // namespace dunlin
