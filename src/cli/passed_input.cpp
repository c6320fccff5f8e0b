#include "cli/passed_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "cli/report.h"

namespace dunlin {

namespace {

// Without a byte or an end: then it is said what is waited for.
constexpr int kStdinSilenceMs = 1000;
constexpr std::size_t kStdinPiece = 256 * 1024;

}  // namespace

Result<void> PassedInput::take(JobDraft& draft) {
  if (draft.piped == PipedInput::kLeft || ::isatty(STDIN_FILENO) == 1) return {};
  const Result<std::uint64_t> size = copy(STDIN_FILENO, draft.piped);
  if (!size) return tl::unexpected(size.error());
  if (*size == 0) return {};
  LocalFile file{"/proc/self/fd/" + std::to_string(::fileno(copy_.get())), kStdinName, 0600, *size};
  draft.files.push_back(std::move(file));
  draft.spec.stdin_file = kStdinName;
  return check_names(draft.files);
}

Result<std::uint64_t> PassedInput::copy(int from, PipedInput why) {
  // Whoever has asked for it is not to be told how to do without.
  const bool is_asked_for = why == PipedInput::kAskedFor;
  std::vector<char> piece(kStdinPiece);
  std::uint64_t size = 0;
  bool has_said = false;
  while (true) {
    pollfd waiting{from, POLLIN, 0};
    if (!has_said && ::poll(&waiting, 1, kStdinSilenceMs) == 0) {
      has_said = true;
      note(std::string("dunlin: the command starts when stdin has ended") +
           (is_asked_for ? "" : " (--no-stdin: without it)"));
    }
    const ssize_t count = ::read(from, piece.data(), piece.size());
    if (count < 0 && errno == EAGAIN) {
      (void)::poll(&waiting, 1, -1);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EBADF) return size;  // closed: there is nothing to pass on
    if (count < 0) return fail(Code::kFailed, std::string("stdin: ") + std::strerror(errno));
    if (count == 0) break;
    if (copy_ == nullptr) copy_.reset(std::tmpfile());
    const auto length = static_cast<std::size_t>(count);
    if (size + length > kMaxPassedInput) {
      return fail(Code::kLimit, "stdin is longer than 4 GiB",
                  is_asked_for ? "put it into a file: --stdin FILE"
                               : "ship it as a file (--file), or go without it (--no-stdin)");
    }
    if (copy_ == nullptr || std::fwrite(piece.data(), 1, length, copy_.get()) != length) {
      return fail(Code::kFailed, std::string("stdin cannot be kept: ") + std::strerror(errno),
                  "is there room in /tmp?");
    }
    size += length;
  }
  if (copy_ != nullptr && std::fflush(copy_.get()) != 0) {
    return fail(Code::kFailed, std::string("stdin cannot be kept: ") + std::strerror(errno),
                "is there room in /tmp?");
  }
  return size;
}

}  // namespace dunlin
