#include "dht/router.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/codec.h"
#include "dht/groups_parts.h"

namespace dunlin {

namespace {

constexpr Duration kFirstResend = milliseconds(300);
constexpr Duration kMostResend = seconds(2);
// A long poll rests with a leader that has taken it; now and then it is asked whether it still has
// it (it may have been restarted without anybody noticing).
constexpr Duration kHeldResend = seconds(5);
// Without anybody to ask, the next look at what the groups know.
constexpr Duration kNobody = milliseconds(200);

struct Ask {
  std::uint64_t id = 0;
  Boot boot = 0;  // of the asker: ids are its own, and begin anew with each life
  GroupId group;
  Duration patience;
  NodeId denied;  // whom the asker was told to believe in, in vain
  Bytes body;
  static constexpr auto fields() {
    return std::tuple{&Ask::id, &Ask::boot, &Ask::group, &Ask::patience, &Ask::denied, &Ask::body};
  }
};
// The leader has it, and answers when it can.
struct Taken {
  std::uint64_t id = 0;
  static constexpr auto fields() { return std::tuple{&Taken::id}; }
};
struct Answered {
  std::uint64_t id = 0;
  bool ok = false;
  Bytes body;
  std::uint8_t code = 0;
  std::string message;
  std::string hint;
  static constexpr auto fields() {
    using A = Answered;
    return std::tuple{&A::id, &A::ok, &A::body, &A::code, &A::message, &A::hint};
  }
};
struct Elsewhere {
  std::uint64_t id = 0;
  std::optional<NodeId> leader;
  static constexpr auto fields() { return std::tuple{&Elsewhere::id, &Elsewhere::leader}; }
};
using RouterMessage = std::variant<Ask, Taken, Answered, Elsewhere>;

Bytes frame_of(RouterMessage message) {
  Bytes frame = encode(message);
  frame.insert(frame.begin(), static_cast<std::uint8_t>(Module::kRouter));
  return frame;
}

}  // namespace

struct Router::Parts {
  // One question of this node.
  struct Question {
    std::uint64_t token = 0;
    GroupId group;
    Bytes body;
    Instant deadline;
    NodeId target;  // asked now; none: nobody was there to ask
    Instant resend_at;
    Duration resend = kFirstResend;
    std::set<NodeId> denied;  // in this round through the candidates
    NodeId hint;              // named by one who denied
    bool held = false;        // the target has taken it
  };
  // One question of another node (or this one), being answered here.
  struct Served {
    NodeId from;
    Boot boot = 0;
    std::uint64_t id = 0;
    GroupId group;
    Instant deadline;
  };

  Parts(NodeId self_id, Groups& groups_used, Random chance)
      : self(self_id), groups(groups_used), random(chance) {}

  std::optional<NodeId> next_target(const Question& question) const;
  void ask(Instant now, std::uint64_t id, Question& question, Effects& out);
  void finish(std::map<std::uint64_t, Question>::iterator question, Result<Bytes> result);
  Error timed_out(const Question& question) const;
  std::string missing_hosts(const GroupConfig& config) const;
  void serve(Instant now, const NodeId& from, Ask& ask, Effects& out);
  void deny(Instant now, const NodeId& from, const Ask& ask, Effects& out);
  void on_elsewhere(Instant now, const NodeId& from, const Elsewhere& message, Effects& out);
  void on_answered(Instant now, const NodeId& from, Answered& message, Effects& out);
  void reroute(Instant now, Effects& out);

