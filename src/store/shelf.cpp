#include "store/shelf.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "base/assert.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/random.h"
#include "store/pack.h"

namespace dunlin::store {

namespace {

constexpr std::string_view kBlobPrefix = "blob/";
constexpr std::string_view kPinPrefix = "pin/";
constexpr std::uint32_t kBad = ~std::uint32_t{0};

struct PlaceFact {
  std::uint32_t pack = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  static constexpr auto fields() {
    return Fields<&PlaceFact::pack, &PlaceFact::offset, &PlaceFact::length>{};
  }
};

std::string blob_key(const BlobId& id) {
  return std::string(kBlobPrefix) + id.text();
}

std::string pin_key(const BlobId& id, Pin pin) {
  return std::string(kPinPrefix) + id.text() + "/" + std::to_string(pin.group.value) + "/" +
         std::to_string(pin.intent);
}

template <class Integer>
bool parse(std::string_view text, Integer& out) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && stop == text.data() + text.size();
}

std::uint64_t digest_of(const BlobId& id) {
  return mix64(get_u64(id.raw.data() + 8));
}

std::uint64_t digest_of(const BlobId& id, Pin pin) {
  return mix64(digest_of(id) ^ mix64(pin.intent ^ (std::uint64_t{pin.group.value} + 1) << 48));
}

std::uint32_t seconds_of(Instant now) {
  return 1 + static_cast<std::uint32_t>(now.us / 1'000'000);
}

}  // namespace

// ---- recovery ---------------------------------------------------------------------------------

Result<void> Shelf::recover_fact(std::string_view key, ByteView value) {
  if (key.starts_with(kBlobPrefix)) return recover_blob(key.substr(kBlobPrefix.size()), value);
  if (key.starts_with(kPinPrefix)) return recover_pin(key.substr(kPinPrefix.size()));
  return fail(Code::kCorrupt, "not a fact of the store: " + std::string(key));
}

Result<void> Shelf::recover_blob(std::string_view name, ByteView value) {
  const auto id = BlobId::from_text(name);
  const auto place = decode<PlaceFact>(value);
  if (!id || !place || place->length > kMaxBlob || place->pack == 0 || place->pack > kMaxPack) {
    return fail(Code::kCorrupt, "malformed index entry of blob " + std::string(name));
  }
  const Slot slot{*id, place->pack, place->offset, place->length, 0};
  if (!index_.insert(slot)) return {};
  held_ += 1;
  held_bytes_ += slot.length;
  recover_tail(slot);
  return {};
}

Result<void> Shelf::recover_pin(std::string_view name) {
  const std::size_t first = name.find('/');
  const std::size_t second = name.find('/', first + 1);
  PinKey key;
  if (first == name.npos || second == name.npos ||
      !parse(name.substr(first + 1, second - first - 1), key.pin.group.value) ||
      !parse(name.substr(second + 1), key.pin.intent)) {
    return fail(Code::kCorrupt, "malformed pin " + std::string(name));
  }
  const auto id = BlobId::from_text(name.substr(0, first));
  if (!id) return fail(Code::kCorrupt, "malformed pin " + std::string(name));
  key.id = *id;
  pins_.insert({key});
  return {};
}

void Shelf::recover_tail(const Slot& slot) {
  const std::uint64_t end = std::uint64_t{slot.offset} + slot.length;
  if (slot.pack > tail_pack_) tail_ = 0;
  if (slot.pack >= tail_pack_) tail_ = std::max(tail_, end);
  tail_pack_ = std::max(tail_pack_, slot.pack);
}

void Shelf::recover_pack(std::string_view file, std::uint64_t size) {
  const auto pack = pack_number(file);
  if (pack) pack_sizes_[*pack] = size;
}

std::vector<BlobId> Shelf::finish_recovery() {
  std::vector<BlobId> lost;
  index_.scan(BlobId{}, [&](const Slot& slot) {
    const auto pack = pack_sizes_.find(slot.pack);
    const std::uint64_t size = pack == pack_sizes_.end() ? 0 : pack->second;
    if (std::uint64_t{slot.offset} + slot.length > size) lost.push_back(slot.id);
    return true;
  });
  pack_sizes_.clear();
  for (const BlobId& id : lost) mark_bad(id);
  std::vector<BlobId> missing;
  pins_.scan(PinKey{}, [&](const PinSlot& pin) {
    const BlobId& id = pin.key.id;
    if (!holds(id) && (missing.empty() || missing.back() != id)) missing.push_back(id);
    return true;
  });
  changes_.clear();
  return missing;
}

// ---- what there is ----------------------------------------------------------------------------

void Shelf::set_disk(std::uint64_t total, std::uint64_t free) {
  disk_total_ = total;
  disk_free_ = free;
}

