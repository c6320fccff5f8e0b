// A thread with a small stack (256 KiB instead of 8 MiB) that takes no signals: those belong to
// the loop's thread. Joined by its destructor.
#pragma once

#include <pthread.h>

#include <functional>

namespace dunlin {

class Thread {
 public:
  // The name (at most 15 letters) is what `top -H` shows.
  Thread(const char* name, std::function<void()> body);
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

 private:
  static void* run(void* self);
  std::function<void()> body_;
  pthread_t thread_;
};

}  // namespace dunlin
