// When applied state may go to disk.
#include "node/checkpointer.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(Checkpointer, IsDueAWhileAfterTheFirstChangeOrAfterMany) {
  Checkpointer checkpointer(seconds(5), 3);
  EXPECT_EQ(checkpointer.next_deadline(), Instant::never());
  checkpointer.changed(Instant{100}, GroupId{1});
  EXPECT_FALSE(checkpointer.is_due(Instant{200}));
  EXPECT_TRUE(checkpointer.is_due(Instant{100} + seconds(5)));
  checkpointer.changed(Instant{200}, GroupId{1});
  checkpointer.changed(Instant{200}, GroupId{2});
  EXPECT_TRUE(checkpointer.is_due(Instant{200}));
}

TEST(Checkpointer, WithoutARemovedReplicaWaitsUntilTheRemovalIsDurable) {
  Checkpointer checkpointer(seconds(5), 1);
  checkpointer.on_durable(6);
  checkpointer.changed(Instant{100}, GroupId{1});
  checkpointer.wait_for_row(8);
  EXPECT_FALSE(checkpointer.is_due(Instant{100} + seconds(60)));
  EXPECT_EQ(checkpointer.next_deadline(), Instant::never());
  checkpointer.on_durable(7);
  EXPECT_FALSE(checkpointer.is_due(Instant{100} + seconds(60)));
  checkpointer.on_durable(8);
  EXPECT_TRUE(checkpointer.is_due(Instant{100} + seconds(60)));
  EXPECT_EQ(checkpointer.next_deadline(), Instant{100} + seconds(5));
}

}  // namespace
}  // namespace dunlin
