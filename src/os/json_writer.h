// Writes JSON (RFC 8259) straight into a string: lists of a hundred thousand jobs need no tree of
// values in memory. Bytes that are not UTF-8 become U+FFFD, since JSON has no place for them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/time.h"

namespace dunlin {

class JsonWriter {
 public:
  // Appends to `out`, which must outlive the writer.
  explicit JsonWriter(std::string& out) : out_(out) {}

  void begin_object() { open('{'); }
  void end_object() { out_ += '}', bare_ = false; }
  void begin_array() { open('['); }
  void end_array() { out_ += ']', bare_ = false; }
  void key(std::string_view name);

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void null() { literal("null"); }
  // Already JSON.
  void literal(std::string_view json);
  template <class T>
  requires std::is_arithmetic_v<T>
  void value(T number) {
    if constexpr (std::is_same_v<T, bool>) {
      literal(number ? "true" : "false");
    } else {
      literal(std::to_string(number));
    }
  }
  // RFC 3339; null when not known.
  void value(WallTime time) { time.ms == 0 ? null() : value(to_rfc3339(time)); }
  template <class T>
  void value(const std::optional<T>& held) {
    held ? value(*held) : null();
  }
  // An object; its keys are the map's.
  template <class T>
  void value(const std::map<std::string, T>& map) {
    begin_object();
    for (const auto& [name, held] : map) field(name, held);
    end_object();
  }

  template <class T>
  void field(std::string_view name, const T& held) {
    key(name);
    value(held);
  }
  // {"base64":"..."} where the text is not UTF-8; exact_text() in json_reader.h reads it.
  void exact_value(std::string_view text);
  void exact_field(std::string_view name, std::string_view text) {
    key(name);
    exact_value(text);
  }
  void exact_field(std::string_view name, const std::map<std::string, std::string>& map);
  // Null instead of an empty text.
  void field_or_null(std::string_view name, std::string_view text) {
    key(name);
    text.empty() ? null() : value(text);
  }

 private:
  void open(char bracket);
  void separate();

  std::string& out_;
  bool bare_ = true;  // nothing to be separated from stands before
};

}  // namespace dunlin
