#include "store/store_cluster.h"
#include "base/fields.h"

namespace dunlin {

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  Random(seed).fill(out);
  return out;
}

std::string pin_key(const BlobId& id, Pin pin) {
  return "pin/" + id.text() + "/" + std::to_string(pin.group.value) + "/" +
         std::to_string(pin.intent);
}

void Disk::write(const FileWrite& write, std::size_t length) {
  Bytes& file = files[write.file];
  file.resize(std::max<std::size_t>(file.size(), write.offset + length));
  std::copy_n(write.data.begin(), length, file.begin() + static_cast<std::ptrdiff_t>(write.offset));
}

void Disk::apply(const Batch& batch) {
  for (const FileWrite& piece : batch.writes) write(piece, piece.data.size());
  for (const Fact& fact : batch.facts) {
    if (fact.value) {
      facts[fact.key] = *fact.value;
    } else {
      facts.erase(fact.key);
    }
  }
}

Result<Bytes> Disk::read(const FileExtent& extent) const {
  const auto file = files.find(extent.file);
  if (file == files.end() || file->second.size() < extent.offset + extent.length) {
    return fail(Code::kNotFound, "no such bytes in " + extent.file);
  }
  const auto begin = file->second.begin() + static_cast<std::ptrdiff_t>(extent.offset);
  return Bytes(begin, begin + static_cast<std::ptrdiff_t>(extent.length));
}

std::optional<FileExtent> Disk::find(const BlobId& id) const {
  struct Place {
    std::uint32_t pack = 0, offset = 0, length = 0;
    static constexpr auto fields() {
      return Fields<&Place::pack, &Place::offset, &Place::length>{};
    }
  };
  const auto fact = facts.find("blob/" + id.text());
  if (fact == facts.end()) return std::nullopt;
  const auto place = decode<Place>(fact->second);
  if (!place) return std::nullopt;
  return FileExtent{store::pack_file(place->pack), place->offset, place->length};
}

bool Disk::has_sound(const BlobId& id) const {
  const auto extent = find(id);
  if (!extent) return false;
  const auto bytes = read(*extent);
  return bytes && blob_id_of(*bytes) == id;
}

// A node refuses a blob, its disk being full.
static bool says_full(const Bytes& frame) {
  if (frame.size() < 3 || frame[2] != kind_of<store::PutAnswer>()) return false;
  const auto message = decode<store::Message>(ByteView(frame).subspan(1));
  const auto* answer = message ? std::get_if<store::PutAnswer>(&*message) : nullptr;
  return answer != nullptr && answer->verdict == store::PutVerdict::kFull;
}

StoreCluster::StoreCluster(std::uint64_t seed, std::size_t count, StoreConfig config)
    : config_(config), random_(seed) {
  initialise_crypto();
  for (std::size_t i = 0; i < count; ++i) add_host();
  tell_members();
}

std::size_t StoreCluster::add_host(std::string zone) {
  Host host;
  random_.fill(host.id.raw);
  host.zone = std::move(zone);
  hosts_.push_back(std::move(host));
  start(hosts_.size() - 1);
  return hosts_.size() - 1;
}

void StoreCluster::crash(std::size_t i) {
  Host& host = hosts_[i];
  if (!host.up) return;
  took_effect_["crash"] += 1;
  if (!host.unsynced.empty()) {
    took_effect_["lost writes"] += 1;
    for (const FileWrite& write : host.unsynced.front().writes) {
      host.disk.write(write, random_.below(write.data.size() + 1));
    }
  }
  host.unsynced.clear();
  host.blobs.reset();
  host.life += 1;
  host.up = false;
}

void StoreCluster::destroy(std::size_t i) {
  crash(i);
  hosts_[i].disk = Disk{};
  hosts_[i].disk_destroyed = true;
}

void StoreCluster::restart(std::size_t i) {
  if (hosts_[i].up) return;
  hosts_[i].state = StoreMemberState::kAlive;
  start(i);
  tell_members();
}

void StoreCluster::declare(std::size_t i, StoreMemberState state) {
  hosts_[i].state = state;
  tell_members();
}

