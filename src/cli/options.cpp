#include "cli/options.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/assert.h"
#include "cli/begin_time.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

template <class T>
Result<void> checked(const Result<T>& result) {
  if (!result) return tl::unexpected(result.error());
  return {};
}

Result<void> check_amount(const std::string& value) {
  const auto pair = pair_from(value);
  if (!pair) return tl::unexpected(pair.error());
  return checked(number_from(pair->second, 1, std::numeric_limits<std::int64_t>::max()));
}

Result<void> check_tasks(const std::string& value) {
  const std::size_t percent = value.find('%');
  if (percent != std::string::npos) {
    const auto limit = number_from(value.substr(percent + 1), 1, kMaxTasks);
    if (!limit) return fail(Code::kUsage, "%LIMIT: " + limit.error().message);
  }
  Result<void> fine = checked(task_ranges_from(value.substr(0, percent)));
  if (fine || !fine.error().hint.empty()) return fine;
  // Numbers beyond all limits, which elsewhere are those of tasks that cannot be there.
  return fail(fine.error().code, fine.error().message,
              "a job has at most " + std::to_string(kMaxTasks) + " tasks: submit several jobs");
}

}  // namespace

Result<void> check_value(const Option& option, const std::string& value) {
  switch (option.takes) {
    case Takes::kNothing: return {};
    case Takes::kText:
      if (value.empty()) return fail(Code::kUsage, "the value is empty");
      return {};
    case Takes::kCount: return checked(number_from(value, 0, kMost));
    case Takes::kPositive: return checked(number_from(value, 1, kMost));
    case Takes::kNumber: return checked(number_from(value, -kMost, kMost));
    case Takes::kSize: return checked(size_from(value));
    case Takes::kDuration: return checked(duration_from(value));
    case Takes::kPair: return checked(pair_from(value));
    case Takes::kAmount: return check_amount(value);
    case Takes::kTasks: return check_tasks(value);
    case Takes::kMoment: return checked(begin_time_from(value, wall_now()));
  }
  return {};
}

namespace {

std::string spelling(const Option& option) {
  return std::string("--") + option.name;
}

// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> rows(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = i + j;
        continue;
      }
      const bool is_same = a[i - 1] == b[j - 1];
      rows[i][j] = std::min(
          {rows[i - 1][j - 1] + (is_same ? 0 : 1), rows[i - 1][j] + 1, rows[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.size()][b.size()];
}

}  // namespace

const Option* find_option(const OptionTable& table, std::string_view name) {
  const auto at = std::find_if(table.begin(), table.end(),
                               [&](const Option& option) { return name == option.name; });
  return at == table.end() ? nullptr : &*at;
}

Result<void> Arguments::add(const Option& option, std::string value, std::string place) {
  Given& given = values_[option.name];
  if (!option.repeats && !given.values.empty() && option.takes != Takes::kNothing) {
    return fail(Code::kUsage, spelling(option) + " is given twice");
  }
  given.values.push_back(std::move(value));
  given.places.push_back(std::move(place));
  return {};
}

Result<void> Arguments::add_all(const Arguments& others, const OptionTable& table,
                                const std::string& place) {
  for (const auto& [name, given] : others.values_) {
    const Option* option = find_option(table, name);
    ASSERT(option != nullptr);
    for (const std::string& value : given.values) {
      if (Result<void> fine = add(*option, value, place + spelling(*option)); !fine) {
        return fine;
      }
    }
  }
  return {};
}

void Arguments::set(const Option& option, std::string value, std::string place) {
  values_[option.name] = {{std::move(value)}, {std::move(place)}};
}

void Arguments::fall_back_to(const Arguments& others) {
  values_.insert(others.values_.begin(), others.values_.end());
}

std::string Arguments::text(std::string_view option) const {
  const auto& values = all(option);
  return values.empty() ? std::string() : values.back();
}

const std::vector<std::string>& Arguments::all(std::string_view option) const {
  static const std::vector<std::string> kNone;
  const auto at = values_.find(option);
  return at == values_.end() ? kNone : at->second.values;
}

const std::vector<std::string>& Arguments::places(std::string_view option) const {
  static const std::vector<std::string> kNone;
  const auto at = values_.find(option);
  return at == values_.end() ? kNone : at->second.places;
}

tl::unexpected<Error> Arguments::wrong(std::string_view option, std::size_t index,
                                       Error why) const {
  const std::string& place = places(option).at(index);
  if (place.empty()) return tl::unexpected(std::move(why));
  const std::string name = "--" + std::string(option);
  for (const std::string& start : {name + " ", name + ": "}) {
    if (why.message.starts_with(start)) why.message.erase(0, start.size());
  }
  why.message = place + ": " + why.message;
  return tl::unexpected(std::move(why));
}

tl::unexpected<Error> Arguments::wrong(std::string_view option, Error why) const {
  return wrong(option, places(option).size() - 1, std::move(why));
}

std::int64_t Arguments::number(std::string_view option, std::int64_t otherwise) const {
  if (!has(option)) return otherwise;
  const auto number = number_from(text(option), std::numeric_limits<std::int64_t>::min(),
                                  std::numeric_limits<std::int64_t>::max());
  ASSERT(number.has_value());
  return *number;
}

