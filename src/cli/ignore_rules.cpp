#include "cli/ignore_rules.h"

#include <fnmatch.h>

#include "cli/directories.h"

namespace dunlin {

IgnoreRules::IgnoreRules(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') continue;
    Rule rule;
    if (line.front() == '!') {
      rule.takes_back = true;
      line.remove_prefix(1);
    }
    if (!line.empty() && line.back() == '/') {
      rule.directories_only = true;
      line.remove_suffix(1);
    }
    rule.is_anchored = line.find('/') != std::string_view::npos;
    if (!line.empty() && line.front() == '/') line.remove_prefix(1);
    rule.pattern = std::string(line);
    if (!rule.pattern.empty()) rules_.push_back(std::move(rule));
  }
}

bool IgnoreRules::ignores(const std::string& path, bool is_directory) const {
  const std::string name = last_part(path);
  bool ignored = false;
  for (const Rule& rule : rules_) {
    if (rule.directories_only && !is_directory) continue;
    const std::string& subject = rule.is_anchored ? path : name;
    if (fnmatch(rule.pattern.c_str(), subject.c_str(), FNM_PATHNAME) == 0) {
      ignored = !rule.takes_back;
    }
  }
  return ignored;
}

}  // namespace dunlin
