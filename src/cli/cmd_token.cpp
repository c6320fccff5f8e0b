#include "base/token.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "os/json.h"

namespace dunlin {

namespace {

// As people may have it at hand: an id, the beginning of one, or the token itself.
std::string id_part(const std::string& word) {
  const Result<JoinToken> token = JoinToken::parse(word);
  return token ? token->id.text() : word;
}

Result<TokenId> find_token(const client::TokenList& list, const std::string& word) {
  std::vector<const client::TokenView*> found;
  for (const client::TokenView& token : list.tokens) {
    if (token.id.text() == word) return token.id;
    if (token.id.text().starts_with(word)) found.push_back(&token);
  }
  if (found.size() == 1) return found.front()->id;
  if (found.empty()) {
    // The node that is asked may not have heard of it yet.
    if (const auto whole = TokenId::from_text(word)) return *whole;
    return fail(Code::kNotFound, "there is no token '" + printable(word) + "'",
                "see: dunlin token list --all");
  }
  std::string ids;
  for (const client::TokenView* token : found) {
    ids += (ids.empty() ? "" : ", ") + token->id.text() + " (" + name_of(token->state) + ")";
  }
  return fail(Code::kUsage, "'" + word + "' could mean " + ids, "give more of the id");
}

Result<HttpAnswer> fetch_tokens(Client& client, bool all) {
  return client.call("GET", all ? "/v1/tokens?all=1" : "/v1/tokens");
}

std::string uses_text(const client::TokenView& token) {
  if (token.role == "user") return "-";
  if (token.uses == 0) return "any";
  return std::to_string(token.uses > token.used ? token.uses - token.used : 0);
}

void print_tokens(const client::TokenList& list) {
  Table table({"ID", "ROLE", "USER", "STATE", "EXPIRES", ">USES LEFT"});
  for (const client::TokenView& token : list.tokens) {
    table.add(
        {token.id.text(), token.role, token.user.empty() ? "-" : token.user, name_of(token.state),
         token.expires_at.ms == 0 ? "never" : to_rfc3339(token.expires_at), uses_text(token)});
  }
  print(table.text(terminal_width()));
}

}  // namespace

const OptionTable& token_create_options() {
  static const OptionTable table = {
      {"role", 0, "ROLE", Takes::kText,
       "node (the default): lets a node join; user: lets a client in", false, true, "node user"},
      {"user", 0, "NAME", Takes::kText,
       "whose jobs a client with it submits (with --role user: you)"},
      {"ttl", 0, "TIME", Takes::kDuration, "how long it can be used; 0: for ever (1h)"},
      {"uses", 0, "N", Takes::kCount, "how many nodes may join by it; 0: any number (1)"},
  };
  return table;
}

const OptionTable& token_list_options() {
  static const OptionTable table = {
      {"all", 0, nullptr, Takes::kNothing, "expired, used and revoked ones, too"},
  };
  return table;
}

int run_token_create(Invocation& call) {
  client::CreateToken request;
  if (call.args.has("role")) request.role = call.args.text("role");
  if (request.role != "node" && request.role != "user") {
    return call.usage("--role " + request.role + " is no role", "node or user");
  }
  const bool is_for_user = request.role == "user";
  request.user = call.args.text("user");
  if (!is_for_user && !request.user.empty()) {
    return call.usage("--user names the user of a token of --role user", "add --role user");
  }
  request.ttl = call.args.duration("ttl", seconds(3600));
  const std::int64_t uses = call.args.number("uses", is_for_user ? 0 : 1);
  if (!std::in_range<std::uint32_t>(uses)) return call.usage("--uses is too large");
  if (is_for_user && uses != 0) {
    return call.usage("--uses counts nodes that join; a user's token has no such limit",
                      "limit its time: --ttl");
  }
  request.uses = static_cast<std::uint32_t>(uses);
  const auto answer = call.client.call("POST", "/v1/tokens", token_request_json(request));
  if (!answer) return call.failed(answer.error());
  const auto token = token_from_json(answer->body);
  if (!token) return call.failed(token.error());
  print(call.json() ? answer->body : token->token + "\n");
  return kExitWell;
}

int run_token_list(Invocation& call) {
  const auto answer = fetch_tokens(call.client, call.args.has("all"));
  if (!answer) return call.failed(answer.error());
  const auto list = tokens_from_json(answer->body);
  if (!list) return call.failed(list.error());
  if (call.json()) {
    print(answer->body);
  } else if (call.quiet()) {
    std::string ids;
    for (const client::TokenView& token : list->tokens) ids += token.id.text() + "\n";
    print(ids);
  } else {
    print_tokens(*list);
  }
  return kExitWell;
}

int run_token_revoke(Invocation& call) {
  const auto answer = fetch_tokens(call.client, true);
  if (!answer) return call.failed(answer.error());
  const auto list = tokens_from_json(answer->body);
  if (!list) return call.failed(list.error());
  // All words are looked up before the first token goes.
  std::vector<TokenId> ids;
  for (const std::string& word : call.args.words) {
    const auto id = find_token(*list, id_part(word));
    if (!id) return call.failed(id.error());
    ids.push_back(*id);
  }
  for (const TokenId& id : ids) {
    const auto ended = call.client.call("POST", "/v1/tokens/" + id.text() + "/revoke");
    if (!ended) return call.failed(ended.error());
  }
  return kExitWell;
}

}  // namespace dunlin
