#include "store/members.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"
#include "base/crypto.h"
#include "store/blob.h"

namespace dunlin::store {

std::vector<NodeId> View::owners(const BlobId& id, std::size_t count) const {
  return ring.owners(position_of(id), count);
}

bool Members::set(std::vector<StoreMember> members) {
  std::map<NodeId, StoreMember> fresh;
  for (StoreMember& member : members) {
    if (fresh.size() == kMaxMembers) break;
    const NodeId id = member.id;
    fresh.emplace(id, std::move(member));
  }
  if (fresh == members_) return false;
  members_ = std::move(fresh);
  rebuild();
  return true;
}

bool Members::set_suspected(NodeId peer, bool suspected) {
  if (suspected) return members_.contains(peer) && suspected_.insert(peer).second;
  return suspected_.erase(peer) != 0;
}

std::size_t Members::holders_needed(std::size_t write_holders) const {
  return std::max<std::size_t>(1, std::min(write_holders, view_.ring.size()));
}

void Members::leave() {
  leaving_ = true;
  rebuild();
}

bool Members::is_present(NodeId node) const {
  return std::ranges::binary_search(present_, node);
}

bool Members::is_trusted(NodeId node) const {
  if (node == self_) return is_present(node);
  const auto found = members_.find(node);
  return found != members_.end() && found->second.state == StoreMemberState::kAlive &&
         !suspected_.contains(node);
}

std::vector<NodeId> Members::candidates(const BlobId& id, std::size_t owners,
                                        std::size_t spare) const {
  std::vector<NodeId> nodes = view_.owners(id, owners);
  for (const NodeId node : view_.owners(id, owners + spare)) {
    if (std::ranges::find(nodes, node) == nodes.end()) nodes.push_back(node);
  }
  std::stable_partition(nodes.begin(), nodes.end(), [&](NodeId node) { return is_trusted(node); });
  return nodes;
}

void Members::rebuild() {
  present_.clear();
  std::vector<RingNode> nodes;
  Bytes described;
  Encoder out(described);
  for (const auto& [id, member] : members_) {
    const bool gone =
        member.state == StoreMemberState::kDead || member.state == StoreMemberState::kLeft;
    if (gone || (leaving_ && id == self_)) continue;
    present_.push_back(id);
    nodes.push_back({id, member.zone, member.weight});
    put(out, id);
    put(out, member.zone);
    put(out, member.weight);
  }
  std::erase_if(suspected_, [&](NodeId node) { return !is_present(node); });
  const std::uint64_t digest = blake2b_64(described);
  if (digest == view_.digest) return;
  view_ = {Ring(std::move(nodes)), digest};
}

}  // namespace dunlin::store
