#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <set>

#include "base/inner_path.h"
#include "cli/commands.h"
#include "cli/follow_printer.h"
#include "cli/job_text.h"
#include "cli/reconnect.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/file_descriptor.h"
#include "os/json.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr int kMaxSilenceMs = 60'000;  // of a stream that shows no signs of life
constexpr std::size_t kMaxTailBytes = 256UL * 1024 * 1024;
constexpr Duration kFollowPatience = seconds(60);  // for a node to come back

std::string log_target(const JobRef& job, const std::string& query) {
  std::string target = "/v1/jobs/" + job.id.text() + "/logs?" + query;
  if (!job.tasks.empty()) target += "&" + tasks_query(job);
  return target;
}

// The last so many lines of what passes through.
class Tail {
 public:
  explicit Tail(std::size_t lines) : most_(lines) {}
  Result<void> add(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::size_t length = end == std::string_view::npos ? bytes.size() : end + 1;
      if (lines_.empty() || lines_.back().ends_with('\n')) lines_.emplace_back();
      lines_.back() += bytes.substr(0, length);
      held_ += length;
      bytes.remove_prefix(length);
      while (lines_.size() > most_) {
        held_ -= lines_.front().size();
        lines_.pop_front();
      }
      if (held_ > kMaxTailBytes) {
        return fail(Code::kLimit, "the last " + std::to_string(most_) + " lines are over 256 MiB");
      }
    }
    return {};
  }
  void print_all() const {
    for (const std::string& line : lines_) print(line);
  }

 private:
  std::size_t most_;
  std::size_t held_ = 0;
  std::deque<std::string> lines_;
};

// Hands the bytes of a whole stream to `take`. A live one may bring nothing for ever.
template <class Take>
Result<void> read_stream(Client& client, const std::string& target, Take take,
                         Client::Life life = Client::Life::kSilent) {
  Result<void> begun = client.begin("GET", target, {}, life);
  if (!begun) return begun;
  const int patience_ms = life == Client::Life::kLive ? -1 : kMaxSilenceMs;
  std::string bytes;
  while (true) {
    bytes.clear();
    const auto more = client.more(bytes, patience_ms);
    if (!more) return tl::unexpected(more.error());
    if (*more == Client::More::kQuiet) {
      return fail(Code::kTimeout, "the node has sent nothing for a minute");
    }
    if (!bytes.empty()) {
      if (Result<void> fine = take(std::string_view(bytes)); !fine) return fine;
    }
    if (*more == Client::More::kEnd) return {};
  }
}

Result<void> print_or_fail(std::string_view bytes) {
  if (print(bytes)) return {};
  return tl::unexpected(unprinted(print_error()));
}

// One job behind the other; --tail counts the lines of all of them.
Result<void> print_plain(Invocation& call, const std::vector<JobRef>& jobs,
                         const std::string& stream) {
  std::string query = "stream=" + stream;
  if (call.args.has("attempt")) query += "&attempt=" + call.args.text("attempt");
  const bool cuts = call.args.has("tail");
  Tail tail(static_cast<std::size_t>(call.args.number("tail", 0)));
  for (const JobRef& job : jobs) {
    Result<void> fine = read_stream(call.client, log_target(job, query),
                                    [&](std::string_view bytes) -> Result<void> {
                                      return cuts ? tail.add(bytes) : print_or_fail(bytes);
                                    });
    if (!fine) return fine;
  }
  tail.print_all();
  return {};
}

Result<std::vector<TaskOutput>> list_outputs(Client& client, const JobRef& job) {
  std::string target = "/v1/jobs/" + job.id.text() + "/outputs";
  if (!job.tasks.empty()) target += "?" + tasks_query(job);
  const auto answer = client.call("GET", target);
  if (!answer) return tl::unexpected(answer.error());
  return outputs_from_json(answer->body);
}

std::string output_target(const JobRef& job, std::uint32_t task, const std::string& name) {
  std::string encoded = url_encoded(name);
  return "/v1/jobs/" + job.id.text() + "/outputs/" + std::to_string(task) + "/" + encoded;
}

// mkdir -p of all but the last part.
Result<void> make_parents(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    if (mkdir(path.substr(0, at).c_str(), 0777) != 0 && errno != EEXIST) {
      return fail(Code::kFailed, path.substr(0, at) + ": " + std::strerror(errno));
    }
  }
  return {};
}

