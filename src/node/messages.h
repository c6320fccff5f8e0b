// What nodes say to each other outside gossip, groups, blobs and jobs: copies of the cluster
// record, each node's share of the cluster's status, orders to leave, what they find out about the
// ways between them. Also how frames and log entries of this module are told from others'.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/codec.h"
#include "base/effects.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "gossip/member.h"
#include "node/checkup.h"
#include "sched/requests.h"

namespace dunlin {

struct RecordQuery {
  std::uint64_t version = 0;  // what the asker has
  static constexpr auto fields() { return Fields<&RecordQuery::version>{}; }
};
struct RecordCopyMessage {
  Bytes copy;
  static constexpr auto fields() { return Fields<&RecordCopyMessage::copy>{}; }
};

struct StatusQuery {
  std::uint64_t query = 0;
  static constexpr auto fields() { return Fields<&StatusQuery::query>{}; }
};
// One group, as its leader sees it; several times while its voters change: of each set a majority
// is needed.
struct GroupStatus {
  GroupId group;
  std::vector<NodeId> voters;
  static constexpr auto fields() { return Fields<&GroupStatus::group, &GroupStatus::voters>{}; }
};
// What one node knows first-hand: the groups it leads, the blobs it counts.
struct StatusShare {
  std::uint64_t query = 0;
  std::vector<GroupStatus> led;
  std::uint64_t blobs = 0;
  std::uint64_t blobs_under_replicated = 0;
  std::uint64_t blobs_missing = 0;
  static constexpr auto fields() {
    using S = StatusShare;
    return Fields<&S::query, &S::led, &S::blobs, &S::blobs_under_replicated, &S::blobs_missing>{};
  }
};

// Leave the cluster, on behalf of a client at this node or another. Orders have numbers of the
// asker's, are repeated until something is heard, and are obeyed once.
struct LeaveOrder {
  std::uint64_t order = 0;
  bool now = false;
  static constexpr auto fields() { return Fields<&LeaveOrder::order, &LeaveOrder::now>{}; }
};
// Take no new tasks (or take them again); after `deadline_ms`, if there is one, what still runs is
// given back. `wait`: it is done only when nothing runs any more.
struct DrainOrder {
  std::uint64_t order = 0;
  bool on = false;
  std::uint64_t deadline_ms = 0;  // from now; 0: none
  bool wait = false;
  static constexpr auto fields() {
    using D = DrainOrder;
    return Fields<&D::order, &D::on, &D::deadline_ms, &D::wait>{};
  }
};
// How far an order is obeyed, and at last, with `done`, that it is, or (`refused`) will not be.
struct OrderProgress {
  std::uint64_t order = 0;
  std::string text;
  bool done = false;
  bool refused = false;
  static constexpr auto fields() {
    using P = OrderProgress;
    return Fields<&P::order, &P::text, &P::done, &P::refused>{};
  }
};

// See reach.h. A pong goes back both as a datagram and over the stream, and says how the ping came.
struct ReachPing {
  std::uint64_t round = 0;
  std::int64_t sent = 0;  // on the asker's own clock, microseconds
  static constexpr auto fields() { return Fields<&ReachPing::round, &ReachPing::sent>{}; }
};
struct ReachPong {
  std::uint64_t round = 0;
  std::int64_t sent = 0;
  Channel heard_on = Channel::kStream;
  WallTime wall;
  static constexpr auto fields() {
    using P = ReachPong;
    return Fields<&P::round, &P::sent, &P::heard_on, &P::wall>{};
  }
};
// Open a connection to the asker's address, and say how that went. May be repeated.
struct DialOrder {
  std::uint64_t round = 0;
  static constexpr auto fields() { return Fields<&DialOrder::round>{}; }
};
struct DialReport {
  std::uint64_t round = 0;
  bool reached = false;
  std::string trouble;
  static constexpr auto fields() {
    using D = DialReport;
    return Fields<&D::round, &D::reached, &D::trouble>{};
  }
};
// Look at yourself and at the ways to others; answered by a CheckupShare.
struct CheckupQuery {
  std::uint64_t query = 0;
  static constexpr auto fields() { return Fields<&CheckupQuery::query>{}; }
};
// How loaded are you, exactly? Answered at once by a LoadShare.
struct LoadQuery {
  std::uint64_t query = 0;
  static constexpr auto fields() { return Fields<&LoadQuery::query>{}; }
};
struct LoadShare {
  std::uint64_t query = 0;
  Load load;  // as it is, not by its class
  Devices devices_free;
  static constexpr auto fields() {
    return Fields<&LoadShare::query, &LoadShare::load, &LoadShare::devices_free>{};
  }
};

using NodeMessage =
    std::variant<RecordQuery, RecordCopyMessage, StatusQuery, StatusShare, LeaveOrder,
                 OrderProgress, DrainOrder, ReachPing, ReachPong, DialOrder, DialReport,
                 CheckupQuery, CheckupShare, LoadQuery, LoadShare>;

inline Bytes with_module(Module module, Bytes body) {
  body.insert(body.begin(), static_cast<std::uint8_t>(module));
  return body;
}

template <class Message>
Bytes node_frame(Message message) {
  return with_module(Module::kNode, encode(NodeMessage(std::move(message))));
}

// Entries of a group's log and requests to its leader bear the module that reads them, too.
inline Bytes node_payload(Bytes body) {
  return with_module(Module::kNode, std::move(body));
}

}  // namespace dunlin
