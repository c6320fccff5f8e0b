// What `dunlin up` was told, checked for form only: the node says what the host cannot do.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

struct NodeOptions {
  std::string dir;              // the node's data, made if it is not there
  std::string socket;           // where the API listens
  unsigned socket_mode = 0600;  // 0666 for a root node's /run/dunlin/api.sock
  std::string listen = "0.0.0.0:7400";
  std::string advertise;          // HOST:PORT that others use; empty: found out from `listen`
  std::string http;               // IP:PORT of the API as plain HTTP; empty: nowhere
  std::vector<std::string> join;  // HOST:PORT each; empty: found a cluster, or resume `dir`
  bool reset = false;             // what `dir` holds is set aside first
  std::string token;              // only with `join`; the text itself, not a file's name
  std::string name;               // empty: the host's
  std::string zone;
  std::map<std::string, std::string> labels;
  std::optional<std::uint32_t> cpus;    // nothing: all of the host's; 0: runs no tasks
  std::optional<std::uint64_t> memory;  // bytes; nothing: the host's
  std::uint32_t gpus = 0;
  std::map<std::string, std::uint64_t> resources;
  std::optional<std::uint16_t> groups;  // of a cluster being founded
  std::string run_as;                   // the account of tasks; empty: the node's
  bool keep_tasks = false;              // SIGTERM leaves them to the runner and the next process
};

}  // namespace dunlin
