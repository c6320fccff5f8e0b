#include "cli/shell_words.h"

#include <algorithm>

namespace dunlin {

namespace {

constexpr std::string_view kBlank = " \t\r\v\f\n";

// Takes one word off the front of `line`, which begins with it.
Result<std::string> take_word(std::string_view& line) {
  std::string word;
  char quote = 0;
  std::size_t at = 0;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (quote == 0 && kBlank.find(c) != std::string_view::npos) break;
    if (c == '\\' && quote != '\'' && at + 1 < line.size()) {
      // Within double quotes a backslash is itself unless it has something to take the meaning of.
      const char next = line[at + 1];
      if (quote == 0 || next == '"' || next == '\\' || next == '$' || next == '`') {
        word += next;
        ++at;
        continue;
      }
    }
    if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  if (quote != 0) {
    return fail(Code::kUsage, std::string("the quote ") + quote + " is not closed");
  }
  line.remove_prefix(at);
  return word;
}

std::string as_shell_word(const std::string& word) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.,:/@+%{}^";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

Result<std::vector<std::string>> shell_words_from(std::string_view line) {
  std::vector<std::string> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    if (line.empty() || line.front() == '#') return words;
    auto word = take_word(line);
    if (!word) return tl::unexpected(word.error());
    words.push_back(std::move(*word));
  }
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + as_shell_word(word);
  return line;
}

}  // namespace dunlin
