// What a node tells the person who started it: one line on stderr.
#pragma once

#include <string>

#include "base/result.h"

namespace dunlin {

void say(const std::string& line);
// From now on each line begins with the time, but for the journal, which notes its own.
void stamp_lines();
// The message and, behind it, what to do about it.
void say(const Error& error);

}  // namespace dunlin
