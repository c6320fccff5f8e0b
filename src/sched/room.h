// Room for tasks: what a node has, what is free of it, what one task takes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/fields.h"
#include "sched/job_spec.h"

namespace dunlin::sched {

struct Room {
  std::uint32_t cpus = 0;
  std::uint64_t memory = 0;  // bytes
  Devices devices = {};
  bool operator==(const Room&) const = default;

  std::uint64_t resource(const std::string& name) const {
    const auto at = devices.resources.find(name);
    return at == devices.resources.end() ? 0 : at->second;
  }
  // How many such tasks fit into it; UINT64_MAX when they need nothing.
  std::uint64_t fits(const Room& task) const {
    std::uint64_t times = UINT64_MAX;
    const auto bound_by = [&](std::uint64_t has, std::uint64_t needs) {
      if (needs > 0) times = std::min(times, has / needs);
    };
    bound_by(cpus, task.cpus);
    bound_by(memory, task.memory);
    bound_by(devices.gpus, task.devices.gpus);
    for (const auto& [name, count] : task.devices.resources) bound_by(resource(name), count);
    return times;
  }
  bool holds(const Room& task) const { return fits(task) > 0; }

  void add(const Room& task, std::uint32_t times = 1) {
    cpus += times * task.cpus;
    memory += times * task.memory;
    devices.gpus += times * task.devices.gpus;
    for (const auto& [name, count] : task.devices.resources) {
      devices.resources[name] += times * count;
    }
  }
  // What it does not have cannot be taken: nothing goes below 0.
  void take(const Room& task, std::uint64_t times = 1) {
    const auto lower = [times](auto& has, std::uint64_t needs) {
      using Amount = std::decay_t<decltype(has)>;
      has -= static_cast<Amount>(std::min<std::uint64_t>(
          has, needs == 0 ? 0 : std::min(times, UINT64_MAX / needs) * needs));
    };
    lower(cpus, task.cpus);
    lower(memory, task.memory);
    lower(devices.gpus, task.devices.gpus);
    for (const auto& [name, count] : task.devices.resources) {
      const auto at = devices.resources.find(name);
      if (at != devices.resources.end()) lower(at->second, count);
    }
  }

  static constexpr auto fields() { return Fields<&Room::cpus, &Room::memory, &Room::devices>{}; }
};

inline Room room_of_task(const JobSpec& spec) {
  return {spec.cpus, spec.memory, spec.devices};
}

}  // namespace dunlin::sched
