// Messages by which contents travel: see store/puts.h and store/fetches.h.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "store/blob.h"
#include "store/config.h"

namespace dunlin::store {

// Above it a putter asks before it sends.
constexpr std::size_t kMaxUnasked = 4096;
constexpr std::size_t kMaxPinsInMessage = 1024;

// ---- putting ----------------------------------------------------------------------------------

// Do you have it? If so, pin it.
struct Offer {
  std::uint64_t operation = 0;
  BlobRef blob;
  Pin pin;
  static constexpr auto fields() { return Fields<&Offer::operation, &Offer::blob, &Offer::pin>{}; }
};

// Keep it, pinned.
struct Deposit {
  std::uint64_t operation = 0;
  BlobId id;
  Pin pin;
  Bytes data;
  static constexpr auto fields() {
    return Fields<&Deposit::operation, &Deposit::id, &Deposit::pin, &Deposit::data>{};
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
    return Fields<&PutAnswer::operation, &PutAnswer::id, &PutAnswer::verdict,
                  &PutAnswer::disk_free>{};
  }
};

// The pin's release is committed in its group.
struct Release {
  BlobId id;
  Pin pin;
  static constexpr auto fields() { return Fields<&Release::id, &Release::pin>{}; }
};

// ---- getting ----------------------------------------------------------------------------------

struct Get {
  std::uint64_t operation = 0;
  BlobId id;
  bool only_asking = false;  // do you have it? Don't send it.
  static constexpr auto fields() { return Fields<&Get::operation, &Get::id, &Get::only_asking>{}; }
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
    return Fields<&GetAnswer::operation, &GetAnswer::id, &GetAnswer::verdict, &GetAnswer::data,
                  &GetAnswer::pins>{};
  }
};

// What you sent of this blob was not its content: look at your copy.
struct Doubt {
  BlobId id;
  static constexpr auto fields() { return Fields<&Doubt::id>{}; }
};

}  // namespace dunlin::store
