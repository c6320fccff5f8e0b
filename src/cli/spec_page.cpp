#include "cli/spec_page.h"

#include "cli/shell_words.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxNamedFiles = 10;

class Page {
 public:
  void line(const std::string& name, const std::string& value) {
    if (value.empty()) return;
    const std::size_t blanks = name.size() < 12 ? 12 - name.size() : 1;
    text += name + std::string(blanks, ' ') + printable(value) + "\n";
  }
  // "a, b, c".
  template <class List, class Text>
  void list(const std::string& name, const List& values, Text text_of_value) {
    std::string joined;
    for (const auto& value : values) joined += (joined.empty() ? "" : ", ") + text_of_value(value);
    line(name, joined);
  }

  std::string text;
};

std::string tasks_of(const JobSpec& spec) {
  std::string text = std::to_string(spec.task_count());
  const bool has_entries = !spec.entries.empty() || !spec.entry_blocks.empty();
  if (spec.many && !has_entries) text += " (" + text_of(spec.tasks) + ")";
  if (spec.limit > 0) text += ", at most " + std::to_string(spec.limit) + " at once";
  return text;
}

std::string needs_of(const JobSpec& spec) {
  std::string text = std::to_string(spec.cpus) + (spec.cpus == 1 ? " cpu" : " cpus");
  if (spec.memory > 0) text += ", " + size_text(spec.memory) + " of memory";
  if (spec.devices.gpus > 0) text += ", " + std::to_string(spec.devices.gpus) + " gpus";
  for (const auto& [name, count] : spec.devices.resources) {
    text += ", " + std::to_string(count) + " " + name;
  }
  return text;
}

void add_attempts(Page& page, const JobSpec& spec) {
  if (spec.time_limit.us > 0) page.line("time limit", text_of(spec.time_limit));
  if (spec.retries > 0) {
    page.line("retries", std::to_string(spec.retries) +
                             (spec.backoff.us > 0 ? ", after " + text_of(spec.backoff) : ""));
  }
  if (spec.max_fails) page.line("max fails", std::to_string(*spec.max_fails));
  if (spec.crash_limit != JobSpec().crash_limit) {
    page.line("crash limit", std::to_string(spec.crash_limit));
  }
}

void add_files(Page& page, const JobSpec& spec) {
  std::vector<std::string> names;
  for (const ShippedFile& file : spec.files) {
    if (file.name == spec.stdin_file) continue;
    if (names.size() == kMaxNamedFiles) {
      names.push_back("... (" + std::to_string(spec.files.size()) + " files)");
      break;
    }
    names.push_back(file.name + " (" + size_text(file.size) + ")");
  }
  const auto as_it_is = [](const std::string& text) { return text; };
  page.list("files", names, as_it_is);
  for (const ShippedFile& file : spec.files) {
    if (file.name == spec.stdin_file) page.line("stdin", size_text(file.size));
  }
  page.list("outputs", spec.outputs, as_it_is);
}

void add_conditions(Page& page, const JobSpec& spec) {
  const Placement& where = spec.placement;
  const auto id_of = [](const NodeId& node) { return node.text(); };
  page.line("zone", where.zone);
  page.list("labels", where.labels,
            [](const auto& label) { return label.first + "=" + label.second; });
  page.list("nodes", where.nodes, id_of);
  page.list("not on", where.excluded, id_of);
  page.list("after", spec.after, [](const Dependency& dependency) {
    return dependency.job.text() + (dependency.any ? " (however it ends)" : "");
  });
  if (spec.begin.ms != 0) page.line("begin", to_rfc3339(spec.begin));
}

}  // namespace

std::string spec_details(const JobSpec& spec) {
  const JobSpec usual;
  Page page;
  page.line("command", shell_line(spec.argv));
  page.line("each task", needs_of(spec));
  add_attempts(page, spec);
  add_files(page, spec);
  page.line("directory", spec.host_directory);
  page.list("variables", spec.environment,
            [](const auto& variable) { return variable.first + "=" + variable.second; });
  add_conditions(page, spec);
  if (spec.keep != usual.keep) page.line("kept for", text_of(spec.keep));
  if (spec.log_limit != usual.log_limit) page.line("log limit", size_text(spec.log_limit));
  return page.text;
}

std::string spec_page(const JobSpec& spec) {
  Page page;
  page.line("name", spec.name);
  page.line("tasks", tasks_of(spec));
  if (spec.priority != 0) page.line("priority", std::to_string(spec.priority));
  return page.text + spec_details(spec);
}

}  // namespace dunlin
