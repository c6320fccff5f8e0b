#include "os/socket_stream.h"

#include <memory>
#include <utility>

namespace dunlin {

struct SocketStream::Write {
  uv_write_t request{};
  std::string data;
};

SocketStream::SocketStream(uv_loop_t* loop, Kind kind, std::vector<char>& buffer)
    : buffer_(buffer) {
  if (kind == Kind::kLocal) {
    uv_pipe_init(loop, &handle_.pipe, 0);
  } else {
    uv_tcp_init(loop, &handle_.tcp);
  }
  handle_.any.data = this;
}

bool SocketStream::accept(uv_stream_t* listener) {
  if (uv_accept(listener, &handle_.stream) != 0) return false;
  if (handle_.any.type == UV_TCP) uv_tcp_nodelay(&handle_.tcp, 1);
  return true;
}

int SocketStream::descriptor() const {
  uv_os_fd_t fd = -1;
  return uv_fileno(&handle_.any, &fd) == 0 ? fd : -1;
}

void SocketStream::set_reading(bool is_wanted) {
  if (is_closing_ || is_wanted == is_reading_) return;
  is_reading_ = is_wanted;
  if (!is_wanted) {
    uv_read_stop(&handle_.stream);
    return;
  }
  uv_read_start(
      &handle_.stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* to) {
        auto& shared = static_cast<SocketStream*>(handle->data)->buffer_;
        *to = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
      },
      [](uv_stream_t* from, ssize_t count, const uv_buf_t* data) {
        auto& self = *static_cast<SocketStream*>(from->data);
        if (self.is_closing_) return;
        if (count < 0) return self.events_.on_end();
        // After a read that filled the buffer libuv looks for more; nothing is no end.
        if (count > 0) self.events_.on_data({data->base, static_cast<std::size_t>(count)});
      });
}

void SocketStream::send(std::string data) {
  if (is_closing_) return;
  std::size_t sent = 0;
  if (unsent() == 0) {
    const uv_buf_t whole = uv_buf_init(data.data(), static_cast<unsigned>(data.size()));
    const int count = uv_try_write(&handle_.stream, &whole, 1);
    if (count > 0) sent = static_cast<std::size_t>(count);
  }
  if (sent == data.size()) return;
  auto write = std::make_unique<Write>();
  write->data = std::move(data);
  write->request.data = write.get();
  const uv_buf_t rest =
      uv_buf_init(write->data.data() + sent, static_cast<unsigned>(write->data.size() - sent));
  const auto done = [](uv_write_t* request, int status) {
    auto& self = *static_cast<SocketStream*>(request->handle->data);
    const std::unique_ptr<Write> finished(static_cast<Write*>(request->data));
    if (self.is_closing_) return;
    status < 0 ? self.events_.on_end() : self.events_.on_sent();
  };
  if (uv_write(&write->request, &handle_.stream, &rest, 1, done) != 0) return events_.on_end();
  (void)write.release();
}

void SocketStream::finish() {
  if (is_closing_) return;
  uv_shutdown(&shutdown_, &handle_.stream, [](uv_shutdown_t*, int) {});
}

void SocketStream::close(std::function<void()> closed) {
  if (is_closing_) return;
  is_closing_ = true;
  closed_ = std::move(closed);
  uv_close(&handle_.any, [](uv_handle_t* handle) {
    // What is called may destroy this.
    const auto done = std::move(static_cast<SocketStream*>(handle->data)->closed_);
    done();
  });
}

}  // namespace dunlin
