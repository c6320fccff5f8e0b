// What the stores of two nodes say to each other: frames of Module::kStore, one variant. Every
// request may be lost, doubled or late; each is harmless when it comes twice, and its answer
// repeats the operation's number and the blob's id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "base/codec.h"
#include "base/effects.h"
#include "store/repair_messages.h"
#include "store/transfer_messages.h"

namespace dunlin::store {

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
