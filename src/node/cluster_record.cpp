#include "node/cluster_record.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "base/fields.h"

namespace dunlin {

namespace {

// What a copy of the record looks like on the wire and on disk.
struct RecordCopy {
  std::uint64_t version = 0;
  std::vector<TokenRecord> tokens;
  std::vector<AdmittedNode> admissions;
  std::vector<NodeId> retired;
  static constexpr auto fields() {
    return Fields<&RecordCopy::version, &RecordCopy::tokens, &RecordCopy::admissions,
                  &RecordCopy::retired>{};
  }
};

Result<void> check_state(const TokenRecord& token, WallTime at, const std::string& hint) {
  switch (state_of(token, at)) {
    case TokenState::kValid: return {};
    case TokenState::kExpired:
      return fail(Code::kRefused, "the token expired at " + to_rfc3339(token.expires_at), hint);
    case TokenState::kUsedUp: return fail(Code::kRefused, "the token was used up", hint);
    case TokenState::kRevoked: return fail(Code::kRefused, "the token was revoked", hint);
  }
  return {};
}

// What stands in a job's `user` is shown, logged and compared: nothing in it may look like another.
bool is_user_name(const std::string& name) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+@";
  return !name.empty() && name.size() <= kMaxRecordText && name[0] != '-' &&
         name.find_first_not_of(kLetters) == std::string::npos;
}

}  // namespace

Result<void> check_new_token(const TokenRecord& token) {
  if (token.role != "node" && token.role != "user") {
    return fail(Code::kUsage, "no role '" + token.role + "'", "use node or user");
  }
  if (token.role == "node") {
    if (token.user.empty()) return {};
    return fail(Code::kUsage, "a token of role node is nobody's", "use role user");
  }
  if (token.user == "root") {
    return fail(Code::kRefused, "no token makes its bearer root", "name another user");
  }
  if (!is_user_name(token.user)) {
    return fail(Code::kUsage, "'" + token.user + "' is no user's name",
                "up to 64 letters, digits and . _ - + @");
  }
  if (token.uses == 0) return {};
  return fail(Code::kUsage, "the uses of a user's token are not counted",
              "it is good until it expires or is revoked");
}

TokenState state_of(const TokenRecord& token, WallTime at) {
  if (token.revoked) return TokenState::kRevoked;
  if (token.expires_at.ms != 0 && at > token.expires_at) return TokenState::kExpired;
  if (token.uses != 0 && token.used >= token.uses) return TokenState::kUsedUp;
  return TokenState::kValid;
}

const char* name_of(TokenState state) {
  switch (state) {
    case TokenState::kValid: return "valid";
    case TokenState::kExpired: return "expired";
    case TokenState::kUsedUp: return "used";
    case TokenState::kRevoked: return "revoked";
  }
  return "?";
}

Result<void> ClusterRecord::apply(LogIndex index, const RecordCommand& command) {
  if (index <= version_) return {};
  version_ = index;
  if (const auto* token = std::get_if<AddToken>(&command)) return add_token(*token);
  if (const auto* admission = std::get_if<Admit>(&command)) return admit(*admission);
  if (const auto* succession = std::get_if<Succeed>(&command)) return succeed(*succession);
  if (const auto* revocation = std::get_if<RevokeToken>(&command)) return revoke(*revocation);
  return retire(std::get<Retire>(command));
}

