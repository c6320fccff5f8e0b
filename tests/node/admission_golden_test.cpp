// A transcript of admission: a token is made, a host joins under it at a node that does not lead
// group 0, asks again, another one is refused; a node that lost its memory is succeeded.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

#include "base/codec.h"
#include "base/crypto.h"
#include "golden/golden.h"
#include "node/admission.h"

namespace dunlin {
namespace {

constexpr std::size_t kLeader = 0;
constexpr std::size_t kServer = 1;  // whom joiners ask
constexpr WallTime kToday{1'800'000'000'000};

Key32 seed_of(std::uint8_t n) {
  Key32 seed{};
  seed[0] = n;
  return seed;
}

Membership membership_of(std::uint8_t n) {
  Membership membership;
  membership.keys = key_pair_from_seed(seed_of(n));
  membership.cluster.raw[0] = 1;
  membership.group_count = 8;
  membership.key_ring.keys = {{1, seed_of(200)}};
  return membership;
}

// Two nodes' admissions, group 0's log at the first of them, and the way between them; all that
// passes is written down.
class Admissions {
 public:
  Admissions() {
    Member server;
    server.facts.id = members_[kServer].id();
    server.facts.name = "n1";
    server.facts.address = "10.0.0.2:7400";
    present_[server.facts.id] = server;
  }

  void join(const std::string& who, std::uint8_t seed, const TokenId& token,
            std::optional<Succession> succession = {}) {
    const PublicKey key = key_pair_from_seed(seed_of(seed)).public_key;
    note(who + " -> n1 let me in" + (succession ? ", I succeed an id" : ""));
    const AdmissionRequest request = {who, "10.0.0.9:7400", "0.1.0", std::move(succession)};
    nodes_[kServer].on_join(++last_join_, token, key, encode(request), present_, kToday);
    joiners_[last_join_] = who;
    settle();
  }
  void issue(const RecordCommand& command) {
    nodes_[kServer].issue(++last_request_, command);
    settle();
  }
  // The leader tells the others; then they ask.
  void spread() {
    now_ = now_ + seconds(100);
    for (const std::size_t from : {kLeader, kServer}) {
      Effects out;
      nodes_[from].spread(now_, from == kLeader, from == kLeader, {members_[1 - from].id()}, out);
      deliver(from, out);
    }
  }
  Admission& at(std::size_t node) { return nodes_[node]; }
  const Membership& membership(std::size_t node) const { return members_[node]; }
  std::string text() const { return text_.str(); }

 private:
  void note(const std::string& line) { text_ << line << "\n"; }

  void settle() {
    for (bool is_done = false; !is_done;) {
      is_done = true;
      for (std::size_t node = 0; node < nodes_.size(); ++node) {
        for (const Admission::Event& event : nodes_[node].take_events()) {
          is_done = false;
          std::visit([&](const auto& what) { on(node, what); }, event);
        }
      }
    }
  }
  void on(std::size_t node, const Admission::Ask& ask) {
    note(name(node) + " -> n0 to the leader of g0: " + describe(ask.body));
    asked_[++last_handle_] = {node, ask.token};
    nodes_[kLeader].on_request(last_handle_, ask.body, {}, kToday);
  }
  void on(std::size_t node, const Admission::Propose& proposal) {
    const Bytes body(proposal.payload.begin() + 1, proposal.payload.end());
    nodes_[node].on_proposed(proposal.handle, Result<LogIndex>(++last_index_));
    note("g0 commits " + std::to_string(last_index_) + ": " + describe(body));
    EXPECT_TRUE(nodes_[node].apply(last_index_, body).has_value());
  }
  void on(std::size_t node, const Admission::Answer& answer) {
    const auto [asker, token] = asked_.at(answer.handle);
    note(name(node) + " -> " + name(asker) + " " +
         (answer.result ? "done" : "refused: " + answer.result.error().message));
    std::vector<Member> members;
    for (const auto& [id, member] : present_) members.push_back(member);
    nodes_[asker].on_answer(token, answer.result, members);
  }
  void on(std::size_t node, const Admission::Joined& joined) {
    const Result<AdmissionReply> reply = decode<AdmissionReply>(joined.reply);
    ASSERT_TRUE(reply.has_value());
    const std::string to = name(node) + " -> " + joiners_[joined.join];
    if (!reply->admitted) return note(to + " no: " + reply->refusal);
    const Result<KeyRing> ring = decode_key_ring(reply->key_ring);
    ASSERT_TRUE(ring.has_value());
    note(to + " welcome: " + std::to_string(reply->group_count) + " groups, " +
         std::to_string(ring->keys.size()) + " keys, " + std::to_string(reply->seeds.size()) +
         " members");
  }
  void on(std::size_t node, const Admission::Ended& ended) {
    note(name(node) + ": its command " + (ended.result ? "is done" : ended.result.error().message));
  }
  void deliver(std::size_t from, const Effects& out) {
    const std::size_t to = 1 - from;
    for (const Send& send : out.sends) {
      const Result<NodeMessage> message = decode<NodeMessage>(ByteView(send.frame).subspan(1));
      ASSERT_TRUE(message.has_value());
      const std::string way = name(from) + " -> " + name(to);
      if (const auto* copy = std::get_if<RecordCopyMessage>(&*message)) {
        ASSERT_TRUE(nodes_[to].merge_record(copy->copy).has_value());
        note(way + " the record, version " + std::to_string(nodes_[to].record().version()));
      } else if (const auto* query = std::get_if<RecordQuery>(&*message)) {
        note(way + " I have version " + std::to_string(query->version));
        Effects reply;
        nodes_[to].on_query(members_[from].id(), *query, reply);
        deliver(to, reply);
      }
    }
  }

