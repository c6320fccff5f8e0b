#include "sched/event_reader.h"

#include <algorithm>

#include "base/random.h"

namespace dunlin::sched {

namespace {

// Each group's events in their order; between groups the earlier time first.
std::vector<JobEvent> mixed(std::vector<std::vector<JobEvent>> groups) {
  using Head = std::pair<WallTime, std::size_t>;
  std::set<Head> heads;
  std::vector<std::size_t> next(groups.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    count += groups[i].size();
    if (!groups[i].empty()) heads.emplace(groups[i].front().time, i);
  }
  std::vector<JobEvent> events;
  events.reserve(count);
  while (!heads.empty()) {
    const std::size_t group = heads.begin()->second;
    heads.erase(heads.begin());
    events.push_back(std::move(groups[group][next[group]]));
    if (++next[group] < groups[group].size()) {
      heads.emplace(groups[group][next[group]].time, group);
    }
  }
  return events;
}

// Nearer to the truth: nothing lacks, a leader is known, it goes further.
bool is_better(const GroupEvents& a, const GroupEvents& b) {
  const bool a_has_all = a.floor < a.from.index;
  const bool b_has_all = b.floor < b.from.index;
  if (a_has_all != b_has_all) return a_has_all;
  if (!a_has_all && a.floor != b.floor) return a.floor < b.floor;
  if (a.is_served != b.is_served) return a.is_served;
  return a.next > b.next;
}

bool is_sane(const GroupEvents& part) {
  EventPlace at = part.from;
  for (const EventRun& run : part.runs) {
    if (!is_well_formed(run) || run.place < at) return false;
    at = run.end();
  }
  return part.next >= at;
}

}  // namespace

EventReader::EventReader(const EventLog& log, const Coordinator& coordinator,
                         const GroupLeaders& leaders, std::uint16_t group_count,
                         std::uint64_t first_token, std::uint64_t chance)
    : log_(log),
      coordinator_(coordinator),
      leaders_(leaders),
      group_count_(group_count),
      next_token_(first_token),
      next_reader_(chance | 1) {}

// ---- answering ----------------------------------------------------------------------------------

// One that this node leads may have no entry yet.
bool EventReader::is_known(GroupId group) const {
  return log_.knows(group) || coordinator_.leads(group);
}

bool EventReader::has_news(const AskEvents& question) const {
  return std::any_of(question.groups.begin(), question.groups.end(), [&](const auto& wanted) {
    return !is_known(wanted.first) || log_.has_news(wanted.first, wanted.second, question.job);
  });
}

void EventReader::on(Turn& turn, NodeId from, const AskEvents& message) {
  if (message.groups.size() > group_count_) return;
  const Duration hold = std::min(message.hold, kMostEventHold);
  const Asker asker{from, message.reader};
  if (held_.contains(asker)) release(asker);
  if (hold.us <= 0 || has_news(message) || held_.size() >= kMaxHeldQuestions) {
    begin_answer(turn, from, message);
    return;
  }
  held_[asker] = {message, turn.now + hold};
  for (const auto& [group, place] : message.groups) waiting_[group][asker] = place;
}

AskEvents EventReader::release(const Asker& asker) {
  AskEvents question = std::move(held_.extract(asker).mapped().question);
  for (const auto& [group, place] : question.groups) {
    const auto waiting = waiting_.find(group);
    if (waiting == waiting_.end()) continue;
    waiting->second.erase(asker);
    if (waiting->second.empty()) waiting_.erase(waiting);
  }
  return question;
}

void EventReader::begin_answer(Turn& turn, NodeId to, const AskEvents& question) {
  AppliedWanted wanted{next_token_++, {}};
  for (const auto& [group, from] : question.groups) wanted.groups.push_back(group);
  answering_[wanted.token] = {to, question};
  turn.raise(std::move(wanted));
}

void EventReader::on_applied(Turn& turn, std::uint64_t token) {
  const auto asked = answering_.extract(token);
  if (!asked.empty()) answer(turn, asked.mapped().first, asked.mapped().second);
}

void EventReader::answer(Turn& turn, NodeId to, const AskEvents& question) const {
  EventsReply reply{question.token, question.reader, question.job, {}};
  std::size_t events = std::min<std::size_t>(question.limit, kMaxEventsListed);
  std::size_t bytes = kMaxEventFrameBytes;
  // What one answer holds may be less than what there is: each time another group comes first.
  const std::size_t count = question.groups.size();
  const std::size_t first = count == 0 ? 0 : mix64(question.token) % count;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [group, from] = question.groups[(first + i) % count];
    if (!is_known(group)) continue;
    GroupEvents part;
    if (log_.knows(group)) {
      part = log_.read(group, from, question.job, events, bytes);
    } else {
      part.group = group;
      part.from = part.next = from;
    }
    part.is_served = leaders_.is_served(group);
    reply.groups.push_back(std::move(part));
  }
  turn.send(to, reply);
}

