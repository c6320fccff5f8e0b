// The one form of time in JSON, RFC 3339 in UTC, read back; to_rfc3339 in base/time.h writes it.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"

namespace dunlin {

// "2026-11-21T21:03:42.123Z", the fraction optional; nothing when it is something else, or a
// day that no calendar has.
std::optional<WallTime> from_rfc3339(std::string_view text);

}  // namespace dunlin
