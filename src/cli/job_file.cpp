// Here alone is the TOML library, which compiles slowly.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#include <array>
#include <charconv>
#include <sstream>

#include "cli/directories.h"
#include "cli/file_text.h"
#include "cli/job_input.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxJobFile = 64UL * 1024 * 1024;

Result<std::string> read_whole(const std::string& path) {
  Result<std::string> text = first_of_file(path, kMaxJobFile + 1);
  if (!text) return fail(Code::kUsage, text.error().message);
  if (text->size() > kMaxJobFile) {
    return fail(Code::kLimit, path + " is longer than 64 MiB", "put entries into a file of lines");
  }
  return text;
}

// "sweep.toml" of "jobs/sweep.toml", without its ending.
std::string stem_of(const std::string& path) {
  const std::string name = last_part(path);
  return name.substr(0, name.size() - std::string_view(".toml").size());
}

std::string what_is(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::none: return "nothing";
    default: return "a time";
  }
}

// As it would be typed: 0.1, 1e-05, and 2.0 not as 2.
std::string text_of_number(double number) {
  std::array<char, 64> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  std::string text(digits.data(), end);
  return text.find_first_not_of("-0123456789") == std::string::npos ? text + ".0" : text;
}

// A text, a number, a time, true or false, as it would be typed.
std::optional<std::string> word_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return text_of_number(number->get());
  if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
  std::ostringstream out;
  if (const auto* time = node.as_date_time()) out << time->get();
  if (const auto* date = node.as_date()) out << date->get();
  if (const auto* clock = node.as_time()) out << clock->get();
  if (out.str().empty()) return std::nullopt;
  return out.str();
}

const char* expected_by(Takes takes) {
  switch (takes) {
    case Takes::kNothing: return "true or false";
    case Takes::kText: return "a text";
    case Takes::kCount:
    case Takes::kPositive:
    case Takes::kNumber: return "a whole number";
    case Takes::kSize: return "a size, as in \"4G\"";
    case Takes::kDuration: return "a duration, as in \"1h30m\"";
    case Takes::kPair: return "a table, as in {name = \"value\"}";
    case Takes::kAmount: return "a table, as in {name = 1}";
    case Takes::kTasks: return "a text, as in \"1-9:2%4\"";
    case Takes::kMoment: return "a time";
  }
  return "";
}

class JobFile {
 public:
  JobFile(std::string path, const OptionTable& table) : path_(std::move(path)), table_(table) {}

  Result<JobInput> read(const toml::table& file) {
    input_.name = stem_of(path_);
    for (auto&& [key, node] : file) {
      key_ = std::string(key.str());
      line_ = key.source().begin.line;
      if (const Result<void> fine = take(node); !fine) return tl::unexpected(fine.error());
    }
    if (input_.command.empty()) {
      return fail(Code::kUsage, path_ + ": there is no command",
                  "add for example command = [\"./work\", \"{}\"]");
    }
    return std::move(input_);
  }

 private:
  std::string place() const { return path_ + " line " + std::to_string(line_) + ": " + key_; }
  // "sweep.toml line 3: cpus: ...".
  tl::unexpected<Error> wrong(const std::string& what, const std::string& hint = {},
                              Code code = Code::kUsage) const {
    return fail(code, place() + ": " + what, hint);
  }
  tl::unexpected<Error> expected(const std::string& what, const toml::node& node) const {
    return wrong("expected " + what + ", not " + what_is(node));
  }

  Result<void> take(const toml::node& node) {
    if (key_ == "command") return take_command(node);
    if (key_ == "entries") return take_entries(node);
    const Option* option = find_option(table_, key_);
    if (option == nullptr || !option->available) return unknown();
    const bool is_by_name =
        option->takes == Takes::kPair || option->takes == Takes::kAmount || key_ == "env";
    if (is_by_name && node.is_table()) return take_table(*option, *node.as_table());
    if (option->repeats && node.is_array()) return take_array(*option, *node.as_array());
    return take_value(*option, node);
  }

  Result<void> unknown() const {
    std::vector<std::string> known = {"command", "entries"};
    for (const Option& option : table_) known.emplace_back(option.name);
    const std::string near = nearest(key_, known);
    return wrong("there is no such key", near.empty() ? "keys are named as the options of submit"
                                                      : "did you mean '" + near + "'?");
  }

