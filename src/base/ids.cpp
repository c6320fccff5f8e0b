#include "base/ids.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::uint32_t kPrefixes = 26 * 36;

}  // namespace

GroupId JobId::group(std::uint16_t group_count) const {
  ASSERT(!is_none() && group_count > 0);
  const auto prefix =
      static_cast<std::uint32_t>(kLetters.find(raw[0]) * kAlphabet.size() + kAlphabet.find(raw[1]));
  return {static_cast<std::uint16_t>(prefix % group_count)};
}

JobId JobId::make(GroupId group, std::uint16_t group_count,
                  std::span<const std::uint8_t, 10> chance) {
  ASSERT(group.value < group_count && group_count <= kMaxGroups);
  const std::uint32_t choices = (kPrefixes - 1U - group.value) / group_count + 1U;
  const std::uint32_t draw = chance[0] + 256U * chance[1];
  const std::uint32_t prefix = group.value + group_count * (draw % choices);
  JobId id;
  id.raw[0] = kLetters[prefix / kAlphabet.size()];
  id.raw[1] = kAlphabet[prefix % kAlphabet.size()];
  for (std::size_t i = 2; i < id.raw.size(); ++i) id.raw[i] = kAlphabet[chance[i] % 36];
  return id;
}

std::optional<JobId> JobId::from_text(std::string_view text) {
  JobId id;
  if (text.size() != id.raw.size() || kLetters.find(text[0]) == std::string_view::npos) {
    return std::nullopt;
  }
  for (const char c : text) {
    if (kAlphabet.find(c) == std::string_view::npos) return std::nullopt;
  }
  std::copy(text.begin(), text.end(), id.raw.begin());
  return id;
}

}  // namespace dunlin
