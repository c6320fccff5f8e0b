// The options of `run` and `submit` that say what a job is.
#pragma once

#include "cli/options.h"

namespace dunlin {

const OptionTable& job_options();

}  // namespace dunlin
