// A checker that cannot fail proves nothing: each is shown a cluster that breaks its promise.
#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

constexpr Pin kPin{GroupId{7}, 42};

bool is_named(const std::vector<std::string>& broken, const std::string& what) {
  return std::ranges::any_of(
      broken, [&](const std::string& one) { return one.find(what) != std::string::npos; });
}

TEST(Checkers, SeeAnAcknowledgementThatIsNotDurable) {
  StoreCluster cluster(1, 3);
  cluster.weather.answers_leave_before_they_are_durable = true;
  cluster.weather.longest_sync = milliseconds(100);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 20; ++i) cluster.put(0, noise(10, i), kPin);
  cluster.run_for(seconds(5));
  EXPECT_TRUE(is_named(cluster.broken(), "durable copies"));
}

TEST(Checkers, SeeContentThatIsNotWhatItsNameSays) {
  StoreCluster cluster(2, 3);
  cluster.weather.contents_are_spoilt_on_the_way_out = true;
  cluster.run_for(seconds(1));
  cluster.put(0, noise(10, 1), kPin);
  cluster.run_for(seconds(1));
  cluster.fetch(0, blob_id_of(noise(10, 1)));
  cluster.run_for(seconds(1));
  EXPECT_TRUE(is_named(cluster.broken(), "fetched content"));
}

TEST(Checkers, SeeWhatCannotBeRead) {
  StoreCluster cluster(3, 5);
  cluster.run_for(seconds(1));
  cluster.put(0, noise(10, 1), kPin);
  cluster.run_for(seconds(1));
  EXPECT_TRUE(cluster.unreadable().empty());
  cluster.weather.mute.insert(kind_of<store::GetAnswer>());
  EXPECT_FALSE(cluster.unreadable().empty());
}

TEST(Checkers, SeeRepairThatDoesNotHappen) {
  StoreCluster cluster(4, 5);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 20; ++i) cluster.put(0, noise(10, i), kPin);
  cluster.run_for(seconds(60));
  EXPECT_EQ(cluster.under_replicated(), 0U);
  cluster.weather.mute = {kind_of<store::Summary>(), kind_of<store::Entrust>()};
  cluster.destroy(1);
  cluster.declare(1, StoreMemberState::kDead);
  cluster.run_for(seconds(3600));
  EXPECT_GT(cluster.under_replicated(), 0U);
  // And nodes that cannot agree are not at rest.
  const std::uint64_t before = cluster.messages();
  cluster.run_for(seconds(3600));
  EXPECT_GT(cluster.messages(), before);
}

TEST(Checkers, SeeWhatWasDeleted) {
  StoreCluster cluster(5, 3);
  cluster.run_for(seconds(1));
  cluster.put(0, noise(10, 1), kPin);
  cluster.run_for(seconds(1));
  EXPECT_EQ(cluster.deleted(), 0U);
  cluster.weather.disks_forget_pins = true;
  cluster.put(0, noise(10, 2), kPin);
  cluster.run_for(seconds(1));
  EXPECT_GT(cluster.deleted(), 0U);
}

TEST(Checkers, SeeATraceThatDiffers) {
  StoreCluster one(6, 3), other(7, 3);
  for (StoreCluster* cluster : {&one, &other}) {
    cluster->run_for(seconds(1));
    cluster->put(0, noise(10, 1), kPin);
    cluster->run_for(seconds(1));
  }
  EXPECT_NE(one.trace(), other.trace());
}

}  // namespace
}  // namespace dunlin
