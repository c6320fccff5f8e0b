#include "base/effects.h"

namespace dunlin {

bool Effects::is_empty() const {
  return sends.empty() && !has_durable() && sends_when_durable.empty() && tickets.empty() &&
         trim_below == 0 && file_reads.empty() && file_removals.empty() && starts.empty() &&
         signals.empty() && taken.empty() && output_searches.empty() && output_reads.empty() &&
         releases.empty() && !fatal;
}

}  // namespace dunlin
