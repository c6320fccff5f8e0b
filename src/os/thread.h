// A thread with a small stack (256 KiB instead of 8 MiB) that takes no signals: those belong to
// the loop's thread. Joined by its destructor.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <utility>

namespace dunlin {

class Thread {
 public:
  // The name (at most 15 letters) is what `top -H` shows. For who cannot do without: where no
  // thread can be made the process ends.
  Thread(const char* name, std::function<void()> body);
  // Nothing where no thread can be made: a limit is reached, or there is no memory.
  static std::unique_ptr<Thread> try_start(const char* name, std::function<void()> body);
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

 private:
  explicit Thread(std::function<void()> body) : body_(std::move(body)) {}
  bool start(const char* name);
  static void* run(void* self);

  std::function<void()> body_;
  pthread_t thread_{};
  bool is_started_ = false;
};

}  // namespace dunlin
