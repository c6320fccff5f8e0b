// What surrounds the nodes of a simulated cluster, driven by one seed: virtual time, a network that
// loses, delays, doubles and reorders, links that are cut one way or both, disks that lose what
// was not durable.
//
// Mutations break one rule of this surrounding (never of the code under test), to prove that the
// checker concerned can fail.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/random.h"
#include "dht/describe.h"
#include "dht/groups.h"
#include "dht/messages.h"
#include "dht/raft_checkers.h"
#include "dht/records.h"
#include "dht/router.h"

namespace dunlin {

enum class Mutation {
  kNone,
  kSendBeforeDurable,  // promises leave, and completions come, before the disk has anything
  kForgetLives,        // a disk returns to what it was a life ago; peers' memory is ignored
  kForgetEntries,      // likewise the tail of the log is lost
  kForgeVotes,         // every vote is granted on the wire
  kForgeReadReplies,   // reads are confirmed by nobody, and leaders suspect nobody
  kCorruptEntries,     // payloads are altered on the wire
  kDropCommitNews,     // acknowledgements lose the commit index they confirm
  kForgeAcks,          // whatever a leader sends is acknowledged, though it may never arrive
};

struct ClusterOptions {
  std::uint64_t seed = 1;
  int nodes = 3;
  std::uint16_t groups = 3;
  double loss = 0;
  double duplicate = 0;
  Duration delay_least = microseconds(100);
  Duration delay_most = milliseconds(2);
  double slow = 0;  // share of messages delayed by up to 100 times as much
  Duration disk_least = microseconds(200);
  Duration disk_most = milliseconds(3);
  Duration checkpoint_every = milliseconds(700);
  Mutation mutation = Mutation::kNone;
  GroupsConfig groups_config = fast_config();
  bool trace = false;

  static GroupsConfig fast_config() {
    GroupsConfig config;
    config.stable_view = milliseconds(300);
    config.replace_after = seconds(6);
    config.move_interval = seconds(3);
    config.settle = seconds(1);
    config.rows_behind = 40;
    return config;
  }
};

class World {
 public:
  using Machine = RaftCheckers::Machine;

  explicit World(ClusterOptions options) : options_(options), random_(options.seed) {
    options_.groups_config.group_count = options_.groups;
    nodes_.resize(static_cast<std::size_t>(options_.nodes));
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      random_.fill(nodes_[i].id.raw);
      index_of_[nodes_[i].id] = i;
    }
  }
  virtual ~World() = default;

