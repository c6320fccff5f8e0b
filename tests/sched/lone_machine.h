// The replicated state of one group, fed entry by entry.
#pragma once

#include <gtest/gtest.h>

#include "sched/job_machine.h"
#include "sched/named.h"

namespace dunlin::sched {

struct LoneMachine {
  explicit LoneMachine(GroupId of) : group(of) {}

  void apply(const Command& command) {
    ASSERT_TRUE(machine.apply(group, ++index, encode_command(command)).has_value());
  }
  void result(std::uint32_t task_index, Attempt attempt, Reason reason, std::uint8_t on = 1) {
    NodeResults results{id, named(on), 1, 0, {}};
    TaskResult task;
    task.index = task_index;
    task.attempt = attempt;
    task.reason = reason;
    task.exit_code = reason == Reason::kNone ? 0 : 7;
    task.finished = {1'000'700};
    results.batch.others.push_back(task);
    apply(CompleteCommand{{results}});
  }
  void lost(std::uint32_t first, std::uint32_t count, Attempt attempt, std::uint8_t on,
            bool node_lost) {
    apply(LostCommand{id, named(on), node_lost, {{first, count, attempt}}, {1'000'900}, {}});
  }

  const GroupId group;
  JobMachine machine;
  LogIndex index = 0;
  JobId id = *JobId::from_text("ab00000000");
};

}  // namespace dunlin::sched
