// The bytes of one connection, whatever carries them: a socket of this host, plain TCP, or the
// sealed session of a client elsewhere. What HttpServer speaks HTTP over.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace dunlin {

class ByteStream {
 public:
  // Any of them may call send(), set_reading(), finish() and close().
  struct Events {
    std::function<void(std::string_view)> on_data;
    std::function<void()> on_sent;  // some of what waited has gone
    std::function<void()> on_end;   // it broke, or the other end has left: to be closed
  };

  virtual ~ByteStream() = default;
  // Once, before anything else; nothing is read before set_reading(true).
  virtual void open(Events events) = 0;
  // Does nothing where it is so already.
  virtual void set_reading(bool is_wanted) = 0;
  virtual void send(std::string data) = 0;
  // Bytes given to send() that the kernel has not taken.
  virtual std::size_t unsent() = 0;
  // Nothing more will be sent; reading goes on.
  virtual void finish() = 0;
  // No event comes any more. `closed` is called later, from the loop: then this may be destroyed,
  // and not before.
  virtual void close(std::function<void()> closed) = 0;
};

}  // namespace dunlin
