#include "os/api.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "os/bound_sockets.h"
#include "os/exchange.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

int status_of(Code code) {
  switch (code) {
    case Code::kUsage: return 400;
    case Code::kUnreachable: return 502;
    case Code::kNotFound: return 404;
    case Code::kRefused: return 403;
    case Code::kLimit: return 429;
    case Code::kTimeout: return 504;
    case Code::kConflict: return 409;
    case Code::kIncomplete: return 503;
    case Code::kCorrupt:
    case Code::kFailed: return 500;
  }
  return 500;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

std::string_view take_segment(std::string_view& path) {
  const std::size_t slash = path.find('/');
  const std::string_view segment = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  return segment;
}

// Does the path fit? Then `places` holds what stood at its {}, still encoded.
bool matches(std::string_view pattern, std::string_view path, std::vector<std::string>& places) {
  places.clear();
  while (!pattern.empty()) {
    if (pattern == "{...}") {
      places.emplace_back(path);
      return !path.empty();
    }
    if (path.empty()) return false;
    const std::string_view expected = take_segment(pattern);
    const std::string_view actual = take_segment(path);
    if (expected == "{}") {
      places.emplace_back(actual);
    } else if (expected != actual) {
      return false;
    }
  }
  return path.empty();
}

const std::vector<Endpoint>& endpoints() {
  static const std::vector<Endpoint> all = [] {
    std::vector<Endpoint> joined;
    for (const auto* family :
         {&node_endpoints(), &metrics_endpoints(), &token_endpoints(), &job_endpoints(),
          &order_endpoints(), &blob_endpoints(), &output_endpoints(), &log_endpoints(),
          &watch_endpoints(), &event_endpoints()}) {
      joined.insert(joined.end(), family->begin(), family->end());
    }
    return joined;
  }();
  return all;
}

std::size_t body_limit_of(std::string_view method, std::string_view path) {
  std::vector<std::string> places;
  for (const Endpoint& endpoint : endpoints()) {
    if (method == endpoint.method && matches(endpoint.pattern, path, places))
      return endpoint.body_limit;
  }
  return 0;
}

Error nothing_there(const HttpRequest& request) {
  std::vector<std::string> places;
  std::string methods;
  for (const Endpoint& endpoint : endpoints()) {
    if (matches(endpoint.pattern, request.path, places)) {
      methods += (methods.empty() ? "" : ", ") + std::string(endpoint.method);
    }
  }
  if (methods.empty()) return {Code::kNotFound, "nothing is served at " + request.path, ""};
  return {Code::kUsage, request.path + " does not take " + request.method, "use " + methods};
}

}  // namespace

// ---- the target ---------------------------------------------------------------------------------

Result<Target> Target::parse(std::string_view query) {
  Target target;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const auto key = percent_decoded(pair.substr(0, equals), true);
    const auto value = equals == std::string_view::npos
                           ? std::optional<std::string>("1")
                           : percent_decoded(pair.substr(equals + 1), true);
    if (!key || !value) return fail(Code::kUsage, "the query's percent-encoding is broken");
    if (!target.query_.emplace(*key, *value).second) {
      return fail(Code::kUsage, "'" + *key + "' comes twice in the query");
    }
  }
  return target;
}

std::optional<std::string> Target::take(const std::string& key) {
  const auto at = query_.find(key);
  if (at == query_.end()) return std::nullopt;
  std::string value = std::move(at->second);
  query_.erase(at);
  return value;
}