  Result<void> take_value(const Option& option, const toml::node& node) {
    const std::string what = expected_by(option.takes);
    if (option.takes == Takes::kNothing) {
      if (!node.is_boolean()) return expected(what, node);
      return node.as_boolean()->get() ? add(option, "") : Result<void>();
    }
    const bool takes_number = option.takes == Takes::kCount || option.takes == Takes::kPositive ||
                              option.takes == Takes::kNumber;
    const bool is_time = node.is_date() || node.is_time() || node.is_date_time();
    const bool fits = takes_number
                          ? node.is_integer()
                          : node.is_string() || (is_time && option.takes == Takes::kMoment);
    if (!fits) return expected(option.repeats ? what + " or an array" : what, node);
    return add(option, *word_of(node));
  }

  Result<void> take_array(const Option& option, const toml::array& array) {
    for (const toml::node& each : array) {
      line_ = each.source().begin.line;
      if (!each.is_string()) return expected("an array of texts", each);
      if (Result<void> fine = add(option, each.as_string()->get()); !fine) return fine;
    }
    return {};
  }

  Result<void> take_table(const Option& option, const toml::table& table) {
    for (auto&& [key, node] : table) {
      line_ = key.source().begin.line;
      const auto value = word_of(node);
      if (!value) return expected("a text or a number for each name", node);
      if (Result<void> fine = add(option, std::string(key.str()) + "=" + *value); !fine) {
        return fine;
      }
    }
    return {};
  }

  Result<void> add(const Option& option, std::string value) {
    if (const Result<void> fine = check_value(option, value); !fine) {
      return wrong(fine.error().message, fine.error().hint, fine.error().code);
    }
    return input_.options.add(option, std::move(value), place());
  }

  Result<void> take_command(const toml::node& node) {
    if (node.is_string()) {
      input_.is_shell = true;
      input_.command = {"sh", "-c", node.as_string()->get()};
      return {};
    }
    auto words = texts_of(node, "a text for sh -c, or an array of words");
    if (!words) return tl::unexpected(words.error());
    if (words->empty() || words->front().empty()) return wrong("the command is empty");
    input_.command = std::move(*words);
    return {};
  }

  // One array is one source, an array of arrays several, whose combinations are made.
  Result<void> take_entries(const toml::node& node) {
    constexpr const char* kWhat = "an array of texts, or of arrays of texts";
    const toml::array* array = node.as_array();
    if (array == nullptr) return expected(kWhat, node);
    if (array->empty()) return wrong("there is no entry");
    if (!array->front().is_array()) {
      auto words = texts_of(node, kWhat);
      if (!words) return tl::unexpected(words.error());
      input_.sources.push_back(std::move(*words));
      return {};
    }
    for (const toml::node& each : *array) {
      auto words = texts_of(each, kWhat);
      if (!words) return tl::unexpected(words.error());
      if (words->empty()) return wrong("there is no entry in one of the arrays");
      input_.sources.push_back(std::move(*words));
    }
    return {};
  }

  Result<std::vector<std::string>> texts_of(const toml::node& node, const char* what) {
    std::vector<std::string> texts;
    if (!node.is_array()) return expected(what, node);
    for (const toml::node& each : *node.as_array()) {
      line_ = each.source().begin.line;
      auto text = word_of(each);
      if (!text) return expected(what, each);
      texts.push_back(std::move(*text));
    }
    return texts;
  }

  std::string path_;
  const OptionTable& table_;
  std::string key_;
  toml::source_index line_ = 0;
  JobInput input_;
};

}  // namespace

Result<JobInput> read_job_file(const std::string& path, const OptionTable& table) {
  const auto text = read_whole(path);
  if (!text) return tl::unexpected(text.error());
  const toml::parse_result file = toml::parse(std::string_view(*text), path);
  if (!file) {
    const toml::parse_error& error = file.error();
    return fail(Code::kUsage, path + " line " + std::to_string(error.source().begin.line) + ": " +
                                  std::string(error.description()));
  }
  return JobFile(path, table).read(file.table());
}

}  // namespace dunlin
