// What a protocol core wants done to the world, as data. A core never calls out: each input
// (a message, a tick, a completion) is handled to the end and leaves its wishes here; src/os
// performs them with sockets and disks, tests/sim with one seeded queue.
//
// The order of durability is part of the data. All durable wishes of one Effects make ONE batch:
// it becomes durable whole or not at all, and in the order of the batches. `send_when_durable` and
// `notify_when_durable` wait for that batch; `send` does not wait (a leader replicates in parallel
// with its own sync). After etcd raft's `Ready` (github.com/etcd-io/raft, node.go).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"

namespace dunlin {

enum class Channel : std::uint8_t {
  kDatagram,  // sealed UDP, at most kMaxDatagram bytes; may be lost, doubled, reordered
  kStream,    // sealed TCP, at most kMaxFrame bytes; ordered per connection, lost with it
  kLast = kStream,
};

constexpr std::size_t kMaxDatagram = 1200;
constexpr std::size_t kMaxFrame = 5 * 1024 * 1024;

// The first byte of every frame says which module reads it.
enum class Module : std::uint8_t {
  kGossip = 1,
  kGroups = 2,
  kStore = 3,
  kSched = 4,
  kNode = 5,
  kRouter = 6,
};

struct Send {
  NodeId to;  // may be the node itself: delivered in the next turn of its loop
  Channel channel = Channel::kStream;
  Bytes frame;
};

// Names a durable completion to the module that asked for it; meaning of a..c is that module's.
struct Ticket {
  Module module{};
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
};

// A keyed fact in log.db; no value erases the key. Keys begin with the module's own prefix.
struct Fact {
  std::string key;
  std::optional<Bytes> value;
};

// Bytes of a file under the node's directory ("packs/000012"), synced before the batch commits.
struct FileWrite {
  std::string file;
  std::uint64_t offset = 0;
  Bytes data;
};

struct FileExtent {
  std::string file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  static constexpr auto fields() {
    return Fields<&FileExtent::file, &FileExtent::offset, &FileExtent::length>{};
  }
};

// Answered by the input on_file_data(ticket, bytes or error).
struct FileRead {
  FileExtent extent;
  Ticket ticket;
};

// A file to lie in a task's directory, put together from local pack extents.
struct StagedFile {
  std::string name;
  std::uint32_t mode = 0644;
  std::vector<FileExtent> content;
};

// ---- the runner: see sched/process_events.h for what answers these -----------------------------

// Keys name processes between a node and its runner; the label comes back after a restart of the
// node process and says which attempt it is.
using ProcessKey = std::uint64_t;

struct StartProcess {
  ProcessKey key = 0;
  Bytes label;
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;  // in addition to the account's
  std::vector<StagedFile> files;
  std::string stdin_file;  // one of `files`, removed once it is open; empty: /dev/null
  std::uint32_t cpus = 1;
  std::uint64_t memory = 0;    // bytes; 0: no limit
  std::string host_directory;  // of the host, where it runs; empty: in a directory of its own
};

struct SignalProcess {  // to the whole process group
  ProcessKey key = 0;
  int signal = 0;
};

// Output up to this offset is safe elsewhere: the runner may forget it and read on.
struct OutputTaken {
  ProcessKey key = 0;
  bool is_stderr = false;
  std::uint64_t up_to = 0;
};

// Which files of an ended process's directory match? Answered by OutputsFound.
struct FindOutputs {
  ProcessKey key = 0;
  std::vector<std::string> globs;
};

// Answered by OutputData.
struct ReadOutput {
  ProcessKey key = 0;
  std::string name;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

// The result is committed: forget the process, remove its directory.
struct ReleaseProcess {
  ProcessKey key = 0;
};

// ------------------------------------------------------------------------------------------------

class Effects {
 public:
  void send(NodeId to, Channel channel, Bytes frame) {
    sends.push_back({to, channel, std::move(frame)});
  }
  void send_when_durable(NodeId to, Channel channel, Bytes frame) {
    sends_when_durable.push_back({to, channel, std::move(frame)});
  }
  // A record for the log, given back in this order by recovery until trimmed.
  void append(Module module, Bytes record) { records.emplace_back(module, std::move(record)); }
  void put_fact(std::string key, Bytes value) {
    facts.push_back({std::move(key), std::move(value)});
  }
  void erase_fact(std::string key) { facts.push_back({std::move(key), std::nullopt}); }
  void notify_when_durable(Ticket ticket) { tickets.push_back(ticket); }

  bool is_empty() const;
  bool has_durable() const { return !records.empty() || !facts.empty() || !file_writes.empty(); }

  // The sequence number that this batch's log row will bear: records appended now lie in it.
  std::uint64_t row = 0;

  std::vector<Send> sends;

  std::vector<std::pair<Module, Bytes>> records;
  std::vector<Fact> facts;
  std::vector<FileWrite> file_writes;
  std::vector<Send> sends_when_durable;
  std::vector<Ticket> tickets;

  // Log rows below this sequence are needed no more; 0: nothing to trim.
  std::uint64_t trim_below = 0;

  std::vector<FileRead> file_reads;
  std::vector<std::string> file_removals;

  std::vector<StartProcess> starts;
  std::vector<SignalProcess> signals;
  std::vector<OutputTaken> taken;
  std::vector<FindOutputs> output_searches;
  std::vector<ReadOutput> output_reads;
  std::vector<ReleaseProcess> releases;

  // The node must end itself, with this line: it may have forgotten a promise, or met its twin.
  std::optional<std::string> fatal;
};

}  // namespace dunlin
