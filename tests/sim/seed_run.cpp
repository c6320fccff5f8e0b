#include "sim/seed_run.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "sim/bare_quorum.h"
#include "sim/convergence.h"
#include "sim/sim_world.h"
#include "sim/transcript.h"
#include "sim/workload.h"

namespace dunlin::sim {

namespace {

constexpr Duration kSettle = seconds(15);
constexpr Duration kConvergence = seconds(240);  // Q7's bound
constexpr Duration kSuspicion = seconds(10);
constexpr Duration kRest = seconds(75);  // a node that nobody knows any more is asked for 60 s
constexpr Duration kStillness = seconds(20);
constexpr Duration kLongestAnswer = seconds(60);

class SeedRun {
 public:
  explicit SeedRun(const SeedOptions& options)
      : options_(options),
        random_(options.seed),
        world_(world_options(options, random_)),
        plan_(plan_of(options, random_)),
        workload_(world_, workload_options(), random_.fork()),
        injector_(world_, plan_, random_.fork()) {}

  SeedReport run() {
    if (options_.frames_from < seconds(1'000'000)) {
      world_.on_frame = [this](HostIndex from, HostIndex to, ByteView frame) {
        print_frame(from, to, frame);
      };
    }
    founders_ = kFewestFounders + random_.below(3);
    if (!world_.form(founders_)) {
      fail("Q7", "the cluster did not form");
      return report();
    }
    world_.run_for(kSettle);
    chaos();
    const bool healed = heal();
    if (healed) converge();
    if (options_.never_heal) return report();
    if (healed) {
      workload_.verify();
      say("everything was read");
      if (options_.before_rest) options_.before_rest(world_, core_.front());
      rest();
    }
    coverage();
    return report();
  }

 private:
  static WorldOptions world_options(const SeedOptions& seed, Random& random) {
    WorldOptions options;
    options.seed = seed.seed;
    options.groups = static_cast<std::uint16_t>(8 + random.below(5));
    if (seed.configure) seed.configure(options.node);
    return options;
  }
  static WorkloadOptions workload_options() { return {}; }
  static FaultPlan plan_of(const SeedOptions& options, Random& random) {
    if (options.plan) return *options.plan;
    return options.faults.empty() ? FaultPlan::draw(random) : FaultPlan::of(options.faults);
  }

  void fail(const std::string& promise, const std::string& what) {
    world_.verdict().fail(world_.queue().now(), promise, what);
  }
  void say(const std::string& what) const {
    if (!options_.verbose) return;
    std::fprintf(stderr, "%8.1f s  %s\n", (world_now() - Instant{}).seconds(), what.c_str());
  }
  void print_frame(HostIndex from, HostIndex to, ByteView frame) const {
    if (world_now() < Instant{} + options_.frames_from) return;
    if (frame[0] == static_cast<std::uint8_t>(Module::kGossip)) return;
    std::fprintf(stderr, "%8.3f s  h%zu > h%zu  %s\n", (world_now() - Instant{}).seconds(), from,
                 to, describe_frame(frame).c_str());
  }
  Instant world_now() const { return const_cast<SimWorld&>(world_).queue().now(); }

  void chaos() {
    workload_.on_key = [this](HostIndex a, HostIndex b) { injector_.kill_one_of(a, b); };
    injector_.say = [this](const std::string& what) { say(what); };
    workload_.begin();
    injector_.begin();
    world_.run_for(options_.chaos);
    // Where faults let little begin there would be too little to judge: they go on for a while.
    const Instant end = world_now() + options_.chaos / 2;
    while (wants_more() && world_now() < end) world_.run_for(seconds(5));
    injector_.end();
    results_under_attack_ = workload_.history().results();
    say("the faults are over");
  }

  bool wants_more() {
    return workload_.history().expected_results() < kFewestResults ||
           workload_.history().results() < kFewestResultsUnderAttack ||
           world_.faults().kinds() < kFewestFaultKinds;
  }

