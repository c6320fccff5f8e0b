// One scheduler without a cluster, for tests of what it makes of single messages.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "sched/messages.h"
#include "sched/named.h"
#include "sched/sched.h"

namespace dunlin::sched {

// What it sends is looked at, what others would say is said by the test.
class LoneScheduler {
 public:
  explicit LoneScheduler(std::uint32_t cpus) : scheduler_(self_, 1, config_of(cpus), Random(1)) {
    hear(RunnerReady{});
  }

  Scheduler& scheduler() { return scheduler_; }
  NodeId peer() const { return peer_; }
  void say(const SchedMessage& message) {
    tell([&](Effects& out) { scheduler_.receive(now_, peer_, encode_frame(message), out); });
  }
  // What its runner says.
  void hear(const ProcessEvent& event) {
    tell([&](Effects& out) { scheduler_.on_process(now_, {1}, event, out); });
  }
  void wait(Duration time) {
    now_ = now_ + time;
    tick();
  }
  void tell(const std::function<void(Effects&)>& input) {
    now_ = now_ + microseconds(1);
    Effects out;
    input(out);
    events = scheduler_.take_events();
    for (const StartProcess& start : out.starts) started.push_back(start.key);
    for (const Send& sent : out.sends) said.push_back(decode_frame(sent.frame).value());
    for (const Ticket& ticket : out.tickets) {
      tell([&](Effects& more) { scheduler_.on_durable(now_, ticket, more); });
    }
  }
  void tick() {
    tell([&](Effects& out) { scheduler_.tick(now_, {1}, out); });
  }
  // What of this kind was said since the last call.
  template <class T>
  std::vector<T> take() {
    std::vector<T> taken;
    for (const SchedMessage& message : said) {
      if (const T* wanted = std::get_if<T>(&message)) taken.push_back(*wanted);
    }
    said.clear();
    return taken;
  }
  std::vector<SchedMessage> said;
  std::vector<SchedEvent> events;
  std::vector<ProcessKey> started;

 private:
  static SchedConfig config_of(std::uint32_t cpus) {
    SchedConfig config;
    config.cpus = cpus;
    return config;
  }
  NodeId self_ = named(1), peer_ = named(2);
  Instant now_{1000};
  Scheduler scheduler_;
};

}  // namespace dunlin::sched
