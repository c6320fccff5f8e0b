#include "sched/job_lists.h"

#include <algorithm>

#include "sched/job_views.h"

namespace dunlin::sched {

namespace {

bool is_newer(const JobSummary& a, const JobSummary& b) {
  if (a.submitted_at != b.submitted_at) return a.submitted_at > b.submitted_at;
  return a.id < b.id;
}

// Keeps the newest; true when some had to go.
bool cut_to(std::vector<JobSummary>& jobs, std::size_t limit) {
  std::sort(jobs.begin(), jobs.end(), is_newer);
  if (jobs.size() <= limit) return false;
  jobs.resize(limit);
  return true;
}

std::size_t limit_of(const ListJobs& query) {
  return std::clamp(query.limit, 1U, kMaxListed);
}

}  // namespace

JobLists::JobLists(const JobMachine& machine, const Coordinator& coordinator,
                   const GroupLeaders& leaders, std::uint16_t group_count,
                   std::uint64_t first_token)
    : machine_(machine),
      coordinator_(coordinator),
      leaders_(leaders),
      group_count_(group_count),
      next_token_(first_token) {}

// ---- answering ----------------------------------------------------------------------------------

JobLists::Rank JobLists::rank_here(GroupId group) const {
  if (coordinator_.leads(group)) return Rank::kLed;
  if (machine_.jobs(group) == nullptr) return Rank::kNone;
  return leaders_.is_served(group) ? Rank::kReplicated : Rank::kOrphaned;
}

void JobLists::add_group(const AskJobs& question, GroupId group, JobsReply& reply) const {
  const Rank rank = rank_here(group);
  if (rank == Rank::kNone) return;
  if (rank == Rank::kLed) reply.led.push_back(group);
  if (rank == Rank::kReplicated) reply.replicated.push_back(group);
  if (rank == Rank::kOrphaned) reply.orphaned.push_back(group);
  std::vector<std::uint32_t> counts(static_cast<std::size_t>(JobState::kLast) + 1);
  const JobMachine::Jobs* jobs = machine_.jobs(group);
  if (jobs == nullptr) return;
  for (const auto& [id, job] : *jobs) {
    if (!question.count_only && !matches(question.query, *job, question.now)) continue;
    JobSummary summary = summary_of(*job);
    coordinator_.complete(*job, group, summary);
    ++counts[static_cast<std::size_t>(summary.state)];
    if (question.count_only) continue;
    if (question.query.state && *question.query.state != summary.state) continue;
    reply.jobs.push_back(std::move(summary));
  }
  if (question.count_only) reply.counts.emplace_back(group, std::move(counts));
}

void JobLists::on(Turn& turn, NodeId from, const AskJobs& message) {
  JobsReply reply;
  reply.token = message.token;
  if (message.groups.empty()) {
    for (std::uint16_t i = 0; i < group_count_; ++i) add_group(message, GroupId{i}, reply);
  } else {
    const std::set<GroupId> groups(message.groups.begin(), message.groups.end());
    for (const GroupId group : groups) add_group(message, group, reply);
  }
  reply.cut = cut_to(reply.jobs, limit_of(message.query));
  const std::vector<JobSummary> jobs = std::move(reply.jobs);
  reply.parts = static_cast<std::uint32_t>(jobs.size() / kMaxPart + 1);
  for (reply.part = 0; reply.part < reply.parts; ++reply.part) {
    const auto first = jobs.begin() + static_cast<std::ptrdiff_t>(reply.part * kMaxPart);
    const auto left = static_cast<std::size_t>(jobs.end() - first);
    reply.jobs.assign(first, first + static_cast<std::ptrdiff_t>(std::min(left, kMaxPart)));
    turn.send(from, reply);
  }
}

void JobLists::on(Turn& turn, NodeId from, const AskJob& message) {
  JobReply reply;
  reply.token = message.token;
  const GroupId group = message.job.is_none() ? GroupId{} : message.job.group(group_count_);
  if (const Job* job = machine_.find(group, message.job)) {
    JobView view{summary_of(*job), *job->spec()};
    coordinator_.complete(*job, group, view.job);
    reply.job = std::move(view);
    reply.changed = job->head.changed;
  }
  turn.send(from, reply);
}

// ---- gathering ----------------------------------------------------------------------------------

void JobLists::list(Turn& turn, std::uint64_t request, const ListJobs& query) {
  Gather gather;
  gather.request = request;
  gather.query = query;
  start(turn, std::move(gather));
}

void JobLists::count(Turn& turn, std::uint64_t request) {
  Gather gather;
  gather.request = request;
  gather.count_only = true;
  start(turn, std::move(gather));
}

void JobLists::start(Turn& turn, Gather gather) {
  if (gathers_.size() >= kMaxGathers) {
    if (gather.count_only) {
      turn.raise(JobsCounted{gather.request, {}, group_count_});
    } else {
      turn.raise(Answer{gather.request, fail(Code::kLimit, "too many lists at this node")});
    }
    return;
  }
  const std::uint64_t token = next_token_++;
  gather.ask_at = turn.now + kGatherSecond;
  gather.until = turn.now + kGatherPatience;
  gather.ranks.resize(group_count_, Rank::kNone);
  std::vector<GroupId> all;
  for (std::uint16_t i = 0; i < group_count_; ++i) all.push_back(GroupId{i});
  GroupLeaders::Addressees to = leaders_.addressees(all);
  if (!to.unled.empty()) {
    for (const NodeId& node : leaders_.reachable()) {
      auto& groups = to.leaders[node];
      groups.insert(groups.end(), to.unled.begin(), to.unled.end());
    }
  }
  for (auto& [node, groups] : to.leaders) {
    gather.waiting.insert(node);
    turn.send(node, AskJobs{token, std::move(groups), gather.query, turn.wall, gather.count_only});
  }
  gathers_[token] = std::move(gather);
}

void JobLists::ask_all(Turn& turn, std::uint64_t token, Gather& gather) {
  gather.ask_at = Instant::never();
  std::vector<GroupId> lacking;
  for (std::uint16_t i = 0; i < group_count_; ++i) {
    if (gather.ranks[i] < Rank::kReplicated) lacking.push_back(GroupId{i});
  }
  for (const NodeId& node : leaders_.reachable()) {
    gather.waiting.insert(node);
    turn.send(node, AskJobs{token, lacking, gather.query, turn.wall, gather.count_only});
  }
}

bool JobLists::is_complete(const Gather& gather) const {
  return std::all_of(gather.ranks.begin(), gather.ranks.end(),
                     [](Rank rank) { return rank >= Rank::kReplicated; });
}

void JobLists::on(Turn& turn, NodeId from, const JobsReply& message) {
  const auto at = gathers_.find(message.token);
  if (at == gathers_.end()) return;
  Gather& gather = at->second;
  std::map<GroupId, Rank> ranks;
  for (const GroupId group : message.orphaned) ranks[group] = Rank::kOrphaned;
  for (const GroupId group : message.replicated) ranks[group] = Rank::kReplicated;
  for (const GroupId group : message.led) ranks[group] = Rank::kLed;
  merge(gather, message, ranks);
  std::set<std::uint32_t>& parts = gather.parts[from];
  parts.insert(message.part);
  if (parts.size() < message.parts) return;
  parts.clear();
  gather.waiting.erase(from);
  for (const auto& [group, rank] : ranks) {
    if (group.value >= group_count_) continue;
    gather.ranks[group.value] = std::max(gather.ranks[group.value], rank);
  }
  if (is_complete(gather)) {
    finish(turn, message.token);
  } else if (gather.waiting.empty()) {
    // Groups that elect or move have an answer a moment later.
    const bool is_first = gather.ask_at != Instant::never();
    if (is_first) {
      ask_all(turn, message.token, gather);
    } else {
      gather.ask_at = turn.now + kGatherAgain;
    }
  }
}

// Who is nearer to the truth about a group is believed.
void JobLists::merge(Gather& gather, const JobsReply& message,
                     const std::map<GroupId, Rank>& ranks) {
  gather.cut |= message.cut;
  for (const JobSummary& job : message.jobs) {
    if (job.id.is_none()) continue;
    const auto rank = ranks.find(job.id.group(group_count_));
    if (rank == ranks.end()) continue;
    auto& known = gather.jobs[job.id];
    if (rank->second >= known.first) known = {rank->second, job};
  }
  for (const auto& [group, counts] : message.counts) {
    const auto rank = ranks.find(group);
    if (rank == ranks.end()) continue;
    auto& known = gather.counts[group];
    if (rank->second >= known.first) known = {rank->second, counts};
  }
}

void JobLists::finish(Turn& turn, std::uint64_t token) {
  const Gather gather = std::move(gathers_.at(token));
  gathers_.erase(token);
  const auto silent =
      static_cast<std::uint32_t>(std::count_if(gather.ranks.begin(), gather.ranks.end(),
                                               [](Rank rank) { return rank < Rank::kReplicated; }));
  if (gather.count_only) {
    std::vector<std::uint32_t> sums(static_cast<std::size_t>(JobState::kLast) + 1);
    for (const auto& [group, counts] : gather.counts) {
      for (std::size_t i = 0; i < std::min(sums.size(), counts.second.size()); ++i) {
        sums[i] += counts.second[i];
      }
    }
    turn.raise(JobsCounted{gather.request, std::move(sums), silent});
    return;
  }
  JobList list;
  list.silent_groups = silent;
  for (const auto& [id, job] : gather.jobs) list.jobs.push_back(job.second);
  list.cut = cut_to(list.jobs, limit_of(gather.query)) || gather.cut;
  turn.raise(Answer{gather.request, std::move(list)});
}

// ---- one job, without a quorum ------------------------------------------------------------------

void JobLists::show_stale(Turn& turn, std::uint64_t request, const JobId& job) {
  if (stales_.size() >= kMaxGathers) {
    turn.raise(Answer{request, fail(Code::kLimit, "too many requests at this node")});
    return;
  }
  const std::uint64_t token = next_token_++;
  Stale& stale = stales_[token];
  stale.request = request;
  stale.job = job;
  stale.until = turn.now + kGatherPatience;
  for (const NodeId& node : leaders_.reachable()) {
    stale.waiting.insert(node);
    turn.send(node, AskJob{token, job});
  }
}

void JobLists::on(Turn& turn, NodeId from, const JobReply& message) {
  const auto at = stales_.find(message.token);
  if (at == stales_.end()) return;
  Stale& stale = at->second;
  stale.waiting.erase(from);
  const bool is_better =
      message.job && message.job->job.id == stale.job &&
      (!stale.best || stale.best->changed < message.changed ||
       (stale.best->changed == message.changed && message.job->job.coordinator.has_value()));
  if (is_better) stale.best = message;
  if (stale.waiting.empty()) finish_stale(turn, message.token);
}

void JobLists::finish_stale(Turn& turn, std::uint64_t token) {
  const Stale stale = std::move(stales_.at(token));
  stales_.erase(token);
  if (stale.best) {
    turn.raise(Answer{stale.request, *stale.best->job});
  } else {
    turn.raise(
        Answer{stale.request, fail(Code::kNotFound, "no replica knows job " + stale.job.text())});
  }
}

void JobLists::tick(Turn& turn) {
  std::vector<std::uint64_t> over;
  for (auto& [token, gather] : gathers_) {
    if (gather.until <= turn.now) {
      over.push_back(token);
    } else if (gather.ask_at <= turn.now) {
      ask_all(turn, token, gather);
    }
  }
  for (const std::uint64_t token : over) finish(turn, token);
  over.clear();
  for (const auto& [token, stale] : stales_) {
    if (stale.until <= turn.now) over.push_back(token);
  }
  for (const std::uint64_t token : over) finish_stale(turn, token);
}

Instant JobLists::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [token, gather] : gathers_) {
    next = std::min({next, gather.ask_at, gather.until});
  }
  for (const auto& [token, stale] : stales_) next = std::min(next, stale.until);
  return next;
}

}  // namespace dunlin::sched
