#include "dht/router.h"

#include <algorithm>

#include "base/assert.h"
#include "dht/router_parts.h"

namespace dunlin {

void Router::Parts::send(const NodeId& to, RouterMessage message, Effects& out) {
  if (to == self) {
    inbox.push_back(std::move(message));
    return;
  }
  Bytes frame{static_cast<std::uint8_t>(Module::kRouter)};
  Encoder encoder(frame);
  put(encoder, message);
  out.send(to, Channel::kStream, std::move(frame));
}

void Router::Parts::receive(Instant now, const NodeId& from, RouterMessage message, Effects& out) {
  std::visit([&](auto& held) { accept(now, from, held, out); }, message);
}

// A request to oneself and its answer; pauses bound how often one leads to the other.
void Router::Parts::run_inbox(Instant now, Effects& out) {
  while (!inbox.empty()) {
    for (RouterMessage& message : std::exchange(inbox, {})) {
      receive(now, self, std::move(message), out);
    }
  }
}

Router::Router(NodeId self, Groups& groups, Random random)
    : parts_(std::make_unique<Parts>(self, groups, random)) {}

Router::~Router() = default;

void Router::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kRouter)) return;
  Result<RouterMessage> message = decode<RouterMessage>(frame.subspan(1));
  if (!message || from == parts_->self) return;
  parts_->receive(now, from, *std::move(message), out);
  parts_->run_inbox(now, out);
}

void Router::tick(Instant now, Effects& out) {
  if (parts_->seen_version != parts_->groups.parts_->route_version) {
    parts_->leaders_changed(now, out);
  }
  std::vector<std::uint64_t> due;
  for (const auto& [at, id] : parts_->asked_due) {
    if (at > now) break;
    due.push_back(id);
  }
  for (const std::uint64_t id : due) {
    const auto found = parts_->asked.find(id);
    if (found != parts_->asked.end()) parts_->tick_asked(now, found->second, out);
  }
  due.clear();
  for (const auto& [at, handle] : parts_->served_due) {
    if (at > now) break;
    due.push_back(handle);
  }
  for (const std::uint64_t handle : due) parts_->tick_served(now, handle, out);
  parts_->run_inbox(now, out);
}

Instant Router::next_deadline() const {
  const bool has_any = !parts_->asked.empty() || !parts_->served.empty();
  if (has_any && parts_->seen_version != parts_->groups.parts_->route_version) return Instant{};
  Instant at = Instant::never();
  if (!parts_->asked_due.empty()) at = std::min(at, parts_->asked_due.begin()->first);
  if (!parts_->served_due.empty()) at = std::min(at, parts_->served_due.begin()->first);
  return at;
}

std::vector<RouterEvent> Router::take_events() {
  return std::exchange(parts_->events, {});
}

void Router::request(Instant now, std::uint64_t token, GroupId group, Bytes body, Instant deadline,
                     Effects& out) {
  const auto refuse = [&](Code code, std::string text) {
    parts_->events.emplace_back(RouterReply{token, fail(code, std::move(text))});
  };
  if (parts_->asked.size() >= kMaxRequests) {
    return refuse(Code::kLimit, "this node has too many requests under way");
  }
  if (group.value >= parts_->groups.parts_->config.group_count) {
    return refuse(Code::kNotFound, "there is no group " + std::to_string(group.value));
  }
  if (body.size() > kMaxBody) {
    return refuse(Code::kLimit,
                  "a request may have " + std::to_string(kMaxBody) + " bytes at most");
  }
  const std::uint64_t id = ++parts_->next_id;
  Parts::Asked& asked = parts_->asked[id];
  asked.id = id;
  asked.token = token;
  asked.group = group;
  asked.body = std::move(body);
  asked.deadline = std::min(deadline, now + kMaxWait);
  asked.due = Instant::never();
  parts_->by_token[token] = id;
  parts_->ask(now, asked, out);
  parts_->run_inbox(now, out);
}

void Router::cancel(std::uint64_t token) {
  const auto found = parts_->by_token.find(token);
  if (found == parts_->by_token.end()) return;
  const auto asked = parts_->asked.find(found->second);
  parts_->asked_due.erase({asked->second.due, asked->first});
  parts_->asked.erase(asked);
  parts_->by_token.erase(found);
}

void Router::reply(Instant now, std::uint64_t handle, Result<Bytes> result, Effects& out) {
  const auto found = parts_->served.find(handle);
  if (found == parts_->served.end()) return;
  const Parts::Served served = found->second;
  parts_->drop_served(handle);
  if (result && result->size() > kMaxBody) {
    result = fail(Code::kLimit, "the answer has more than " + std::to_string(kMaxBody) + " bytes");
  }
  if (result) {
    parts_->send(served.from, RouterAnswer{served.id, *std::move(result)}, out);
  } else if (result.error().code == Code::kUnreachable) {
    parts_->send_elsewhere(served.from, served.id, served.group, out);
  } else {
    parts_->send(served.from,
                 RouterRefusal{served.id, static_cast<std::uint8_t>(result.error().code),
                               result.error().message, result.error().hint},
                 out);
  }
  parts_->run_inbox(now, out);
}

}  // namespace dunlin
