// What `dunlin up` was told, as the node wants it.
#pragma once

#include <string>

#include "cli/invocation.h"
#include "cli/options.h"
#include "os/node_options.h"

namespace dunlin {

Result<NodeOptions> node_options_from(const Arguments& args);
// A systemd unit that starts `program` with these options, which `node` is made of; no token stands
// in it, but the file of one, if there is one.
std::string systemd_unit(const Arguments& args, const std::string& program, const NodeOptions& node,
                         const std::string& token_file);
// Writes the token to a file of DIRECTORY, which is made if it is not there; the file's path.
Result<std::string> keep_unit_token(const std::string& directory, const std::string& token);
// The exit code of `up --unit`.
int print_unit(Invocation& call, const NodeOptions& node);

}  // namespace dunlin
