#include "cli/manual.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "cli/invocation.h"
#include "cli/job_options.h"

namespace dunlin {

namespace {

// Of this version: a page must not change with the day on which it is printed.
constexpr const char* kReleased = "2026-11-29";

struct Entry {
  const char* term;
  const char* text;
};

constexpr Entry kNotation[] = {
    {"JOB", "the id of a job, its beginning, or last: the newest of yours"},
    {"TASKS", "numbers of a job's tasks, as in 7, 1-5 or 1,4-9; JOB.7 is one task"},
    {"NODE", "the name of a node, its id, or the beginning of its id"},
    {"TIME", "how long: 90s, 10m, 1h30m or 30d; a bare number is refused, except 0"},
    {"SIZE", "bytes: 512K, 4G or 1T, each 1024 of the one before"},
    {"ADDR", "the path of a node's socket, or HOST:PORT of any node"},
};

constexpr Entry kExitCodes[] = {
    {"0", "all is well"},
    {"1", "the job or the thing asked for failed"},
    {"2", "wrong usage; nothing was done"},
    {"3", "no node can be reached"},
    {"4", "there is no such thing"},
    {"5", "refused, or over a limit"},
    {"6", "it took too long; it may still happen"},
    {"7",
     "the answer is incomplete, because some groups have no quorum; what is known was printed"},
    {"130", "interrupted"},
};

constexpr Entry kRunExitCodes[] = {
    {"124", "the task's time limit"},
    {"125", "dunlin itself failed; one line on stderr says why"},
    {"126", "the command cannot be executed"},
    {"127", "there is no such command"},
    {"128+N", "the command died of signal N"},
};

constexpr Entry kEnvironment[] = {
    {"DUNLIN_SERVER", "whom to ask, as --server says it"},
    {"DUNLIN_DIR", "the directory of a node on this host; its socket is tried first"},
    {"DUNLIN_TOKEN", "a user's token, for HOST:PORT"},
};

constexpr Entry kTaskEnvironment[] = {
    {"DUNLIN_JOB_ID", "the job's id"},
    {"DUNLIN_TASK_ID", "the task's number"},
    {"DUNLIN_ENTRY", "its entry; of an array the number"},
    {"DUNLIN_ATTEMPT", "which attempt this is, from 1 on"},
    {"DUNLIN_NODE", "the name of the node"},
    {"DUNLIN_CPUS", "how many cores it was given"},
    {"DUNLIN_SERVER", "the node's socket, so that tasks can submit jobs"},
    {"DUNLIN_WORKDIR", "the task's own directory, where shipped files are and outputs are sought"},
};

constexpr Entry kFiles[] = {
    {"~/.dunlin, /var/lib/dunlin", "the data of a node; of root's node the latter"},
    {"DIR/join-token", "the first token of a cluster, on the host that founded it"},
    {"/run/dunlin/api.sock, DIR/api.sock", "where commands reach the node of this host"},
    {"~/.dunlin/token", "a user's token, for HOST:PORT"},
    {"~/.dunlin/servers", "further nodes, as the cluster told of them"},
};

// Text as it is, in troff: nothing in it is a request, a quote of the formatter or a hyphen.
std::string plain(std::string_view text) {
  std::string out;
  if (!text.empty() && (text[0] == '.' || text[0] == '\'')) out = "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;
      case '~': out += "\\(ti"; break;
      case '^': out += "\\(ha"; break;
      case '`': out += "\\(ga"; break;
      case '\'': out += "\\(aq"; break;
      case '"': out += "\\(dq"; break;
      default: out += c;
    }
  }
  return out;
}

// The same, in lines of a decent length, since pages are read as sources, too.
std::string filled(std::string_view text) {
  constexpr std::size_t kWidth = 70;
  std::string out;
  while (text.size() > kWidth) {
    const std::size_t blank = text.rfind(' ', kWidth);
    if (blank == std::string_view::npos) break;
    out += plain(text.substr(0, blank)) + "\n";
    text.remove_prefix(blank + 1);
  }
  return out + plain(text) + "\n";
}

std::string sentence(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text + ".";
}

