// GET /v1/events: what happened to jobs and nodes, page by page; each says from where any node goes
// on. With `wait_ms` an answer waits for news: who asks again and again follows them.
#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kMaxWaitMs = 10'000;

class Events : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    client::ListEvents list;
    if (const auto job = target_.take("job")) {
      const auto id = JobId::from_text(*job);
      if (!id) return fail(Code::kUsage, "'" + *job + "' is no job's id");
      list.job = *id;
    }
    if (const auto after = target_.take("after")) {
      auto cursor = event_cursor_from_text(*after);
      if (!cursor) return tl::unexpected(cursor.error());
      list.after = std::move(*cursor);
    }
    const auto wait = target_.take_number("wait_ms", 0, kMaxWaitMs);
    if (!wait) return tl::unexpected(wait.error());
    list.hold = milliseconds(static_cast<std::int64_t>(*wait));
    return client::Request(std::move(list));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto list = answer_as<client::EventList>(std::move(answer));
    if (!list) return tl::unexpected(list.error());
    return Rendered{events_json(*list), {}};
  }
};

}  // namespace

const std::vector<Endpoint>& event_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/v1/events", 0, make_exchange<Events>},
  };
  return all;
}

}  // namespace dunlin
