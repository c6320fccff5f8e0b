// Figures in Prometheus' text format 0.0.4: families with HELP and TYPE, each at one place.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/metrics.h"
#include "os/host_figures.h"

namespace dunlin {

constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

  // Begins a family; `type`: "counter", "gauge" or "histogram". Its samples follow.
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(double value, const Labels& labels = {}, std::string_view suffix = {});
  // A family of one sample without labels.
  void counter(std::string_view name, double value, std::string_view help);
  void gauge(std::string_view name, double value, std::string_view help);
  // In seconds.
  void histogram(std::string_view name, const LatencyHistogram& held, std::string_view help);

  std::string take() { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string metrics_text(const client::Metrics& node, const HostFigures& host);

}  // namespace dunlin
