// .dunlinignore: which files of a directory are not shipped. One pattern a line, as in .gitignore:
// '#' begins a comment, '!' takes back what an earlier line ignored, a trailing '/' means
// directories only, a '/' elsewhere ties the pattern to the top, and * ? [] match within a name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

class IgnoreRules {
 public:
  explicit IgnoreRules(std::string_view text);
  // `path` is relative to the directory that holds the file. What lies below an ignored directory
  // is not asked about.
  bool ignores(const std::string& path, bool is_directory) const;

 private:
  struct Rule {
    std::string pattern;
    bool is_anchored = false;
    bool directories_only = false;
    bool takes_back = false;
  };
  std::vector<Rule> rules_;
};

}  // namespace dunlin
