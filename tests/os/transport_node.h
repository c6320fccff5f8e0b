// Whole transports on one loop: what the tests of transport and join are made of.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "os/clock.h"
#include "os/transport.h"

namespace dunlin::transport_testing {

constexpr Duration kPatience = seconds(20);

inline ClusterId cluster_of(std::uint8_t n) {
  ClusterId id;
  id.raw[0] = n;
  return id;
}

inline Key32 key_of(std::uint8_t n) {
  Key32 key{};
  key[0] = n;
  return key;
}

inline NodeId id_of(std::uint8_t seed) {
  return node_id_of(key_pair_from_seed(key_of(seed)).public_key);
}

// A loop that runs until something is true.
struct Loop {
  uv_loop_t loop;
  uv_timer_t guard;

  Loop() {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &guard);
    // Wakes the loop so that conditions that only time makes true are seen.
    uv_timer_start(
        &guard, [](uv_timer_t*) {}, 20, 20);
  }
  ~Loop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&guard), nullptr);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0) {
    }
    EXPECT_EQ(uv_loop_close(&loop), 0) << "something was left open";
  }

  template <class Condition>
  bool run_until(Condition condition, Duration patience = kPatience) {
    const Instant end = monotonic_now() + patience;
    while (!condition()) {
      if (monotonic_now() > end) return false;
      uv_run(&loop, UV_RUN_ONCE);
    }
    return true;
  }
};

struct Node {
  struct Got {
    NodeId from;
    Channel channel;
    Bytes frame;
  };

  Loop& loop;
  Identity identity;
  SocketAddress address;
  std::unique_ptr<Transport> transport;
  std::vector<Got> got;
  std::vector<NodeId> resets;
  std::vector<JoinRequest> joins;
  std::vector<Error> troubles;
  std::set<NodeId> banned;
  std::optional<JoinToken> token;
  Verdict client_verdict = Verdict::kAdmitted;
  std::vector<std::unique_ptr<ByteStream>> clients;
  std::function<void(std::unique_ptr<ByteStream>&)> on_client;
  bool echo = false;
  bool saw_newer_self = false;
  bool is_shut_out = false;

  Node(Loop& on, std::uint8_t seed, Boot boot = 1, const std::string& ip = "127.0.0.1",
       std::uint16_t port = 0, ClusterId cluster = cluster_of(1))
      : loop(on), identity{key_pair_from_seed(key_of(seed)), boot, cluster} {
    Transport::Callbacks callbacks;
    callbacks.on_frame = [this](NodeId from, Channel channel, Bytes frame) {
      if (echo) transport->send(from, channel, frame);
      got.push_back({from, channel, std::move(frame)});
    };
    callbacks.on_peer_reset = [this](NodeId id) { resets.push_back(id); };
    callbacks.on_join = [this](JoinRequest request) { joins.push_back(std::move(request)); };
    callbacks.on_trouble = [this](const std::string&, const Error& e) { troubles.push_back(e); };
    callbacks.on_newer_self = [this] { saw_newer_self = true; };
    callbacks.on_shut_out = [this] { is_shut_out = true; };
    callbacks.is_admitted = [this](NodeId id, const PublicKey&) { return !banned.contains(id); };
    callbacks.token_psk = [this](const TokenId& id) -> std::optional<Key32> {
      if (token && token->id == id) return token->psk();
      return std::nullopt;
    };
    callbacks.admit_client = [this](const TokenId&) { return client_verdict; };
    callbacks.on_client = [this](std::unique_ptr<ByteStream> stream, const TokenId&) {
      clients.push_back(std::move(stream));
      on_client(clients.back());
    };
    transport = std::make_unique<Transport>(&loop.loop, identity, std::move(callbacks));
    const auto bound = transport->listen(*SocketAddress::from_ip(ip, port));
    EXPECT_TRUE(bound) << (bound ? "" : bound.error().message);
    if (bound) address = *bound;
    transport->set_keys({{{1, key_of(200)}}});
  }
  ~Node() { stop(); }

  void stop() {
    if (!transport) return;
    bool is_closed = false;
    transport->close([&] { is_closed = true; });
    EXPECT_TRUE(loop.run_until([&] { return is_closed; }));
    transport.reset();
  }

  NodeId id() const { return identity.id(); }
  void knows(const Node& other, Boot boot = 0) {
    transport->set_peer(other.id(), other.identity.keys.public_key, other.address.text(), boot);
  }
  void send(const Node& to, Channel channel, Bytes frame) {
    transport->send(to.id(), channel, std::move(frame));
  }
};

inline Bytes frame_of(std::size_t size, std::uint8_t fill) {
  return Bytes(size, fill);
}

inline void acquaint(std::vector<Node*> nodes) {
  for (Node* a : nodes) {
    for (Node* b : nodes) {
      if (a != b) a->knows(*b);
    }
  }
}

}  // namespace dunlin::transport_testing
