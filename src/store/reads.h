// Reads of local copies, and who waits for them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "store/config.h"

namespace dunlin::store {

// What Ticket::a says.
enum class TicketKind : std::uint64_t { kWritten = 1, kRead = 2, kPut = 3 };

// Who waits for a read and why; the number and the peer mean what that part likes.
enum class ReadFor : std::uint8_t { kFetch, kServe, kOffer, kPut, kScrub };
struct ReadJob {
  ReadFor reason{};
  std::uint64_t number = 0;
  NodeId peer;
  Pin pin;
};

// Ends of a read. Without content when the copy was unreadable or rotten (it then counts as
// missing), or, for kServe alone, with content that was not verified. kLimit says nothing about
// the copy: the host could not read at that moment.
struct ReadDone {
  BlobId id;
  std::vector<ReadJob> jobs;
  Result<Bytes> content;

  bool was_read() const { return content || content.error().code != Code::kLimit; }
};

}  // namespace dunlin::store
