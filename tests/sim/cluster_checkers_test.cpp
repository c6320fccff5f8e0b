// The checkers that look at disks, executors and whole clusters are shown to fire, each by what it
// is there for.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "sched/messages.h"
#include "sched/process_label.h"
#include "sim/checkers/copies.h"
#include "sim/checkers/executors.h"
#include "sim/read_back.h"
#include "sim/seed_run.h"
#include "sim/workload.h"
#include "store/messages.h"
#include "store/pack.h"

namespace dunlin::sim {
namespace {

constexpr GroupId kTestGroup{3};
constexpr Pin kTestPin{kTestGroup, 7};

NodeId member(std::uint8_t number) {
  NodeId id;
  id.raw[0] = number;
  return id;
}

Bytes sealed(const Bytes& value) {
  Bytes fact(8);
  append(fact, value);
  return fact;
}

// ---- blobs --------------------------------------------------------------------------------------

const Bytes kContent = to_bytes("what is to be kept");

std::string pin_of_content() {
  return "pin/" + blob_id_of(kContent).text() + "/3/7";
}

// A disk with the blob, and as far as told with its pin.
SimDisk disk_with_blob(bool pinned) {
  SimDisk::Snapshot snapshot;
  const auto size = static_cast<std::uint32_t>(kContent.size());
  snapshot.facts["blob/" + blob_id_of(kContent).text()] =
      sealed(encode(std::vector<std::uint32_t>{1, 0, size}));
  if (pinned) snapshot.facts[pin_of_content()] = sealed({});
  snapshot.files[store::pack_file(1)] = kContent;
  SimDisk disk;
  disk.restore(snapshot);
  return disk;
}

struct Keeping {
  Verdict verdict;
  CopyChecker checker{verdict};

  // Node 1 has asked node `keeper` to keep the blob, and that says that it does.
  void keep(std::uint8_t keeper, const SimDisk& disk) {
    const store::Deposit deposit{5, blob_id_of(kContent), kTestPin, kContent};
    checker.on_send({}, member(1), SimDisk(), true, member(keeper), frame_of(deposit));
    const store::PutAnswer answer{5, blob_id_of(kContent), store::PutVerdict::kStored, 0};
    checker.on_send({}, member(keeper), disk, true, member(1), frame_of(answer));
  }
  void acknowledge(std::vector<NodeId> holders, std::size_t members) {
    checker.stored({}, member(1), SimDisk(), {blob_id_of(kContent), std::move(holders)}, members);
  }
};

TEST(CopyChecker, ABlobThatIsNotOnItsKeepersDiskIsSeen) {
  Keeping keeping;
  keeping.keep(2, disk_with_blob(true));
  EXPECT_TRUE(keeping.verdict.is_clean());
  keeping.keep(3, SimDisk());
  EXPECT_TRUE(keeping.verdict.names("Q5"));
}

TEST(CopyChecker, ARottenCopyIsSeen) {
  Keeping keeping;
  SimDisk disk = disk_with_blob(true);
  Random random(1);
  ASSERT_TRUE(disk.flip_file(random));
  keeping.keep(2, disk);
  EXPECT_TRUE(keeping.verdict.names("Q5"));
}

TEST(CopyChecker, AKeptBlobWithoutItsPinIsSeen) {
  Keeping keeping;
  keeping.keep(2, disk_with_blob(false));
  EXPECT_FALSE(keeping.verdict.names("Q5"));
  EXPECT_TRUE(keeping.verdict.names("Q6"));
}

TEST(CopyChecker, ABlobAcknowledgedWithOneCopyIsSeen) {
  Keeping keeping;
  keeping.keep(2, disk_with_blob(true));
  keeping.acknowledge({member(2)}, 1);
  keeping.keep(3, disk_with_blob(true));
  keeping.acknowledge({member(2), member(3)}, 5);
  EXPECT_TRUE(keeping.verdict.is_clean());
  keeping.acknowledge({member(2), member(4)}, 5);
  EXPECT_TRUE(keeping.verdict.names("Q5"));
}

TEST(CopyChecker, APinThatIsGoneAtTheNextStartIsSeen) {
  Keeping keeping;
  keeping.keep(2, disk_with_blob(true));
  keeping.checker.holds({}, member(2), disk_with_blob(true).facts());
  EXPECT_TRUE(keeping.verdict.is_clean());
  keeping.checker.holds({}, member(2), disk_with_blob(false).facts());
  EXPECT_TRUE(keeping.verdict.names("Q6"));
}

// ---- executors ----------------------------------------------------------------------------------

SimDisk disk_with_epoch(Term epoch) {
  SimDisk::Snapshot snapshot;
  snapshot.facts["epoch/3"] = sealed(encode(epoch));
  SimDisk disk;
  disk.restore(snapshot);
  return disk;
}

Bytes held_under(Term epoch) {
  sched::HeldList list;
  list.group = kTestGroup;
  list.epoch = epoch;
  return sched::encode_frame(list);
}

JobId some_job() {
  std::array<std::uint8_t, 10> chance{};
  return JobId::make(kTestGroup, 8, chance);
}

Bytes bind_of(Term epoch) {
  sched::Bind bind;
  bind.group = kTestGroup;
  bind.epoch = epoch;
  bind.job = some_job();
  bind.tasks = {{0, 2, Attempt{1, epoch, 1}}};
  return sched::encode_frame(bind);
}

StartProcess start_of(Term epoch) {
  sched::ProcessLabel label;
  label.group = kTestGroup;
  label.job = some_job();
  label.index = 1;
  label.attempt = {1, epoch, 1};
  StartProcess start;
  start.label = encode(label);
  return start;
}

TEST(ExecutorChecker, ObeyingALowerEpochIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), held_under(4));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), held_under(3));
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(ExecutorChecker, AnOutdatedOrderThatIsNotRefusedIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_received(1, member(2), disk_with_epoch(4), bind_of(4));
  checker.after_turn({}, member(1), 1);
  checker.on_received(1, member(2), disk_with_epoch(4), bind_of(3));
  const Bytes refusal = sched::encode_frame(sched::Refused{kTestGroup, 4});
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), refusal);
  checker.after_turn({}, member(1), 1);
  EXPECT_TRUE(verdict.is_clean());
  checker.on_received(1, member(2), disk_with_epoch(4), bind_of(3));
  checker.after_turn({}, member(1), 1);
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(ExecutorChecker, ObeyingAnEpochBeforeItIsDurableIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), held_under(5));
  EXPECT_TRUE(verdict.names("Q2"));
}

