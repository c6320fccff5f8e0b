// The same call many times over, with different bodies, several at once: how pieces of files reach
// the cluster.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"

namespace dunlin {

class ParallelCalls {
 public:
  // The next body; false when there is none left.
  using NextBody = std::function<Result<bool>(std::string& body)>;
  // In any order; `number` counts the bodies from 0.
  using TakeAnswer = std::function<Result<void>(std::size_t number, const HttpAnswer& answer)>;

  // All of them to the server that has answered `client` last; when it is lost, or shows no sign of
  // life, to the next one.
  ParallelCalls(Client& client, std::string method, std::string target, std::size_t connections);
  ~ParallelCalls();

  // Until every body has its answer. The first error, the node's or a callback's, ends it; the
  // calls must be such that asking twice does no harm.
  Result<void> run(const NextBody& next, const TakeAnswer& done);

 private:
  struct Lane;

  Result<void> fill(const NextBody& next);
  Result<void> begin(Lane& lane);
  Result<void> move_on(Lane& lane, const Error& why);
  Result<void> step(Lane& lane, const TakeAnswer& done);
  Result<void> check_for_life();

  Client& client_;
  std::string method_;
  std::string target_;
  std::size_t connections_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t begun_ = 0;
  bool is_exhausted_ = false;
};

}  // namespace dunlin
