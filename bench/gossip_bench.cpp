// Measures simulated membership; it prints and judges nothing.
//   gossip_bench N...                              at rest, news, crashes in clusters of N
//   gossip_bench late N [SECONDS [LOSS [SEED]]]    false deaths while one in 20 answers 2 s late
#include <cstdlib>

#include "gossip/gossip_cluster.h"

namespace dunlin {
namespace {

using test::GossipCluster;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double worst(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

// Until 99.99 % of the members have heard of a new route.
double news_time(GossipCluster& cluster, std::uint16_t group, Random& random) {
  const std::size_t from = random.below(cluster.size());
  const Instant start = cluster.now();
  cluster.gossip(from).announce_route(start, {{group}, 1, cluster.id(from), 1});
  cluster.settle(from, {});
  const auto enough =
      static_cast<std::size_t>(0.9999 * static_cast<double>(cluster.size()) + 0.9999);
  auto reached = [&] {
    std::size_t count = 0;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      count += cluster.is_up(i) && cluster.gossip(i).route({group}) ? 1 : 0;
    }
    return count >= std::min(enough, cluster.size());
  };
  const bool is_reached = cluster.run_until(seconds(30), reached);
  return is_reached ? (cluster.now() - start).seconds() : 99.0;
}

// Until every other member holds the crashed one for dead. It restarts afterwards.
double crash_time(GossipCluster& cluster, Random& random) {
  const std::size_t victim = random.below(cluster.size());
  const std::size_t others = cluster.size() - 1;
  const auto seeds = cluster.members_of(victim);
  const Instant start = cluster.now();
  cluster.crash(victim);
  const bool is_known = cluster.run_until(
      seconds(60), [&] { return cluster.count_views(victim, MemberState::kDead) == others; });
  const double taken = is_known ? (cluster.now() - start).seconds() : 99.0;
  cluster.start(victim, seeds);
  cluster.run_for(seconds(5) + random.between(Duration{}, seconds(3)));
  return taken;
}

void measure(std::size_t count) {
  Random random(count);
  GossipCluster cluster(count);
  cluster.found(count);
  const bool is_settled = cluster.run_until(
      seconds(300), [&] { return cluster.is_converged(); }, seconds(1));
  std::printf("%5zu members: settled %d after %.0f s\n", count, is_settled,
              (cluster.now() - Instant{}).seconds());
  cluster.run_for(seconds(60));

  cluster.bytes_sent = cluster.frames_sent = cluster.streams_sent = 0;
  constexpr int kRestSeconds = 60;
  cluster.run_for(seconds(kRestSeconds));
  const double per = static_cast<double>(count) * kRestSeconds;
  std::printf(
      "  at rest: %.0f B/s sent per node in frames, %.0f with overhead; %.2f frames/s\n",
      static_cast<double>(cluster.bytes_sent) / per,
      static_cast<double>(cluster.bytes_sent + cluster.frames_sent * GossipCluster::kOverhead) /
          per,
      static_cast<double>(cluster.frames_sent) / per);

  std::vector<double> news;
  for (std::uint16_t i = 0; i < 15; ++i) {
    news.push_back(news_time(cluster, i, random));
    cluster.run_for(seconds(2));
  }
  std::printf("  news to 99.99 %%: p50 %.2f s, max %.2f s\n", median(news), worst(news));

  std::vector<double> crashes;
  for (int i = 0; i < 21; ++i) crashes.push_back(crash_time(cluster, random));
  std::printf("  crash known to all: p50 %.2f s, max %.2f s; false deaths %llu\n", median(crashes),
              worst(crashes), static_cast<unsigned long long>(cluster.false_deaths));
}

void measure_late(std::size_t count, int seconds_long, double loss, std::uint64_t seed) {
  GossipCluster cluster(seed);
  cluster.network.datagram_loss = loss;
  cluster.found(count);
  cluster.run_for(seconds(60));
  for (std::size_t i = 0; i < count; i += 20) cluster.set_lateness(i, seconds(2));
  cluster.bytes_sent = cluster.frames_sent = cluster.suspicions = 0;
  cluster.run_for(seconds(seconds_long));
  const double per = static_cast<double>(count) * seconds_long;
  std::printf(
      "%5zu members, one in 20 answers 2 s late, loss %.0f %%, %d s: %llu false deaths, "
      "%.3f suspicions/s per view, %.0f B/s per node with overhead\n",
      count, 100 * loss, seconds_long, static_cast<unsigned long long>(cluster.false_deaths),
      static_cast<double>(cluster.suspicions) / per,
      static_cast<double>(cluster.bytes_sent + cluster.frames_sent * GossipCluster::kOverhead) /
          per);
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
  if (argc > 2 && std::string(argv[1]) == "late") {
    const double loss = argc > 4 ? std::atof(argv[4]) : 0.0;
    const int length = argc > 3 ? std::atoi(argv[3]) : 600;
    const int seed = argc > 5 ? std::atoi(argv[5]) : 1;
    dunlin::measure_late(static_cast<std::size_t>(std::atoi(argv[2])), length, loss,
                         static_cast<std::uint64_t>(seed));
    return 0;
  }
  for (int i = 1; i < argc; ++i) dunlin::measure(static_cast<std::size_t>(std::atoi(argv[i])));
  return 0;
}