Result<void> fetch_output(Client& client, const JobRef& job, const TaskOutput& output,
                          const std::string& directory) {
  if (!is_inner_path(output.name)) {
    return fail(Code::kFailed, "output '" + output.name + "' would leave the directory");
  }
  const std::string path = directory + "/" + std::to_string(output.task) + "/" + output.name;
  if (Result<void> fine = make_parents(path); !fine) return fine;
  const FileDescriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, output.mode & 0777));
  if (!file.is_open()) return fail(Code::kFailed, path + ": " + std::strerror(errno));
  std::uint64_t offset = 0;
  Result<void> written = read_stream(client, output_target(job, output.task, output.name),
                                     [&](std::string_view bytes) {
                                       const std::uint64_t at = offset;
                                       offset += bytes.size();
                                       return write_at(file.get(), at, as_bytes(bytes), path);
                                     });
  // Half a file must not be taken for the whole.
  if (!written) unlink(path.c_str());
  return written;
}

}  // namespace

const OptionTable& logs_options() {
  static const OptionTable table = {
      {"follow", 'f', nullptr, Takes::kNothing, "as it comes, until the job has ended"},
      {"stderr", 0, nullptr, Takes::kNothing, "of stderr instead of stdout"},
      {"both", 0, nullptr, Takes::kNothing, "of stdout and stderr"},
      {"attempt", 0, "N", Takes::kCount, "of this attempt, not of the committed or newest one"},
      {"tail", 0, "N", Takes::kCount, "the last N lines only"},
  };
  return table;
}

const OptionTable& outputs_options() {
  static const OptionTable table = {
      {"to", 0, "DIR", Takes::kText, "write them as DIR/TASK/NAME"},
  };
  return table;
}

int follow_logs(Invocation& call, const JobRef& job, const std::string& streams) {
  const bool is_one = count_of(job.tasks) == 1;
  bool is_many = !is_one && !job.tasks.empty();
  if (job.tasks.empty()) {
    const auto answer = call.client.call("GET", "/v1/jobs/" + job.id.text());
    if (!answer) return call.failed(answer.error());
    const auto summary = job_from_json(answer->body);
    if (!summary) return call.failed(summary.error());
    is_many = summary->tasks.total > 1;
  }
  FollowPrinter printer(is_many);
  const std::string target = log_target(job, "follow=1&stream=" + streams);
  Reconnect reconnect(kFollowPatience);
  while (!printer.is_complete()) {
    printer.restart();
    const Result<void> ended = read_stream(
        call.client, target,
        [&](std::string_view bytes) -> Result<void> {
          printer.feed(bytes);
          reconnect.has_news();
          if (printer.write_error() != 0) return tl::unexpected(unprinted(printer.write_error()));
          if (printer.is_broken()) return fail(Code::kFailed, "the node sent what is no output");
          return {};
        },
        Client::Life::kLive);
    if (printer.is_complete()) break;
    const Error error =
        ended ? Error{Code::kUnreachable, "the node ended the connection", ""} : ended.error();
    if (!is_lost(error) || !printer.job() || !reconnect.again(error)) return call.failed(error);
  }
  if (printer.error()) return call.failed(*printer.error());
  const bool is_done = printer.job() && printer.job()->state == JobState::kDone;
  if (printer.job()) note(how_it_ended(*printer.job()));
  return is_done ? kExitWell : kExitFailed;
}

int run_logs(Invocation& call) {
  if (call.args.number("attempt", 1) == 0) {
    return call.usage("there is no --attempt 0", "the first is 1");
  }
  if (call.args.has("stderr") && call.args.has("both")) {
    return call.usage("--stderr and --both exclude each other", "give one");
  }
  const bool follows = call.args.has("follow");
  if (follows && (call.args.has("attempt") || call.args.has("tail"))) {
    return call.usage("-f cannot be combined with --attempt or --tail");
  }
  if (follows && call.args.words.size() > 1) return call.usage("-f follows one job at a time");
  std::vector<JobRef> jobs;
  for (const std::string& word : call.args.words) {
    auto job = find_job(call.client, word);
    if (!job) return call.failed(job.error());
    jobs.push_back(std::move(*job));
  }
  const std::string stream = call.args.has("both")     ? "both"
                             : call.args.has("stderr") ? "stderr"
                                                       : "stdout";
  if (follows) return follow_logs(call, jobs.front(), stream);
  const Result<void> printed = print_plain(call, jobs, stream);
  return printed ? int{kExitWell} : call.failed(printed.error());
}

