// POST /v1/jobs/ID/pause, /resume, /retry, /set; DELETE /v1/jobs/ID.
#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

class Order : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = target_.job();
    if (!id) return tl::unexpected(id.error());
    const auto tasks = target_.take_tasks();
    if (!tasks) return tl::unexpected(tasks.error());
    auto what = order();
    if (!what) return tl::unexpected(what.error());
    const auto number = target_.take_number("order", 0, ~std::uint64_t{0});
    if (!number) return tl::unexpected(number.error());
    OrderJob all{*id, *tasks, request_.user, is_root(), std::move(*what), *number};
    return client::Request(JobRequest(std::move(all)));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto held = answer_as<Ordered>(std::move(answer));
    if (!held) return tl::unexpected(held.error());
    return Rendered{job_json(held->job, group_count()), {}};
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
      {"POST", "/v1/jobs/{}/pause", kMaxJsonBody, make_exchange<Pause>},
      {"POST", "/v1/jobs/{}/resume", kMaxJsonBody, make_exchange<Resume>},
      {"POST", "/v1/jobs/{}/retry", kMaxJsonBody, make_exchange<Retry>},
      {"POST", "/v1/jobs/{}/set", kMaxJsonBody, make_exchange<Set>},
      {"DELETE", "/v1/jobs/{}", 0, make_exchange<Delete>},
  };
  return all;
}

}  // namespace dunlin