std::string bold(std::string_view text) {
  return "\\fB" + plain(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + plain(text) + "\\fR";
}

std::string section(std::string_view title) {
  return ".SH " + std::string(title) + "\n";
}

std::string term(const std::string& head, std::string_view text) {
  return ".TP\n" + head + "\n" + filled(text);
}

template <std::size_t N>
std::string entries(const Entry (&list)[N]) {
  std::string text;
  for (const Entry& entry : list) text += term(bold(entry.term), entry.text);
  return text;
}

std::string option_term(const Option& option) {
  std::string head = option.letter == 0 ? "" : bold(std::string("-") + option.letter) + ", ";
  head += bold(std::string("--") + option.name);
  if (option.argument != nullptr) head += " " + italic(option.argument);
  std::string text = option.help;
  if (option.choices != nullptr) text += std::string("; one of: ") + option.choices;
  if (option.repeats) text += " (may be repeated)";
  return term(head, text);
}

// `but`: options that are described elsewhere.
std::string option_terms(const OptionTable& table, const OptionTable& but = {}) {
  std::string text;
  for (const Option& option : table) {
    if (option.available && find_option(but, option.name) == nullptr) text += option_term(option);
  }
  return text;
}

// Those of a job are described once for all commands that take them.
bool takes_job_options(const Command& command) {
  return std::all_of(job_options().begin(), job_options().end(), [&](const Option& option) {
    return find_option(*command.options, option.name) != nullptr;
  });
}

std::string command_section(const Command& command) {
  std::string usage = "dunlin " + std::string(command.name);
  if (command.usage[0] != '\0') usage += std::string(" ") + command.usage;
  std::string text = ".SS \"" + plain(usage) + "\"\n" + filled(sentence(command.summary));
  if (takes_job_options(command)) {
    text += "It takes the options of a job, see below";
    const std::string own = option_terms(*command.options, job_options());
    text += own.empty() ? ".\n" : ", and:\n" + own;
  } else {
    text += option_terms(*command.options);
  }
  return text + ".PP\nFor example:\n.PP\n.RS\n.nf\n" + plain(command.example) + "\n.fi\n.RE\n";
}

std::string commands_section() {
  std::string text = section("COMMANDS");
  for (const Command& command : commands()) {
    if (command.run != nullptr) text += command_section(command);
  }
  return text;
}

std::string head() {
  std::string text = std::string(".\\\" Printed by `dunlin help --man`.\n") + ".TH DUNLIN 1 " +
                     kReleased + " \"dunlin " + kVersion + "\" \"User Commands\"\n";
  text += section("NAME") + "dunlin \\- a cluster without a master, for batch jobs\n";
  text += section("SYNOPSIS") + bold("dunlin") + " " + italic("COMMAND") + " [options]\n.br\n" +
          bold("dunlin help") + " [" + italic("COMMAND") + "]\n";
  text += section("DESCRIPTION");
  text += filled(
      "dunlin makes any number of hosts one computer for batch work. Every host runs the same "
      "program, any of them takes jobs, and a job goes on when any host dies.");
  text += ".PP\n";
  text += filled(
      "A node is started by `dunlin up`; all other commands ask a node, that of this host if no "
      "other is named. Options of every command may stand in front of it, too.");
  return text;
}

}  // namespace

std::string manual_page() {
  std::string text = head();
  text += section("NOTATION") + entries(kNotation);
  text += section("OPTIONS") + "Every command takes\n" + option_terms(general_options());
  text += term(bold("--version"), "the version, instead of a command");
  text += commands_section();
  text += section("OPTIONS OF A JOB") + "Of the commands that submit one:\n" +
          option_terms(job_options());
  text += section("EXIT STATUS") + entries(kExitCodes);
  text += ".PP\n" + bold("dunlin run") + " ends with the command\\(aqs own code, or with\n" +
          entries(kRunExitCodes);
  text += section("ENVIRONMENT") + "Commands heed\n" + entries(kEnvironment);
  text += ".PP\nTasks are given\n" + entries(kTaskEnvironment);
  text += section("FILES") + entries(kFiles);
  return text + section("SEE ALSO") + plain("/usr/share/doc/dunlin/GUIDE.md") + "\n";
}

}  // namespace dunlin
