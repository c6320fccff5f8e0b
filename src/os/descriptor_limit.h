// How many descriptors this process may have open. A node and its runner take all they may; tasks
// get what whoever started the node had, since programs rely on a low limit (select(2), loops that
// close everything).
#pragma once

#include <sys/resource.h>

#include <cstdint>

namespace dunlin {

// Raises the soft limit to the hard one, for the rest of the process.
void raise_descriptor_limit();

// How many there may be now.
std::uint64_t descriptor_limit();

// While it lives the limit is as it was before it was raised, for a child to inherit.
class OriginalDescriptorLimit {
 public:
  OriginalDescriptorLimit();
  ~OriginalDescriptorLimit();
  OriginalDescriptorLimit(const OriginalDescriptorLimit&) = delete;
  OriginalDescriptorLimit& operator=(const OriginalDescriptorLimit&) = delete;

 private:
  rlimit raised_{};
};

}  // namespace dunlin
