#include "cli/directories.h"
#include "cli/file_text.h"
#include "cli/job_input.h"
#include "cli/report.h"
#include "cli/sbatch.h"
#include "cli/shell_words.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxScriptHead = 256 * 1024;  // in which all directives must stand

// What stands behind the directive; nothing when the line is none of it.
std::optional<std::string_view> behind(std::string_view line, std::string_view directive) {
  if (!line.starts_with(directive)) return std::nullopt;
  line.remove_prefix(directive.size());
  if (!line.empty() && line[0] != ' ' && line[0] != '\t' && line[0] != '-') return std::nullopt;
  return line;
}

class Script {
 public:
  Script(std::string path, const OptionTable& table)
      : path_(std::move(path)), table_(table), slurm_(table) {}

  Result<JobInput> read(std::string_view head) {
    const bool is_cut = head.size() == kMaxScriptHead;
    while (!head.empty()) {
      const std::size_t end = head.find('\n');
      if (end == std::string_view::npos && is_cut) return too_long();
      std::string_view line = head.substr(0, end);
      head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
      ++number_;
      const std::size_t text = line.find_first_not_of(" \t");
      if (text == std::string_view::npos) continue;
      if (line[text] != '#') return finish();
      if (const Result<void> fine = take(line); !fine) return tl::unexpected(fine.error());
    }
    if (is_cut) return too_long();
    return finish();
  }

 private:
  Result<void> take(std::string_view line) {
    for (const std::string_view directive : {"#DUNLIN", "#SBATCH"}) {
      const auto rest = behind(line, directive);
      if (!rest) continue;
      const auto words = shell_words_from(*rest);
      const Result<void> fine =
          words ? take_words(directive, *words) : tl::unexpected(words.error());
      if (fine) return {};
      const Error& why = fine.error();
      return fail(why.code, line_name() + ": " + std::string(directive) + " " + why.message,
                  why.hint);
    }
    return {};
  }

  std::string line_name() const { return path_ + " line " + std::to_string(number_); }

  Result<void> take_words(std::string_view directive, const std::vector<std::string>& words) {
    if (directive == "#SBATCH") {
      is_slurm_ = true;
      const Result<void> taken = slurm_.take(words, line_name());
      return taken ? slurm_.check() : taken;
    }
    const auto given = parse_arguments(words, {&table_}, Words::kAnywhere);
    if (!given) return tl::unexpected(given.error());
    if (!given->words.empty()) {
      return fail(Code::kUsage, "'" + given->words[0] + "' is no option",
                  "the command is the script itself");
    }
    return own_.add_all(*given, table_, line_name() + ": #DUNLIN ");
  }

  // What is said to dunlin itself counts before what is said to Slurm.
  Result<JobInput> finish() {
    JobInput input;
    input.options = own_;
    JobInput slurm;
    slurm.options = slurm_.options;
    slurm.memory_per_cpu = slurm_.memory_per_cpu;
    overlay(input, std::move(slurm), table_);
    if (is_slurm_) input.slurm_directory = current_directory();
    say("passed over, as it means nothing here", slurm_.ignored);
    say("no file is written (see: dunlin logs JOB)", slurm_.unwritten);
    return input;
  }

  void say(const std::string& what, const std::vector<std::string>& names) const {
    if (names.empty()) return;
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    note("dunlin: " + path_ + ": #SBATCH " + list + ": " + what);
  }

  Result<JobInput> too_long() const {
    return fail(Code::kLimit, path_ + ": no line of code within 256 KiB",
                "directives count up to the first line of code, which must come earlier");
  }

  std::string path_;
  const OptionTable& table_;
  Arguments own_;
  SlurmOptions slurm_;
  bool is_slurm_ = false;
  std::size_t number_ = 0;
};

}  // namespace

Result<std::optional<JobInput>> read_job_script(const std::string& path, const OptionTable& table) {
  const auto head = first_of_file(path, kMaxScriptHead);
  if (!head) return fail(Code::kUsage, head.error().message);
  if (!head->starts_with("#!")) return std::nullopt;
  if (head->substr(0, head->find('\n')).ends_with('\r')) {
    return fail(Code::kUsage,
                path + " has line ends of Windows, and no host would find its interpreter",
                "take them out: sed -i 's/\\r$//' " + path);
  }
  auto input = Script(path, table).read(*head);
  if (!input) return tl::unexpected(input.error());
  return std::move(*input);
}

}  // namespace dunlin
