// Jobs that wait for others, of the same group or of another. The one that waits has itself entered
// as a watcher in the other's log, and asks for that again after every takeover; the one that ends
// tells its watchers until their groups have acknowledged it, and is kept until then.
#include <algorithm>

#include "sched/coordinator.h"
#include "sched/group_requests.h"

namespace dunlin::sched {

namespace {

constexpr Duration kQuestionPatience = seconds(10);
constexpr Duration kAskAgain = seconds(2);

}  // namespace

// All that are not known to be over are asked, once this lead begins or the job runs again. What
// they said before that counts no more: who had nobody waiting for it has told nobody.
void Coordinator::await_others(Turn& turn, Led& at) {
  std::erase_if(questions_, [&](const auto& item) {
    return item.second.job == at.job.id && !item.second.tells;
  });
  const auto& met = at.job.head.met;
  const std::shared_ptr<const JobSpec> spec = at.job.spec();
  for (const Dependency& dependency : spec->after) {
    if (std::find(met.begin(), met.end(), dependency.job) != met.end()) continue;
    at.led.unasked[dependency.job] = turn.now;
  }
}

void Coordinator::ask_others(Turn& turn, Led& at) {
  for (auto& [other, when] : at.led.unasked) {
    if (when > turn.now) continue;
    when = Instant::never();
    const std::uint64_t token = next_token_++;
    questions_[token] = {at.id, at.job.id, other, false};
    turn.raise(AskGroup{token, other.group(config_.group_count),
                        encode(GroupRequest{AwaitJob{other, at.job.id}}),
                        turn.now + kQuestionPatience});
  }
}

bool Coordinator::on_group_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply) {
  const auto asked = questions_.find(token);
  if (asked == questions_.end()) return false;
  const Question question = asked->second;
  questions_.erase(asked);
  LedGroup* group = led_group(question.group);
  if (group == nullptr) return true;
  const bool is_unknown = !reply && reply.error().code == Code::kNotFound;
  if (question.tells) {
    const auto untold = group->untold.find({question.job, question.other});
    if (untold == group->untold.end() || untold->second.token != token) return true;
    untold->second = {turn.now + kAskAgain, 0};
    due(untold->second.next);
    if (!reply && !is_unknown) return true;
    propose(turn, question.group, *group, WatcherCommand{question.job, question.other, true});
    return true;
  }
  std::optional<Led> at = find(question.group, question.job);
  if (!at || at->job.is_final()) return true;
  if (reply) {
    at->led.unasked.erase(question.other);
    return true;
  }
  const auto unasked = at->led.unasked.find(question.other);
  if (unasked == at->led.unasked.end()) return true;
  unasked->second = turn.now + kAskAgain;
  if (is_unknown) {
    // It never was, or is gone: nobody will ever tell.
    propose(turn, question.group, *group,
            OutcomeCommand{question.job, question.other, false, turn.wall});
  }
  changed(turn, *at);
  return true;
}

void Coordinator::applied_outcome(Turn& turn, GroupId group, const OutcomeCommand& command) {
  touched_.insert(command.job);
  std::optional<Led> at = find(group, command.job);
  if (!at) return;
  at->led.unasked.erase(command.dependency);
  if (at->job.is_final()) {
    finish_job(turn, *at);
    return;
  }
  review_hold(turn, *at);
  changed(turn, *at);
}

void Coordinator::applied_watcher(Turn& turn, GroupId id, const WatcherCommand& command) {
  LedGroup& group = groups_.at(id);
  if (command.has_heard) {
    group.untold.erase({command.job, command.watcher});
    group.sweep_at = std::min(group.sweep_at, turn.now + kLeastKeep);
    due(group.sweep_at);
    return;
  }
  if (const Job* job = machine_.find(id, command.job)) note_watchers(turn, group, *job);
}

// Those of a job that is over are told how it ended.
void Coordinator::note_watchers(Turn& turn, LedGroup& group, const Job& job) {
  if (!job.is_final()) return;
  for (const JobId& watcher : job.head.watchers) {
    const auto [entry, is_new] = group.untold.try_emplace({job.id, watcher}, Telling{turn.now});
    if (is_new) due(turn.now);
  }
}

void Coordinator::tell_again(Instant now, GroupId id, const JobId& job, const JobId& watcher) {
  LedGroup* group = led_group(id);
  if (group == nullptr) return;
  const auto untold = group->untold.find({job, watcher});
  if (untold == group->untold.end()) return;
  untold->second = {now, 0};
  due(now);
}

void Coordinator::tell_watchers(Turn& turn, GroupId id, LedGroup& group) {
  for (auto at = group.untold.begin(); at != group.untold.end();) {
    auto& [jobs, telling] = *at;
    const Job* job = machine_.find(id, jobs.first);
    // A job that runs again will end once more.
    if (job == nullptr || !job->is_final()) {
      at = group.untold.erase(at);
      continue;
    }
    if (telling.next <= turn.now) {
      telling = {turn.now + kQuestionPatience * 2, next_token_++};
      const bool is_done = job->head.state == JobState::kDone;
      questions_[telling.token] = {id, jobs.first, jobs.second, true};
      turn.raise(AskGroup{telling.token, jobs.second.group(config_.group_count),
                          encode(GroupRequest{TellOutcome{jobs.second, jobs.first, is_done}}),
                          turn.now + kQuestionPatience});
    }
    ++at;
  }
}

}  // namespace dunlin::sched
