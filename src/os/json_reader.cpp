#include "os/json_reader.h"

#include "os/base64.h"

namespace dunlin {

namespace {

Result<nlohmann::json> parse(std::string_view text) {
  nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return fail(Code::kUsage, "the body is not JSON");
  return parsed;
}

}  // namespace

Result<nlohmann::json> parse_object(std::string_view text) {
  Result<nlohmann::json> parsed = parse(text);
  if (parsed && !parsed->is_object()) return fail(Code::kUsage, "the body is no JSON object");
  return parsed;
}

Result<nlohmann::json> parse_array(std::string_view text) {
  Result<nlohmann::json> parsed = parse(text);
  if (parsed && !parsed->is_array()) return fail(Code::kUsage, "the body is no JSON array");
  return parsed;
}

std::optional<std::string> exact_text(const nlohmann::json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (!value.is_object() || value.size() != 1) return std::nullopt;
  const auto inner = value.find("base64");
  if (inner == value.end() || !inner->is_string()) return std::nullopt;
  return from_base64(inner->get_ref<const std::string&>());
}

const nlohmann::json* JsonFields::find(const char* key) {
  asked_.insert(key);
  if (!object_.is_object()) return nullptr;
  const auto at = object_.find(key);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

void JsonFields::read_exact(const char* key, std::string& to) {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return;
  const auto text = exact_text(*found);
  if (!text) return complain(key, "must be a text");
  to = *text;
}

void JsonFields::read_exact(const char* key, std::map<std::string, std::string>& to) {
  const nlohmann::json* object = find(key);
  if (object == nullptr) return;
  if (!object->is_object()) return complain(key, "must be an object");
  for (const auto& [name, value] : object->items()) {
    const auto text = exact_text(value);
    if (!text) return complain(key, "must be an object of texts");
    to[name] = *text;
  }
}

void JsonFields::read(const char* key, std::map<std::string, std::uint64_t>& to) {
  const nlohmann::json* object = find(key);
  if (object == nullptr) return;
  if (!object->is_object()) return complain(key, "must be an object");
  for (const auto& [name, value] : object->items()) {
    if (!value.is_number_unsigned()) {
      return complain(key, "must be an object of whole numbers");
    }
    to[name] = value.get<std::uint64_t>();
  }
}

void JsonFields::read(const char* key, std::string& to) {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_string()) return complain(key, "must be a text");
  to = found->get_ref<const std::string&>();
}

void JsonFields::read(const char* key, bool& to) {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_boolean()) return complain(key, "must be true or false");
  to = found->get<bool>();
}

void JsonFields::read(const char* key, WallTime& to) {
  std::string text;
  read(key, text);
  if (text.empty()) return;
  const std::optional<WallTime> time = from_rfc3339(text);
  if (!time) return complain(key, "must be a time like 2026-11-21T21:03:42Z");
  to = *time;
}

void JsonFields::read_ms(const char* key, Duration& to) {
  constexpr std::int64_t kLongestMs = std::int64_t{100} * 366 * 24 * 3600 * 1000;
  std::int64_t ms = to.milliseconds();
  read(key, ms);
  if (ms < 0 || ms > kLongestMs) return complain(key, "must be between 0 and 100 years");
  to = milliseconds(ms);
}

void JsonFields::read_each(const char* key,
                           const std::function<void(const nlohmann::json&)>& each) {
  const nlohmann::json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_array()) return complain(key, "must be an array");
  for (const nlohmann::json& element : *found) each(element);
}

void JsonFields::complain(const std::string& key, const std::string& what) {
  if (error_) return;
  std::string name = where_;
  if (!key.empty()) name += (name.empty() ? "" : ".") + key;
  error_ = Error{Code::kUsage, name + " " + what, ""};
}

Result<void> JsonFields::check(bool strict) {
  if (strict && object_.is_object()) {
    for (const auto& [key, value] : object_.items()) {
      if (!asked_.contains(key)) complain(key, "is not a known key");
    }
  }
  if (error_) return tl::unexpected(*error_);
  return {};
}

}  // namespace dunlin
