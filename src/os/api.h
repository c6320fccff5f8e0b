// The node's HTTP/JSON API: translates requests from HttpServer into client::Requests, and the
// node's replies into answers. One endpoint family a noun (api_jobs.cpp, api_nodes.cpp, ...); each
// request in progress is an Exchange (exchange.h). docs/API.md lists the endpoints.
//
// Long answers are streams: logs as raw bytes; what has several parts as frames (frames.h); what
// changes as lines of JSON. A client that leaves is told to the node by `gone`, once for each of
// its requests that has not had its last reply.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "node/client.h"
#include "os/host_figures.h"
#include "os/http_server.h"

namespace dunlin {

// How often a client that waits is told that the node lives, lest it ask another one.
constexpr Duration kLifeSignPeriod = seconds(2);
constexpr std::size_t kMaxQuestions = 16 * 1024;  // of all clients, unanswered by the node
constexpr std::size_t kMaxWatchedJobs = 4096;     // in one POST /v1/watch

class Exchange;

class Api {
 public:
  using Submit = std::function<void(client::RequestId, client::Request)>;
  using Gone = std::function<void(client::RequestId)>;
  // What GET /metrics tells of the process, but for what the API itself counts.
  using Figures = std::function<HostFigures()>;

  // The loop must outlive the Api, and must have run close() to its end before ~Api.
  Api(uv_loop_t* loop, Submit submit, Gone gone);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // Serves at this path. See HttpServer::listen.
  Result<void> listen(const std::string& socket, FileDescriptor bound);
  // See HttpServer for these four.
  Result<void> listen_plain(const std::string& address, FileDescriptor bound,
                            HttpServer::Authorize authorize) {
    return server_.listen_plain(address, std::move(bound), std::move(authorize));
  }
  void adopt(std::unique_ptr<ByteStream> stream, HttpCaller caller) {
    server_.adopt(std::move(stream), std::move(caller));
  }
  void drop_callers(const std::function<bool(const TokenId&)>& is_valid) {
    server_.drop_callers(is_valid);
  }
  void set_figures(Figures figures) { figures_ = std::move(figures); }
  void set_servers(std::string servers) { server_.set_servers(std::move(servers)); }
  // The node's reply; may be called from within `submit`. Unknown requests are ignored.
  void deliver(client::Reply reply);
  void close();

 private:
  friend class Exchange;
  struct Question {
    ExchangeId exchange = 0;
    std::uint64_t tag = 0;
  };
  struct Running {
    std::unique_ptr<Exchange> exchange;
    std::set<client::RequestId> questions;
    std::size_t later = 0;  // of its questions are still to be asked
  };
  struct Later {
    ExchangeId exchange = 0;
    std::uint64_t tag = 0;
    client::Request request;
  };
  // Everything that happens from outside goes through here: one thing after another, so that no
  // exchange is entered while it is being left.
  void run(std::function<void()> event);
  void learn_group_count();
  void on_request(HttpRequest request);
  void ask(ExchangeId exchange, std::uint64_t tag, client::Request request);
  void ask_later(ExchangeId exchange, std::uint64_t tag, client::Request request, Duration delay);
  HostFigures host_figures() const;
  void arm_timer();
  void show_life();
  void forget(ExchangeId exchange);
  void remove(ExchangeId exchange);

  uv_loop_t* loop_;
  Submit submit_;
  Gone gone_;
  Figures figures_;
  HttpServer server_;
  uv_timer_t timer_{};
  uv_timer_t life_timer_{};  // runs while there are exchanges
  bool open_ = false;
  bool running_ = false;
  std::vector<std::function<void()>> events_;
  std::map<ExchangeId, Running> exchanges_;
  std::map<client::RequestId, Question> questions_;
  std::multimap<std::uint64_t, Later> later_;  // by the loop's milliseconds
  std::vector<ExchangeId> finished_;
  client::RequestId next_request_ = 1;
  std::uint16_t group_count_ = 0;  // 0 until the node has said it
  bool asks_group_count_ = false;
};

}  // namespace dunlin
