// GET /v1/checkup as JSON, both ways: see json.h.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "node/client.h"

namespace dunlin {

std::string checkup_json(const client::Checkup& checkup);
Result<client::Checkup> checkup_from_json(std::string_view text);

}  // namespace dunlin
