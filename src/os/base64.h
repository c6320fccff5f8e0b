// Base64 with padding (RFC 4648, section 4), for the few texts in JSON that are not UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dunlin {

std::string to_base64(std::string_view bytes);
// Nothing when it is not the encoding of anything.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace dunlin
