#include "base/token.h"

#include <vector>

namespace dunlin {

namespace {

constexpr std::string_view kPrefix = "dun1";
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text = text.substr(end + 1);
  }
}

tl::unexpected<Error> not_a_token(std::string what) {
  return fail(Code::kUsage, "the token " + std::move(what),
              "a token looks like dun1-...-...-...; `dunlin token create` prints one");
}

}  // namespace

std::string JoinToken::text() const {
  return std::string(kPrefix) + "-" + cluster.text() + "-" + id.text() + "-" + to_base32(secret);
}

Key32 JoinToken::psk() const {
  Bytes data = to_bytes("dunlin token psk");
  append(data, cluster.bytes());
  append(data, id.bytes());
  return blake2b_256(data, secret);
}

Result<JoinToken> JoinToken::parse(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return not_a_token("is empty");
  const std::vector<std::string_view> parts = split(text, '-');
  if (parts[0] != kPrefix) {
    if (parts[0].starts_with("dun"))
      return not_a_token("is of a version this dunlin does not know");
    return not_a_token("does not begin with dun1-");
  }
  if (parts.size() != 4) return not_a_token("does not have four parts: was it cut?");

  JoinToken token;
  if (!from_base32(parts[1], token.cluster.raw)) return not_a_token("has a misspelt cluster id");
  if (!from_base32(parts[2], token.id.raw)) return not_a_token("has a misspelt token id");
  if (!from_base32(parts[3], token.secret)) return not_a_token("has a misspelt secret");
  return token;
}

}  // namespace dunlin