  // Only a bare quorum comes back; all others stay dead.
  bool heal() {
    // What is half begun (a birth, a join) is let go first.
    const auto core = bare_quorum(world_, random_);
    if (!core) {
      fail("harness", "the faults went beyond the budget: no quorum is left");
      return false;
    }
    core_ = *core;
    std::string names;
    for (HostIndex i = 0; i < world_.host_count(); ++i) {
      const bool is_core = std::count(core_.begin(), core_.end(), i) > 0;
      if (is_core) names += " " + world_.host(i).name();
      if (!is_core) world_.host(i).crash(Crash{});
    }
    say("the bare quorum is" + names);
    injector_.heal();
    if (options_.never_heal) cut_everything();
    for (const HostIndex i : core_) {
      if (world_.host(i).phase() == SimHost::Phase::kDown) world_.host(i).resume();
    }
    workload_.finish(core_);
    return true;
  }

  void cut_everything() {
    for (HostIndex a = 0; a < world_.host_count(); ++a) {
      for (HostIndex b = 0; b < world_.host_count(); ++b) {
        world_.network().cut(a, b, Fault::kPartition);
      }
    }
  }

  bool routes_agree() {
    for (std::uint16_t g = 0; g < world_.options().groups; ++g) {
      std::optional<NodeId> leader;
      for (const HostIndex i : core_) {
        if (world_.host(i).is_up() && world_.host(i).node()->groups().is_leading(GroupId{g})) {
          leader = world_.host(i).id();
        }
      }
      if (!leader) return false;
      for (const HostIndex i : core_) {
        if (!world_.host(i).is_up()) return false;
        if (world_.host(i).node()->groups().leader(GroupId{g}) != leader) return false;
      }
    }
    return true;
  }

  // By now the living know the dead: no change that needs one of them is begun any more.
  void call_back() {
    world_.run_for(kSuspicion);
    let_go();
    const std::size_t before = core_.size();
    core_ = complete(world_, core_);
    called_back_ = core_.size() - before;
    for (const HostIndex i : core_) {
      if (world_.host(i).phase() == SimHost::Phase::kDown) world_.host(i).resume();
    }
    workload_.finish(core_);
  }

  // Who was leaving when the faults ended hands everything over and goes.
  void let_go() {
    const std::size_t gone = std::erase_if(core_, [&](HostIndex i) {
      return world_.host(i).last_end() == SimHost::End::kLeft && !world_.host(i).is_up();
    });
    if (gone > 0) workload_.finish(core_);
  }

  void converge() {
    const auto all = [&] {
      return workload_.history().all_final() && world_.see_each_other(core_) && routes_agree() &&
             missing_copies(world_, core_).empty() && replicas_apart(world_, core_).empty();
    };
    // Asked now and then only: it looks at everything.
    const Instant end = world_now() + kConvergence;
    if (!options_.never_heal) call_back();
    while (world_now() < end && !all()) {
      world_.run_for(milliseconds(500));
      let_go();
    }
    say("converged, or given up");
    if (!world_.see_each_other(core_)) fail("Q7", "membership did not converge");
    if (!routes_agree()) fail("Q7", "routes did not converge" + disagreement());
    for (const auto& [id, job] : workload_.history().jobs()) {
      if (!job.final) fail("Q7", "job " + id.text() + " is stuck: " + state_of(id));
    }
    for (const HostIndex i : core_) {
      if (!world_.host(i).is_up()) {
        fail("Q7", world_.host(i).name() + " is down: " + world_.host(i).last_words());
      }
    }
    for (const std::string& what : {missing_copies(world_, core_), replicas_apart(world_, core_)}) {
      if (!what.empty()) fail("Q7", "replicas did not converge: " + what);
    }
  }

