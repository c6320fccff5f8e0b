#include "sched/client_desk.h"

#include "base/random.h"
#include "sched/validate.h"

namespace dunlin::sched {

namespace {

JobAnswer to_client(GroupAnswer answer) {
  return std::visit(
      [](auto& held) -> JobAnswer {
        if constexpr (std::is_constructible_v<JobAnswer, decltype(held)>) {
          return std::move(held);
        } else {
          return LogChunk{};  // nobody asks for the others on a client's behalf
        }
      },
      answer);
}

}  // namespace

void ClientDesk::forward(Turn& turn, std::uint64_t request, const JobRequest& what) {
  const auto refuse = [&](Error error) {
    turn.raise(Answer{request, tl::unexpected(std::move(error))});
  };
  if (forwarded_.size() >= kMaxForwarded) {
    return refuse({Code::kLimit, "too many requests at this node", "try again later"});
  }
  std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (!std::is_same_v<T, ListJobs> && !std::is_same_v<T, ReadLog>) {
          if (held.id.is_none()) return refuse({Code::kUsage, "no job is named", {}});
          if constexpr (std::is_same_v<T, SubmitJob>) {
            if (const Result<void> valid = validate(held); !valid) return refuse(valid.error());
          }
          Duration patience = kRequestPatience;
          if constexpr (std::is_same_v<T, WatchJob>) patience = patience + held.hold;
          const std::uint64_t token = next_token_++;
          forwarded_[token] = request;
          GroupRequest forwarded{held};
          std::visit(
              [&](auto& order) {
                if constexpr (requires { order.number; }) {
                  if (order.number == 0) order.number = mix64(chance_ + token) | 1;
                }
              },
              forwarded);
          turn.raise(
              AskGroup{token, held.id.group(group_count_), encode(forwarded), turn.now + patience});
        }
      },
      what);
}

bool ClientDesk::on_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply) {
  const auto at = forwarded_.find(token);
  if (at == forwarded_.end()) return false;
  const std::uint64_t request = at->second;
  forwarded_.erase(at);
  if (!reply) {
    turn.raise(Answer{request, tl::unexpected(reply.error())});
    return true;
  }
  Result<GroupAnswer> answer = decode<GroupAnswer>(*reply);
  if (!answer) {
    turn.raise(Answer{request, fail(Code::kFailed, "the leader's answer makes no sense")});
    return true;
  }
  turn.raise(Answer{request, to_client(std::move(*answer))});
  return true;
}

}  // namespace dunlin::sched
