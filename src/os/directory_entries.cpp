#include "os/directory_entries.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

namespace dunlin {

Directory directory_stream(int fd) {
  const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return nullptr;
  DIR* directory = fdopendir(copy);
  if (directory == nullptr) close(copy);
  return Directory(directory);
}

bool is_dots(const char* name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

}  // namespace dunlin
