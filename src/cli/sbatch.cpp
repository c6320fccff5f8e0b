#include "cli/sbatch.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "base/assert.h"
#include "cli/job_ref.h"
#include "cli/units.h"

namespace dunlin {

namespace {

using Take = Result<void> (*)(SlurmOptions& to, const std::string& value);

struct SlurmOption {
  const char* name;
  char letter;
  bool takes_value;
  const char* as;       // the option of `submit` that takes the value as it is; where it is
  Take take = nullptr;  // read otherwise, how
  // The value is passed over, and noted there under the name `as`.
  std::vector<std::string> SlurmOptions::*noted = nullptr;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  for (std::size_t from = 0;;) {
    const std::size_t end = text.find(at, from);
    parts.push_back(text.substr(from, end == std::string::npos ? end : end - from));
    if (end == std::string::npos) return parts;
    from = end + 1;
  }
}

void note_once(std::vector<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

Result<std::int64_t> whole_number(const std::string& text) {
  return number_from(text, 0, std::numeric_limits<std::int32_t>::max());
}

Result<void> take_memory(SlurmOptions& to, const std::string& value) {
  const auto bytes = slurm_size_from(value);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes == 0) {
    return fail(Code::kUsage, "0, all memory of a node, cannot be asked for", "say how much");
  }
  return to.set("mem", std::to_string(*bytes) + "B");
}

Result<void> take_memory_per_cpu(SlurmOptions& to, const std::string& value) {
  const auto bytes = slurm_size_from(value);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes == 0) return fail(Code::kUsage, "0 is no memory", "say how much");
  to.memory_per_cpu = *bytes;
  return {};
}

Result<void> take_time(SlurmOptions& to, const std::string& value) {
  const auto seconds = slurm_seconds_from(value);
  if (!seconds) return tl::unexpected(seconds.error());
  return to.set("time", std::to_string(*seconds) + "s");
}

// afterok:ID[:ID...],afterany:ID
Result<void> take_dependencies(SlurmOptions& to, const std::string& value) {
  to.options.remove("after");
  to.options.remove("afterany");
  for (const std::string& condition : split(value, ',')) {
    std::vector<std::string> parts = split(condition, ':');
    const bool is_ok = parts[0] == "afterok";
    if ((!is_ok && parts[0] != "afterany") || parts.size() < 2) {
      return fail(Code::kUsage, "'" + condition + "' is no dependency that is honoured",
                  "write afterok:JOB[:JOB] or afterany:JOB[:JOB], separated by commas");
    }
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const auto job = job_words_from(parts[i]);
      if (!job) return tl::unexpected(job.error());
      if (Result<void> fine = to.add(is_ok ? "after" : "afterany", parts[i]); !fine) return fine;
    }
  }
  return {};
}

Result<void> take_gpus(SlurmOptions& to, const std::string& value) {
  if (const auto number = whole_number(value)) return to.set("gpus", value);
  return fail(Code::kUsage, "'" + value + "' is no number of gpus",
              "types of gpus are not known here: use a label of the node, #DUNLIN --label K=V");
}

// gpu, gpu:N
Result<void> take_resources(SlurmOptions& to, const std::string& value) {
  if (value == "gpu") return to.set("gpus", "1");
  if (value.starts_with("gpu:")) return take_gpus(to, value.substr(4));
  return fail(Code::kUsage, "'" + value + "' is not gpu:N",
              "other things are counted with #DUNLIN --resource NAME=N");
}

// ALL, NONE, or names with or without values; ALL may stand among the latter.
Result<void> take_export(SlurmOptions& to, const std::string& value) {
  to.options.remove("env");
  to.options.remove("env-all");
  for (const std::string& name : split(value, ',')) {
    if (name == "NONE" || name.empty()) continue;
    Result<void> fine;
    if (name == "ALL") {
      fine = to.set("env-all", "");
    } else if (name.find('=') != std::string::npos || std::getenv(name.c_str()) != nullptr) {
      fine = to.add("env", name);  // as with sbatch, what is not set here is passed over
    }
    if (!fine) return fine;
  }
  return {};
}

