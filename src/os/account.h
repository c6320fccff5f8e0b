// Whose name and home tasks get.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "os/workdir.h"

namespace dunlin {

using Environment = std::vector<std::pair<std::string, std::string>>;

// PATH, LANG and TZ of this process (LANG and TZ only if set), HOME, USER and SHELL of `user`, or
// of this process' account when that is empty. Nothing else of this process reaches a task.
Environment account_environment(const std::string& user);

// kNotFound: no such user.
Result<FileOwner> owner_for(const std::string& user);

// The account that tasks would have with --run-as `user` (empty: that of this process). kUsage: no
// such user; kRefused: only root may run tasks as somebody else.
Result<FileOwner> owner_of_tasks(const std::string& user);

}  // namespace dunlin
