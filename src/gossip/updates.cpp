#include "gossip/updates.h"

namespace dunlin::gossip {

namespace {

// Loads have nothing to break; a route's group is checked by its decoder.
bool is_within_limits(const Update& update) {
  if (const auto* introduction = std::get_if<Introduction>(&update)) return is_valid(*introduction);
  const auto* status = std::get_if<Status>(&update);
  return status == nullptr ||
         (is_valid(status->standing) && status->accusers.size() <= kMaxAccusers);
}

}  // namespace

bool is_valid(const Card& card) {
  return validate_facts(card.facts).has_value();
}

bool is_valid(const Standing& standing) {
  return standing.patience <= kMaxPatience;
}

bool is_valid(const Introduction& introduction) {
  return is_valid(introduction.card) && is_valid(introduction.standing);
}

bool supersedes(const Standing& newer, const Standing& older) {
  if (newer.boot != older.boot) return newer.boot > older.boot;
  const bool newer_left = newer.state == MemberState::kLeft;
  const bool older_left = older.state == MemberState::kLeft;
  if (newer_left != older_left) return newer_left;
  if (newer.incarnation != older.incarnation) return newer.incarnation > older.incarnation;
  return newer.state > older.state;
}

Bytes encode_update(const Update& update) {
  return encode(update);
}

Result<Update> decode_update(ByteView bytes) {
  Result<Update> update = decode<Update>(bytes);
  if (update && !is_within_limits(*update)) return fail(Code::kCorrupt, "a rumour breaks a limit");
  return update;
}

}  // namespace dunlin::gossip
