// Reading a directory by its descriptor, as who must not follow links that a task may set does.
#pragma once

#include <dirent.h>

#include <memory>

namespace dunlin {

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// A stream of its own over the directory, from its beginning. Null, with errno: it cannot be read.
Directory directory_stream(int fd);

// "." and ".."
bool is_dots(const char* name);

}  // namespace dunlin
