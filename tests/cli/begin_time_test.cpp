#include "cli/begin_time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "os/json_time.h"

namespace dunlin {
namespace {

// Two hours east of Greenwich, with a summer time.
class BeginTime : public ::testing::Test {
 protected:
  BeginTime() {
    if (const char* zone = std::getenv("TZ")) before_ = zone;
    setenv("TZ", "EET-2EEST,M3.5.0/3,M10.5.0/4", 1);
    tzset();
  }
  ~BeginTime() override {
    before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
    tzset();
  }
  // "2030-01-15T12:00:00Z" is 14:00 there.
  static std::string at(const std::string& text, const std::string& now = "2030-01-15T12:00:00Z") {
    const auto time = begin_time_from(text, from_rfc3339(now).value_or(WallTime{}));
    return time ? to_rfc3339(*time) : "no: " + time.error().message;
  }

 private:
  std::string before_;
};

TEST_F(BeginTime, IsCountedFromNow) {
  EXPECT_EQ(at("now"), at("+0"));
  EXPECT_EQ(at("now+1h"), at("2030-01-15T13:00:00Z"));
  EXPECT_EQ(at("+1h30m"), at("2030-01-15T13:30:00Z"));
}

TEST_F(BeginTime, IsATimeOfDayTodayOrTomorrow) {
  EXPECT_EQ(at("14:30"), at("2030-01-15T12:30:00Z"));
  EXPECT_EQ(at("14:00:01"), at("2030-01-15T12:00:01Z"));
  EXPECT_EQ(at("14:00"), at("2030-01-16T12:00:00Z"));
  EXPECT_EQ(at("03:00"), at("2030-01-16T01:00:00Z"));
  EXPECT_EQ(at("14:00", "2030-12-31T12:00:00Z"), at("2031-01-01T12:00:00Z"));
  // The clocks go forward on the 31st: the day between has 23 hours.
  EXPECT_EQ(at("12:00", "2030-03-30T11:00:00Z"), at("2030-03-31T09:00:00Z"));
}

TEST_F(BeginTime, IsADateInTheLocalZoneOrOneWithItsOffset) {
  EXPECT_EQ(at("2030-06-01"), at("2030-05-31T21:00:00Z"));
  EXPECT_EQ(at("2030-02-01T10:00"), at("2030-02-01T08:00:00Z"));
  EXPECT_EQ(at("2030-02-01 10:00:05"), at("2030-02-01T08:00:05Z"));
  EXPECT_EQ(at("2030-02-01T10:00:00+05:30"), at("2030-02-01T04:30:00Z"));
  EXPECT_EQ(at("2030-02-01T10:00:00-08:00"), at("2030-02-01T18:00:00Z"));
  EXPECT_EQ(at("2028-02-29"), at("2028-02-28T22:00:00Z"));
  EXPECT_EQ(at("1969-12-31"), at("1970-01-01T00:00:00Z")) << "at once, as any past";
}

TEST_F(BeginTime, WhatIsNoTimeIsRefused) {
  for (const char* text : {"", "tomorrow", "25:00", "12:60", "12:0", "1:00", "2030-13-01",
                           "2030-02-30", "2030-02-01T", "2030-02-01T10", "2030-02-30T10:00:00Z",
                           "+1", "now-1h", "2030-02-01T10:00:00+5", "-1:00", "14:30x"}) {
    EXPECT_TRUE(at(text).starts_with("no: ")) << text << " " << at(text);
  }
}

}  // namespace
}  // namespace dunlin
