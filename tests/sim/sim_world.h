// A whole simulated cluster: hosts, the links between them, one queue of events, and the checkers
// that look on from outside. Everything follows from the seed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/checkers/copies.h"
#include "sim/checkers/executors.h"
#include "sim/checkers/leaders.h"
#include "sim/checkers/promises.h"
#include "sim/checkers/replicas.h"
#include "sim/event_queue.h"
#include "sim/fault_counts.h"
#include "sim/sim_host.h"
#include "sim/sim_network.h"
#include "sim/trace.h"
#include "sim/verdict.h"

namespace dunlin::sim {

struct WorldOptions {
  std::uint64_t seed = 1;
  std::uint16_t groups = 8;
  std::uint32_t cpus = 4;
  NodeConfig node = brisk_config();
  Duration disk_least = microseconds(150);
  Duration disk_most = milliseconds(3);

  // The product's protocol times; what takes minutes by design is shortened to seconds.
  static NodeConfig brisk_config();
};

class SimWorld {
 public:
  explicit SimWorld(const WorldOptions& options);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  EventQueue& queue() { return queue_; }
  SimNetwork& network() { return network_; }
  FaultCounts& faults() { return faults_; }
  Trace& trace() { return trace_; }
  Verdict& verdict() { return verdict_; }
  const PromiseChecker& promises() const { return promises_; }
  const WorldOptions& options() const { return options_; }
  Random fork_random() { return random_.fork(); }

  // ---- hosts ------------------------------------------------------------------------------------
  SimHost& add_host();
  SimHost& host(HostIndex index) { return *hosts_[index]; }
  const SimHost& host(HostIndex index) const { return *hosts_[index]; }
  std::size_t host_count() const { return hosts_.size(); }
  static std::string address_of(HostIndex index);
  std::optional<HostIndex> host_at(const std::string& address) const;
  // Founds a cluster on the first of so many new hosts and lets the others join it. False: they
  // did not all see each other within `most`.
  bool form(std::size_t hosts, Duration most = seconds(60));
  // The token of form(), valid for any number of joins.
  const JoinToken& token() const { return *token_; }

  // ---- time -------------------------------------------------------------------------------------
  bool run_until(const std::function<bool()>& condition, Duration most);
  void run_for(Duration time);

  // ---- what clients do --------------------------------------------------------------------------
  // Asks one node and runs until its last answer is there.
  Result<client::Answer> call(HostIndex host, client::Request request, Duration most = seconds(60));

  // ---- what is to be seen -----------------------------------------------------------------------
  // Frames of a module that arrived so far.
  std::uint64_t frames(Module module) const { return frames_[static_cast<std::size_t>(module)]; }
  // Frames of a module that left for another host so far, whether or not that lives.
  std::uint64_t frames_sent(Module module) const { return sent_[static_cast<std::size_t>(module)]; }
  // All hosts named see exactly each other as alive.
  bool see_each_other(const std::vector<HostIndex>& hosts) const;
  // The latest term that somebody leads in now, and what he has installed; nothing: nobody leads.
  struct Leadership {
    Term term = 0;
    GroupConfig config;
  };
  std::optional<Leadership> latest_leader(GroupId group) const;
  // The node of that identity which runs; nothing when none does.
  std::optional<HostIndex> host_of(const NodeId& id) const;
  // What these hosts promised to keep for ever must be on their disks; for the end.
  void check_disks(const std::vector<HostIndex>& hosts);
  // Somebody asks to have this node forgotten: its disk counts for nothing from here on.
  void give_up(const NodeId& id) { given_up_.insert(id); }
  bool is_given_up(const NodeId& id) const { return given_up_.contains(id); }
  // A client was told that it is forgotten.
  void note_forgotten(const NodeId& id) { forgotten_.insert(id); }
  const std::set<NodeId>& forgotten() const { return forgotten_; }
  void collect_disk_counts();
  // What became of the attempts at a task (JOB.NUMBER) on all hosts. Who is declared dead counts as
  // lost with what was started there.
  SimRunner::Ends ends(const std::string& task) const;

  // ---- for the hosts ----------------------------------------------------------------------------
  void after_turn(SimHost& host);
  // Its timer rang, nothing else.
  void after_tick(SimHost& host);
  void after_end(SimHost& host);
  void on_start(SimHost& host, const Recovered& recovered);
  void on_send(SimHost& host, const Send& message);
  void on_delivered(HostIndex from, HostIndex to, ByteView frame);
  // A frame of the node to itself.
  void on_own_send(SimHost& host, ByteView frame);
  // The node takes a frame, perhaps one of its own.
  void on_received(SimHost& host, const NodeId& from, ByteView frame);
  void on_reply(SimHost& host, const client::Reply& reply);
  void on_process(SimHost& host, const StartProcess& start);
  void send_newer_self(HostIndex from, const SimHost::Sender& to, Boot boot);
  void send_shut_out(HostIndex from, const SimHost::Sender& to);
  void send_join_reply(HostIndex from, HostIndex joiner, std::uint64_t attempt, Bytes reply);
  void tell_resets(HostIndex dead, const NodeId& id);
  Duration disk_time(bool lying, Random& random) const;
  void keep_disk_counts(const SimDisk& disk);
  // Sees each frame that arrives.
  std::function<void(HostIndex from, HostIndex to, ByteView frame)> on_frame;
  // Sees each frame that leaves for another host.
  std::function<void(HostIndex from, const NodeId& to, ByteView frame)> on_sent;
  // Called with each end of a process.
  std::function<void(SimHost&)> on_end;

 private:
  void sample();
  std::string difference(const Node& node, const NodeId& other, GroupId group) const;
  std::string overdue(const SimHost& host) const;

  const WorldOptions options_;
  Random random_;
  EventQueue queue_;
  FaultCounts faults_;
  Trace trace_;
  Verdict verdict_;
  SimNetwork network_;
  LeaderChecker leaders_;
  ReplicaChecker replicas_;
  PromiseChecker promises_;
  CopyChecker copies_;
  ExecutorChecker executors_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::optional<JoinToken> token_;
  std::array<std::uint64_t, 8> frames_{};
  std::array<std::uint64_t, 8> sent_{};
  std::map<std::pair<HostIndex, GroupId>, LogIndex> sampled_;
  std::set<NodeId> declared_dead_;  // by somebody, at some time
  std::set<NodeId> given_up_, forgotten_;
  std::set<HostIndex> heard_copies_;  // of directories, of which some frame was taken
  struct Ticks {
    std::int64_t second = 0;
    std::uint64_t count = 0;
  };
  std::map<HostIndex, Ticks> ticks_;
};

}  // namespace dunlin::sim