  // What a client is told of a job that does not end.
  std::string state_of(const JobId& id) {
    const Result<client::Answer> answer =
        world_.call(core_.front(), client::Request(JobRequest(ShowJob{id})));
    if (!answer) return answer.error().message;
    const auto& view = std::get<JobView>(std::get<JobAnswer>(*answer));
    std::string text = name_of(view.job.state) + std::string(" ") + name_of(view.job.reason);
    if (view.job.coordinator) text += ", led by " + view.job.coordinator->short_text();
    for (const Dependency& other : view.spec.after) text += ", after " + other.job.text();
    return text;
  }

  // For who follows a seed: how each host sees a group.
  void say_group(GroupId group) const {
    const auto seats = [&](const std::vector<Seat>& all) {
      std::string text;
      for (const Seat& seat : all) {
        const auto at = world_.host_of(seat.node);
        text += " " + (at ? world_.host(*at).name() : seat.node.short_text()) + "." +
                std::to_string(seat.generation);
      }
      return text;
    };
    for (const HostIndex i : core_) {
      if (!world_.host(i).is_up()) continue;
      const Groups& groups = world_.host(i).node()->groups();
      const auto config = groups.config(group);
      const auto applied = groups.applied(group);
      const auto leader = groups.leader(group);
      std::string text = "group " + std::to_string(group.value) + " on " + world_.host(i).name() +
                         (groups.is_leading(group) ? " leads" : "") + ", leader " +
                         (leader ? leader->short_text() : "?");
      if (applied) {
        text += ", replica " + std::to_string(applied->generation) + " applied " +
                std::to_string(applied->index) + "/" + std::to_string(applied->term);
      }
      if (config) {
        text += ", voters" + seats(config->voters) + ", outgoing" + seats(config->outgoing) +
                ", learners" + seats(config->learners);
      }
      say(text);
    }
  }

  // Who takes whom for the leader, where that is not the one.
  std::string disagreement() {
    std::string text;
    for (std::uint16_t g = 0; g < world_.options().groups; ++g) {
      std::string views;
      std::set<NodeId> leaders;
      std::set<std::optional<NodeId>> named;
      for (const HostIndex i : core_) {
        if (!world_.host(i).is_up()) continue;
        const Groups& groups = world_.host(i).node()->groups();
        if (groups.is_leading(GroupId{g})) leaders.insert(world_.host(i).id());
        const std::optional<NodeId> leader = groups.leader(GroupId{g});
        const auto at = leader ? world_.host_of(*leader) : std::nullopt;
        named.insert(leader);
        views += " " + world_.host(i).name() + ">" +
                 (at       ? world_.host(*at).name()
                  : leader ? leader->short_text()
                           : "?");
      }
      if (leaders.size() == 1 && named == std::set<std::optional<NodeId>>{*leaders.begin()})
        continue;
      say_group(GroupId{g});
      text += "; group " + std::to_string(g) + (leaders.empty() ? " without leader" : "") + views;
    }
    return text;
  }

  // At rest nothing is said about groups and jobs.
  void rest() {
    world_.run_for(kRest);
    std::map<Module, std::uint64_t> said;
    std::string first;
    world_.on_sent = [&](HostIndex from, const NodeId& to, ByteView frame) {
      const auto module = static_cast<Module>(frame[0]);
      const bool is_idle =
          module == Module::kGroups || module == Module::kSched || module == Module::kStore;
      if (!is_idle) return;
      ++said[module];
      if (!first.empty()) return;
      first = world_.host(from).name() + " to " + to.short_text() + ": " + describe_frame(frame);
    };
    world_.run_for(kStillness);
    world_.on_sent = nullptr;
    if (!said.empty()) {
      fail("rest", "idle groups sent " + std::to_string(said[Module::kGroups]) +
                       " frames, idle jobs " + std::to_string(said[Module::kSched]) +
                       ", idle stores " + std::to_string(said[Module::kStore]) + ", the first " +
                       first);
    }
    nothing_is_left();
  }

