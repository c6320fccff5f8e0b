// The one program: a person's commands, the node, and the runner that a node starts for itself.
#include <cstring>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "os/runner_process.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "runner") == 0) {
    return dunlin::run_runner(std::vector<std::string>(argv + 2, argv + argc));
  }
  return dunlin::run_cli(argc, argv);
}
