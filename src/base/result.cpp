#include "base/result.h"

namespace dunlin {

const char* code_name(Code code) {
  switch (code) {
    case Code::kUsage: return "usage";
    case Code::kUnreachable: return "unreachable";
    case Code::kNotFound: return "not_found";
    case Code::kRefused: return "refused";
    case Code::kLimit: return "limit";
    case Code::kTimeout: return "timeout";
    case Code::kConflict: return "conflict";
    case Code::kIncomplete: return "incomplete";
    case Code::kCorrupt: return "corrupt";
    case Code::kFailed: return "failed";
  }
  return "failed";
}

}  // namespace dunlin
