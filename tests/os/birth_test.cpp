// A node's first life may end at any moment; the next one goes on from what is durable.
#include "os/birth.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "node/setup.h"
#include "os/host_facts.h"
#include "os/join_token_file.h"
#include "os/temporary_directory.h"

namespace dunlin {
namespace {

// A disk that keeps exactly the batches that it is given.
struct FoundersDisk {
  DiskImage image;

  void write(const DiskBatch& batch) {
    image.rows.emplace_back(batch.row, batch.row_data);
    for (const auto& [key, value] : batch.facts) {
      if (value) {
        image.facts[key] = *value;
      } else {
        image.facts.erase(key);
      }
    }
  }
};

// One life of a founder, which ends after so many batches have become durable, or once it is ready.
struct FoundersLife {
  FoundersLife(FoundersDisk& disk, std::size_t batches) {
    NodeOptions options;
    options.groups = std::uint16_t{4};
    options.listen = "127.0.0.1:7400";
    NodeFacts facts = *host_facts(options);
    Journal journal;
    Result<Recovered> recovered = journal.open(disk.image);
    EXPECT_TRUE(recovered.has_value());
    Effects first;
    const auto keep = [](Effects&) { FAIL() << "a founder keeps nothing before its birth"; };
    Result<NodeStart> life = begin_life(nullptr, options, facts, *recovered, {}, keep, first);
    EXPECT_TRUE(life.has_value());
    founding = life->founding;
    cluster = life->membership.cluster;
    if (batches == 0) return;
    first.row = journal.next_row();
    disk.write(journal.seal(first));
    journal.on_durable(journal.last_row());
    NodeConfig config;
    config.facts = std::move(facts);
    Node node(std::move(config), std::move(*life), std::move(journal), std::move(*recovered),
              Random(1), Instant{1}, WallTime{1});
    run(node, disk, batches - 1);
  }

  void run(Node& node, FoundersDisk& disk, std::size_t batches) {
    Instant now{1};
    std::uint64_t durable = 0;
    std::vector<Send> to_itself;
    for (int turn = 0; turn < 10'000 && !node.is_ready(); ++turn) {
      now = std::max(now + microseconds(1), std::min(node.next_deadline(), now + seconds(1)));
      node.begin_turn(now, WallTime{1});
      if (durable != 0) node.on_disk(std::exchange(durable, 0));
      for (Send& send : std::exchange(to_itself, {})) {
        node.receive(node.id(), send.channel, send.frame);
      }
      node.tick();
      Output output = node.end_turn();
      to_itself = std::move(output.sends);
      if (!output.batch) continue;
      if (batches-- == 0) return;
      disk.write(*output.batch);
      durable = output.batch->row;
    }
    is_ready = node.is_ready();
  }

  bool founding = false;
  bool is_ready = false;
  ClusterId cluster;
};

TEST(Birth, AFounderThatEndsAfterAnyBatchIsReadyInItsNextLifeWithItsCluster) {
  for (std::size_t batches = 0; batches < 6; ++batches) {
    FoundersDisk disk;
    const FoundersLife first(disk, batches);
    EXPECT_TRUE(first.founding);
    const FoundersLife second(disk, 10'000);
    EXPECT_TRUE(second.is_ready) << "after " << batches << " batches";
    EXPECT_EQ(second.founding, batches < 2) << batches;
    EXPECT_EQ(second.cluster == first.cluster, batches > 0);
    EXPECT_FALSE(FoundersLife(disk, 10'000).founding);
  }
}

TEST(Birth, AJoinersKeyIsRememberedUntilItIsBorn) {
  Effects out;
  Key32 seed{};
  seed[3] = 9;
  put_newborn(seed, out);
  FoundersDisk disk;
  disk.image.facts[out.facts[0].key] = *out.facts[0].value;
  EXPECT_EQ(remembered_newborn(disk.image.facts), seed);
  EXPECT_EQ(remembered(disk.image.facts).error().code, Code::kNotFound);
  EXPECT_FALSE(remembered_newborn({}));
}

TEST(Birth, TheFirstTokenIsOwedUntilItIsWritten) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(is_join_token_promised(directory.path()));
  ASSERT_TRUE(promise_join_token(directory.path()));
  EXPECT_TRUE(is_join_token_promised(directory.path()));
  forget_promised_join_token(directory.path());
  EXPECT_FALSE(is_join_token_promised(directory.path()));
  ASSERT_TRUE(promise_join_token(directory.path()));
  ASSERT_TRUE(write_join_token(directory.path(), "dun1-token"));
  EXPECT_FALSE(is_join_token_promised(directory.path()));
  forget_promised_join_token(directory.path());
  EXPECT_EQ(std::filesystem::file_size(directory / "join-token"), 11U);
}

TEST(HostFacts, WhatIsTooLongIsAUsageErrorOfOneLine) {
  NodeOptions options;
  options.name = std::string(5000, 'n');
  const Result<NodeFacts> facts = host_facts(options);
  ASSERT_FALSE(facts.has_value());
  EXPECT_EQ(facts.error().code, Code::kUsage);
  EXPECT_EQ(facts.error().message, "the name of a node has 5000 characters");
  options.name = "n";
  for (int i = 0; i < 40; ++i) options.labels["label" + std::to_string(i)] = "x";
  EXPECT_FALSE(host_facts(options).has_value());
}

}  // namespace
}  // namespace dunlin
