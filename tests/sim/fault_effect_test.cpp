// A fault counts when it took effect: an order that struck nobody is none.
#include <gtest/gtest.h>

#include "sim/fault_plan.h"
#include "sim/sim_world.h"

namespace dunlin::sim {
namespace {

struct Net {
  EventQueue queue;
  FaultCounts faults;
  SimNetwork network{queue, faults, Random(1)};
  bool is_wanted = true;
  std::vector<int> taken;

  Net() { faults.begin(); }

  void send(int parcels) {
    for (int i = 0; i < parcels; ++i) {
      network.send(0, 1, Channel::kDatagram, [this, i](SimNetwork::Fate fate) {
        if (is_wanted && fate == SimNetwork::Fate::kArrives) taken.push_back(i);
        return is_wanted;
      });
    }
    while (queue.step(queue.now() + seconds(10))) {
    }
  }
};

TEST(FaultEffect, WhatNobodyWouldHaveTakenIsNoLoss) {
  Net net;
  net.network.set_weather({.loss = 1});
  net.is_wanted = false;
  net.send(10);
  EXPECT_EQ(net.faults.text(), "no faults");
  net.is_wanted = true;
  net.send(10);
  EXPECT_EQ(net.faults.text(), "loss 10");
  EXPECT_TRUE(net.taken.empty());
}

TEST(FaultEffect, ACutCountsWhatMeetsIt) {
  Net net;
  net.network.cut(0, 1, Fault::kOneWayPartition);
  net.network.cut(1, 0, Fault::kPartition);
  net.is_wanted = false;
  net.send(3);
  EXPECT_EQ(net.faults.text(), "no faults");
  net.is_wanted = true;
  net.send(3);
  EXPECT_EQ(net.faults.text(), "one-way partition 3");
}

TEST(FaultEffect, ADoubleCountsWhenBothAreTaken) {
  Net net;
  net.network.set_weather({.duplication = 1});
  net.send(5);
  EXPECT_EQ(net.faults.text(), "duplication 5");
  EXPECT_EQ(net.taken.size(), 10u);
  net.is_wanted = false;
  net.send(5);
  EXPECT_EQ(net.faults.text(), "duplication 5");
}

TEST(FaultEffect, OnlyWhatIsOvertakenIsReordered) {
  Net net;
  net.network.set_weather({.reordering = 1});
  for (int i = 0; i < 20; ++i) net.send(1);  // one at a time: nothing can pass it
  EXPECT_EQ(net.faults.text(), "no faults");
  net.taken.clear();
  net.send(20);
  std::uint64_t overtaken = 0;
  int latest = -1;
  for (const int parcel : net.taken) {
    overtaken += parcel < latest ? 1 : 0;
    latest = std::max(latest, parcel);
  }
  EXPECT_GT(overtaken, 0u);
  EXPECT_EQ(net.faults.count(Fault::kReordering), overtaken);
}

TEST(FaultEffect, OnlyWhatIsLaterThanALinkEverIsCountsAsDelayed) {
  Net net;
  net.network.set_weather({.delays = 1, .longest = microseconds(300)});
  net.send(50);
  EXPECT_EQ(net.faults.text(), "no faults");
  net.network.set_weather({.delays = 1, .longest = seconds(9)});
  net.send(50);
  EXPECT_GE(net.faults.count(Fault::kDelay), 49u);
}

TEST(FaultEffect, RotCountsWhenTheJournalRefusesIt) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(3));
  EXPECT_EQ(world.faults().text(), "no faults");  // who founds and joins does no harm
  world.faults().begin();
  Random random(1);
  SimHost& host = world.host(2);
  host.crash(Crash{});
  ASSERT_TRUE(host.disk().flip_fact(random));
  host.set_tampered(Fault::kBitFlip);
  EXPECT_EQ(world.faults().count(Fault::kBitFlip), 0u);
  host.resume();
  EXPECT_EQ(host.last_end(), SimHost::End::kRotten);
  EXPECT_EQ(world.faults().count(Fault::kBitFlip), 1u);
  host.resume();
  EXPECT_EQ(world.faults().count(Fault::kBitFlip), 1u);
}

TEST(FaultEffect, RotOfAPackCountsOnceWhenAReadComesUponIt) {
  SimDisk disk;
  Random random(1);
  const auto write = [&](std::uint64_t row, std::uint64_t offset) {
    DiskBatch batch;
    batch.row = row;
    batch.row_data = to_bytes("row");
    batch.files.push_back({"packs/1", offset, Bytes(100)});
    disk.submit({}, std::move(batch));
    disk.complete();
  };
  const auto read = [&](std::uint64_t offset, std::uint64_t length) {
    disk.read_file({"packs/1", offset, length}, Ticket{});
    disk.complete();
    return disk.count(DiskFault::kReadRot);
  };
  write(1, 0);
  ASSERT_TRUE(disk.flip_file(random));
  EXPECT_TRUE(disk.is_rotten({"packs/1", 0, 100}));
  EXPECT_EQ(disk.count(DiskFault::kReadRot), 0u);
  write(2, 100);
  EXPECT_EQ(read(100, 100), 0u);
  EXPECT_EQ(read(0, 100), 1u);
  EXPECT_EQ(read(0, 100), 1u);
  write(3, 0);
  EXPECT_FALSE(disk.has_rot());
}

TEST(FaultEffect, ADirectoryGoneBackInTimeCountsWhenANodeStartsOnIt) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(3));
  world.faults().begin();
  SimHost& host = world.host(2);
  host.crash(Crash{});
  ASSERT_TRUE(host.disk().lose_tail(1));
  host.set_tampered(Fault::kLostTail);
  EXPECT_EQ(world.faults().count(Fault::kLostTail), 0u);
  host.resume();
  EXPECT_EQ(world.faults().count(Fault::kLostTail), 1u);
}

TEST(FaultEffect, ACopyOfADirectoryCountsWhenItIsHeard) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(3));
  world.faults().begin();
  SimHost& copy = world.add_host();
  copy.banish();
  copy.set_tampered(std::nullopt);
  copy.disk().restore(world.host(1).disk().snapshot());
  copy.resume();
  EXPECT_EQ(world.faults().count(Fault::kCloned), 0u);
  EXPECT_TRUE(
      world.run_until([&] { return world.faults().count(Fault::kCloned) == 1; }, seconds(10)));
  world.run_for(seconds(5));
  EXPECT_EQ(world.faults().count(Fault::kCloned), 1u);
}

TEST(FaultEffect, APauseCountsWhenAFrameHadToWait) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(3));
  world.faults().begin();
  world.host(1).pause();
  world.host(1).proceed();
  EXPECT_EQ(world.faults().text(), "no faults");
  world.host(1).pause();
  world.run_for(seconds(5));
  world.host(1).proceed();
  EXPECT_EQ(world.faults().count(Fault::kPause), 1u);
}

}  // namespace
}  // namespace dunlin::sim
