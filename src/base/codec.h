// msgpack, behind two small classes (codec.cpp alone knows the library). `Encoder` appends to a
// byte string; `Decoder` walks one value after another and never allocates more than a small
// multiple of the bytes it was given, whatever lengths they claim.
// https://github.com/msgpack/msgpack/blob/master/spec.md
//
// Structs say their fields once and travel as arrays:
//
//   struct Ping {
//     std::uint64_t sequence = 0;
//     NodeId target;
//     static constexpr auto fields() { return std::tuple{&Ping::sequence, &Ping::target}; }
//   };
//   Bytes frame = encode(ping);
//   Result<Ping> back = decode<Ping>(frame);
//
// Fields may be added at the end: an older reader ignores them, a newer one keeps its default.
// Supported: bool, integers, double, enums, std::string, Bytes, OpaqueId, GroupId, JobId, Instant-
// free times, std::vector, std::map, std::optional, std::pair, std::variant, and such structs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace dunlin {

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

// Reads one msgpack value. The first thing that does not fit (wrong type, number out of range,
// too deep, bytes left over) makes it fail for good; readers then return zeros and ok() is false.
class Decoder {
 public:
  // The bytes must outlive the decoder.
  explicit Decoder(ByteView bytes);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  bool ok() const;
  void fail();

