#include "os/glob.h"

#include <algorithm>

namespace dunlin {

namespace {

// Matches the one character `c` with what `pattern` begins with, and removes that. False when it
// does not match.
bool take_set(std::string_view& pattern, char c) {
  // "[" without its "]" is an ordinary character. A "]" that comes first belongs to the set.
  std::size_t at = 1;
  const bool inverted = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (inverted) ++at;
  const std::size_t end = pattern.find(']', at + 1);
  if (end == std::string_view::npos) {
    pattern.remove_prefix(1);
    return c == '[';
  }
  bool found = false;
  while (at < end) {
    const auto low = static_cast<unsigned char>(pattern[at]);
    auto high = low;
    if (at + 2 < end && pattern[at + 1] == '-') {
      high = static_cast<unsigned char>(pattern[at + 2]);
      at += 2;
    }
    ++at;
    const auto value = static_cast<unsigned char>(c);
    found |= low <= value && value <= high;
  }
  pattern.remove_prefix(end + 1);
  return found != inverted;
}

bool take_one(std::string_view& pattern, char c) {
  if (pattern[0] == '[') return take_set(pattern, c);
  if (pattern[0] == '\\' && pattern.size() > 1)
    pattern.remove_prefix(1);
  else if (pattern[0] == '?')
    c = '?';
  const bool same = pattern[0] == c;
  pattern.remove_prefix(1);
  return same;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view name) {
  if (name.starts_with('.') && !pattern.starts_with('.') && !pattern.starts_with("\\.")) {
    return false;
  }
  // Only the last star is ever gone back to: what came before it matched as early as it could.
  std::string_view star_pattern;
  std::string_view star_name;
  bool has_star = false;
  while (!name.empty() || !pattern.empty()) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      has_star = true;
      star_pattern = pattern;
      star_name = name;
      continue;
    }
    if (!pattern.empty() && !name.empty() && take_one(pattern, name[0])) {
      name.remove_prefix(1);
      continue;
    }
    if (!has_star || star_name.empty()) return false;
    star_name.remove_prefix(1);
    name = star_name;
    pattern = star_pattern;
  }
  return true;
}

Result<std::vector<std::string>> split_glob(std::string_view pattern) {
  const auto refuse = [&](const char* why) {
    return fail(Code::kUsage, "output pattern \"" + std::string(pattern) + "\" " + why);
  };
  if (pattern.starts_with('/')) return refuse("must lie in the task's directory");
  std::vector<std::string> components;
  std::size_t begin = 0;
  while (begin <= pattern.size()) {
    const std::size_t end = std::min(pattern.find('/', begin), pattern.size());
    const std::string_view component = pattern.substr(begin, end - begin);
    if (component == "..") return refuse("must lie in the task's directory");
    if (!component.empty() && component != ".") components.emplace_back(component);
    begin = end + 1;
  }
  if (components.empty()) return refuse("names nothing");
  return components;
}

}  // namespace dunlin
