// The tests of the command line and, under the name of `dunlin`, the program that they start: see
// Running in shell.h.
#include <gtest/gtest.h>

#include <string_view>

#include "cli/cli.h"

int main(int argc, char** argv) {
  if (argc > 0 && std::string_view(argv[0]) == "dunlin") return dunlin::run_cli(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
