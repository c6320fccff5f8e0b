// DIR/join-token: the founder's token for further hosts, readable by its account alone. Empty, it
// is a promise: the token is still to be made, in this life of the node or a later one. A user who
// removes the file gets no new one.
#pragma once

#include <string>

#include "base/result.h"

namespace dunlin {

constexpr const char* kJoinTokenName = "join-token";  // within the directory

// Durable afterwards, as write_join_token.
Result<void> promise_join_token(const std::string& directory);
bool is_join_token_promised(const std::string& directory);
// Of a founding that did not come about.
void forget_promised_join_token(const std::string& directory);

// Whole or not at all.
Result<void> write_join_token(const std::string& directory, const std::string& token);

}  // namespace dunlin