bool Shelf::has_room_for(std::uint64_t length) const {
  if (index_.size() >= kMaxHeld || pins_.size() >= kMaxPins) return false;
  // On a disk smaller than ten reserves the reserve is a tenth of the disk.
  const std::uint64_t reserve = std::min(config_.disk_reserve, disk_total_ / 10);
  return disk_free_ >= reserve && disk_free_ - reserve >= length + kRecordHeader;
}

bool Shelf::holds(const BlobId& id) const {
  const Slot* slot = index_.find(id);
  return slot != nullptr && slot->verified != kBad;
}

bool Shelf::is_bad(const BlobId& id) const {
  const Slot* slot = index_.find(id);
  return slot != nullptr && slot->verified == kBad;
}

bool Shelf::is_verified(Instant now, const BlobId& id) const {
  const Slot* slot = index_.find(id);
  if (slot == nullptr || slot->verified == kBad || slot->verified == 0) return false;
  return seconds(seconds_of(now) - slot->verified) <= config_.trust_verified;
}

BlobRef Shelf::ref(const BlobId& id) const {
  const Slot* slot = index_.find(id);
  ASSERT(slot != nullptr);
  return {id, slot->length};
}

FileExtent Shelf::extent(const BlobId& id) const {
  const Slot* slot = index_.find(id);
  ASSERT(slot != nullptr);
  return {pack_file(slot->pack), slot->offset, slot->length};
}

void Shelf::scan(const BlobId& from, const std::function<bool(const Slot&)>& visit) const {
  index_.scan(from, [&](const Slot& slot) { return slot.verified == kBad || visit(slot); });
}

std::vector<BlobId> Shelf::stale(BlobId& cursor, Instant now, Duration age,
                                 std::uint64_t bytes) const {
  std::vector<BlobId> found;
  std::size_t seen = 0;
  std::uint64_t sum = 0;
  bool is_at_end = true;
  scan(cursor, [&](const Slot& slot) {
    if (seen == kScannedAtOnce || sum >= bytes) {
      cursor = slot.id;
      is_at_end = false;
      return false;
    }
    ++seen;
    const bool is_stale = slot.verified == 0 || seconds(seconds_of(now) - slot.verified) > age;
    if (is_stale) {
      found.push_back(slot.id);
      sum += slot.length;
    }
    return true;
  });
  if (is_at_end) cursor = BlobId{};
  return found;
}

// ---- writing ----------------------------------------------------------------------------------

Shelf::Slot Shelf::place(std::uint32_t record_size) {
  if (tail_ != 0 && tail_ + record_size > kPackSize) {
    tail_pack_ += 1;
    tail_ = 0;
  }
  ASSERT(tail_pack_ <= kMaxPack);
  Slot slot;
  slot.pack = tail_pack_;
  slot.offset = static_cast<std::uint32_t>(tail_ + kRecordHeader);
  tail_ += record_size;
  return slot;
}

void Shelf::add(Instant now, const BlobRef& blob, ByteView content, Effects& out) {
  ASSERT(!holds(blob.id));
  ASSERT(content.size() == blob.length);
  const auto record_size = static_cast<std::uint32_t>(kRecordHeader + content.size());
  Slot slot = place(record_size);
  slot.id = blob.id;
  slot.length = blob.length;
  slot.verified = seconds_of(now);
  index_.erase(blob.id);  // a bad copy; its bytes stay behind in their pack
  index_.insert(slot);
  held_ += 1;
  held_bytes_ += slot.length;
  disk_free_ -= std::min<std::uint64_t>(disk_free_, record_size);
  unsynced_ += record_size;

  out.file_writes.push_back(
      {pack_file(slot.pack), slot.offset - kRecordHeader, record_of(blob, content)});
  out.put_fact(blob_key(blob.id), encode(PlaceFact{slot.pack, slot.offset, slot.length}));
  const std::uint64_t serial = next_serial_++;
  writes_[serial] = blob;
  writing_[blob.id] = serial;
  out.notify_when_durable(
      {Module::kStore, static_cast<std::uint64_t>(TicketKind::kWritten), serial, 0});
  changed(slot, digest(blob.id), 1);
}

BlobId Shelf::on_written(const Ticket& ticket, Effects& out) {
  const auto write = writes_.find(ticket.b);
  ASSERT(write != writes_.end());
  const BlobRef blob = write->second;
  writes_.erase(write);
  unsynced_ -= kRecordHeader + blob.length;
  const auto writing = writing_.find(blob.id);
  if (writing == writing_.end() || writing->second != ticket.b) return blob.id;
  writing_.erase(writing);
  const auto waiting = reading_.find(blob.id);
  if (waiting != reading_.end()) {
    Reading& reading = reads_.at(waiting->second);
    if (reading.pack == 0) issue_read(waiting->second, reading, out);
  }
  return blob.id;
}