Result<bool> Target::take_flag(const std::string& key) {
  const std::string value = take(key).value_or("0");
  if (value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  return fail(Code::kUsage, "'" + key + "' is '" + value + "'", "give 0 or 1");
}

Result<std::uint64_t> Target::take_number(const std::string& key, std::uint64_t otherwise,
                                          std::uint64_t most) {
  const auto value = take(key);
  if (!value) return otherwise;
  std::uint64_t number = 0;
  const char* end = value->data() + value->size();
  const auto [at, error] = std::from_chars(value->data(), end, number);
  if (value->empty() || error != std::errc() || at != end || number > most) {
    return fail(Code::kUsage, "'" + key + "' is '" + *value + "'",
                "give a whole number up to " + std::to_string(most));
  }
  return number;
}

Result<std::vector<TaskRange>> Target::take_tasks() {
  const auto value = take("tasks");
  if (!value || value->empty()) return std::vector<TaskRange>{};
  return task_ranges_from(*value);
}

Result<JobId> Target::job() const {
  ASSERT(!places.empty());
  const auto id = JobId::from_text(places[0]);
  if (!id) {
    return fail(Code::kUsage, "'" + places[0] + "' is no job's id",
                "an id is ten lower-case letters and digits, the first a letter");
  }
  return *id;
}

Result<void> Target::check() const {
  if (query_.empty()) return {};
  return fail(Code::kUsage, "'" + query_.begin()->first + "' means nothing in this query");
}

// ---- exchanges ----------------------------------------------------------------------------------

void Exchange::ask(std::uint64_t tag, client::Request request) {
  api_.ask(request_.id, tag, std::move(request));
}

void Exchange::ask_later(std::uint64_t tag, client::Request request, Duration delay) {
  api_.ask_later(request_.id, tag, std::move(request), delay);
}

void Exchange::respond(const Rendered& rendered) {
  ASSERT(!begun_);
  api_.server_.respond(request_.id, 200, rendered.content_type, rendered.body, rendered.headers);
  api_.forget(request_.id);
}

void Exchange::refuse(const Error& error) {
  if (begun_) return abort();
  api_.server_.respond(request_.id, status_of(error.code), "application/json",
                       error_json(error) + "\n");
  api_.forget(request_.id);
}

void Exchange::begin(const char* content_type, std::string life_sign) {
  begun_ = true;
  life_sign_ = std::move(life_sign);
  api_.server_.begin_stream(request_.id, 200, content_type);
}

bool Exchange::write(std::string_view data) {
  ASSERT(begun_);
  is_full_ = !api_.server_.write(request_.id, data);
  return !is_full_;
}

void Exchange::take_drained() {
  is_full_ = false;
  on_drained();
}

void Exchange::show_life() {
  if (!begun_) return api_.server_.show_life(request_.id);
  // Who has not read the last ones needs no more of them.
  if (!life_sign_.empty() && !is_full_) write(life_sign_);
}

void Exchange::end() {
  api_.server_.end(request_.id);
  api_.forget(request_.id);
}

void Exchange::abort() {
  api_.server_.abort(request_.id);
  api_.forget(request_.id);
}

bool Exchange::is_operator() const {
  return request_.uid == 0 || request_.uid == geteuid();
}

tl::unexpected<Error> Exchange::not_an_operator(const std::string& what) {
  return fail(Code::kRefused, what + " is for root and the node's own account",
              "run it as one of them");
}

void SimpleExchange::start() {
  Result<client::Request> asked = question();
  if (const Result<void> fine = target_.check(); asked && !fine) return refuse(fine.error());
  if (!asked) return refuse(asked.error());
  ask(0, std::move(*asked));
}

void SimpleExchange::on_answer(std::uint64_t, Result<client::Answer> answer, bool) {
  Result<Rendered> rendered = render(std::move(answer));
  if (!rendered) return refuse(rendered.error());
  rendered->body += rendered->content_type == std::string_view("application/json") ? "\n" : "";
  respond(*rendered);
}

Result<Rendered> DoneExchange::render(Result<client::Answer> answer) {
  const auto done = answer_as<client::Done>(std::move(answer));
  if (!done) return tl::unexpected(done.error());
  return Rendered{"{}", {}};
}

// ---- the API ------------------------------------------------------------------------------------

Api::Api(uv_loop_t* loop, Submit submit, Gone gone)
    : loop_(loop),
      submit_(std::move(submit)),
      gone_(std::move(gone)),
      server_(loop, {.on_request =
                         [this](HttpRequest request) {
                           // Functions must be copyable, and so is what they hold.
                           run([this, held = std::make_shared<HttpRequest>(std::move(request))] {
                             on_request(std::move(*held));
                           });
                         },
                     .on_gone = [this](ExchangeId id) { run([this, id] { forget(id); }); },
                     .on_drained =
                         [this](ExchangeId id) {
                           run([this, id] {
                             const auto at = exchanges_.find(id);
                             if (at != exchanges_.end()) at->second.exchange->take_drained();
                           });
                         },
                     .body_limit = body_limit_of,
                     .error_body = [](const Error& error) { return error_json(error) + "\n"; }}) {}

Api::~Api() = default;

Result<void> Api::listen(const std::string& socket, FileDescriptor bound) {
  Result<void> listening = server_.listen(socket, std::move(bound));
  if (!listening) return listening;
  uv_timer_init(loop_, &timer_);
  uv_timer_init(loop_, &life_timer_);
  timer_.data = life_timer_.data = this;
  open_ = true;
  return {};
}

void Api::close() {
  if (!open_) return;
  open_ = false;
  for (auto& [id, exchange] : exchanges_) finished_.push_back(id);
  run([] {});
  server_.close();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&life_timer_), nullptr);
}

void Api::run(std::function<void()> event) {
  events_.push_back(std::move(event));
  if (running_) return;
  running_ = true;
  for (std::size_t i = 0; i < events_.size() || !finished_.empty(); ++i) {
    if (i < events_.size()) {
      const std::function<void()> next = std::move(events_[i]);
      next();
    }
    for (const ExchangeId id : std::exchange(finished_, {})) remove(id);
  }
  events_.clear();
  running_ = false;
}

void Api::remove(ExchangeId id) {
  const auto at = exchanges_.find(id);
  if (at == exchanges_.end()) return;
  if (at->second.later > 0) {
    std::erase_if(later_, [&](const auto& item) { return item.second.exchange == id; });
  }
  for (const client::RequestId question : at->second.questions) {
    questions_.erase(question);
    gone_(question);
  }
  exchanges_.erase(at);
}

