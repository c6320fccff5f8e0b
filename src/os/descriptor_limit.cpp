#include "os/descriptor_limit.h"

#include <optional>

namespace dunlin {

namespace {

std::optional<rlim_t> g_original;

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (!g_original) g_original = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::uint64_t descriptor_limit() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

OriginalDescriptorLimit::OriginalDescriptorLimit() {
  getrlimit(RLIMIT_NOFILE, &raised_);
  if (!g_original) return;
  const rlimit original{*g_original, raised_.rlim_max};
  setrlimit(RLIMIT_NOFILE, &original);
}

OriginalDescriptorLimit::~OriginalDescriptorLimit() {
  setrlimit(RLIMIT_NOFILE, &raised_);
}

}  // namespace dunlin