void Shelf::mark_bad(const BlobId& id) {
  Slot* slot = index_.find(id);
  if (slot == nullptr || slot->verified == kBad) return;
  slot->verified = kBad;
  held_ -= 1;
  held_bytes_ -= slot->length;
  bad_copies_ += 1;
  changed(*slot, std::uint64_t{0} - digest(id), -1);
}

void Shelf::changed(const Slot& slot, std::uint64_t delta, int held) {
  changes_.push_back({{slot.id, slot.length}, delta, held});
}

// ---- pins -------------------------------------------------------------------------------------

void Shelf::add_pin(const BlobId& id, Pin pin, Effects& out) {
  // A known pin may not be durable yet, but what waits for this batch waits for earlier ones too.
  if (!pins_.insert({{id, pin}})) return;
  out.put_fact(pin_key(id, pin), {});
  if (holds(id)) changed(*index_.find(id), digest_of(id, pin), 0);
}

void Shelf::remove_pin(const BlobId& id, Pin pin, Effects& out) {
  if (!pins_.erase({id, pin})) return;
  out.erase_fact(pin_key(id, pin));
  if (holds(id)) changed(*index_.find(id), std::uint64_t{0} - digest_of(id, pin), 0);
}

std::vector<Pin> Shelf::pins(const BlobId& id, Pin from, std::size_t count) const {
  std::vector<Pin> found;
  pins_.scan({id, from}, [&](const PinSlot& slot) {
    if (slot.key.id != id || found.size() == count) return false;
    found.push_back(slot.key.pin);
    return true;
  });
  return found;
}

bool Shelf::has_pins(const BlobId& id) const {
  return !pins(id, Pin{}, 1).empty();
}

std::uint64_t Shelf::pins_digest(const BlobId& id) const {
  std::uint64_t sum = 0;
  pins_.scan({id, Pin{}}, [&](const PinSlot& slot) {
    if (slot.key.id != id) return false;
    sum += digest_of(id, slot.key.pin);
    return true;
  });
  return sum;
}

std::uint64_t Shelf::digest(const BlobId& id) const {
  return digest_of(id) + pins_digest(id);
}

// ---- reading ----------------------------------------------------------------------------------

bool Shelf::read(const BlobId& id, const ReadJob& job, Effects& out) {
  const Slot* slot = index_.find(id);
  ASSERT(slot != nullptr);
  const auto joined = reading_.find(id);
  if (joined != reading_.end()) {
    auto& jobs = reads_.at(joined->second).jobs;
    if (jobs.size() >= kMaxJobsPerRead) return false;
    jobs.push_back(job);
    return true;
  }
  if (reads_.size() >= kMaxReads || being_read_ + slot->length > kMaxReadBytes) return false;
  const std::uint64_t serial = next_serial_++;
  reading_[id] = serial;
  Reading& reading = reads_[serial];
  reading.id = id;
  reading.length = slot->length;
  being_read_ += slot->length;
  reading.jobs.push_back(job);
  // What is not durable may not be in the file yet either.
  if (!writing_.contains(id)) issue_read(serial, reading, out);
  return true;
}

void Shelf::issue_read(std::uint64_t serial, Reading& reading, Effects& out) {
  const Slot* slot = index_.find(reading.id);
  ASSERT(slot != nullptr);
  reading.pack = slot->pack;
  reading.offset = slot->offset;
  out.file_reads.push_back(
      {extent(reading.id),
       {Module::kStore, static_cast<std::uint64_t>(TicketKind::kRead), serial, 0}});
}

ReadDone Shelf::on_file_data(Instant now, const Ticket& ticket, Result<Bytes> data) {
  const auto found = reads_.find(ticket.b);
  if (found == reads_.end()) return {{}, {}, fail(Code::kNotFound, "nobody asked")};
  const Reading reading = std::move(found->second);
  reads_.erase(found);
  reading_.erase(reading.id);
  being_read_ -= reading.length;
  ReadDone done{reading.id, reading.jobs, std::move(data)};

  // The host was too busy to read: nothing was learnt of the copy.
  if (!done.was_read()) return done;
  Slot* slot = index_.find(reading.id);
  ASSERT(slot != nullptr);
  const bool only_served = std::ranges::all_of(
      done.jobs, [](const ReadJob& job) { return job.reason == ReadFor::kServe; });
  if (done.content && done.content->size() == slot->length) {
    if (only_served) return done;
    if (blob_id_of(*done.content) == reading.id) {
      if (slot->verified == kBad) {
        held_ += 1;
        held_bytes_ += slot->length;
        changed(*slot, digest(slot->id), 1);
      }
      slot->verified = seconds_of(now);
      return done;
    }
  }
  // Another copy may have taken the place of the one that was read.
  if (slot->pack == reading.pack && slot->offset == reading.offset) mark_bad(reading.id);
  const std::string reason = done.content ? "its copy is rotten" : done.content.error().message;
  done.content = fail(Code::kCorrupt, "blob " + reading.id.short_text() + ": " + reason);
  return done;
}

}  // namespace dunlin::store