TEST(ExecutorChecker, AnEpochThatIsForgottenAtTheNextStartIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), held_under(4));
  checker.on_start({}, member(1), {{"epoch/3", encode(Term{4})}});
  checker.on_start({}, member(2), {});
  EXPECT_TRUE(verdict.is_clean());
  checker.on_start({}, member(1), {{"epoch/3", encode(Term{3})}});
  EXPECT_TRUE(verdict.names("Q2"));
}

TEST(ExecutorChecker, AnOldCopyThatObeysWhatItHasForgottenIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_send({}, member(1), 1, disk_with_epoch(4), true, member(2), held_under(4));
  checker.on_send({}, member(3), 2, disk_with_epoch(3), false, member(2), held_under(3));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_send({}, member(1), 3, disk_with_epoch(3), false, member(2), held_under(3));
  EXPECT_TRUE(verdict.names("Q8"));
}

TEST(ExecutorChecker, ATaskStartedByAnOutdatedOrderIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_received(1, member(2), disk_with_epoch(4), bind_of(4));
  checker.starts({}, member(1), 1, disk_with_epoch(5), start_of(4));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_received(1, member(2), disk_with_epoch(5), bind_of(3));
  checker.starts({}, member(1), 1, disk_with_epoch(5), start_of(3));
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(ExecutorChecker, ATaskStartedBeforeItsEpochIsDurableIsSeen) {
  Verdict verdict;
  ExecutorChecker checker(verdict);
  checker.on_received(1, member(2), disk_with_epoch(3), bind_of(4));
  checker.starts({}, member(1), 1, disk_with_epoch(3), start_of(4));
  EXPECT_TRUE(verdict.names("Q2"));
}

// ---- how tasks end ------------------------------------------------------------------------------

JobSpec command(std::vector<std::string> words) {
  JobSpec spec;
  spec.argv = {"simulate", "10ms"};
  spec.argv.insert(spec.argv.end(), words.begin(), words.end());
  return spec;
}

TEST(ReadBack, ATaskFailedForHostsThatWereNotLostIsSeen) {
  TaskView task;
  task.state = TaskState::kFailed;
  task.reason = Reason::kCrashLimit;
  SimRunner::Ends ends;
  task.detail = "suspected of killing its hosts:";
  for (const NodeId& node : {member(1), member(2), member(3)}) {
    task.detail += " " + node.short_text();
  }
  ends.lost_with = {member(1), member(2), member(3)};
  EXPECT_EQ(misjudged(command({}), task, ends), "");
  ends.lost_with.erase(member(2));
  EXPECT_NE(misjudged(command({}), task, ends), "");
  ends.lost_with.insert(member(4));  // another was lost, and not blamed
  EXPECT_NE(misjudged(command({}), task, ends), "");
}

TEST(ReadBack, AFailureThatTheCommandDoesNotTellIsSeen) {
  TaskView task;
  task.state = TaskState::kFailed;
  task.reason = Reason::kExit;
  task.exit_code = 3;
  EXPECT_EQ(misjudged(command({"exit=3"}), task, {}), "");
  EXPECT_NE(misjudged(command({}), task, {}), "");
  task.exit_code = 1;
  EXPECT_NE(misjudged(command({"exit=3"}), task, {}), "");
  task.exit_code = 3;
  task.reason = Reason::kDisk;
  EXPECT_NE(misjudged(command({"exit=3"}), task, {}), "");
}

TEST(ReadBack, ASuccessThatNeverHappenedIsSeen) {
  TaskView task;
  task.state = TaskState::kDone;
  task.attempt = 2;
  task.exit_code = 0;
  SimRunner::Ends ends;
  ends.successes = 1;
  EXPECT_EQ(misjudged(command({"flaky=1"}), task, ends), "");
  EXPECT_NE(misjudged(command({"flaky=2"}), task, ends), "");
  EXPECT_NE(misjudged(command({"exit=3"}), task, ends), "");
  EXPECT_NE(misjudged(command({"flaky=1"}), task, {}), "");
}

TEST(ReadBack, AWorkloadThatDidNothingHasGaps) {
  SimWorld world(WorldOptions{});
  const Workload idle(world, {}, world.fork_random());
  EXPECT_EQ(idle.gaps().size(), 5u);
}

// ---- whole clusters -----------------------------------------------------------------------------

// A short run with few faults; what is short about it is said under "coverage".
SeedOptions short_run() {
  SeedOptions options;
  options.chaos = seconds(20);
  options.plan = FaultPlan{};
  options.plan->between = seconds(1000);
  return options;
}

// The lines of the run, but for what it did not cover.
std::vector<std::string> seen_in(const SeedOptions& options) {
  std::vector<std::string> lines = run_seed(options).violations;
  std::erase_if(lines, [](const std::string& line) { return line.starts_with("coverage "); });
  return lines;
}

bool any_has(const std::vector<std::string>& lines, std::string_view promise,
             std::string_view words) {
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.starts_with(promise) && line.find(words) != line.npos;
  });
}

