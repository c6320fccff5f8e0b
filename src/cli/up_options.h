// What `dunlin up` was told, as the node wants it.
#pragma once

#include <string>

#include "cli/options.h"
#include "os/node_options.h"

namespace dunlin {

Result<NodeOptions> node_options_from(const Arguments& args);
// A systemd unit that starts `program` with these options.
std::string systemd_unit(const Arguments& args, const std::string& program);

}  // namespace dunlin