void StoreCluster::suspect(std::size_t by, std::size_t whom, bool yes) {
  if (yes && by != whom && hosts_[by].up && hosts_[whom].up) took_effect_["false suspicion"] += 1;
  with(by, [&, whom, yes](Blobs& blobs, Effects& out) {
    if (yes) {
      blobs.peer_suspected(now_, hosts_[whom].id, out);
    } else {
      blobs.peer_recovered(now_, hosts_[whom].id, out);
    }
  });
}

bool StoreCluster::flip_bit(std::size_t i, const BlobId& id) {
  Disk& disk = hosts_[i].disk;
  const auto extent = disk.find(id);
  if (!extent || extent->length == 0 || !disk.has_sound(id)) return false;
  disk.files[extent->file][extent->offset + random_.below(extent->length)] ^= 0x04;
  hosts_[i].rotten.insert(id);
  return true;
}

std::uint64_t StoreCluster::put(std::size_t i, Bytes data, Pin pin) {
  const std::uint64_t token = next_token_++;
  puts_[token] = pin;
  with(i, [&](Blobs& blobs, Effects& out) { blobs.put(now_, token, pin, std::move(data), out); });
  return token;
}

std::uint64_t StoreCluster::fetch(std::size_t i, const BlobId& id, std::vector<NodeId> hint) {
  const std::uint64_t token = next_token_++;
  with(i, [&](Blobs& blobs, Effects& out) { blobs.fetch(now_, token, id, hint, out); });
  return token;
}

std::uint64_t StoreCluster::localize(std::size_t i, const BlobId& id, std::vector<NodeId> hint) {
  const std::uint64_t token = next_token_++;
  with(i, [&](Blobs& blobs, Effects& out) { blobs.localize(now_, token, id, hint, out); });
  return token;
}

void StoreCluster::with(std::size_t i, const std::function<void(Blobs&, Effects&)>& input) {
  Host& host = hosts_[i];
  if (!host.up) return;
  Effects out;
  input(*host.blobs, out);
  perform(i, std::move(out));
  for (BlobEvent& event : host.blobs->take_events()) observe(i, std::move(event));
}

void StoreCluster::run_for(Duration length) {
  const Instant end = now_ + length;
  while (step(end)) {
  }
  now_ = end;
}

bool StoreCluster::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now_ + limit;
  while (!condition()) {
    if (!step(end)) return condition();
  }
  return true;
}

std::uint64_t StoreCluster::messages_of(std::size_t kind) const {
  const auto found = kinds_.find(kind);
  return found == kinds_.end() ? 0 : found->second;
}

bool StoreCluster::ended(std::size_t i, std::uint64_t token) const {
  return std::ranges::any_of(hosts_[i].events, [&](const BlobEvent& event) {
    return std::visit([&](const auto& held) { return held.token == token; }, event);
  });
}

std::size_t StoreCluster::sound_copies(const BlobId& id, bool only_up) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      hosts_, [&](const Host& host) { return (host.up || !only_up) && host.disk.has_sound(id); }));
}

std::size_t StoreCluster::index_of(const NodeId& id) const {
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (hosts_[i].id == id) return i;
  }
  return hosts_.size();
}

std::vector<std::string> StoreCluster::unreadable() {
  std::vector<std::string> found;
  for (const Acknowledged& ack : acknowledged_) {
    if (sound_copies(ack.blob.id) == 0) continue;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (!hosts_[i].up) continue;
      const std::uint64_t token = fetch(i, ack.blob.id, ack.holders);
      run_until([&] { return ended(i, token); });
      const auto* fetched = event<BlobFetched>(i, token);
      if (fetched == nullptr || !fetched->content) {
        found.push_back("host " + std::to_string(i) + " cannot read " + ack.blob.id.short_text() +
                        ": " + (fetched ? fetched->content.error().message : "no answer"));
      }
    }
  }
  return found;
}

std::size_t StoreCluster::under_replicated() const {
  std::size_t up = 0, count = 0;
  for (const Host& host : hosts_) up += host.up ? 1 : 0;
  for (const Acknowledged& ack : acknowledged_) {
    count += sound_copies(ack.blob.id) < std::min(config_.replicas, up) ? 1 : 0;
  }
  return count;
}

