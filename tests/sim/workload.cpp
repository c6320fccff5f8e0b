#include "sim/workload.h"

#include <algorithm>

namespace dunlin::sim {

namespace {

constexpr Duration kHold = seconds(10);
const char* const kUser = "ada";

Duration about(Random& random, Duration mean) {
  return random.between(mean / 4, mean * 7 / 4);
}

}  // namespace

Workload::Workload(SimWorld& world, const WorkloadOptions& options, Random random)
    : world_(world), options_(options), random_(random), history_(world.verdict()) {}

void Workload::begin() {
  next_job();
  next_blob();
}

void Workload::finish(std::vector<HostIndex> hosts) {
  is_over_ = true;
  hosts_ = std::move(hosts);
}

HostIndex Workload::any_host() {
  std::vector<HostIndex> up;
  for (HostIndex i = 0; i < world_.host_count(); ++i) {
    const bool wanted = hosts_.empty() || std::count(hosts_.begin(), hosts_.end(), i) > 0;
    if (wanted && world_.host(i).is_up()) up.push_back(i);
  }
  return up.empty() ? 0 : up[random_.below(up.size())];
}

// ---- submitting ---------------------------------------------------------------------------------

void Workload::next_job() {
  world_.queue().after(about(random_, options_.between_jobs), [this] {
    if (is_over_) return;
    if (random_.chance(0.15)) {
      submit_key();
    } else {
      pick_group();
    }
    next_job();
  });
}

JobSpec Workload::draw_spec() {
  JobSpec spec;
  const bool is_long = random_.chance(0.15);
  const auto time = is_long ? random_.between(5000, 40'000) : random_.between(20, 3000);
  spec.argv = {"simulate", std::to_string(time) + "ms"};
  if (random_.chance(0.5)) {
    spec.argv.push_back("out=" + std::to_string(random_.between(1, 900)));
  }
  if (random_.chance(0.1))
    spec.argv.push_back("out=" + std::to_string(random_.between(5000, 90'000)));
  if (random_.chance(0.2)) spec.argv.push_back("err=" + std::to_string(random_.between(1, 90)));
  if (random_.chance(0.25)) {
    spec.argv.push_back("file=result:" + std::to_string(random_.between(1, 20'000)));
    spec.outputs = {"result"};
  }
  if (random_.chance(0.15)) {
    const std::int64_t fails = random_.between(1, 2);
    spec.argv.push_back("flaky=" + std::to_string(fails));
    spec.retries = static_cast<std::uint32_t>(fails);
  } else if (random_.chance(0.1)) {
    spec.argv.push_back("exit=3");
  }
  if (random_.chance(0.1)) spec.argv.push_back("stubborn");
  spec.grace = seconds(2);
  if (random_.chance(0.6)) {
    const auto count = static_cast<std::uint32_t>(random_.between(2, options_.most_tasks));
    spec.tasks = {{1, count, 1}};
    spec.many = true;
    // One long task after another would take longer than everything must be done in (Q7).
    if (!is_long && random_.chance(0.3))
      spec.limit = static_cast<std::uint32_t>(random_.between(1, 3));
  }
  spec.priority = static_cast<std::int32_t>(random_.between(-2, 2));
  if (!recent_.empty() && random_.chance(0.12)) {
    const std::size_t newest = std::min<std::size_t>(recent_.size(), 4);
    spec.after = {{recent_[recent_.size() - 1 - random_.below(newest)], random_.chance(0.3)}};
  }
  return spec;
}

SubmitJob Workload::draw_job(GroupId group) {
  std::array<std::uint8_t, 10> chance{};
  random_.fill(chance);
  SubmitJob job;
  job.id = JobId::make(group, world_.options().groups, chance);
  job.user = kUser;
  job.spec = draw_spec();
  return job;
}

void Workload::pick_group() {
  const HostIndex at = any_host();
  world_.host(at).ask(
      client::Request(client::PickGroup{}), [this, at](Result<client::Answer> answer, bool) {
        const auto* picked = answer ? std::get_if<client::PickedGroup>(&*answer) : nullptr;
        if (picked != nullptr) submit(draw_job(picked->group), at);
        if (!answer && !may_pass(answer.error())) {
          world_.verdict().fail(world_.queue().now(), "Q4",
                                "no group is named for a job: " + answer.error().message);
        }
      });
}

void Workload::submit_key() {
  SubmitJob job = draw_job(kClusterGroup);
  job.key = "key" + std::to_string(next_key_++);
  job.id = job_id_for_key(kUser, job.key, world_.options().groups);
  const HostIndex a = any_host();
  const HostIndex b = any_host();
  submit(job, a);
  submit(job, b);
  keys_ += a == b ? 0 : 1;
  if (on_key && random_.chance(0.3)) on_key(a, b);
}

void Workload::submit(const SubmitJob& job, HostIndex at) {
  world_.host(at).ask(client::Request(JobRequest(job)), [this, job, asked = world_.queue().now()](
                                                            Result<client::Answer> answer, bool) {
    on_submitted(job, asked, answer);
  });
}

void Workload::on_submitted(const SubmitJob& job, Instant asked,
                            const Result<client::Answer>& answer) {
  if (const auto* done = job_answer<Submitted>(answer)) {
    if (done->job.id != job.id) {
      world_.verdict().fail(world_.queue().now(), "Q4",
                            "job " + job.id.text() + " is accepted as " + done->job.id.text());
    }
    const bool is_new = !history_.knows(job.id);
    history_.acknowledged(job.id, job.spec);
    history_.seen(world_.queue().now(), asked, done->job);
    if (!is_new) return;
    if (!job.spec.after.empty()) uses_.note(Use::kDependency);
    watch(job.id, 0);
    recent_.push_back(job.id);
    if (random_.chance(0.12)) {
      world_.queue().after(random_.between(Duration{}, seconds(4)),
                           [this, id = job.id] { pause(id); });
    }
    // Some are asked for before anything ran.
    if (random_.chance(0.25)) {
      world_.queue().after(random_.between(Duration{}, seconds(random_.chance(0.5) ? 1 : 8)),
                           [this, id = job.id] { cancel(id); });
    }
    return;
  }
  if (!may_pass(answer.error())) {
    world_.verdict().fail(world_.queue().now(), "Q4",
                          "job " + job.id.text() + " is refused: " + answer.error().message);
    return;
  }
  if (is_over_ && !history_.knows(job.id)) return;
  world_.queue().after(random_.between(milliseconds(100), seconds(1)), [this, job] {
    if (!history_.knows(job.id)) submit(job, any_host());
  });
}

// ---- following ----------------------------------------------------------------------------------

void Workload::watch(const JobId& id, std::uint64_t seen) {
  WatchJob question;
  question.id = id;
  question.seen = seen;
  question.hold = kHold;
  world_.host(any_host())
      .ask(client::Request(JobRequest(question)),
           [this, id, seen, asked = world_.queue().now()](Result<client::Answer> answer, bool) {
             std::uint64_t next = seen;
             if (const auto* changed = job_answer<JobChanged>(answer)) {
               history_.seen(world_.queue().now(), asked, changed->job);
               next = changed->job.version;
               if (is_final(changed->job.state)) return on_final(changed->job);
             } else if (!answer && answer.error().code == Code::kNotFound) {
               history_.unknown(world_.queue().now(), id);
             }
             if (random_.chance(0.1)) look_at_tasks(id);
             // Progress of many tasks is looked at now and then, not at each step.
             world_.queue().after(random_.between(milliseconds(200), milliseconds(1500)),
                                  [this, id, next] { watch(id, next); });
           });
}

void Workload::cancel(const JobId& id) {
  history_.cancel_asked(id);
  cancel(CancelTasks{id, {}, kUser, false, random_.next() | 1});
}

void Workload::cancel(const CancelTasks& order) {
  const JobId id = order.id;
  const Instant asked = world_.queue().now();
  world_.host(any_host())
      .ask(client::Request(JobRequest(order)),
           [this, id, order, asked](Result<client::Answer> answer, bool) {
             if (const auto* done = job_answer<Cancelled>(answer)) {
               history_.cancelled(world_.queue().now(), asked, done->job);
             } else if (!answer && answer.error().code == Code::kNotFound) {
               history_.unknown(world_.queue().now(), id);
             } else if (!answer && may_pass(answer.error())) {
               world_.queue().after(milliseconds(700), [this, order] { cancel(order); });
             }
           });
}

void Workload::order(const OrderJob& what) {
  world_.host(any_host())
      .ask(client::Request(JobRequest(what)), [this, what](Result<client::Answer> answer, bool) {
        if (answer) {
          on_ordered(what);
        } else if (!answer && answer.error().code == Code::kNotFound) {
          history_.unknown(world_.queue().now(), what.id);
        } else if (!answer) {
          world_.queue().after(milliseconds(700), [this, what] { order(what); });
        }
      });
}

void Workload::on_ordered(const OrderJob& what) {
  if (std::holds_alternative<RetryTasks>(what.order)) {
    uses_.note(Use::kRetry);
    history_.retried(world_.queue().now(), what.id);
    watch(what.id, 0);
  } else if (std::holds_alternative<PauseTasks>(what.order)) {
    uses_.note(Use::kPause);
    world_.queue().after(random_.between(milliseconds(200), seconds(6)), [this, id = what.id] {
      order({id, {}, kUser, false, ResumeTasks{}, random_.next() | 1});
    });
  }
}

// For a while; some of it stands still.
void Workload::pause(const JobId& id) {
  order({id, {}, kUser, false, PauseTasks{random_.chance(0.5)}, random_.next() | 1});
}

void Workload::retry(const JobId& id) {
  history_.retry_asked(id);
  order({id, {}, kUser, false, RetryTasks{}, random_.next() | 1});
}

void Workload::on_final(const JobSummary& job) {
  look_at_tasks(job.id);
  const auto known = history_.jobs().find(job.id);
  if (known == history_.jobs().end() || known->second.was_retried) return;
  // Who has not heard what came of his cancellation orders nothing else.
  if (known->second.cancel_asked && !known->second.at_cancel) return;
  const bool has_left_something = job.tasks.failed > 0 || job.tasks.cancelled > 0;
  if (!is_over_ && has_left_something && random_.chance(0.3)) retry(job.id);
}

void Workload::look_at_tasks(const JobId& id) {
  ListTasks question;
  question.id = id;
  world_.host(any_host())
      .ask(client::Request(JobRequest(question)),
           [this, id, asked = world_.queue().now()](Result<client::Answer> answer, bool) {
             if (const auto* list = job_answer<TaskList>(answer)) {
               history_.tasks(world_.queue().now(), asked, id, list->tasks);
             }
           });
}

// ---- blobs --------------------------------------------------------------------------------------

void Workload::next_blob() {
  world_.queue().after(about(random_, options_.between_blobs), [this] {
    if (is_over_) return;
    Bytes content(random_.below(random_.chance(0.1) ? 300'000 : 6000) + 1);
    random_.fill(content);
    world_.host(any_host())
        .ask(client::Request(client::PutBlob{content}),
             [this, content](Result<client::Answer> answer, bool) {
               const auto* put = answer ? std::get_if<client::BlobPut>(&*answer) : nullptr;
               if (put != nullptr) history_.stored(put->id, content);
               if (!answer && !may_pass(answer.error())) {
                 world_.verdict().fail(world_.queue().now(), "Q5",
                                       "a blob is refused: " + answer.error().message);
               }
             });
    next_blob();
  });
}

void Workload::verify() {
  ReadBack reading(world_, history_, random_, [this] { return any_host(); });
  reading.all();
  read_ = reading.count();
}

// Lists that are empty are always as they should be: these must not be.
std::vector<std::string> Workload::gaps() const {
  std::vector<std::string> gaps;
  const auto want = [&](std::size_t least, std::size_t count, const char* what) {
    if (count < least) gaps.push_back("only " + std::to_string(count) + " " + what);
  };
  want(10, read_.blobs, "blobs were read back");
  want(20, read_.logs, "logs were read back");
  want(5, read_.outputs, "outputs were read back");
  want(1, read_.cancelled, "jobs were cancelled");
  want(1, keys_, "keys were given to two nodes");
  return gaps;
}

}  // namespace dunlin::sim
