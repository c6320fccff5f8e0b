#include "os/task_ranges.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace dunlin {

namespace {

std::optional<std::uint32_t> number_from(std::string_view text) {
  std::uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || at != end) return std::nullopt;
  return number;
}

std::optional<TaskRange> range_from(std::string_view text) {
  std::optional<std::uint32_t> step = 1;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    step = number_from(text.substr(colon + 1));
    text = text.substr(0, colon);
    if (text.find('-') == std::string_view::npos) return std::nullopt;
  }
  const std::size_t dash = text.find('-');
  const auto first = number_from(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : number_from(text.substr(dash + 1));
  if (!first || !last || !step || *step == 0 || *last < *first) return std::nullopt;
  // The last number is one that is reached, so that equal sets are equal ranges.
  return TaskRange{*first, *last - (*last - *first) % *step, *first == *last ? 1 : *step};
}

std::uint64_t count_of(const TaskRange& range) {
  return (std::uint64_t{range.last} - range.first) / range.step + 1;
}

// One that is no number of a task only because it is so large.
bool has_too_large_number(std::string_view text) {
  while (!text.empty()) {
    std::uint32_t number = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc::result_out_of_range) return true;
    text.remove_prefix(std::max<std::size_t>(static_cast<std::size_t>(at - text.data()), 1));
  }
  return false;
}

// Ranges that lie within each other (1-9:2,2-10:2) are rare enough to be spelt out.
std::vector<TaskRange> spelt_out(const std::vector<TaskRange>& ranges) {
  std::vector<TaskRange> out;
  for (const TaskRange& range : ranges) {
    for (std::uint64_t n = range.first; n <= range.last; n += range.step) {
      const auto number = static_cast<std::uint32_t>(n);
      out.push_back({number, number, 1});
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

bool is_disjoint(const std::vector<TaskRange>& ranges) {
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first <= ranges[i - 1].last) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<TaskRange>> task_ranges_from(std::string_view text) {
  const std::string quoted = "'" + std::string(text) + "'";
  std::vector<TaskRange> ranges;
  std::uint64_t total = 0;
  for (std::string_view rest = text;;) {
    const std::size_t comma = rest.find(',');
    const auto range = range_from(rest.substr(0, comma));
    if (!range && has_too_large_number(rest.substr(0, comma))) {
      return fail(Code::kUsage, "a number in " + quoted + " is over the limit of task numbers, " +
                                    std::to_string(std::numeric_limits<std::uint32_t>::max()));
    }
    if (!range) {
      return fail(Code::kUsage, quoted + " is no list of task numbers",
                  "write for example 1-1000, 0-9:2 or 1,4,7-9");
    }
    total += count_of(*range);
    ranges.push_back(*range);
    if (total > kMaxTasks || ranges.size() > kMaxTaskRanges) {
      const bool is_many = total > kMaxTasks;
      return fail(Code::kLimit,
                  "a job has at most " + std::to_string(is_many ? kMaxTasks : kMaxTaskRanges) +
                      (is_many ? " tasks" : " ranges of task numbers"),
                  is_many ? "submit several jobs" : "write runs of numbers as FIRST-LAST");
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(ranges.begin(), ranges.end());
  if (is_disjoint(ranges)) return ranges;
  if (total > kMaxTaskRanges) {
    return fail(Code::kUsage, "ranges overlap in " + quoted, "each number may come once");
  }
  ranges = spelt_out(ranges);
  if (!is_disjoint(ranges)) {
    return fail(Code::kUsage, "a number comes twice in " + quoted, "each number may come once");
  }
  return ranges;
}

std::string text_of(const std::vector<TaskRange>& ranges) {
  std::string text;
  for (const TaskRange& range : ranges) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.first);
    if (range.last != range.first) text += '-' + std::to_string(range.last);
    if (range.step != 1) text += ':' + std::to_string(range.step);
  }
  return text;
}

std::uint64_t count_of(const std::vector<TaskRange>& ranges) {
  std::uint64_t total = 0;
  for (const TaskRange& range : ranges) total += count_of(range);
  return total;
}

}  // namespace dunlin