TEST(WholeRuns, AShortRunWithoutMutationHasNoLine) {
  EXPECT_EQ(seen_in(short_run()), std::vector<std::string>{});
}

TEST(WholeRuns, BlobsAcknowledgedWithOneCopyAreSeen) {
  SeedOptions options = short_run();
  options.configure = [](NodeConfig& config) { config.store.write_holders = 1; };
  EXPECT_TRUE(any_has(seen_in(options), "Q5 ", "is acknowledged with 1 copies"));
}

TEST(WholeRuns, BlobsThatAreNeverRepairedAreSeen) {
  SeedOptions options = short_run();
  options.plan->set(Fault::kHostCrash);
  options.plan->between = seconds(4);
  options.chaos = seconds(60);
  options.configure = [](NodeConfig& config) {
    config.store.repair_delay = seconds(1'000'000);
    config.store.compare_delay = seconds(1'000'000);
  };
  EXPECT_TRUE(any_has(seen_in(options), "Q7 ", "replicas did not converge"));
}

TEST(WholeRuns, AProcessThatIsLeftIsSeen) {
  SeedOptions options = short_run();
  options.before_rest = [](SimWorld& world, HostIndex host) {
    StartProcess stray;
    stray.key = 1ULL << 60;
    stray.argv = {"simulate", "10000000ms"};
    world.host(host).runner().start(stray);
  };
  EXPECT_TRUE(any_has(seen_in(options), "Q7 ", "still runs 1 processes and holds 1"));
}

TEST(WholeRuns, AQuestionThatIsNeverAnsweredIsSeen) {
  SeedOptions options = short_run();
  options.before_rest = [](SimWorld& world, HostIndex host) {
    world.host(host).set_mute(true);
    world.host(host).ask(client::Request(client::ListNodes{}),
                         [](const Result<client::Answer>&, bool) {});
  };
  EXPECT_TRUE(any_has(seen_in(options), "Q7 ", "never answered a question"));
}

TEST(WholeRuns, ANodeThatIsKnownThoughItWasForgottenIsSeen) {
  SeedOptions options = short_run();
  options.before_rest = [](SimWorld& world, HostIndex host) {
    world.note_forgotten(world.host(host).id());
  };
  EXPECT_TRUE(any_has(seen_in(options), "Q7 ", "which was forgotten"));
}

TEST(WholeRuns, WhatIsSaidToTheDeadAtRestIsSeen) {
  SeedOptions options = short_run();
  options.before_rest = [](SimWorld& world, HostIndex host) {
    world.queue().after(seconds(85), [&world, host] {
      const Bytes frame = store::frame_of(store::Get{1, BlobId{}, true});
      world.on_send(world.host(host), Send{member(9), Channel::kStream, frame});
    });
  };
  EXPECT_TRUE(any_has(seen_in(options), "rest ", "idle stores 1"));
}

TEST(WholeRuns, ACopyThatRotsAtRestIsSeen) {
  SeedOptions options = short_run();
  // Nobody looks for rot.
  options.configure = [](NodeConfig& config) { config.store.scrub_pass = seconds(1'000'000); };
  options.before_rest = [](SimWorld& world, HostIndex host) {
    Random random(1);
    for (int i = 0; i < 2000; ++i) world.host(host).disk().flip_file(random);
  };
  EXPECT_TRUE(any_has(seen_in(options), "Q5 ", "has no sound"));
}

TEST(WholeRuns, ANodeThatSpinsIsSeen) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(1));
  for (int i = 0; i < 2900; ++i) world.after_tick(world.host(0));
  EXPECT_TRUE(world.verdict().is_clean());
  for (int i = 0; i < 200; ++i) world.after_tick(world.host(0));
  EXPECT_TRUE(world.verdict().names("Q10"));
}

}  // namespace
}  // namespace dunlin::sim
