// Why a task waits, node by node; or what happened to it, attempt by attempt. Pure data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "sched/job.h"
#include "sched/room.h"

namespace dunlin {

// What a node says to one task of the job.
enum class FitVerdict : std::uint8_t {
  kFits,   // there is room now
  kFull,   // there is room, but others have it
  kLacks,  // it never has what is needed
  kDraining,
  kExcluded,   // by --node or --exclude
  kBadForJob,  // tasks of the job failed there that succeeded elsewhere
  kRefused,    // it takes none of this job, or none now; the detail says why
  kUnreachable,
  kLast = kUnreachable
};
// "fits", "bad_for_job"
const char* name_of(FitVerdict verdict);
std::optional<FitVerdict> fit_verdict_from(std::string_view name);

// What a task needs, or what there is of it: amounts, and where.
struct Supply {
  sched::Room room;  // memory UINT64_MAX: not known
  std::string zone;
  std::map<std::string, std::string> labels;
  static constexpr auto fields() { return Fields<&Supply::room, &Supply::zone, &Supply::labels>{}; }
};

struct NodeVerdict {
  NodeId node;
  std::string name;
  FitVerdict verdict = FitVerdict::kUnreachable;
  // Of what is needed alone: what is free, or with kLacks what there is at all. Nothing: not known.
  std::optional<Supply> has;
  std::optional<std::uint32_t> ahead;        // jobs that get the node's room first
  std::optional<std::int64_t> asked_ms_ago;  // nothing: it has not answered
  WallTime since;                            // unreachable; 0: not
  std::string detail;                        // a line for people
  std::string note;                          // what the host cannot enforce
  static constexpr auto fields() {
    using V = NodeVerdict;
    return Fields<&V::node, &V::name, &V::verdict, &V::has, &V::ahead, &V::asked_ms_ago, &V::since,
                  &V::detail, &V::note>{};
  }
};

struct AttemptView {
  std::uint32_t attempt = 0;  // as people count
  std::optional<NodeId> node;
  std::string outcome;  // running done failed lost cancelled
  Reason reason = Reason::kNone;
  std::optional<std::int32_t> exit_code, signal;
  WallTime started_at, finished_at;
  std::optional<std::int64_t> duration_ms;
  std::optional<std::uint64_t> max_rss;  // bytes
  std::string detail;
  static constexpr auto fields() {
    using A = AttemptView;
    return Fields<&A::attempt, &A::node, &A::outcome, &A::reason, &A::exit_code, &A::signal,
                  &A::started_at, &A::finished_at, &A::duration_ms, &A::max_rss, &A::detail>{};
  }
};

struct Explained {
  TaskView task;
  Supply needs;
  std::vector<NodeVerdict> nodes;  // of a task that waits
  std::vector<AttemptView> attempts;
  static constexpr auto fields() {
    using E = Explained;
    return Fields<&E::task, &E::needs, &E::nodes, &E::attempts>{};
  }
};

}  // namespace dunlin
