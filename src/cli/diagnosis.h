// What is wrong with a host or a cluster, judged from what nodes say: the pure part of
// `dunlin doctor`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "node/client.h"

namespace dunlin {

// Below these, and above those, something is said.
constexpr std::uint64_t kLowDiskPart = 10;  // one part in so many is free; tasks stop at 20
constexpr Duration kSlowCommit = milliseconds(50);
constexpr std::uint64_t kFewDescriptors = 4096;
constexpr std::int64_t kClockSkewMs = 1000;

struct Finding {
  const char* code;     // for scripts; never renamed
  std::string subject;  // a node's name, "cluster", or a file
  std::string message;
  std::string hint;
};

// A file that holds a token, and its mode.
struct TokenFile {
  std::string path;
  unsigned mode = 0;
};

struct Evidence {
  std::vector<Member> nodes;
  std::optional<client::Status> status;
  std::optional<client::Checkup> checkup;
  std::vector<TokenFile> token_files;
};

// Grave ones first.
std::vector<Finding> diagnose(const Evidence& evidence);
Finding no_node_answers(const Error& error);

// An array of {"code","subject","message","hint"}.
std::string findings_json(const std::vector<Finding>& findings);

}  // namespace dunlin