namespace {

// One that cannot be fetched keeps none of the others back.
int fetch_all(Invocation& call, const JobRef& job, const std::vector<TaskOutput>& outputs) {
  int code = kExitWell;
  std::size_t written = 0;
  for (const TaskOutput& output : outputs) {
    const Result<void> fetched = fetch_output(call.client, job, output, call.args.text("to"));
    written += fetched ? 1 : 0;
    if (fetched) continue;
    const std::string which = job.id.text() + "." + std::to_string(output.task) + " " + output.name;
    const Error& why = fetched.error();
    const int failed = call.failed({why.code, printable(which) + ": " + why.message, why.hint});
    if (code == kExitWell) code = failed;
    if (why.code == Code::kUnreachable) break;
  }
  note(std::to_string(written) + " files written to " + call.args.text("to"));
  return code;
}

// The task that kept a file of this name, if it is but one: of several none is the one that is
// meant.
Result<std::uint32_t> keeper_of(Client& client, const JobRef& job, const std::string& name) {
  const auto outputs = list_outputs(client, job);
  if (!outputs) return tl::unexpected(outputs.error());
  std::set<std::uint32_t> keepers;
  for (const TaskOutput& output : *outputs) {
    if (output.name == name) keepers.insert(output.task);
  }
  const std::string id = job.id.text();
  if (keepers.empty()) {
    return fail(Code::kNotFound, "no task of " + id + " has an output '" + name + "'",
                "see: dunlin outputs " + id);
  }
  if (keepers.size() > 1) {
    return fail(Code::kUsage,
                std::to_string(keepers.size()) + " tasks of " + id + " have '" + name + "'",
                "name one, as in " + id + "." + std::to_string(*keepers.begin()) +
                    ", or take all with --to DIR");
  }
  return *keepers.begin();
}

int print_one(Invocation& call, const JobRef& job, const std::string& name) {
  Result<std::uint32_t> task = std::uint32_t{0};
  if (count_of(job.tasks) == 1) {
    task = job.tasks.front().first;
  } else {
    task = keeper_of(call.client, job, name);
  }
  if (!task) return call.failed(task.error());
  const Result<void> printed =
      read_stream(call.client, output_target(job, *task, name), print_or_fail);
  return printed ? int{kExitWell} : call.failed(printed.error());
}

}  // namespace

int run_outputs(Invocation& call) {
  if (call.args.words.size() == 2 && call.args.has("to")) {
    return call.usage("outputs takes a NAME or --to DIR, not both",
                      "a NAME goes to stdout: dunlin outputs JOB.TASK NAME > FILE");
  }
  const auto job = find_job(call.client, call.args.words[0]);
  if (!job) return call.failed(job.error());
  if (call.args.words.size() == 2) return print_one(call, *job, call.args.words[1]);
  const auto outputs = list_outputs(call.client, *job);
  if (!outputs) return call.failed(outputs.error());
  if (call.args.has("to")) return fetch_all(call, *job, *outputs);
  if (call.json()) {
    std::string target = "/v1/jobs/" + job->id.text() + "/outputs";
    if (!job->tasks.empty()) target += "?" + tasks_query(*job);
    const auto answer = call.client.call("GET", target);
    if (!answer) return call.failed(answer.error());
    print(answer->body);
    return kExitWell;
  }
  if (call.quiet()) {
    std::string names;
    for (const TaskOutput& output : *outputs) {
      names += std::to_string(output.task) + "/" + output.name + "\n";
    }
    print(names);
    return kExitWell;
  }
  Table table({">TASK", ">SIZE", "NAME"});
  for (const TaskOutput& output : *outputs) {
    table.add({std::to_string(output.task), size_text(output.size), output.name});
  }
  print(table.text(terminal_width()));
  return kExitWell;
}

}  // namespace dunlin
