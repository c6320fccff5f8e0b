// Transcripts of a job's life: probe, pull, bind, results and their commit; a takeover.
#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <variant>

#include "golden/golden.h"
#include "sched/commands.h"
#include "sched/messages.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

// Frames between hosts and entries of logs as a person reads them.
class SchedTranscript {
 public:
  static constexpr std::size_t kHosts = 3;

  explicit SchedTranscript(Cluster& cluster) : cluster_(cluster) {
    cluster.on_frame = [this](std::size_t from, std::size_t to, ByteView frame) {
      const Result<SchedMessage> message = decode_frame(frame);
      begin_line() << "n" << from << " -> n" << to << " "
                   << (message ? std::visit(*this, *message) : "unreadable") << "\n";
    };
    cluster.on_entry = [this](std::size_t leader, GroupId group, ByteView payload) {
      const Result<Command> command = decode_command(payload);
      begin_line() << "n" << leader << " commits in g" << group.value << ": "
                   << (command ? std::visit(*this, *command) : "unreadable") << "\n";
    };
  }
  ~SchedTranscript() {
    cluster_.on_frame = nullptr;
    cluster_.on_entry = nullptr;
  }
  SchedTranscript(const SchedTranscript&) = delete;
  SchedTranscript& operator=(const SchedTranscript&) = delete;

  void note(const std::string& what) { begin_line() << what << "\n"; }
  std::string text() const { return text_.str(); }

  // ---- messages
  std::string operator()(const Probe& m) const {
    return epoch(m.epoch) + "you may pull " + std::to_string(m.allowed);
  }
  std::string operator()(const Pull& m) const {
    return "boot " + std::to_string(m.boot) + " pull " + std::to_string(m.pull) + ": room for " +
           std::to_string(m.want) + (m.revised != 0 ? "" : ", and the spec");
  }
  std::string operator()(const Bind& m) const {
    return epoch(m.epoch) + "for pull " + std::to_string(m.pull) + ":" + runs(m.tasks) +
           (m.spec ? ", with the spec" : "") + "; you may pull " + std::to_string(m.allowed);
  }
  std::string operator()(const Describe& m) const { return epoch(m.epoch) + "the spec"; }
  std::string operator()(const Results& m) const {
    return "boot " + std::to_string(m.boot) + " results " + std::to_string(m.sequence) + ":" +
           results(m.batch);
  }
  std::string operator()(const Committed& m) const {
    return epoch(m.epoch) + "results " + std::to_string(m.sequence) + " are committed";
  }
  std::string operator()(const Logs& m) const {
    return "logs " + std::to_string(m.sequence) + " of " + std::to_string(m.logs.size());
  }
  std::string operator()(const LogsCommitted& m) const {
    return epoch(m.epoch) + "logs " + std::to_string(m.sequence) + " are committed";
  }
  std::string operator()(const Drop& m) const { return epoch(m.epoch) + "drop" + runs(m.attempts); }
  std::string operator()(const AskHeld& m) const {
    return epoch(m.epoch) + "what do you hold of g" + std::to_string(m.group.value) + "?";
  }
  std::string operator()(const HeldList& m) const {
    std::string text = "boot " + std::to_string(m.boot) + " holds";
    for (const JobHeld& job : m.jobs) text += runs(job.attempts);
    return text + (m.jobs.empty() ? " nothing" : "") + ", last pull " + std::to_string(m.last_pull);
  }
  std::string operator()(const Status& m) const {
    return "boot " + std::to_string(m.boot) + " status of " + std::to_string(m.jobs.size()) +
           " jobs";
  }
  std::string operator()(const Refused& m) const { return "refused: I obey " + epoch(m.epoch); }
  std::string operator()(const AskLead& m) const { return epoch(m.epoch) + "do you lead still?"; }
  std::string operator()(const LeadStands& m) const { return epoch(m.epoch) + "I do"; }
  template <class Other>
  std::string operator()(const Other&) const {
    return "something a reader asks";
  }

  // ---- entries
  std::string operator()(const SubmitCommand& c) const { return "a job, probed" + names(c.probed); }
  std::string operator()(const ProbeCommand& c) const { return "probed" + names(c.nodes); }
  std::string operator()(const CompleteCommand& c) const {
    std::string text = "complete";
    for (const NodeResults& each : c.results) {
      text += " " + name(each.node) + ":" + results(each.batch);
    }
    return text;
  }
  std::string operator()(const LostCommand& c) const {
    return std::string(c.node_lost ? "lost with " : "lost by ") + name(c.node) + ":" +
           runs(c.attempts);
  }
  std::string operator()(const CancelCommand&) const { return "cancel"; }
  std::string operator()(const LogsCommand& c) const {
    return "logs of " + name(c.node) + ", " + std::to_string(c.logs.size());
  }
  std::string operator()(const DeleteCommand&) const { return "delete"; }

 private:
  std::ostream& begin_line() {
    char time[32];
    std::snprintf(time, sizeof time, "%.2f ", static_cast<double>(cluster_.now().us) / 1000);
    return text_ << time;
  }
  std::string name(const NodeId& id) const {
    for (std::size_t i = 0; i < kHosts; ++i) {
      if (cluster_.id(i) == id) return "n" + std::to_string(i);
    }
    return "a stranger";
  }
  std::string names(const std::vector<NodeId>& ids) const {
    std::string text;
    for (const NodeId& id : ids) text += " " + name(id);
    return text.empty() ? " nobody" : text;
  }
  static std::string epoch(Term epoch) { return "e" + std::to_string(epoch) + " "; }
  static std::string runs(const std::vector<TaskRun>& runs) {
    std::string text;
    for (const TaskRun& run : runs) {
      text += " " + std::to_string(run.first);
      if (run.count != 1) text += "-" + std::to_string(run.end() - 1);
      text += "@" + std::to_string(run.attempt.round) + "." + std::to_string(run.attempt.epoch) +
              "." + std::to_string(run.attempt.number);
    }
    return text.empty() ? " none" : text;
  }
  static std::string results(const ResultBatch& batch) {
    std::string text = runs(attempts_of(batch));
    for (const TaskResult& each : batch.others) {
      if (!each.is_success()) text += ", " + std::to_string(each.index) + " failed";
    }
    return text;
  }

  Cluster& cluster_;
  std::ostringstream text_;
};

TEST(SchedGolden, AJobFromItsProbeToItsEnd) {
  Cluster cluster({.nodes = SchedTranscript::kHosts, .cpus = 1});
  cluster.run_for(milliseconds(100));
  SchedTranscript transcript(cluster);
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"exit", "0", "30"}, 5));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.is_final(job); }, seconds(5)));
  transcript.note("the job has ended");
  cluster.run_for(seconds(2));
  EXPECT_TRUE(cluster.violations().empty());
  compare_with_golden("sched_job", transcript.text());
}

TEST(SchedGolden, ATakeover) {
  Cluster cluster({.nodes = SchedTranscript::kHosts, .cpus = 1});
  cluster.run_for(milliseconds(100));
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "2500"}, 3));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 3; }, seconds(5)));
  SchedTranscript transcript(cluster);
  transcript.note("n1, which coordinates, is lost");
  cluster.crash(1);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.is_final(job); }, seconds(20)));
  transcript.note("the job has ended");
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.starts(job), 4U) << "only what died with the host starts again";
  EXPECT_TRUE(cluster.violations().empty());
  compare_with_golden("sched_takeover", transcript.text());
}

}  // namespace
}  // namespace dunlin::sched::testing
