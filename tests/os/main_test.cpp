// The program of all tests of src/os. It is also what the tests execute when they need a runner
// (as the dunlin program is) or a node process that can be killed.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "os/runner_process.h"
#include "os/runner_testing.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "runner") {
    return dunlin::run_runner({words.begin() + 1, words.end()});
  }
  if (!words.empty() && words[0] == "runner-node") {
    return dunlin::run_test_node({words.begin() + 1, words.end()});
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
