// What `dunlin top` shows, as lines of text: the pure part of it.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "node/client.h"

namespace dunlin {

// What the cluster said at one moment.
struct TopSample {
  Instant at;      // of this process
  WallTime clock;  // when that was, for people
  std::vector<Member> nodes;
  std::vector<JobSummary> jobs;  // newest first
  bool is_cut = false;           // there are more jobs
  std::string silent;            // so many groups have not told theirs; empty: all have
};

// Tasks that ended in a second, from one sample to the next. A job that appears with ended tasks is
// new to the list, and says nothing.
class TopRates {
 public:
  void add(const TopSample& sample);
  // Nothing before there are two samples of it.
  std::optional<double> of(const JobId& job) const;
  std::optional<double> all() const;

 private:
  struct Ended {
    Instant at;
    std::uint32_t tasks = 0;
  };
  std::map<JobId, Ended> last_;
  std::map<JobId, double> rates_;
  std::optional<double> all_;
};

// As wide and as high as the terminal: nothing is longer than `width` characters (0: as long as it
// is), nor are there more than `height` lines (0: all). `trouble`: why the sample is an old one, or
// lacks something.
std::vector<std::string> top_lines(const TopSample& sample, const TopRates& rates,
                                   const std::string& trouble, std::size_t width,
                                   std::size_t height);

}  // namespace dunlin
