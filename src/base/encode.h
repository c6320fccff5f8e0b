// put(): values of all types that the codec knows, appended to a byte string. See base/codec.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/msgpack.h"
#include "base/time.h"

namespace dunlin {

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
  out.array(decltype(T::fields())::kCount);
  for_each_field(value, [&](const auto& field) { put(out, field); });
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

}  // namespace dunlin
