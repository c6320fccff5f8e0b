// What is long is bounded: results, lists of what is held, orders. Nothing that a user may ask for
// stops a job because a message or an entry would be too long for it.
#include <gtest/gtest.h>

#include "dht/router.h"
#include "sched/commands.h"
#include "sched/group_requests.h"
#include "sched/leader_desk.h"
#include "sched/lone_scheduler.h"
#include "sched/messages.h"
#include "sched/results.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TaskView first_task(Cluster& cluster, const JobId& job) {
  const Result<JobAnswer> answer = cluster.call(0, ListTasks{job, {}, std::nullopt, 0, 1});
  if (!answer || std::get<TaskList>(*answer).tasks.empty()) return {};
  return std::get<TaskList>(*answer).tasks[0];
}

TEST(Limits, APageOfTasksBeginsAtTheNumberAskedForBeItZero) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"true"}, 3);
  spec.tasks = {{0, 4, 2}};
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  const auto page = [&](std::uint32_t from) {
    const Result<JobAnswer> answer = cluster.call(0, ListTasks{job, {}, std::nullopt, from, 2});
    std::vector<std::uint32_t> numbers;
    if (!answer) return numbers;
    for (const TaskView& view : std::get<TaskList>(*answer).tasks) numbers.push_back(view.task);
    return numbers;
  };
  EXPECT_EQ(page(0), (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(page(3), (std::vector<std::uint32_t>{4}));
  EXPECT_EQ(page(5), std::vector<std::uint32_t>{});
}

// Processes, descriptors, memory: it is the host that lacks them, and no task fails for it.
TEST(Limits, WhatAHostCannotStartRunsElsewhere) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"lacks-means-on", "n1", "20"}, 60));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.is_final(job); }, seconds(120)));
  const auto answer = cluster.call(0, ListTasks{job, {}, std::nullopt});
  ASSERT_TRUE(answer.has_value());
  for (const TaskView& task : std::get<TaskList>(*answer).tasks) {
    EXPECT_EQ(task.state, TaskState::kDone);
    EXPECT_NE(task.node, cluster.id(1));
  }
}

TEST(Limits, WhereNoHostCanStartItATaskWaitsAndExplainSaysWhy) {
  ClusterOptions options;
  options.nodes = 1;
  Cluster cluster(options);
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"lacks-means-on", "n0", "20"}, 1));
  cluster.run_for(seconds(30));
  EXPECT_FALSE(cluster.is_final(job));
  const Result<JobAnswer> answer = cluster.call(0, ExplainTask{job, 1}, seconds(5));
  ASSERT_TRUE(answer.has_value());
  const Explained& said = std::get<Explained>(*answer);
  ASSERT_EQ(said.nodes.size(), 1U);
  EXPECT_EQ(said.nodes[0].verdict, FitVerdict::kRefused);
  EXPECT_TRUE(said.nodes[0].detail.starts_with("it could not start a process: Resource temp"))
      << said.nodes[0].detail;
}

TEST(Limits, WithTheirTasksComeTheLogsThatTheResultsHoldWhole) {
  Cluster cluster({});
  const auto listed = [&](const char* bytes) {
    const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", bytes, "10"}, 3));
    EXPECT_TRUE(cluster.run_until([&] { return cluster.is_final(job); }, seconds(60)));
    const auto without = cluster.call(0, ListTasks{job, {}, {}});
    EXPECT_TRUE(std::get<TaskList>(*without).logs.empty());
    const auto answer = cluster.call(0, ListTasks{job, {}, {}, 0, 10, 0});
    return std::pair(job, std::get<TaskList>(*answer));
  };
  const auto [small, list] = listed("300");
  ASSERT_EQ(list.logs.size(), 3U);
  EXPECT_EQ(as_text(list.logs[1].out), cluster.read_log(0, small, 2));
  EXPECT_EQ(list.logs[1].task, 2U);
  EXPECT_EQ(list.logs[1].attempt.number, 1U);
  EXPECT_TRUE(list.logs[1].err.empty());
  const auto [large, others] = listed("200000");
  EXPECT_EQ(others.tasks.size(), 3U);
  EXPECT_TRUE(others.logs.empty()) << "they lie in segments";
}

