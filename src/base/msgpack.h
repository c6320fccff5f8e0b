// msgpack for byte strings of ours: msgpack-cxx (https://github.com/msgpack/msgpack-c) packs and
// parses, and is included nowhere else, since its headers are a second of compile time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

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
  Bytes& out_;
};

// Hands out one msgpack value, part by part, in the order of its bytes. The first thing that does
// not fit (bytes that are no value, wrong type, number out of range, too deep) makes it fail for
// good; readers then return zeros and ok() is false.
//
// Memory: a Token for each value among the bytes while the decoder lives, whatever lengths the
// bytes claim. The library's own tree would take more, and an allocation a container.
class Decoder {
 public:
  // Of the containers entered; what is passed over may be as deep as it likes.
  static constexpr std::size_t kMaxDepth = 32;

  // The bytes must outlive the decoder.
  explicit Decoder(ByteView bytes);

  bool ok() const { return ok_; }
  void fail() { ok_ = false; }
  // All is read, nothing failed, no bytes are left over.
  bool is_finished() const { return ok_ && depth_ == 0 && at_ == tokens_.size(); }

  bool is_nil();  // consumes the nil if there is one
  bool boolean();
  std::uint64_t unsigned_integer();
  std::int64_t signed_integer();
  double real();            // whole ones may be written as integers
  std::string_view text();  // valid while the bytes given live
  ByteView binary();        // likewise
  // Enters a container; leave() after the last element.
  std::size_t array();
  std::size_t map();
  // Ends the innermost array or map, passing over elements not read.
  void leave();

 private:
  class Visitor;
  enum class Kind : std::uint8_t {
    kNil,
    kBool,
    kUnsigned,
    kNegative,
    kReal,
    kText,
    kBinary,
    kArray,
    kMap,
  };
  // A value. Of a container, its elements' tokens follow it.
  struct Token {
    Kind kind = Kind::kNil;
    std::uint32_t end = 0;     // of a container: the index behind its last element's token
    std::uint64_t number = 0;  // the value's bits; a container's count; place << 32 | size of bytes
  };

  // The next value, if it is of this kind and in the container we are in; else this fails.
  const Token* take(Kind kind);
  ByteView take_bytes(Kind kind);
  std::size_t enter(Kind kind);
  bool is_next(Kind kind) const { return ok_ && at_ < ends_[depth_] && tokens_[at_].kind == kind; }

  ByteView bytes_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  // Where the containers end that we are in; [0] is the end of all.
  std::array<std::size_t, kMaxDepth + 1> ends_{};
  std::size_t depth_ = 0;
  bool ok_ = true;
};

}  // namespace dunlin
