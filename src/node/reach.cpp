#include "node/reach.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr Duration kPingAgain = milliseconds(400);

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string port_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return colon == std::string::npos ? address : address.substr(colon + 1);
}

}  // namespace

std::vector<std::string> unreachable_lines(const std::string& address,
                                           const std::vector<NamedPath>& paths) {
  std::vector<std::string> no_tcp, no_udp, deaf;
  std::string trouble;
  for (const auto& [name, path] : paths) {
    if (!path.answers) continue;
    if (path.dial == DialResult::kFailed) {
      no_tcp.push_back(name);
      trouble = path.trouble;
    }
    if (!path.udp_from && path.udp_to) no_udp.push_back(name);
    if (!path.udp_to) deaf.push_back(name);
  }
  std::vector<std::string> lines;
  if (!no_tcp.empty()) {
    lines.push_back("others cannot reach this node by TCP at " + address + " (" + list_of(no_tcp) +
                    ": " + trouble + "); open TCP port " + port_of(address) +
                    " to them, or name the right address with --advertise HOST:PORT");
  }
  if (!no_udp.empty()) {
    lines.push_back("others cannot reach this node by UDP at " + address + " (no datagram of " +
                    list_of(no_udp) + " arrives); open UDP port " + port_of(address) +
                    " to them, or name the right address with --advertise HOST:PORT");
  }
  if (!deaf.empty()) {
    lines.push_back("this node, " + address + ", cannot exchange datagrams with " + list_of(deaf) +
                    "; open UDP between them and this host, port " + port_of(address) +
                    " here and theirs there");
  }
  return lines;
}

ReachPong pong_of(const ReachPing& ping, Channel heard_on, WallTime wall) {
  return {ping.round, ping.sent, heard_on, wall};
}

std::uint64_t Reach::begin(Instant now, const std::vector<NodeId>& peers, Effects& out) {
  ASSERT(peers.size() <= kMaxReachPeers);
  if (rounds_.size() >= kMaxReachRounds) return 0;
  const std::uint64_t number = next_round_++;
  Round& round = rounds_[number];
  round.deadline = now + kReachPatience;
  for (const NodeId& peer : peers) round.peers[peer].path.peer = peer;
  ask(now, number, round, out);
  end_if_complete(number);
  return number;
}

// What is not known yet is asked for.
void Reach::ask(Instant now, std::uint64_t number, Round& round, Effects& out) {
  round.ask_at = now + kPingAgain;
  const Bytes ping = node_frame(ReachPing{number, now.us});
  for (const auto& [id, peer] : round.peers) {
    const PathReport& path = peer.path;
    if (!path.udp_to || !path.udp_from) {
      out.send(id, Channel::kDatagram, ping);
      out.send(id, Channel::kStream, ping);
    }
    if (path.dial == DialResult::kUnknown) {
      out.send(id, Channel::kStream, node_frame(DialOrder{number}));
    }
  }
}

Reach::Peer* Reach::find(std::uint64_t round, const NodeId& peer) {
  const auto found = rounds_.find(round);
  if (found == rounds_.end()) return nullptr;
  const auto at = found->second.peers.find(peer);
  return at == found->second.peers.end() ? nullptr : &at->second;
}

void Reach::on_pong(Instant now, WallTime wall, NodeId from, Channel channel,
                    const ReachPong& pong) {
  Peer* peer = find(pong.round, from);
  if (peer == nullptr) return;
  PathReport& path = peer->path;
  if (channel == Channel::kStream) path.answers = true;
  if (channel == Channel::kDatagram) path.udp_from = true;
  if (pong.heard_on == Channel::kDatagram) path.udp_to = true;
  const std::int64_t round_trip = std::max<std::int64_t>(now.us - pong.sent, 0);
  if (peer->round_trip_us == 0 || round_trip < peer->round_trip_us) {
    peer->round_trip_us = std::max<std::int64_t>(round_trip, 1);
    path.clock_ahead_ms = pong.wall.ms - (wall.ms - round_trip / 2000);
  }
  end_if_complete(pong.round);
}

void Reach::on_dialled(NodeId from, const DialReport& report) {
  Peer* peer = find(report.round, from);
  if (peer == nullptr) return;
  peer->path.dial = report.reached ? DialResult::kReached : DialResult::kFailed;
  peer->path.trouble = report.trouble;
  end_if_complete(report.round);
}

bool Reach::is_complete(const Peer& peer) {
  const PathReport& path = peer.path;
  return path.answers && path.udp_to && path.udp_from && path.dial != DialResult::kUnknown;
}

void Reach::end_if_complete(std::uint64_t number) {
  const auto round = rounds_.find(number);
  const bool is_over = std::all_of(round->second.peers.begin(), round->second.peers.end(),
                                   [](const auto& peer) { return is_complete(peer.second); });
  if (is_over) round->second.deadline = {};
}

void Reach::tick(Instant now, Effects& out) {
  for (auto at = rounds_.begin(); at != rounds_.end();) {
    Round& round = at->second;
    if (now < round.deadline) {
      if (round.ask_at <= now) ask(now, at->first, round, out);
      ++at;
      continue;
    }
    Ended& ended = ended_.emplace_back();
    ended.round = at->first;
    for (auto& [id, peer] : round.peers) ended.paths.push_back(std::move(peer.path));
    at = rounds_.erase(at);
  }
}

Instant Reach::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, round] : rounds_) next = std::min({next, round.deadline, round.ask_at});
  return next;
}

}  // namespace dunlin
