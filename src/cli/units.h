// Durations, sizes and pairs as people type them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/time.h"

namespace dunlin {

// 90s, 10m, 1h30m, 30d, 250ms; a bare number only when it is 0. kUsage otherwise.
Result<Duration> duration_from(std::string_view text);
// Bytes: 512K, 4G, 1T; K is 1024. A bare number only when it is 0.
Result<std::uint64_t> size_from(std::string_view text);
// Whole, decimal, in [low, high].
Result<std::int64_t> number_from(std::string_view text, std::int64_t low, std::int64_t high);
// KEY=VALUE; the key is not empty, the value may be.
Result<std::pair<std::string, std::string>> pair_from(std::string_view text);

// For people: "1h30m", "90s", "250ms"; "3.5G". Two figures at most.
std::string text_of(Duration duration);
std::string size_text(std::uint64_t bytes);
// "1 group", "7 groups".
std::string counted(std::uint64_t count, const std::string& one);

}  // namespace dunlin