 protected:
  struct Batch {
    std::uint64_t row = 0;
    std::vector<Bytes> records;
    std::vector<Fact> facts;
    std::vector<Send> sends;
    std::vector<Ticket> tickets;
    std::uint64_t trim_below = 0;
    bool told = false;  // completions were given out already (a mutation)
  };
  struct Watch {
    Instant heard;
    bool suspected = false;
  };
  struct Disk {
    std::map<std::string, Bytes> facts;
    std::map<std::uint64_t, std::vector<Bytes>> rows;
    std::uint64_t trimmed_row = 0;
    std::map<GroupId, Machine> machines;
    std::map<GroupId, AppliedState> applied;
  };
  struct Node {
    NodeId id;
    std::unique_ptr<Groups> groups;
    std::unique_ptr<Router> router;
    Boot boot = 0;
    std::uint64_t life = 0;  // counts starts and crashes, for events that are too late
    bool is_founder = false;
    bool in_view = false;
    bool leaving = false;
    bool left = false;
    bool failed = false;
    bool disk_stalled = false;
    std::string fatal;
    std::optional<Instant> dead_since;
    // The disk.
    std::map<std::string, Bytes> facts;
    std::map<std::uint64_t, std::vector<Bytes>> rows;
    std::uint64_t trimmed_row = 0;
    std::map<GroupId, Machine> checkpoint_machines;
    std::map<GroupId, AppliedState> checkpoint_applied;
    Disk a_life_ago;  // for kForgetLives
    // Memory.
    std::uint64_t row = 0;  // of the last batch sealed
    std::deque<Batch> disk_queue;
    bool disk_busy = false;
    std::map<GroupId, Machine> machines;
    std::map<NodeId, Watch> watch;
    std::map<std::pair<GroupId, LogIndex>, std::pair<Term, Bytes>> proposed;
    std::map<std::pair<GroupId, LogIndex>, std::uint64_t> answers;  // to the router, when committed
    std::map<std::uint64_t, LogIndex> reads;
    Instant tick_at = Instant::never();
  };
  struct Event {
    Instant at;
    std::uint64_t sequence = 0;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return std::tie(at, sequence) > std::tie(other.at, other.sequence);
    }
  };

  // Events of a node are to be handled, and its next tick planned.
  virtual void after_input(std::size_t index) = 0;

  void schedule(Instant at, std::function<void()> action) {
    queue_.push({at, ++sequence_, std::move(action)});
  }
  void schedule(Instant at, std::size_t index, std::uint64_t life, std::function<void()> action) {
    schedule(at, [this, index, life, action = std::move(action)] {
      if (nodes_[index].life == life && nodes_[index].groups) action();
    });
  }
  void step() {
    Event event = queue_.top();
    queue_.pop();
    now_ = std::max(now_, event.at);
    event.action();
  }

  Effects effects(const Node& node) const {
    Effects out;
    out.row = node.row + 1;
    return out;
  }

  bool is_cut(std::size_t a, std::size_t b) const {
    return cuts_.contains({a, b}) || cuts_.contains({b, a});
  }

  // ---- effects ----------------------------------------------------------------------------------
  void perform(std::size_t index, Effects& out) {
    Node& node = nodes_[index];
    for (Send& send : out.sends) transmit(index, std::move(send));
    const bool has_batch = out.has_durable() || out.trim_below != 0;
    if (!has_batch && out.sends_when_durable.empty() && out.tickets.empty()) return;
    if (!has_batch && node.disk_queue.empty()) {
      finish(index, out.sends_when_durable, out.tickets);
      return;
    }
    Batch batch;
    if (has_batch) {
      batch.row = ++node.row;
      for (auto& [module, record] : out.records) batch.records.push_back(std::move(record));
      batch.facts = std::move(out.facts);
      batch.trim_below = out.trim_below;
      for (const Bytes& record : batch.records) checkers_.wrote(record);
    }
    batch.sends = std::move(out.sends_when_durable);
    batch.tickets = std::move(out.tickets);
    if (options_.mutation == Mutation::kSendBeforeDurable) {
      batch.told = true;
      const std::vector<Ticket> tickets = batch.tickets;
      for (Send& send : batch.sends) transmit(index, std::move(send));
      schedule(now_, index, node.life, [this, index, tickets] { complete(index, tickets); });
    }
    node.disk_queue.push_back(std::move(batch));
    next_disk(index);
  }

  void next_disk(std::size_t index) {
    Node& node = nodes_[index];
    if (node.disk_busy || node.disk_queue.empty() || node.disk_stalled) return;
    node.disk_busy = true;
    const std::uint64_t life = node.life;
    Duration time = random_.between(options_.disk_least, options_.disk_most);
    if (options_.mutation == Mutation::kSendBeforeDurable) time = time * 100;
    schedule(now_ + time, [this, index, life] {
      Node& disk_of = nodes_[index];
      disk_of.disk_busy = false;
      if (disk_of.life != life) {
        next_disk(index);
        return;
      }
      if (disk_of.disk_queue.empty()) return;
      Batch batch = std::move(disk_of.disk_queue.front());
      disk_of.disk_queue.pop_front();
      write(disk_of, batch);
      next_disk(index);
      if (!batch.told) finish(index, batch.sends, batch.tickets);
    });
  }

  void finish(std::size_t index, std::vector<Send>& sends, const std::vector<Ticket>& tickets) {
    for (Send& send : sends) transmit(index, std::move(send));
    complete(index, tickets);
  }

  void complete(std::size_t index, const std::vector<Ticket>& tickets) {
    for (const Ticket& ticket : tickets) {
      Node& node = nodes_[index];
      if (!node.groups) return;
      Effects out = effects(node);
      node.groups->on_durable(now_, ticket, out);
      perform(index, out);
      after_input(index);
    }
  }

  static void write(Node& node, const Batch& batch) {
    if (batch.row == 0) return;
    node.rows[batch.row] = batch.records;
    for (const Fact& fact : batch.facts) {
      if (fact.value) {
        node.facts[fact.key] = *fact.value;
      } else {
        node.facts.erase(fact.key);
      }
    }
    while (node.rows.size() > 1 && node.rows.begin()->first < batch.trim_below) {
      node.rows.erase(node.rows.begin());
    }
  }

  // What some mutations make a disk forget when its process dies.
  void forget(Node& node) {
    if (options_.mutation == Mutation::kForgetLives) {
      const bool had_one = !node.a_life_ago.rows.empty();
      if (had_one && random_.chance(0.7)) put_back(node, node.a_life_ago);
      node.a_life_ago = disk_of(node);
    }
    if (options_.mutation == Mutation::kForgetEntries) {
      const std::size_t lost = random_.below(6);
      for (std::size_t i = 0; i < lost && node.rows.size() > 2; ++i) {
        node.rows.erase(std::prev(node.rows.end()));
      }
    }
  }

  static Disk disk_of(const Node& node) {
    return {node.facts, node.rows, node.trimmed_row, node.checkpoint_machines,
            node.checkpoint_applied};
  }
  static void put_back(Node& node, const Disk& disk) {
    node.facts = disk.facts;
    node.rows = disk.rows;
    node.trimmed_row = disk.trimmed_row;
    node.checkpoint_machines = disk.machines;
    node.checkpoint_applied = disk.applied;
  }

  // ---- network ----------------------------------------------------------------------------------
  void transmit(std::size_t from, Send send) {
    const auto found = index_of_.find(send.to);
    if (found == index_of_.end()) return;
    const std::size_t to = found->second;
    if (send.frame[0] == static_cast<std::uint8_t>(Module::kGroups)) {
      ++group_frames_;
      note_frame(from, to, send.frame);
      forge_replies(from, to, send.frame);
      mutate(send.frame);
    }
    const int copies = random_.chance(options_.duplicate) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (random_.chance(options_.loss)) {
        if (nodes_[to].groups) ++took_effect_["loss"];
        continue;
      }
      Duration delay = random_.between(options_.delay_least, options_.delay_most);
      if (random_.chance(options_.slow)) delay = delay * random_.between(1, 100);
      schedule(now_ + delay, [this, from, to, delay, is_second = i > 0, frame = send.frame] {
        Node& node = nodes_[to];
        if (!node.groups) return;
        if (cuts_.contains({from, to})) {
          ++took_effect_["cut link"];
          return;
        }
        if (is_second) ++took_effect_["doubling"];
        if (delay > options_.delay_most) ++took_effect_["delay"];
        Effects out = effects(node);
        if (frame[0] == static_cast<std::uint8_t>(Module::kRouter)) {
          node.router->receive(now_, nodes_[from].id, frame, out);
        } else {
          node.groups->receive(now_, nodes_[from].id, frame, out);
        }
        perform(to, out);
        after_input(to);
      });
    }
  }

  // What frames prove without looking into nodes.
  void note_frame(std::size_t from, std::size_t to, const Bytes& frame) {
    const Result<Envelope> envelope = decode<Envelope>(ByteView(frame).subspan(1));
    if (!envelope) {
      checkers_.violate("a frame does not decode");
      return;
    }
    if (some_frames_.size() < 200) some_frames_.push_back(frame);
    for (const GroupMessage& message : envelope->messages) {
      checkers_.saw(from, message);
      snapshot_pieces_ += std::holds_alternative<SnapshotChunk>(message.body) ? 1U : 0U;
      promises_made_ += std::holds_alternative<AppendReply>(message.body) ||
                                std::holds_alternative<VoteReply>(message.body)
                            ? 1U
                            : 0U;
      if (options_.trace) note(from, "-> " + std::to_string(to) + " " + describe(message));
    }
  }

  // Says "you lead still", or "I have it", in the name of a node that was never asked.
  void forge_replies(std::size_t from, std::size_t to, const Bytes& frame) {
    const bool reads = options_.mutation == Mutation::kForgeReadReplies;
    if (!reads && options_.mutation != Mutation::kForgeAcks) return;
    const Result<Envelope> asked = decode<Envelope>(ByteView(frame).subspan(1));
    Envelope forged{nodes_[to].boot, 0, {}, {}};
    for (const GroupMessage& message : asked->messages) {
      const auto* probe = std::get_if<ReadProbe>(&message.body);
      const auto* append = std::get_if<Append>(&message.body);
      if (reads && probe != nullptr) {
        forged.messages.push_back(
            {message.group, message.from, message.to, message.term, ReadReply{probe->sequence}});
      } else if (!reads && append != nullptr && !append->entries.empty()) {
        const AppendReply has{true, append->previous + append->entries.size(), append->commit, 0,
                              0};
        forged.messages.push_back({message.group, message.from, message.to, message.term, has});
      }
    }
    if (forged.messages.empty()) return;
    Bytes answer{frame[0]};
    append(answer, encode(forged));
    schedule(now_, from, nodes_[from].life, [this, from, to, answer] {
      Effects out = effects(nodes_[from]);
      nodes_[from].groups->receive(now_, nodes_[to].id, answer, out);
      perform(from, out);
      after_input(from);
    });
  }

  void mutate(Bytes& frame) {
    const Mutation mutation = options_.mutation;
    if (mutation == Mutation::kNone) return;
    Result<Envelope> envelope = decode<Envelope>(ByteView(frame).subspan(1));
    if (!envelope) return;
    for (NodeNote& note : envelope->notes) {
      // Nobody remembers: the second line of defence would hide what the first one lets through.
      if (auto* reply = std::get_if<PromiseReply>(&note)) {
        for (GroupPromise& promise : reply->groups) {
          promise.generation = promise.term = promise.acknowledged_in = promise.acknowledged = 0;
        }
        reply->row = 0;
      }
    }
    for (GroupMessage& message : envelope->messages) mutate(message);
    Bytes changed{frame[0]};
    append(changed, encode(*envelope));
    frame = std::move(changed);
  }

  void mutate(GroupMessage& message) {
    if (auto* vote = std::get_if<VoteReply>(&message.body)) {
      if (options_.mutation == Mutation::kForgeVotes && !vote->granted) {
        vote->granted = true;
        if (vote->pre) ++message.term;
      }
    } else if (auto* reply = std::get_if<AppendReply>(&message.body)) {
      if (options_.mutation == Mutation::kDropCommitNews) reply->commit = 0;
    } else if (auto* append = std::get_if<Append>(&message.body)) {
      if (options_.mutation != Mutation::kCorruptEntries) return;
      for (Entry& entry : append->entries) {
        if (entry.kind == EntryKind::kPayload && random_.chance(0.01)) entry.payload[0] ^= 1;
      }
    }
  }

  void note(std::size_t index, const std::string& text) {
    if (!options_.trace) return;
    trace_ << now_.us / 1000 << "." << (now_.us / 100) % 10 << " n" << index << " " << text << "\n";
  }

  ClusterOptions options_;
  Random random_;
  Instant now_{1'000'000};
  std::priority_queue<Event> queue_;
  std::uint64_t sequence_ = 0;
  std::vector<Node> nodes_;
  std::map<NodeId, std::size_t> index_of_;
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  RaftCheckers checkers_;
  std::uint64_t group_frames_ = 0;
  std::uint64_t snapshot_pieces_ = 0;
  std::map<std::string, std::uint64_t> took_effect_;
  std::uint64_t promises_made_ = 0;
  std::vector<Bytes> some_frames_;
  std::ostringstream trace_;
};

}  // namespace dunlin
