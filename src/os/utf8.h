// Just enough of UTF-8 (RFC 3629) to tell text from other bytes and to count what a terminal shows.
#pragma once

#include <cstddef>
#include <string_view>

namespace dunlin {

// Bytes of the character that `text` begins with; 0 when it begins with none (or is empty).
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);
// Characters, each bad byte counting as one; wide ones are not told apart.
std::size_t utf8_count(std::string_view text);

}  // namespace dunlin