// now, now+60, now+1hour; the words for times of day; else as --begin takes it.
Result<void> take_begin(SlurmOptions& to, const std::string& value) {
  constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"midnight", "00:00"}, {"noon", "12:00"}, {"fika", "15:00"}, {"teatime", "16:00"}};
  for (const auto& [word, time] : kWords) {
    if (value == word) return to.set("begin", std::string(time));
  }
  if (!value.starts_with("now+")) return to.set("begin", value);
  const std::size_t digits = value.find_first_not_of("0123456789", 4);
  const std::string count = value.substr(4, digits == std::string::npos ? digits : digits - 4);
  std::string unit = digits == std::string::npos ? "seconds" : value.substr(digits);
  if (!unit.ends_with('s')) unit += 's';
  for (const std::string_view known : {"seconds", "minutes", "hours", "days", "weeks"}) {
    if (unit == known && !count.empty()) return to.set("begin", "now+" + count + unit[0]);
  }
  return fail(Code::kUsage, "'" + value + "' is no time", "write for example now+1hour or 16:00");
}

// Each task runs on one node.
Result<void> take_one(SlurmOptions&, const std::string& value) {
  if (value == "1" || value == "1-1") return {};
  return fail(Code::kUsage, "a task runs on one node, as one process",
              "for many tasks use an array; for one of many cores --cpus-per-task");
}

constexpr SlurmOption kSlurmOptions[] = {
    {"job-name", 'J', true, "name"},
    {"array", 'a', true, "array"},
    {"cpus-per-task", 'c', true, "cpus"},
    {"mem", 0, true, nullptr, take_memory},
    {"mem-per-cpu", 0, true, nullptr, take_memory_per_cpu},
    {"time", 't', true, nullptr, take_time},
    {"output", 'o', true, "output", nullptr, &SlurmOptions::unwritten},
    {"error", 'e', true, "error", nullptr, &SlurmOptions::unwritten},
    {"dependency", 'd', true, nullptr, take_dependencies},
    {"gres", 0, true, nullptr, take_resources},
    {"gpus", 'G', true, nullptr, take_gpus},
    {"export", 0, true, nullptr, take_export},
    {"chdir", 'D', true, "chdir"},
    {"requeue", 0, false, nullptr},  // a task whose node is lost always runs elsewhere
    {"begin", 'b', true, nullptr, take_begin},
    {"nodes", 'N', true, nullptr, take_one},
    {"ntasks", 'n', true, nullptr, take_one},
    {"partition", 'p', true, "partition", nullptr, &SlurmOptions::ignored},
    {"account", 'A', true, "account", nullptr, &SlurmOptions::ignored},
    {"qos", 'q', true, "qos", nullptr, &SlurmOptions::ignored},
    {"mail-type", 0, true, "mail", nullptr, &SlurmOptions::ignored},
    {"mail-user", 0, true, "mail", nullptr, &SlurmOptions::ignored},
};

Result<void> apply(SlurmOptions& to, const SlurmOption& option, const std::string& value) {
  if (option.take != nullptr) return option.take(to, value);
  if (option.noted != nullptr) {
    note_once(to.*option.noted, option.as);
  } else if (option.as != nullptr) {
    return to.set(option.as, value);
  }
  return {};
}

const SlurmOption* find_slurm_option(const std::string& word, std::string& name) {
  const bool is_long = word.starts_with("--");
  name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
  for (const SlurmOption& option : kSlurmOptions) {
    const bool is_it =
        is_long ? name.substr(2) == option.name : option.letter != 0 && name[1] == option.letter;
    if (is_it) return &option;
  }
  return nullptr;
}

}  // namespace

