#include "gossip/liveness.h"

#include <gtest/gtest.h>

#include <queue>

#include "people.h"

namespace dunlin {
namespace {

using gossip::Heartbeat;
using test::at_ms;
using test::id_of;

// Pairs in virtual time, 1 ms apart; a pair can be cut in one direction.
struct Pairs : testing::Test {
  struct Host {
    std::unique_ptr<Liveness> liveness;
    std::vector<LivenessEvent> events;
    bool is_up = true;
  };
  struct Flight {
    Instant at;
    std::uint8_t from, to;
    Bytes frame;
  };
  std::map<std::uint8_t, Host> hosts;
  std::vector<Flight> flights;
  std::set<std::pair<std::uint8_t, std::uint8_t>> cut;
  std::map<std::uint8_t, std::size_t> sent;
  std::map<std::uint8_t, std::size_t> wakeups;
  Instant now = at_ms(10);

  void SetUp() override {
    for (std::uint8_t i = 0; i < 4; ++i) {
      hosts[i].liveness = std::make_unique<Liveness>(id_of(i), 3, LivenessConfig{}, Random(i));
    }
  }
  Liveness& at(std::uint8_t i) { return *hosts[i].liveness; }
  std::uint8_t number_of(NodeId id) {
    for (std::uint8_t i = 0; i < 4; ++i) {
      if (id_of(i) == id) return i;
    }
    return 99;
  }
  void watch(std::uint8_t i, std::initializer_list<std::uint8_t> others) {
    std::set<NodeId> set;
    for (const std::uint8_t other : others) set.insert(id_of(other));
    at(i).watch(now, set);
  }
  void perform(std::uint8_t i, Effects out) {
    for (Send& send : out.sends) {
      EXPECT_EQ(send.channel, Channel::kDatagram);
      ++sent[i];
      flights.push_back({now + milliseconds(1), i, number_of(send.to), std::move(send.frame)});
    }
    for (const LivenessEvent& event : at(i).take_events()) hosts[i].events.push_back(event);
  }
  void run_for(Duration length) {
    const Instant end = now + length;
    for (; now <= end; now = now + milliseconds(1)) {
      std::vector<Flight> arrived;
      std::erase_if(flights, [&](const Flight& f) {
        if (f.at <= now) arrived.push_back(f);
        return f.at <= now;
      });
      for (const Flight& f : arrived) {
        if (!hosts[f.to].is_up || cut.contains({f.from, f.to})) continue;
        Effects out;
        at(f.to).heard(now, id_of(f.from));
        at(f.to).receive(now, id_of(f.from), f.frame, out);
        perform(f.to, std::move(out));
      }
      for (auto& [i, host] : hosts) {
        if (!host.is_up || host.liveness->next_deadline() > now) continue;
        ++wakeups[i];
        Effects out;
        host.liveness->tick(now, out);
        perform(i, std::move(out));
      }
    }
  }
  template <class Event>
  std::size_t count(std::uint8_t i) {
    std::size_t found = 0;
    for (const LivenessEvent& event : hosts[i].events) {
      found += std::holds_alternative<Event>(event) ? 1 : 0;
    }
    return found;
  }
};

TEST_F(Pairs, WhoWatchesNobodyAndIsNotWatchedSleeps) {
  EXPECT_EQ(at(0).next_deadline(), Instant::never());
}

TEST_F(Pairs, ExchangeOneHeartbeatASecondInOneWakeUp) {
  watch(0, {1, 2, 3});
  watch(1, {0});
  run_for(seconds(2));
  sent.clear();
  wakeups.clear();
  run_for(seconds(60));
  EXPECT_NEAR(static_cast<double>(sent[0]), 180, 4);
  EXPECT_NEAR(static_cast<double>(sent[1]), 60, 2);
  EXPECT_NEAR(static_cast<double>(sent[2]), 60, 2) << "it is watched, and lets itself be heard";
  EXPECT_LE(wakeups[0], 62U);
  for (std::uint8_t i = 0; i < 4; ++i) EXPECT_TRUE(hosts[i].events.empty());
}

TEST_F(Pairs, StopOnceNobodyWatches) {
  watch(0, {1});
  run_for(seconds(5));
  watch(0, {});
  run_for(seconds(30));
  EXPECT_EQ(at(0).next_deadline(), Instant::never());
  EXPECT_EQ(at(1).next_deadline(), Instant::never());
}

TEST_F(Pairs, OtherFramesStandInForMostHeartbeats) {
  watch(0, {1});
  watch(1, {0});
  run_for(seconds(3));
  sent.clear();
  for (int i = 0; i < 60 * 4; ++i) {
    at(0).sent(now, id_of(1));
    at(1).heard(now, id_of(0));
    run_for(milliseconds(250));
  }
  EXPECT_LE(sent[0], 14U) << "one in five seconds";
  EXPECT_GE(sent[0], 10U);
  EXPECT_EQ(count<PeerSuspected>(1), 0U);
}

TEST_F(Pairs, SilenceIsSuspectedAfterThreeSecondsAndAWordEndsIt) {
  watch(0, {1});
  watch(1, {0});
  run_for(seconds(10));
  hosts[1].is_up = false;
  run_for(milliseconds(1900));
  EXPECT_EQ(count<PeerSuspected>(0), 0U);
  run_for(milliseconds(1200));
  EXPECT_EQ(count<PeerSuspected>(0), 1U);
  EXPECT_FALSE(at(0).is_trusted(id_of(1)));
  hosts[1].is_up = true;
  run_for(milliseconds(1100));
  EXPECT_EQ(count<PeerRecovered>(0), 1U);
  EXPECT_TRUE(at(0).is_trusted(id_of(1)));
}

TEST_F(Pairs, AResetIsSuspicionAfterAShortGrace) {
  watch(0, {1});
  run_for(seconds(2));
  hosts[1].is_up = false;
  at(0).reset(now, id_of(1));
  run_for(milliseconds(100));
  EXPECT_EQ(count<PeerSuspected>(0), 0U);
  // A datagram that was under way when the process died proves nothing.
  at(0).heard(now, id_of(1));
  run_for(milliseconds(100));
  EXPECT_EQ(count<PeerSuspected>(0), 1U);
}

TEST_F(Pairs, AResetOfALivePeerIsForgiven) {
  watch(0, {1});
  run_for(seconds(2));
  at(0).reset(now, id_of(1));
  run_for(seconds(2));
  EXPECT_EQ(count<PeerSuspected>(0), 0U);
  EXPECT_TRUE(at(0).is_trusted(id_of(1)));
}

TEST_F(Pairs, AHungStorageIsSuspectedThoughOtherFramesFlow) {
  watch(0, {1});
  watch(1, {0});
  run_for(seconds(3));
  at(1).set_storage(now, 10, true);
  for (int i = 0; i < 20; ++i) {
    at(0).heard(now, id_of(1));
    at(1).sent(now, id_of(0));
    run_for(milliseconds(100));
  }
  EXPECT_EQ(count<StorageStalled>(1), 1U);
  EXPECT_EQ(count<PeerSuspected>(0), 1U);
  EXPECT_EQ(count<PeerRecovered>(0), 0U);
  at(1).set_storage(now, 11, false);
  for (int i = 0; i < 70; ++i) {
    at(0).heard(now, id_of(1));
    at(1).sent(now, id_of(0));
    run_for(milliseconds(100));
  }
  EXPECT_EQ(count<StorageRecovered>(1), 1U);
  EXPECT_EQ(count<PeerRecovered>(0), 1U);
}

TEST_F(Pairs, KeepTheHighestDurableMark) {
  watch(0, {1});
  at(1).set_storage(now, 500, false);
  run_for(seconds(7));
  ASSERT_TRUE(at(0).last_durable(id_of(1)).has_value());
  EXPECT_EQ(at(0).last_durable(id_of(1))->sequence, 500U);
  EXPECT_EQ(at(0).last_durable(id_of(1))->boot, 3U);
  Effects out;
  at(0).receive(now, id_of(1), encode_frame(Heartbeat{4, 20, true, false, 0, 0}), out);
  EXPECT_EQ(at(0).last_durable(id_of(1))->sequence, 500U) << "a restored copy says less";
  EXPECT_EQ(at(0).last_durable(id_of(1))->boot, 4U);
  EXPECT_FALSE(at(0).last_durable(id_of(2)).has_value());
}

TEST_F(Pairs, AProcessThatStoodStillSuspectsNobody) {
  watch(0, {1, 2});
  run_for(seconds(3));
  now = now + seconds(30);
  Effects out;
  at(0).tick(now, out);
  perform(0, std::move(out));
  EXPECT_EQ(count<PeerSuspected>(0), 0U);
  run_for(seconds(5));
  EXPECT_EQ(count<PeerSuspected>(0), 0U);
}

TEST_F(Pairs, AOneWayCutIsSeenByTheSideThatHearsNothing) {
  watch(0, {1});
  watch(1, {0});
  run_for(seconds(3));
  cut.insert({1, 0});
  run_for(seconds(5));
  EXPECT_EQ(count<PeerSuspected>(0), 1U);
  EXPECT_EQ(count<PeerSuspected>(1), 0U);
}

TEST_F(Pairs, AnswersAQuestionWithOneFrameAndNoMore) {
  Effects out;
  at(0).receive(now, id_of(1), encode_frame(Heartbeat{1, 0, true, false, 7, 0}), out);
  ASSERT_EQ(out.sends.size(), 1U);
  const auto answer = gossip::decode_frame(out.sends[0].frame);
  EXPECT_EQ(std::get<Heartbeat>(*answer).answer, 7U);
  EXPECT_EQ(std::get<Heartbeat>(*answer).ask, 0U);
}

}  // namespace
}  // namespace dunlin
