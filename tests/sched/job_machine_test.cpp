// The rules of the replicated state, entry by entry.
#include "sched/job_machine.h"

#include <gtest/gtest.h>

#include "sched/job_views.h"
#include "sched/lone_machine.h"

namespace dunlin::sched {
namespace {

constexpr GroupId kGroup{1};

struct Log : LoneMachine {
  Log() : LoneMachine(kGroup) {}

  void submit(std::uint32_t tasks, std::uint32_t retries = 0) {
    JobSpec spec;
    spec.argv = {"x"};
    spec.tasks = {{1, tasks, 1}};
    spec.many = tasks > 1;
    spec.retries = retries;
    apply(SubmitCommand{id, "u", "", encode(spec), {1'000'000}, {named(1)}, tasks});
  }
  const Job& job() { return *machine.find(kGroup, id); }
  void plain(std::uint32_t first, std::uint32_t count, Attempt attempt, std::uint8_t on = 1) {
    NodeResults results{id, named(on), 1, 0, {}};
    PlainResults run;
    run.run = {first, count, attempt};
    run.finished = {1'000'500};
    results.batch.plain.push_back(run);
    apply(CompleteCommand{{results}});
  }
};

TEST(JobMachine, TheFirstSuccessClosesATaskAndLaterEndsAreDiscarded) {
  Log log;
  log.submit(2);
  log.plain(0, 1, {1, 5, 1}, 1);
  log.result(0, {1, 6, 1}, Reason::kExit, 2);
  log.plain(0, 1, {1, 7, 1}, 3);
  EXPECT_EQ(log.job().head.done, 1u);
  EXPECT_EQ(log.job().head.failed, 0u);
  EXPECT_EQ(view_of(log.job(), 0).node, named(1));
  EXPECT_TRUE(log.job().details.empty());
}

TEST(JobMachine, AFailureCountsOnlyForAnAttemptNotYetSuperseded) {
  Log log;
  log.submit(1, 1);
  log.result(0, {1, 5, 1}, Reason::kExit);
  log.result(0, {1, 5, 1}, Reason::kExit);
  log.result(0, {1, 4, 9}, Reason::kExit);
  EXPECT_EQ(log.job().head.failed, 0u);
  log.result(0, {1, 5, 2}, Reason::kExit);
  EXPECT_EQ(log.job().head.failed, 1u);
  EXPECT_EQ(log.job().head.state, JobState::kFailed);
  EXPECT_EQ(log.job().head.reason, Reason::kExit);
  EXPECT_EQ(log.job().head.exit_code, 7);
}

TEST(JobMachine, ATaskFailsWithTheLastNodeThatItsCrashLimitAllows) {
  for (const std::uint32_t limit : {1, 2, 5}) {
    Log log;
    JobSpec spec;
    spec.argv = {"x"};
    spec.crash_limit = limit;
    log.apply(SubmitCommand{log.id, "u", "", encode(spec), {1'000'000}, {named(1)}, 1});
    for (std::uint32_t n = 1; n <= limit; ++n) {
      EXPECT_EQ(log.job().head.failed, 0u) << n << " of " << limit;
      log.lost(0, 1, {1, 5, n}, static_cast<std::uint8_t>(n), true);
    }
    EXPECT_EQ(log.job().head.failed, 1u) << limit;
    EXPECT_EQ(view_of(log.job(), 0).reason, Reason::kCrashLimit);
  }
}

TEST(JobMachine, WhatFailedBeforeARetryEndsNothingOfIt) {
  Log log;
  JobSpec spec;
  spec.argv = {"x"};
  spec.tasks = {{1, 4, 1}};
  spec.many = true;
  spec.max_fails = 0;
  log.apply(SubmitCommand{log.id, "u", "", encode(spec), {1'000'000}, {named(1)}, 4});
  log.result(0, {1, 5, 1}, Reason::kExit);
  ASSERT_EQ(log.job().head.state, JobState::kFailed);
  ASSERT_EQ(log.job().head.cancelled, 3u);
  log.apply(RetryCommand{log.id, {{1, 3}}, false, {named(1)}, 4});
  const LogIndex round = log.job().head.round;
  log.plain(1, 1, {round, 6, 1});
  EXPECT_EQ(log.job().head.open(), 2u);
  log.result(2, {round, 6, 1}, Reason::kExit);
  EXPECT_EQ(log.job().head.open(), 0u);
  EXPECT_EQ(log.job().head.reason, Reason::kMaxFails);
}

TEST(JobMachine, PartsPausedAndResumedTimeAndAgainTakeNoRoom) {
  Log log;
  log.submit(20'000);
  const std::uint64_t bytes = log.machine.bytes(kGroup);
  std::vector<IndexRun> parts;
  for (std::uint32_t first = 0; first < 4000; first += 4) parts.push_back({first, 2});
  for (std::uint64_t order = 1; order < 40; order += 2) {
    log.apply(HoldCommand{log.id, parts, Hold::kPaused, order});
    EXPECT_GT(log.machine.bytes(kGroup), bytes);
    log.apply(HoldCommand{log.id, parts, Hold::kNone, order + 1});
  }
  EXPECT_EQ(log.machine.bytes(kGroup), bytes);
}

TEST(JobMachine, WhatIsOpenedAnewWhileOthersGoOnTakesNoRoomAndFormerAttemptsCountNoMore) {
  Log log;
  log.submit(20'000);
  const LogIndex first = log.job().head.round;
  const std::uint64_t bytes = log.machine.bytes(kGroup);
  std::vector<LogIndex> rounds;
  for (const std::uint32_t count : {15'000, 10'000}) {
    log.apply(CancelCommand{log.id, {{0, count}}, {1'000'500}, "u", {}, 0});
    ASSERT_EQ(log.job().head.cancelled, count);
    log.apply(RetryCommand{log.id, {}, false, {}, 0});
    rounds.push_back(log.job().head.round);
  }
  EXPECT_TRUE(log.job().details.empty());
  EXPECT_LT(log.machine.bytes(kGroup), bytes + 1000);
  const auto check = [&](const Job& job) {
    EXPECT_EQ(job.opened(9999), rounds[1]);
    EXPECT_EQ(job.opened(14'999), rounds[0]);
    EXPECT_EQ(job.opened(15'000), first);
    EXPECT_FALSE(job.counts(9999, {rounds[0], 6, 1}));
    EXPECT_TRUE(job.counts(14'999, {rounds[0], 6, 1}));
    EXPECT_FALSE(job.counts(14'999, {first, 6, 1}));
    EXPECT_TRUE(job.counts(15'000, {first, 6, 1}));
  };
  check(log.job());
  JobMachine other;
  ASSERT_TRUE(other.restore(kGroup, log.machine.snapshot(kGroup)).has_value());
  check(*other.find(kGroup, log.id));
  // Once all of it was over, nothing of that tells.
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {}, 0});
  log.apply(RetryCommand{log.id, {}, false, {}, 0});
  EXPECT_EQ(log.job().opened(3), log.job().head.round);
  EXPECT_EQ(log.job().opened(12'000), log.job().head.round);
}

TEST(JobMachine, ALateSuccessOfALostAttemptClosesTheTask) {
  Log log;
  log.submit(1);
  log.lost(0, 1, {1, 5, 1}, 1, true);
  log.result(0, {1, 5, 1}, Reason::kExit);
  EXPECT_EQ(log.job().head.failed, 0u);
  log.plain(0, 1, {1, 5, 1});
  EXPECT_EQ(log.job().head.state, JobState::kDone);
}

TEST(JobMachine, LossesUseUpNoRetryAndThreeLostNodesFailTheTask) {
  Log log;
  log.submit(2);
  for (std::uint32_t n = 1; n <= 9; ++n) log.lost(1, 1, {1, 5, n}, 4, false);
  EXPECT_EQ(log.job().head.failed, 0u);
  log.lost(0, 1, {1, 5, 1}, 1, true);
  log.lost(0, 1, {1, 5, 1}, 1, true);
  log.lost(0, 1, {1, 5, 2}, 2, true);
  EXPECT_EQ(log.job().head.failed, 0u);
  log.lost(0, 1, {1, 5, 3}, 3, true);
  EXPECT_EQ(log.job().head.failed, 1u);
  const TaskView view = view_of(log.job(), 0);
  EXPECT_EQ(view.reason, Reason::kCrashLimit);
  EXPECT_EQ(view.detail, "suspected of killing its hosts: " + named(1).short_text() + ", " +
                             named(2).short_text() + ", " + named(3).short_text());
}

TEST(JobMachine, WhatWasTakenForLostAndSucceedsAfterAllBearsNoTraceOfIt) {
  for (const bool is_plain : {false, true}) {
    Log log;
    log.submit(2);
    log.lost(0, 1, {1, 5, 1}, 1, false);
    EXPECT_EQ(attempts_of(log.job(), 0, view_of(log.job(), 0)).at(0).detail,
              "given back by its host");
    if (is_plain) {
      log.plain(0, 1, {1, 5, 1});
    } else {
      log.result(0, {1, 5, 1}, Reason::kNone);
    }
    const AttemptView attempt = attempts_of(log.job(), 0, view_of(log.job(), 0)).at(0);
    EXPECT_EQ(attempt.outcome, "done");
    EXPECT_EQ(attempt.exit_code, 0);
    EXPECT_EQ(attempt.detail, "");
  }
}

TEST(JobMachine, ATaskThatLivingNodesLoseAgainAndAgainFailsInTheEnd) {
  Log log;
  log.submit(1);
  for (std::uint32_t n = 1; n < kMaxLosses; ++n) log.lost(0, 1, {1, 5, n}, 4, false);
  EXPECT_EQ(log.job().head.failed, 0u);
  log.lost(0, 1, {1, 5, kMaxLosses}, 4, false);
  EXPECT_EQ(log.job().head.failed, 1u);
  EXPECT_EQ(view_of(log.job(), 0).reason, Reason::kCrashLimit);
  EXPECT_EQ(view_of(log.job(), 0).detail, "lost 1000 times by living nodes");
}

TEST(JobMachine, ATaskThatIsGivenBackAgainAndAgainFailsInTheEndAndTakesNoMoreRoom) {
  Log log;
  log.submit(1);
  const auto give_back = [&](std::uint32_t from, std::uint32_t end) {
    for (std::uint32_t n = from; n < end; ++n) {
      const TaskRun run{0, 1, {1, 5, n}};
      log.apply(LostCommand{log.id, named(4), false, {run}, {1'000'900}, {run}});
    }
  };
  give_back(1, 2 * kMaxAttemptRecords);
  const std::uint64_t bytes = log.job().bytes;
  give_back(2 * kMaxAttemptRecords, kMaxGivenBack);
  EXPECT_EQ(log.job().bytes, bytes);
  EXPECT_EQ(log.job().head.failed, 0u);
  give_back(kMaxGivenBack, kMaxGivenBack + 1);
  EXPECT_EQ(log.job().head.failed, 1u);
  EXPECT_EQ(view_of(log.job(), 0).detail, "lost 100000 times by living nodes");
}

TEST(JobMachine, AFinalJobRemembersNobodyWhoWasProbed) {
  Log log;
  log.submit(1);
  EXPECT_EQ(log.job().head.probed.size(), 1u);
  log.plain(0, 1, {1, 5, 1});
  ASSERT_TRUE(log.job().is_final());
  EXPECT_TRUE(log.job().head.probed.empty());
}

TEST(JobMachine, ANodeLostAgainAndAgainIsOneAndWhatWaitedOnItIsNotSuspected) {
  Log log;
  log.submit(2);
  for (std::uint32_t n = 1; n <= 9; ++n) log.lost(0, 1, {1, 5, n}, 4, true);
  for (std::uint8_t n = 1; n <= 9; ++n) {
    const TaskRun run{1, 1, {1, 5, n}};
    log.apply(LostCommand{log.id, named(n), true, {run}, {1'000'900}, {run}});
  }
  EXPECT_EQ(log.job().head.failed, 0u);
  EXPECT_EQ(log.job().details.at(0).lost_on.size(), 1u);
  EXPECT_TRUE(log.job().details.at(1).lost_on.empty());
}

TEST(JobMachine, ACancelledAttemptKeepsItsNodeItsStartAndItsNumber) {
  Log log;
  log.submit(3);
  log.lost(1, 1, {1, 5, 1}, 2, false);
  const CancelledOn on{named(7), {1'000'200}, {{0, 1, {1, 5, 1}}, {1, 1, {1, 6, 2}}}};
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {on}});
  const TaskView view = view_of(log.job(), 1);
  EXPECT_EQ(view.state, TaskState::kCancelled);
  EXPECT_EQ(view.node, named(7));
  EXPECT_EQ(view.attempt, 2u);
  EXPECT_EQ(view.started_at.ms, 1'000'200);
  EXPECT_EQ(view.finished_at.ms, 1'000'600);
  EXPECT_EQ(view.duration_ms, 400);
  const TaskView never_ran = view_of(log.job(), 2);
  EXPECT_EQ(never_ran.attempt, 0u);
  EXPECT_EQ(never_ran.started_at.ms, 0);
  EXPECT_EQ(log.job().head.started.ms, 1'000'200);
}

// What attempt 5.1 of task 0, in its first round, has used when it is gone at last.
CompleteCommand usage_of(const Log& log, std::uint32_t task, Attempt attempt) {
  NodeResults results{log.id, named(7), 2, 0, {}};
  results.batch.dropped.push_back({task, attempt, {1'000'900}, 700, 55, 3 << 20});
  return CompleteCommand{{results}};
}

TEST(JobMachine, WhatACancelledAttemptHasUsedIsAddedWhenItIsGone) {
  Log log;
  log.submit(2);
  const CancelledOn on{named(7), {1'000'200}, {{0, 1, {1, 5, 1}}}};
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {on}});
  EXPECT_FALSE(view_of(log.job(), 0).cpu_ms.has_value());
  log.apply(usage_of(log, 0, {1, 5, 1}));
  const TaskView view = view_of(log.job(), 0);
  EXPECT_EQ(view.state, TaskState::kCancelled);
  EXPECT_EQ(view.cpu_ms, 55);
  EXPECT_EQ(view.max_rss, 3U << 20);
  EXPECT_EQ(view.started_at.ms, 1'000'200);
  EXPECT_EQ(view.finished_at.ms, 1'000'900) << "it had its grace";
  EXPECT_EQ(attempts_of(log.job(), 0, view).front().max_rss, 3U << 20);
  EXPECT_EQ(log.job().head.cancelled, 2u);
}

TEST(JobMachine, UsageOfAnAttemptThatWasNotCancelledChangesNothing) {
  Log log;
  log.submit(2);
  log.apply(usage_of(log, 0, {1, 5, 1}));  // given up while its task is open
  EXPECT_EQ(view_of(log.job(), 0).state, TaskState::kQueued);
  EXPECT_EQ(view_of(log.job(), 0).attempt, 0u);
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {}});
  const std::uint64_t bytes = log.job().bytes;
  log.apply(usage_of(log, 0, {1, 5, 1}));  // the cancellation knew of nobody who ran
  EXPECT_FALSE(view_of(log.job(), 0).node.has_value());
  EXPECT_EQ(log.job().bytes, bytes);
}

TEST(JobMachine, WhatComesAfterACancellationIsDiscarded) {
  Log log;
  log.submit(3);
  log.plain(0, 1, {1, 5, 1});
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {}});
  log.plain(1, 2, {1, 5, 1});
  EXPECT_EQ(log.job().head.state, JobState::kCancelled);
  EXPECT_EQ(log.job().head.done, 1u);
  EXPECT_EQ(log.job().head.cancelled, 2u);
  EXPECT_EQ(log.machine.open_jobs(kGroup).size(), 0u);
}

TEST(JobMachine, ResultsOfAnotherRoundAreDiscarded) {
  Log log;
  log.submit(1);
  log.plain(0, 1, {2, 5, 1});
  log.result(0, {0, 5, 1}, Reason::kExit);
  EXPECT_EQ(log.job().head.open(), 1u);
}

TEST(JobMachine, WhatComesLateOfAFormerJobOfTheSameIdIsDiscarded) {
  Log log;
  log.submit(2);
  const Attempt former{log.job().head.round, 5, 1};
  log.plain(0, 2, former);
  log.apply(DeleteCommand{log.id});
  log.submit(2);
  log.plain(0, 1, former);
  log.result(1, former, Reason::kNone);
  log.apply(LogsCommand{log.id, named(1), 1, {{0, former, {{false, 0, BlobRef{}, 0, 9}}}}});
  EXPECT_EQ(log.job().head.open(), 2u);
  EXPECT_TRUE(log.job().details.empty());
  log.plain(0, 2, {log.job().head.round, 5, 1});
  EXPECT_EQ(log.job().head.state, JobState::kDone);
}

TEST(JobMachine, AMillionTasksCostTenBytesEachAndNoDetail) {
  Log log;
  log.submit(1'000'000);
  for (std::uint32_t first = 0; first < 1'000'000; first += 10'000) {
    log.plain(first, 10'000, {1, 5, 1});
  }
  EXPECT_EQ(log.job().head.state, JobState::kDone);
  EXPECT_TRUE(log.job().details.empty());
  EXPECT_LT(log.machine.snapshot(kGroup).size(), 9'100'000u);
}

TEST(JobMachine, KnowsAboutHowLongASnapshotIs) {
  Log log;
  log.submit(5000, 9);
  log.plain(0, 4000, {1, 5, 1});
  for (std::uint32_t i = 4000; i < 4500; ++i) log.result(i, {1, 5, 1}, Reason::kExit);
  log.lost(4500, 500, {1, 5, 1}, 2, true);
  const std::size_t length = log.machine.snapshot(kGroup).size();
  EXPECT_GE(log.machine.bytes(kGroup), length);
  EXPECT_LE(log.machine.bytes(kGroup), 3 * length);
  JobMachine copy;
  ASSERT_TRUE(copy.restore(kGroup, log.machine.snapshot(kGroup)).has_value());
  EXPECT_GE(copy.bytes(kGroup) + 100, length);
  log.apply(CancelCommand{log.id, {}, {1'000'600}, "u", {}});
  log.apply(DeleteCommand{log.id});
  EXPECT_EQ(log.machine.bytes(kGroup), 0u);
}

TEST(JobMachine, RowsBringTheStateBackInAnyOrder) {
  Log log;
  log.submit(9000, 2);
  log.plain(100, 8000, {1, 5, 1});
  log.result(8500, {1, 5, 1}, Reason::kExit);
  log.lost(8600, 20, {1, 5, 1}, 3, true);
  Rows rows;
  log.machine.take_dirty(rows);
  ASSERT_GE(rows.size(), 4u);
  for (const bool backwards : {false, true}) {
    JobMachine again;
    std::vector<std::pair<std::string, Bytes>> order;
    for (const auto& [key, value] : rows) order.emplace_back(key, *value);
    if (backwards) std::reverse(order.begin(), order.end());
    for (const auto& [key, value] : order) {
      ASSERT_TRUE(again.recover_row(key, value).has_value()) << key;
    }
    EXPECT_EQ(again.snapshot(kGroup), log.machine.snapshot(kGroup));
    EXPECT_EQ(again.open_jobs(kGroup).size(), 1u);
  }
  Rows nothing;
  log.machine.take_dirty(nothing);
  EXPECT_TRUE(nothing.empty());
}

TEST(JobMachine, ASnapshotReplacesEverythingAndErasesFormerRows) {
  Log log;
  log.submit(10);
  log.plain(0, 5, {1, 5, 1});
  JobMachine other;
  const JobId old = *JobId::from_text("ac11111111");
  SubmitCommand submit{old, "u", "", {}, {1}, {}, 1};
  JobSpec spec;
  spec.argv = {"y"};
  submit.spec = encode(spec);
  ASSERT_TRUE(other.apply(kGroup, 1, encode_command(submit)).has_value());
  Rows rows;
  other.take_dirty(rows);
  rows.clear();
  ASSERT_TRUE(other.restore(kGroup, log.machine.snapshot(kGroup)).has_value());
  EXPECT_EQ(other.snapshot(kGroup), log.machine.snapshot(kGroup));
  other.take_dirty(rows);
  EXPECT_FALSE(rows.at("job/1/" + old.text()).has_value());
  EXPECT_TRUE(rows.at("job/1/" + log.id.text()).has_value());
}

TEST(JobMachine, DamagedRowsAndSnapshotsAreErrorsNotCrashes) {
  Log log;
  log.submit(10);
  const Bytes good = log.machine.snapshot(kGroup);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x55;
    JobMachine machine;
    (void)machine.restore(kGroup, bad);
    bad.resize(i);
    (void)machine.restore(kGroup, bad);
  }
  JobMachine machine;
  EXPECT_FALSE(machine.recover_row("job/x/y", Bytes{}).has_value());
  EXPECT_FALSE(machine.recover_row("job/600/ab00000000", Bytes{}).has_value());
  EXPECT_FALSE(machine.apply(kGroup, 1, Bytes{9, 9}).has_value());
}

TEST(JobMachine, ALogsMessageThatComesTwiceAddsNothing) {
  Log log;
  log.submit(1);
  LogPiece piece;
  piece.offset = 0;
  piece.length = 10;
  piece.segment.length = 10;
  const LogsCommand logs{log.id, named(1), 1, {{0, {1, 5, 1}, {piece}}}};
  log.apply(logs);
  log.apply(logs);
  EXPECT_EQ(log.job().details.at(0).attempts.at(0).pieces.size(), 1u);
}

TEST(JobMachine, APieceThatBeginsWithKnownBytesBringsTheOthers) {
  Log log;
  log.submit(1);
  LogPiece piece;
  piece.length = 10;
  piece.segment.length = 40;
  log.apply(LogsCommand{log.id, named(1), 1, {{0, {1, 5, 1}, {piece}}}});
  // After a restart the node packs what it was not told to be safe once more, and what came since.
  piece.at = 7;
  piece.length = 25;
  log.apply(LogsCommand{log.id, named(1), 2, {{0, {1, 5, 1}, {piece}}}});
  const auto& pieces = log.job().details.at(0).attempts.at(0).pieces;
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[1].offset, 10u);
  EXPECT_EQ(pieces[1].at, 17u);
  EXPECT_EQ(pieces[1].length, 15u);
}

LogsCommand logs_of(const JobId& job, const Attempt& attempt, std::uint8_t on) {
  AttemptLogs logs;
  logs.attempt = attempt;
  LogPiece piece;
  piece.length = 5;
  piece.segment = {BlobId{}, 5};
  logs.pieces.push_back(piece);
  return {job, named(on), 1, {logs}};
}

// A start leaves no trace in the log: when it is lost with the coordinator, the next epoch's
// attempt bears the same number.
TEST(JobMachine, TwoAttemptsOfOneNumberAreNeverTakenForEachOther) {
  const Attempt first{1, 4, 1}, second{1, 6, 1};
  Log log;
  log.submit(1);
  log.apply(logs_of(log.id, first, 1));
  log.apply(logs_of(log.id, second, 2));
  ReadLog read;
  read.attempt = 1;
  EXPECT_EQ(place_of(log.job(), 0, read, std::nullopt).attempt, second);
  read.of = first;
  EXPECT_EQ(place_of(log.job(), 0, read, std::nullopt).attempt, first);
  const std::pair running{named(3), Attempt{1, 8, 1}};
  EXPECT_EQ(place_of(log.job(), 0, read, running).attempt, first);
  read.of = {};
  EXPECT_EQ(place_of(log.job(), 0, read, running).attempt, running.second);
}

TEST(JobMachine, LateOutputOfAnAttemptGivenUpIsNotTheTasksOutput) {
  for (const bool is_success : {true, false}) {
    Log log;
    log.submit(1);
    if (is_success) {
      log.plain(0, 1, {1, 6, 1}, 2);
    } else {
      log.result(0, {1, 6, 1}, Reason::kExit, 2);
    }
    log.apply(logs_of(log.id, {1, 4, 1}, 1));
    const TaskView view = view_of(log.job(), 0);
    EXPECT_EQ(view.node, named(2));
    EXPECT_EQ(view.exit_code, is_success ? 0 : 7);
    EXPECT_EQ(view.reason, is_success ? Reason::kNone : Reason::kExit);
    const LogPlace place = place_of(log.job(), 0, ReadLog{}, std::nullopt);
    EXPECT_TRUE(place.exists && place.is_over);
    EXPECT_TRUE(place.pieces.empty());
  }
}

TEST(JobMachine, OnlyAFinalJobIsDeleted) {
  Log log;
  log.submit(1);
  log.apply(DeleteCommand{log.id});
  EXPECT_NE(log.machine.find(kGroup, log.id), nullptr);
  log.plain(0, 1, {1, 5, 1});
  log.apply(DeleteCommand{log.id});
  EXPECT_EQ(log.machine.find(kGroup, log.id), nullptr);
}

}  // namespace
}  // namespace dunlin::sched
