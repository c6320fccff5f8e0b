// Values of any type that the codec knows, from chance: what `fields()` names is filled. Numbers
// lie often at the edges of their range, and ids often among a few, so that messages meet.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/codec.h"
#include "base/random.h"

namespace dunlin::fuzz {

// Flips, cuts, repeats, inserts: what valid bytes may turn into. At most 3 changes, perhaps none.
void mutate(Bytes& bytes, Random& random);

// What arbitrary values are made from.
struct Source {
  explicit Source(std::uint64_t seed) : random(seed) {}

  Random random;
  // Taken for ids of nodes and jobs half of the time, where there are any.
  std::vector<NodeId> nodes;
  std::vector<JobId> jobs;
  std::uint16_t groups = 8;
  int depth = 0;  // of containers: the deeper, the shorter

  std::uint64_t number();
  std::size_t length();
};

Bytes arbitrary_bytes(Source& source);

template <class T>
void arbitrary(Source& source, T& value);

template <class T>
T arbitrary_of(Source& source) {
  T value{};
  arbitrary(source, value);
  return value;
}

inline void fill(Source& source, bool& value) {
  value = source.random.chance(0.5);
}
inline void fill(Source& source, double& value) {
  value = source.random.unit();
}
inline void fill(Source& source, std::string& value) {
  value = to_text(arbitrary_bytes(source));
}
inline void fill(Source& source, Bytes& value) {
  value = arbitrary_bytes(source);
}
void fill(Source& source, GroupId& value);
void fill(Source& source, JobId& value);
void fill(Source& source, NodeId& value);
inline void fill(Source& source, WallTime& value) {
  value.ms = static_cast<std::int64_t>(source.number());
}
inline void fill(Source& source, Duration& value) {
  value.us = static_cast<std::int64_t>(source.number());
}
template <class Tag, std::size_t N>
void fill(Source& source, OpaqueId<Tag, N>& value) {
  value = {};
  value.raw[0] = static_cast<std::uint8_t>(source.random.below(4));
  if (source.random.chance(0.3)) source.random.fill(value.raw);
}
template <class T>
requires(std::is_integral_v<T> || std::is_enum_v<T>) void fill(Source& source, T& value) {
  if constexpr (std::is_enum_v<T>) {
    value = static_cast<T>(source.random.below(static_cast<std::uint64_t>(T::kLast) + 1));
  } else {
    value = static_cast<T>(source.number());
  }
}
template <class T>
void fill(Source& source, std::vector<T>& values) {
  values.resize(source.length());
  for (T& value : values) arbitrary(source, value);
}
template <class K, class V>
void fill(Source& source, std::map<K, V>& values) {
  values.clear();
  for (std::size_t left = source.length(); left > 0; --left) {
    const K key = arbitrary_of<K>(source);
    arbitrary(source, values[key]);
  }
}
template <class T>
void fill(Source& source, std::optional<T>& value) {
  value.reset();
  if (source.random.chance(0.7)) arbitrary(source, value.emplace());
}
template <class A, class B>
void fill(Source& source, std::pair<A, B>& value) {
  arbitrary(source, value.first);
  arbitrary(source, value.second);
}
template <class... Ts>
void fill(Source& source, std::variant<Ts...>& value) {
  std::uint64_t left = source.random.below(sizeof...(Ts));
  const auto choose = [&](auto* type) {
    if (left-- != 0) return;
    arbitrary(source, value.template emplace<std::remove_pointer_t<decltype(type)>>());
  };
  (choose(static_cast<Ts*>(nullptr)), ...);
}
template <HasFields T>
void fill(Source& source, T& value) {
  for_each_field(value, [&](auto& field) { arbitrary(source, field); });
}

template <class T>
void arbitrary(Source& source, T& value) {
  ++source.depth;
  fill(source, value);
  --source.depth;
}

}  // namespace dunlin::fuzz
