#include "os/say.h"

#include <cstdio>

namespace dunlin {

void say(const std::string& line) {
  std::fprintf(stderr, "dunlin: %s\n", line.c_str());
}

void say(const Error& error) {
  say(error.message + (error.hint.empty() ? "" : "; " + error.hint));
}

}  // namespace dunlin
