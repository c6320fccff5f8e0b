// Whoever follows events through one node after the other, while hosts die and return, leaders move
// and messages vanish, has each event once and in the order of its group's log: just those that the
// log makes when it is applied from its first entry on.
#include <gtest/gtest.h>

#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

constexpr std::size_t kHosts = 5;
constexpr std::uint16_t kGroups = 3;

class FollowedCluster {
 public:
  explicit FollowedCluster(std::uint64_t seed)
      : random_(seed),
        cluster_({.nodes = kHosts,
                  .groups = kGroups,
                  .cpus = 3,
                  .seed = seed,
                  .loss = 0.1 * random_.unit(),
                  .duplication = 0.1 * random_.unit(),
                  .most_delay = milliseconds(random_.between(1, 40))}) {}

  void run() {
    for (int i = 0; i < 60; ++i) {
      if (i % 3 == 0) submit();
      follow_for(milliseconds(random_.between(50, 900)));
      disturb();
    }
    for (std::size_t a = 0; a < kHosts; ++a) {
      for (std::size_t b = a + 1; b < kHosts; ++b) cluster_.cut(a, b, false);
      if (!cluster_.is_up(a)) cluster_.restart(a);
    }
    cluster_.set_loss(0);
    follow_for(seconds(120));
  }

  std::uint32_t missed() const { return missed_; }
  std::size_t moves() const { return moves_; }
  // Of a group, as ids.
  std::vector<std::string> followed(GroupId group) const {
    const auto at = seen_.find(group);
    return at == seen_.end() ? std::vector<std::string>() : at->second;
  }
  std::vector<std::string> applied(GroupId group) const {
    std::vector<std::string> ids;
    std::size_t events = 1'000'000, bytes = kMaxEventBytes;
    const GroupEvents all = cluster_.reference().events().read(group, {}, {}, events, bytes);
    EXPECT_EQ(all.floor, 0u);
    for (const EventRun& run : all.runs) {
      for (std::uint32_t i = 0; i < run.count; ++i) ids.push_back(id_of(event_of(group, run, i)));
    }
    return ids;
  }

 private:
  void submit() {
    const std::vector<std::vector<std::string>> commands = {
        {"work", "400"}, {"flaky", "1", "100"}, {":"}, {"exit", "2", "50"}};
    JobSpec spec = cluster_.spec(commands[random_.below(commands.size())],
                                 static_cast<std::uint32_t>(random_.between(2, 60)));
    spec.retries = 2;
    const JobId id = cluster_.make_id(GroupId{static_cast<std::uint16_t>(random_.below(kGroups))});
    cluster_.ask(any_host(), SubmitJob{id, "u", "", spec});
  }

  std::size_t any_host() {
    std::size_t host = random_.below(kHosts);
    while (!cluster_.is_up(host)) host = random_.below(kHosts);
    return host;
  }

  std::size_t up() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < kHosts; ++i) count += cluster_.is_up(i) ? 1 : 0;
    return count;
  }

  void disturb() {
    const std::size_t host = random_.below(kHosts);
    const bool is_up = cluster_.is_up(host);
    switch (random_.below(6)) {
      case 0:
        if (is_up && up() > 3) cluster_.crash(host, seconds(random_.between(2, 6)));
        break;
      case 1:
        if (is_up && up() > 3) cluster_.crash_process(host);
        break;
      case 2:
        if (!is_up) cluster_.restart(host);
        break;
      case 3:
        if (is_up) {
          cluster_.lead(GroupId{static_cast<std::uint16_t>(random_.below(kGroups))}, host);
        }
        break;
      case 4: cluster_.cut(host, (host + 1 + random_.below(4)) % kHosts, true); break;
      default:
        for (std::size_t a = 0; a < kHosts; ++a) {
          for (std::size_t b = a + 1; b < kHosts; ++b) cluster_.cut(a, b, false);
        }
        break;
    }
  }

  // A client that asks again and again, and at times turns to another node before it is answered.
  void follow_for(Duration time) {
    const Instant until = cluster_.now() + time;
    while (cluster_.now() < until) {
      if (!asked_ || !cluster_.is_up(host_) || random_.chance(0.02)) ask();
      cluster_.run_for(milliseconds(random_.between(5, 60)));
      const auto answer = cluster_.listed.find(*asked_);
      if (answer == cluster_.listed.end()) continue;
      if (answer->second) take(*answer->second);
      asked_.reset();
    }
  }

  void ask() {
    const std::size_t before = host_;
    if (!cluster_.is_up(host_) || random_.chance(0.3)) host_ = any_host();
    moves_ += host_ != before ? 1 : 0;
    ListEvents query;
    query.after = place_;
    query.reader = reader_;
    query.hold = seconds(2);
    asked_ = cluster_.ask_events(host_, query);
  }

  void take(const EventList& list) {
    for (const JobEvent& event : list.events) seen_[event.group].push_back(id_of(event));
    place_ = list.next;
    reader_ = list.reader;
    missed_ += list.missed_groups;
  }

  Random random_;
  Cluster cluster_;
  std::map<GroupId, EventPlace> place_;
  std::uint64_t reader_ = 0;
  std::size_t host_ = 0;
  std::optional<std::uint64_t> asked_;
  std::map<GroupId, std::vector<std::string>> seen_;
  std::uint32_t missed_ = 0;
  std::size_t moves_ = 0;
};

class EventFollower : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(EventFollower, HasEachEventOnceAndInOrderThroughWhicheverNodeItAsks) {
  FollowedCluster cluster(GetParam());
  cluster.run();
  EXPECT_EQ(cluster.missed(), 0u);
  EXPECT_GT(cluster.moves(), 5u);
  std::size_t count = 0;
  for (std::uint16_t g = 0; g < kGroups; ++g) {
    const std::vector<std::string> applied = cluster.applied(GroupId{g});
    EXPECT_EQ(cluster.followed(GroupId{g}), applied) << "group " << g;
    count += applied.size();
  }
  EXPECT_GT(count, 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EventFollower, ::testing::Range<std::uint64_t>(1, 31));

}  // namespace
}  // namespace dunlin::sched::testing
