#include "os/join_token_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "os/system_error.h"

namespace dunlin {

Result<void> write_join_token(const std::string& directory, const std::string& token) {
  const std::string path = directory + "/join-token";
  const std::string text = token + "\n";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return fail_with_errno("cannot write " + path, errno);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  if (!written) return fail(Code::kFailed, "cannot write " + path);
  return {};
}

}  // namespace dunlin
