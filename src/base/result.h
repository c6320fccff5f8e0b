// Errors as values. A function that can fail because of the world returns Result<T>; what can
// only fail through a bug of ours asserts instead.
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

namespace dunlin {

// One code per thing the *caller* does about it. The client's exit codes and the API's "code"
// follow from them (shared names: usage unreachable not_found refused limit timeout conflict
// incomplete failed).
enum class Code : std::uint8_t {
  kUsage,        // the request makes no sense: mend it
  kUnreachable,  // nobody answered: try another node
  kNotFound,     // no such thing
  kRefused,      // not allowed, or not by you
  kLimit,        // over a named limit: ask for less, or later
  kTimeout,      // it may still happen: ask again
  kConflict,     // exists already, and differs
  kIncomplete,   // part of the answer is missing
  kCorrupt,      // bytes are not what they should be: never use them
  kFailed,       // it was tried and did not work
};

struct Error {
  Code code = Code::kFailed;
  // One line for a person: what is wrong, with what.
  std::string message;
  // What to do about it; may be empty.
  std::string hint;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}

// "usage", "not_found", ...: the names scripts see.
const char* code_name(Code code);

}  // namespace dunlin
