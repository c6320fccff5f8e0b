// What the user asked for: the specification of a job. Pure data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "store/blob.h"

namespace dunlin {

// Tasks first, first + step, ... up to last (inclusive).
struct TaskRange {
  std::uint32_t first = 1;
  std::uint32_t last = 1;
  std::uint32_t step = 1;
  auto operator<=>(const TaskRange&) const = default;
  static constexpr auto fields() {
    return Fields<&TaskRange::first, &TaskRange::last, &TaskRange::step>{};
  }
};

// A file in content-named pieces, in order.
struct ShippedFile {
  std::string name;  // relative to the task's directory, '/' separated, never with ".."
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  std::vector<BlobRef> content;
  static constexpr auto fields() {
    return Fields<&ShippedFile::name, &ShippedFile::mode, &ShippedFile::size,
                  &ShippedFile::content>{};
  }
};

// A run of entries (--each-line, :::) as a blob of whole lines, each ended by '\n'.
struct EntryBlock {
  BlobRef blob;
  std::uint32_t count = 0;
  static constexpr auto fields() { return Fields<&EntryBlock::blob, &EntryBlock::count>{}; }
};

constexpr std::size_t kMaxSpecBytes = 256 * 1024;        // encoded; more belongs into blobs
constexpr std::uint32_t kMaxTasks = 10'000'000;          // of one job
constexpr std::size_t kMaxInlineEntryBytes = 32 * 1024;  // above it entries travel as blobs

// What a task needs of its node beside cores and memory.
struct Devices {
  std::uint32_t gpus = 0;                          // whole ones, assigned
  std::map<std::string, std::uint64_t> resources;  // counted, by the names that nodes give them
  bool operator==(const Devices&) const = default;
  static constexpr auto fields() { return Fields<&Devices::gpus, &Devices::resources>{}; }
};

// Where tasks may run. Empty fields ask for nothing.
struct Placement {
  std::string zone;
  std::map<std::string, std::string> labels;  // all of them
  std::vector<NodeId> nodes;                  // one of these
  std::vector<NodeId> excluded;               // none of these
  bool operator==(const Placement&) const = default;
  static constexpr auto fields() {
    using P = Placement;
    return Fields<&P::zone, &P::labels, &P::nodes, &P::excluded>{};
  }
};

// Nothing of the job starts before that one is final: done, or with `any` however it ended.
struct Dependency {
  JobId job;
  bool any = false;
  bool operator==(const Dependency&) const = default;
  static constexpr auto fields() { return Fields<&Dependency::job, &Dependency::any>{}; }
};

struct JobSpec {
  std::string name;
  std::vector<std::string> argv;
  std::uint32_t cpus = 1;        // whole cores for each task
  std::uint64_t memory = 0;      // bytes for each task; 0: not stated, not enforced
  std::int32_t priority = 0;     // higher first
  std::uint32_t retries = 0;     // further attempts after a failure
  Duration backoff;              // before the first retry, doubled for each further one
  Duration time_limit;           // of one attempt; 0: none
  Duration grace = seconds(10);  // between TERM and KILL
  std::uint32_t limit = 0;       // tasks at once; 0: no limit
  // Numbers of the tasks, ascending and disjoint; {1..1} for a single task. With entries they are
  // 1 .. number of entries.
  std::vector<TaskRange> tasks = std::vector<TaskRange>(1);
  bool many = false;  // placeholders are replaced, --array or entries were given
  std::string placeholder = "{}";
  bool append_entry = false;             // ::: without any placeholder in argv
  std::vector<std::string> entries;      // inline, entry of task n at n - 1; or
  std::vector<EntryBlock> entry_blocks;  // as blobs
  std::vector<ShippedFile> files;
  std::vector<std::string> outputs;  // globs of --out
  std::map<std::string, std::string> environment;
  Duration keep = seconds(30 * 24 * 3600);
  std::uint64_t log_limit = 1ULL << 30;  // bytes a stream and attempt
  // Of `run`: when nobody has asked for this job for 30 s it is cancelled.
  bool attended = false;
  // One of `files`, which becomes each task's standard input, and no part of its directory. Empty:
  // /dev/null.
  std::string stdin_file;
  Devices devices;
  Placement placement;
  std::vector<Dependency> after;
  WallTime begin;                          // nothing starts before; 0: at once
  std::optional<std::uint32_t> max_fails;  // with more failed tasks the rest is cancelled
  std::uint32_t crash_limit = 3;           // nodes lost under a task before it fails
  // Of the host, where tasks run instead of in a directory of their own; empty: there.
  std::string host_directory;
  // Where the user stood who submitted a script with #SBATCH lines, whose tasks see SLURM_*
  // variables; empty: no such script.
  std::string slurm_directory;

  std::uint32_t task_count() const;
  static constexpr auto fields() {
    using S = JobSpec;
    return Fields<&S::name, &S::argv, &S::cpus, &S::memory, &S::priority, &S::retries, &S::backoff,
                  &S::time_limit, &S::grace, &S::limit, &S::tasks, &S::many, &S::placeholder,
                  &S::append_entry, &S::entries, &S::entry_blocks, &S::files, &S::outputs,
                  &S::environment, &S::keep, &S::log_limit, &S::attended, &S::stdin_file,
                  &S::devices, &S::placement, &S::after, &S::begin, &S::max_fails, &S::crash_limit,
                  &S::host_directory, &S::slurm_directory>{};
  }
};

}  // namespace dunlin
