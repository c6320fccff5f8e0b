// The part of msgpack that our messages and records use, written and read straight from byte
// strings: https://github.com/msgpack/msgpack/blob/master/spec.md. `Encoder` appends; `Decoder`
// walks one value after another and allocates nothing, whatever lengths the bytes claim.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace dunlin {

// Writes the shortest form of everything. Lengths and counts must be below 2^32.
class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out) {}

  void nil();
  void boolean(bool value);
  void unsigned_integer(std::uint64_t value);
  void signed_integer(std::int64_t value);
  void real(double value);
  void text(std::string_view value);
  void binary(ByteView value);
  void array(std::size_t count);
  void map(std::size_t count);

 private:
  void head(std::uint8_t kind, std::uint64_t value, int width);

  Bytes& out_;
};

// Reads one msgpack value. The first thing that does not fit (wrong type, number out of range, cut
// short, too deep) makes it fail for good; readers then return zeros and ok() is false.
class Decoder {
 public:
  static constexpr std::size_t kMaxDepth = 32;

  // The bytes must outlive the decoder.
  explicit Decoder(ByteView bytes) : rest_(bytes) { left_[0] = 1; }

  bool ok() const { return ok_; }
  void fail() { ok_ = false; }
  // All is read, nothing failed, no bytes are left over.
  bool is_finished() const;

  bool is_nil();  // consumes the nil if there is one
  bool boolean();
  std::uint64_t unsigned_integer();
  std::int64_t signed_integer();
  double real();
  std::string_view text();  // valid while the bytes given live
  ByteView binary();        // likewise
  // Enters a container; leave() after the last element. The count is never more than the bytes
  // left could hold.
  std::size_t array();
  std::size_t map();
  // Ends the innermost array or map, passing over elements not read.
  void leave();

 private:
  struct Head;
  Head take_head();
  ByteView take(std::size_t size);
  std::size_t enter(std::uint64_t count, std::uint64_t values_each);

  ByteView rest_;
  // Values not yet begun in the containers that we are in; [0] is the one value of all.
  std::array<std::uint64_t, kMaxDepth + 1> left_;
  std::size_t depth_ = 0;
  bool ok_ = true;
};

}  // namespace dunlin