void EventReader::applied(Turn& turn, GroupId group) {
  const auto waiting = waiting_.find(group);
  if (waiting == waiting_.end()) return;
  std::vector<Asker> due;
  for (auto& [asker, seen] : waiting->second) {
    if (!is_known(group) || log_.has_news(group, seen, held_.at(asker).question.job)) {
      due.push_back(asker);
    } else if (log_.knows(group)) {
      seen = std::max(seen, log_.end_of(group));
    }
  }
  for (const Asker& asker : due) begin_answer(turn, asker.first, release(asker));
}

// ---- gathering ----------------------------------------------------------------------------------

void EventReader::list(Turn& turn, std::uint64_t request, const ListEvents& query) {
  if (gathers_.size() >= kMaxEventGathers) {
    turn.raise(EventsListed{request, fail(Code::kLimit, "too many read events at this node",
                                          "ask another node, or try again")});
    return;
  }
  Gather gather;
  gather.request = request;
  gather.query = query;
  gather.query.hold = std::min(query.hold, kMostEventHold);
  if (gather.query.reader == 0 || is_reading(gather.query.reader)) {
    gather.query.reader = next_reader_++;
  }
  const auto add = [&](GroupId group) {
    const auto known = query.after.find(group);
    Wanted& wanted = gather.groups[group];
    wanted.is_first = known == query.after.end();
    if (!wanted.is_first) wanted.from = known->second;
  };
  if (query.job.is_none()) {
    for (std::uint16_t i = 0; i < group_count_; ++i) add(GroupId{i});
  } else {
    add(query.job.group(group_count_));
  }
  start(turn, std::move(gather));
}

// Two clients that go on from one cursor would take each other's place wherever they are held.
bool EventReader::is_reading(std::uint64_t reader) const {
  return std::any_of(gathers_.begin(), gathers_.end(),
                     [&](const auto& gather) { return gather.second.query.reader == reader; });
}

std::uint64_t EventReader::ask(Turn& turn, const Gather& gather, const NodeId& node,
                               const std::vector<GroupId>& groups, Duration hold) {
  AskEvents question;
  question.token = next_token_++;
  question.reader = gather.query.reader;
  question.job = gather.query.job;
  question.hold = hold;
  question.limit = static_cast<std::uint32_t>(gather.limit);
  for (const GroupId group : groups) {
    question.groups.emplace_back(group, gather.groups.at(group).from);
  }
  turn.send(node, question);
  return question.token;
}

void EventReader::start(Turn& turn, Gather gather) {
  const bool holds = gather.query.hold.us > 0;
  gather.hold_until = turn.now + gather.query.hold;
  gather.until = gather.hold_until + (holds ? kEventHeldPatience : kEventPatience);
  if (!holds) gather.ask_at = turn.now + kEventSecond;
  std::vector<GroupId> wanted;
  for (const auto& [group, place] : gather.groups) wanted.push_back(group);
  const GroupLeaders::Addressees to = leaders_.addressees(wanted);
  constexpr std::size_t kLeast = 256;
  gather.limit = std::max(kLeast, kMaxEventsListed / std::max<std::size_t>(1, to.leaders.size()));
  for (const auto& [node, groups] : to.leaders) {
    const std::uint64_t token = ask(turn, gather, node, groups, gather.query.hold);
    gather.held.insert(token);
    for (const GroupId group : groups) gather.groups[group].question = token;
  }
  if (!to.unled.empty()) ask_all(turn, gather, to.unled);
  gathers_.emplace(next_token_++, std::move(gather));
}

// At once: whoever has no replica says so, and whoever has lost its leader may never have news.
void EventReader::ask_all(Turn& turn, Gather& gather, const std::vector<GroupId>& groups) {
  for (const GroupId group : groups) gather.groups.at(group).asked_all = true;
  for (const NodeId& node : leaders_.reachable()) {
    gather.polled.insert(ask(turn, gather, node, groups, {}));
  }
}

void EventReader::take(Gather& gather, const EventsReply& reply) {
  for (const GroupEvents& part : reply.groups) {
    const auto wanted = gather.groups.find(part.group);
    if (wanted == gather.groups.end() || part.from != wanted->second.from) continue;
    if (!is_sane(part)) continue;
    auto& best = wanted->second.best;
    if (!best || is_better(part, *best)) best = part;
  }
}

