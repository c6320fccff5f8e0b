// Join tokens: what a person copies to a new host so that it may ask to be admitted.
//
//   dun1-<cluster id>-<token id>-<secret>      each part in base32 (see to_base32)
//
// The cluster keeps the id and the pre-shared key derived from the secret, never the secret.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/ids.h"
#include "base/result.h"

namespace dunlin {

using TokenId = OpaqueId<struct TokenTag, 8>;

struct JoinToken {
  ClusterId cluster;
  TokenId id;
  std::array<std::uint8_t, 16> secret{};

  std::string text() const;
  // What both ends of a handshake in join mode know.
  Key32 psk() const;
  // White space around it (a file's last newline) is passed over. The error never quotes the text.
  static Result<JoinToken> parse(std::string_view text);
};

}  // namespace dunlin
