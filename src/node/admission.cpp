#include "node/admission.h"

#include "base/codec.h"
#include "base/crypto.h"

namespace dunlin {

namespace {

constexpr Duration kPullPeriod = seconds(30);
constexpr Duration kFirstPull = milliseconds(200);
constexpr std::size_t kMaxSeedsInReply = 32;

}  // namespace

Result<void> may_forget(const Member& member) {
  const std::string& name = member.facts.name;
  if (member.state == MemberState::kAlive) {
    return fail(Code::kRefused, name + " is alive", "to take it out: dunlin leave " + name);
  }
  if (member.state == MemberState::kSuspect) {
    return fail(Code::kRefused, name + " does not answer, and may live all the same",
                "try again when it is known to be dead: dunlin nodes " + name);
  }
  return {};
}

Admission::Admission(const Membership& membership, Random random)
    : membership_(membership), random_(random) {}

Result<void> Admission::merge_record(ByteView copy) {
  return record_.merge(copy);
}

void Admission::on_join(JoinId join, const TokenId& token, const PublicKey& key, ByteView request,
                        const std::map<NodeId, Member>& members, WallTime wall) {
  const Result<AdmissionRequest> asked = decode<AdmissionRequest>(request);
  if (!asked) return refuse(join, {Code::kUsage, "malformed request to join", ""});
  if (joins_.size() >= kMaxJoinsUnderWay) {
    return refuse(join, {Code::kLimit, "too many hosts join at once", "it is tried again"});
  }
  if (asked->succession) return on_succession(join, key, *asked);
  if (Result<void> allowed = record_.check_token(token, wall);
      !allowed && !record_.is_admitted(node_id_of(key))) {
    return refuse(join, allowed.error());
  }
  if (Result<void> fine = check_name(node_id_of(key), *asked, members); !fine) {
    return refuse(join, fine.error());
  }
  const std::uint64_t ask = next_token_++;
  joins_.emplace(ask, join);
  events_.push_back(Ask{ask, encode(RecordCommand(Admit{token, key, asked->name, WallTime{}}))});
}

Result<void> Admission::check_name(const NodeId& joiner, const AdmissionRequest& asked,
                                   const std::map<NodeId, Member>& members) {
  for (const auto& [id, member] : members) {
    if (!is_present(member) || id == joiner || member.facts.name != asked.name ||
        member.facts.address == asked.address) {
      continue;
    }
    return fail(Code::kRefused,
                "the name " + asked.name + " is taken by the node at " + member.facts.address,
                "give this one another name: --name NAME");
  }
  return {};
}

void Admission::on_succession(JoinId join, const PublicKey& key, const AdmissionRequest& asked) {
  const Bytes statement = succession_statement(membership_.cluster, key);
  if (!verify(asked.succession->former, statement, asked.succession->proof.raw)) {
    return refuse(join, {Code::kRefused, "the former key has not signed for this succession", ""});
  }
  const std::uint64_t ask = next_token_++;
  joins_.emplace(ask, join);
  events_.push_back(
      Ask{ask, encode(RecordCommand(Succeed{asked.succession->former, key, asked.name}))});
}

void Admission::issue(std::uint64_t request, const RecordCommand& command) {
  const std::uint64_t ask = next_token_++;
  issued_.emplace(ask, request);
  events_.push_back(Ask{ask, encode(command)});
}

void Admission::on_answer(std::uint64_t token, const Result<Bytes>& result,
                          const std::vector<Member>& members) {
  if (const auto join = joins_.find(token); join != joins_.end()) {
    if (result) {
      welcome(join->second, members);
    } else {
      refuse(join->second, result.error());
    }
    joins_.erase(join);
    return;
  }
  const auto issued = issued_.find(token);
  if (issued == issued_.end()) return;
  Result<void> ended;
  if (!result) ended = tl::unexpected(result.error());
  events_.push_back(Ended{issued->second, std::move(ended)});
  issued_.erase(issued);
}

void Admission::on_request(std::uint64_t handle, ByteView body,
                           const std::map<NodeId, Member>& members, WallTime wall) {
  Result<RecordCommand> command = decode<RecordCommand>(body);
  if (!command) {
    events_.push_back(Answer{handle, fail(Code::kUsage, "malformed command to group 0")});
    return;
  }
  if (proposed_.size() >= kMaxRecordProposals) {
    events_.push_back(Answer{handle, fail(Code::kLimit, "group 0 has too much to do")});
    return;
  }
  if (const auto* retirement = std::get_if<Retire>(&*command)) {
    const auto member = members.find(retirement->node);
    const Result<void> allowed =
        member == members.end() ? Result<void>() : may_forget(member->second);
    if (!allowed) {
      events_.push_back(Answer{handle, tl::unexpected(allowed.error())});
      return;
    }
  }
  // Expiry is judged once, by the leader's clock, so that every replica judges alike.
  if (auto* admission = std::get_if<Admit>(&*command)) admission->at = wall;
  events_.push_back(Propose{handle, node_payload(encode(*command))});
}

void Admission::on_proposed(std::uint64_t handle, const Result<LogIndex>& index) {
  if (index) {
    proposed_[*index] = handle;
  } else {
    events_.push_back(Answer{handle, tl::unexpected(index.error())});
  }
}

Result<void> Admission::apply(LogIndex index, ByteView payload) {
  const Result<RecordCommand> command = decode<RecordCommand>(payload);
  if (!command) return tl::unexpected(command.error());
  const Result<void> applied = record_.apply(index, *command);
  const auto waiting = proposed_.find(index);
  if (waiting == proposed_.end()) return {};
  Result<Bytes> answer = Bytes{};
  if (!applied) answer = tl::unexpected(applied.error());
  events_.push_back(Answer{waiting->second, std::move(answer)});
  proposed_.erase(waiting);
  return {};
}

void Admission::on_leadership_lost() {
  // The router at the asker's side tries the next leader by itself; commands may be applied twice
  // without harm: an admission of the same key and a token of the same id change nothing.
  proposed_.clear();
}

void Admission::spread(Instant now, bool leads, bool has_replica, const std::vector<NodeId>& peers,
                       Effects& out) {
  if (leads) {
    for (const NodeId& peer : peers) {
      std::uint64_t& told = told_[peer];
      if (told >= record_.version()) continue;
      told = record_.version();
      out.send(peer, Channel::kStream, node_frame(RecordCopyMessage{record_.encode()}));
    }
  }
  if (has_replica) {
    next_pull_ = Instant::never();
    return;
  }
  if (next_pull_ == Instant{} || next_pull_ == Instant::never()) next_pull_ = now + kFirstPull;
  if (now < next_pull_) return;
  if (peers.empty()) {
    next_pull_ = now + kFirstPull;
    return;
  }
  next_pull_ = now + kPullPeriod + random_.between(Duration{}, kPullPeriod);
  const NodeId& peer = peers[random_.below(peers.size())];
  out.send(peer, Channel::kStream, node_frame(RecordQuery{record_.version()}));
}

void Admission::on_query(NodeId from, const RecordQuery& query, Effects& out) {
  if (query.version >= record_.version()) return;
  out.send(from, Channel::kStream, node_frame(RecordCopyMessage{record_.encode()}));
}

std::vector<Admission::Event> Admission::take_events() {
  return std::exchange(events_, {});
}

void Admission::refuse(JoinId join, const Error& error) {
  AdmissionReply reply;
  reply.refusal = error.message;
  reply.hint = error.hint;
  events_.push_back(Joined{join, encode(reply)});
}

void Admission::welcome(JoinId join, const std::vector<Member>& members) {
  AdmissionReply reply;
  reply.admitted = true;
  reply.cluster = membership_.cluster;
  reply.group_count = membership_.group_count;
  reply.key_ring = encode_key_ring(membership_.key_ring);
  for (const Member& member : members) {
    if (reply.seeds.size() == kMaxSeedsInReply) break;
    reply.seeds.push_back(encode_member(member));
  }
  events_.push_back(Joined{join, encode(reply)});
}

}  // namespace dunlin
