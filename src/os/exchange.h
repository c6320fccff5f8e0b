// One HTTP request while it is being answered: asks the node what it needs, in as many questions
// as it takes, and answers through the server. Internal to the API.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/api.h"
#include "os/json.h"

namespace dunlin {

// A request's path and query, taken apart and percent-decoded.
class Target {
 public:
  // kUsage when the encoding is broken or a key comes twice.
  static Result<Target> parse(std::string_view query);

  // What stood at the {} of the endpoint's pattern.
  std::vector<std::string> places;

  // The query's value, once; nothing when it is not there. All that nobody took is left over.
  bool has(const std::string& key) const { return query_.contains(key); }
  std::optional<std::string> take(const std::string& key);
  // kUsage when the value is none of the kind.
  Result<bool> take_flag(const std::string& key);
  Result<std::uint64_t> take_number(const std::string& key, std::uint64_t otherwise,
                                    std::uint64_t most);
  Result<std::vector<TaskRange>> take_tasks();
  Result<JobId> job() const;  // places[0]
  // kUsage when something is left over.
  Result<void> check() const;

 private:
  std::map<std::string, std::string> query_;
};

struct Rendered {
  std::string body;
  std::vector<HttpHeader> headers;
  const char* content_type = "application/json";
};

class Exchange {
 public:
  struct Context {
    Api& api;
    HttpRequest request;
    Target target;
  };
  explicit Exchange(Context context)
      : request_(std::move(context.request)),
        target_(std::move(context.target)),
        api_(context.api) {}
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  virtual void start() = 0;
  // `tag` is what ask() was given; `last`: no further answer follows to that question.
  virtual void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool last) = 0;
  // The client takes more of a stream that was full.
  virtual void on_drained() {}

  // Called by the Api: the client reads again; it has waited for a while.
  void take_drained();
  void show_life();

 protected:
  // Each ends in at least one on_answer, unless the exchange ends first.
  void ask(std::uint64_t tag, client::Request request);
  void ask_later(std::uint64_t tag, client::Request request, Duration delay);
  template <class T>
  void ask_job(std::uint64_t tag, T request) {
    ask(tag, client::Request(JobRequest(std::move(request))));
  }

  // These end the exchange.
  void respond(const Rendered& rendered);
  void refuse(const Error& error);
  void end();
  // The client sees that the rest is missing.
  void abort();

  // `life_sign` is written when nothing else was for kLifeSignPeriod or so: something that readers
  // of this stream pass over. Without one they cannot tell whether the node is stuck.
  void begin(const char* content_type, std::string life_sign = {});
  // False: hold back until on_drained.
  bool write(std::string_view data);
  bool has_begun() const { return begun_; }

  std::uint16_t group_count() const { return api_.group_count_; }
  // May stop the node, remove it from the cluster, and let others in.
  bool is_operator() const;
  // "WHAT is for root and the node's own account"
  static tl::unexpected<Error> not_an_operator(const std::string& what);
  bool is_root() const { return request_.uid == 0; }
  HostFigures host_figures() const { return api_.host_figures(); }

  HttpRequest request_;
  Target target_;

 private:
  Api& api_;
  bool begun_ = false;
  bool is_full_ = false;
  std::string life_sign_;
};

// The answer of the wanted kind within the node's, or an error; nothing else can come.
template <class T>
Result<T> answer_as(Result<client::Answer> answer) {
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if constexpr (std::is_constructible_v<JobAnswer, T>) {
    if (auto* job = std::get_if<JobAnswer>(&*answer)) {
      if (auto* held = std::get_if<T>(job)) return std::move(*held);
    }
  } else {
    if (auto* held = std::get_if<T>(&*answer)) return std::move(*held);
  }
  return fail(Code::kFailed, "the node gave an answer to another question");
}

// The body of POST /v1/jobs and /v1/run as the caller's submission.
Result<SubmitJob> submission_of(const HttpRequest& request, std::uint16_t group_count);

// How an endpoint makes its exchange.
using MakeExchange = std::unique_ptr<Exchange> (*)(Exchange::Context);
struct Endpoint {
  const char* method;
  const char* pattern;  // "{}": one segment; "{...}": all that follow
  std::size_t body_limit;
  MakeExchange make;
};
const std::vector<Endpoint>& node_endpoints();     // api_nodes.cpp
const std::vector<Endpoint>& metrics_endpoints();  // api_metrics.cpp
const std::vector<Endpoint>& token_endpoints();    // api_tokens.cpp
const std::vector<Endpoint>& job_endpoints();      // api_jobs.cpp
const std::vector<Endpoint>& order_endpoints();    // api_orders.cpp
const std::vector<Endpoint>& blob_endpoints();     // api_blobs.cpp
const std::vector<Endpoint>& output_endpoints();   // api_outputs.cpp
const std::vector<Endpoint>& log_endpoints();      // api_logs.cpp
const std::vector<Endpoint>& watch_endpoints();    // api_watch.cpp
const std::vector<Endpoint>& event_endpoints();    // api_events.cpp

template <class T>
std::unique_ptr<Exchange> make_exchange(Exchange::Context context) {
  return std::make_unique<T>(std::move(context));
}

// One question, one answer: most endpoints. `Question` turns the HTTP request into the node's (or
// says what is wrong with it), `Render` the node's answer into JSON.
class SimpleExchange : public Exchange {
 public:
  using Exchange::Exchange;
  void start() final;
  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool last) final;

 protected:
  virtual Result<client::Request> question() = 0;
  virtual Result<Rendered> render(Result<client::Answer> answer) = 0;
};

// One of which nothing is to be told but that it is done.
class DoneExchange : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<Rendered> render(Result<client::Answer> answer) final;
};

// Of an answer that holds a job as it is now.
template <class T>
Result<Rendered> render_job(Result<client::Answer> answer, std::uint16_t group_count) {
  const auto held = answer_as<T>(std::move(answer));
  if (!held) return tl::unexpected(held.error());
  return Rendered{job_json(held->job, group_count), {}};
}

}  // namespace dunlin
