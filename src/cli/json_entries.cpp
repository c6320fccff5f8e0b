#include <memory>
#include <nlohmann/json.hpp>

#include "cli/entries.h"
#include "cli/file_text.h"

namespace dunlin {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kMaxEntryFile = 1024UL * 1024 * 1024;

Result<std::string> read_text(const std::string& path) {
  Result<std::string> text = first_of_input(path, kMaxEntryFile + 1);
  if (!text) return fail(text.error().code, "--from-json " + text.error().message);
  if (text->size() > kMaxEntryFile) {
    return fail(Code::kLimit, "--from-json " + path + " is longer than 1 GiB");
  }
  if (text->starts_with(kByteOrderMark)) text->erase(0, kByteOrderMark.size());
  return text;
}

// The parser's own words: "line 3, column 5: ...", without its name for the error.
std::string complaint_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t at = text.find("] ");
  const std::string rest = at == std::string::npos ? text : text.substr(at + 2);
  constexpr std::string_view kPrefix = "parse error at ";
  return rest.starts_with(kPrefix) ? rest.substr(kPrefix.size()) : rest;
}

// Is the text JSON? Nothing of it is built: a file of a million values would fill the memory.
Result<void> check(const std::string& text, const std::string& path) {
  try {
    const auto keeps_nothing = [](int, nlohmann::json::parse_event_t, nlohmann::json&) {
      return false;
    };
    [[maybe_unused]] const auto nothing = nlohmann::json::parse(text, keeps_nothing);
    return {};
  } catch (const nlohmann::json::out_of_range& error) {
    return fail(Code::kUsage, "--from-json " + path + ": " + complaint_of(error),
                "numbers are at most as large as a double; write others as texts");
  } catch (const nlohmann::json::exception& error) {
    return fail(Code::kUsage, "--from-json " + path + " is no JSON: " + complaint_of(error));
  }
}

constexpr std::string_view kBlanks = " \t\r\n";

// The values of an array that has been checked, as they are written but for blanks between their
// parts: numbers keep every digit, objects the order of their keys.
class ArrayValues {
 public:
  // False: it is no array.
  bool open(std::string text) {
    text_ = std::move(text);
    at_ = text_.find_first_not_of(kBlanks);
    return text_[at_] == '[';
  }

  // Nothing any more once there is nothing.
  std::optional<std::string> next() {
    if (is_over()) return std::nullopt;
    at_ = text_.find_first_not_of(kBlanks, at_ + 1);  // behind the bracket or the last comma
    if (is_over()) return std::nullopt;               // of an empty array
    std::string value;
    for (int depth = 0; depth > 0 || (text_[at_] != ',' && text_[at_] != ']'); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        take_string(value);
        continue;
      }
      if (c == '[' || c == '{') ++depth;
      if (c == ']' || c == '}') --depth;
      if (kBlanks.find(c) == std::string_view::npos) value += c;
    }
    return value;
  }

 private:
  // At the array's last bracket.
  bool is_over() const { return text_[at_] == ']'; }

  // From its first quote on; stays at its last.
  void take_string(std::string& value) {
    const std::size_t begin = at_;
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    value.append(text_, begin, at_ + 1 - begin);
  }

  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<NextEntry> entries_of_json(const std::string& path) {
  auto text = read_text(path);
  if (!text) return tl::unexpected(text.error());
  if (const Result<void> fine = check(*text, path); !fine) return tl::unexpected(fine.error());
  auto values = std::make_shared<ArrayValues>();
  if (!values->open(std::move(*text))) {
    return fail(Code::kUsage, "--from-json " + path + " holds no array",
                "as in [\"a\", 7, {\"x\": 1}]: a task for each value");
  }
  return [values, path, number = 0]() mutable -> Result<std::optional<std::string>> {
    std::optional<std::string> entry = values->next();
    ++number;
    const bool is_text = entry && entry->front() == '"';
    if (is_text) entry = nlohmann::json::parse(*entry).get<std::string>();
    if (!entry || entry->find('\0') == std::string::npos) return entry;
    return fail(Code::kUsage, "--from-json " + path + ": value " + std::to_string(number) +
                                  " holds a zero byte, which no argument can");
  };
}

}  // namespace dunlin
