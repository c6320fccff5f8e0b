// POST /v1/tokens, /v1/tokens/ID/revoke; GET /v1/tokens.
#include "os/chance.h"
#include "os/exchange.h"
#include "os/json.h"

namespace dunlin {

namespace {

class CreateToken : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    if (!is_operator()) return not_an_operator("making tokens");
    auto request = token_request_from_json(as_text(request_.body));
    if (!request) return tl::unexpected(request.error());
    if (request->role == "user" && request->user.empty()) {
      if (is_root()) {
        return fail(Code::kUsage, "whose token it is is not said", "add --user NAME");
      }
      request->user = request_.user;
    }
    fill_with_chance(request->entropy);
    return std::move(*request);
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto token = answer_as<client::TokenCreated>(std::move(answer));
    if (!token) return tl::unexpected(token.error());
    return Rendered{token_json(*token), {}};
  }
};

class TokenListing : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    if (!is_operator()) return not_an_operator("the list of tokens");
    const Result<bool> all = target_.take_flag("all");
    if (!all) return tl::unexpected(all.error());
    return client::ListTokens{*all};
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto list = answer_as<client::TokenList>(std::move(answer));
    if (!list) return tl::unexpected(list.error());
    return Rendered{tokens_json(*list), {}};
  }
};

class TokenRevocation : public DoneExchange {
  using DoneExchange::DoneExchange;
  Result<client::Request> question() override {
    if (!is_operator()) return not_an_operator("revoking tokens");
    const auto id = TokenId::from_text(target_.places[0]);
    if (!id) {
      return fail(Code::kUsage, "'" + target_.places[0] + "' is no token's id",
                  "see: dunlin token list");
    }
    return client::EndToken{*id};
  }
};

}  // namespace

const std::vector<Endpoint>& token_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/v1/tokens", 0, make_exchange<TokenListing>},
      {"POST", "/v1/tokens", kMaxJsonBody, make_exchange<CreateToken>},
      {"POST", "/v1/tokens/{}/revoke", kMaxJsonBody, make_exchange<TokenRevocation>},
  };
  return all;
}

}  // namespace dunlin