TEST(Limits, ManyTasksWithAThousandOutputsEachEnd) {
  Cluster cluster({.nodes = 3, .cpus = 8});
  JobSpec spec = cluster.spec({"make-many", "1000", "250"}, 40);
  spec.outputs = {"*"};
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  EXPECT_TRUE(cluster.ends(job, seconds(120)));
  EXPECT_EQ(cluster.job(job)->head.done, 40u);
  EXPECT_EQ(first_task(cluster, job).outputs.size(), 1000u);
  for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
}

TEST(Limits, MoreOutputsThanAResultMayNameFailTheTaskWithALine) {
  Cluster cluster({});
  const auto fails_with = [&](const char* files, const char* length, const std::string& line) {
    JobSpec spec = cluster.spec({"make-many", files, length});
    spec.outputs = {"*"};
    const JobId job = cluster.submit(0, GroupId{1}, spec);
    ASSERT_TRUE(cluster.ends(job, seconds(60)));
    const TaskView view = first_task(cluster, job);
    EXPECT_EQ(view.state, TaskState::kFailed);
    EXPECT_EQ(view.reason, Reason::kDisk);
    EXPECT_NE(view.detail.find(line), std::string::npos) << view.detail;
  };
  fails_with("1001", "10", "more than 1000 output files");
  fails_with("900", "900", "longer than 640 KiB");
  for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
}

TEST(Limits, TheLongestResultFitsIntoAnEntry) {
  TaskResult result;
  result.detail.assign(kMaxDetail, 'x');
  result.out.bytes.resize(kMaxInlineOutput);
  result.err.bytes.resize(kMaxInlineOutput);
  std::size_t bytes = 0;
  for (;;) {
    OutputFile output{"n", 1 << 20, 0644, {BlobRef{}}};
    bytes += encoded_size(output);
    if (bytes > kMaxOutputListBytes) break;
    result.outputs.push_back(output);
  }
  EXPECT_LE(encode(result).size(), encoded_size(result));
  EXPECT_LE(encoded_size(result), kMaxBatchBytes);
  NodeResults results;
  results.batch.others.push_back(result);
  EXPECT_LE(encode_command(CompleteCommand{{results}}).size(), kMaxCommandBytes);
}

// A snapshot that is too long could bring up no replica any more.
TEST(Limits, AGroupWhoseRecordsAreLongTakesNoMoreUntilSomeAreDeleted) {
  ClusterOptions options;
  options.most_group_bytes = 400'000;
  Cluster cluster(options);
  const GroupId group{1};
  cluster.lead(group, 0);
  JobSpec talkative = cluster.spec({"print", "3000", "80"}, 60);
  talkative.keep = {};
  const JobId first = cluster.submit(0, group, talkative);
  ASSERT_TRUE(cluster.ends(first, seconds(30)));
  const JobId second = cluster.submit(0, group, talkative);
  ASSERT_TRUE(cluster.run_until(
      [&] {
        const JobSummary job = cluster.show(second);
        return job.reason == Reason::kLimit && job.tasks.running == 0 && job.tasks.waiting > 0;
      },
      seconds(30)));
  const Result<JobAnswer> refused =
      cluster.call(0, SubmitJob{cluster.make_id(group), "u", "", cluster.spec({"work", "1"})});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_TRUE(cluster.ends(second, kLeastKeep * 2));
  EXPECT_EQ(cluster.show(second).state, JobState::kDone);
  for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
}

TEST(Limits, OutputRidesInResultsOnlyWhileTheJobsRecordIsShort) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "4000", "1"}, 6000));
  ASSERT_TRUE(cluster.ends(job, seconds(300)));
  std::size_t inlined = 0;
  std::size_t apart = 0;
  for (const auto& [index, detail] : cluster.job(job)->details) {
    const bool is_inline = !detail.attempts.back().out.bytes.empty();
    inlined += is_inline ? 1 : 0;
    apart += !is_inline && !detail.attempts.back().pieces.empty() ? 1 : 0;
  }
  EXPECT_EQ(inlined + apart, 6000u);
  EXPECT_GE(inlined, 3000u);
  EXPECT_GE(apart, 1000u);
  EXPECT_LT(cluster.job(job)->bytes, kMostInlineOfJob * 3 / 2);
  EXPECT_EQ(cluster.read_log(0, job, 6000).size(), 4000u);
}

