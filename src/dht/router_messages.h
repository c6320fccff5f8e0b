// What routers say to each other: Module::kRouter frames.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"

namespace dunlin {

// A request to the leader of a group. Sent again until the asker hears of it: (sender, boot, id)
// tells requests apart.
struct RouterAsk {
  Boot boot = 0;  // the asker's life
  std::uint64_t id = 0;
  GroupId group;
  Duration wait;  // the asker waits this much longer
  NodeId denied;  // whom it asked before, in vain
  Bytes body;
  static constexpr auto fields() {
    return Fields<&RouterAsk::boot, &RouterAsk::id, &RouterAsk::group, &RouterAsk::wait,
                  &RouterAsk::denied, &RouterAsk::body>{};
  }
};

// The leader has it; the answer follows when there is one.
struct RouterTaken {
  std::uint64_t id = 0;
  static constexpr auto fields() { return Fields<&RouterTaken::id>{}; }
};

struct RouterAnswer {
  std::uint64_t id = 0;
  Bytes body;
  static constexpr auto fields() { return Fields<&RouterAnswer::id, &RouterAnswer::body>{}; }
};

struct RouterRefusal {
  std::uint64_t id = 0;
  std::uint8_t code = 0;  // of Code
  std::string message;
  std::string hint;
  static constexpr auto fields() {
    return Fields<&RouterRefusal::id, &RouterRefusal::code, &RouterRefusal::message,
                  &RouterRefusal::hint>{};
  }
};

// "Not I": whom the sender takes for the leader, and who votes as far as it knows.
struct RouterElsewhere {
  std::uint64_t id = 0;
  Term term = 0;  // of the leader named
  NodeId leader;  // none: unknown
  std::vector<NodeId> voters;
  static constexpr auto fields() {
    return Fields<&RouterElsewhere::id, &RouterElsewhere::term, &RouterElsewhere::leader,
                  &RouterElsewhere::voters>{};
  }
};

// The asker waits no longer.
struct RouterForget {
  std::uint64_t id = 0;
  static constexpr auto fields() { return Fields<&RouterForget::id>{}; }
};

using RouterMessage = std::variant<RouterAsk, RouterTaken, RouterAnswer, RouterRefusal,
                                   RouterElsewhere, RouterForget>;

}  // namespace dunlin
