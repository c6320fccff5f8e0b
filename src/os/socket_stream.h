// A byte stream over a connected socket: one that a listener of the loop has taken in.
#pragma once

#include <uv.h>

#include <vector>

#include "os/byte_stream.h"

namespace dunlin {

class SocketStream : public ByteStream {
 public:
  enum class Kind { kLocal, kTcp };

  // `buffer` is shared by all streams of the loop: what was read is used up before the next read.
  SocketStream(uv_loop_t* loop, Kind kind, std::vector<char>& buffer);
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;

  // False when there was nobody after all, or no room for another descriptor.
  bool accept(uv_stream_t* listener);
  // The socket's, or -1.
  int descriptor() const;

  void open(Events events) override { events_ = std::move(events); }
  void set_reading(bool is_wanted) override;
  void send(std::string data) override;
  std::size_t unsent() override { return uv_stream_get_write_queue_size(&handle_.stream); }
  void finish() override;
  void close(std::function<void()> closed) override;

 private:
  struct Write;

  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tcp_t tcp;
  } handle_{};
  uv_shutdown_t shutdown_{};
  std::vector<char>& buffer_;
  Events events_;
  bool is_reading_ = false;
  bool is_closing_ = false;
  std::function<void()> closed_;
};

}  // namespace dunlin
