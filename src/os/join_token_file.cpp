#include "os/join_token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "os/file_descriptor.h"

namespace dunlin {

namespace {

std::string join_token_path(const std::string& directory) {
  return directory + "/join-token";
}

Result<void> replace_join_token(const std::string& directory, const std::string& text) {
  const std::string path = join_token_path(directory);
  const std::string made = path + ".new";
  const FileDescriptor file = open_file(made, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.is_open()) return system_error("cannot write " + made, errno);
  if (Result<void> done = write_at(file.get(), 0, as_bytes(text), made); !done) return done;
  if (::fsync(file.get()) != 0) return system_error("cannot sync " + made, errno);
  if (::rename(made.c_str(), path.c_str()) != 0) return system_error("cannot write " + path, errno);
  return sync_directory(directory);
}

}  // namespace

Result<void> promise_join_token(const std::string& directory) {
  return replace_join_token(directory, {});
}

bool is_join_token_promised(const std::string& directory) {
  struct stat about {};
  return ::stat(join_token_path(directory).c_str(), &about) == 0 && about.st_size == 0;
}

void forget_promised_join_token(const std::string& directory) {
  if (is_join_token_promised(directory)) ::unlink(join_token_path(directory).c_str());
}

Result<void> write_join_token(const std::string& directory, const std::string& token) {
  return replace_join_token(directory, token + "\n");
}

}  // namespace dunlin
