#include "sim/seed_summary.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

namespace dunlin::sim {

void SeedSummary::add(const SeedReport& report) {
  ++seeds_;
  failed_ += report.passed() ? 0 : 1;
  called_back_ += report.called_back > 0 ? 1 : 0;
  fewest_kinds_ = std::min<std::uint64_t>(fewest_kinds_, report.faults.kinds());
  fewest_results_ = std::min(fewest_results_, report.results_under_attack);
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    const std::uint64_t times = report.faults.count(static_cast<Fault>(i));
    kinds_[i].seeds += times > 0 ? 1 : 0;
    kinds_[i].times += times;
  }
}

void SeedSummary::add(const SeedSummary& other) {
  seeds_ += other.seeds_;
  failed_ += other.failed_;
  called_back_ += other.called_back_;
  fewest_kinds_ = std::min(fewest_kinds_, other.fewest_kinds_);
  fewest_results_ = std::min(fewest_results_, other.fewest_results_);
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    kinds_[i].seeds += other.kinds_[i].seeds;
    kinds_[i].times += other.kinds_[i].times;
  }
}

std::string SeedSummary::text() const {
  std::ostringstream out;
  out << seeds_ << ' ' << failed_ << ' ' << called_back_ << ' ' << fewest_kinds_ << ' '
      << fewest_results_ << '\n';
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    out << kinds_[i].seeds << ' ' << kinds_[i].times << ' ' << name_of(static_cast<Fault>(i))
        << '\n';
  }
  return out.str();
}

std::optional<SeedSummary> SeedSummary::parse(std::string_view text) {
  std::istringstream in{std::string(text)};
  SeedSummary out;
  in >> out.seeds_ >> out.failed_ >> out.called_back_ >> out.fewest_kinds_ >> out.fewest_results_;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    std::string name;
    in >> out.kinds_[i].seeds >> out.kinds_[i].times >> std::ws;
    std::getline(in, name);
    if (name != name_of(static_cast<Fault>(i))) return std::nullopt;
  }
  if (!in || out.seeds_ == 0) return std::nullopt;
  return out;
}

std::string SeedSummary::table() const {
  std::string text;
  char line[100];
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    std::snprintf(line, sizeof(line), "  %-18s %5llu of %llu seeds %10llu times\n",
                  name_of(static_cast<Fault>(i)), number(kinds_[i].seeds), number(seeds_),
                  number(kinds_[i].times));
    text += line;
    if (i + 1 == kMeritKinds) text += "  -- and what makes no seed count:\n";
  }
  std::snprintf(line, sizeof(line),
                "  at least %llu kinds and %llu results under attack; %llu seeds needed more than "
                "a bare quorum\n",
                number(fewest_kinds_), number(fewest_results_), number(called_back_));
  return text + line;
}

std::vector<std::string> SeedSummary::uncovered() const {
  std::vector<std::string> lines;
  if (failed_ > 0) lines.push_back(std::to_string(failed_) + " seeds failed");
  if (called_back_ * kSeedsPerCallBack > seeds_) {
    lines.push_back(std::to_string(called_back_) + " seeds needed more than a bare quorum");
  }
  if (seeds_ < kSeedsForAllKinds) return lines;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (kinds_[i].seeds > 0) continue;
    lines.push_back(std::string("no seed met: ") + name_of(static_cast<Fault>(i)));
  }
  return lines;
}

}  // namespace dunlin::sim
