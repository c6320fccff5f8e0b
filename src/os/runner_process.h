// The runner: one small process per node directory that forks the node's tasks and owns their
// pipes, exit codes and process groups. It outlives its node process, so that one that was killed
// alone, or upgraded, finds its tasks where they were; and not for long, so that no task runs
// unattended: without a word from a node for `unattended` it kills every descendant and exits.
//
// What happens when
// - the node process dies: the runner goes on, keeps output up to kMaxUntaken a stream, and waits;
// - the node process hangs: the same, since keep-alives stay out;
// - the runner is killed: its tasks die with it at once (PR_SET_PDEATHSIG); what had escaped from
//   them is killed by the next runner of the directory, by their cgroup (v2) and by DUNLIN_WORKDIR
//   in their environment;
// - a task's descendants leave its group or session: the runner adopts them
//   (PR_SET_CHILD_SUBREAPER), and kills them when the task has ended.
//
// A lock on DIR/runner.lock keeps a second runner out; the file has the number of its process.
#pragma once

#include <string>
#include <vector>

namespace dunlin {

// The hidden command `dunlin runner ...`; `arguments` are those after the word. It moves to the
// background: the caller's process ends at once. Arguments, in any order:
//   --dir DIR            absolute
//   --unattended-ms N
//   --status-fd N        told "ok" when it listens at DIR/runner.sock, else what is wrong
//   --run-as USER        tasks run as that user (root only)
//   --no-pin             tasks are not pinned to cores
//   --no-cgroups         memory is watched, and strays are known by their environment only
int run_runner(const std::vector<std::string>& arguments);

}  // namespace dunlin
