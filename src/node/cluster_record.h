// The cluster record: the state machine of group 0 beside its jobs. Who was admitted under which
// token, which ids are retired, and which keys seal the cluster's traffic. Every node holds a copy,
// so that any of them can let a new host in; running work never waits for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "base/token.h"

namespace dunlin {

// Together they keep a copy of the record within one frame. At each of them the command that goes
// over it is refused with kLimit, and changes nothing.
constexpr std::size_t kMaxTokens = 8'000;
constexpr std::size_t kMaxAdmissions = 16'000;  // of nodes that are not retired
constexpr std::size_t kMaxRetired = 80'000;     // ids retired, ever
constexpr std::size_t kMaxRecordText = 64;      // a name of a node, role or user of a token

using TokenPsk = OpaqueId<struct TokenPskTag, 32>;

struct TokenRecord {
  TokenId id;
  TokenPsk psk;  // derived from the token's secret, which nobody keeps
  std::string role = "node";
  std::string user;
  WallTime expires_at;     // 0: never
  std::uint32_t uses = 1;  // 0: any number
  std::uint32_t used = 0;
  bool revoked = false;  // it stays for a while, so that its bearer is told so
  static constexpr std::size_t kRequiredFields = 7;
  static constexpr auto fields() {
    using T = TokenRecord;
    return Fields<&T::id, &T::psk, &T::role, &T::user, &T::expires_at, &T::uses, &T::used,
                  &T::revoked>{};
  }
};

enum class TokenState : std::uint8_t { kValid, kExpired, kUsedUp, kRevoked };
TokenState state_of(const TokenRecord& token, WallTime at);
const char* name_of(TokenState state);
// Whether such a one may be made: its role, and whose it is.
Result<void> check_new_token(const TokenRecord& token);

// ---- commands, as they stand in group 0's log ---------------------------------------------------

// Where there is no room, tokens that are of no use any more at the proposer's time go.
struct AddToken {
  TokenRecord token;
  WallTime at;
  static constexpr auto fields() { return Fields<&AddToken::token, &AddToken::at>{}; }
};

// Binds a public key to a use of a token. `at` is the leader's clock when it proposed: expiry is
// judged by it, so that every replica judges alike.
struct Admit {
  TokenId token;
  PublicKey key;
  std::string name;
  WallTime at;
  static constexpr auto fields() {
    return Fields<&Admit::token, &Admit::key, &Admit::name, &Admit::at>{};
  }
};

// The id left, was forgotten, or lost its memory: it never votes or promises again.
struct Retire {
  NodeId node;
  static constexpr auto fields() { return Fields<&Retire::node>{}; }
};

// The id lost its memory; its owner goes on under another one. Proposed only when the former key
// has signed for it.
struct Succeed {
  PublicKey former;
  PublicKey key;
  std::string name;
  static constexpr auto fields() {
    return Fields<&Succeed::former, &Succeed::key, &Succeed::name>{};
  }
};

// Nobody gets in by it any more. Who is in stays: a node is put out by Retire.
struct RevokeToken {
  TokenId token;
  static constexpr auto fields() { return Fields<&RevokeToken::token>{}; }
};

using RecordCommand = std::variant<AddToken, Admit, Retire, Succeed, RevokeToken>;

// ---- the state ----------------------------------------------------------------------------------

struct AdmittedNode {
  PublicKey key;
  std::string name;
  TokenId token;
  static constexpr auto fields() {
    return Fields<&AdmittedNode::key, &AdmittedNode::name, &AdmittedNode::token>{};
  }
};

class ClusterRecord {
 public:
  // Applies the command at that place of group 0's log; one that the record contains already (it
  // may have come with a copy) changes nothing. A command that is not allowed, or goes over a
  // limit, changes nothing and says why; the same key admitted again is well.
  Result<void> apply(LogIndex index, const RecordCommand& command);

  const TokenRecord* find_token(const TokenId& id) const;
  const std::map<TokenId, TokenRecord>& tokens() const { return tokens_; }
  // Would this token let a node in at that time?
  Result<void> check_token(const TokenId& id, WallTime at) const;
  // Whose jobs its bearer submits; an error when it is none of a user, or no more.
  Result<std::string> user_of_token(const TokenId& id, WallTime at) const;
  bool is_admitted(const NodeId& node) const { return admissions_.contains(node); }
  bool is_retired(const NodeId& node) const { return retired_.contains(node); }
  const std::set<NodeId>& retired() const { return retired_; }
  const std::map<NodeId, AdmittedNode>& admissions() const { return admissions_; }

  // The place in the log up to which it is: of two copies the higher is the newer.
  LogIndex version() const { return version_; }

  Bytes encode() const;
  // Takes the copy if it is newer than this one. kCorrupt when it is no record within the limits.
  Result<void> merge(ByteView copy);

 private:
  Result<void> add_token(const AddToken& command);
  void drop_spent_tokens(WallTime at);
  Result<void> admit(const Admit& command);
  Result<void> succeed(const Succeed& command);
  Result<void> retire(const Retire& command);
  Result<void> revoke(const RevokeToken& command);

  LogIndex version_ = 0;
  std::map<TokenId, TokenRecord> tokens_;
  std::map<NodeId, AdmittedNode> admissions_;
  std::set<NodeId> retired_;
};

}  // namespace dunlin
