// Text files of this host, read from their beginning.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace dunlin {

// Its first `most` bytes, or all where there are fewer; "-" is a file of that name. An error is
// "PATH: ...": kNotFound, or kUsage when it cannot be read.
Result<std::string> first_of_file(const std::string& path, std::size_t most);
// The same of `path`, but "-" is stdin.
Result<std::string> first_of_input(const std::string& path, std::size_t most);

}  // namespace dunlin
