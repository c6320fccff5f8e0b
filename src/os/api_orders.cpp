// POST /v1/jobs/ID/cancel, /pause, /resume, /retry, /set; DELETE /v1/jobs/ID.
#include "os/exchange.h"

namespace dunlin {

namespace {

// What all orders say: the job, tasks of it or none for all, and the number that tells a repeated
// order from another.
struct Aim {
  JobId job;
  std::vector<TaskRange> tasks;
  std::uint64_t number = 0;
};

Result<Aim> take_aim(Target& target) {
  const auto id = target.job();
  if (!id) return tl::unexpected(id.error());
  auto tasks = target.take_tasks();
  if (!tasks) return tl::unexpected(tasks.error());
  const auto number = target.take_number("order", 0, ~std::uint64_t{0});
  if (!number) return tl::unexpected(number.error());
  return Aim{*id, std::move(*tasks), *number};
}

class Cancel : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    auto aim = take_aim(target_);
    if (!aim) return tl::unexpected(aim.error());
    CancelTasks all{aim->job, std::move(aim->tasks), request_.user, is_root(), aim->number};
    return client::Request(JobRequest(std::move(all)));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    return render_job<Cancelled>(std::move(answer), group_count());
  }
};

class Order : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    auto aim = take_aim(target_);
    if (!aim) return tl::unexpected(aim.error());
    auto what = order();
    if (!what) return tl::unexpected(what.error());
    OrderJob all{aim->job,  std::move(aim->tasks), request_.user,
                 is_root(), std::move(*what),      aim->number};
    return client::Request(JobRequest(std::move(all)));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    return render_job<Ordered>(std::move(answer), group_count());
  }

 protected:
  virtual Result<JobOrder> order() = 0;
};

class Pause : public Order {
  using Order::Order;
  Result<JobOrder> order() override {
    const auto freezes = target_.take_flag("freeze");
    if (!freezes) return tl::unexpected(freezes.error());
    return PauseTasks{*freezes};
  }
};

class Resume : public Order {
  using Order::Order;
  Result<JobOrder> order() override { return ResumeTasks{}; }
};

class Retry : public Order {
  using Order::Order;
  Result<JobOrder> order() override {
    const auto all = target_.take_flag("all");
    if (!all) return tl::unexpected(all.error());
    return RetryTasks{*all};
  }
};

class Delete : public Order {
  using Order::Order;
  Result<JobOrder> order() override { return DeleteJob{}; }
};

class Set : public Order {
  using Order::Order;
  Result<JobOrder> order() override {
    auto change = change_from_json(as_text(request_.body));
    if (!change) return tl::unexpected(change.error());
    return *change;
  }
};

}  // namespace

const std::vector<Endpoint>& order_endpoints() {
  static const std::vector<Endpoint> all = {
      {"POST", "/v1/jobs/{}/cancel", kMaxJsonBody, make_exchange<Cancel>},
      {"POST", "/v1/jobs/{}/pause", kMaxJsonBody, make_exchange<Pause>},
      {"POST", "/v1/jobs/{}/resume", kMaxJsonBody, make_exchange<Resume>},
      {"POST", "/v1/jobs/{}/retry", kMaxJsonBody, make_exchange<Retry>},
      {"POST", "/v1/jobs/{}/set", kMaxJsonBody, make_exchange<Set>},
      {"DELETE", "/v1/jobs/{}", 0, make_exchange<Delete>},
  };
  return all;
}

}  // namespace dunlin
