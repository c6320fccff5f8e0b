#include "sim/run_arguments.h"

#include <charconv>
#include <fstream>
#include <iterator>

namespace dunlin::sim {

namespace {

constexpr std::string_view kBlank = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// Takes what stands before the separator, or all.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view piece = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return piece;
}

bool take_range(std::string_view word, std::vector<SeedOrder>& orders) {
  const std::size_t dash = word.find('-');
  const auto first = parse_number(word.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_number(word.substr(dash + 1));
  if (!first || !last || *first > *last || *last - *first >= kMostSeeds) return false;
  for (std::uint64_t seed = *first; seed <= *last; ++seed) orders.push_back({seed, {}});
  return true;
}

bool take_list(const std::string& path, std::vector<SeedOrder>& orders) {
  std::ifstream file(path);
  if (!file) return false;
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto list = parse_list(text);
  if (list) orders = std::move(*list);
  return list.has_value();
}

bool take_number(std::string_view word, std::uint64_t& value) {
  const auto number = parse_number(word);
  if (number) value = *number;
  return number.has_value();
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view word) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<Fault>> parse_faults(std::string_view words) {
  std::vector<Fault> faults;
  while (!words.empty()) {
    const auto fault = fault_named(trimmed(take_until(words, ',')));
    if (!fault) return std::nullopt;
    faults.push_back(*fault);
  }
  if (faults.empty()) return std::nullopt;
  return faults;
}

std::optional<std::vector<SeedOrder>> parse_list(std::string_view text) {
  std::vector<SeedOrder> orders;
  while (!text.empty()) {
    std::string_view line = trimmed(take_until(text, '\n'));
    if (line.empty() || line[0] == '#') continue;
    line = take_until(line, ':');
    const auto seed = parse_number(take_until(line, ' '));
    auto faults = parse_faults(line);
    if (!seed || !faults) return std::nullopt;
    orders.push_back({*seed, std::move(*faults)});
  }
  if (orders.empty()) return std::nullopt;
  return orders;
}

std::optional<RunArguments> parse_arguments(const std::vector<std::string>& words) {
  RunArguments out;
  std::vector<Fault> faults;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--verbose") {
      out.verbose = true;
      continue;
    }
    if (i + 1 >= words.size()) return std::nullopt;
    if (word == "--sum") {
      out.to_sum.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    const std::string& value = words[++i];
    bool good = false;
    if (word == "--seed" || word == "--seeds") good = take_range(value, out.orders);
    if (word == "--list") good = take_list(value, out.orders);
    if (word == "--twice") good = take_number(value, out.twice);
    if (word == "--frames") good = take_number(value, out.frames_from);
    if (word == "--summary") good = !(out.summary = value).empty();
    if (word == "--faults") {
      const auto named = parse_faults(value);
      good = named.has_value();
      if (good) faults = *named;
    }
    if (!good) return std::nullopt;
  }
  for (SeedOrder& order : out.orders) {
    if (!faults.empty()) order.faults = faults;
  }
  if (out.orders.empty() == out.to_sum.empty()) return std::nullopt;
  return out;
}

}  // namespace dunlin::sim
