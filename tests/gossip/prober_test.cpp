#include "gossip/prober.h"

#include <gtest/gtest.h>

#include "gossip/suspicion.h"
#include "people.h"

namespace dunlin::gossip {
namespace {

using test::at_ms;
using test::id_of;

struct ProberTest : testing::Test {
  GossipConfig config;
  LocalHealth health{8};
  Prober prober{config, health, 100};
};

TEST_F(ProberTest, AsksHelpersAfterTheAckTimeoutAndFailsAtTheEnd) {
  const std::uint32_t sequence = prober.begin(at_ms(0), id_of(1), 0);
  EXPECT_EQ(prober.next_deadline(), Instant{} + config.ack_timeout);
  Prober::Due due = prober.take_due(Instant{} + config.ack_timeout);
  ASSERT_EQ(due.to_ask.size(), 1U);
  EXPECT_EQ(due.to_ask[0].sequence, sequence);
  EXPECT_TRUE(due.failures.empty());
  EXPECT_EQ(prober.next_deadline(), Instant{} + config.probe_timeout);
  prober.asked(sequence, {id_of(2), id_of(3)});
  prober.reported(id_of(2), sequence, false);
  prober.reported(id_of(2), sequence, false);
  prober.reported(id_of(9), sequence, false);
  due = prober.take_due(Instant{} + config.probe_timeout);
  ASSERT_EQ(due.failures.size(), 1U);
  EXPECT_EQ(due.failures[0].target, id_of(1));
  EXPECT_EQ(due.failures[0].witnesses, std::vector<NodeId>{id_of(2)});
  EXPECT_EQ(prober.next_deadline(), Instant::never());
}

TEST_F(ProberTest, AnyFrameFromTheTargetEndsTheProbe) {
  prober.begin(at_ms(0), id_of(1), 0);
  prober.heard(at_ms(400), id_of(2));
  EXPECT_TRUE(prober.is_probing(id_of(1)));
  prober.heard(at_ms(400), id_of(1));
  EXPECT_FALSE(prober.is_probing(id_of(1)));
  EXPECT_TRUE(prober.take_due(at_ms(5000)).failures.empty());
}

TEST_F(ProberTest, AHelperWhoReachesTheTargetEndsTheProbe) {
  const std::uint32_t sequence = prober.begin(at_ms(0), id_of(1), 0);
  prober.take_due(Instant{} + config.ack_timeout);
  prober.asked(sequence, {id_of(2)});
  prober.reported(id_of(2), sequence, true);
  EXPECT_FALSE(prober.is_probing(id_of(1)));
}

TEST_F(ProberTest, HelpersWhoSayNothingSpeakAgainstThisNode) {
  const std::uint32_t first = prober.begin(at_ms(0), id_of(1), 0);
  prober.asked(first, {id_of(2), id_of(3)});
  prober.reported(id_of(2), first, false);
  prober.reported(id_of(3), first, false);
  prober.take_due(at_ms(1000));
  EXPECT_EQ(health.score(), 0U) << "all helpers reported: the target is to blame";
  const std::uint32_t second = prober.begin(at_ms(1000), id_of(1), 0);
  prober.asked(second, {id_of(2), id_of(3)});
  prober.reported(id_of(2), second, false);
  prober.take_due(at_ms(2000));
  EXPECT_EQ(health.score(), 1U);
}

TEST_F(ProberTest, BadHealthAndAskedForPatienceStretchTheTimeouts) {
  health.worsen();
  prober.begin(at_ms(0), id_of(1), 2);
  EXPECT_EQ(prober.next_deadline(), Instant{} + config.ack_timeout * 6);
}

TEST_F(ProberTest, OnlyPromptAnswersImproveHealth) {
  health.worsen();
  health.worsen();
  prober.begin(at_ms(0), id_of(1), 0);
  prober.heard(at_ms(400), id_of(1));
  EXPECT_EQ(health.score(), 2U);
  prober.begin(at_ms(1000), id_of(1), 0);
  prober.heard(at_ms(1010), id_of(1));
  EXPECT_EQ(health.score(), 1U);
}

TEST_F(ProberTest, AnErrandIsReportedEitherWay) {
  const auto good = prober.run_errand(at_ms(0), id_of(5), 7, id_of(1), milliseconds(300));
  const auto bad = prober.run_errand(at_ms(0), id_of(6), 8, id_of(2), milliseconds(300));
  EXPECT_FALSE(prober.acknowledged(id_of(2), *good).has_value()) << "not his to answer";
  const auto done = prober.acknowledged(id_of(1), *good);
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->asker, id_of(5));
  EXPECT_EQ(done->asker_sequence, 7U);
  const Prober::Due due = prober.take_due(at_ms(300));
  ASSERT_EQ(due.vain_errands.size(), 1U);
  EXPECT_EQ(due.vain_errands[0].asker, id_of(6));
  EXPECT_FALSE(prober.acknowledged(id_of(2), *bad).has_value()) << "too late";
}

TEST_F(ProberTest, ErrandsHaveALimit) {
  for (std::size_t i = 0; i < kMaxErrands; ++i) {
    EXPECT_TRUE(prober.run_errand(at_ms(0), id_of(5), 7, id_of(1), seconds(1)).has_value());
  }
  EXPECT_FALSE(prober.run_errand(at_ms(0), id_of(5), 7, id_of(1), seconds(1)).has_value());
}

TEST(SuspicionTimeout, FallsFromTheMaximumToTheMinimumWithEachWitness) {
  const GossipConfig config;
  EXPECT_EQ(suspicion_timeout(config, 0, 3), config.suspicion_max);
  EXPECT_EQ(suspicion_timeout(config, 3, 3), config.suspicion_min);
  Duration before = config.suspicion_max;
  for (std::size_t witnesses = 1; witnesses <= 3; ++witnesses) {
    const Duration timeout = suspicion_timeout(config, witnesses, 3);
    EXPECT_LT(timeout, before);
    before = timeout;
  }
  EXPECT_EQ(suspicion_timeout(config, 0, 0), config.suspicion_min) << "nobody else to ask";
}

TEST(Suspicions, EveryNewAccuserIsNewsUpToTheLimit) {
  Suspicions suspicions;
  EXPECT_TRUE(suspicions.accuse(at_ms(0), id_of(1), {id_of(2)}));
  EXPECT_FALSE(suspicions.accuse(at_ms(1), id_of(1), {id_of(2)}));
  EXPECT_TRUE(suspicions.accuse(at_ms(2), id_of(1), {id_of(3), id_of(4), id_of(5), id_of(6)}));
  EXPECT_FALSE(suspicions.accuse(at_ms(3), id_of(1), {id_of(7)}));
  EXPECT_EQ(suspicions.find(id_of(1))->accusers.size(), kMaxAccusers);
  EXPECT_EQ(suspicions.find(id_of(1))->since, at_ms(0));
}

TEST(Suspicions, AreDueInOrderAndNotOnceClosed) {
  Suspicions suspicions;
  suspicions.accuse(at_ms(0), id_of(1), {});
  suspicions.accuse(at_ms(0), id_of(2), {});
  EXPECT_EQ(suspicions.take_changed().size(), 2U);
  EXPECT_TRUE(suspicions.take_changed().empty());
  EXPECT_EQ(suspicions.next_deadline(), Instant::never());
  suspicions.schedule(id_of(1), Instant::never(), at_ms(20));
  suspicions.schedule(id_of(2), at_ms(10), at_ms(30));
  EXPECT_EQ(suspicions.next_deadline(), at_ms(10));
  EXPECT_EQ(suspicions.due(at_ms(20)), (std::vector<NodeId>{id_of(2), id_of(1)}));
  suspicions.postpone(milliseconds(100));
  EXPECT_EQ(suspicions.next_deadline(), at_ms(110));
  suspicions.close(id_of(2));
  EXPECT_EQ(suspicions.due(at_ms(500)), std::vector<NodeId>{id_of(1)});
}

}  // namespace
}  // namespace dunlin::gossip
