// What the stores of two nodes say to each other: frames of Module::kStore, one variant. Every
// request may be lost, doubled or late; each is harmless when it comes twice, and its answer
// repeats the operation's number and the blob's id.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/effects.h"
#include "base/ids.h"
#include "store/blob.h"
#include "store/config.h"

namespace dunlin::store {

// Above it a putter asks before it sends.
constexpr std::size_t kMaxUnasked = 4096;
constexpr std::size_t kMaxPinsInMessage = 1024;
constexpr std::size_t kMaxPinsEntrusted = 64;  // with one blob
constexpr std::size_t kMaxItemsInMessage = 4096;
constexpr std::size_t kMaxCellsInMessage = 4096;

// ---- putting ----------------------------------------------------------------------------------

// Do you have it? If so, pin it.
struct Offer {
  std::uint64_t operation = 0;
  BlobRef blob;
  Pin pin;
  static constexpr auto fields() {
    return std::tuple{&Offer::operation, &Offer::blob, &Offer::pin};
  }
};

// Keep it, pinned.
struct Deposit {
  std::uint64_t operation = 0;
  BlobId id;
  Pin pin;
  Bytes data;
  static constexpr auto fields() {
    return std::tuple{&Deposit::operation, &Deposit::id, &Deposit::pin, &Deposit::data};
  }
};

enum class PutVerdict : std::uint8_t {
  kStored,   // content verified; content, index and pin are durable
  kWanted,   // send it
  kFull,     // the disk is down to its reserve
  kBusy,     // too much is being written; later
  kLeaving,  // this node is handing its blobs over
  kLast = kLeaving,
};

struct PutAnswer {
  std::uint64_t operation = 0;
  BlobId id;
  PutVerdict verdict{};
  std::uint64_t disk_free = 0;  // with kFull
  static constexpr auto fields() {
    return std::tuple{&PutAnswer::operation, &PutAnswer::id, &PutAnswer::verdict,
                      &PutAnswer::disk_free};
  }
};

// The pin's release is committed in its group.
struct Release {
  BlobId id;
  Pin pin;
  static constexpr auto fields() { return std::tuple{&Release::id, &Release::pin}; }
};

// ---- getting ----------------------------------------------------------------------------------

struct Get {
  std::uint64_t operation = 0;
  BlobId id;
  bool only_asking = false;  // do you have it? Don't send it.
  static constexpr auto fields() {
    return std::tuple{&Get::operation, &Get::id, &Get::only_asking};
  }
};

enum class GetVerdict : std::uint8_t { kData, kHave, kMissing, kBusy, kLast = kBusy };

// The data is as it came from the disk: whoever asked verifies it.
struct GetAnswer {
  std::uint64_t operation = 0;
  BlobId id;
  GetVerdict verdict{};
  Bytes data;
  std::vector<Pin> pins;  // the first of them, with kData
  static constexpr auto fields() {
    return std::tuple{&GetAnswer::operation, &GetAnswer::id, &GetAnswer::verdict, &GetAnswer::data,
                      &GetAnswer::pins};
  }
};

// What you sent of this blob was not its content: look at your copy.
struct Doubt {
  BlobId id;
  static constexpr auto fields() { return std::tuple{&Doubt::id}; }
};

// ---- comparing inventories: see store/repair.h --------------------------------------------------

// All blobs whose ids begin with these `bits` (8 or 16) bits, as far as both nodes own them.
struct Cell {
  std::uint16_t prefix = 0;
  std::uint8_t bits = 8;
  std::uint64_t digest = 0;
  auto operator<=>(const Cell&) const = default;
  static constexpr auto fields() { return std::tuple{&Cell::prefix, &Cell::bits, &Cell::digest}; }
};

struct Summary {
  std::uint64_t view = 0;  // digest of the members that the sender's ring is made of
  std::vector<Cell> cells;
  static constexpr auto fields() { return std::tuple{&Summary::view, &Summary::cells}; }
};

// Those cells of a summary in which the answerer's inventory is the same.
struct SummaryAnswer {
  std::uint64_t view = 0;
  bool comparable = false;  // false: the views differ, or the answerer is not ready; try later
  std::vector<Cell> equal;
  static constexpr auto fields() {
    return std::tuple{&SummaryAnswer::view, &SummaryAnswer::comparable, &SummaryAnswer::equal};
  }
};

struct Item {
  BlobRef blob;
  std::uint64_t pins = 0;  // digest of its pins
  static constexpr auto fields() { return std::tuple{&Item::blob, &Item::pins}; }
};

struct Items {
  std::uint64_t view = 0;
  std::vector<Cell> complete;  // of these cells, these are all items
  std::vector<Item> items;
  bool answer = false;  // send yours of these cells if they differ
  static constexpr auto fields() {
    return std::tuple{&Items::view, &Items::complete, &Items::items, &Items::answer};
  }
};

struct AskPins {
  BlobId id;
  Pin from;
  static constexpr auto fields() { return std::tuple{&AskPins::id, &AskPins::from}; }
};

struct PinsOf {
  BlobId id;
  std::vector<Pin> pins;  // ascending
  bool more = false;
  static constexpr auto fields() { return std::tuple{&PinsOf::id, &PinsOf::pins, &PinsOf::more}; }
};

struct Trusted {
  BlobRef blob;
  std::vector<Pin> pins;  // ascending; when there are kMaxPinsEntrusted there may be more
  static constexpr auto fields() { return std::tuple{&Trusted::blob, &Trusted::pins}; }
};

// From a holder that is no owner, or is leaving: hold these with their pins, and say which you do.
struct Entrust {
  std::uint64_t operation = 0;
  bool verified = false;  // answer only for copies that were read and verified
  std::vector<Trusted> blobs;
  static constexpr auto fields() {
    return std::tuple{&Entrust::operation, &Entrust::verified, &Entrust::blobs};
  }
};

struct Entrusted {
  std::uint64_t operation = 0;
  std::vector<BlobId> held;  // durably
  static constexpr auto fields() { return std::tuple{&Entrusted::operation, &Entrusted::held}; }
};

// ------------------------------------------------------------------------------------------------

using Message = std::variant<Offer, Deposit, PutAnswer, Release, Get, GetAnswer, Doubt, Summary,
                             SummaryAnswer, Items, AskPins, PinsOf, Entrust, Entrusted>;

// `payload`: about how many bytes it will be, where that is many.
inline Bytes frame_of(const Message& message, std::size_t payload = 0) {
  Bytes frame;
  frame.reserve(payload + 128);
  frame.push_back(static_cast<std::uint8_t>(Module::kStore));
  Encoder out(frame);
  put(out, message);
  return frame;
}

}  // namespace dunlin::store
