// Events of jobs and of nodes, and how far a reader of them is.
#include <algorithm>

#include "base/codec.h"
#include "os/base64.h"
#include "os/json.h"
#include "os/json_reader.h"

namespace dunlin {

namespace {

EventLine line_of(const JobEvent& event) {
  EventLine line;
  line.id = id_of(event);
  line.time = event.time;
  line.type = name_of(event.type);
  line.node = event.node;
  line.job = event.job;
  line.task = event.task;
  if (event.attempt > 0) line.attempt = event.attempt;
  line.message = event.message;
  return line;
}

EventLine line_of(const NodeEvent& event) {
  EventLine line;
  line.id = event.id;
  line.time = event.time;
  line.type = name_of(event.type);
  line.node = event.node;
  line.message = event.name;
  return line;
}

void write_event(JsonWriter& out, const EventLine& event) {
  out.begin_object();
  out.field("id", event.id);
  out.field("time", event.time);
  out.field("type", event.type);
  out.field_or_null("node", event.node ? event.node->text() : "");
  out.field_or_null("job", event.job ? event.job->text() : "");
  out.field("task", event.task);
  out.field("attempt", event.attempt);
  out.field_or_null("message", event.message);
  out.end_object();
}

Result<EventLine> event_from(const nlohmann::json& object) {
  JsonFields in(object, "event");
  EventLine event;
  std::string node, job;
  in.read("id", event.id);
  in.read("time", event.time);
  in.read("type", event.type);
  in.read("node", node);
  in.read("job", job);
  in.read("task", event.task);
  in.read("attempt", event.attempt);
  in.read("message", event.message);
  if (!node.empty() && !(event.node = NodeId::from_text(node))) {
    in.complain("node", "is no node's id");
  }
  if (!job.empty() && !(event.job = JobId::from_text(job))) in.complain("job", "is no job's id");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return event;
}

// Jobs' events keep their order, and so do nodes'; between the two the earlier time goes first.
template <class Each>
void for_each_event(const client::EventList& list, const Each& each) {
  auto node = list.nodes.begin();
  for (const JobEvent& job : list.jobs) {
    for (; node != list.nodes.end() && node->time < job.time; ++node) each(line_of(*node));
    each(line_of(job));
  }
  for (; node != list.nodes.end(); ++node) each(line_of(*node));
}

}  // namespace

// For a query: without what would have to be encoded there.
std::string event_cursor_text(const client::EventCursor& cursor) {
  std::string text = to_base64(as_text(encode(cursor)));
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  std::replace(text.begin(), text.end(), '=', '.');
  return text;
}

Result<client::EventCursor> event_cursor_from_text(const std::string& text) {
  std::string plain = text;
  std::replace(plain.begin(), plain.end(), '-', '+');
  std::replace(plain.begin(), plain.end(), '_', '/');
  std::replace(plain.begin(), plain.end(), '.', '=');
  const auto bytes = from_base64(plain);
  auto cursor = bytes ? decode<client::EventCursor>(as_bytes(*bytes))
                      : Result<client::EventCursor>(fail(Code::kCorrupt, ""));
  if (!cursor) {
    return fail(Code::kUsage, "'after' is no cursor of events",
                "give the \"cursor\" of an earlier answer, or nothing");
  }
  return cursor;
}

std::string event_json(const EventLine& event) {
  std::string text;
  JsonWriter out(text);
  write_event(out, event);
  return text;
}

std::string events_json(const client::EventList& list) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.key("events");
  out.begin_array();
  for_each_event(list, [&](const EventLine& event) { write_event(out, event); });
  out.end_array();
  out.field("cursor", event_cursor_text(list.next));
  out.field("more", list.is_more);
  out.field("missed_groups", list.missed_groups);
  out.field("silent_groups", list.silent_groups);
  out.end_object();
  return text;
}

Result<EventPage> events_from_json(std::string_view text) {
  const auto object = parse_object(text);
  if (!object) return tl::unexpected(object.error());
  JsonFields in(*object, "events");
  EventPage page;
  in.read_each("events", [&](const nlohmann::json& element) {
    auto event = event_from(element);
    if (!event) return in.complain("events", event.error().message);
    page.events.push_back(std::move(*event));
  });
  in.read("cursor", page.cursor);
  in.read("more", page.is_more);
  in.read("missed_groups", page.missed_groups);
  in.read("silent_groups", page.silent_groups);
  if (page.cursor.empty()) in.complain("cursor", "is missing");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return page;
}

}  // namespace dunlin
