// Members to test with.
#pragma once

#include <string>

#include "base/crypto.h"
#include "gossip/member.h"
#include "gossip/messages.h"

namespace dunlin::test {

// The same for the same number; different numbers have different ids.
inline NodeFacts person(std::uint8_t number) {
  NodeFacts facts;
  facts.key.raw[0] = number;
  facts.key.raw[31] = 1;
  facts.id = node_id_of(facts.key);
  facts.name = "node-" + std::to_string(number);
  facts.address = "10.0.0." + std::to_string(number) + ":7400";
  facts.zone = "a";
  facts.cpus = 4;
  facts.memory = 8ULL << 30;
  facts.version = "0.1.0";
  return facts;
}

inline NodeId id_of(std::uint8_t number) {
  return person(number).id;
}

inline gossip::Card card(std::uint8_t number, Boot boot = 1, std::uint64_t life = 77) {
  return {person(number), boot, 0, life};
}

inline Member member(std::uint8_t number, Boot boot = 1) {
  Member result;
  result.facts = person(number);
  result.boot = boot;
  return result;
}

constexpr Instant at_ms(std::int64_t ms) {
  return Instant{} + milliseconds(ms);
}

}  // namespace dunlin::test
