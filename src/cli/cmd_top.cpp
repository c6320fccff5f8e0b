// `dunlin top`: nodes, jobs and rates, live. A thread of its own asks the cluster, so that keys and
// signals are heard while a node is silent.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "cli/commands.h"
#include "cli/terminal_screen.h"
#include "cli/top_screen.h"
#include "os/clock.h"
#include "os/json.h"
#include "os/thread.h"

namespace dunlin {

namespace {

constexpr const char* kJobs = "/v1/jobs?limit=200";
constexpr Duration kUsualInterval = seconds(2);
constexpr Duration kLeastInterval = milliseconds(100);

struct Raw {
  std::string nodes;
  std::string jobs;
  bool is_cut = false;
  std::string silent;  // groups
};

Result<Raw> ask_raw(Client& client) {
  const auto nodes = client.call("GET", "/v1/nodes");
  if (!nodes) return tl::unexpected(nodes.error());
  const auto jobs = client.call("GET", kJobs);
  if (!jobs) return tl::unexpected(jobs.error());
  return Raw{nodes->body, jobs->body, jobs->header("dunlin-more") == "1", silent_groups(*jobs)};
}

Result<TopSample> sample_of(const Raw& raw) {
  auto nodes = nodes_from_json(raw.nodes);
  if (!nodes) return tl::unexpected(nodes.error());
  auto jobs = jobs_from_json(raw.jobs);
  if (!jobs) return tl::unexpected(jobs.error());
  return TopSample{monotonic_now(),  wall_now(), std::move(*nodes),
                   std::move(*jobs), raw.is_cut, raw.silent};
}

Result<TopSample> take_sample(Client& client) {
  Result<Raw> raw = ask_raw(client);
  if (!raw) return tl::unexpected(raw.error());
  return sample_of(*raw);
}

// Asks when it is told to, and wakes whoever waits at `ready` with what it has heard.
class Asker {
 public:
  explicit Asker(Client& client)
      : client_(client), ready_(eventfd(0, EFD_CLOEXEC)), thread_("top", [this] { run(); }) {}

  int ready() const { return ready_; }
  void ask() {
    const std::scoped_lock lock(mutex_);
    wanted_ = true;
    changed_.notify_one();
  }
  Result<TopSample> take() {
    std::uint64_t count = 0;
    (void)!::read(ready_, &count, sizeof count);
    const std::scoped_lock lock(mutex_);
    return std::move(answer_);
  }

 private:
  void run() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return wanted_; });
        wanted_ = false;
      }
      Result<TopSample> answer = take_sample(client_);
      const std::scoped_lock lock(mutex_);
      answer_ = std::move(answer);
      const std::uint64_t one = 1;
      (void)!::write(ready_, &one, sizeof one);
    }
  }

  Client& client_;
  int ready_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;
  Result<TopSample> answer_;
  Thread thread_;  // last: it uses all the others
};

class LiveTop {
 public:
  LiveTop(Client& client, Duration interval) : interval_(interval), asker_(client) {}

  // Until `q` or a signal; the exit code.
  int run() {
    ask();
    for (;;) {
      using Event = TerminalScreen::Event;
      switch (screen_.wait(milliseconds_left(), asker_.ready())) {
        case Event::kInterrupt: return leave(kExitInterrupted);
        case Event::kEnd: return leave(kExitWell);
        case Event::kKey:
          if (screen_.key() == 'q' || screen_.key() == 'Q') return leave(kExitWell);
          break;
        case Event::kResized: draw(); break;
        case Event::kOther: take(); break;
        case Event::kNothing: break;
      }
      if (!is_asking_ && monotonic_now() >= next_at_) ask();
    }
  }

 private:
  int milliseconds_left() const {
    if (is_asking_) return -1;
    const Duration left = next_at_ - monotonic_now();
    return static_cast<int>(std::clamp<std::int64_t>(left.milliseconds() + 1, 0, 60'000));
  }

  void ask() {
    is_asking_ = true;
    next_at_ = monotonic_now() + interval_;
    asker_.ask();
  }

  void take() {
    is_asking_ = false;
    Result<TopSample> answer = asker_.take();
    trouble_ = answer ? "" : answer.error().message;
    if (answer) {
      if (!answer->silent.empty()) trouble_ = jobs_may_lack(answer->silent).message;
      rates_.add(*answer);
      sample_ = std::move(*answer);
    }
    draw();
  }

  void draw() {
    screen_.draw(top_lines(sample_, rates_, trouble_, screen_.width(), screen_.height()));
  }

  // The asker may be waiting for a silent node: nothing of it is worth waiting for.
  int leave(int code) {
    screen_.restore();
    std::_Exit(code);
  }

  Duration interval_;
  TerminalScreen screen_;
  Asker asker_;
  TopSample sample_;
  TopRates rates_;
  std::string trouble_;
  bool is_asking_ = false;
  Instant next_at_;
};

int how_whole(const Invocation& call, const std::string& silent) {
  return silent.empty() ? int{kExitWell} : call.failed(jobs_may_lack(silent));
}

int print_once(Invocation& call) {
  Result<Raw> raw = ask_raw(call.client);
  if (!raw) return call.failed(raw.error());
  if (call.json()) {
    print("{\"nodes\":" + raw->nodes + ",\"jobs\":" + raw->jobs + "}\n");
    return how_whole(call, raw->silent);
  }
  const Result<TopSample> sample = sample_of(*raw);
  if (!sample) return call.failed(sample.error());
  std::string text;
  for (const std::string& line : top_lines(*sample, {}, "", 0, 0)) text += line + "\n";
  print(text);
  return how_whole(call, raw->silent);
}

}  // namespace

const OptionTable& top_options() {
  static const OptionTable table = {
      {"interval", 0, "TIME", Takes::kDuration, "between two looks (2s)"},
  };
  return table;
}

int run_top(Invocation& call) {
  const Duration interval = call.args.duration("interval", kUsualInterval);
  if (interval < kLeastInterval) return call.usage("--interval is at least 100ms");
  const bool is_live = is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
  if (!is_live || call.json()) return print_once(call);
  LiveTop top(call.client, interval);
  return top.run();
}

}  // namespace dunlin
