#include "cli/spec_page.h"

#include <map>
#include <vector>

#include "cli/shell_words.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxNamedThings = 10;

// "a, b, c".
template <class List, class Text>
void add_list(std::string& page, const std::string& name, const List& values, Text text_of_value) {
  std::string joined;
  for (const auto& value : values) joined += (joined.empty() ? "" : ", ") + text_of_value(value);
  add_line(page, name, joined);
}

std::string tasks_of(const JobSpec& spec) {
  std::string text = std::to_string(spec.task_count());
  const bool has_entries = !spec.entries.empty() || !spec.entry_blocks.empty();
  if (spec.many && !has_entries) text += " (" + text_of(spec.tasks) + ")";
  return text;
}

std::string needs_of(const JobSpec& spec) {
  std::string text = counted(spec.cpus, "cpu");
  if (spec.memory > 0) text += ", " + size_text(spec.memory) + " of memory";
  if (spec.devices.gpus > 0) text += ", " + std::to_string(spec.devices.gpus) + " gpus";
  for (const auto& [name, count] : spec.devices.resources) {
    text += ", " + std::to_string(count) + " " + name;
  }
  return text;
}

void add_attempts(std::string& page, const JobSpec& spec) {
  const JobSpec usual;
  if (spec.limit > 0) add_line(page, "limit", std::to_string(spec.limit) + " at once");
  if (spec.time_limit.us > 0) add_line(page, "time limit", text_of(spec.time_limit));
  if (spec.grace != usual.grace) add_line(page, "grace", text_of(spec.grace));
  if (spec.retries > 0) {
    add_line(page, "retries",
             std::to_string(spec.retries) +
                 (spec.backoff.us > 0 ? ", after " + text_of(spec.backoff) : ""));
  }
  if (spec.max_fails) add_line(page, "max fails", std::to_string(*spec.max_fails));
  if (spec.crash_limit != usual.crash_limit) {
    add_line(page, "crash limit", std::to_string(spec.crash_limit));
  }
}

std::string named(const ShippedFile& file) {
  return file.name + " (" + size_text(file.size) + ")";
}

// "prog (10B)", and of a directory that was shipped "data/ (37 files)".
std::vector<std::string> shipped_things(const JobSpec& spec) {
  std::vector<std::string> things;
  std::map<std::string, std::vector<const ShippedFile*>> below;
  for (const ShippedFile& file : spec.files) {
    if (file.name == spec.stdin_file) continue;
    const std::size_t slash = file.name.find('/');
    if (slash == std::string::npos) {
      things.push_back(named(file));
    } else {
      below[file.name.substr(0, slash + 1)].push_back(&file);
    }
  }
  for (const auto& [directory, files] : below) {
    things.push_back(files.size() == 1
                         ? named(*files.front())
                         : directory + " (" + std::to_string(files.size()) + " files)");
  }
  return things;
}

void add_files(std::string& page, const JobSpec& spec) {
  std::vector<std::string> things = shipped_things(spec);
  if (things.size() > kMaxNamedThings) {
    things.resize(kMaxNamedThings);
    things.push_back("... (" + std::to_string(spec.files.size()) + " files)");
  }
  const auto as_it_is = [](const std::string& text) { return text; };
  add_list(page, "files", things, as_it_is);
  for (const ShippedFile& file : spec.files) {
    if (file.name == spec.stdin_file) add_line(page, "stdin", size_text(file.size));
  }
  add_list(page, "outputs", spec.outputs, as_it_is);
}

void add_conditions(std::string& page, const JobSpec& spec) {
  const Placement& where = spec.placement;
  const auto id_of = [](const NodeId& node) { return node.text(); };
  add_line(page, "zone", where.zone);
  add_list(page, "labels", where.labels,
           [](const auto& label) { return label.first + "=" + label.second; });
  add_list(page, "nodes", where.nodes, id_of);
  add_list(page, "not on", where.excluded, id_of);
  add_list(page, "after", spec.after, [](const Dependency& dependency) {
    return dependency.job.text() + (dependency.any ? " (however it ends)" : "");
  });
  if (spec.begin.ms != 0) add_line(page, "begin", to_rfc3339(spec.begin));
}

}  // namespace

std::string spec_details(const JobSpec& spec) {
  const JobSpec usual;
  std::string page;
  add_line(page, "command", shell_line(spec.argv));
  if (spec.placeholder != usual.placeholder) add_line(page, "placeholder", spec.placeholder);
  add_line(page, "each task", needs_of(spec));
  add_attempts(page, spec);
  add_files(page, spec);
  add_line(page, "directory", spec.host_directory);
  add_list(page, "variables", spec.environment,
           [](const auto& variable) { return variable.first + "=" + variable.second; });
  add_conditions(page, spec);
  if (spec.keep != usual.keep) add_line(page, "kept for", text_of(spec.keep));
  if (spec.log_limit != usual.log_limit) add_line(page, "log limit", size_text(spec.log_limit));
  return page;
}

std::string spec_page(const JobSpec& spec) {
  std::string page;
  add_line(page, "name", spec.name);
  add_line(page, "tasks", tasks_of(spec));
  if (spec.priority != 0) add_line(page, "priority", std::to_string(spec.priority));
  return page + spec_details(spec);
}

}  // namespace dunlin
