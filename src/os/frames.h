// How several outputs travel in one HTTP stream (content type kFramesType): frames of
//   kind (1 byte)  task (u32, little-endian)  length (u32, little-endian)  payload
// so that bytes stay bytes. A reader passes over kinds that it does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dunlin {

constexpr const char* kFramesType = "application/x-dunlin-frames";
constexpr std::size_t kMaxFramePayload = 4 * 1024 * 1024;

enum class FrameKind : char {
  kStdout = 'o',
  kStderr = 'e',
  // "o2.31": next comes stdout ("e": stderr) of the task's attempt 2, epoch 31, from its beginning.
  kAttempt = 'a',
  kJob = 'j',    // the job as JSON, whenever it has changed
  kTask = 't',   // a task as JSON: of `run`, the one that decides its exit code
  kError = 'x',  // of this task's output (task 0: of everything): {"error":{...}}
  kAlive = 'l',  // nothing: a sign of life
  kEnd = 'z',    // nothing is missing
};

struct Frame {
  FrameKind kind{};
  std::uint32_t task = 0;
  std::string payload;
};

std::string frame_text(FrameKind kind, std::uint32_t task, std::string_view payload);

// Bytes in, frames out.
class FrameReader {
 public:
  void feed(std::string_view bytes) { pending_ += bytes; }
  // Nothing when no whole frame is there yet.
  std::optional<Frame> next();
  // The stream holds something that is no frame.
  bool is_broken() const { return broken_; }

 private:
  std::string pending_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

}  // namespace dunlin
