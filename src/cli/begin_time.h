// Moments as people type them: --begin.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace dunlin {

// now, now+1h, +1h; RFC 3339 with Z or an offset; and in the local time zone YYYY-MM-DD,
// YYYY-MM-DDTHH:MM[:SS], HH:MM[:SS] (today, or tomorrow if that is past). kUsage otherwise.
Result<WallTime> begin_time_from(std::string_view text, WallTime now);

}  // namespace dunlin
