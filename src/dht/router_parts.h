// The inside of Router: what this node asks of others, and what others asked of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dht/groups_parts.h"
#include "dht/router.h"
#include "dht/router_messages.h"

namespace dunlin {

struct Router::Parts {
  // Of this node, on its way to a leader.
  struct Asked {
    std::uint64_t id = 0;
    std::uint64_t token = 0;
    GroupId group;
    Bytes body;
    Instant deadline;
    std::optional<NodeId> target;  // asked last; none: waiting to try again
    Boot target_boot = 0;
    bool taken = false;
    std::uint32_t unanswered = 0;  // times the target was asked in vain
    std::uint32_t redirects = 0;   // followed since the last pause
    Duration pause;
    std::set<NodeId> tried;  // since the last pause
    NodeId denied;           // by the last of them
    Term hint_term = 0;
    NodeId hint;
    std::set<NodeId> voters;  // as others told
    Instant due;
  };
  // Of another node (or this one), being handled here.
  struct Served {
    NodeId from;
    Boot boot = 0;
    std::uint64_t id = 0;
    GroupId group;
    Term term = 0;  // in which this node leads
    Instant deadline;
    bool told = false;  // the asker knows that it was taken
    Instant due;
  };
  using Source = std::tuple<NodeId, Boot, std::uint64_t>;

  Parts(NodeId own_id, Groups& own_groups, Random own_random)
      : self(own_id), groups(own_groups), random(own_random), next_id(random.next() >> 1) {}

  // Messages to this node itself are handled in the same call.
  void send(const NodeId& to, RouterMessage message, Effects& out);
  void receive(Instant now, const NodeId& from, RouterMessage message, Effects& out);
  void run_inbox(Instant now, Effects& out);

  // router_asked.cpp
  void ask(Instant now, Asked& asked, Effects& out);
  std::optional<NodeId> pick(const Asked& asked) const;
  std::vector<NodeId> candidates(const Asked& asked) const;
  void pause(Instant now, Asked& asked);
  void set_due(Asked& asked, Instant at);
  void tick_asked(Instant now, Asked& asked, Effects& out);
  void leaders_changed(Instant now, Effects& out);
  void time_out(const Asked& asked, Effects& out);
  void finish(std::uint64_t id, Result<Bytes> result);
  Asked* asked_of(const NodeId& from, std::uint64_t id);
  void accept(Instant now, const NodeId& from, RouterTaken& message, Effects& out);
  void accept(Instant now, const NodeId& from, RouterAnswer& message, Effects& out);
  void accept(Instant now, const NodeId& from, RouterRefusal& message, Effects& out);
  void accept(Instant now, const NodeId& from, RouterElsewhere& message, Effects& out);

  // router_served.cpp
  void accept(Instant now, const NodeId& from, RouterAsk& message, Effects& out);
  void accept(Instant now, const NodeId& from, RouterForget& message, Effects& out);
  void send_elsewhere(const NodeId& to, std::uint64_t id, GroupId group, Effects& out);
  void tick_served(Instant now, std::uint64_t handle, Effects& out);
  void drop_served(std::uint64_t handle);

  const NodeId self;
  Groups& groups;
  Random random;

  // Ids begin anywhere: an answer to a former life must not meet a request of this one.
  std::uint64_t next_id;
  std::map<std::uint64_t, Asked> asked;             // by id
  std::map<std::uint64_t, std::uint64_t> by_token;  // to id
  std::set<std::pair<Instant, std::uint64_t>> asked_due;

  std::map<std::uint64_t, Served> served;  // by handle
  std::map<Source, std::uint64_t> by_source;
  std::set<std::pair<Instant, std::uint64_t>> served_due;
  std::uint64_t next_handle = 0;

  std::uint64_t seen_version = 0;  // of the routes in `groups`
  std::vector<RouterMessage> inbox;
  std::vector<RouterEvent> events;
};

}  // namespace dunlin