std::size_t StoreCluster::deleted() const {
  std::size_t count = 0;
  for (const Host& host : hosts_) {
    if (host.disk_destroyed) continue;
    for (const std::string& key : host.once_durable) {
      count += host.disk.facts.contains(key) ? 0 : 1;
    }
  }
  return count;
}

void StoreCluster::start(std::size_t i) {
  Host& host = hosts_[i];
  host.up = true;
  host.disk_free_at = now_;
  host.blobs = std::make_unique<Blobs>(host.id, config_, random_.fork());
  for (const auto& [key, value] : host.disk.facts) {
    if (!host.blobs->recover_fact(key, value)) broken_.push_back("fact refused: " + key);
  }
  for (const auto& [file, bytes] : host.disk.files) {
    host.blobs->recover_pack(file, bytes.size());
  }
  with(i, [&](Blobs& blobs, Effects& out) { blobs.start(now_, out); });
}

void StoreCluster::tell_members() {
  std::vector<StoreMember> members;
  for (const Host& host : hosts_) members.push_back({host.id, host.state, 1, host.zone});
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const Duration delay = random_.between(microseconds(0), milliseconds(200));
    members[i].state = StoreMemberState::kAlive;  // nobody takes himself for dead
    at(now_ + delay, i, [this, i, members] {
      with(i, [&](Blobs& blobs, Effects& out) { blobs.set_members(now_, members, out); });
    });
    members[i].state = hosts_[i].state;
  }
}

bool StoreCluster::step(Instant end) {
  std::size_t due = hosts_.size();
  Instant first = queue_.empty() ? Instant::never() : queue_.begin()->first.first;
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    if (!hosts_[i].up) continue;
    const Instant deadline = std::max(now_, hosts_[i].blobs->next_deadline());
    if (deadline < first) {
      first = deadline;
      due = i;
    }
  }
  if (first > end || first == Instant::never()) return false;
  now_ = std::max(now_, first);
  if (due < hosts_.size()) {
    if (++ticks_at_once_ > 100'000) broken_.push_back("ticks without end");
    with(due, [&](Blobs& blobs, Effects& out) { blobs.tick(now_, out); });
    return broken_.size() < 100;
  }
  ticks_at_once_ = 0;
  const auto happening = std::move(queue_.begin()->second);
  queue_.erase(queue_.begin());
  if (hosts_[happening.host].life == happening.life) happening.what();
  return true;
}

void StoreCluster::perform(std::size_t i, Effects out) {
  Host& host = hosts_[i];
  for (Send& send : out.sends) transmit(i, std::move(send));
  for (const FileRead& read : out.file_reads) {
    host.reads += 1;
    const Duration delay = random_.between(microseconds(50), milliseconds(3));
    at(now_ + delay, i, [this, i, read] {
      note_rot(i, read.extent);
      Result<Bytes> bytes = hosts_[i].disk.read(read.extent);
      with(i, [&](Blobs& blobs, Effects& more) {
        blobs.on_file_data(now_, read.ticket, std::move(bytes), more);
      });
    });
  }
  if (weather.answers_leave_before_they_are_durable) {
    for (Send& send : std::exchange(out.sends_when_durable, {})) transmit(i, std::move(send));
  }
  const bool waits = out.has_durable() || !out.sends_when_durable.empty() || !out.tickets.empty();
  if (!waits) return;
  host.unsynced.push_back({std::move(out.facts), std::move(out.file_writes),
                           std::move(out.sends_when_durable), std::move(out.tickets)});
  const Duration sync = random_.between(microseconds(100), weather.longest_sync);
  host.disk_free_at = std::max(host.disk_free_at, now_) + sync;
  at(host.disk_free_at, i, [this, i] { synced(i); });
}

void StoreCluster::note_rot(std::size_t i, const FileExtent& extent) {
  for (const BlobId& id : hosts_[i].rotten) {
    const auto place = hosts_[i].disk.find(id);
    const bool is_read = place && place->file == extent.file &&
                         place->offset < extent.offset + extent.length &&
                         extent.offset < place->offset + place->length;
    if (is_read && !hosts_[i].disk.has_sound(id)) took_effect_["rot"] += 1;
  }
}

