#include "cli/directories.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace dunlin {

std::string current_directory() {
  char* here = ::getcwd(nullptr, 0);
  std::string directory = here == nullptr ? "." : here;
  std::free(here);
  return directory;
}

std::string absolute_path(const std::string& path) {
  return path.starts_with('/') ? path : current_directory() + "/" + path;
}

std::string home_directory() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home != '\0') return home;
  const passwd* account = getpwuid(geteuid());
  return account == nullptr ? "/" : account->pw_dir;
}

std::string last_part(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_regular_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace dunlin
