// Several parts of a node ask one server (the router, the store) under numbers of their own, their
// tokens. This gives each question a token that is unique at the server, and says whose it was when
// the answer comes. Not the tokens of base/token.h, by which nodes and people are let in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace dunlin {

template <class Owner>
class Tokens {
 public:
  std::uint64_t issue(Owner owner, std::uint64_t theirs) {
    questions_.emplace(next_, std::pair{owner, theirs});
    return next_++;
  }
  // Whose question this answers; once.
  std::optional<std::pair<Owner, std::uint64_t>> take(std::uint64_t token) {
    const auto found = questions_.find(token);
    if (found == questions_.end()) return std::nullopt;
    const auto question = found->second;
    questions_.erase(found);
    return question;
  }

 private:
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::pair<Owner, std::uint64_t>> questions_;
};

}  // namespace dunlin
