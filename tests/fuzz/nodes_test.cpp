// A member that says anything: every kind of message with arbitrary content, whole, changed or cut,
// to a working cluster. A member is trusted with the truth, so safety is not asked for here; but no
// message may crash a node, make it busy for ever, or make it hoard without a limit.
#include <gtest/gtest.h>

#include "dht/messages.h"
#include "dht/router_messages.h"
#include "fuzz/arbitrary.h"
#include "gossip/messages.h"
#include "node/messages.h"
#include "sched/messages.h"
#include "sim/sim_world.h"
#include "store/messages.h"

namespace dunlin::fuzz {
namespace {

constexpr std::uint64_t kSeeds = 12;
constexpr int kFrames = 400;
constexpr Duration kBetween = milliseconds(5);

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

Bytes arbitrary_frame(Source& source) {
  switch (source.random.below(7)) {
    case 0: return gossip_frame(source);
    case 1: return frame_of<Envelope>(Module::kGroups, source);
    case 2: return frame_of<RouterMessage>(Module::kRouter, source);
    case 3: return frame_of<store::Message>(Module::kStore, source);
    case 4: return frame_of<sched::SchedMessage>(Module::kSched, source);
    case 5: return frame_of<NodeMessage>(Module::kNode, source);
    default: return with_module(Module::kSched, arbitrary_bytes(source));
  }
}

JobId submit_array(sim::SimWorld& world) {
  const auto picked = world.call(0, client::Request(client::PickGroup{}));
  if (!picked) return {};
  const auto& group = std::get<client::PickedGroup>(*picked);
  SubmitJob job;
  job.id = JobId::make(group.group, group.group_count, std::array<std::uint8_t, 10>{1, 2, 3});
  job.user = "u";
  job.spec.argv = {"simulate", "5s", "out=300"};
  job.spec.tasks = {{1, 40, 1}};
  job.spec.many = true;
  (void)world.call(0, client::Request(JobRequest(job)));
  return job.id;
}

// How many of the frames the victim took before it ended itself, if it did.
int attack(std::uint64_t seed) {
  sim::WorldOptions options;
  options.seed = seed;
  sim::SimWorld world(options);
  if (!world.form(3)) {
    ADD_FAILURE() << "the cluster did not form, seed " << seed;
    return 0;
  }
  world.run_for(seconds(15));
  Source source(seed);
  source.jobs.push_back(submit_array(world));
  source.groups = options.groups;
  for (sim::HostIndex host = 0; host < 3; ++host) source.nodes.push_back(world.host(host).id());
  sim::SimHost& victim = world.host(0);
  const NodeId liar = world.host(1).id();
  int taken = 0;
  // A node may judge from what it is told that it has forgotten something, or has a twin, and end.
  for (; taken < kFrames && victim.is_up(); ++taken) {
    Bytes frame = arbitrary_frame(source);
    if (source.random.chance(0.3)) mutate(frame, source.random);
    if (frame.size() > kMaxFrame) continue;
    victim.input([&](Node& node) { node.receive(liar, Channel::kStream, frame); });
    world.run_for(kBetween);
  }
  world.run_for(seconds(30));
  return taken;
}

TEST(Fuzz, NodesSurviveWhateverAMemberSays) {
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) taken += attack(seed);
  EXPECT_GT(taken, kFrames) << "nodes must not end at the first strange word";
}

}  // namespace
}  // namespace dunlin::fuzz
