// The failure of a system call, in the words of the C library.
#pragma once

#include <cstring>
#include <string>

#include "base/result.h"

namespace dunlin {

inline tl::unexpected<Error> fail_with_errno(const std::string& what, int error_number) {
  return fail(Code::kFailed, what + ": " + std::strerror(error_number));
}

}  // namespace dunlin
