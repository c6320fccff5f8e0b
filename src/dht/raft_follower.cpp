// What a follower does with its leader's entries and proofs of leadership.
#include <algorithm>

#include "base/assert.h"
#include "dht/raft.h"

namespace dunlin {

// Its term is this replica's own: it leads.
void Raft::note_leader(Turn& turn, const Seat& from) {
  const Boot boot = turn.peers.boot(from.node);
  const bool is_news = leader_ != from.node || leader_boot_ != boot;
  role_ = Role::kFollower;
  set_leader(from);
  leader_boot_ = boot;
  votes_.clear();
  campaigns_ = 0;
  wants_campaign_ = false;
  election_at_ = campaign_until_ = doubt_until_ = Instant::never();
  // To lead, it must have voted for itself.
  Heard& heard = heard_of(from);
  heard.term = std::max(heard.term, term_);
  if (is_news) turn.events.emplace_back(RouteLearnt{group_, term_, leader_, boot});
}

// What no leader sends is dropped, whoever sent it.
bool Raft::is_well_formed(const Append& message) const {
  Term term = message.previous_term;
  if (term > term_ || (message.previous == 0 && term != 0)) return false;
  for (const Entry& entry : message.entries) {
    if (entry.term < term || entry.term > term_ || entry.term == 0) return false;
    term = entry.term;
    if (entry.kind != EntryKind::kConfig) continue;
    const Result<GroupConfig> config = decode<GroupConfig>(entry.payload);
    if (!config || !config->is_valid()) return false;
  }
  return true;
}

void Raft::accept(Turn& turn, const Seat& from, Append& message) {
  if (role_ == Role::kLeader || !is_well_formed(message)) return;
  note_leader(turn, from);
  incoming_.reset();  // the leader sends entries: it does not think a snapshot is needed
  // What lies below the base is committed, so it equals the leader's: begin at the base.
  if (message.previous < log_.base()) {
    const LogIndex known =
        std::min<LogIndex>(log_.base() - message.previous, message.entries.size());
    message.previous += known;
    message.entries.erase(message.entries.begin(),
                          message.entries.begin() + static_cast<std::ptrdiff_t>(known));
    if (message.previous < log_.base()) {
      acknowledge(turn, from, log_.base(), commit_);
      return;
    }
    message.previous_term = log_.base_term();
  }
  if (log_.term_at(message.previous) != message.previous_term) {
    const LogIndex hint = log_.last_with_term_up_to(message.previous, message.previous_term);
    send(turn, from, AppendReply{false, message.previous, commit_, hint, *log_.term_at(hint)});
    return;
  }
  const LogIndex end = message.previous + message.entries.size();
  const LogIndex commit = std::min(message.commit, end);
  if (!take_entries(turn, message)) return;
  acknowledge(turn, from, end, std::max(commit, commit_));
  if (commit > commit_) {
    commit_ = commit;
    apply(turn);
  }
}

// False when the entries contradict what is committed: not from a leader of this group.
bool Raft::take_entries(Turn& turn, Append& message) {
  LogIndex index = message.previous;
  for (Entry& entry : message.entries) {
    ++index;
    const std::optional<Term> present = log_.term_at(index);
    if (present == entry.term) continue;
    if (index <= commit_) return false;
    if (present) truncate_after(index - 1);
    turn.out.append(Module::kGroups,
                    encode(GroupRecord{EntryRecord{group_, self_.generation, index, entry}}));
    turn.wrote = true;
    if (entry.kind == EntryKind::kConfig) {
      install_config(index, *decode<GroupConfig>(entry.payload));
    }
    log_.append(std::move(entry), turn.out.row);
  }
  return true;
}

void Raft::acknowledge(Turn& turn, const Seat& to, LogIndex index, LogIndex commit) {
  const bool waits = index > log_.durable() || vote_row_ > turn.durable_row;
  send(turn, to, AppendReply{true, index, commit, 0, 0}, waits);
}

void Raft::accept(Turn& turn, const Seat& from, ReadProbe& message) {
  if (role_ == Role::kLeader) return;
  note_leader(turn, from);
  send(turn, from, ReadReply{message.sequence});
}

}  // namespace dunlin
