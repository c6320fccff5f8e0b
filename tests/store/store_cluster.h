// A cluster of blob stores in one process and virtual time: one queue ordered by (time, number),
// one seed. Messages are lost, doubled and delayed; disks lose what was not synced when a host
// crashes, tear the last write, and flip bits. The checkers stand outside the nodes and look at
// the disks: what a node says about itself proves nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/random.h"
#include "store/messages.h"
#include "store/pack.h"
#include "store/store.h"

namespace dunlin {

struct Weather {
  double loss = 0;
  double doubling = 0;
  Duration shortest = microseconds(100);
  Duration longest = milliseconds(2);
  Duration longest_sync = milliseconds(5);
  std::set<std::size_t> mute;  // kinds of messages that never arrive
  // Break the harness, to show that the checkers see it.
  bool answers_leave_before_they_are_durable = false;
  bool contents_are_spoilt_on_the_way_out = false;
  bool disks_forget_pins = false;
};

// The index of a message's type, which is the third byte of its frame.
template <class Message>
constexpr std::size_t kind_of() {
  return store::Message(Message{}).index();
}

struct Batch {
  std::vector<Fact> facts;
  std::vector<FileWrite> writes;
  std::vector<Send> sends;
  std::vector<Ticket> tickets;
};

std::string pin_key(const BlobId& id, Pin pin);

struct Disk {
  std::map<std::string, Bytes> facts;
  std::map<std::string, Bytes> files;

  // The first `length` bytes of it.
  void write(const FileWrite& write, std::size_t length);
  void apply(const Batch& batch);
  Result<Bytes> read(const FileExtent& extent) const;
  // Where the index on disk says that the blob lies.
  std::optional<FileExtent> find(const BlobId& id) const;
  bool has_sound(const BlobId& id) const;
  bool has_pin(const BlobId& id, Pin pin) const { return facts.contains(pin_key(id, pin)); }
};

struct Acknowledged {
  BlobRef blob;
  Pin pin;
  std::vector<NodeId> holders;
  Instant at;
};

class StoreCluster {
 public:
  struct Host {
    NodeId id;
    std::string zone;
    std::unique_ptr<Blobs> blobs;
    std::uint64_t life = 0;  // counts crashes: what was under way for an earlier one is void
    bool up = false;
    Disk disk;
    std::set<std::string> once_durable;  // keys of facts
    std::set<BlobId> rotten;             // copies spoilt on purpose
    bool disk_destroyed = false;
    std::deque<Batch> unsynced;
    Instant disk_free_at;
    StoreMemberState state = StoreMemberState::kAlive;  // as the others see it
    std::uint64_t reads = 0;
    std::vector<BlobEvent> events;
  };

  StoreCluster(std::uint64_t seed, std::size_t count, StoreConfig config = {});

  // ---- acts -----------------------------------------------------------------------------------

  Weather weather;
  // Sees every message that sets out.
  std::function<void(std::size_t from, std::size_t to, const Bytes& frame)> tap;

  std::size_t add_host(std::string zone = {});
  // Power goes: what was not synced is lost, and the oldest unsynced write may be torn.
  void crash(std::size_t i);
  // The host is gone for ever, with all that it had.
  void destroy(std::size_t i);
  void restart(std::size_t i);
  // The others agree about a host's state. Views change one host after another.
  void declare(std::size_t i, StoreMemberState state);
  void suspect(std::size_t by, std::size_t whom, bool yes = true);
  // Nothing passes between the two sides.
  void partition(std::set<std::size_t> side) { side_ = std::move(side); }
  void heal() { side_.clear(); }

  void set_disk(std::size_t i, std::uint64_t total, std::uint64_t free) {
    hosts_[i].blobs->set_disk(total, free);
  }
  // True when there was a copy to spoil.
  bool flip_bit(std::size_t i, const BlobId& id);