// ---- what is held, in parts ---------------------------------------------------------------------

TEST(Limits, AnExecutorListsWhatItHoldsInPartsThatFitIntoAMessage) {
  constexpr std::uint32_t kJobs = 9000;
  const GroupId group{1};
  LoneScheduler node(kJobs);
  JobSpec spec;
  spec.argv = {"x"};
  std::array<std::uint8_t, 10> chance{};
  for (std::uint32_t i = 0; i < kJobs; ++i) {
    chance[2] = static_cast<std::uint8_t>(i % 36);
    chance[3] = static_cast<std::uint8_t>(i / 36 % 36);
    chance[4] = static_cast<std::uint8_t>(i / 1296);
    const JobId job = JobId::make(group, 256, chance);
    node.say(Probe{group, 5, job, "u", 0, 1, 0, 1});
    const std::vector<Pull> pulls = node.take<Pull>();
    ASSERT_EQ(pulls.size(), 1u);
    node.say(Bind{group, 5, job, pulls[0].pull, {{0, 1, {1, 5, 1}}}, 0, encode(spec)});
  }
  std::set<JobId> listed;
  JobId after;
  std::size_t parts = 0;
  for (bool more = true; more; ++parts) {
    node.said.clear();
    node.say(AskHeld{group, 6, after});
    const std::vector<HeldList> lists = node.take<HeldList>();
    ASSERT_EQ(lists.size(), 1u);
    EXPECT_LE(encode_frame(lists[0]).size(), kMaxHeldBytes);
    EXPECT_EQ(lists[0].span.after, after);
    for (const JobHeld& held : lists[0].jobs) EXPECT_TRUE(listed.insert(held.job).second);
    more = lists[0].span.up_to.has_value();
    if (more) after = *lists[0].span.up_to;
  }
  EXPECT_EQ(listed.size(), kJobs);
  EXPECT_EQ(parts, 2u);
}

TEST(Limits, ACoordinatorAsksForTheNextPartUntilTheLast) {
  const GroupId group{1};
  LoneScheduler node(1);
  node.tell([&](Effects& out) { node.scheduler().leading(Instant{2000}, group, 5, out); });
  const auto* read = std::get_if<ReadGroup>(&node.events.at(0));
  ASSERT_NE(read, nullptr);
  const std::uint64_t token = read->token;
  node.tell([&](Effects& out) {
    node.scheduler().on_read_ready(Instant{2100}, group, token, true, out);
  });
  const JobId job = *JobId::from_text("ab00000000");
  const JobHeld held{job, 1, false, {{0, 1, {1, 4, 1}}}};
  node.said.clear();
  node.say(HeldList{group, 5, 1, 1, {{}, job}, {held}});
  EXPECT_EQ(node.said.size(), 1u);  // the drop of a job that the log does not know
  node.tick();
  std::vector<AskHeld> asked = node.take<AskHeld>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].after, job);
  // The same part again moves nothing; the last one ends it.
  node.say(HeldList{group, 5, 1, 1, {{}, job}, {held}});
  node.tick();
  EXPECT_TRUE(node.take<AskHeld>().empty());
  node.say(HeldList{group, 5, 1, 1, {job, std::nullopt}, {}});
  node.tell([&](Effects& out) { node.scheduler().tick(Instant{90'000'000}, {1}, out); });
  EXPECT_TRUE(node.take<AskHeld>().empty());
}

