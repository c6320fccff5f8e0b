// Tokens: made, listed, ended.
#include "os/json.h"
#include "os/json_reader.h"

namespace dunlin {

namespace {

std::optional<TokenState> token_state_from(std::string_view name) {
  for (const auto state :
       {TokenState::kValid, TokenState::kExpired, TokenState::kUsedUp, TokenState::kRevoked}) {
    if (name == name_of(state)) return state;
  }
  return std::nullopt;
}

void write_token(JsonWriter& out, const client::TokenView& token) {
  const std::uint32_t left = token.uses > token.used ? token.uses - token.used : 0;
  out.begin_object();
  out.field("id", token.id.text());
  out.field("role", token.role);
  out.field_or_null("user", token.user);
  out.field("state", name_of(token.state));
  out.field("expires_at", token.expires_at);
  out.field("uses", token.uses);
  out.field("used", token.used);
  out.field("uses_left", token.uses == 0 ? std::nullopt : std::optional(left));
  out.end_object();
}

Result<client::TokenView> token_view_from(const nlohmann::json& object) {
  JsonFields in(object, "token");
  client::TokenView token;
  std::string id, state;
  in.read("id", id);
  in.read("role", token.role);
  in.read("user", token.user);
  in.read("state", state);
  in.read("expires_at", token.expires_at);
  in.read("uses", token.uses);
  in.read("used", token.used);
  const auto known_id = TokenId::from_text(id);
  const auto known_state = token_state_from(state);
  if (!known_id) in.complain("id", "is no token's id");
  if (!known_state) in.complain("state", "is no state of a token");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  token.id = *known_id;
  token.state = *known_state;
  return token;
}

}  // namespace

std::string token_json(const client::TokenCreated& token) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("token", token.token);
  out.field("id", token.token_id);
  out.field("expires_at", token.expires_at);
  out.field("role", token.role);
  out.field_or_null("user", token.user);
  out.end_object();
  return text;
}

Result<client::TokenCreated> token_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  client::TokenCreated token;
  JsonFields in(*parsed, "token");
  in.read("token", token.token);
  in.read("id", token.token_id);
  in.read("expires_at", token.expires_at);
  in.read("role", token.role);
  in.read("user", token.user);
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return token;
}

std::string token_request_json(const client::CreateToken& request) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("role", request.role);
  out.field_or_null("user", request.user);
  out.field("ttl_ms", request.ttl.milliseconds());
  out.field("uses", request.uses);
  out.end_object();
  return text;
}

Result<client::CreateToken> token_request_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text.empty() ? "{}" : text);
  if (!parsed) return tl::unexpected(parsed.error());
  client::CreateToken request;
  request.ttl = seconds(3600);
  JsonFields in(*parsed, "");
  in.read("role", request.role);
  in.read("user", request.user);
  in.read_ms("ttl_ms", request.ttl);
  // Nobody counts how often a user comes.
  request.uses = request.role == "user" ? 0 : 1;
  in.read("uses", request.uses);
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  return request;
}

std::string tokens_json(const client::TokenList& list) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const client::TokenView& token : list.tokens) write_token(out, token);
  out.end_array();
  return text;
}

Result<client::TokenList> tokens_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_array(text);
  if (!parsed) return tl::unexpected(parsed.error());
  client::TokenList list;
  for (const nlohmann::json& element : *parsed) {
    Result<client::TokenView> token = token_view_from(element);
    if (!token) return tl::unexpected(token.error());
    list.tokens.push_back(std::move(*token));
  }
  return list;
}

}  // namespace dunlin
