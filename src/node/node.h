// One node: owns membership, groups, blobs and jobs, routes messages and events between them, and
// gathers what they want done. It is the whole program but for the world: src/os drives it with
// real sockets and disks, tests/sim with simulated ones.
//
// Use: begin_turn(now, wall), any number of inputs, end_turn(). All durable wishes of a turn make
// one batch. An input outside a turn is a bug.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "base/session.h"
#include "base/token.h"
#include "dht/dht.h"
#include "dht/journal.h"
#include "gossip/gossip.h"
#include "node/client.h"
#include "node/output.h"
#include "node/setup.h"
#include "sched/process_events.h"
#include "sched/sched.h"
#include "store/store.h"

namespace dunlin {

// What differs between hosts and between tests; the defaults are the product's.
struct NodeConfig {
  NodeFacts facts;  // of this host; id and key are filled in from the membership
  GossipConfig gossip;
  LivenessConfig liveness;
  GroupsConfig groups;
  StoreConfig store;
  SchedConfig sched;
  // Applied state is checkpointed this long after it changed, or at once above so many changes.
  Duration checkpoint_delay = seconds(5);
  std::size_t checkpoint_changes = 20'000;
  // Asks others whether they can reach this node, and says so if they cannot.
  bool checks_reach = false;
};

// How this life of the node begins.
struct NodeStart {
  Membership membership;
  Boot boot = 1;              // durable already
  bool founding = false;      // mint the cluster's groups; see put_founding
  std::vector<Member> seeds;  // members to find the others by
};

class Node {
 public:
  // `journal` has judged the disk and goes on with it; `recovered` is what it found.
  Node(NodeConfig config, NodeStart start, Journal journal, Recovered recovered, Random random,
       Instant now, WallTime wall);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void begin_turn(Instant now, WallTime wall);
  Output end_turn();
  Instant next_deadline() const;

  // ---- inputs, only within a turn ----
  void tick();
  // `from` is authenticated by the transport.
  void receive(NodeId from, Channel channel, ByteView frame);
  void on_peer_reset(NodeId peer);
  void on_disk(std::uint64_t row);  // all batches up to it are durable
  void on_checkpoint(std::uint64_t id);
  void on_file_data(const Ticket& ticket, Result<Bytes> data);
  void on_process(ProcessEvent event);
  // A question asked under a join token by whoever proved that key; answered by one JoinAnswer.
  void on_join(JoinId join, const TokenId& token, const PublicKey& key, ByteView request);
  void on_client(client::RequestId request, client::Request body);
  // The client went away: nobody waits for its answer any more.
  void on_client_gone(client::RequestId request);
  void set_disk_space(std::uint64_t total, std::uint64_t free);
  // For checkups; a moment old is good enough.
  void set_condition(const HostCondition& condition);
  // How a connection to the peer's address went, which Output::dials asked for.
  void on_dialled(NodeId peer, std::uint64_t round, const Result<void>& how);
  // A write has been in flight for longer than the host's limit (or no longer is).
  void set_storage_stalled(bool stalled);
  // SIGTERM: the tasks get their grace and are handed back; Output::stop follows when that is done,
  // kAfterGrace behind the longest grace at the latest, or at once when told a second time.
  void stop();

  // ---- questions of the transport ----
  const Membership& membership() const;
  NodeId id() const;
  Boot boot() const;
  // Members believed alive, this node too.
  std::vector<Member> reachable_members() const;
  // The key that a token proves, be it of use still or not: whoever proves it is told why not.
  std::optional<Key32> token_psk(const TokenId& token) const;
  // May a client that has proved this token come in?
  Verdict admit_client(const TokenId& token) const;
  // Who a client is that was let in so.
  std::string user_of_client(const TokenId& token) const;
  // The user who shows the token itself; an error when it is none of a user, or no more.
  Result<std::string> user_of_bearer(const JoinToken& token) const;
  // May this identity, which proved the cluster's key, speak with us? Not when it is retired. That
  // our copy of the record has no admission of it is no reason: the key is handed out only after a
  // committed admission, our copy may be older than that, and it is perhaps this very peer without
  // which no newer one can be had (two of a group's three voters, one of them long away).
  bool is_admitted(const NodeId& id) const;
  // Can take jobs: some group is led, here or elsewhere.
  bool is_ready() const;

  // ---- for checkers and tests ----
  const Groups& groups() const;
  const Gossip& gossip() const;
  const Blobs& blobs() const;
  const Scheduler& scheduler() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
