// POST /v1/watch: many jobs in one answer, a line of JSON for each change, until all are final.
#include <map>

#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr int kQuickChanges = 8;
constexpr Duration kBusyDelay = milliseconds(100);
constexpr Duration kRetryDelay = milliseconds(500);
constexpr int kMaxFailures = 90;  // of a group that is silent: 8 minutes

class WatchMany : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    auto wish = watch_from_json(as_text(request_.body));
    if (!wish) return refuse(wish.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    if (wish->jobs.size() > kMaxWatchedJobs) {
      return refuse({Code::kLimit,
                     std::to_string(wish->jobs.size()) + " jobs are over the limit " +
                         std::to_string(kMaxWatchedJobs),
                     "wait for some of them at a time"});
    }
    only_final_ = wish->only_final;
    begin("application/x-ndjson", "\n");
    for (const JobId& id : wish->jobs) jobs_.push_back({id, 0, 0, 0});
    left_ = jobs_.size();
    for (std::size_t i = 0; i < jobs_.size(); ++i) ask_again(i, {});
  }

  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool) override {
    Watched& job = jobs_[tag];
    const auto changed = answer_as<JobChanged>(std::move(answer));
    if (!changed) return on_failure(tag, changed.error());
    const bool was_lost = std::exchange(job.failures, 0) > 0;
    const bool is_news = changed->job.version != job.seen;
    job.seen = changed->job.version;
    const bool is_over = is_final(changed->job.state);
    // A slow reader delays his own news only: the next state is asked for once he has read.
    bool has_room = true;
    if (is_over || was_lost || (is_news && !only_final_)) {
      has_room = write(job_json(changed->job, group_count()) + "\n");
    }
    if (is_over) return finish_one();
    job.changes += is_news ? 1 : 0;
    if (!has_room) return held_.push_back(tag);
    ask_again(tag, job.changes > kQuickChanges && is_news ? kBusyDelay : Duration{});
  }

  void on_drained() override {
    for (const std::uint64_t tag : std::exchange(held_, {})) ask_again(tag, {});
  }

 private:
  struct Watched {
    JobId id;
    std::uint64_t seen = 0;
    int changes = 0;
    int failures = 0;
  };

  void ask_again(std::uint64_t tag, Duration delay) {
    const Watched& job = jobs_[tag];
    WatchJob question{job.id, job.seen};
    // As it is now, to begin with and while nobody knows that: it shows before a watch would end.
    if (job.seen == 0 || job.failures > 0) question.hold = {};
    if (delay.us == 0) return ask_job(tag, question);
    ask_later(tag, client::Request(JobRequest(question)), delay);
  }

  void on_failure(std::uint64_t tag, const Error& error) {
    const bool may_pass = error.code == Code::kTimeout || error.code == Code::kUnreachable ||
                          error.code == Code::kLimit;
    if (may_pass && ++jobs_[tag].failures <= kMaxFailures) {
      if (jobs_[tag].failures == 1) write(watch_error_json(jobs_[tag].id, error, true) + "\n");
      return ask_again(tag, kRetryDelay);
    }
    write(watch_error_json(jobs_[tag].id, error, false) + "\n");
    finish_one();
  }

  void finish_one() {
    if (--left_ == 0) end();
  }

  bool only_final_ = false;
  std::vector<Watched> jobs_;
  std::vector<std::uint64_t> held_;
  std::size_t left_ = 0;
};

}  // namespace

const std::vector<Endpoint>& watch_endpoints() {
  static const std::vector<Endpoint> all = {
      {"POST", "/v1/watch", kMaxJsonBody, make_exchange<WatchMany>},
  };
  return all;
}

}  // namespace dunlin
