// Values to msgpack and back: what every message and durable record is made of.
//
// Structs say their fields once and travel as arrays:
//
//   struct Ping {
//     std::uint64_t sequence = 0;
//     NodeId target;
//     static constexpr auto fields() { return Fields<&Ping::sequence, &Ping::target>{}; }
//   };
//   Bytes frame = encode(ping);
//   Result<Ping> back = decode<Ping>(frame);
//
// Versions. A later version may append fields, and never removes or reorders them. A reader passes
// over fields that it does not know. Fields that the struct had when it was first released are
// required: a value with fewer is malformed. A struct that has grown says how many those were,
//
//     static constexpr std::size_t kRequiredFields = 2;
//
// and fields behind them, where they are missing, keep their defaults, which must mean "as before".
//
// Memory. Nothing is allocated on the word of a length: containers grow as elements are read. An
// element may take at most kMaxExpansion bytes of memory per byte of input; what could take more
// does not compile. Messages have lower limits of their own where they are received.
//
// Supported: bool, integers, double, enums (with kLast), std::string, Bytes, OpaqueId, GroupId,
// JobId, WallTime, Duration, std::vector, std::map, std::optional, std::pair, std::variant, and
// such structs.
#pragma once

#include "base/decode.h"
#include "base/encode.h"
#include "base/result.h"

namespace dunlin {

template <class T>
Bytes encode(const T& value) {
  Bytes bytes;
  Encoder out(bytes);
  put(out, value);
  return bytes;
}

// kCorrupt when the bytes are not exactly one such value.
template <class T>
Result<T> decode(ByteView bytes) {
  Decoder in(bytes);
  T value{};
  get(in, value);
  if (!in.is_finished()) return dunlin::fail(Code::kCorrupt, "malformed message");
  return value;
}

}  // namespace dunlin
