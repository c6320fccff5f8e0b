#include "os/thread.h"

#include <signal.h>

#include "base/assert.h"

namespace dunlin {

namespace {

#ifdef DUNLIN_SANITIZED
constexpr std::size_t kStack = 2 * 1024 * 1024;  // their frames are several times larger
#else
constexpr std::size_t kStack = 256 * 1024;
#endif

}  // namespace

Thread::Thread(const char* name, std::function<void()> body) : Thread(std::move(body)) {
  const bool is_started = start(name);
  ASSERT(is_started);
}

std::unique_ptr<Thread> Thread::try_start(const char* name, std::function<void()> body) {
  std::unique_ptr<Thread> thread(new Thread(std::move(body)));
  if (!thread->start(name)) return nullptr;
  return thread;
}

bool Thread::start(const char* name) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_t attributes;
  ASSERT(pthread_attr_init(&attributes) == 0);
  ASSERT(pthread_attr_setstacksize(&attributes, kStack) == 0);
  is_started_ = pthread_create(&thread_, &attributes, &Thread::run, this) == 0;
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (is_started_) pthread_setname_np(thread_, name);
  return is_started_;
}

Thread::~Thread() {
  if (is_started_) pthread_join(thread_, nullptr);
}

void* Thread::run(void* self) {
  static_cast<Thread*>(self)->body_();
  return nullptr;
}

}  // namespace dunlin
