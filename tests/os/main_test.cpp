// The program of all tests of src/os. It is also what the tests execute when they need a runner
// (as the dunlin program is), a node process that can be killed, or a task of bad manners.
#include <gtest/gtest.h>
#include <stdlib.h>

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
  if (words.size() == 3 && words[0] == "leave-group") {
    return dunlin::run_group_leaver(words[1], atoll(words[2].c_str()));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
