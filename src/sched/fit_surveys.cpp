#include "sched/fit_surveys.h"

#include <algorithm>

#include "sched/group_requests.h"

namespace dunlin::sched {

namespace {

// What there is of what is needed, and nothing else.
Supply part_of(const Room& room, const SchedMember& member, const Supply& needs) {
  Supply part;
  part.room.cpus = room.cpus;
  if (needs.room.memory > 0) part.room.memory = room.memory;
  if (needs.room.devices.gpus > 0) part.room.devices.gpus = room.devices.gpus;
  for (const auto& [name, count] : needs.room.devices.resources) {
    part.room.devices.resources[name] = room.resource(name);
  }
  if (!needs.zone.empty()) part.zone = member.zone;
  for (const auto& [name, value] : needs.labels) {
    const auto at = member.labels.find(name);
    if (at != member.labels.end()) part.labels.insert(*at);
  }
  return part;
}

FitVerdict verdict_for(Fit fit, const SchedMember& member) {
  switch (fit) {
    case Fit::kFits: return FitVerdict::kFits;
    case Fit::kUnusable: return member.draining ? FitVerdict::kDraining : FitVerdict::kLacks;
    case Fit::kRefused: return FitVerdict::kRefused;
    case Fit::kExcluded: return FitVerdict::kExcluded;
    case Fit::kAvoided: return FitVerdict::kBadForJob;
    case Fit::kLacks: return FitVerdict::kLacks;
  }
  return FitVerdict::kLacks;
}

std::string detail_for(FitVerdict verdict, const std::string& user) {
  if (verdict == FitVerdict::kRefused) {
    return "its tasks run as root, which is not for jobs of " + user;
  }
  if (verdict == FitVerdict::kBadForJob) {
    return "tasks of the job failed there within seconds that succeeded elsewhere";
  }
  return {};
}

}  // namespace

Supply needs_of(const JobSpec& spec) {
  return {room_of_task(spec), spec.placement.zone, spec.placement.labels};
}

void FitSurveys::begin(Turn& turn, std::uint64_t handle, const JobId& job, const Wanted& wanted,
                       Explained explained) {
  if (surveys_.size() >= kMaxSurveys) {
    turn.raise(ReplyGroup{handle, fail(Code::kLimit, "too many explanations are under way",
                                       "try again in a second")});
    return;
  }
  const std::uint64_t token = next_token_++;
  Survey& survey = surveys_[token];
  survey.handle = handle;
  survey.user = wanted.user;
  survey.wanted = wanted;
  if (wanted.avoided != nullptr) survey.avoided = *wanted.avoided;
  survey.explained = std::move(explained);
  survey.asked = turn.now;
  survey.asked_at = turn.wall;
  const AskFit question{token, job, survey.user, wanted.spec->priority, room_of_task(*wanted.spec)};
  for (const auto& [node, member] : members_.all()) {
    if (survey.silent.size() >= kMaxSurveyed) break;
    if (members_.is_gone(node)) continue;
    survey.silent.insert(node);
    turn.send(node, question);
  }
  if (survey.silent.empty()) finish(turn, token);
}

void FitSurveys::on(Turn& turn, NodeId from, const FitReply& reply) {
  const auto at = surveys_.find(reply.token);
  if (at == surveys_.end() || at->second.silent.erase(from) == 0) return;
  at->second.replies[from] = reply;
  if (at->second.silent.empty()) finish(turn, reply.token);
}

NodeVerdict FitSurveys::verdict_of(const Survey& survey, const NodeId& node,
                                   const SchedMember& member, Instant now) const {
  NodeVerdict told;
  told.node = node;
  told.name = members_.name_of(node);
  const auto reply = survey.replies.find(node);
  if (reply == survey.replies.end()) {
    const bool is_new = member.state == SchedMemberState::kAlive || member.since == Instant{};
    const Duration age = is_new ? now - survey.asked : now - member.since;
    told.since = {survey.asked_at.ms + (now - survey.asked).milliseconds() - age.milliseconds()};
    return told;
  }
  const FitReply& answer = reply->second;
  told.asked_ms_ago = (now - survey.asked).milliseconds();
  Wanted wanted = survey.wanted;
  wanted.user = survey.user;
  wanted.avoided = &survey.avoided;
  told.verdict = verdict_for(members_.fit(node, wanted), member);
  told.detail = detail_for(told.verdict, survey.user);
  told.note = answer.note;
  const Supply& needs = survey.explained.needs;
  if (told.verdict == FitVerdict::kFits) {
    // The node itself knows what it has since its last start.
    const bool is_there = answer.all.holds(needs.room);
    told.verdict = !is_there                       ? FitVerdict::kLacks
                   : !answer.refusal.empty()       ? FitVerdict::kRefused
                   : answer.free.holds(needs.room) ? FitVerdict::kFits
                                                   : FitVerdict::kFull;
    if (told.verdict == FitVerdict::kRefused) told.detail = answer.refusal;
  }
  const bool is_queued_for = told.verdict == FitVerdict::kFits || told.verdict == FitVerdict::kFull;
  if (is_queued_for) told.ahead = answer.ahead;
  told.has = part_of(told.verdict == FitVerdict::kLacks ? answer.all : answer.free, member, needs);
  return told;
}

void FitSurveys::finish(Turn& turn, std::uint64_t token) {
  const auto at = surveys_.find(token);
  Survey survey = std::move(at->second);
  surveys_.erase(at);
  std::vector<NodeVerdict>& nodes = survey.explained.nodes;
  for (const auto& [node, member] : members_.all()) {
    const bool is_former = member.state == SchedMemberState::kLeft || member.is_retired;
    if (is_former || nodes.size() >= kMaxSurveyed) continue;
    nodes.push_back(verdict_of(survey, node, member, turn.now));
  }
  std::sort(nodes.begin(), nodes.end(), [](const NodeVerdict& a, const NodeVerdict& b) {
    return std::tie(a.verdict, a.name, a.node) < std::tie(b.verdict, b.name, b.node);
  });
  turn.raise(ReplyGroup{survey.handle, encode(GroupAnswer{std::move(survey.explained)})});
}

void FitSurveys::tick(Turn& turn) {
  while (!surveys_.empty() && surveys_.begin()->second.asked + kSurveyPatience <= turn.now) {
    finish(turn, surveys_.begin()->first);
  }
}

Instant FitSurveys::next_deadline() const {
  return surveys_.empty() ? Instant::never() : surveys_.begin()->second.asked + kSurveyPatience;
}

}  // namespace dunlin::sched
