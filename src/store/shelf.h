// What this node holds: index, pins, the tail of the newest pack, and reading with verification.
// Changes go into the batch of the Effects at hand; the index in memory shows them at once, so
// whoever promises something because of them must wait for that batch (send_when_durable).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/result.h"
#include "store/blob.h"
#include "store/config.h"
#include "store/reads.h"
#include "store/sorted_blocks.h"

namespace dunlin::store {

constexpr std::size_t kMaxHeld = 50'000'000;                   // blobs of one node
constexpr std::size_t kMaxPins = 100'000'000;                  // of them
constexpr std::size_t kMaxReads = 1024;                        // blobs being read at once
constexpr std::uint64_t kMaxReadBytes = 128ULL * 1024 * 1024;  // of them
constexpr std::size_t kMaxJobsPerRead = 4096;                  // waiting for one of them
constexpr std::uint64_t kMaxUnsynced = 64ULL * 1024 * 1024;  // of content written, not yet durable

constexpr std::size_t kScannedAtOnce = 4096;

// Digests are sums, so that a change needs no look at the rest: a held blob adds a hash of its id,
// and one of each of its pins.
struct ShelfChange {
  BlobRef blob;
  std::uint64_t delta = 0;  // to be added
  int held = 0;             // 1: now held; -1: no more; 0: only its pins changed
};

class Shelf {
 public:
  struct Slot {  // 48 bytes; there may be millions
    BlobId id;
    std::uint32_t pack = 0;
    std::uint32_t offset = 0;  // of the content
    std::uint32_t length = 0;
    std::uint32_t verified = 0;  // 0: not since the start; kBad; else 1 + seconds of the clock
  };

  explicit Shelf(const StoreConfig& config) : config_(config) {}

  Result<void> recover_fact(std::string_view key, ByteView value);
  void recover_pack(std::string_view file, std::uint64_t size);
  // After both: what lies in no pack is bad; returns the pinned blobs whose content is missing.
  std::vector<BlobId> finish_recovery();

  void set_disk(std::uint64_t total, std::uint64_t free);
  std::uint64_t disk_free() const { return disk_free_; }
  // Over the reserve, and within kMaxHeld and kMaxPins.
  bool has_room_for(std::uint64_t length) const;
  // Too much waits for the disk: refuse what can be refused.
  bool is_behind() const { return unsynced_ > kMaxUnsynced; }

  // Held, and not known to be bad.
  bool holds(const BlobId& id) const;
  bool is_bad(const BlobId& id) const;
  bool is_durable(const BlobId& id) const { return holds(id) && !writing_.contains(id); }
  // Held, and read or written and found right within `trust_verified`.
  bool is_verified(Instant now, const BlobId& id) const;
  BlobRef ref(const BlobId& id) const;  // held or bad
  FileExtent extent(const BlobId& id) const;

  // Stores content that was verified against `blob`; replaces a bad copy.
  void add(Instant now, const BlobRef& blob, ByteView content, Effects& out);
  // The blob need not be held.
  void add_pin(const BlobId& id, Pin pin, Effects& out);
  void remove_pin(const BlobId& id, Pin pin, Effects& out);
  bool has_pins(const BlobId& id) const;
  // At most `count` pins from `from` on, ascending.
  std::vector<Pin> pins(const BlobId& id, Pin from, std::size_t count) const;
  std::uint64_t pins_digest(const BlobId& id) const;
  // Of a blob with its pins.
  std::uint64_t digest(const BlobId& id) const;

  // Reads and verifies a held or bad blob, once for all who ask; false when too many are waiting.
  // A bad copy that reads well (the disk had a moment) is held again.
  bool read(const BlobId& id, const ReadJob& job, Effects& out);
  std::size_t reads() const { return reads_.size(); }
  ReadDone on_file_data(Instant now, const Ticket& ticket, Result<Bytes> data);
  // Returns the blob that became durable.
  BlobId on_written(const Ticket& ticket, Effects& out);
  // A copy turned out wrong.
  void mark_bad(const BlobId& id);

  // Of the blobs from `cursor` on, those not verified for `age`: until they make `bytes` or
  // kScannedAtOnce were looked at. Moves the cursor on; all zero at the end.
  std::vector<BlobId> stale(BlobId& cursor, Instant now, Duration age, std::uint64_t bytes) const;

  // What changed since the last call.
  std::vector<ShelfChange> take_changes() { return std::exchange(changes_, {}); }
  // Blobs held from `from` on, in order, until visit returns false.
  void scan(const BlobId& from, const std::function<bool(const Slot&)>& visit) const;

  std::uint64_t held() const { return held_; }
  std::uint64_t held_bytes() const { return held_bytes_; }
  std::uint64_t bad_copies() const { return bad_copies_; }

 private:
  struct PinKey {
    BlobId id;
    Pin pin;
    auto operator<=>(const PinKey&) const = default;
  };
  struct PinSlot {
    PinKey key;
  };
  struct Reading {
    BlobId id;
    std::uint32_t pack = 0;  // 0: not yet asked of the disk
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::vector<ReadJob> jobs;
  };

  void issue_read(std::uint64_t serial, Reading& reading, Effects& out);
  Slot place(std::uint32_t record_size);
  void changed(const Slot& slot, std::uint64_t delta, int held);
  void recover_tail(const Slot& slot);
  Result<void> recover_blob(std::string_view name, ByteView value);
  Result<void> recover_pin(std::string_view name);

  const StoreConfig& config_;
  SortedBlocks<Slot, &Slot::id> index_;
  SortedBlocks<PinSlot, &PinSlot::key> pins_;
  std::uint64_t held_ = 0;
  std::uint64_t held_bytes_ = 0;
  std::uint64_t bad_copies_ = 0;
  std::uint32_t tail_pack_ = 1;
  std::uint64_t tail_ = 0;
  std::map<std::uint32_t, std::uint64_t> pack_sizes_;  // only during recovery
  std::uint64_t disk_total_ = ~std::uint64_t{0};
  std::uint64_t disk_free_ = ~std::uint64_t{0};
  std::uint64_t unsynced_ = 0;
  std::uint64_t being_read_ = 0;
  std::uint64_t next_serial_ = 1;
  std::map<std::uint64_t, BlobRef> writes_;  // by ticket
  std::map<BlobId, std::uint64_t> writing_;  // held, not yet durable: the newest ticket
  std::map<std::uint64_t, Reading> reads_;   // by ticket
  std::map<BlobId, std::uint64_t> reading_;  // the read that others join
  std::vector<ShelfChange> changes_;
};

}  // namespace dunlin::store
