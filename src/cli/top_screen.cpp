#include "cli/top_screen.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/job_text.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/utf8.h"

namespace dunlin {

namespace {

constexpr std::size_t kLinesAround = 6;  // two of the head, headings, blanks

std::uint32_t ended_tasks(const JobSummary& job) {
  return job.tasks.done + job.tasks.failed + job.tasks.cancelled;
}

std::string first_characters(std::string_view line, std::size_t width) {
  std::size_t bytes = 0;
  for (std::size_t shown = 0; shown < width && bytes < line.size(); ++shown) {
    bytes += std::max<std::size_t>(1, utf8_length(line.substr(bytes)));
  }
  return std::string(line.substr(0, bytes));
}

std::string rate_text(const std::optional<double>& rate) {
  if (!rate) return "-";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), *rate >= 100 ? "%.0f" : "%.1f", *rate);
  return text.data();
}

struct Totals {
  std::uint64_t cpus = 0, cpus_free = 0, memory = 0, memory_free = 0, running = 0, queued = 0;
  std::array<std::size_t, 4> states{};
};

Totals totals_of(const std::vector<Member>& nodes) {
  Totals all;
  for (const Member& node : nodes) {
    ++all.states[static_cast<std::size_t>(node.state)];
    if (!is_present(node)) continue;
    all.cpus += node.facts.cpus;
    all.cpus_free += node.load.cpus_free;
    all.memory += node.facts.memory;
    all.memory_free += node.load.memory_free;
    all.running += node.load.running;
    all.queued += node.load.queued;
  }
  return all;
}

std::string used_text(std::uint64_t total, std::uint64_t free) {
  return std::to_string(total - std::min(free, total)) + "/" + std::to_string(total);
}

std::string used_size(std::uint64_t total, std::uint64_t free) {
  return size_text(total - std::min(free, total)) + "/" + size_text(total);
}

std::string head_of(const TopSample& sample, const TopRates& rates) {
  const Totals all = totals_of(sample.nodes);
  std::string states;
  for (std::size_t i = 0; i < all.states.size(); ++i) {
    if (all.states[i] == 0) continue;
    states += (states.empty() ? "" : ", ") + std::to_string(all.states[i]) + " " +
              member_state_name(static_cast<MemberState>(i));
  }
  return to_rfc3339(sample.clock).substr(11, 8) + " UTC  nodes: " + states + "\n" + "cores " +
         used_text(all.cpus, all.cpus_free) + "  memory " + used_size(all.memory, all.memory_free) +
         "  running " + std::to_string(all.running) + "  queued " + std::to_string(all.queued) +
         "  tasks/s " + rate_text(rates.all()) + "\n";
}

std::string nodes_of(const TopSample& sample, std::size_t most, std::size_t width) {
  std::vector<const Member*> nodes;
  for (const Member& node : sample.nodes) {
    if (node.state != MemberState::kLeft) nodes.push_back(&node);
  }
  // Those that do something first.
  std::stable_sort(nodes.begin(), nodes.end(), [](const Member* a, const Member* b) {
    if (a->load.running != b->load.running) return a->load.running > b->load.running;
    return a->facts.name < b->facts.name;
  });
  Table table({"NODE", "STATE", ">CORES", ">MEMORY", ">DISK FREE", ">RUNNING", ">QUEUED"});
  for (std::size_t i = 0; i < nodes.size() && i < most; ++i) {
    const Member& node = *nodes[i];
    const bool is_known = node.load_at != Instant{};
    const auto known = [&](std::string text) { return is_known ? std::move(text) : "?"; };
    table.add(
        {node.facts.name.empty() ? node.facts.id.short_text() : node.facts.name,
         std::string(member_state_name(node.state)) + (node.load.draining ? ", draining" : ""),
         known(used_text(node.facts.cpus, node.load.cpus_free)),
         known(used_size(node.facts.memory, node.load.memory_free)),
         known(size_text(node.load.disk_free)), known(std::to_string(node.load.running)),
         known(std::to_string(node.load.queued))});
  }
  return table.text(width);
}

std::string jobs_of(const TopSample& sample, const TopRates& rates, std::size_t most,
                    std::size_t width) {
  std::vector<const JobSummary*> jobs;
  for (const JobSummary& job : sample.jobs) jobs.push_back(&job);
  // What runs first, then what waits; the newest of each.
  const auto order = [](const JobSummary* job) {
    return is_final(job->state) ? 2 : job->tasks.running > 0 ? 0 : 1;
  };
  std::stable_sort(jobs.begin(), jobs.end(),
                   [&](const JobSummary* a, const JobSummary* b) { return order(a) < order(b); });
  Table table({"JOB", "NAME", "USER", "STATE", ">DONE", ">FAILED", ">RUNNING", ">TASKS", ">TASKS/S",
               ">TIME"});
  for (std::size_t i = 0; i < jobs.size() && i < most; ++i) {
    const JobSummary& job = *jobs[i];
    table.add({job.id.text(), job.name, job.user, name_of(job.state),
               std::to_string(job.tasks.done), std::to_string(job.tasks.failed),
               std::to_string(job.tasks.running), std::to_string(job.tasks.total),
               is_final(job.state) ? "-" : rate_text(rates.of(job.id)),
               time_between(job.started_at, job.finished_at, sample.clock)});
  }
  return table.text(width);
}

}  // namespace

void TopRates::add(const TopSample& sample) {
  std::map<JobId, Ended> now;
  std::map<JobId, double> rates;
  std::optional<double> all;
  for (const JobSummary& job : sample.jobs) {
    const std::uint32_t ended = ended_tasks(job);
    now[job.id] = {sample.at, ended};
    const auto before = last_.find(job.id);
    if (before == last_.end() || before->second.at >= sample.at) continue;
    // Tasks that are run again make it fewer.
    const std::uint32_t more = ended - std::min(ended, before->second.tasks);
    rates[job.id] = more / (sample.at - before->second.at).seconds();
    all = all.value_or(0) + rates[job.id];
  }
  const bool is_first = last_.empty() && rates_.empty();
  last_ = std::move(now);
  rates_ = std::move(rates);
  all_ = all || is_first ? all : std::optional<double>(0);
}

std::optional<double> TopRates::of(const JobId& job) const {
  const auto at = rates_.find(job);
  return at == rates_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<double> TopRates::all() const {
  return all_;
}

std::vector<std::string> top_lines(const TopSample& sample, const TopRates& rates,
                                   const std::string& trouble, std::size_t width,
                                   std::size_t height) {
  // The nodes have at most half of the screen.
  const std::size_t room = height > kLinesAround ? height - kLinesAround : 2;
  const std::size_t most_nodes = height == 0 ? SIZE_MAX : std::max<std::size_t>(room / 2, 1);
  const std::size_t nodes = std::min(most_nodes, sample.nodes.size());
  const std::size_t most_jobs =
      height == 0 ? SIZE_MAX : room - std::min(nodes, room - 1) - (trouble.empty() ? 0 : 1);
  std::string text = head_of(sample, rates);
  if (!trouble.empty()) text += printable(trouble) + "\n";
  text += "\n" + nodes_of(sample, most_nodes, width) + "\n";
  text += jobs_of(sample, rates, most_jobs, width);
  if (sample.is_cut && height == 0) text += "(older jobs are not shown)\n";
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    lines.push_back(width == 0 ? line : first_characters(line, width));
    at = end + 1;
  }
  if (height > 0 && lines.size() > height) lines.resize(height);
  return lines;
}

}  // namespace dunlin
