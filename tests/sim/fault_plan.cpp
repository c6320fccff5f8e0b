#include "sim/fault_plan.h"

#include <algorithm>

#include "sim/bare_quorum.h"

namespace dunlin::sim {

namespace {

constexpr std::size_t kVoters = 3;
constexpr Duration kDoom = seconds(60);
constexpr Duration kAskAgain = seconds(2);
constexpr int kUndrainTries = 60;
constexpr std::size_t kFewest = 4;  // running nodes that a fault may leave, leaves excepted

// Struck by the injector, one at a time; the rest is weather.
constexpr std::array kEpisodes = {
    Fault::kPartition, Fault::kOneWayPartition, Fault::kPartialPartition,
    Fault::kPause,     Fault::kProcessCrash,    Fault::kHostCrash,
    Fault::kPowerCut,  Fault::kDiskFull,        Fault::kIoError,
    Fault::kHungDisk,  Fault::kBitFlip,         Fault::kPackRot,
    Fault::kLostTail,  Fault::kLostLog,         Fault::kLostState,
    Fault::kRestored,  Fault::kCloned,          Fault::kJoin,
    Fault::kLeave,     Fault::kDrained,         Fault::kForgotten};
// What a plan has to have of the kinds that make a seed count; not all will find an occasion.
constexpr std::ptrdiff_t kFewestOn = 6;
constexpr Weather kStorm{.loss = 0.1, .duplication = 0.08, .reordering = 0.15, .delays = 0.015};

}  // namespace

FaultPlan FaultPlan::draw(Random& random) {
  FaultPlan plan;
  for (std::size_t i = 0; i < kFaultKinds; ++i) plan.on[i] = random.chance(0.45);
  while (std::count(plan.on.begin(), plan.on.begin() + kMeritKinds, true) < kFewestOn) {
    plan.on[random.below(kMeritKinds)] = true;
  }
  if (plan.has(Fault::kLoss)) plan.weather.loss = random.unit() * 0.15;
  if (plan.has(Fault::kDuplication)) plan.weather.duplication = random.unit() * 0.1;
  if (plan.has(Fault::kReordering)) plan.weather.reordering = random.unit() * 0.2;
  if (plan.has(Fault::kDelay)) plan.weather.delays = random.unit() * 0.02;
  plan.between = random.between(seconds(4), seconds(16));
  plan.longest = random.between(seconds(3), seconds(25));
  // A seed without any episode would show nothing.
  plan.set(kEpisodes[random.below(kEpisodes.size())]);
  plan.set(Fault::kProcessCrash);
  // Nodes come and go all the while.
  plan.set(Fault::kJoin);
  plan.set(Fault::kLeave);
  return plan;
}

FaultPlan FaultPlan::of(const std::vector<Fault>& faults) {
  FaultPlan plan;
  for (const Fault fault : faults) plan.set(fault);
  if (plan.has(Fault::kLoss)) plan.weather.loss = kStorm.loss;
  if (plan.has(Fault::kDuplication)) plan.weather.duplication = kStorm.duplication;
  if (plan.has(Fault::kReordering)) plan.weather.reordering = kStorm.reordering;
  if (plan.has(Fault::kDelay)) plan.weather.delays = kStorm.delays;
  plan.between = seconds(5);
  return plan;
}

FaultInjector::FaultInjector(SimWorld& world, const FaultPlan& plan, Random random)
    : world_(world), plan_(plan), random_(random) {}

void FaultInjector::begin() {
  world_.faults().begin();
  world_.network().set_weather(plan_.weather);
  world_.on_end = [this](SimHost& host) { on_end(host); };
  next();
}

void FaultInjector::end() {
  is_over_ = true;
  world_.collect_disk_counts();
  world_.faults().end();
}

void FaultInjector::heal() {
  world_.network().mend();
  world_.network().set_weather(Weather{});
  for (HostIndex i = 0; i < world_.host_count(); ++i) {
    world_.host(i).disk().mend();
    world_.host(i).proceed();
  }
  if (plan_.has(Fault::kDrained)) undrain_all(kUndrainTries);
}

void FaultInjector::next() {
  world_.queue().after(random_.between(plan_.between / 4, plan_.between * 7 / 4), [this] {
    if (is_over_) return;
    std::vector<Fault> possible;
    for (const Fault fault : kEpisodes) {
      if (plan_.has(fault)) possible.push_back(fault);
    }
    if (!possible.empty()) strike(possible[random_.below(possible.size())]);
    next();
  });
}

// Of the peers' processes.
bool FaultInjector::may_silence() {
  return !is_one_doomed() || !doomed_->has_forgotten;
}

void FaultInjector::strike(Fault fault) {
  switch (fault) {
    case Fault::kPartition:
    case Fault::kOneWayPartition:
    case Fault::kPartialPartition: return partition(fault);
    case Fault::kPause: return pause();
    case Fault::kProcessCrash:
      if (const auto host = victim()) amid_writes({*host}, [this, host] { kill(*host); });
      return;
    case Fault::kHostCrash:
      if (const auto host = victim()) {
        amid_writes({*host}, [this, host] { crash_host(*host, random_.chance(0.5)); });
      }
      return;
    case Fault::kPowerCut: return amid_writes(running(), [this] { power_cut(); });
    case Fault::kDiskFull: return fill_disk();
    case Fault::kIoError: return break_disk();
    case Fault::kHungDisk: return hang_disk();
    case Fault::kBitFlip:
    case Fault::kLostTail:
    case Fault::kLostLog:
    case Fault::kLostState: return tamper(fault);
    case Fault::kPackRot: return rot_a_pack();
    case Fault::kRestored: return put_back_later();
    case Fault::kCloned: return clone();
    case Fault::kJoin: return join();
    case Fault::kLeave: return leave();
    case Fault::kDrained: return drain();
    case Fault::kForgotten: return forget();
    default: return;
  }
}

std::size_t FaultInjector::up() const {
  std::size_t count = 0;
  for (HostIndex i = 0; i < world_.host_count(); ++i) count += world_.host(i).is_up() ? 1 : 0;
  return count;
}

std::vector<HostIndex> FaultInjector::running() const {
  std::vector<HostIndex> hosts;
  for (HostIndex i = 0; i < world_.host_count(); ++i) {
    if (world_.host(i).is_up() && !world_.host(i).is_banished()) hosts.push_back(i);
  }
  return hosts;
}

bool FaultInjector::is_one_doomed() {
  if (doomed_ &&
      (world_.queue().now() > doomed_->until || world_.host(doomed_->host).id() != doomed_->id)) {
    doomed_.reset();
  }
  return doomed_.has_value();
}

bool FaultInjector::is_in_budget() {
  return !is_one_doomed() && up() > kFewest && is_settled(world_, kVoters);
}

std::optional<HostIndex> FaultInjector::victim() {
  const std::vector<HostIndex> hosts = running();
  if (hosts.empty()) return std::nullopt;
  return hosts[random_.below(hosts.size())];
}

// ---- the network --------------------------------------------------------------------------------

void FaultInjector::partition(Fault kind) {
  if (world_.network().has_cuts() || !may_silence()) return;
  std::vector<bool> side;
  for (HostIndex i = 0; i < world_.host_count(); ++i) side.push_back(random_.chance(0.5));
  for (HostIndex a = 0; a < side.size(); ++a) {
    for (HostIndex b = 0; b < side.size(); ++b) {
      if (a == b) continue;
      if (kind == Fault::kPartialPartition) {
        // Some pairs do not reach each other; both ways.
        if (a < b && random_.chance(0.3)) {
          world_.network().cut(a, b, kind);
          world_.network().cut(b, a, kind);
        }
      } else if (side[a] != side[b] && (kind == Fault::kPartition || side[a])) {
        world_.network().cut(a, b, kind);
      }
    }
  }
  world_.queue().after(random_.between(seconds(1), plan_.longest), [this, own = ++partitions_] {
    if (own == partitions_) world_.network().mend();
  });
}

void FaultInjector::pause() {
  const auto host = victim();
  if (!host || !may_silence()) return;
  world_.host(*host).pause();
  world_.queue().after(random_.between(milliseconds(300), plan_.longest),
                       [this, host = *host] { world_.host(host).proceed(); });
}

// ---- processes and hosts ------------------------------------------------------------------------

// A disk is at rest most of the time: a crash does harm when one of these has something to write.
void FaultInjector::amid_writes(std::vector<HostIndex> hosts, std::function<void()> strike,
                                int tries) {
  const bool writes = std::any_of(hosts.begin(), hosts.end(), [&](HostIndex host) {
    return world_.host(host).is_up() && world_.host(host).disk().has_waiting();
  });
  if (is_over_) return;
  if (writes || tries == 0) return strike();
  world_.queue().after(
      random_.between(microseconds(100), microseconds(900)),
      [this, hosts = std::move(hosts), strike = std::move(strike), tries]() mutable {
        amid_writes(std::move(hosts), std::move(strike), tries - 1);
      });
}

Crash FaultInjector::draw_crash(bool power) {
  Crash crash;
  crash.keep_batches = random_.chance(0.5) ? 0 : random_.below(4);
  crash.keep_checkpoint = random_.chance(0.5);
  if (!power) return crash;
  crash.tear = random_.chance(0.6);
  crash.leak_files = random_.chance(0.5);
  crash.torn_bytes = random_.below(4096);
  crash.witness_lag = random_.below(3);
  return crash;
}

void FaultInjector::kill(HostIndex host) {
  if (!world_.host(host).is_up() || !may_silence()) return;
  world_.faults().note(Fault::kProcessCrash);
  world_.host(host).kill(draw_crash(false), random_.chance(plan_.silence));
}

void FaultInjector::kill_one_of(HostIndex a, HostIndex b) {
  if (is_over_ || !plan_.has(Fault::kProcessCrash)) return;
  const HostIndex host = random_.chance(0.5) ? a : b;
  world_.queue().after(random_.between(Duration{}, milliseconds(3)), [this, host] {
    if (!is_over_ && world_.host(host).is_up()) kill(host);
  });
}

void FaultInjector::crash_host(HostIndex host, bool power) {
  if (!world_.host(host).is_up() || !may_silence()) return;
  world_.faults().note(Fault::kHostCrash);
  world_.host(host).crash(draw_crash(power));
}

void FaultInjector::power_cut() {
  if (!may_silence()) return;
  if (up() >= 2) world_.faults().note(Fault::kPowerCut);
  for (HostIndex i = 0; i < world_.host_count(); ++i) {
    if (world_.host(i).phase() != SimHost::Phase::kDown) world_.host(i).crash(draw_crash(true));
  }
}

void FaultInjector::on_end(SimHost& host) {
  if (is_over_ || host.is_banished()) return;
  const bool is_quick = random_.chance(0.5);
  start_later(host.index(), milliseconds(200), is_quick ? seconds(3) : plan_.longest * 2);
}

void FaultInjector::start_later(HostIndex host, Duration least, Duration most) {
  world_.queue().after(random_.between(least, most), [this, host] {
    if (!is_over_) start(host);
  });
}

void FaultInjector::start(HostIndex index) {
  SimHost& host = world_.host(index);
  if (host.phase() != SimHost::Phase::kDown || host.is_banished()) return;
  if (forgetting_ && forgetting_->host == index) return;
  if (has_member_disk(host)) {
    host.resume();
    // The journal may refuse it.
    if (host.phase() == SimHost::Phase::kDown) start_later(index, seconds(1), seconds(10));
    return;
  }
  replace(index);
}

// Somebody empties the directory and lets the host join as a new node.
void FaultInjector::replace(HostIndex index) {
  SimHost& host = world_.host(index);
  if (host.last_end() == SimHost::End::kRotten || host.last_end() == SimHost::End::kFatal) {
    world_.faults().note(Fault::kRetired);
  }
  say(host.name() + " begins anew: " + host.last_words());
  host.wipe();
  copies_.erase(index);
  host.join(world_.token());
}

// ---- disks --------------------------------------------------------------------------------------

void FaultInjector::fill_disk() {
  const auto host = victim();
  if (!host) return;
  world_.host(*host).disk().set_full(true);
  world_.queue().after(random_.between(seconds(1), plan_.longest),
                       [this, host = *host] { world_.host(host).disk().set_full(false); });
}

void FaultInjector::break_disk() {
  if (!may_silence()) return;
  if (const auto host = victim()) world_.host(*host).disk().fail_next_write();
}

void FaultInjector::hang_disk() {
  const auto host = victim();
  if (!host) return;
  world_.host(*host).disk().set_hung(true);
  world_.queue().after(random_.between(milliseconds(500), plan_.longest),
                       [this, host = *host] { world_.host(host).disk().set_hung(false); });
}

// The host goes down, and its disk comes back with less than it had. The cluster may have to heal
// from earlier faults first.
void FaultInjector::tamper(Fault fault, int tries) {
  if (is_over_) return;
  if (tries == 0) {
    if (fault == Fault::kRestored) copies_.clear();
    return;
  }
  auto index = victim();
  if (fault == Fault::kRestored && !copies_.empty()) index = copies_.begin()->first;
  if (!index) return;
  SimHost& host = world_.host(*index);
  if (!host.is_up() || !is_in_budget()) {
    world_.queue().after(seconds(2), [this, fault, tries] { tamper(fault, tries - 1); });
    return;
  }
  host.crash(draw_crash(false));
  alter(host, fault);
}

void FaultInjector::alter(SimHost& host, Fault fault) {
  SimDisk& disk = host.disk();
  bool is_done = false;
  if (fault == Fault::kBitFlip) {
    if (random_.chance(0.6)) {
      is_done = disk.flip_row(random_);
    } else {
      is_done = random_.chance(0.5) ? disk.flip_fact(random_) : disk.flip_state(random_);
    }
  } else if (fault == Fault::kLostTail) {
    is_done = disk.lose_tail(random_.below(20) + 1);
  } else if (fault == Fault::kLostLog) {
    is_done = disk.lose_log();
  } else if (fault == Fault::kLostState) {
    is_done = disk.lose_state();
  } else if (const auto copy = copies_.find(host.index()); copy != copies_.end()) {
    is_done = copy->second.rows != disk.snapshot().rows;
    if (is_done) disk.restore(std::move(copy->second));
    copies_.erase(copy);
    doomed_ = Doomed{host.index(), host.id(), world_.queue().now() + kDoom, true};
    if (is_done) let_all_speak();
  }
  say(host.name() + ": " + name_of(fault));
  if (is_done) host.set_tampered(fault);
}

void FaultInjector::let_all_speak() {
  world_.network().mend();
  for (HostIndex i = 0; i < world_.host_count(); ++i) world_.host(i).proceed();
}

// A copy of a directory is taken now and put back some time later.
void FaultInjector::put_back_later() {
  const auto index = victim();
  if (!index || !copies_.empty()) return;
  copies_[*index] = world_.host(*index).disk().snapshot();
  world_.queue().after(random_.between(seconds(3), seconds(20)), [this] {
    if (!copies_.empty()) tamper(Fault::kRestored);
  });
}

// Under a node that runs. Who reads it finds out; copies elsewhere must make up for it.
void FaultInjector::rot_a_pack() {
  const auto index = victim();
  if (!index || !is_in_budget()) return;
  SimHost& host = world_.host(*index);
  if (host.disk().flip_file(random_)) host.set_tampered(std::nullopt);
}

// A copy of a directory starts on another host while the original goes on. Whichever of the two
// survives, none of them counts as a member's disk any more once the copy is gone.
void FaultInjector::clone(int tries) {
  if (is_over_ || tries == 0) return;
  const auto original = victim();
  if (!original || !is_in_budget()) {
    world_.queue().after(seconds(2), [this, tries] { clone(tries - 1); });
    return;
  }
  SimHost& copy = world_.add_host();
  copy.banish();
  copy.set_tampered(std::nullopt);
  copy.disk().restore(world_.host(*original).disk().snapshot());
  copy.resume();
  // While the original is down the copy speaks for it: its own disk is the older one then.
  world_.host(*original).set_tampered(std::nullopt);
  // The cluster may take the copy for the node itself, and the original for one that forgot.
  doomed_ = Doomed{*original, world_.host(*original).id(), world_.queue().now() + kDoom, false};
  say("a copy of " + world_.host(*original).name() + " begins as " + copy.name());
  world_.queue().after(random_.between(seconds(5), seconds(20)),
                       [this, index = copy.index()] { world_.host(index).crash(Crash{}); });
}

// ---- members ------------------------------------------------------------------------------------

void FaultInjector::join() {
  constexpr std::size_t kMostHosts = 9;
  std::size_t hosts = 0;
  for (HostIndex i = 0; i < world_.host_count(); ++i) hosts += world_.host(i).is_banished() ? 0 : 1;
  if (hosts >= kMostHosts) return;
  world_.add_host().join(world_.token());
}

void FaultInjector::leave() {
  const auto host = victim();
  if (!host || up() <= kFewest) return;
  client::LeaveNode leave;
  leave.node = world_.host(*host).id();
  world_.host(*host).ask(client::Request(leave), [](const Result<client::Answer>&, bool) {});
}

void FaultInjector::drain() {
  const auto host = victim();
  const auto asked = victim();
  if (!host || is_draining_) return;
  is_draining_ = true;
  const NodeId id = world_.host(*host).id();
  const Duration deadline =
      random_.chance(0.5) ? Duration{} : random_.between(seconds(1), seconds(9));
  world_.host(*asked).ask(client::Request(client::DrainNode{id, deadline, false}),
                          [this](const Result<client::Answer>& answer, bool) {
                            if (answer) world_.faults().note(Fault::kDrained);
                          });
  world_.queue().after(random_.between(seconds(3), plan_.longest * 2),
                       [this, host = *host, id] { undrain(host, id, kUndrainTries); });
}

// Until it has heard it, or is no more.
void FaultInjector::undrain(HostIndex host, NodeId id, int tries) {
  const auto asked = victim();
  if (is_over_ || tries == 0 || world_.host(host).id() != id) {
    is_draining_ = false;
    return;
  }
  const auto again = [this, host, id, tries] {
    world_.queue().after(kAskAgain, [this, host, id, tries] { undrain(host, id, tries - 1); });
  };
  if (!asked) return again();
  world_.host(*asked).ask(client::Request(client::UndrainNode{id}),
                          [this, again](const Result<client::Answer>& answer, bool) {
                            if (!answer) return again();
                            is_draining_ = false;
                          });
}

// A late order may have come after the one that took it back.
void FaultInjector::undrain_all(int tries) {
  if (tries == 0) return;
  for (const HostIndex i : running()) {
    const auto& members = world_.host(i).node()->gossip().members();
    const auto self = members.find(world_.host(i).id());
    if (self == members.end() || !self->second.load.draining) continue;
    world_.host(i).ask(client::Request(client::UndrainNode{world_.host(i).id()}),
                       [](const Result<client::Answer>&, bool) {});
  }
  world_.queue().after(kAskAgain, [this, tries] { undrain_all(tries - 1); });
}

// A host dies and is given up; once the others have forgotten it, it comes back.
void FaultInjector::forget() {
  const auto host = victim();
  if (!host || forgetting_ || !is_in_budget()) return;
  const NodeId id = world_.host(*host).id();
  forgetting_ = Forgetting{*host, id, 0};
  doomed_ = Doomed{*host, id, Instant::never(), false};
  copies_.erase(*host);
  world_.give_up(id);
  say(world_.host(*host).name() + " dies, and is to be forgotten");
  world_.host(*host).crash(draw_crash(false));
  world_.queue().after(kAskAgain, [this] { ask_to_forget(); });
}

void FaultInjector::ask_to_forget() {
  if (is_over_) return;
  const std::uint64_t question = ++forgetting_->question;
  const NodeId id = forgetting_->id;
  const auto again = [this, question, id] {
    const bool is_last = forgetting_ && forgetting_->id == id && forgetting_->question == question;
    if (is_last) world_.queue().after(kAskAgain, [this] { ask_to_forget(); });
  };
  const auto asked = victim();
  if (!asked) return again();
  world_.host(*asked).ask(client::Request(client::ForgetNode{id}),
                          [this, again, id](const Result<client::Answer>& answer, bool) {
                            answer ? on_forgotten(id) : again();
                          });
}

void FaultInjector::on_forgotten(NodeId id) {
  world_.note_forgotten(id);
  if (!forgetting_ || forgetting_->id != id) return;
  world_.faults().note(Fault::kForgotten);
  const HostIndex host = forgetting_->host;
  forgetting_.reset();
  say(world_.host(host).name() + " is forgotten");
  if (!is_over_) start_later(host, milliseconds(200), seconds(20));
}

}  // namespace dunlin::sim
