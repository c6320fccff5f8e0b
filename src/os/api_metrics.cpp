// GET /metrics, /v1/checkup.
#include "os/exchange.h"
#include "os/json_checkup.h"
#include "os/metrics_text.h"

namespace dunlin {

namespace {

class GetMetrics : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override { return client::GetMetrics{}; }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto metrics = answer_as<client::Metrics>(std::move(answer));
    if (!metrics) return tl::unexpected(metrics.error());
    return Rendered{metrics_text(*metrics, host_figures()), {}, kMetricsContentType};
  }
};

class GetCheckup : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override { return client::GetCheckup{}; }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto checkup = answer_as<client::Checkup>(std::move(answer));
    if (!checkup) return tl::unexpected(checkup.error());
    return Rendered{checkup_json(*checkup), {}};
  }
};

}  // namespace

const std::vector<Endpoint>& metrics_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/metrics", 0, make_exchange<GetMetrics>},
      {"GET", "/v1/checkup", 0, make_exchange<GetCheckup>},
  };
  return all;
}

}  // namespace dunlin
