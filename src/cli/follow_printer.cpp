#include "cli/follow_printer.h"

#include <unistd.h>

#include <algorithm>

#include "cli/report.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxPartialLine = 64 * 1024;

}  // namespace

void FollowPrinter::restart() {
  reader_ = FrameReader();
  complete_ = false;
  for (auto& [key, stream] : streams_) stream.skip = stream.printed;
}

void FollowPrinter::feed(std::string_view bytes) {
  reader_.feed(bytes);
  while (const std::optional<Frame> frame = reader_.next()) take(*frame);
}

void FollowPrinter::take(const Frame& frame) {
  switch (frame.kind) {
    case FrameKind::kStdout:
    case FrameKind::kStderr:
      return print_output(streams_[{frame.task, frame.kind == FrameKind::kStderr}], frame);
    case FrameKind::kAttempt:
      if (frame.payload.empty()) return;
      return begin_attempt(frame.task, frame.payload.front() == 'e', frame.payload.substr(1));
    case FrameKind::kJob:
      if (const auto job = job_from_json(frame.payload)) job_ = *job;
      return;
    case FrameKind::kTask:
      if (const auto task = task_from_json(frame.payload)) worst_ = *task;
      return;
    case FrameKind::kAlive: return;
    case FrameKind::kError: error_ = error_from_json(frame.payload); return;
    case FrameKind::kEnd:
      flush_partial();
      complete_ = true;
      return;
  }
}

// "2.7": the second attempt, of term 7.
void FollowPrinter::begin_attempt(std::uint32_t task, bool is_stderr, std::string_view attempt) {
  Stream& stream = streams_[{task, is_stderr}];
  if (stream.attempt == attempt) return;
  stream.attempt = attempt;
  stream.printed = stream.skip = 0;
  if (!stream.partial.empty()) {
    write(is_stderr, std::to_string(task) + ": " + std::exchange(stream.partial, {}) + "\n");
  }
  Shown& shown = shown_[task];
  if (shown.attempt == attempt) return;
  shown.attempt = attempt;
  if (!std::exchange(shown.has_bytes, false)) return;
  note("dunlin: task " + std::to_string(task) + " runs again (attempt " +
       std::string(attempt.substr(0, attempt.find('.'))) + "): its output begins anew");
}

void FollowPrinter::write(bool is_stderr, std::string_view bytes) {
  if (write_error_ != 0) return;
  write_error_ = write_whole(is_stderr ? STDERR_FILENO : STDOUT_FILENO, bytes, interrupted_);
}

void FollowPrinter::print_output(Stream& stream, const Frame& frame) {
  std::string_view bytes = frame.payload;
  const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(stream.skip, bytes.size()));
  bytes.remove_prefix(skipped);
  stream.skip -= skipped;
  if (bytes.empty()) return;
  stream.printed += bytes.size();
  shown_[frame.task].has_bytes = true;
  const bool is_stderr = frame.kind == FrameKind::kStderr;
  if (!prefixed_) {
    return write(is_stderr, bytes);
  }
  stream.partial += bytes;
  const std::string prefix = std::to_string(frame.task) + ": ";
  std::string lines;
  std::size_t at = 0;
  for (std::size_t end; (end = stream.partial.find('\n', at)) != std::string::npos; at = end + 1) {
    lines += prefix + stream.partial.substr(at, end + 1 - at);
  }
  stream.partial.erase(0, at);
  if (stream.partial.size() > kMaxPartialLine) {
    lines += prefix + std::exchange(stream.partial, {}) + "\n";
  }
  write(is_stderr, lines);
}

void FollowPrinter::flush_partial() {
  for (auto& [key, stream] : streams_) {
    if (stream.partial.empty()) continue;
    const std::string line =
        std::to_string(key.first) + ": " + std::exchange(stream.partial, {}) + "\n";
    write(key.second, line);
  }
}

}  // namespace dunlin
