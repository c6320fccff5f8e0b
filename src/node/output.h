// What a node wants done to the world at the end of a turn of its loop. src/os performs it with
// libuv, SQLite and the runner; tests/sim with one seeded queue.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "dht/journal.h"
#include "node/client.h"

namespace dunlin {

// Where and under which key a peer is to be found, and which life of it we last heard of.
struct PeerAddress {
  NodeId id;
  PublicKey key;
  std::string address;  // HOST:PORT
  Boot boot = 0;        // 0: not known
};

// Names a joiner's question between the transport and the node.
using JoinId = std::uint64_t;

struct JoinAnswer {
  JoinId join = 0;
  Bytes reply;
};

// Open a new connection to the peer's address, and close it: can it be reached there? Answered by
// on_dialled.
struct DialCheck {
  NodeId peer;
  std::uint64_t round = 0;  // of the peer's
};

struct Output {
  // In this order: what waits for nothing ...
  std::vector<Send> sends;         // one to the node itself comes back as receive(), next turn
  std::optional<DiskBatch> batch;  // then on_disk(batch.row)
  std::optional<CheckpointBatch> checkpoint;  // then on_checkpoint(checkpoint.id)
  std::vector<FileRead> file_reads;           // then on_file_data, each
  std::vector<std::string> file_removals;

  std::vector<StartProcess> starts;
  std::vector<SignalProcess> signals;
  std::vector<OutputTaken> taken;
  std::vector<FindOutputs> output_searches;
  std::vector<ReadOutput> output_reads;
  std::vector<ReleaseProcess> releases;

  std::vector<client::Reply> replies;
  std::vector<JoinAnswer> join_answers;

  std::vector<PeerAddress> peers;  // new or changed
  std::vector<NodeId> forgotten_peers;

  std::vector<DialCheck> dials;
  std::vector<std::string> lines;  // for the log

  // The process must end, with this line on stderr (exit 1), or quietly (exit 0).
  std::optional<std::string> fatal;
  // With `fatal`: this node is known to have forgotten promises, so its next life is a successor's.
  bool has_amnesia = false;
  bool stop = false;
};

}  // namespace dunlin