  const NodeId self;
  Groups& groups;
  Random random;
  // Drawn at random, so that an answer to a former life's question meets no question of this one.
  std::uint64_t next_id = 0;
  std::uint64_t next_handle = 1;
  std::map<std::uint64_t, Question> questions;
  std::map<std::uint64_t, std::uint64_t> by_token;  // token -> id
  std::map<std::uint64_t, Served> served;
  std::map<std::pair<NodeId, std::uint64_t>, std::uint64_t> by_asker;  // -> handle
  std::uint64_t seen_routes = 0;
  std::vector<RouterEvent> events;
};

Router::Router(NodeId self, Groups& groups, Random random)
    : parts_(std::make_unique<Parts>(self, groups, random)) {
  parts_->next_id = parts_->random.next() >> 1;
}

Router::~Router() = default;

std::vector<RouterEvent> Router::take_events() {
  return std::exchange(parts_->events, {});
}

// ---- asking -------------------------------------------------------------------------------------

void Router::request(Instant now, std::uint64_t token, GroupId group, Bytes body, Instant deadline,
                     Effects& out) {
  Parts& p = *parts_;
  if (p.questions.size() >= kMaxRequests || body.size() > kMaxBody) {
    p.events.push_back(RouterReply{
        token, fail(Code::kLimit, body.size() > kMaxBody
                                      ? "the request is larger than 4 MiB"
                                      : "this node waits for " + std::to_string(kMaxRequests) +
                                            " answers already")});
    return;
  }
  const std::uint64_t id = p.next_id++;
  Parts::Question& question = p.questions[id];
  question.token = token;
  question.group = group;
  question.body = std::move(body);
  question.deadline = std::min(deadline, now + kMaxWait);
  p.by_token[token] = id;
  p.ask(now, id, question, out);
}

void Router::cancel(std::uint64_t token) {
  const auto found = parts_->by_token.find(token);
  if (found == parts_->by_token.end()) return;
  parts_->questions.erase(found->second);
  parts_->by_token.erase(found);
}

// The leader believed in first, then whom a denial named, then the voters known here, then those
// that the placement suggests.
std::optional<NodeId> Router::Parts::next_target(const Question& question) const {
  auto is_open = [&](const NodeId& node) {
    return !node.is_none() && !question.denied.contains(node);
  };
  if (const auto leader = groups.leader(question.group); leader && is_open(*leader)) return leader;
  if (is_open(question.hint)) return question.hint;
  const Peers& peers = groups.parts_->peers;
  std::vector<NodeId> candidates;
  if (const auto config = groups.config(question.group)) {
    for (const Seat& seat : config->all_voters()) candidates.push_back(seat.node);
  }
  const PlacementTarget target =
      groups.parts_->mover.placement().target(question.group, GroupConfig{}, NodeId{});
  candidates.insert(candidates.end(), target.voters.begin(), target.voters.end());
  for (const bool even_suspected : {false, true}) {
    for (const NodeId& node : candidates) {
      if (is_open(node) && (even_suspected || !peers.is_suspected(node))) return node;
    }
  }
  return std::nullopt;
}

void Router::Parts::ask(Instant now, std::uint64_t id, Question& question, Effects& out) {
  const std::optional<NodeId> target = next_target(question);
  question.held = false;
  if (!target) {
    // All have denied, or nobody is known: begin the next round a little later.
    question.target = {};
    question.denied.clear();
    question.hint = {};
    question.resend_at = now + kNobody + random.between(Duration{}, kNobody);
    return;
  }
  Ask message{id,
              groups.parts_->boot,
              question.group,
              question.deadline - now,
              question.denied.empty() ? NodeId{} : *question.denied.begin(),
              question.body};
  question.target = *target;
  question.resend_at = now + question.resend;
  out.send(*target, Channel::kStream, frame_of(std::move(message)));
}

void Router::Parts::finish(std::map<std::uint64_t, Question>::iterator question,
                           Result<Bytes> result) {
  events.push_back(RouterReply{question->second.token, std::move(result)});
  by_token.erase(question->second.token);
  questions.erase(question);
}

std::string Router::Parts::missing_hosts(const GroupConfig& config) const {
  std::string names;
  for (const Seat& seat : config.all_voters()) {
    if (seat.node == self || !groups.parts_->peers.is_suspected(seat.node)) continue;
    names += (names.empty() ? "" : ", ") + seat.node.text();
  }
  return names;
}

Error Router::Parts::timed_out(const Question& question) const {
  const std::string group = "group " + std::to_string(question.group.value);
  Error error{Code::kTimeout, "no leader of " + group + " answered in time",
              "see which hosts are missing: dunlin nodes"};
  if (const auto config = groups.config(question.group)) {
    const std::string missing = missing_hosts(*config);
    if (!missing.empty()) error.message = group + " has no quorum; missing: " + missing;
  }
  return error;
}

void Router::tick(Instant now, Effects& out) {
  Parts& p = *parts_;
  p.reroute(now, out);
  for (auto next = p.questions.begin(); next != p.questions.end();) {
    const auto question = next++;
    if (question->second.deadline <= now) {
      p.finish(question, tl::unexpected(p.timed_out(question->second)));
    } else if (question->second.resend_at <= now) {
      Parts::Question& one = question->second;
      one.resend = one.held ? kHeldResend : std::min(one.resend * 2, kMostResend);
      // Silence is no denial, but another candidate may know better.
      if (!one.target.is_none() && !one.held) one.denied.insert(one.target);
      if (one.denied.size() >= GroupConfig::kMaxSeats) one.denied.clear();
      p.ask(now, question->first, one, out);
    }
  }
  for (auto next = p.served.begin(); next != p.served.end();) {
    const auto one = next++;
    if (one->second.deadline > now) continue;
    p.by_asker.erase({one->second.from, one->second.id});
    p.served.erase(one);
  }
}

// A leader changed somewhere: questions that rest with another node move on at once.
void Router::Parts::reroute(Instant now, Effects& out) {
  if (seen_routes == groups.parts_->route_version) return;
  seen_routes = groups.parts_->route_version;
  for (auto& [id, question] : questions) {
    const auto leader = groups.leader(question.group);
    const bool lost =
        !question.target.is_none() && groups.parts_->peers.is_suspected(question.target);
    if (leader && *leader != question.target) {
      question.denied.clear();
      question.resend = kFirstResend;
      ask(now, id, question, out);
    } else if (lost) {
      question.denied.insert(question.target);
      ask(now, id, question, out);
    }
  }
}

Instant Router::next_deadline() const {
  const Parts& p = *parts_;
  if (!p.questions.empty() && p.seen_routes != p.groups.parts_->route_version) return Instant{};
  Instant next = Instant::never();
  for (const auto& [id, question] : p.questions) {
    next = std::min({next, question.deadline, question.resend_at});
  }
  for (const auto& [handle, one] : p.served) next = std::min(next, one.deadline);
  return next;
}

// ---- messages -----------------------------------------------------------------------------------

void Router::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  Parts& p = *parts_;
  if (frame.empty()) return;
  Result<RouterMessage> message = decode<RouterMessage>(frame.subspan(1));
  if (!message) return;
  if (auto* question = std::get_if<Ask>(&*message)) {
    p.serve(now, from, *question, out);
  } else if (const auto* taken = std::get_if<Taken>(&*message)) {
    const auto found = p.questions.find(taken->id);
    if (found == p.questions.end() || found->second.target != from) return;
    found->second.held = true;
    found->second.resend_at = now + kHeldResend;
  } else if (auto* answered = std::get_if<Answered>(&*message)) {
    p.on_answered(now, from, *answered, out);
  } else {
    p.on_elsewhere(now, from, std::get<Elsewhere>(*message), out);
  }
}

