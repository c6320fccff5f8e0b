// `dunlin up --unit`: the options of a command line as a unit for systemd.
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/directories.h"
#include "cli/up_options.h"
#include "os/file_descriptor.h"
#include "os/utf8.h"

namespace dunlin {

namespace {

constexpr const char* kTokenName = "unit-token";

// As systemd.syntax(7) and systemd.service(5) read it: C escapes within double quotes, '%' begins a
// specifier. '$' begins a variable everywhere but in the program's own path.
std::string unit_word(const std::string& word, bool is_program) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.,:/@+";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  const bool is_text = is_utf8(word);
  std::string out = "\"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_text)) {
      char code[8];
      std::snprintf(code, sizeof code, "\\x%02x", byte);
      out += code;
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    if (c == '%' || (c == '$' && !is_program)) out += c;
    out += c;
  }
  return out + "\"";
}

std::string account_name() {
  const passwd* account = getpwuid(geteuid());
  return account == nullptr ? std::to_string(geteuid()) : account->pw_name;
}

// What is not said of the node is left to it, but for what depends on who it runs as.
std::string command_of(const Arguments& args, const std::string& program, const NodeOptions& node,
                       const std::string& token_file) {
  std::string command = unit_word(program, true) + " up";
  const auto add = [&](const std::string& name, const std::string& value) {
    command += " --" + name + " " + unit_word(value, false);
  };
  if (!args.has("dir") && geteuid() != 0) add("dir", node.dir);
  for (const Option& option : up_options()) {
    const std::string name = option.name;
    // A service that is started again and again must not begin anew each time.
    if (name == "unit" || name == "reset" || name == "token" || name == "token-file") continue;
    for (const std::string& value : args.all(option.name)) {
      if (option.takes == Takes::kNothing) {
        command += " --" + name;
      } else {
        add(name, name == "dir" ? node.dir : value);
      }
    }
  }
  if (!token_file.empty()) add("token-file", token_file);
  return command;
}

std::string directories_of(const NodeOptions& node) {
  if (!node.socket.starts_with("/run/dunlin/")) return {};
  return "RuntimeDirectory=dunlin\n"
         "RuntimeDirectoryPreserve=yes\n";
}

}  // namespace

Result<std::string> keep_unit_token(const std::string& directory, const std::string& token) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error("cannot create " + directory + " for the token", errno);
  }
  Result<void> kept = replace_file(directory, kTokenName, as_bytes(token + "\n"));
  if (!kept) return tl::unexpected(kept.error());
  return directory + "/" + kTokenName;
}

std::string systemd_unit(const Arguments& args, const std::string& program, const NodeOptions& node,
                         const std::string& token_file) {
  const std::string user = geteuid() == 0 ? "" : "User=" + unit_word(account_name(), true) + "\n";
  return "[Unit]\n"
         "Description=dunlin node\n"
         "After=network-online.target\n"
         "Wants=network-online.target\n"
         "# A host that comes back late is as welcome as any: there is no last try.\n"
         "StartLimitIntervalSec=0\n"
         "\n"
         "[Service]\n"
         "ExecStart=" +
         command_of(args, program, node, token_file) + "\n" + user +
         "# `dunlin down` and `dunlin leave` end the node for good; a usage error (2) and a "
         "refusal\n"
         "# (5) would only come again.\n"
         "Restart=on-failure\n"
         "RestartPreventExitStatus=2 5\n"
         "RestartSec=1\n"
         "# Only the node itself is told to stop: tasks belong to its runner, which ends them by\n"
         "# itself, should no node come back in time. With --keep-tasks they outlive a restart.\n"
         "KillMode=process\n"
         "# One task that is out of memory is no reason to end the others.\n"
         "OOMPolicy=continue\n"
         "Delegate=yes\n"
         "TasksMax=infinity\n"
         "# Tasks get the low one.\n"
         "LimitNOFILE=1024:524288\n" +
         directories_of(node) +
         "\n"
         "[Install]\n"
         "WantedBy=multi-user.target\n";
}

int print_unit(Invocation& call, const NodeOptions& node) {
  std::string program(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", program.data(), program.size());
  program.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  std::string token_file;
  const std::string given = call.args.text("token-file");
  if (!given.empty() && given != "-") {
    token_file = absolute_path(given);
  } else if (!node.token.empty()) {
    // A unit is for everybody to read, and a service has no stdin to read from.
    const Result<std::string> kept = keep_unit_token(node.dir, node.token);
    if (!kept) return call.failed(kept.error());
    token_file = *kept;
    note("dunlin: the token is kept in " + token_file + ", for the unit to name it");
  }
  print(systemd_unit(call.args, program.empty() ? "/usr/bin/dunlin" : program, node, token_file));
  return kExitWell;
}

}  // namespace dunlin
