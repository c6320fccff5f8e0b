// Shell patterns for one component of a path: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before what is
// meant literally. As in a shell, a leading dot is only matched by a dot. Bytes, not characters;
// time is at most pattern times name, whatever the pattern.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dunlin {

bool glob_matches(std::string_view pattern, std::string_view name);

// "a/*.txt" -> {"a", "*.txt"}. Refuses patterns that are empty, absolute, or contain `..`.
Result<std::vector<std::string>> split_glob(std::string_view pattern);

}  // namespace dunlin