void Router::Parts::on_answered(Instant now, const NodeId& from, Answered& message, Effects& out) {
  const auto found = questions.find(message.id);
  if (found == questions.end()) return;
  if (message.ok) {
    finish(found, std::move(message.body));
    return;
  }
  const auto code = static_cast<Code>(
      std::min<std::uint8_t>(message.code, static_cast<std::uint8_t>(Code::kFailed)));
  if (code == Code::kUnreachable) {
    on_elsewhere(now, from, {message.id, std::nullopt}, out);
    return;
  }
  finish(found, fail(code, std::move(message.message), std::move(message.hint)));
}

void Router::Parts::on_elsewhere(Instant now, const NodeId& from, const Elsewhere& message,
                                 Effects& out) {
  const auto found = questions.find(message.id);
  if (found == questions.end() || found->second.target != from) return;
  Question& question = found->second;
  question.denied.insert(from);
  if (message.leader) question.hint = *message.leader;
  ask(now, message.id, question, out);
}

// ---- answering ----------------------------------------------------------------------------------

void Router::Parts::serve(Instant now, const NodeId& from, Ask& ask, Effects& out) {
  if (ask.group.value >= groups.parts_->config.group_count) return;
  if (!groups.is_leading(ask.group)) {
    deny(now, from, ask, out);
    return;
  }
  const auto known = by_asker.find({from, ask.id});
  if (known != by_asker.end() && served.at(known->second).boot == ask.boot) {
    out.send(from, Channel::kStream, frame_of(Taken{ask.id}));
    return;
  }
  if (served.size() >= kMaxServed) {
    Answered full{ask.id, false, {}, static_cast<std::uint8_t>(Code::kLimit), {}, {}};
    full.message = "the leader serves " + std::to_string(kMaxServed) + " requests already";
    out.send(from, Channel::kStream, frame_of(std::move(full)));
    return;
  }
  const std::uint64_t handle = next_handle++;
  const Duration patience = std::clamp(ask.patience, Duration{}, kMaxWait);
  served[handle] = {from, ask.boot, ask.id, ask.group, now + patience};
  by_asker[{from, ask.id}] = handle;
  events.push_back(RouterRequest{handle, from, ask.group, std::move(ask.body), now + patience});
  if (patience > kHeldResend) out.send(from, Channel::kStream, frame_of(Taken{ask.id}));
}

// A request that finds no leader wakes the group: the leader believed in is asked whether it is.
void Router::Parts::deny(Instant now, const NodeId& from, const Ask& ask, Effects& out) {
  std::optional<NodeId> leader = groups.leader(ask.group);
  if (leader == self) leader.reset();
  if (Raft* raft = groups.parts_->find(ask.group); raft != nullptr) {
    if (leader && *leader == ask.denied) {
      Turn turn = groups.parts_->begin(now, out);
      raft->doubt(turn);
      groups.parts_->settle(turn, ask.group);
      groups.parts_->end(turn);
    }
  }
  out.send(from, Channel::kStream, frame_of(Elsewhere{ask.id, leader}));
}

void Router::reply(Instant, std::uint64_t handle, Result<Bytes> result, Effects& out) {
  Parts& p = *parts_;
  const auto found = p.served.find(handle);
  if (found == p.served.end()) return;
  Answered answer{found->second.id, result.has_value(), {}, 0, {}, {}};
  if (result && result->size() > kMaxBody) {
    result = fail(Code::kLimit, "the answer is larger than 4 MiB", "ask for less");
    answer.ok = false;
  }
  if (result) {
    answer.body = std::move(*result);
  } else {
    answer.code = static_cast<std::uint8_t>(result.error().code);
    answer.message = result.error().message;
    answer.hint = result.error().hint;
  }
  out.send(found->second.from, Channel::kStream, frame_of(std::move(answer)));
  p.by_asker.erase({found->second.from, found->second.id});
  p.served.erase(found);
}

}  // namespace dunlin
