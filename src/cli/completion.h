// What may stand at a place of a command line, for shells that complete words. The tables that the
// program obeys are asked, and where a node is close, the cluster.
#pragma once

#include <string>
#include <vector>

namespace dunlin {

struct Candidate {
  std::string word;   // the whole word, whatever of it is typed already
  std::string about;  // a few words of explanation; may be empty
};

struct Completion {
  std::vector<Candidate> candidates;
  bool wants_files = false;     // paths of files may stand there
  bool wants_commands = false;  // programs may
};

// The words behind `dunlin`, the last one being what is completed (it may be empty). Never fails:
// what cannot be learnt is left out, after a second or two.
Completion complete(const std::vector<std::string>& words);

}  // namespace dunlin
