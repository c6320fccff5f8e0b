// The small parts: columns, runs, numbers, placeholders, the node's queue, epochs, validation.
#include <gtest/gtest.h>

#include "base/random.h"
#include "sched/attempt_runs.h"
#include "sched/epoch_gate.h"
#include "sched/job_views.h"
#include "sched/led_job.h"
#include "sched/messages.h"
#include "sched/named.h"
#include "sched/reservation_queue.h"
#include "sched/task_columns.h"
#include "sched/task_command.h"
#include "sched/task_numbers.h"
#include "sched/validate.h"

namespace dunlin::sched {
namespace {

TEST(Holders, AreThoseOfTheNodesAndSoIsWhatIsEnded) {
  Job job;
  JobSpec spec;
  spec.tasks = {{1, 100, 1}};
  spec.many = true;
  job.spec_bytes = encode(spec);
  job.head.total = job.head.bound_below = 100;
  job.columns = TaskColumns(100);
  LedJob led(job, GroupId{1}, false);
  NodeId a, b;
  a.raw[0] = 1;
  b.raw[0] = 2;
  const Attempt first{1, 5, 1}, second{1, 5, 2};
  led.nodes[a].bound.add({10, 20, first});
  led.nodes[a].dropping.add({50, 5, first});
  led.nodes[b].bound.add({0, 10, second});
  led.nodes[b].bound.add({40, 1, second});
  led.nodes[b].dropping.add({52, 8, second});
  const LedJob::Holders holders(led);
  for (std::uint32_t index = 0; index < 100; ++index) {
    EXPECT_EQ(holders.find(index), led.holder(index)) << index;
    EXPECT_EQ(holders.is_dropping(index), index >= 50 && index < 60) << index;
  }
}

TEST(SmallFloat, KeepsAnyMagnitudeWithinATwoThousandth) {
  for (std::uint64_t value = 0; value < (1ULL << 40); value = value * 5 / 4 + 1) {
    const std::uint64_t back = from_small_float(to_small_float(value));
    EXPECT_LE(back, value);
    EXPECT_LE(value - back, value / 1024);
  }
}

TEST(TaskCommand, WhatAJobSetsItselfDoesNotHideWhereItRuns) {
  JobSpec spec;
  spec.environment = {{"DUNLIN_TASK_ID", "9"}, {"MINE", "1"}};
  TaskNames names;
  names.number = 4;
  std::multimap<std::string, std::string> seen;
  for (const auto& variable : task_environment(spec, names)) seen.insert(variable);
  EXPECT_EQ(seen.count("DUNLIN_TASK_ID"), 1u);
  EXPECT_EQ(seen.find("DUNLIN_TASK_ID")->second, "4");
  EXPECT_EQ(seen.count("MINE"), 1u);
}

TEST(TaskColumns, ComeBackFromTheirBytes) {
  TaskColumns columns(10'000);
  columns.close(5, Closed::kDone, {3, 1000, 77, 0, 0});
  columns.close(9'999, Closed::kFailed, {4, 2000, 78, 5, 6});
  TaskColumns again(10'000);
  for (std::uint32_t chunk = 0; chunk < columns.chunk_count(); ++chunk) {
    const Bytes bytes = columns.encode_chunk(chunk);
    if (!bytes.empty()) {
      EXPECT_TRUE(again.decode_chunk(chunk, bytes).has_value());
    }
  }
  EXPECT_TRUE(columns.encode_chunk(1).empty());
  EXPECT_EQ(again.state(5), Closed::kDone);
  EXPECT_EQ(again.row(9'999).rss, 6);
  EXPECT_EQ(again.count(Closed::kOpen), 9'998u);
  EXPECT_FALSE(again.decode_chunk(0, Bytes(17)).has_value());
}

TEST(AttemptRuns, AgreeWithAPlainMapWhateverHappens) {
  Random random(7);
  AttemptRuns runs;
  std::map<std::uint32_t, Attempt> plain;
  for (int step = 0; step < 5000; ++step) {
    TaskRun run{static_cast<std::uint32_t>(random.below(60)),
                static_cast<std::uint32_t>(1 + random.below(12)),
                {1, 1 + random.below(3), 1}};
    if (random.chance(0.5)) {
      runs.add(run);
      for (std::uint32_t i = run.first; i < run.end(); ++i) plain[i] = run.attempt;
    } else {
      std::uint32_t removed = 0;
      for (std::uint32_t i = run.first; i < run.end(); ++i) {
        const auto at = plain.find(i);
        if (at == plain.end() || at->second != run.attempt) continue;
        plain.erase(at);
        ++removed;
      }
      ASSERT_EQ(runs.remove(run), removed);
    }
    ASSERT_EQ(runs.size(), plain.size());
    AttemptRuns again;
    for (const auto& [index, attempt] : plain) {
      ASSERT_EQ(runs.find(index), attempt);
      again.add({index, 1, attempt});
    }
    ASSERT_EQ(runs.digest(), again.digest());
    ASSERT_EQ(runs.runs(), again.runs());
  }
}

TEST(TaskNumbers, NameTheTasksOfRangesWithSteps) {
  const TaskNumbers numbers({{1, 1, 1}, {4, 10, 3}, {20, 22, 1}});
  ASSERT_EQ(numbers.count(), 7u);
  const std::vector<std::uint32_t> expected = {1, 4, 7, 10, 20, 21, 22};
  for (std::uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(numbers.number_of(i), expected[i]);
    EXPECT_EQ(numbers.index_of(expected[i]), i);
  }
  EXPECT_FALSE(numbers.index_of(5).has_value());
  EXPECT_FALSE(numbers.index_of(23).has_value());
  EXPECT_EQ(numbers.indices_of({{4, 21, 1}}), (std::vector<IndexRun>{{1, 5}}));
  EXPECT_EQ(numbers.indices_of({{22, 22, 1}, {1, 4, 1}, {2, 7, 1}}),
            (std::vector<IndexRun>{{0, 3}, {6, 1}}));
  EXPECT_FALSE(are_ascending({{4, 10, 1}, {10, 12, 1}}));
  EXPECT_FALSE(are_ascending({{4, 10, 0}}));
}

TEST(Placeholders, AreThoseOfGnuParallel) {
  JobSpec spec;
  spec.many = true;
  spec.argv = {"a{}b", "{.}", "{/}", "{//}", "{/.}", "{#}", "{x}"};
  const TaskNames names{JobId{}, 7, 1, "dir/sub/file.tar.gz", "n", "s"};
  EXPECT_EQ(task_argv(spec, names),
            (std::vector<std::string>{"adir/sub/file.tar.gzb", "dir/sub/file.tar", "file.tar.gz",
                                      "dir/sub", "file.tar", "7", "{x}"}));
  const TaskNames plain{JobId{}, 7, 1, "file", "n", "s"};
  EXPECT_EQ(replace_placeholders("{.} {/} {//} {/.}", spec, plain), "file file . file");
  EXPECT_EQ(replace_placeholders("{.}", spec, {JobId{}, 1, 1, "a.d/b", "", ""}), "a.d/b");
}

// As printed by: parallel echo '[{.}] [{/}] [{//}] [{/.}]' ::: ENTRY
TEST(Placeholders, OfOddPathsAreWhatGnuParallelPrints) {
  const std::vector<std::pair<std::string, std::string>> printed = {
      {".bashrc", "[] [.bashrc] [.] []"},
      {"d/.b", "[d/] [.b] [d] []"},
      {"foo.", "[foo] [foo.] [.] [foo]"},
      {"x..y", "[x.] [x..y] [.] [x.]"},
      {"/a", "[/a] [a] [/] [a]"},
      {"a/", "[a/] [] [.] []"},
      {"a/b/", "[a/b/] [] [a] []"},
      {"/", "[/] [] [/] []"},
      {"", "[] [] [.] []"},
      {"d.d/b", "[d.d/b] [b] [d.d] [b]"}};
  JobSpec spec;
  spec.many = true;
  for (const auto& [entry, line] : printed) {
    const TaskNames names{JobId{}, 1, 1, entry, "", ""};
    EXPECT_EQ(replace_placeholders("[{.}] [{/}] [{//}] [{/.}]", spec, names), line) << entry;
  }
}

TEST(TaskEnvironment, HasSlurmsVariablesForAScriptWithItsLines) {
  JobSpec spec;
  spec.name = "night";
  spec.cpus = 4;
  const JobId id = JobId::from_text("k3v9x2m4pq").value_or(JobId{});
  const TaskNames names{id, 7, 1, "7", "n", "s"};
  const auto variables = [&] {
    std::string text;
    for (const auto& [name, value] : task_environment(spec, names)) {
      if (name.starts_with("SLURM_")) text += name + "=" + value + " ";
    }
    return text;
  };
  EXPECT_EQ(variables(), "");
  spec.slurm_directory = "/home/me";
  EXPECT_EQ(variables(),
            "SLURM_CPUS_PER_TASK=4 SLURM_JOB_ID=k3v9x2m4pq SLURM_JOB_NAME=night "
            "SLURM_SUBMIT_DIR=/home/me ");
  spec.many = true;
  EXPECT_EQ(variables(),
            "SLURM_ARRAY_JOB_ID=k3v9x2m4pq SLURM_ARRAY_TASK_ID=7 SLURM_CPUS_PER_TASK=4 "
            "SLURM_JOB_ID=k3v9x2m4pq.7 SLURM_JOB_NAME=night SLURM_SUBMIT_DIR=/home/me ");
}

TEST(Placeholders, StayAsTheyAreInASingleCommand) {
  JobSpec spec;
  spec.argv = {"awk", "{print $1}", "{}"};
  EXPECT_EQ(task_argv(spec, {JobId{}, 1, 1, "1", "", ""}), spec.argv);
}

TEST(Placeholders, AnEntryIsAppendedWhereNoneIsUsed) {
  JobSpec spec;
  spec.many = spec.append_entry = true;
  spec.argv = {"gzip"};
  EXPECT_EQ(task_argv(spec, {JobId{}, 1, 1, "a b", "", ""}),
            (std::vector<std::string>{"gzip", "a b"}));
}

// ---- the node's queue ---------------------------------------------------------------------------

JobId job(char c) {
  JobId id;
  id.raw.fill(c);
  return id;
}

const auto kAll = [](const JobId&) { return true; };

TEST(ReservationQueue, GoesByPriorityThenByTheUsersUseThenByAge) {
  ReservationQueue queue;
  const Instant now{seconds(100).us};
  queue.put(job('a'), {"ann", 0, {1, 0}, now});
  queue.put(job('b'), {"ben", 0, {1, 0}, now + milliseconds(1)});
  queue.put(job('c'), {"cat", 5, {1, 0}, now + milliseconds(2)});
  std::map<std::string, std::uint32_t> used = {{"ann", 3}, {"cat", 9}};
  EXPECT_EQ(queue.next(now, {8, 0}, used, kAll), job('c'));
  queue.erase(job('c'));
  EXPECT_EQ(queue.next(now, {8, 0}, used, kAll), job('b'));
  used["ben"] = 3;
  EXPECT_EQ(queue.next(now, {8, 0}, used, kAll), job('a'));
}

TEST(ReservationQueue, WaitingRaisesPriority) {
  ReservationQueue queue;
  queue.put(job('a'), {"ann", 0, {1, 0}, Instant{}});
  const Instant later{(kAgingStep * 6).us};
  queue.put(job('b'), {"ben", 5, {1, 0}, later});
  EXPECT_EQ(queue.next(later, {1, 0}, {}, kAll), job('a'));
}

TEST(ReservationQueue, SmallOnesPassABigOneOnlyForAWhile) {
  ReservationQueue queue;
  queue.put(job('a'), {"ann", 0, {4, 0}, Instant{}});
  queue.put(job('b'), {"ben", 0, {1, 0}, Instant{} + seconds(1)});
  EXPECT_EQ(queue.next(Instant{} + seconds(2), {3, 0}, {}, kAll), job('b'));
  const Instant late = Instant{} + kPassingTime + seconds(1);
  EXPECT_EQ(queue.next(late, {3, 0}, {}, kAll), std::nullopt);
  // Although ben uses less by now, the room that was kept goes to whom it was kept for.
  EXPECT_EQ(queue.next(late, {4, 0}, {{"ann", 4}}, kAll), job('a'));
  queue.served(job('a'), late);
  EXPECT_EQ(queue.next(late, {3, 0}, {{"ann", 4}}, kAll), job('b'));
}

TEST(ReservationQueue, IsBounded) {
  ReservationQueue queue;
  std::array<std::uint8_t, 10> chance{};
  for (std::size_t i = 0; i < kMaxReservations + 10; ++i) {
    for (std::size_t k = 0; k < 4; ++k)
      chance[2 + k] = static_cast<std::uint8_t>((i >> (5 * k)) % 32);
    queue.put(JobId::make(GroupId{0}, 1, chance), {"u", 0, {1, 0}, Instant{}});
  }
  EXPECT_EQ(queue.size(), kMaxReservations);
}

// ---- epochs -------------------------------------------------------------------------------------

TEST(EpochGate, ObeysAHigherEpochOnlyOnceItIsDurableAndNeverALowerOne) {
  EpochGate gate({}, true, 1);
  Effects effects;
  std::vector<SchedEvent> events;
  Turn turn{Instant{}, WallTime{}, effects, events};
  const NodeId old_leader, new_leader = [] {
    NodeId id;
    id.raw[0] = 1;
    return id;
  }();
  const GroupId group{3};
  EXPECT_FALSE(gate.admit(turn, old_leader, group, 5, AskHeld{group, 5, {}}));
  ASSERT_EQ(effects.facts.size(), 1u);
  EXPECT_EQ(effects.facts[0].key, "epoch/3");
  EXPECT_FALSE(gate.admit(turn, new_leader, group, 6, AskHeld{group, 6, {}}));
  EXPECT_TRUE(gate.on_durable(effects.tickets[0]).empty());
  EXPECT_FALSE(gate.admit(turn, old_leader, group, 5, AskHeld{group, 5, {}}));
  EXPECT_EQ(gate.on_durable(effects.tickets[1]).size(), 1u);
  EXPECT_TRUE(gate.admit(turn, new_leader, group, 6, AskHeld{group, 6, {}}));
  EXPECT_FALSE(gate.admit(turn, old_leader, group, 5, AskHeld{group, 5, {}}));

  EpochGate again({}, false, 2);
  ASSERT_TRUE(again.recover("epoch/3", *effects.facts[1].value).has_value());
  EXPECT_EQ(again.epoch(group), 6u);
  EXPECT_FALSE(again.admit(turn, old_leader, group, 5, AskHeld{group, 5, {}}));
  EXPECT_FALSE(again.recover("epoch/x", *effects.facts[1].value).has_value());
  EXPECT_FALSE(again.recover("epoch/3", Bytes{0xc1}).has_value());
}

// Its directory may be an older copy: of one that has obeyed a higher epoch since.
TEST(EpochGate, InALaterLifeObeysOnlyWhoIsKnownToLeadStill) {
  EpochGate gate({}, false, 7);
  Effects effects;
  std::vector<SchedEvent> events;
  Turn turn{Instant{}, WallTime{}, effects, events};
  NodeId leader;
  leader.raw[0] = 1;
  const GroupId group{3};
  const auto asked = [&] {
    std::vector<AskLead> questions;
    for (const Send& send : std::exchange(effects.sends, {})) {
      const Result<SchedMessage> message = decode_frame(send.frame);
      if (message && std::holds_alternative<AskLead>(*message)) {
        questions.push_back(std::get<AskLead>(*message));
      }
    }
    return questions;
  };
  EXPECT_FALSE(gate.is_sound(group));
  EXPECT_FALSE(gate.admit(turn, leader, group, 5, AskHeld{group, 5, {}}));
  EXPECT_FALSE(gate.admit(turn, leader, group, 5, AskHeld{group, 5, {}}));
  const std::vector<AskLead> questions = asked();
  ASSERT_EQ(questions.size(), 1u) << "once in a while";
  EXPECT_EQ(questions[0].epoch, 5u);
  EXPECT_TRUE(effects.facts.empty()) << "it may have been deposed";

  EXPECT_TRUE(gate.on_stands({group, 5, 6}).empty()) << "to an earlier life";
  EXPECT_EQ(gate.on_stands({group, 5, 7}).size(), 2u);
  EXPECT_TRUE(gate.is_sound(group));
  EXPECT_FALSE(gate.admit(turn, leader, group, 4, AskHeld{group, 4, {}})) << "refused";
  EXPECT_FALSE(gate.admit(turn, leader, group, 5, AskHeld{group, 5, {}})) << "not durable yet";
  ASSERT_EQ(effects.tickets.size(), 1u);
  EXPECT_EQ(gate.on_durable(effects.tickets[0]).size(), 1u);
  EXPECT_TRUE(asked().empty());
  EXPECT_FALSE(gate.admit(turn, {}, GroupId{4}, 2, AskHeld{{4}, 2, {}}));
  EXPECT_TRUE(gate.is_sound({4})) << "who leads here needs no proof";
}

// ---- validation ---------------------------------------------------------------------------------

JobSpec good() {
  JobSpec spec;
  spec.argv = {"true"};
  return spec;
}

TEST(Validate, AcceptsAPlainJob) {
  EXPECT_TRUE(validate(good()).has_value());
}

TEST(Validate, TakesNoNulWhereTheSystemTakesNone) {
  const std::string nul("a\0b", 3);
  std::vector<JobSpec> specs(5, good());
  specs[0].name = nul;
  specs[1].environment = {{"A", nul}};
  specs[2].placement.labels = {{"disk", nul}};
  specs[3].placement.labels = {{"", "x"}};
  specs[4].many = true;
  specs[4].tasks = {{1, 1, 1}};
  specs[4].entries = {nul};
  for (const JobSpec& spec : specs) EXPECT_FALSE(validate(spec).has_value());
}

TEST(Validate, RefusesAJobAllOfWhoseNodesAreExcluded) {
  const NodeId one = named(1), other = named(2);
  JobSpec spec = good();
  spec.placement.excluded = {one};
  EXPECT_TRUE(validate(spec));
  spec.placement.nodes = {one, other};
  EXPECT_TRUE(validate(spec));
  spec.placement.excluded = {other, one};
  EXPECT_EQ(validate(spec).error().code, Code::kUsage);
}

TEST(Validate, NamesWhatIsWrong) {
  const auto message = [](const JobSpec& spec) {
    const Result<void> result = validate(spec);
    return result ? std::string("accepted") : result.error().message;
  };
  JobSpec spec = good();
  spec.cpus = 0;
  EXPECT_EQ(message(spec), "a task needs 1 to 65536 cpus");
  spec = good();
  spec.many = true;
  spec.tasks = {{1, 20'000'000, 1}};
  EXPECT_EQ(message(spec), "the job has too many tasks (the limit is 10000000)");
  spec.tasks = {{5, 9, 1}, {9, 10, 1}};
  EXPECT_EQ(message(spec), "task numbers must be ascending ranges that do not overlap");
  spec = good();
  spec.files.push_back({"../etc", 0644, 0, {}});
  EXPECT_EQ(message(spec), "'../etc' lies outside the task's directory");
  spec = good();
  spec.many = true;
  spec.entries = {"a", "b"};
  EXPECT_EQ(message(spec), "with entries the tasks are 1 to the number of entries");
  spec = good();
  spec.environment["A=B"] = "";
  EXPECT_EQ(message(spec), "'A=B' cannot be the name of an environment variable");
  spec = good();
  spec.argv.assign(3000, std::string(100, 'x'));
  EXPECT_EQ(message(spec), "the job's description is too long (the limit is 262144)");
}

TEST(Glob, MatchesAsInAShell) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_glob("a*b*c", "a-b-b-d"));
  EXPECT_TRUE(matches_glob("?x", "ax"));
  EXPECT_FALSE(matches_glob("", "a"));
}

// ---- the wire -----------------------------------------------------------------------------------

TEST(Frames, ComeBackAndDamageIsAnError) {
  Results results{GroupId{1}, job('a'), 3, 9, {}};
  results.batch.plain.push_back({{1, 2, {1, 2, 3}}, {5}, {}, {1, 0, 2, 0}, {}});
  const Bytes frame = encode_frame(results);
  const Result<SchedMessage> back = decode_frame(frame);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(std::get<Results>(*back).batch.plain[0].run, results.batch.plain[0].run);
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bad = frame;
    for (int k = 0; k < 3; ++k)
      bad[random.below(bad.size())] = static_cast<std::uint8_t>(random.next());
    (void)decode_frame(bad);
  }
}

}  // namespace
}  // namespace dunlin::sched
