// Reads JSON through nlohmann::json, for the json_*.cpp files only: the library is kept out of
// every other file, since it takes seconds to compile. No exception leaves this class.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "os/json_time.h"

namespace dunlin {

// kUsage when it is not JSON, or not an object (array).
Result<nlohmann::json> parse_object(std::string_view text);
Result<nlohmann::json> parse_array(std::string_view text);
// A text, or {"base64":"..."}; nothing when it is neither.
std::optional<std::string> exact_text(const nlohmann::json& value);

// One object's fields. A field that is missing or null leaves the target as it is; one of the wrong
// type is remembered as the error that `check` returns. What was never asked for is an unknown key.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) complain("", "must be an object");
  }

  // Nothing when missing or null.
  const nlohmann::json* find(const char* key);
  void read(const char* key, std::string& to);
  void read_exact(const char* key, std::string& to);  // see exact_text()
  // Objects; what they hold is added.
  void read_exact(const char* key, std::map<std::string, std::string>& to);
  void read(const char* key, std::map<std::string, std::uint64_t>& to);
  void read(const char* key, bool& to);
  void read(const char* key, WallTime& to);
  void read_ms(const char* key, Duration& to);
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) void read(const char* key, T& to) {
    const nlohmann::json* found = find(key);
    if (found == nullptr) return;
    if (found->is_number_unsigned()) {
      const auto number = found->get<std::uint64_t>();
      if (std::in_range<T>(number)) return void(to = static_cast<T>(number));
    } else if (found->is_number_integer()) {
      const auto number = found->get<std::int64_t>();
      if (std::in_range<T>(number)) return void(to = static_cast<T>(number));
    }
    complain(key, "must be a whole number in range");
  }
  template <class T>
  void read(const char* key, std::optional<T>& to) {
    if (find(key) == nullptr) return;
    T held{};
    read(key, held);
    to = std::move(held);
  }
  // An array; `each` gets every element.
  void read_each(const char* key, const std::function<void(const nlohmann::json&)>& each);

  void complain(const std::string& key, const std::string& what);
  // kUsage naming the first field that was wrong. `strict`: unknown keys are wrong too.
  Result<void> check(bool strict = false);

 private:
  const nlohmann::json& object_;
  std::string where_;  // "spec": what the object is, for messages
  std::set<std::string, std::less<>> asked_;
  std::optional<Error> error_;
};

}  // namespace dunlin
