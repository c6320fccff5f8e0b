// get(): the counterpart of put(), for bytes that anyone may have made. See base/codec.h.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/encode.h"

namespace dunlin {

constexpr std::size_t kMaxExpansion = 64;

template <HasFields T>
constexpr std::size_t required_fields() {
  constexpr std::size_t count = decltype(T::fields())::kCount;
  if constexpr (requires { T::kRequiredFields; }) {
    static_assert(T::kRequiredFields <= count);
    return T::kRequiredFields;
  } else {
    return count;
  }
}

// The fewest bytes that a value of the type takes.
template <class T>
struct LeastEncoded {
  static constexpr std::size_t kBytes = 1;
};
template <class T>
constexpr std::size_t least_encoded() {
  return LeastEncoded<T>::kBytes;
}
template <class Tag, std::size_t N>
struct LeastEncoded<OpaqueId<Tag, N>> {
  static constexpr std::size_t kBytes = N + 2;
};
template <class A, class B>
struct LeastEncoded<std::pair<A, B>> {
  static constexpr std::size_t kBytes = 1 + least_encoded<A>() + least_encoded<B>();
};
template <class... Ts>
struct LeastEncoded<std::variant<Ts...>> {
  static constexpr std::size_t kBytes = 2 + std::min({least_encoded<Ts>()...});
};
template <HasFields T>
struct LeastEncoded<T> {
  template <auto... kMembers>
  static constexpr std::size_t sum(Fields<kMembers...>) {
    std::size_t index = 0;
    std::size_t bytes = 1;
    ((bytes += index++ < required_fields<T>() ? least_of(kMembers) : 0), ...);
    return bytes;
  }
  template <class Field>
  static constexpr std::size_t least_of(Field T::*) {
    return least_encoded<Field>();
  }
  static constexpr std::size_t kBytes = sum(T::fields());
};

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
  if (left < required_fields<T>()) in.fail();
  for_each_field(value, [&](auto& field) {
    if (left == 0) return;
    --left;
    get(in, field);
  });
  in.leave();
}

template <class T>
void get(Decoder& in, std::vector<T>& values) {
  static_assert(sizeof(T) <= kMaxExpansion * least_encoded<T>());
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
  static_assert(sizeof(std::pair<K, V>) <=
                kMaxExpansion * (least_encoded<K>() + least_encoded<V>()));
  const std::size_t count = in.map();
  values.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    K key{};
    get(in, key);
    const auto [at, is_new] = values.try_emplace(std::move(key));
    if (!is_new) in.fail();
    get(in, at->second);
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

}  // namespace dunlin