  bool is_nil();  // consumes the nil if there is one
  bool boolean();
  std::uint64_t unsigned_integer();
  std::int64_t signed_integer();
  double real();
  std::string_view text();  // valid while the bytes given live
  ByteView binary();        // likewise
  std::size_t array();      // enters it; leave() after the last element
  std::size_t map();
  // Ends the innermost array or map, passing over elements not read.
  void leave();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

template <class T>
concept HasFields = requires {
  T::fields();
};

// ---- encoding ---------------------------------------------------------------------------------

inline void put(Encoder& out, bool value) {
  out.boolean(value);
}
inline void put(Encoder& out, double value) {
  out.real(value);
}
inline void put(Encoder& out, const std::string& value) {
  out.text(value);
}
inline void put(Encoder& out, const Bytes& value) {
  out.binary(value);
}
inline void put(Encoder& out, GroupId value) {
  out.unsigned_integer(value.value);
}
inline void put(Encoder& out, const JobId& value) {
  out.text(value.text());
}
inline void put(Encoder& out, WallTime value) {
  out.signed_integer(value.ms);
}
inline void put(Encoder& out, Duration value) {
  out.signed_integer(value.us);
}
template <class Tag, std::size_t N>
void put(Encoder& out, const OpaqueId<Tag, N>& value) {
  out.binary(value.bytes());
}

template <class T>
requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(Encoder& out, T value) {
  if constexpr (std::is_enum_v<T>) {
    out.unsigned_integer(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_signed_v<T>) {
    out.signed_integer(value);
  } else {
    out.unsigned_integer(value);
  }
}

template <HasFields T>
void put(Encoder& out, const T& value);
template <class T>
void put(Encoder& out, const std::vector<T>& values);
template <class K, class V>
void put(Encoder& out, const std::map<K, V>& values);
template <class T>
void put(Encoder& out, const std::optional<T>& value);
template <class A, class B>
void put(Encoder& out, const std::pair<A, B>& value);
template <class... Ts>
void put(Encoder& out, const std::variant<Ts...>& value);

template <HasFields T>
void put(Encoder& out, const T& value) {
  constexpr auto fields = T::fields();
  out.array(std::tuple_size_v<decltype(fields)>);
  std::apply([&](auto... field) { (put(out, value.*field), ...); }, fields);
}

template <class T>
void put(Encoder& out, const std::vector<T>& values) {
  out.array(values.size());
  for (const auto& value : values) put(out, static_cast<const T&>(value));
}

template <class K, class V>
void put(Encoder& out, const std::map<K, V>& values) {
  out.map(values.size());
  for (const auto& [key, value] : values) {
    put(out, key);
    put(out, value);
  }
}

template <class T>
void put(Encoder& out, const std::optional<T>& value) {
  if (value) {
    put(out, *value);
  } else {
    out.nil();
  }
}

template <class A, class B>
void put(Encoder& out, const std::pair<A, B>& value) {
  out.array(2);
  put(out, value.first);
  put(out, value.second);
}

template <class... Ts>
void put(Encoder& out, const std::variant<Ts...>& value) {
  out.array(2);
  out.unsigned_integer(value.index());
  std::visit([&](const auto& held) { put(out, held); }, value);
}

template <class T>
Bytes encode(const T& value) {
  Bytes bytes;
  Encoder out(bytes);
  put(out, value);
  return bytes;
}

// ---- decoding ---------------------------------------------------------------------------------

inline void get(Decoder& in, bool& value) {
  value = in.boolean();
}
inline void get(Decoder& in, double& value) {
  value = in.real();
}
inline void get(Decoder& in, std::string& value) {
  value = in.text();
}
inline void get(Decoder& in, Bytes& value) {
  value = to_bytes(in.binary());
}
void get(Decoder& in, GroupId& value);
void get(Decoder& in, JobId& value);
inline void get(Decoder& in, WallTime& value) {
  value.ms = in.signed_integer();
}
inline void get(Decoder& in, Duration& value) {
  value.us = in.signed_integer();
}
void get_exactly(Decoder& in, std::span<std::uint8_t> out);
template <class Tag, std::size_t N>
void get(Decoder& in, OpaqueId<Tag, N>& value) {
  get_exactly(in, value.raw);
}

template <class T>
requires(std::is_integral_v<T> || std::is_enum_v<T>) void get(Decoder& in, T& value) {
  if constexpr (std::is_enum_v<T>) {
    const std::uint64_t raw = in.unsigned_integer();
    if (raw > static_cast<std::uint64_t>(T::kLast)) in.fail();
    value = static_cast<T>(in.ok() ? raw : 0);
  } else if constexpr (std::is_signed_v<T>) {
    const std::int64_t raw = in.signed_integer();
    if (!std::in_range<T>(raw)) in.fail();
    value = static_cast<T>(raw);
  } else {
    const std::uint64_t raw = in.unsigned_integer();
    if (!std::in_range<T>(raw)) in.fail();
    value = static_cast<T>(raw);
  }
}

template <HasFields T>
void get(Decoder& in, T& value);
template <class T>
void get(Decoder& in, std::vector<T>& values);
template <class K, class V>
void get(Decoder& in, std::map<K, V>& values);
template <class T>
void get(Decoder& in, std::optional<T>& value);
template <class A, class B>
void get(Decoder& in, std::pair<A, B>& value);
template <class... Ts>
void get(Decoder& in, std::variant<Ts...>& value);

template <HasFields T>
void get(Decoder& in, T& value) {
  std::size_t left = in.array();
  auto read = [&](auto& field) {
    if (left == 0) return;
    --left;
    get(in, field);
  };
  std::apply([&](auto... field) { (read(value.*field), ...); }, T::fields());
  in.leave();
}

template <class T>
void get(Decoder& in, std::vector<T>& values) {
  const std::size_t count = in.array();
  values.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    T value{};
    get(in, value);
    values.push_back(std::move(value));
  }
  in.leave();
}

template <class K, class V>
void get(Decoder& in, std::map<K, V>& values) {
  const std::size_t count = in.map();
  values.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    K key{};
    get(in, key);
    get(in, values[key]);
  }
  in.leave();
}

template <class T>
void get(Decoder& in, std::optional<T>& value) {
  value.reset();
  if (!in.is_nil()) get(in, value.emplace());
}

template <class A, class B>
void get(Decoder& in, std::pair<A, B>& value) {
  if (in.array() != 2) in.fail();
  get(in, value.first);
  get(in, value.second);
  in.leave();
}

template <class... Ts>
void get(Decoder& in, std::variant<Ts...>& value) {
  if (in.array() != 2) in.fail();
  const std::uint64_t index = in.unsigned_integer();
  if (index >= sizeof...(Ts)) in.fail();
  std::uint64_t at = 0;
  auto read = [&](auto* type) {
    if (at++ == index && in.ok())
      get(in, value.template emplace<std::remove_pointer_t<decltype(type)>>());
  };
  (read(static_cast<Ts*>(nullptr)), ...);
  in.leave();
}

template <class T>
Result<T> decode(ByteView bytes) {
  Decoder in(bytes);
  T value{};
  get(in, value);
  if (!in.ok()) return dunlin::fail(Code::kCorrupt, "malformed message");
  return value;
}

}  // namespace dunlin
