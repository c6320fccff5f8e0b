// Names of files within a task's directory.
#pragma once

#include <string_view>

namespace dunlin {

// Relative, with no empty part, no "." and no "..": it cannot lead out of the directory that it is
// joined to (links aside).
bool is_inner_path(std::string_view name);

}  // namespace dunlin
