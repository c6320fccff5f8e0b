// Transcripts of whole histories, to be read in review: a change of the protocol shows as a diff.
// DUNLIN_UPDATE_GOLDEN=1 writes them anew. Where CI is set too that is a failure: a run that agrees
// with whatever it finds shows nothing.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace dunlin {

inline void compare_with_golden(const std::string& name, const std::string& transcript) {
  const std::string path = std::string(DUNLIN_TESTS_DIR "/golden/") + name + ".txt";
  const bool is_update = std::getenv("DUNLIN_UPDATE_GOLDEN") != nullptr;
  EXPECT_FALSE(transcript.empty()) << name;
  if (is_update && std::getenv("CI") != nullptr) {
    ADD_FAILURE() << "DUNLIN_UPDATE_GOLDEN is not for CI";
    return;
  }
  if (is_update) std::ofstream(path) << transcript;
  std::ifstream file(path);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(transcript, expected.str()) << "differs from " << path;
}

}  // namespace dunlin