  std::uint64_t put(std::size_t i, Bytes data, Pin pin);
  std::uint64_t fetch(std::size_t i, const BlobId& id, std::vector<NodeId> hint = {});
  std::uint64_t localize(std::size_t i, const BlobId& id, std::vector<NodeId> hint = {});
  void with(std::size_t i, const std::function<void(Blobs&, Effects&)>& input);

  // ---- time -----------------------------------------------------------------------------------

  void run_for(Duration length);
  // False when the condition did not come true in that time.
  bool run_until(const std::function<bool()>& condition, Duration limit = seconds(120));

  // ---- what happened --------------------------------------------------------------------------

  Instant now() const { return now_; }
  Host& host(std::size_t i) { return hosts_[i]; }
  std::size_t size() const { return hosts_.size(); }
  Random& random() { return random_; }
  // Faults by kind, counted when they did something: to a message its receiver was up for, to a
  // read, to a put.
  const std::map<std::string, std::uint64_t>& took_effect() const { return took_effect_; }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t trace() const { return trace_; }
  const std::vector<Acknowledged>& acknowledged() const { return acknowledged_; }
  // Promises found broken; empty in a correct cluster.
  const std::vector<std::string>& broken() const { return broken_; }
  // Counts messages by the index of their kind in store::Message.
  std::uint64_t messages_of(std::size_t kind) const;

  template <class Event>
  const Event* event(std::size_t i, std::uint64_t token) const {
    for (const BlobEvent& event : hosts_[i].events) {
      const auto* held = std::get_if<Event>(&event);
      if (held != nullptr && held->token == token) return held;
    }
    return nullptr;
  }
  bool ended(std::size_t i, std::uint64_t token) const;
  std::size_t sound_copies(const BlobId& id, bool only_up = true) const;
  std::size_t index_of(const NodeId& id) const;

  // Q5, second half: whatever was acknowledged and has a sound copy on a living host can be read
  // from every host that is up. Returns what cannot.
  std::vector<std::string> unreadable();
  // Blobs with fewer sound copies on living hosts than R, or than there are living hosts.
  std::size_t under_replicated() const;
  // Q6, where nothing was released: what once was durable stays on its disk.
  std::size_t deleted() const;

 private:
  void start(std::size_t i);
  void tell_members();
  void at(Instant when, std::size_t i, std::function<void()> what) {
    queue_[{when, next_number_++}] = {i, hosts_[i].life, std::move(what)};
  }

  // The next thing that happens, if it does before `end`.
  bool step(Instant end);
  void perform(std::size_t i, Effects out);
  void synced(std::size_t i);
  void transmit(std::size_t from, Send send);
  void note_rot(std::size_t i, const FileExtent& extent);
  // The first half of Q5, and that content is what its name says, at the moment it is said.
  void observe(std::size_t i, BlobEvent event);
  // Was what this host said true when it left the host? A disk may die or rot on the way.
  static bool had_it(const Host& host, const BlobId& id, Pin pin);
  void check_stored(const BlobStored& stored);

  struct Happening {
    std::size_t host = 0;
    std::uint64_t life = 0;
    std::function<void()> what;
  };

  const StoreConfig config_;
  Random random_;
  Instant now_{1'000'000};
  std::vector<Host> hosts_;
  std::map<std::pair<Instant, std::uint64_t>, Happening> queue_;
  std::uint64_t next_number_ = 0;
  std::uint64_t next_token_ = 1;
  std::set<std::size_t> side_;
  std::map<std::uint64_t, Pin> puts_;
  std::vector<Acknowledged> acknowledged_;
  std::vector<std::string> broken_;
  std::map<std::size_t, std::uint64_t> kinds_;
  std::map<std::string, std::uint64_t> took_effect_;
  std::uint64_t messages_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t trace_ = 0;
  std::uint64_t ticks_at_once_ = 0;
};

Bytes noise(std::size_t size, std::uint64_t seed);

}  // namespace dunlin