void EventReader::on(Turn& turn, NodeId, const EventsReply& reply) {
  for (auto at = gathers_.begin(); at != gathers_.end();) {
    const auto here = at++;
    Gather& gather = here->second;
    if (gather.query.reader != reply.reader || gather.query.job != reply.job) continue;
    take(gather, reply);
    const bool is_leader = gather.held.erase(reply.token) > 0;
    gather.polled.erase(reply.token);
    std::vector<GroupId> lacking;
    for (const auto& [group, wanted] : gather.groups) {
      const bool was_asked = is_leader && wanted.question == reply.token;
      if (was_asked && !wanted.is_settled() && !wanted.asked_all) lacking.push_back(group);
    }
    if (!lacking.empty()) ask_all(turn, gather, lacking);
    if (judge(turn, gather)) finish(turn, here);
  }
}

bool EventReader::judge(Turn& turn, Gather& gather) {
  if (gather.until <= turn.now || gather.finish_at <= turn.now) return true;
  if (gather.query.hold.us > 0) return judge_held(turn, gather);
  // What no leader has to the end may be better known elsewhere, and what nobody knows is to be
  // known a moment later: groups elect or move.
  bool is_complete = true, is_silent = false;
  for (const auto& [group, wanted] : gather.groups) {
    is_complete = is_complete && wanted.is_settled();
    is_silent = is_silent || !wanted.best || !wanted.best->is_served;
  }
  if (is_complete) return true;
  if (!gather.held.empty() || !gather.polled.empty()) return false;
  if (!is_silent) return true;
  gather.ask_at = std::min(gather.ask_at, turn.now + kEventAgain);
  return false;
}

bool EventReader::judge_held(Turn& turn, Gather& gather) {
  bool is_news = false;
  for (const auto& [group, wanted] : gather.groups) {
    const bool is_gap = wanted.best && !wanted.has_all();
    is_news = is_news || (is_gap ? gather.polled.empty() : wanted.has_news());
  }
  if (is_news) {
    gather.finish_at = std::min(gather.finish_at, turn.now + kEventGrace);
    return gather.held.empty() && gather.polled.empty();
  }
  if (!gather.held.empty() || !gather.polled.empty()) return false;
  if (gather.hold_until <= turn.now) return true;
  gather.ask_at = std::min({gather.ask_at, turn.now + kEventAgain, gather.hold_until});
  return false;
}

void EventReader::finish(Turn& turn, Gathers::iterator at) {
  const Gather gather = std::move(at->second);
  gathers_.erase(at);
  const bool is_over = gather.until <= turn.now;
  EventList list;
  list.reader = gather.query.reader;
  std::vector<std::vector<JobEvent>> events;
  for (const auto& [group, wanted] : gather.groups) {
    if (!wanted.is_first) list.next[group] = wanted.from;
    // Whoever holds the question has no news: he is silent only once the hold is over.
    const bool is_held =
        !is_over && gather.query.hold.us > 0 && gather.held.contains(wanted.question);
    if (!is_held && (!wanted.best || !wanted.best->is_served)) ++list.silent_groups;
    if (!wanted.best) continue;
    if (!wanted.has_all() && !wanted.is_first) ++list.missed_groups;
    list.is_more = list.is_more || wanted.best->is_more;
    list.next[group] = std::max(wanted.from, wanted.best->next);
    std::vector<JobEvent> own;
    for (const EventRun& run : wanted.best->runs) {
      for (std::uint32_t i = 0; i < run.count; ++i) own.push_back(event_of(group, run, i));
    }
    events.push_back(std::move(own));
  }
  list.events = mixed(std::move(events));
  turn.raise(EventsListed{gather.request, std::move(list)});
}

void EventReader::hurry(Turn& turn, std::uint64_t request) {
  for (auto& [number, gather] : gathers_) {
    if (gather.request != request || gather.query.hold.us <= 0) continue;
    gather.finish_at = std::min(gather.finish_at, turn.now + kEventGrace);
  }
}

void EventReader::forget(std::uint64_t request) {
  std::erase_if(gathers_, [&](const auto& gather) { return gather.second.request == request; });
}

void EventReader::tick(Turn& turn) {
  for (auto at = gathers_.begin(); at != gathers_.end();) {
    const auto here = at++;
    Gather& gather = here->second;
    if (gather.ask_at <= turn.now) {
      gather.ask_at = Instant::never();
      std::vector<GroupId> lacking;
      for (const auto& [group, wanted] : gather.groups) {
        if (!wanted.is_settled()) lacking.push_back(group);
      }
      if (!lacking.empty()) ask_all(turn, gather, lacking);
    }
    if (judge(turn, gather)) finish(turn, here);
  }
  std::vector<Asker> over;
  for (const auto& [asker, held] : held_) {
    if (held.until <= turn.now) over.push_back(asker);
  }
  for (const Asker& asker : over) begin_answer(turn, asker.first, release(asker));
}

Instant EventReader::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, gather] : gathers_) {
    next = std::min({next, gather.until, gather.ask_at, gather.finish_at});
  }
  for (const auto& [key, held] : held_) next = std::min(next, held.until);
  return next;
}

}  // namespace dunlin::sched
