// One simulated host: a disk, a runner, and, while it lives, the node process: a real Node, whose
// Output this performs as src/os/node_host does. What src/os does at a birth and in a handshake is
// done here in the same order: journal judged, boot durable, then the node; a frame is taken from
// a peer only under the identity, cluster and life that a handshake would have proved.
//
// Faults of a host are orders to it (kill, crash, pause, ...); chance belongs to who orders them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/token.h"
#include "node/node.h"
#include "sim/sim_disk.h"
#include "sim/sim_network.h"
#include "sim/sim_runner.h"

namespace dunlin::sim {

class SimWorld;

class SimHost {
 public:
  enum class Phase : std::uint8_t {
    kDown,      // no process
    kStarting,  // its first row is on the way to the disk
    kJoining,   // asks to be admitted
    kUp,
  };
  // Why the last process ended, or refused to begin.
  enum class End : std::uint8_t {
    kNone,
    kKilled,
    kStopped,  // by its own will, in order
    kLeft,     // it handed everything over and went for good
    kFatal,    // it stopped itself: it may have forgotten a promise, or met its twin
    kRotten,   // the journal refused the disk
    kIoError,
  };
  using OnReply = std::function<void(Result<client::Answer>, bool last)>;

  SimHost(SimWorld& world, HostIndex index, Random random);
  SimHost(const SimHost&) = delete;
  SimHost& operator=(const SimHost&) = delete;

  // ---- the node process -----------------------------------------------------------------------
  void found();
  void join(const JoinToken& token);
  // `dunlin up` on a used directory.
  void resume();
  // An empty directory again; the process must be down.
  void wipe();
  // The process alone dies; tasks go on. Its peers hear a reset, or (`silent`) nothing.
  void kill(const Crash& crash, bool silent);
  // The host dies: tasks, and what was not durable but for what `crash` keeps.
  void crash(const Crash& crash);
  void pause();
  void proceed();

  // ---- what it is -----------------------------------------------------------------------------
  HostIndex index() const { return index_; }
  const std::string& name() const { return name_; }
  Phase phase() const { return phase_; }
  // By a client of its own, in this life.
  bool was_told_to_leave() const { return leaving_; }
  bool is_up() const { return node_ != nullptr; }
  End last_end() const { return last_end_; }
  const std::string& last_words() const { return last_words_; }
  const Node* node() const { return node_.get(); }
  // Of the node that runs here, or ran here last; none on an empty directory.
  const NodeId& id() const { return id_; }
  Boot boot() const { return boot_; }
  // Tells all lives of all processes apart.
  std::uint64_t life_number() const { return life_ * 1000 + index_; }
  // Nobody tampered with the disk since it was empty.
  bool is_honest() const { return honest_; }
  // Something was done to it. `how` takes effect, if at all, when the next process opens it.
  void set_tampered(std::optional<Fault> how) {
    honest_ = false;
    tampered_ = how;
  }
  // A copy of another host's directory: never counted among the members.
  bool is_banished() const { return banished_; }
  void banish() { banished_ = true; }
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  SimRunner& runner() { return runner_; }
  const SimRunner& runner() const { return runner_; }
  // Questions that wait for their last answer: since when the oldest has; nothing: none does.
  std::optional<Instant> oldest_question() const;
  Instant now() const;
  WallTime wall() const;

  // ---- clients and network ----------------------------------------------------------------------
  // Answered at least once: by the node, or kUnreachable when its process is not there (any more).
  void ask(client::Request request, OnReply on_reply);
  // Something from the network or the disk for the node process; held while it is paused.
  void input(std::function<void(Node&)> what);
  struct Sender {
    HostIndex host = 0;
    NodeId id;
    Boot boot = 0;
    ClusterId cluster;
  };
  // These answer whether it is taken, or, being lost, would be.
  bool on_frame(SimNetwork::Fate fate, const Sender& sender, const NodeId& to, Channel channel,
                const Bytes& frame);
  // A peer knows a later life of this identity: the handshake said so.
  bool on_newer_self(SimNetwork::Fate fate, const NodeId& id, Boot boot);
  // A peer knows that this identity is retired: the handshake said so.
  bool on_shut_out(SimNetwork::Fate fate, const NodeId& id);
  bool on_join_question(SimNetwork::Fate fate, HostIndex joiner, std::uint64_t attempt,
                        const JoinToken& token, const PublicKey& key, const Bytes& request);
  bool on_join_reply(SimNetwork::Fate fate, std::uint64_t attempt, const Bytes& reply);

  // Mutations for the tests of the checkers: a disk that says "durable" before it is; a node whose
  // answers do not reach its clients.
  void set_lying_disk(bool lying) { lying_disk_ = lying; }
  void set_mute(bool mute) { mute_ = mute; }

 private:
  struct Birth {
    Journal journal;
    Recovered recovered;
    NodeStart start;
  };
  struct Joining {
    JoinToken token;
    Key32 seed{};
    Membership membership;
    std::uint64_t attempt = 0;
    std::size_t next_server = 0;
  };

  bool open(Journal& journal, Recovered& recovered);
  void refuse(End end, const std::string& words);
  void count_tampering(bool refused);
  void bear(Journal journal, Recovered recovered, NodeStart start, Effects& first);
  void begin();
  NodeConfig config() const;
  void ask_to_join();
  void take_welcome(const AdmissionReply& reply);

  void perform(Output output);
  void perform_processes(const Output& output);
  void send(Send& send);
  void arm_timer();
  void deliver_local();
  void end_process(End end, const std::string& words, const Crash& crash, bool silent);
  void reply_later(const OnReply& on_reply, Result<client::Answer> answer, bool last);
  void chores();

  void wake_disk();
  void disk_event();
  void submit(DiskBatch batch);

  SimWorld& world_;
  const HostIndex index_;
  const std::string name_;
  Random random_;
  Duration clock_offset_;
  std::int64_t wall_offset_ms_ = 0;

  SimDisk disk_;
  bool disk_scheduled_ = false;
  bool lying_disk_ = false;
  bool mute_ = false;
  bool stalled_ = false;
  bool honest_ = true;
  std::optional<Fault> tampered_;  // since the last process opened the disk
  bool banished_ = false;
  SimRunner runner_;

  Phase phase_ = Phase::kDown;
  End last_end_ = End::kNone;
  std::string last_words_;
  std::uint64_t life_ = 0;  // of the process: events of an earlier one find nothing
  NodeId id_;
  Boot boot_ = 0;
  std::optional<Birth> birth_;
  std::optional<Joining> joining_;
  std::uint64_t next_attempt_ = 1;
  std::unique_ptr<Node> node_;
  bool leaving_ = false;

  Instant armed_ = Instant::never();  // by the queue's clock
  std::vector<Bytes> local_;
  std::map<NodeId, HostIndex> places_;  // where peers are
  std::map<NodeId, Boot> boots_;        // the latest life known of each
  std::map<NodeId, Boot> met_;          // the life last heard from directly
  bool paused_ = false;
  bool kept_waiting_ = false;  // a frame, by this pause
  std::vector<std::function<void(Node&)>> backlog_;
  client::RequestId next_request_ = 1;
  struct Client {
    OnReply on_reply;
    Instant asked;
  };
  std::map<client::RequestId, Client> clients_;
  JoinId next_join_ = 1;
  std::map<JoinId, std::pair<HostIndex, std::uint64_t>> joiners_;
};

}  // namespace dunlin::sim