const TokenRecord* ClusterRecord::find_token(const TokenId& id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

Result<void> ClusterRecord::check_token(const TokenId& id, WallTime at) const {
  const TokenRecord* token = find_token(id);
  if (token == nullptr) {
    return fail(Code::kRefused, "this cluster does not know the token",
                "make one with: dunlin token create");
  }
  if (token->role != "node") {
    return fail(Code::kRefused, "the token is one for users, not for nodes",
                "make one with: dunlin token create");
  }
  return check_state(*token, at, "make a new one with: dunlin token create");
}

Result<std::string> ClusterRecord::user_of_token(const TokenId& id, WallTime at) const {
  constexpr const char* kHint = "make a new one with: dunlin token create --role user --user NAME";
  const TokenRecord* token = find_token(id);
  if (token == nullptr) return fail(Code::kRefused, "this cluster does not know the token", kHint);
  if (token->role != "user") {
    return fail(Code::kRefused, "the token is one for nodes, not for users", kHint);
  }
  if (Result<void> fine = check_state(*token, at, kHint); !fine) {
    return tl::unexpected(fine.error());
  }
  return token->user;
}

void ClusterRecord::drop_spent_tokens(WallTime at) {
  std::erase_if(tokens_,
                [&](const auto& item) { return state_of(item.second, at) != TokenState::kValid; });
}

Result<void> ClusterRecord::add_token(const AddToken& command) {
  if (tokens_.size() >= kMaxTokens) drop_spent_tokens(command.at);
  if (tokens_.size() >= kMaxTokens) {
    return fail(Code::kLimit, "the cluster holds " + std::to_string(kMaxTokens) +
                                  " tokens that may still be used");
  }
  if (command.token.role.size() > kMaxRecordText || command.token.user.size() > kMaxRecordText) {
    return fail(Code::kLimit, "the name of a token's user is too long", "at most 64 characters");
  }
  tokens_.emplace(command.token.id, command.token);
  return {};
}

Result<void> ClusterRecord::admit(const Admit& command) {
  const NodeId node = node_id_of(command.key);
  if (admissions_.contains(node)) return {};
  if (is_retired(node)) {
    return fail(Code::kRefused, "this node's id was retired",
                "start it on an empty directory: it gets a new one");
  }
  if (Result<void> allowed = check_token(command.token, command.at); !allowed) return allowed;
  if (command.name.size() > kMaxRecordText) {
    return fail(Code::kLimit, "the node's name is too long", "at most 64 characters");
  }
  if (admissions_.size() >= kMaxAdmissions) {
    return fail(Code::kLimit,
                "the cluster admitted " + std::to_string(kMaxAdmissions) + " nodes already");
  }
  ++tokens_.at(command.token).used;
  admissions_.emplace(node, AdmittedNode{command.key, command.name, command.token});
  return {};
}

Result<void> ClusterRecord::succeed(const Succeed& command) {
  const NodeId successor = node_id_of(command.key);
  const NodeId former = node_id_of(command.former);
  if (admissions_.contains(successor)) return {};
  if (retired_.contains(former) || retired_.contains(successor)) {
    return fail(Code::kRefused, "the node " + former.short_text() + " is none of this cluster's",
                "join as a new node: dunlin up --reset --join ADDR --token TOKEN");
  }
  if (command.name.size() > kMaxRecordText) {
    return fail(Code::kLimit, "the node's name is too long", "at most 64 characters");
  }
  if (admissions_.size() >= kMaxAdmissions) {
    return fail(Code::kLimit,
                "the cluster admitted " + std::to_string(kMaxAdmissions) + " nodes already");
  }
  const auto admitted = admissions_.find(former);
  const TokenId token = admitted == admissions_.end() ? TokenId{} : admitted->second.token;
  if (Result<void> gone = retire(Retire{former}); !gone) return gone;
  admissions_.emplace(successor, AdmittedNode{command.key, command.name, token});
  return {};
}

// What was known of a retired node is needed no more: its id alone keeps it out.
Result<void> ClusterRecord::retire(const Retire& command) {
  if (retired_.contains(command.node)) return {};
  if (retired_.size() >= kMaxRetired) {
    return fail(Code::kLimit,
                "the cluster retired " + std::to_string(kMaxRetired) + " nodes already");
  }
  retired_.insert(command.node);
  admissions_.erase(command.node);
  return {};
}

Result<void> ClusterRecord::revoke(const RevokeToken& command) {
  const auto token = tokens_.find(command.token);
  if (token == tokens_.end()) {
    return fail(Code::kNotFound, "there is no token " + command.token.text(),
                "see: dunlin token list");
  }
  token->second.revoked = true;
  return {};
}

Bytes ClusterRecord::encode() const {
  RecordCopy copy;
  copy.version = version_;
  for (const auto& [id, token] : tokens_) copy.tokens.push_back(token);
  for (const auto& [id, admission] : admissions_) copy.admissions.push_back(admission);
  copy.retired.assign(retired_.begin(), retired_.end());
  return dunlin::encode(copy);
}

Result<void> ClusterRecord::merge(ByteView bytes) {
  Result<RecordCopy> copy = decode<RecordCopy>(bytes);
  if (!copy || copy->tokens.size() > kMaxTokens || copy->admissions.size() > kMaxAdmissions ||
      copy->retired.size() > kMaxRetired) {
    return fail(Code::kCorrupt, "a copy of the cluster record is malformed");
  }
  if (copy->version <= version_) return {};
  version_ = copy->version;
  tokens_.clear();
  for (TokenRecord& token : copy->tokens) tokens_.emplace(token.id, std::move(token));
  admissions_.clear();
  for (AdmittedNode& admission : copy->admissions) {
    admissions_.emplace(node_id_of(admission.key), std::move(admission));
  }
  retired_ = {copy->retired.begin(), copy->retired.end()};
  return {};
}

}  // namespace dunlin
