// A line taken apart into words as a shell would, without expanding anything.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dunlin {

// Quotes ' and ", backslashes, and a '#' that begins a word and with it a comment. kUsage: a quote
// is not closed.
Result<std::vector<std::string>> shell_words_from(std::string_view line);
// The words as one line that a shell reads back as them.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace dunlin
