// Whoever follows events in whole clusters through nodes that die, are cut off and come back, has
// each once: of every job its beginning and its end, of every task its end, as the jobs themselves
// say in the end.
#include <gtest/gtest.h>

#include "sim/sim_jobs.h"

namespace dunlin::sim {
namespace {

class Follower {
 public:
  Follower(SimWorld& world, std::size_t hosts) : world_(world), random_(world.fork_random()) {
    hosts_ = hosts;
    ask();
  }

  // Turns to another node, whatever the one before has still to say.
  void move() { ask(); }
  const std::vector<JobEvent>& jobs() const { return jobs_; }
  const std::vector<NodeEvent>& nodes() const { return nodes_; }
  std::uint32_t missed() const { return missed_; }

 private:
  void ask() {
    const std::uint64_t number = ++number_;
    client::ListEvents question;
    question.after = cursor_;
    question.hold = seconds(2);
    const auto host = static_cast<HostIndex>(random_.below(hosts_));
    const auto taken = std::make_shared<bool>(false);
    world_.host(host).ask(client::Request(question),
                          [this, number, taken](Result<client::Answer> answer, bool) {
                            if (number != number_ || std::exchange(*taken, true)) return;
                            if (answer) take(std::get<client::EventList>(std::move(*answer)));
                            world_.queue().after(milliseconds(50), [this, number] {
                              if (number == number_) ask();
                            });
                          });
  }
  void take(client::EventList list) {
    for (JobEvent& event : list.jobs) jobs_.push_back(std::move(event));
    for (NodeEvent& event : list.nodes) {
      if (known_.insert(event.id).second) nodes_.push_back(std::move(event));
    }
    cursor_ = std::move(list.next);
    missed_ += list.missed_groups;
  }

  SimWorld& world_;
  Random random_;
  std::size_t hosts_ = 0;
  std::uint64_t number_ = 0;  // of the question that counts
  client::EventCursor cursor_;
  std::vector<JobEvent> jobs_;
  std::vector<NodeEvent> nodes_;
  std::set<std::string> known_;
  std::uint32_t missed_ = 0;
};

struct FollowedCluster : testing::TestWithParam<std::uint64_t> {
  static constexpr std::size_t kHosts = 4;
  static WorldOptions options() {
    WorldOptions options;
    options.seed = 8100 + GetParam();
    return options;
  }
  std::unique_ptr<Follower> follower;  // outlives what calls it
  SimWorld world{options()};
  Random random{GetParam()};

