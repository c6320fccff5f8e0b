// Finds out which ways between this node and some peers are open: streams, datagrams there and
// back, and connections that the peer opens anew to this node's address, as it will have to once
// those that are open have broken. Firewalls let one of these through and not the other.
//
//   this -> peer: ReachPing, as datagram and over the stream     peer -> this: ReachPong, likewise
//   this -> peer: DialOrder                                      peer -> this: DialReport
//
// Who answers keeps no state. Datagrams are repeated, since the network may lose some.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "base/time.h"
#include "node/checkup.h"
#include "node/messages.h"

namespace dunlin {

constexpr std::size_t kMaxReachRounds = 16;
constexpr std::size_t kMaxReachPeers = 64;  // in one round
// A dial is given up after kDialCheckTimeout (os/dial_checks.h), and its report must come back.
constexpr Duration kReachPatience = milliseconds(4500);

class Reach {
 public:
  struct Ended {
    std::uint64_t round = 0;
    std::vector<PathReport> paths;  // one for each peer
  };

  // `first_round` should differ between lives of a node.
  explicit Reach(std::uint64_t first_round) : next_round_(first_round) {}

  // The number of the round, or 0 when too many are under way. No more than kMaxReachPeers.
  std::uint64_t begin(Instant now, const std::vector<NodeId>& peers, Effects& out);
  void on_pong(Instant now, WallTime wall, NodeId from, Channel channel, const ReachPong& pong);
  void on_dialled(NodeId from, const DialReport& report);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;
  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

 private:
  struct Peer {
    PathReport path;
    std::int64_t round_trip_us = 0;  // the least
  };
  struct Round {
    Instant deadline;
    Instant ask_at;
    std::map<NodeId, Peer> peers;
  };
  static void ask(Instant now, std::uint64_t number, Round& round, Effects& out);
  static bool is_complete(const Peer& peer);
  void end_if_complete(std::uint64_t number);
  Peer* find(std::uint64_t round, const NodeId& peer);

  std::uint64_t next_round_;
  std::map<std::uint64_t, Round> rounds_;
  std::vector<Ended> ended_;
};

struct NamedPath {
  std::string name;  // of the peer, with its address
  PathReport path;
};
// What is wrong with the ways to this node, a line each, for people; its own address is HOST:PORT.
std::vector<std::string> unreachable_lines(const std::string& address,
                                           const std::vector<NamedPath>& paths);

// The answer of whoever was asked.
ReachPong pong_of(const ReachPing& ping, Channel heard_on, WallTime wall);

}  // namespace dunlin
