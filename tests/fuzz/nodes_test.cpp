// A member that says anything: every kind of message with arbitrary content, whole, changed or cut,
// to a working cluster. A member is trusted with the truth, so safety is not asked for here; but no
// message may crash a node, make it busy for ever, or make it hoard without a limit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "dht/messages.h"
#include "dht/router_messages.h"
#include "fuzz/allocations.h"
#include "fuzz/arbitrary.h"
#include "gossip/messages.h"
#include "node/messages.h"
#include "sched/messages.h"
#include "sim/sim_jobs.h"
#include "store/messages.h"

namespace dunlin::fuzz {
namespace {

constexpr std::uint64_t kSeeds = 12;
constexpr int kFrames = 400;
constexpr Duration kBetween = milliseconds(5);
// What three nodes may hold more of after that many frames than had they not been told any.
constexpr std::int64_t kMaxHoard = 64 * 1024;

template <class T>
Bytes frame_of(Module module, Source& source) {
  return with_module(module, encode(arbitrary_of<T>(source)));
}

// Gossip's messages carry updates as byte strings: arbitrary bytes would never be any.
Bytes gossip_frame(Source& source) {
  auto message = arbitrary_of<gossip::Message>(source);
  if (auto* news = std::get_if<gossip::News>(&message)) {
    news->news.clear();
    for (int i = 0; i < 3; ++i) news->news.push_back(encode(arbitrary_of<gossip::Update>(source)));
  }
  return with_module(Module::kGossip, encode(message));
}

// What members take each other's word for is who lives which life, who votes for whom, and who is
// to leave or to take no tasks: lies about that may end nodes and groups. All else must be borne.
enum class Lies { kNone, kOfEveryKind, kThatMustBeBorne };

Bytes node_message_frame(Source& source, Lies lies) {
  auto message = arbitrary_of<NodeMessage>(source);
  const bool is_order =
      std::holds_alternative<LeaveOrder>(message) || std::holds_alternative<DrainOrder>(message);
  if (is_order && lies == Lies::kThatMustBeBorne) message = OrderProgress{};
  return with_module(Module::kNode, encode(message));
}

Bytes arbitrary_frame(Source& source, Lies lies) {
  switch (source.random.below(lies == Lies::kOfEveryKind ? 7 : 5)) {
    case 0: return frame_of<RouterMessage>(Module::kRouter, source);
    case 1: return frame_of<store::Message>(Module::kStore, source);
    case 2: return frame_of<sched::SchedMessage>(Module::kSched, source);
    case 3: return node_message_frame(source, lies);
    case 4: return with_module(Module::kSched, arbitrary_bytes(source));
    case 5: return gossip_frame(source);
    default: return frame_of<Envelope>(Module::kGroups, source);
  }
}

// A job of forty tasks; none when nobody takes it.
std::optional<JobId> submit_array(sim::SimWorld& world, sim::HostIndex at) {
  const Result<JobId> id = sim::submit(world, at, sim::array_of({"simulate", "5s", "out=300"}, 40));
  return id ? std::optional(*id) : std::nullopt;
}

// A cluster of three, of which the second tells the first whatever it likes.
class Attack {
 public:
  Attack(std::uint64_t seed, Lies lies)
      : name_("seed " + std::to_string(seed)), lies_(lies), source_(seed) {
    sim::WorldOptions options;
    options.seed = seed;
    world_.emplace(options);
    source_.groups = options.groups;
  }

  struct Outcome {
    int taken = 0;            // frames, before the victim ended itself, if it did
    std::int64_t growth = 0;  // bytes that all three hold more of
  };
  Outcome run() {
    SCOPED_TRACE(name_);
    EXPECT_TRUE(world_->form(3)) << "the cluster did not form";
    world_->run_for(seconds(15));
    const std::optional<JobId> job = submit_array(*world_, 0);
    EXPECT_TRUE(job.has_value());
    if (job) source_.jobs.push_back(*job);
    for (sim::HostIndex host = 0; host < 3; ++host) {
      source_.nodes.push_back(world_->host(host).id());
    }
    const std::size_t held_before = bytes_held();
    Outcome outcome;
    outcome.taken = tell_lies();
    world_->run_for(seconds(30));
    outcome.growth = static_cast<std::int64_t>(bytes_held() - held_before);
    check_ends();
    for (const std::string& line : world_->verdict().lines()) {
      EXPECT_TRUE(may_follow_from_lies(line)) << line;
    }
    return outcome;
  }
  // Do those that were told no lie run another job?
  bool goes_on() {
    const std::optional<JobId> job = submit_array(*world_, 2);
    return job && sim::end_of(*world_, 2, *job).state == JobState::kDone;
  }

 private:
  int tell_lies() {
    sim::SimHost& victim = world_->host(0);
    const NodeId liar = world_->host(1).id();
    int taken = 0;
    for (; taken < kFrames && victim.is_up(); ++taken) {
      world_->run_for(kBetween);
      if (lies_ == Lies::kNone) continue;
      Bytes frame = arbitrary_frame(source_, lies_);
      if (lies_ == Lies::kOfEveryKind && source_.random.chance(0.3)) mutate(frame, source_.random);
      if (frame.size() > kMaxFrame) continue;
      victim.input([&](Node& node) { node.receive(liar, Channel::kStream, frame); });
    }
    return taken;
  }
  // A node may judge from what it is told that it has forgotten something, has a twin, or is to
  // leave; nothing else may end it.
  void check_ends() {
    for (sim::HostIndex index = 0; index < 3; ++index) {
      const sim::SimHost& host = world_->host(index);
      if (host.is_up()) continue;
      EXPECT_TRUE(lies_ == Lies::kOfEveryKind) << host.name() << ": " << host.last_words();
      const std::string& words = host.last_words();
      const bool may_be_believed = words.find("has forgotten") != std::string::npos ||
                                   words.find("a later life of this") != std::string::npos ||
                                   words.find("another process uses") != std::string::npos;
      EXPECT_TRUE(host.last_end() == sim::SimHost::End::kStopped ||
                  host.last_end() == sim::SimHost::End::kLeft ||
                  (host.last_end() == sim::SimHost::End::kFatal && may_be_believed))
          << host.name() << ": " << words;
    }
  }
  // Votes and promises of which a node is told lies are beyond it; being busy for ever is not, nor
  // is the loss of a job.
  static bool may_follow_from_lies(const std::string& line) {
    return line.starts_with("Q3 ") || line.starts_with("Q8 ");
  }

  const std::string name_;
  const Lies lies_;
  Source source_;
  std::optional<sim::SimWorld> world_;
};

TEST(Fuzz, NodesSurviveWhateverAMemberSays) {
  const std::int64_t growth = Attack(1, Lies::kNone).run().growth;
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Attack::Outcome outcome = Attack(seed, Lies::kOfEveryKind).run();
    taken += outcome.taken;
    EXPECT_LT(outcome.growth, growth + kMaxHoard) << "seed " << seed;
  }
  EXPECT_GT(taken, kFrames) << "nodes must not end at the first strange word";
}

TEST(Fuzz, AClusterWorksOnUnderLiesThatMustBeBorne) {
  const std::int64_t growth = Attack(1, Lies::kNone).run().growth;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Attack attack(seed, Lies::kThatMustBeBorne);
    const Attack::Outcome outcome = attack.run();
    EXPECT_EQ(outcome.taken, kFrames) << "seed " << seed;
    EXPECT_LT(outcome.growth, growth + kMaxHoard) << "seed " << seed;
    EXPECT_TRUE(attack.goes_on()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace dunlin::fuzz
