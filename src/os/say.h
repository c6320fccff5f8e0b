// What a node tells the person who started it: one line on stderr.
#pragma once

#include <string>

#include "base/result.h"

namespace dunlin {

void say(const std::string& line);
// The message and, behind it, what to do about it.
void say(const Error& error);

}  // namespace dunlin