// Exchanges are destroyed after the event in which they end, never while one of theirs runs.
void Api::forget(ExchangeId exchange) {
  if (exchanges_.contains(exchange)) finished_.push_back(exchange);
}

void Api::on_request(HttpRequest request) {
  const ExchangeId id = request.id;
  const auto refuse = [&](const Error& error, int status) {
    server_.respond(id, status, "application/json", error_json(error) + "\n");
  };
  learn_group_count();
  Result<Target> target = Target::parse(request.query);
  if (!target) return refuse(target.error(), 400);
  for (const Endpoint& endpoint : endpoints()) {
    if (request.method != endpoint.method) continue;
    if (!matches(endpoint.pattern, request.path, target->places)) continue;
    for (std::string& place : target->places) {
      const auto decoded = percent_decoded(place, false);
      if (!decoded) return refuse({Code::kUsage, "the path's percent-encoding is broken", ""}, 400);
      place = *decoded;
    }
    auto made = endpoint.make({*this, std::move(request), std::move(*target)});
    Exchange& exchange = *made;
    exchanges_[id].exchange = std::move(made);
    if (uv_is_active(reinterpret_cast<uv_handle_t*>(&life_timer_)) == 0) show_life();
    return exchange.start();
  }
  const Error error = nothing_there(request);
  refuse(error, error.code == Code::kNotFound ? 404 : 405);
}

HostFigures Api::host_figures() const {
  HostFigures figures = figures_ ? figures_() : HostFigures{};
  figures.api_answers = server_.answers();
  figures.api_connections = server_.connections();
  return figures;
}

// The number of groups is fixed when a cluster is founded, so it is asked for once.
void Api::learn_group_count() {
  if (group_count_ != 0 || asks_group_count_) return;
  asks_group_count_ = true;
  ask(0, 0, client::PickGroup{});
}

void Api::ask(ExchangeId exchange, std::uint64_t tag, client::Request request) {
  const client::RequestId id = next_request_++;
  const bool is_over_limit = questions_.size() >= kMaxQuestions;
  questions_[id] = {exchange, tag};
  const auto asker = exchanges_.find(exchange);
  if (asker != exchanges_.end()) asker->second.questions.insert(id);
  if (!is_over_limit) return submit_(id, std::move(request));
  const Error busy{Code::kLimit, "too many requests at once", "try again in a moment"};
  deliver({id, tl::unexpected(busy), true});
}

void Api::ask_later(ExchangeId exchange, std::uint64_t tag, client::Request request,
                    Duration delay) {
  const std::uint64_t at = uv_now(loop_) + static_cast<std::uint64_t>(delay.milliseconds());
  const auto asker = exchanges_.find(exchange);
  ASSERT(asker != exchanges_.end());
  asker->second.later += 1;
  later_.emplace(at, Later{exchange, tag, std::move(request)});
  arm_timer();
}

void Api::arm_timer() {
  if (later_.empty() || !open_) return;
  const std::uint64_t now = uv_now(loop_);
  const std::uint64_t at = std::max(later_.begin()->first, now);
  const auto fired = [](uv_timer_t* timer) {
    auto& self = *static_cast<Api*>(timer->data);
    self.run([&self] {
      while (!self.later_.empty() && self.later_.begin()->first <= uv_now(self.loop_)) {
        auto due = self.later_.extract(self.later_.begin());
        self.exchanges_.at(due.mapped().exchange).later -= 1;
        self.ask(due.mapped().exchange, due.mapped().tag, std::move(due.mapped().request));
      }
    });
    self.arm_timer();
  };
  uv_timer_start(&timer_, fired, at - now, 0);
}

// Begins a round of signs of life, each as long as there is somebody to wait for one.
void Api::show_life() {
  if (exchanges_.empty() || !open_) return;
  const auto fired = [](uv_timer_t* timer) {
    auto& self = *static_cast<Api*>(timer->data);
    self.run([&self] {
      for (auto& [id, running] : self.exchanges_) running.exchange->show_life();
    });
    self.show_life();
  };
  uv_timer_start(&life_timer_, fired, static_cast<std::uint64_t>(kLifeSignPeriod.milliseconds()),
                 0);
}

void Api::deliver(client::Reply reply) {
  run([this, held = std::make_shared<client::Reply>(std::move(reply))] {
    const auto at = questions_.find(held->request);
    if (at == questions_.end()) return;
    const Question question = at->second;
    const bool is_last = held->last || !held->answer;
    if (is_last) questions_.erase(at);
    if (question.exchange == 0) asks_group_count_ = false;
    if (held->answer) {
      if (const auto* picked = std::get_if<client::PickedGroup>(&*held->answer)) {
        group_count_ = picked->group_count;
      }
    }
    const auto asker = exchanges_.find(question.exchange);
    if (asker == exchanges_.end()) return;
    if (is_last) asker->second.questions.erase(held->request);
    asker->second.exchange->on_answer(question.tag, std::move(held->answer), is_last);
  });
}

}  // namespace dunlin