void StoreCluster::synced(std::size_t i) {
  Host& host = hosts_[i];
  const Batch batch = std::move(host.unsynced.front());
  host.unsynced.pop_front();
  host.disk.apply(batch);
  if (weather.disks_forget_pins) {
    std::erase_if(host.disk.facts, [](const auto& fact) { return fact.first[0] == 'p'; });
  }
  for (const Fact& fact : batch.facts) host.once_durable.insert(fact.key);
  for (const Send& send : batch.sends) transmit(i, send);
  for (const Ticket& ticket : batch.tickets) {
    with(i, [&](Blobs& blobs, Effects& out) { blobs.on_durable(now_, ticket, out); });
  }
}

void StoreCluster::transmit(std::size_t from, Send send) {
  const std::size_t to = index_of(send.to);
  messages_ += 1;
  bytes_ += send.frame.size();
  if (send.frame.size() > 2) kinds_[send.frame[2]] += 1;
  trace_ = blake2b_64(encode(std::pair{trace_, std::pair{now_.us, send.frame.size()}}));
  if (says_full(send.frame)) took_effect_["full disk"] += 1;
  if (send.frame.size() > kMaxFrame) broken_.push_back("a frame over kMaxFrame");
  if (to == hosts_.size() || !hosts_[to].up) return;
  if (side_.contains(from) != side_.contains(to)) {
    took_effect_["partition"] += 1;
    return;
  }
  if (send.frame.size() > 2 && weather.mute.contains(send.frame[2])) return;
  if (tap) tap(from, to, send.frame);
  if (from != to && random_.chance(weather.loss)) {
    took_effect_["loss"] += 1;
    return;
  }
  const int copies = random_.chance(weather.doubling) ? 2 : 1;
  for (int copy = 0; copy < copies; ++copy) {
    const Instant arrival = now_ + random_.between(weather.shortest, weather.longest);
    at(arrival, to, [this, from, to, copy, frame = send.frame] {
      if (copy > 0) took_effect_["doubling"] += 1;
      with(to,
           [&](Blobs& blobs, Effects& out) { blobs.receive(now_, hosts_[from].id, frame, out); });
    });
  }
}

void StoreCluster::observe(std::size_t i, BlobEvent event) {
  if (const auto* stored = std::get_if<BlobStored>(&event)) check_stored(*stored);
  if (auto* fetched = std::get_if<BlobFetched>(&event)) {
    const bool spoil = weather.contents_are_spoilt_on_the_way_out && fetched->content;
    if (spoil && !fetched->content->empty()) fetched->content->front() ^= 1;
    if (fetched->content && blob_id_of(*fetched->content) != fetched->id) {
      broken_.push_back("fetched content is not " + fetched->id.short_text());
    }
  }
  if (const auto* local = std::get_if<BlobLocal>(&event)) {
    if (local->extent && !hosts_[i].disk.read(*local->extent)) {
      broken_.push_back("no local bytes of " + local->id.short_text());
    }
  }
  hosts_[i].events.push_back(std::move(event));
}

bool StoreCluster::had_it(const Host& host, const BlobId& id, Pin pin) {
  if (host.disk_destroyed) {
    return host.once_durable.contains("blob/" + id.text()) &&
           host.once_durable.contains(pin_key(id, pin));
  }
  const bool is_sound = host.disk.has_sound(id) || host.rotten.contains(id);
  return is_sound && host.disk.find(id) && host.disk.has_pin(id, pin);
}

void StoreCluster::check_stored(const BlobStored& stored) {
  const Pin pin = puts_.at(stored.token);
  std::set<NodeId> sound;
  for (const NodeId& holder : stored.holders) {
    if (had_it(hosts_[index_of(holder)], stored.blob.id, pin)) sound.insert(holder);
  }
  std::size_t not_dead = 0;
  for (const Host& host : hosts_) not_dead += host.state <= StoreMemberState::kSuspect ? 1 : 0;
  if (sound.size() < std::min(config_.write_holders, not_dead)) {
    broken_.push_back("acknowledged with " + std::to_string(sound.size()) +
                      " durable copies: " + stored.blob.id.short_text());
  }
  acknowledged_.push_back({stored.blob, pin, stored.holders, now_});
}

}  // namespace dunlin
