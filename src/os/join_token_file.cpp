#include "os/join_token_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "os/file_descriptor.h"

namespace dunlin {

namespace {

std::string join_token_path(const std::string& directory) {
  return directory + "/" + kJoinTokenName;
}

}  // namespace

Result<void> promise_join_token(const std::string& directory) {
  return replace_file(directory, kJoinTokenName, {});
}

bool is_join_token_promised(const std::string& directory) {
  struct stat about {};
  return ::stat(join_token_path(directory).c_str(), &about) == 0 && about.st_size == 0;
}

void forget_promised_join_token(const std::string& directory) {
  if (is_join_token_promised(directory)) ::unlink(join_token_path(directory).c_str());
}

Result<void> write_join_token(const std::string& directory, const std::string& token) {
  return replace_file(directory, kJoinTokenName, as_bytes(token + "\n"));
}

}  // namespace dunlin
