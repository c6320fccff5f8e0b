// Options as a table: what each command takes, in one place, for parsing and for --help. A value is
// checked for form as it is parsed, so that a mistake is named by the option in which it was
// made.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace dunlin {

enum class Takes : std::uint8_t {
  kNothing,   // a flag
  kText,      // anything but an empty text
  kCount,     // a whole number, 0 or more
  kPositive,  // a whole number, 1 or more
  kNumber,    // a whole number
  kSize,      // 4G
  kDuration,  // 1h30m
  kPair,      // NAME=VALUE
  kAmount,    // NAME=N, 1 or more
  kTasks,     // numbers of tasks, with %LIMIT perhaps
  kMoment,    // a time, as --begin takes it
};

struct Option {
  const char* name;                // --name
  char letter = 0;                 // -c, if there is one
  const char* argument = nullptr;  // what --help calls the value: "N"
  Takes takes = Takes::kNothing;
  const char* help = "";
  bool repeats = false;
  bool available = true;  // documented, but this version refuses it
  // All values there are, with blanks between, for the manual and for completion; null: too many.
  const char* choices = nullptr;
};

using OptionTable = std::vector<Option>;

// Null when there is none of that name.
const Option* find_option(const OptionTable& table, std::string_view name);
// Is the value of the form that the option takes? kUsage says what it is not.
Result<void> check_value(const Option& option, const std::string& value);

// What a command was given.
class Arguments {
 public:
  // Values are of the form that their option takes: see check_value(). As if it had been typed
  // behind what was before it. kUsage, naming the option: given twice.
  // `place`: where it is written, and how, as "sweep.toml line 3: cpus";
  // empty: it was typed.
  Result<void> add(const Option& option, std::string value, std::string place = {});
  // `place`: of all of them, which are written there as they would be typed.
  Result<void> add_all(const Arguments& others, const OptionTable& table, const std::string& place);
  // In place of what was given before it.
  void set(const Option& option, std::string value, std::string place = {});
  void remove(std::string_view option) { values_.erase(std::string(option)); }
  // Options that were not given are taken from `others`; lists are not mixed.
  void fall_back_to(const Arguments& others);

  bool has(std::string_view option) const { return values_.find(option) != values_.end(); }
  // The last one given; empty when there is none.
  std::string text(std::string_view option) const;
  const std::vector<std::string>& all(std::string_view option) const;
  // Parallel to all().
  const std::vector<std::string>& places(std::string_view option) const;
  // What is wrong with the option's value of that index, or else the last, with its place in front
  // of it in place of the option's name.
  tl::unexpected<Error> wrong(std::string_view option, std::size_t index, Error why) const;
  tl::unexpected<Error> wrong(std::string_view option, Error why) const;
  // `otherwise` when it was not given; the form was checked when it was parsed.
  std::int64_t number(std::string_view option, std::int64_t otherwise) const;
  std::uint64_t size(std::string_view option, std::uint64_t otherwise) const;
  Duration duration(std::string_view option, Duration otherwise) const;

  std::vector<std::string> words;  // what is no option

 private:
  struct Given {
    std::vector<std::string> values;
    std::vector<std::string> places;
  };
  std::map<std::string, Given, std::less<>> values_;
};

enum class Words : std::uint8_t {
  kAnywhere,  // options and words may mix
  kCommand,   // the first word begins somebody else's command: all after it is his
};

// kUsage with one line: which option, what is wrong with it, what to do.
Result<Arguments> parse_arguments(const std::vector<std::string>& args,
                                  const std::vector<const OptionTable*>& tables, Words words);

// The lines of --help for a table.
std::string help_of(const OptionTable& table);

// The name among `known` that `given` is probably meant to be; empty when none is near.
std::string nearest(std::string_view given, const std::vector<std::string>& known);

}  // namespace dunlin
