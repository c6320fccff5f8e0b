// One command being run: what it was given, whom it asks, how it answers.
#pragma once

#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/options.h"
#include "cli/report.h"

namespace dunlin {

class Invocation {
 public:
  Invocation(Arguments arguments, Servers servers)
      : args(std::move(arguments)), client(std::move(servers)) {}

  bool json() const { return args.has("json"); }
  bool quiet() const { return args.has("quiet"); }
  // Says it and returns the exit code.
  int failed(const Error& error) const { return complain(error, json()); }
  int usage(const std::string& message, const std::string& hint = {}) const {
    return failed({Code::kUsage, message, hint});
  }

  Arguments args;
  Client client;
};

struct Command {
  const char* name;     // "token create": two words
  const char* summary;  // one line
  const char* usage;    // what follows the name
  const char* example;  // a whole line, and what it does
  const OptionTable* options;
  Words words = Words::kAnywhere;
  std::size_t least_words = 0;
  std::size_t most_words = 0;
  int (*run)(Invocation&) = nullptr;  // null: documented, not available yet
  bool asks_nobody = false;           // it is no client of a node
};

// In the order of --help.
const std::vector<Command>& commands();
// --server, --json, ... : what every command takes.
const OptionTable& general_options();

}  // namespace dunlin