  static std::string name(std::size_t node) { return "n" + std::to_string(node); }
  static std::string describe(const Bytes& body) {
    const Result<RecordCommand> command = decode<RecordCommand>(body);
    if (!command) return "unreadable";
    if (const auto* add = std::get_if<AddToken>(&*command)) {
      return "a token for " + std::to_string(add->token.uses) + " uses";
    }
    if (const auto* admit = std::get_if<Admit>(&*command)) {
      return "admit " + admit->name + (admit->at == WallTime{} ? "" : ", judged by the leader");
    }
    if (const auto* succeed = std::get_if<Succeed>(&*command)) {
      return succeed->name + " succeeds another id";
    }
    return "retire an id";
  }

  std::array<Membership, 2> members_ = {membership_of(10), membership_of(11)};
  std::array<Admission, 2> nodes_ = {Admission(members_[0], Random(1)),
                                     Admission(members_[1], Random(2))};
  std::map<NodeId, Member> present_;
  std::map<JoinId, std::string> joiners_;
  std::map<std::uint64_t, std::pair<std::size_t, std::uint64_t>> asked_;
  Instant now_{1'000'000};
  JoinId last_join_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t last_handle_ = 0;
  LogIndex last_index_ = 0;
  std::ostringstream text_;
};

TEST(AdmissionGolden, AJoinersWayInAndASuccession) {
  initialise_crypto();
  Admissions cluster;
  TokenRecord token;
  token.id.raw[0] = 5;
  cluster.issue(AddToken{token, kToday});
  cluster.join("early", 1, token.id);  // the server has not heard of the token yet
  cluster.spread();
  cluster.join("ada", 1, token.id);
  cluster.join("ada", 1, token.id);  // the answer was lost
  cluster.join("eve", 2, token.id);  // the server's copy says that there is a use left
  cluster.spread();
  cluster.join("eve", 2, token.id);
  cluster.join("ada", 1, token.id);

  const KeyPair former = key_pair_from_seed(seed_of(1));
  const PublicKey next = key_pair_from_seed(seed_of(3)).public_key;
  Succession succession;
  succession.former = former.public_key;
  cluster.join("bob", 3, {}, succession);  // unsigned
  succession.proof.raw = sign(former, succession_statement(cluster.membership(0).cluster, next));
  cluster.join("bob", 3, {}, succession);
  cluster.join("ada", 1, token.id);
  cluster.spread();
  EXPECT_TRUE(cluster.at(kServer).record().is_admitted(node_id_of(next)));
  EXPECT_TRUE(cluster.at(kServer).record().is_retired(node_id_of(former.public_key)));
  EXPECT_EQ(cluster.at(kServer).encode_record(), cluster.at(kLeader).encode_record());
  compare_with_golden("admission", cluster.text());
}

}  // namespace
}  // namespace dunlin
