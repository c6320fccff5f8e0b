#include "os/cores.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace dunlin {
namespace {

class CoresTest : public testing::Test {
 protected:
  CoresTest() {
    sched_getaffinity(0, sizeof all_, &all_);
    count_ = static_cast<std::uint32_t>(CPU_COUNT(&all_));
  }
  // Of this process alone: other tests run beside it.
  const std::string claim_ = "dunlin cores of test " + std::to_string(getpid());
  cpu_set_t all_;
  std::uint32_t count_ = 0;
};

TEST_F(CoresTest, NoTwoTasksShareOne) {
  Cores cores(true, claim_);
  ASSERT_TRUE(cores.pins());
  std::vector<cpu_set_t> taken;
  cpu_set_t together;
  CPU_ZERO(&together);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto one = cores.take(1);
    ASSERT_TRUE(one.has_value());
    EXPECT_EQ(CPU_COUNT(&*one), 1);
    cpu_set_t shared;
    CPU_AND(&shared, &*one, &together);
    EXPECT_EQ(CPU_COUNT(&shared), 0);
    CPU_OR(&together, &together, &*one);
    taken.push_back(*one);
  }
  EXPECT_TRUE(CPU_EQUAL(&together, &all_));
  EXPECT_FALSE(cores.take(1).has_value());
  cores.give_back(taken.front());
  const auto again = cores.take(1);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(CPU_EQUAL(&*again, &taken.front()));
}

TEST_F(CoresTest, AreThoseOfOneRunnerOfTheHost) {
  {
    const Cores first(true, claim_);
    Cores second(true, claim_);
    EXPECT_FALSE(second.pins());
    EXPECT_FALSE(second.take(1).has_value());
  }
  EXPECT_TRUE(Cores(true, claim_).pins());
  EXPECT_FALSE(Cores(false, claim_).pins());
}

TEST_F(CoresTest, AreNotTakenInPart) {
  Cores cores(true, claim_);
  EXPECT_FALSE(cores.take(count_ + 1).has_value());
  EXPECT_TRUE(cores.take(count_).has_value());
}

}  // namespace
}  // namespace dunlin
