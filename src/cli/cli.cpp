#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/manual.h"
#include "cli/servers.h"

namespace dunlin {

namespace {

constexpr std::size_t kAny = ~std::size_t{0};

const OptionTable& no_options() {
  static const OptionTable none;
  return none;
}

bool is_help(const std::string& word) {
  return word == "--help" || word == "-h";
}

std::string general_help() {
  std::string text =
      "dunlin: a cluster without a master, for batch jobs\n\n"
      "usage: dunlin COMMAND [options]\n\n";
  for (const Command& command : commands()) {
    if (command.run == nullptr) continue;
    std::string name = command.name;
    name.resize(std::max<std::size_t>(name.size() + 1, 14), ' ');
    text += "  " + name + command.summary + "\n";
  }
  text += "\nEvery command takes\n" + help_of(general_options());
  text +=
      "\nFor example\n"
      "  dunlin up                                   found a cluster on this host\n"
      "  dunlin run -- hostname                      run a command somewhere in it\n"
      "  dunlin submit --array 1-100 -- ./work {}    run a hundred tasks\n"
      "\n`dunlin COMMAND --help` says more.\n";
  return text;
}

std::string command_help(const Command& command) {
  std::string text = std::string("dunlin ") + command.name + ": " + command.summary + "\n\n";
  text += std::string("usage: dunlin ") + command.name + " " + command.usage + "\n";
  const std::string own = help_of(*command.options);
  if (!own.empty()) text += "\n" + own;
  text += "\nEvery command takes\n" + help_of(general_options());
  text += std::string("\nFor example\n  ") + command.example + "\n";
  return text;
}

// The commands of two words that begin with this one; empty if there are none.
std::string family_help(const std::string& word) {
  std::string text;
  for (const Command& command : commands()) {
    const std::string name = command.name;
    if (!name.starts_with(word + " ") || command.run == nullptr) continue;
    text += "  dunlin " + name + " " + command.usage + "    " + command.summary + "\n";
    text += std::string("\nFor example\n  ") + command.example + "\n";
  }
  return text;
}

// The command that the words begin with, and how many of them it takes: the longest name counts.
const Command* find_command(const std::vector<std::string>& words, std::size_t& taken) {
  const Command* found = nullptr;
  for (const Command& command : commands()) {
    const std::string name = command.name;
    const std::size_t space = name.find(' ');
    const std::size_t length = space == std::string::npos ? 1 : 2;
    if (words.size() < length || words[0] != name.substr(0, space)) continue;
    if (length == 2 && words[1] != name.substr(space + 1)) continue;
    if (found != nullptr && length < taken) continue;
    found = &command;
    taken = length;
  }
  return found;
}

Error no_command(const std::vector<std::string>& words) {
  std::vector<std::string> known;
  std::string family;
  for (const Command& command : commands()) {
    const std::string name = command.name;
    known.push_back(name.substr(0, name.find(' ')));
    if (name.starts_with(words[0] + " ")) family += (family.empty() ? "" : ", ") + name;
  }
  if (!family.empty()) {
    return {Code::kUsage, "'" + words[0] + "' needs a second word", "one of: " + family};
  }
  const std::string near = nearest(words[0], known);
  return {Code::kUsage, "unknown command '" + words[0] + "'",
          near.empty() ? "see dunlin --help" : "did you mean '" + near + "'?"};
}

// Even of a line that cannot be parsed it should be known in which form to complain.
bool wants_json(const std::vector<std::string>& args) {
  const auto end = std::find(args.begin(), args.end(), "--");
  return std::find(args.begin(), end, "--json") != end;
}

Result<void> check_words(const Command& command, const Arguments& args) {
  const std::size_t count = args.words.size();
  const std::string usage = std::string("usage: dunlin ") + command.name + " " + command.usage;
  if (count < command.least_words) {
    return fail(Code::kUsage, std::string(command.name) + " needs more words", usage);
  }
  if (count > command.most_words) {
    return fail(
        Code::kUsage,
        std::string(command.name) + " does not take '" + args.words[command.most_words] + "'",
        usage);
  }
  return {};
}

bool asks_for_help(const Command& command, const std::vector<std::string>& args) {
  // Of a command's own command, --help is its business.
  for (const std::string& arg : args) {
    if (is_help(arg)) return true;
    if (arg == "--" || (command.words == Words::kCommand && !arg.starts_with('-'))) return false;
  }
  return false;
}

int run_command(const Command& command, const std::vector<std::string>& args) {
  const bool json = wants_json(args);
  if (command.run == nullptr) {
    return complain({Code::kUsage, std::string("'") + command.name + "' is not available yet", ""},
                    json);
  }
  if (asks_for_help(command, args)) {
    print(command_help(command));
    return kExitWell;
  }
  auto parsed = parse_arguments(args, {command.options, &general_options()}, command.words);
  if (!parsed) return complain(parsed.error(), json);
  if (const Result<void> fine = check_words(command, *parsed); !fine) {
    return complain(fine.error(), json);
  }
  auto servers = command.asks_nobody
                     ? Result<Servers>(Servers{})
                     : servers_to_try(parsed->text("server"), parsed->text("token-file"));
  if (!servers) return complain(servers.error(), json);
  Invocation call(std::move(*parsed), std::move(*servers));
  return command.run(call);
}

// A standard stream that is closed must not become a socket that is opened later: its place is
// taken by what fails when it is used.
void fill_closed_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    (void)!::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

int run_line(std::vector<std::string> args) {
  if (args.empty()) {
    note(general_help());
    return kExitUsage;
  }
  // Options for every command may stand before it, too.
  std::vector<std::string> before;
  while (!args.empty() && args[0].starts_with('-')) {
    if (is_help(args[0])) {
      print(general_help());
      return kExitWell;
    }
    if (args[0] == "--version") {
      print(std::string("dunlin ") + kVersion + "\n");
      return kExitWell;
    }
    const bool takes_value = args[0] == "--server" || args[0] == "--token-file";
    for (int i = takes_value ? 2 : 1; i > 0 && !args.empty(); --i) {
      before.push_back(args.front());
      args.erase(args.begin());
    }
  }
  if (args.empty()) {
    return complain({Code::kUsage, "there is no command", "see dunlin --help"}, wants_json(before));
  }
  if (args.size() == 2 && args[0] == "help" && args[1] == "--man") {
    return print(manual_page()), kExitWell;
  }
  // `help submit` is `submit --help`.
  if (args[0] == "help" && args.size() > 1) {
    args.erase(args.begin());
    args.push_back("--help");
  }
  if (args[0] == "help" || args[0] == "version") args[0] = "--" + args[0];
  if (args[0].starts_with("--")) {
    return run_line({args[0]});
  }
  std::size_t taken = 0;
  const Command* command = find_command(args, taken);
  if (command == nullptr && args.size() == 2 && is_help(args[1])) {
    const std::string family = family_help(args[0]);
    if (!family.empty()) return print(family), kExitWell;
  }
  if (command == nullptr) {
    return complain(no_command(args), wants_json(before) || wants_json(args));
  }
  before.insert(before.end(), args.begin() + static_cast<std::ptrdiff_t>(taken), args.end());
  return run_command(*command, before);
}

}  // namespace

const OptionTable& general_options() {
  static const OptionTable table = {
      {"server", 0, "ADDR[,ADDR...]", Takes::kText,
       "sockets of nodes, or HOST:PORT, tried in order"},
      {"json", 0, nullptr, Takes::kNothing, "answers, and errors, as JSON"},
      {"quiet", 0, nullptr, Takes::kNothing, "ids only, one a line"},
      {"token-file", 0, "FILE", Takes::kText, "a user's token, for HOST:PORT (~/.dunlin/token)"},
      {"help", 'h', nullptr, Takes::kNothing, "this text"},
  };
  return table;
}

namespace {

std::vector<Command> node_commands() {
  return {
      {"up", "start a node on this host, and found or join a cluster", "[options]",
       "dunlin up --join 10.0.0.5:7400 --token-file token", &up_options(), Words::kAnywhere, 0, 0,
       run_up, true},
      {"nodes", "the nodes of the cluster", "[NODE]", "dunlin nodes", &no_options(),
       Words::kAnywhere, 0, 1, run_nodes},
      {"status", "how the cluster is, in a few lines", "", "dunlin status", &no_options(),
       Words::kAnywhere, 0, 0, run_status},
      {"drain", "a node takes no new tasks; what runs there goes on",
       "NODE [--deadline TIME] [--wait]", "dunlin drain host7 --deadline 1h --wait",
       &drain_options(), Words::kAnywhere, 1, 1, run_drain},
      {"undrain", "a node takes tasks again", "NODE", "dunlin undrain host7", &no_options(),
       Words::kAnywhere, 1, 1, run_undrain},
      {"leave", "take a node out: hand over what it holds, then stop it", "[NODE] [--now]",
       "dunlin leave host7", &leave_options(), Words::kAnywhere, 0, 1, run_leave},
      {"forget", "a dead host never comes back: replace it now, and ban its id", "NODE",
       "dunlin forget host7", &no_options(), Words::kAnywhere, 1, 1, run_forget},
      {"down", "stop the node on this host; it can come back", "", "dunlin down", &no_options(),
       Words::kAnywhere, 0, 0, run_down},
      {"token create", "a token that lets a node join, or a user in from elsewhere", "[options]",
       "dunlin token create --role user --user ann --ttl 30d", &token_create_options(),
       Words::kAnywhere, 0, 0, run_token_create},
      {"token list", "the tokens that are good still; never their secrets", "[--all]",
       "dunlin token list", &token_list_options(), Words::kAnywhere, 0, 0, run_token_list},
      {"token revoke", "nobody gets in by it any more", "ID...", "dunlin token revoke 4n7c",
       &no_options(), Words::kAnywhere, 1, kAny, run_token_revoke},
  };
}

std::vector<Command> job_commands() {
  return {
      {"run", "run a command in the cluster as if it were here", "[options] [--] CMD ARG...",
       "dunlin run -c 4 -- make -j4", &run_options(), Words::kCommand, 1, kAny, run_run},
      {"submit", "hand in a job of one task or many; prints its id",
       "[options] [--] CMD ARG... [::: A B ...] | FILE.toml | SCRIPT [ARG...]",
       "dunlin submit --each-line names.txt --out '*.png' -- ./render {}", &submit_options(),
       Words::kCommand, 1, kAny, run_submit},
      {"jobs", "your jobs: unfinished, or finished within a day", "[options]",
       "dunlin jobs --state failed --all-users", &jobs_options(), Words::kAnywhere, 0, 0, run_jobs},
      {"show", "one job", "JOB", "dunlin show last", &show_options(), Words::kAnywhere, 1, 1,
       run_show},
      {"tasks", "the tasks of a job", "JOB[.TASKS] [--state STATE] | --node NODE",
       "dunlin tasks last --state failed", &tasks_options(), Words::kAnywhere, 0, 1, run_tasks},
      {"explain", "why a task waits, node by node; or what became of it", "JOB[.TASK]",
       "dunlin explain last", &no_options(), Words::kAnywhere, 1, 1, run_explain},
      {"logs", "what the tasks wrote", "JOB[.TASKS]... [options]", "dunlin logs -f last",
       &logs_options(), Words::kAnywhere, 1, kAny, run_logs},
      {"outputs", "the files that were kept", "JOB[.TASKS] [NAME | --to DIR]",
       "dunlin outputs last --to results", &outputs_options(), Words::kAnywhere, 1, 2, run_outputs},
      {"wait", "until jobs have ended; fails if one of them did", "JOB... [--any] [--timeout TIME]",
       "dunlin wait last --timeout 1h", &wait_options(), Words::kAnywhere, 1, kAny, run_wait},
      {"events", "what happened to jobs and nodes, each page oldest first; with -f, what happens",
       "[-f] [--job JOB]", "dunlin events -f --job last", &events_options(), Words::kAnywhere, 0, 0,
       run_events},
      {"cancel", "end jobs, or some of their tasks", "JOB[.TASKS]...", "dunlin cancel last.7-9",
       &no_options(), Words::kAnywhere, 1, kAny, run_cancel},
      {"doctor", "what is wrong with this host or cluster, and how to mend it", "", "dunlin doctor",
       &no_options(), Words::kAnywhere, 0, 0, run_doctor},
      {"top", "nodes, jobs and rates on a screen, live; q ends it", "[--interval TIME]",
       "dunlin top --interval 5s", &top_options(), Words::kAnywhere, 0, 0, run_top},
      {"pause", "start nothing of these jobs or tasks until they are resumed",
       "JOB[.TASKS]... [--freeze]", "dunlin pause last --freeze", &pause_options(),
       Words::kAnywhere, 1, kAny, run_pause},
      {"resume", "let paused jobs or tasks go on", "JOB[.TASKS]...", "dunlin resume last",
       &no_options(), Words::kAnywhere, 1, kAny, run_resume},
      {"retry", "run failed and cancelled tasks again", "JOB[.TASKS]... [--all]",
       "dunlin retry last", &retry_options(), Words::kAnywhere, 1, kAny, run_retry},
      {"delete", "remove record, logs and outputs of finished jobs now", "JOB...",
       "dunlin delete last", &no_options(), Words::kAnywhere, 1, kAny, run_delete},
      {"set", "change a job that is accepted already", "JOB... [options]",
       "dunlin set last --priority 10 --time 2h", &set_options(), Words::kAnywhere, 1, kAny,
       run_set},
      {"completion", "what a shell needs to complete the words of these commands", "bash|zsh",
       "dunlin completion bash", &no_options(), Words::kCommand, 1, kAny, run_completion, true},
      {"fs", "", "", "", &no_options()},
      {"mount", "", "", "", &no_options()},
  };
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> all = [] {
    std::vector<Command> both = node_commands();
    for (const Command& command : job_commands()) both.push_back(command);
    return both;
  }();
  return all;
}

int run_cli(int argc, char** argv) {
  fill_closed_streams();
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  const int code = run_line(args);
  // What was asked for has not arrived, whatever else went well.
  if (code != kExitWell || print_error() == 0) return code;
  return complain(unprinted(print_error()), wants_json(args));
}

}  // namespace dunlin
