// What group 0's log says about the cluster itself, as it reaches a node.
#include "node/admission.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(Admission, ACommittedEntryThatMakesNoSenseIsAnErrorAndChangesNothing) {
  const Membership membership;
  Admission admission(membership, Random(1));
  const Bytes before = admission.encode_record();
  EXPECT_FALSE(admission.apply(1, Bytes{}).has_value());
  EXPECT_FALSE(admission.apply(2, Bytes{0xc1, 7}).has_value());
  EXPECT_EQ(admission.encode_record(), before);
  // A command that is refused is an entry like any other.
  EXPECT_TRUE(admission.apply(3, encode(RecordCommand(Admit{}))).has_value());
}

TEST(Admission, WhoHasNobodyToAskLooksAgainLater) {
  const Membership membership;
  Admission admission(membership, Random(1));
  Effects out;
  admission.spread(Instant{1'000'000}, false, false, {}, out);
  const Instant due = admission.next_deadline();
  admission.spread(due, false, false, {}, out);
  EXPECT_GT(admission.next_deadline(), due);
  EXPECT_TRUE(out.sends.empty());
}

}  // namespace
}  // namespace dunlin