  void TearDown() override {
    for (const std::string& line : world.verdict().lines()) ADD_FAILURE() << line;
  }
  void disturb() {
    const auto host = static_cast<HostIndex>(random.below(kHosts));
    const auto other = static_cast<HostIndex>((host + 1 + random.below(kHosts - 1)) % kHosts);
    world.network().mend();
    for (HostIndex i = 0; i < kHosts; ++i) {
      if (!world.host(i).is_up() && world.host(i).phase() == SimHost::Phase::kDown) {
        world.host(i).resume();
      }
    }
    if (random.chance(0.5)) {
      world.network().cut(host, other, Fault::kPartition);
      world.network().cut(other, host, Fault::kPartition);
    } else if (world.host(host).is_up()) {
      random.chance(0.5) ? world.host(host).crash(Crash{}) : world.host(host).kill(Crash{}, false);
    }
  }
  void heal() {
    world.network().mend();
    for (HostIndex i = 0; i < kHosts; ++i) {
      if (world.host(i).phase() == SimHost::Phase::kDown) world.host(i).resume();
    }
  }
  HostIndex any_up() {
    auto host = static_cast<HostIndex>(random.below(kHosts));
    while (!world.host(host).is_up()) host = static_cast<HostIndex>((host + 1) % kHosts);
    return host;
  }
};

TEST_P(FollowedCluster, NothingIsMissedNorToldTwice) {
  ASSERT_TRUE(world.form(kHosts));
  world.run_for(seconds(60));
  Weather weather;
  weather.loss = 0.05;
  weather.duplication = 0.02;
  world.network().set_weather(weather);
  follower = std::make_unique<Follower>(world, kHosts);
  std::vector<JobId> jobs;
  for (int i = 0; i < 12; ++i) {
    const char* kind = i % 3 == 1 ? "exit=3" : "out=10";
    JobSpec spec = array_of({"simulate", "300ms", kind}, 10);
    spec.retries = 1;
    if (const auto id = submit(world, any_up(), spec)) jobs.push_back(*id);
    world.run_for(milliseconds(random.between(500, 3000)));
    if (random.chance(0.7)) follower->move();
    disturb();
    world.run_for(seconds(6));
  }
  heal();
  world.network().set_weather({});
  follower->move();
  ASSERT_TRUE(world.run_until([&] { return world.see_each_other({0, 1, 2, 3}); }, seconds(120)));
  for (const JobId& id : jobs) ASSERT_TRUE(is_final(end_of(world, 0, id).state));
  world.run_for(seconds(30));
  ASSERT_GT(jobs.size(), 6u);
  EXPECT_EQ(follower->missed(), 0u);

  std::set<std::string> ids;
  std::map<GroupId, EventPlace> last;
  std::map<std::pair<JobId, EventType>, std::size_t> count;
  for (const JobEvent& event : follower->jobs()) {
    EXPECT_TRUE(ids.insert(id_of(event)).second) << id_of(event);
    EventPlace& before = last.try_emplace(event.group, EventPlace{0, 0}).first->second;
    EXPECT_LT(before, event.place);
    before = event.place;
    ++count[{event.job, event.type}];
  }
  for (const JobId& id : jobs) {
    const JobSummary job = end_of(world, 0, id);
    EXPECT_EQ((count[{id, EventType::kJobSubmitted}]), 1u) << id.text();
    EXPECT_EQ((count[{id, EventType::kJobDone}] + count[{id, EventType::kJobFailed}]), 1u);
    EXPECT_EQ((count[{id, EventType::kTaskDone}]), job.tasks.done) << id.text();
    EXPECT_EQ((count[{id, EventType::kTaskFailed}]), job.tasks.failed) << id.text();
    if (job.tasks.failed == job.tasks.total) {
      EXPECT_GE((count[{id, EventType::kAttemptFailed}]), 10u);
    }
  }
  EXPECT_FALSE(follower->nodes().empty());
}

// Of nodes each keeps what it heard itself, at times of its own clock.
TEST(Events, AnotherNodeTellsAllOfNodesThatItKeeps) {
  WorldOptions options;
  options.seed = 8200;
  SimWorld world(options);
  ASSERT_TRUE(world.form(3));
  world.run_for(seconds(300));
  world.host(2).crash(Crash{});
  world.run_for(seconds(60));
  const auto ask = [&](HostIndex host, const client::EventCursor& cursor) {
    std::optional<client::EventList> list;
    client::ListEvents question;
    question.after = cursor;
    world.host(host).ask(client::Request(question), [&](Result<client::Answer> answer, bool) {
      if (answer) list = std::get<client::EventList>(std::move(*answer));
    });
    EXPECT_TRUE(world.run_until([&] { return list.has_value(); }, seconds(20)));
    return list.value_or(client::EventList{});
  };
  const client::EventList first = ask(0, {});
  EXPECT_FALSE(first.nodes.empty());
  EXPECT_TRUE(ask(0, first.next).nodes.empty());
  const client::EventList other = ask(1, first.next);
  EXPECT_EQ(other.nodes.size(), ask(1, {}).nodes.size());
  EXPECT_EQ(std::count_if(other.nodes.begin(), other.nodes.end(),
                          [&](const NodeEvent& event) {
                            return event.type == NodeEventType::kAlive &&
                                   event.node == world.host(0).id();
                          }),
            1);
  EXPECT_TRUE(ask(1, other.next).nodes.empty());
}

INSTANTIATE_TEST_SUITE_P(Seeds, FollowedCluster, testing::Range<std::uint64_t>(1, 21));

}  // namespace
}  // namespace dunlin::sim
