#include "fuzz/arbitrary.h"

namespace dunlin::fuzz {

void mutate(Bytes& bytes, Random& random) {
  const std::uint64_t changes = random.below(4);
  for (std::uint64_t i = 0; i < changes && !bytes.empty(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(random.below(bytes.size()));
    switch (random.below(4)) {
      case 0:
        bytes[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(random.next());
        break;
      case 1: bytes.resize(static_cast<std::size_t>(at)); break;
      case 2: bytes.insert(bytes.begin() + at, random.below(40), 0xff); break;
      case 3: {
        const Bytes copy(bytes.begin() + at, bytes.end());
        append(bytes, copy);
        break;
      }
    }
  }
}

std::uint64_t Source::number() {
  switch (random.below(4)) {
    case 0: return random.below(4);
    case 1: return random.below(1000);
    // Powers of two and their neighbours, the ends of all types among them.
    case 2: return (std::uint64_t{1} << random.below(64)) - random.below(2);
    default: return random.next();
  }
}

std::size_t Source::length() {
  if (depth > 12) return 0;
  return random.below(depth < 4 ? 4 : 3);
}

Bytes arbitrary_bytes(Source& source) {
  Bytes bytes(source.random.below(source.random.chance(0.05) ? 2000 : 12));
  source.random.fill(bytes);
  return bytes;
}

void fill(Source& source, GroupId& value) {
  value.value = static_cast<std::uint16_t>(
      source.random.below(source.random.chance(0.9) ? source.groups : kMaxGroups));
}

void fill(Source& source, JobId& value) {
  value = {};
  if (source.random.chance(0.1)) return;
  if (!source.jobs.empty() && source.random.chance(0.5)) {
    value = source.jobs[source.random.below(source.jobs.size())];
    return;
  }
  std::array<std::uint8_t, 10> chance{};
  chance[0] = static_cast<std::uint8_t>(source.random.below(4));
  value = JobId::make(arbitrary_of<GroupId>(source), kMaxGroups, chance);
}

void fill(Source& source, NodeId& value) {
  value = {};
  if (source.random.chance(0.1)) return;
  if (!source.nodes.empty() && source.random.chance(0.7)) {
    value = source.nodes[source.random.below(source.nodes.size())];
    return;
  }
  source.random.fill(value.raw);
}

}  // namespace dunlin::fuzz
