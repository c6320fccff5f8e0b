// DIR/join-token: the founder's token for further hosts, readable by its account alone.
#pragma once

#include <string>

#include "base/result.h"

namespace dunlin {

Result<void> write_join_token(const std::string& directory, const std::string& token);

}  // namespace dunlin