TEST(Limits, AWaitingJobAsksAllNodesInTurnAndFewAtOnceAndANewcomerAlone) {
  constexpr std::uint32_t kNodes = 1000;
  const GroupId group{1};
  const JobId id = *JobId::from_text("ab00000000");
  const auto node_of = [](std::uint32_t n) {
    NodeId node;
    node.raw[0] = static_cast<std::uint8_t>(n);
    node.raw[1] = static_cast<std::uint8_t>(n >> 8);
    node.raw[2] = 1;
    return node;
  };
  Instant now{1};
  Scheduler scheduler(node_of(0), 1, SchedConfig{}, Random(1));
  std::map<NodeId, SchedMember> members;
  std::vector<RingNode> ring;
  const auto add_member = [&](std::uint32_t n) {
    members[node_of(n)].boot = 1;
    members[node_of(n)].cpus = 16;
    ring.push_back({node_of(n), "", 1});
  };
  for (std::uint32_t n = 0; n < kNodes; ++n) add_member(n);
  LogIndex index = 0;
  const auto commit = [&](const Command& command) {
    Effects out;
    scheduler.apply(now, group, ++index, 5, encode_command(command), out);
    return out;
  };
  // Whom this input makes the coordinator probe, proposals committed at once.
  const auto probed_by = [&](const std::function<void(Effects&)>& input) {
    Effects out;
    input(out);
    std::vector<Send> sends = out.sends;
    for (const SchedEvent& event : scheduler.take_events()) {
      const auto* proposal = std::get_if<Propose>(&event);
      if (proposal == nullptr) continue;
      const Effects more = commit(decode_command(proposal->payload).value());
      sends.insert(sends.end(), more.sends.begin(), more.sends.end());
    }
    std::set<NodeId> nodes;
    for (const Send& sent : sends) {
      const Result<SchedMessage> message = decode_frame(sent.frame);
      if (message && std::holds_alternative<Probe>(*message)) nodes.insert(sent.to);
    }
    return nodes;
  };
  Effects out;
  scheduler.set_members(now, members, Ring(ring), out);
  scheduler.leading(now, group, 5, out);
  const std::uint64_t token = std::get<ReadGroup>(scheduler.take_events().at(0)).token;
  scheduler.on_read_ready(now, group, token, true, out);
  JobSpec spec;
  spec.argv = {"x"};
  commit(SubmitCommand{id, "u", "", encode(spec), {1}, {node_of(0)}, 1});
  std::set<NodeId> all;
  for (int round = 0; round < 40; ++round) {
    now = now + seconds(10);
    const std::set<NodeId> nodes =
        probed_by([&](Effects& more) { scheduler.tick(now, {1}, more); });
    EXPECT_LE(nodes.size(), 256u);
    all.insert(nodes.begin(), nodes.end());
  }
  EXPECT_EQ(all.size(), kNodes);
  add_member(kNodes);
  const std::set<NodeId> asked =
      probed_by([&](Effects& more) { scheduler.set_members(now, members, Ring(ring), more); });
  EXPECT_EQ(asked, std::set<NodeId>{node_of(kNodes)});
}

// The leader of a job's group, which is fed what the group commits and asked what clients ask.
class ListedJob : public ::testing::Test {
 protected:
  void submit(std::uint32_t tasks) {
    Effects out;
    node_.scheduler().leading(Instant{2000}, group_, 5, out);
    confirm_reads();
    JobSpec spec;
    spec.argv = {"x"};
    spec.tasks = {{1, tasks, 1}};
    for (int i = 0; i < 300; ++i) spec.environment["NAME" + std::to_string(i)] = "value";
    apply(SubmitCommand{id, "u", "", encode(spec), {1}, {node_.peer()}, tasks});
  }
  void complete(ResultBatch batch) {
    apply(CompleteCommand{{NodeResults{id, node_.peer(), ++sequence_, 0, std::move(batch)}}});
    node_.scheduler().take_events();
  }
  // The bytes of the answer.
  Bytes page_bytes(std::optional<TaskState> state, std::uint32_t from, std::uint32_t limit) {
    Effects out;
    const GroupRequest question = ListTasks{id, {}, state, from, limit};
    node_.scheduler().on_group_request(Instant{2300}, {1}, 1, node_.peer(), group_,
                                       encode(question), out);
    confirm_reads();
    Bytes answer;
    for (SchedEvent& event : node_.scheduler().take_events()) {
      auto* reply = std::get_if<ReplyGroup>(&event);
      if (reply != nullptr && reply->reply) answer = std::move(*reply->reply);
    }
    return answer;
  }
  TaskList page(std::optional<TaskState> state, std::uint32_t from, std::uint32_t limit) {
    return std::get<TaskList>(decode<GroupAnswer>(page_bytes(state, from, limit)).value());
  }

  const JobId id = *JobId::from_text("ab00000000");

