#include "cli/passed_input.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "cli/report.h"
#include "cli/units.h"
#include "os/clock.h"

namespace dunlin {

namespace {

constexpr std::size_t kStdinPiece = 256 * 1024;
// Without an end: then it is said what is waited for, and again, ever more seldom, as it grows.
constexpr std::int64_t kFirstSayingMs = 1000;
constexpr std::int64_t kNextSayingMs = 10'000;

class ReadingNews {
 public:
  explicit ReadingNews(PipedInput why)
      // Whoever has asked for it is not to be told how to do without.
      : waiting_(why == PipedInput::kAskedFor
                     ? " so far; the job is submitted when it has ended"
                     : " so far; the command starts when it has ended (--no-stdin: without it)") {}

  // Until there is something to read, or something to say of so many bytes.
  void wait(int from, std::uint64_t size) {
    const std::int64_t left_ms = std::max<std::int64_t>(say_at_ms_ - monotonic_ms(), 0);
    pollfd waiting{from, POLLIN, 0};
    const bool is_news = size != said_;
    (void)::poll(&waiting, 1, is_news ? static_cast<int>(left_ms) : -1);
    if (!is_news || monotonic_ms() < say_at_ms_) return;
    said_ = size;
    say_at_ms_ = monotonic_ms() + pause_ms_;
    pause_ms_ *= 2;
    note("dunlin: reading stdin, " + size_text(size) + waiting_);
  }

 private:
  std::string waiting_;
  std::int64_t pause_ms_ = kNextSayingMs;
  std::int64_t say_at_ms_ = monotonic_ms() + kFirstSayingMs;
  std::optional<std::uint64_t> said_;
};

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
  const bool is_asked_for = why == PipedInput::kAskedFor;
  std::vector<char> piece(kStdinPiece);
  std::uint64_t size = 0;
  ReadingNews news(why);
  while (true) {
    news.wait(from, size);
    pollfd ready{from, POLLIN, 0};
    if (::poll(&ready, 1, 0) == 0) continue;
    const ssize_t count = ::read(from, piece.data(), piece.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
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