Result<void> SlurmOptions::set(const char* name, const std::string& value) {
  const Option* option = find_option(table_, name);
  ASSERT(option != nullptr);
  if (Result<void> fine = check_value(*option, value); !fine) return fine;
  options.set(*option, value, place_);
  return {};
}

Result<void> SlurmOptions::add(const char* name, const std::string& value) {
  const Option* option = find_option(table_, name);
  ASSERT(option != nullptr);
  if (Result<void> fine = check_value(*option, value); !fine) return fine;
  return options.add(*option, value, place_);
}

Result<void> SlurmOptions::take(const std::vector<std::string>& words, const std::string& line) {
  for (std::size_t at = 0; at < words.size();) {
    const std::string& word = words[at++];
    if (word.size() < 2 || word[0] != '-') {
      return fail(Code::kUsage, "'" + word + "' is no option");
    }
    std::string name;
    const SlurmOption* option = find_slurm_option(word, name);
    if (option == nullptr) {
      return fail(Code::kUsage, name + " is not honoured here",
                  "take it out, or say it in a #DUNLIN line with an option of `dunlin submit`");
    }
    std::string value;
    const bool has_value = word.size() > name.size();
    if (!option->takes_value && has_value) {
      return fail(Code::kUsage, name + " takes no value");
    }
    if (has_value) {
      value = word.substr(name.size() + (word[name.size()] == '=' ? 1 : 0));
    } else if (option->takes_value) {
      if (at == words.size()) return fail(Code::kUsage, name + " needs a value");
      value = words[at++];
    }
    place_.assign(line).append(": #SBATCH ").append(name);
    if (const Result<void> fine = apply(*this, *option, value); !fine) {
      return fail(Code::kUsage, name + ": " + fine.error().message, fine.error().hint);
    }
  }
  return {};
}

Result<void> SlurmOptions::check() const {
  if (!memory_per_cpu || !options.has("mem")) return {};
  return fail(Code::kUsage, "--mem and --mem-per-cpu exclude each other", "give one");
}

Result<std::int64_t> slurm_seconds_from(const std::string& text) {
  const auto bad = [&] {
    return fail(Code::kUsage, "'" + text + "' is no time limit of Slurm's",
                "write minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS");
  };
  if (text == "UNLIMITED" || text == "INFINITE") return 0;
  const std::size_t dash = text.find('-');
  const bool has_days = dash != std::string::npos;
  std::int64_t days = 0;
  if (has_days) {
    const auto number = number_from(text.substr(0, dash), 0, 100 * 366);
    if (!number) return bad();
    days = *number;
  }
  const std::vector<std::string> parts = split(has_days ? text.substr(dash + 1) : text, ':');
  if (parts.size() > 3) return bad();
  std::int64_t numbers[3] = {0, 0, 0};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto number = number_from(parts[i], 0, 100 * 366 * 1440);
    if (!number) return bad();
    numbers[i] = *number;
  }
  // Behind days the first number is hours; otherwise it is hours only before two others.
  if (has_days || parts.size() == 3) {
    return ((days * 24 + numbers[0]) * 60 + numbers[1]) * 60 + numbers[2];
  }
  return numbers[0] * 60 + numbers[1];
}

Result<std::uint64_t> slurm_size_from(const std::string& text) {
  const bool has_unit = !text.empty() && text.find_first_not_of("0123456789") != std::string::npos;
  std::string with_unit = has_unit ? text : text + "M";
  // 4GB is as good as 4G.
  if (with_unit.size() > 2 && (with_unit.back() == 'B' || with_unit.back() == 'b')) {
    with_unit.pop_back();
  }
  const std::size_t unit = with_unit.find_first_not_of("0123456789");
  const bool is_known = unit + 1 == with_unit.size() &&
                        std::string_view("KMGTkmgt").find(with_unit[unit]) != std::string::npos;
  if (text.empty() || !is_known) {
    return fail(Code::kUsage, "'" + text + "' is no size of Slurm's", "write 4000 (MB) or 4G");
  }
  return size_from(with_unit);
}

}  // namespace dunlin