std::uint64_t Arguments::size(std::string_view option, std::uint64_t otherwise) const {
  if (!has(option)) return otherwise;
  const auto size = size_from(text(option));
  ASSERT(size.has_value());
  return *size;
}

Duration Arguments::duration(std::string_view option, Duration otherwise) const {
  if (!has(option)) return otherwise;
  const auto duration = duration_from(text(option));
  ASSERT(duration.has_value());
  return *duration;
}

class ArgumentParser {
 public:
  ArgumentParser(const std::vector<std::string>& args,
                 const std::vector<const OptionTable*>& tables, Words words)
      : args_(args), tables_(tables), words_(words) {}

  Result<Arguments> parse() {
    while (at_ < args_.size()) {
      const std::string& arg = args_[at_];
      const bool is_option = !ended_ && arg.size() > 1 && arg[0] == '-';
      if (is_option && arg == "--") {
        ended_ = true;
        ++at_;
        continue;
      }
      if (is_option) {
        const Result<void> taken = arg[1] == '-' ? take_long(arg) : take_short(arg);
        if (!taken) return tl::unexpected(taken.error());
        continue;
      }
      out_.words.push_back(arg);
      ++at_;
      if (words_ == Words::kCommand) ended_ = true;
    }
    return std::move(out_);
  }

 private:
  const Option* find(std::string_view name) const {
    for (const OptionTable* table : tables_) {
      if (const Option* option = find_option(*table, name)) return option;
    }
    return nullptr;
  }
  const Option* find(char letter) const {
    for (const OptionTable* table : tables_) {
      for (const Option& option : *table) {
        if (letter == option.letter) return &option;
      }
    }
    return nullptr;
  }

  Result<void> unknown(const std::string& given) const {
    std::vector<std::string> known;
    for (const OptionTable* table : tables_) {
      for (const Option& option : *table) known.push_back(spelling(option));
    }
    const std::string near = nearest(given, known);
    return fail(Code::kUsage, "unknown option " + given,
                near.empty() ? "see --help" : "did you mean " + near + "?");
  }

  Result<void> take_long(const std::string& arg) {
    const std::size_t equals = arg.find('=');
    const std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Option* option = find(name);
    if (option == nullptr) return unknown("--" + name);
    ++at_;
    std::optional<std::string> value;
    if (equals != std::string::npos) value = arg.substr(equals + 1);
    return take(*option, std::move(value));
  }

  Result<void> take_short(const std::string& arg) {
    if (arg[1] == 'n' && find('n') == nullptr) {
      return fail(Code::kUsage, "-n is not taken, since it means different things elsewhere",
                  "for many tasks use --array 1-N, for a name -J NAME");
    }
    const Option* option = find(arg[1]);
    if (option == nullptr) return unknown(arg.substr(0, 2));
    ++at_;
    std::optional<std::string> value;
    if (arg.size() > 2) value = arg.substr(arg[2] == '=' ? 3 : 2);
    return take(*option, std::move(value));
  }

  Result<void> take(const Option& option, std::optional<std::string> value) {
    if (!option.available) {
      return fail(Code::kUsage, spelling(option) + " is not available yet");
    }
    if (option.takes == Takes::kNothing) {
      if (value) return fail(Code::kUsage, spelling(option) + " takes no value");
      value.emplace();
    }
    if (!value) {
      if (at_ == args_.size()) {
        return fail(Code::kUsage, spelling(option) + " needs a value: " + spelling(option) + " " +
                                      option.argument);
      }
      value = args_[at_++];
    }
    if (const Result<void> fine = check_value(option, *value); !fine) {
      const Error& why = fine.error();
      return fail(why.code, spelling(option) + ": " + why.message, why.hint);
    }
    return out_.add(option, std::move(*value));
  }

  const std::vector<std::string>& args_;
  const std::vector<const OptionTable*>& tables_;
  Words words_;
  Arguments out_;
  std::size_t at_ = 0;
  bool ended_ = false;
};

Result<Arguments> parse_arguments(const std::vector<std::string>& args,
                                  const std::vector<const OptionTable*>& tables, Words words) {
  return ArgumentParser(args, tables, words).parse();
}

std::string help_of(const OptionTable& table) {
  constexpr std::size_t kColumn = 28;
  std::string text;
  for (const Option& option : table) {
    if (!option.available) continue;
    std::string line = option.letter != 0 ? std::string("  -") + option.letter + ", " : "      ";
    line += spelling(option);
    if (option.argument != nullptr) line += std::string(" ") + option.argument;
    line += line.size() + 1 < kColumn ? std::string(kColumn - line.size(), ' ') : "  ";
    text += line + option.help + "\n";
  }
  return text;
}

std::string nearest(std::string_view given, const std::vector<std::string>& known) {
  constexpr std::size_t kLongest = 64;
  std::string best;
  if (given.size() > kLongest) return best;
  std::size_t least = given.size() <= 2 ? 1 : given.size() <= 5 ? 2 : 3;
  for (const std::string& name : known) {
    const std::size_t distance = edit_distance(given, name);
    if (distance >= least) continue;
    least = distance;
    best = name;
  }
  return best;
}

}  // namespace dunlin
