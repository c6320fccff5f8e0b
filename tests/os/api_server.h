// An Api over a FakeNode on a loop and a thread of its own, at a socket in a temporary directory:
// clients in the test's thread talk to it as to a real node.
#pragma once

#include <uv.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/assert.h"
#include "os/api.h"
#include "os/bound_sockets.h"
#include "os/fake_node.h"
#include "os/temporary_directory.h"

namespace dunlin {

class ApiServer {
 public:
  ApiServer() : socket(directory.path() + "/api.sock") {
    std::signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&loop_);
    uv_async_init(&loop_, &wake_,
                  [](uv_async_t* async) { static_cast<ApiServer*>(async->data)->run_tasks(); });
    wake_.data = this;
    api_ = std::make_unique<Api>(
        &loop_,
        [this](client::RequestId id, client::Request request) {
          node_.submit(id, std::move(request));
        },
        [this](client::RequestId id) { node_.leave(id); });
    node_.deliver = [this](client::Reply reply) { api_->deliver(std::move(reply)); };
    Result<FileDescriptor> bound = bind_local_socket(socket, 0600);
    listening_ = bound ? api_->listen(socket, std::move(*bound)) : tl::unexpected(bound.error());
    thread_ = std::thread([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
  }
  // As if the node's process had ended: its clients are cut off, and nobody answers any more.
  void hang_up() {
    on_loop([this](FakeNode&) { api_->close(); });
  }
  ~ApiServer() {
    on_loop([this](FakeNode&) {
      api_->close();
      uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    });
    thread_.join();
    api_.reset();
    ASSERT(uv_loop_close(&loop_) == 0);
  }
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Runs it on the loop's thread and waits for its end.
  void on_loop(const std::function<void(FakeNode&)>& task) {
    std::unique_lock lock(mutex_);
    bool done = false;
    tasks_.push_back([&] {
      task(node_);
      const std::lock_guard inner(mutex_);
      done = true;
      changed_.notify_all();
    });
    uv_async_send(&wake_);
    // What never comes would be run after this frame is gone.
    if (!changed_.wait_for(lock, std::chrono::minutes(2), [&] { return done; })) {
      std::fputs("the loop of the server does not turn\n", stderr);
      std::abort();
    }
  }
  // Waits until the node is so; false after ten seconds.
  bool wait_until(const std::function<bool(FakeNode&)>& is_so) {
    for (int i = 0; i < 2000; ++i) {
      bool so = false;
      on_loop([&](FakeNode& node) { so = is_so(node); });
      if (so) return true;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    return false;
  }

  TemporaryDirectory directory;
  const std::string socket;

 private:
  void run_tasks() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (const auto& task : tasks) task();
  }

  uv_loop_t loop_{};
  uv_async_t wake_{};
  FakeNode node_;
  std::unique_ptr<Api> api_;
  Result<void> listening_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> tasks_;
  std::thread thread_;
};

}  // namespace dunlin
