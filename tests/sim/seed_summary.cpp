#include "sim/seed_summary.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

namespace dunlin::sim {

namespace {

bool is_named(std::istringstream& in, std::string_view expected) {
  std::string name;
  std::getline(in >> std::ws, name);
  return name == expected;
}

}  // namespace

void SeedSummary::Kind::add(std::uint64_t times_in_seed) {
  seeds += times_in_seed > 0 ? 1 : 0;
  times += times_in_seed;
}

void SeedSummary::Kind::add(const Kind& other) {
  seeds += other.seeds;
  times += other.times;
}

void SeedSummary::add(const SeedReport& report) {
  ++seeds_;
  failed_ += report.passed() ? 0 : 1;
  called_back_ += report.called_back > 0 ? 1 : 0;
  fewest_kinds_ = std::min<std::uint64_t>(fewest_kinds_, report.faults.kinds());
  fewest_results_ = std::min(fewest_results_, report.results_under_attack);
  for (std::size_t i = 0; i < kFaultKinds; ++i)
    kinds_[i].add(report.faults.count(static_cast<Fault>(i)));
  for (std::size_t i = 0; i < kUses; ++i) uses_[i].add(report.uses.count(static_cast<Use>(i)));
}

void SeedSummary::add(const SeedSummary& other) {
  seeds_ += other.seeds_;
  failed_ += other.failed_;
  called_back_ += other.called_back_;
  fewest_kinds_ = std::min(fewest_kinds_, other.fewest_kinds_);
  fewest_results_ = std::min(fewest_results_, other.fewest_results_);
  for (std::size_t i = 0; i < kFaultKinds; ++i) kinds_[i].add(other.kinds_[i]);
  for (std::size_t i = 0; i < kUses; ++i) uses_[i].add(other.uses_[i]);
}

std::string SeedSummary::text() const {
  std::ostringstream out;
  out << seeds_ << ' ' << failed_ << ' ' << called_back_ << ' ' << fewest_kinds_ << ' '
      << fewest_results_ << '\n';
  const auto line = [&](const Kind& kind, const char* name) {
    out << kind.seeds << ' ' << kind.times << ' ' << name << '\n';
  };
  for (std::size_t i = 0; i < kFaultKinds; ++i) line(kinds_[i], name_of(static_cast<Fault>(i)));
  for (std::size_t i = 0; i < kUses; ++i) line(uses_[i], name_of(static_cast<Use>(i)));
  return out.str();
}

std::optional<SeedSummary> SeedSummary::parse(std::string_view text) {
  std::istringstream in{std::string(text)};
  SeedSummary out;
  in >> out.seeds_ >> out.failed_ >> out.called_back_ >> out.fewest_kinds_ >> out.fewest_results_;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    in >> out.kinds_[i].seeds >> out.kinds_[i].times;
    if (!is_named(in, name_of(static_cast<Fault>(i)))) return std::nullopt;
  }
  for (std::size_t i = 0; i < kUses; ++i) {
    in >> out.uses_[i].seeds >> out.uses_[i].times;
    if (!is_named(in, name_of(static_cast<Use>(i)))) return std::nullopt;
  }
  if (!in || out.seeds_ == 0) return std::nullopt;
  return out;
}

std::string SeedSummary::table() const {
  std::string text;
  char line[100];
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const auto add = [&](const Kind& kind, const char* name) {
    std::snprintf(line, sizeof(line), "  %-18s %5llu of %llu seeds %10llu times\n", name,
                  number(kind.seeds), number(seeds_), number(kind.times));
    text += line;
  };
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    add(kinds_[i], name_of(static_cast<Fault>(i)));
    if (i + 1 == kMeritKinds) text += "  -- and what makes no seed count:\n";
  }
  text += "  -- and what people asked for:\n";
  for (std::size_t i = 0; i < kUses; ++i) add(uses_[i], name_of(static_cast<Use>(i)));
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
  for (std::size_t i = 0; i < kUses; ++i) {
    if (uses_[i].seeds * 2 > seeds_) continue;
    lines.push_back("most seeds made no use of: " + std::string(name_of(static_cast<Use>(i))));
  }
  return lines;
}

}  // namespace dunlin::sim
