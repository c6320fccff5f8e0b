// Messages by which holders find out what others lack: see store/compare.h and store/misplaced.h.
#pragma once

#include <cstdint>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "store/blob.h"
#include "store/config.h"

namespace dunlin::store {

constexpr std::size_t kMaxPinsEntrusted = 64;  // with one blob
constexpr std::size_t kMaxItemsInMessage = 4096;
constexpr std::size_t kMaxCellsInMessage = 4096;

// All blobs whose ids begin with these `bits` (8 or 16) bits, as far as both nodes own them.
struct Cell {
  std::uint16_t prefix = 0;
  std::uint8_t bits = 8;
  std::uint64_t digest = 0;
  auto operator<=>(const Cell&) const = default;
  static constexpr auto fields() { return Fields<&Cell::prefix, &Cell::bits, &Cell::digest>{}; }
};

struct Summary {
  std::uint64_t view = 0;  // digest of the members that the sender's ring is made of
  std::vector<Cell> cells;
  static constexpr auto fields() { return Fields<&Summary::view, &Summary::cells>{}; }
};

// Those cells of a summary in which the answerer's inventory is the same.
struct SummaryAnswer {
  std::uint64_t view = 0;
  bool comparable = false;  // false: the views differ, or the answerer is not ready; try later
  std::vector<Cell> equal;
  static constexpr auto fields() {
    return Fields<&SummaryAnswer::view, &SummaryAnswer::comparable, &SummaryAnswer::equal>{};
  }
};

struct Item {
  BlobRef blob;
  std::uint64_t pins = 0;  // digest of its pins
  static constexpr auto fields() { return Fields<&Item::blob, &Item::pins>{}; }
};

struct Items {
  std::uint64_t view = 0;
  std::vector<Cell> complete;  // of these cells, these are all items
  std::vector<Item> items;
  bool answer = false;  // send yours of these cells if they differ
  static constexpr auto fields() {
    return Fields<&Items::view, &Items::complete, &Items::items, &Items::answer>{};
  }
};

struct AskPins {
  BlobId id;
  Pin from;
  static constexpr auto fields() { return Fields<&AskPins::id, &AskPins::from>{}; }
};

struct PinsOf {
  BlobId id;
  std::vector<Pin> pins;  // ascending
  bool more = false;
  static constexpr auto fields() { return Fields<&PinsOf::id, &PinsOf::pins, &PinsOf::more>{}; }
};

struct Trusted {
  BlobRef blob;
  std::vector<Pin> pins;  // ascending; when there are kMaxPinsEntrusted there may be more
  static constexpr auto fields() { return Fields<&Trusted::blob, &Trusted::pins>{}; }
};

// From a holder that is no owner, or is leaving: hold these with their pins, and say which you do.
struct Entrust {
  std::uint64_t operation = 0;
  bool verified = false;  // answer only for copies that were read and verified
  std::vector<Trusted> blobs;
  static constexpr auto fields() {
    return Fields<&Entrust::operation, &Entrust::verified, &Entrust::blobs>{};
  }
};

struct Entrusted {
  std::uint64_t operation = 0;
  std::vector<BlobId> held;  // durably
  static constexpr auto fields() { return Fields<&Entrusted::operation, &Entrusted::held>{}; }
};

}  // namespace dunlin::store
