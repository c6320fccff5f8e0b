// The fields by which a struct travels and is stored; see base/codec.h. A type without a value,
// since hundreds of structs name theirs: a std::tuple in each adds a second to every compile.
#pragma once

#include <cstddef>

namespace dunlin {

template <auto... kMembers>
struct Fields {
  static constexpr std::size_t kCount = sizeof...(kMembers);
};

template <class T>
concept HasFields = requires {
  T::fields();
};

// Calls the function with each field in turn.
template <class T, class F, auto... kMembers>
void for_each_field(T& value, Fields<kMembers...>, F&& function) {
  (function(value.*kMembers), ...);
}
template <class T, class F>
void for_each_field(T& value, F&& function) {
  for_each_field(value, T::fields(), function);
}

}  // namespace dunlin
