// What #SBATCH lines ask for, in Slurm's own formats (sbatch(1)), as options of `submit`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace dunlin {

class SlurmOptions {
 public:
  // `table`: the options of `submit`.
  explicit SlurmOptions(const OptionTable& table) : table_(table) {}

  // The words of one line, behind "#SBATCH", of which `line` says where it is. As with sbatch, what
  // is said later counts. kUsage: an option that is not honoured, or its value's form.
  Result<void> take(const std::vector<std::string>& words, const std::string& line = {});

  // Two things that exclude each other have been asked for.
  Result<void> check() const;

  Arguments options;
  std::optional<std::uint64_t> memory_per_cpu;  // bytes
  std::vector<std::string> ignored;             // options without a meaning here, each once
  std::vector<std::string> unwritten;           // output, error: read with `logs` instead

  // Sets an option of `submit`, for the readers of values.
  Result<void> set(const char* name, const std::string& value);
  Result<void> add(const char* name, const std::string& value);

 private:
  const OptionTable& table_;
  std::string place_;  // of the option that is taken
};

// 90, 30:00, 1:30:00, 2-12, 2-12:00, 2-12:00:00 as seconds; UNLIMITED and 0 are 0: none.
Result<std::int64_t> slurm_seconds_from(const std::string& text);
// 4000 (MB), 4G: bytes.
Result<std::uint64_t> slurm_size_from(const std::string& text);

}  // namespace dunlin