 private:
  void apply(const Command& command) {
    Effects out;
    node_.scheduler().apply(Instant{2200}, group_, ++index_, 5, encode_command(command), out);
  }
  void confirm_reads() {
    Effects out;
    for (const SchedEvent& event : node_.scheduler().take_events()) {
      const auto* asked = std::get_if<ReadGroup>(&event);
      if (asked == nullptr) continue;
      node_.scheduler().on_read_ready(Instant{2100}, group_, asked->token, true, out);
    }
  }

  const GroupId group_{1};
  LoneScheduler node_{1};
  LogIndex index_ = 0;
  std::uint64_t sequence_ = 0;
};

TEST_F(ListedJob, TheFewFailedOfMillionsOfTasksAreFoundAPageAtATime) {
  constexpr std::uint32_t kTasks = 2'000'000;
  submit(kTasks);
  for (std::uint32_t first = 0; first < kTasks; first += kMaxBatchTasks) {
    ResultBatch batch;
    PlainResults plain;
    plain.run = {first, std::min(kMaxBatchTasks, kTasks - first), {1, 5, 1}};
    if (first == 0) plain.run = {1, kMaxBatchTasks - 1, {1, 5, 1}};
    batch.plain.push_back(plain);
    complete(batch);
  }
  TaskResult failed;
  failed.attempt = {1, 5, 1};
  failed.reason = Reason::kExit;
  failed.exit_code = 3;
  ResultBatch batch;
  batch.others.push_back(failed);
  complete(batch);
  for (const TaskState state : {TaskState::kFailed, TaskState::kQueued, TaskState::kRunning}) {
    std::size_t listed = 0;
    std::uint32_t from = 0;
    for (;;) {
      const TaskList list = page(state, from, 100);
      listed += list.tasks.size();
      if (!list.next) break;
      ASSERT_GT(*list.next, from);
      ASSERT_LE(*list.next - from, kMaxTasksScanned + 1);
      from = *list.next;
    }
    EXPECT_GT(from, kTasks - kMaxTasksScanned) << "all of them are looked through";
    EXPECT_EQ(listed, state == TaskState::kFailed ? 1U : 0U);
  }
}

TEST_F(ListedJob, APageOfManyOutputsWithLongNamesFitsIntoAnAnswer) {
  constexpr std::uint32_t kTasks = 40;
  submit(kTasks);
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    TaskResult result;
    result.index = i;
    result.attempt = {1, 5, 1};
    for (int n = 0; n < 100; ++n) {
      result.outputs.push_back({std::string(4000, 'n') + std::to_string(n), 0, 0644, {}});
    }
    ResultBatch batch;
    batch.others.push_back(std::move(result));
    complete(std::move(batch));
  }
  std::size_t listed = 0;
  for (std::optional<std::uint32_t> from = 0; from;) {
    EXPECT_LE(page_bytes({}, *from, kTasks).size(), Router::kMaxBody);
    const TaskList list = page({}, *from, kTasks);
    listed += list.tasks.size();
    from = list.next;
  }
  EXPECT_EQ(listed, kTasks);
}

TEST(Fatal, ACommittedEntryThatMakesNoSenseStopsTheNode) {
  Scheduler scheduler(NodeId{}, 1, SchedConfig{}, Random(1));
  const auto fatal_line = [&](const Bytes& payload) -> std::string {
    Effects out;
    scheduler.apply(Instant{1}, GroupId{3}, 17, 2, payload, out);
    for (const SchedEvent& event : scheduler.take_events()) {
      if (const auto* fatal = std::get_if<SchedFatal>(&event)) return fatal->text;
    }
    return {};
  };
  const std::string of_a_later_version = fatal_line(Bytes{99, 1, 2});
  EXPECT_NE(of_a_later_version.find("entry 17 of group 3"), std::string::npos);
  EXPECT_NE(of_a_later_version.find("newer dunlin"), std::string::npos);
  EXPECT_NE(fatal_line(Bytes{}), "");
  EXPECT_NE(fatal_line(Bytes{kCommandVersion, 0xc1}), "");
  const JobId id = *JobId::from_text("ab00000000");
  EXPECT_NE(fatal_line(encode_command(SubmitCommand{id, "u", "", Bytes{1}, {1}, {}, 1})), "");
  // What is merely too late is none of that.
  EXPECT_EQ(fatal_line(encode_command(CancelCommand{id, {}, {1}, "u", {}})), "");
}

}  // namespace
}  // namespace dunlin::sched::testing