  // No task runs on or is held, no question waits for its answer, no promised fact is gone.
  void nothing_is_left() {
    for (const HostIndex i : core_) {
      const SimHost& host = world_.host(i);
      if (host.runner().running() + host.runner().held() > 0) {
        fail("Q7", host.name() + " still runs " + std::to_string(host.runner().running()) +
                       " processes and holds " + std::to_string(host.runner().held()));
      }
      for (const NodeId& id : world_.forgotten()) {
        if (!host.node()->gossip().members().contains(id)) continue;
        fail("Q7", host.name() + " knows " + id.short_text() + ", which was forgotten");
      }
      const auto asked = host.oldest_question();
      if (asked && *asked + kLongestAnswer < world_now()) {
        fail("Q7", host.name() + " never answered a question of " +
                       std::to_string((*asked - Instant{}).us / 1000) + " ms");
      }
    }
    world_.check_disks(core_);
    const std::string rotten = unsound_copies(world_, core_);
    if (!rotten.empty()) fail("Q5", rotten);
  }

  void coverage() {
    for (const std::string& line : uncovered(report())) fail("coverage", line);
    for (const std::string& gap : workload_.gaps()) fail("coverage", gap);
  }

  SeedReport report() {
    SeedReport report;
    report.seed = options_.seed;
    report.replay = "make sim SEED=" + std::to_string(options_.seed);
    if (!options_.faults.empty()) report.replay += " FAULTS='" + names_of(options_.faults) + "'";
    report.violations = world_.verdict().lines();
    report.faults = world_.faults();
    report.uses = workload_.uses();
    report.trace = world_.trace().hash();
    report.events = world_.queue().executed();
    report.results = workload_.history().results();
    report.results_under_attack = results_under_attack_;
    report.founders = founders_;
    report.hosts = world_.host_count();
    report.called_back = called_back_;
    report.core = core_.size();
    report.time = world_now() - Instant{};
    return report;
  }

  const SeedOptions options_;
  Random random_;
  SimWorld world_;
  const FaultPlan plan_;
  Workload workload_;
  FaultInjector injector_;
  std::vector<HostIndex> core_;
  std::size_t founders_ = 0;
  std::size_t called_back_ = 0;
  std::uint64_t results_under_attack_ = 0;
};

}  // namespace

std::vector<std::string> uncovered(const SeedReport& report) {
  std::vector<std::string> lines;
  const auto want = [&](std::uint64_t least, std::uint64_t is, const char* what) {
    if (is < least) lines.push_back("only " + std::to_string(is) + " " + what);
  };
  want(kFewestFaultKinds, report.faults.kinds(), "kinds of faults that count");
  want(kFewestResults, report.results, "results");
  want(kFewestResultsUnderAttack, report.results_under_attack, "results under attack");
  want(kFewestFounders, report.founders, "hosts");
  want(static_cast<std::uint64_t>(kShortestRun.us / 1'000'000),
       static_cast<std::uint64_t>(report.time.us / 1'000'000), "virtual seconds");
  if (report.called_back > kMostCalledBack) {
    lines.push_back("the bare quorum took " + std::to_string(report.called_back) + " hosts more");
  }
  return lines;
}

std::string SeedReport::text() const {
  char head[300];
  std::snprintf(head, sizeof(head),
                "seed %llu: %s, %.3f virtual s, %llu events, %zu hosts (%zu at the end, %zu of "
                "them called back), %llu results (%llu under attack), trace %016llx; %zu kinds: ",
                static_cast<unsigned long long>(seed), passed() ? "ok" : "FAILED", time.seconds(),
                static_cast<unsigned long long>(events), hosts, core, called_back,
                static_cast<unsigned long long>(results),
                static_cast<unsigned long long>(results_under_attack),
                static_cast<unsigned long long>(trace), faults.kinds());
  std::string text = head + faults.text() + "\n";
  for (const std::string& line : violations) text += "  " + line + "\n";
  if (!passed()) text += "  replay: " + replay + "\n";
  return text;
}

SeedReport run_seed(const SeedOptions& options) {
  return SeedRun(options).run();
}

}  // namespace dunlin::sim
