#include "os/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <utility>

#include "base/assert.h"

namespace dunlin {

namespace {

uv_buf_t buffer_over(ByteView bytes) {
  // libuv only reads from it.
  auto* data = reinterpret_cast<char*>(const_cast<std::uint8_t*>(bytes.data()));
  return uv_buf_init(data, static_cast<unsigned>(bytes.size()));
}

// Failures of these leave a slower connection, not a wrong one.
void tune(uv_tcp_t* tcp) {
  uv_tcp_nodelay(tcp, 1);
  uv_tcp_keepalive(tcp, 1, static_cast<unsigned>(kKeepalive.milliseconds() / 1000));
  uv_os_fd_t descriptor = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(tcp), &descriptor) == 0) {
    const unsigned limit = static_cast<unsigned>(kUserTimeout.milliseconds());
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
  }
}

}  // namespace

Connection::Connection(Session session, ReadBuffer& buffer, Events events)
    : session_(std::move(session)), buffer_(buffer), events_(std::move(events)) {
  tcp_.data = this;
  connecting_.data = this;
  write_.data = this;
}

Connection* Connection::accept(uv_stream_t* listener, Session session, ReadBuffer& buffer,
                               Events events) {
  auto* self = new Connection(std::move(session), buffer, std::move(events));
  ASSERT(uv_tcp_init(listener->loop, &self->tcp_) == 0);
  sockaddr_storage remote{};
  int size = sizeof remote;
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(&self->tcp_)) != 0 ||
      uv_tcp_getpeername(&self->tcp_, reinterpret_cast<sockaddr*>(&remote), &size) != 0) {
    self->close();
    return nullptr;
  }
  self->remote_ = SocketAddress(reinterpret_cast<const sockaddr*>(&remote));
  self->start();
  return self;
}

Result<Connection*> Connection::dial(uv_loop_t* loop, const SocketAddress& to,
                                     const std::optional<SocketAddress>& from, Session session,
                                     ReadBuffer& buffer, Events events) {
  auto* self = new Connection(std::move(session), buffer, std::move(events));
  self->remote_ = to;
  ASSERT(uv_tcp_init(loop, &self->tcp_) == 0);
  int status = from ? uv_tcp_bind(&self->tcp_, from->with_port(0).raw(), 0) : 0;
  if (status == 0) {
    status = uv_tcp_connect(&self->connecting_, &self->tcp_, to.raw(),
                            [](uv_connect_t* request, int result) {
                              auto* connection = static_cast<Connection*>(request->data);
                              if (connection->is_closing_) return;
                              if (result != 0) {
                                connection->end("cannot connect", result);
                              } else {
                                connection->start();
                              }
                            });
  }
  if (status != 0) {
    self->close();
    return fail(Code::kUnreachable, std::string("cannot connect: ") + uv_strerror(status));
  }
  return self;
}

void Connection::start() {
  is_connected_ = true;
  tune(&tcp_);
  set_reading(true);
  flush();
}

// ---- reading -----------------------------------------------------------------------------------

void Connection::set_reading(bool is_wanted) {
  if (is_closing_ || is_wanted == is_reading_) return;
  is_reading_ = is_wanted;
  auto* stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  if (!is_wanted) {
    uv_read_stop(stream);
    return;
  }
  const auto give_buffer = [](uv_handle_t* handle, std::size_t, uv_buf_t* out) {
    ReadBuffer& buffer = static_cast<Connection*>(handle->data)->buffer_;
    *out = uv_buf_init(buffer.data(), static_cast<unsigned>(buffer.size()));
  };
  const auto take = [](uv_stream_t* from, ssize_t size, const uv_buf_t*) {
    static_cast<Connection*>(from->data)->on_read(size);
  };
  ASSERT(uv_read_start(stream, give_buffer, take) == 0);
}

void Connection::on_read(ssize_t size) {
  if (is_closing_ || size == 0) return;
  if (size < 0) {
    if (size == UV_EOF) {
      end(Error{Code::kUnreachable, "the other end closed the connection", ""});
    } else {
      end("the connection broke", static_cast<int>(size));
    }
    return;
  }
  std::vector<Bytes> frames;
  const auto* data = reinterpret_cast<const std::uint8_t*>(buffer_.data());
  const Result<void> received =
      session_.receive(ByteView(data, static_cast<std::size_t>(size)), frames);

  if (session_.phase() == Session::Phase::kDeciding) {
    const Verdict verdict = events_.admit(*this);
    if (is_closing_) return;
    session_.decide(verdict);
    if (verdict != Verdict::kAdmitted) {
      flush();
      const bool is_client = peer().mode == SessionMode::kClient;
      end(Error{
          Code::kRefused,
          is_client ? "a client is not admitted" : "node " + peer().id.text() + " is not admitted",
          ""});
      return;
    }
  }
  if (!deliver(std::move(frames))) return;
  flush();  // an answer, or the few bytes of a refusal
  if (!received) end(received.error());
}

// False when the connection was closed meanwhile.
bool Connection::deliver(std::vector<Bytes> frames) {
  const bool opens = session_.phase() == Session::Phase::kOpen || !frames.empty();
  if (!is_open_ && opens) {
    is_open_ = true;
    if (events_.on_open) events_.on_open(*this);
  }
  for (Bytes& frame : frames) {
    if (is_closing_) return false;
    events_.on_frame(*this, std::move(frame));
  }
  return !is_closing_;
}

// ---- writing -----------------------------------------------------------------------------------

// An error of writing is not reported here but by the read that follows it, so that no caller of
// flush() finds its connection gone; but finish() ends it here.
void Connection::flush() {
  if (is_closing_ || !is_connected_ || is_writing_) return;
  auto* stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  for (;;) {
    if (is_open_ && !is_finishing_ && events_.refill) events_.refill(*this);
    if (is_closing_) return;
    if (!session_.has_output()) break;
    writing_ = session_.take_output(kWriteSize);
    const uv_buf_t whole = buffer_over(writing_);
    const int wrote = uv_try_write(stream, &whole, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) break;
    const std::size_t done = wrote < 0 ? 0 : static_cast<std::size_t>(wrote);
    if (done == writing_.size()) continue;
    const uv_buf_t rest = buffer_over(ByteView(writing_).subspan(done));
    is_writing_ = uv_write(&write_, stream, &rest, 1, [](uv_write_t* request, int status) {
                    auto* self = static_cast<Connection*>(request->data);
                    self->is_writing_ = false;
                    if (status == 0) self->flush();
                  }) == 0;
    return;
  }
  writing_ = Bytes();
  if (is_finishing_) end(Error{Code::kFailed, "finished", ""});
}

void Connection::finish() {
  is_finishing_ = true;
  flush();
}

// ---- the end -----------------------------------------------------------------------------------

void Connection::end(const std::string& what, int status) {
  end(Error{Code::kUnreachable, what + ": " + uv_strerror(status), ""});
}

void Connection::end(const Error& error) {
  if (is_closing_) return;
  close();
  if (events_.on_end) events_.on_end(*this, error);
}

void Connection::close() {
  if (is_closing_) return;
  is_closing_ = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    const auto closed = std::move(self->closed_);
    delete self;
    if (closed) closed();
  });
}

void Connection::close(std::function<void()> closed) {
  closed_ = std::move(closed);
  close();
}

}  // namespace dunlin
