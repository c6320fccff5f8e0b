#include <memory>
#include <nlohmann/json.hpp>

#include "cli/entries.h"
#include "cli/file_text.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxEntryFile = 1024UL * 1024 * 1024;

Result<std::string> read_text(const std::string& path) {
  Result<std::string> text = first_of_input(path, kMaxEntryFile + 1);
  if (!text) return fail(text.error().code, "--from-json " + text.error().message);
  if (text->size() > kMaxEntryFile) {
    return fail(Code::kLimit, "--from-json " + path + " is longer than 1 GiB");
  }
  return text;
}

// The parser's own words: "line 3, column 5: ...", without its name for the error.
std::string complaint_of(const nlohmann::ordered_json::parse_error& error) {
  const std::string text = error.what();
  const std::size_t at = text.find("] ");
  const std::string rest = at == std::string::npos ? text : text.substr(at + 2);
  constexpr std::string_view kPrefix = "parse error at ";
  return rest.starts_with(kPrefix) ? rest.substr(kPrefix.size()) : rest;
}

}  // namespace

Result<NextEntry> entries_of_json(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return tl::unexpected(text.error());
  // Ordered, so that an object is passed on as it was written.
  auto array = std::make_shared<nlohmann::ordered_json>();
  try {
    *array = nlohmann::ordered_json::parse(*text);
  } catch (const nlohmann::ordered_json::exception& error) {
    const auto* wrong = dynamic_cast<const nlohmann::ordered_json::parse_error*>(&error);
    return fail(Code::kUsage, "--from-json " + path + " is no JSON: " +
                                  (wrong != nullptr ? complaint_of(*wrong) : error.what()));
  }
  if (!array->is_array()) {
    return fail(Code::kUsage, "--from-json " + path + " holds no array",
                "as in [\"a\", 7, {\"x\": 1}]: a task for each value");
  }
  return [array, path, at = std::size_t{0}]() mutable -> Result<std::optional<std::string>> {
    if (at == array->size()) return std::nullopt;
    const auto& value = (*array)[at++];
    std::string entry = value.is_string() ? value.get<std::string>() : value.dump();
    if (entry.find('\0') == std::string::npos) return entry;
    return fail(Code::kUsage, "--from-json " + path + ": value " + std::to_string(at) +
                                  " holds a zero byte, which no argument can");
  };
}

}  // namespace dunlin
