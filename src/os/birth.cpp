#include "os/birth.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/codec.h"
#include "os/chance.h"
#include "os/clock.h"
#include "os/cluster_check.h"
#include "os/dial.h"
#include "os/say.h"
#include "os/transport.h"
#include "os/trouble_news.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kJoinPauseMs = 1000;
constexpr Duration kSayAgain = seconds(30);

struct Newborn {
  Key32 seed;
  Membership membership;
};

Newborn newborn(const Key32& seed) {
  Newborn child;
  child.seed = seed;
  child.membership.keys = key_pair_from_seed(child.seed);
  return child;
}

// ---- founding -----------------------------------------------------------------------------------

NodeStart found(const NodeOptions& options, Effects& first) {
  Newborn child = newborn(secret_key());
  fill_with_chance(child.membership.cluster.raw);
  child.membership.group_count = options.groups.value_or(kDefaultGroups);
  child.membership.key_ring.keys = {{std::uint8_t{1}, secret_key()}};
  put_membership(child.membership, child.seed, first);
  put_boot(1, first);
  put_founding(first);
  erase_newborn(first);
  NodeStart start;
  start.membership = std::move(child.membership);
  start.founding = true;
  return start;
}

// ---- joining ------------------------------------------------------------------------------------

// A refusal is final; silence may pass.
bool is_final(const Error& error) {
  return error.code == Code::kRefused || error.code == Code::kConflict;
}

// What goes wrong at each server: said when it is new, and now and then while it stays.
class JoinTroubles {
 public:
  void add(const std::string& server, const Error& error) {
    // What ends the attempts is said by whoever hears of the end.
    if (is_final(error)) {
      ended_by_ = server;
      return;
    }
    const TroubleNews::News news = news_.news_of(server, error.message, monotonic_now());
    if (news == TroubleNews::News::kNone) return;
    const bool is_new = news == TroubleNews::News::kNew;
    say("cannot join at " + server + ": " + error.message +
        (is_new ? "; is a node up there, and its port open to this host? Trying again each second"
                : "; still trying"));
  }

  // The server whose answer is final.
  const std::string& ended_by() const { return ended_by_; }

 private:
  TroubleNews news_{kSayAgain};
  std::string ended_by_;
};

// One round through the servers, with the loop run until it has ended.
Result<JoinDial::Reply> ask_once(uv_loop_t* loop, const Newborn& child, const JoinKey& key,
                                 const Bytes& request, const std::vector<std::string>& servers,
                                 JoinTroubles& troubles) {
  Identity self;
  self.keys = child.membership.keys;
  self.boot = 1;
  std::optional<Result<JoinDial::Reply>> outcome;
  JoinDial::Callbacks callbacks;
  callbacks.on_attempt_failed = [&](const std::string& server, const Error& error) {
    troubles.add(server, error);
  };
  callbacks.on_done = [&](Result<JoinDial::Reply> result) { outcome = std::move(result); };
  JoinDial dial(loop, self, key, request, std::move(callbacks));
  dial.start(servers);
  while (!outcome) uv_run(loop, UV_RUN_ONCE);
  bool closed = false;
  dial.close([&] { closed = true; });
  while (!closed) uv_run(loop, UV_RUN_ONCE);
  return std::move(*outcome);
}

void pause(uv_loop_t* loop) {
  bool over = false;
  uv_timer_t timer;
  uv_timer_init(loop, &timer);
  timer.data = &over;
  uv_timer_start(
      &timer, [](uv_timer_t* h) { *static_cast<bool*>(h->data) = true; }, kJoinPauseMs, 0);
  while (!over) uv_run(loop, UV_RUN_ONCE);
  over = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&timer),
           [](uv_handle_t* h) { *static_cast<bool*>(h->data) = true; });
  while (!over) uv_run(loop, UV_RUN_ONCE);
}

Result<NodeStart> take_welcome(Newborn child, const AdmissionReply& reply, Effects& first) {
  Result<KeyRing> ring = decode_key_ring(reply.key_ring);
  if (!ring) return tl::unexpected(ring.error());
  if (reply.group_count == 0 || reply.group_count > kMaxGroups) {
    return fail(Code::kCorrupt, "the cluster's answer makes no sense");
  }
  NodeStart start;
  for (const Bytes& bytes : reply.seeds) {
    if (Result<Member> member = decode_member(bytes)) start.seeds.push_back(std::move(*member));
  }
  child.membership.cluster = reply.cluster;
  child.membership.group_count = reply.group_count;
  child.membership.key_ring = std::move(*ring);
  put_membership(child.membership, child.seed, first);
  put_boot(1, first);
  put_seeds(start.seeds, first);
  erase_newborn(first);
  start.membership = std::move(child.membership);
  return start;
}

// Asks until somebody answers.
Result<NodeStart> ask(uv_loop_t* loop, Newborn child, const JoinKey& key,
                      const AdmissionRequest& request, const std::vector<std::string>& servers,
                      Effects& first) {
  JoinTroubles troubles;
  for (;;) {
    Result<JoinDial::Reply> answer = ask_once(loop, child, key, encode(request), servers, troubles);
    if (!answer) {
      if (answer.error().code == Code::kConflict) {
        return fail(Code::kRefused,
                    "the node at " + troubles.ended_by() + " is not of cluster " +
                        key.cluster.short_text() + ", which this one is to join",
                    "to join that other cluster, use a token made there: dunlin token create");
      }
      if (is_final(answer.error())) return tl::unexpected(answer.error());
      pause(loop);
      continue;
    }
    Result<AdmissionReply> reply = decode<AdmissionReply>(answer->bytes);
    if (!reply) return fail(Code::kCorrupt, "the cluster's answer makes no sense");
    if (!reply->admitted) return fail(Code::kRefused, reply->refusal, reply->hint);
    return take_welcome(std::move(child), *reply, first);
  }
}

Result<NodeStart> join(uv_loop_t* loop, const NodeOptions& options, const NodeFacts& facts,
                       const KeepFirst& keep, const Recovered& recovered, Effects& first) {
  if (options.token.empty()) {
    return fail(Code::kUsage, "--join needs a token of that cluster",
                "add --token T or --token-file FILE; `dunlin token create` there prints one");
  }
  const Result<JoinToken> token = JoinToken::parse(options.token);
  if (!token) return tl::unexpected(token.error());
  std::optional<Key32> seed = remembered_newborn(recovered.facts);
  if (!seed) {
    seed = secret_key();
    Effects before;
    put_newborn(*seed, before);
    keep(before);
  }
  return ask(loop, newborn(*seed), JoinKey::of_token(*token),
             {facts.name, facts.address, facts.version, {}}, options.join, first);
}

Result<NodeStart> succeed(uv_loop_t* loop, const NodeOptions& options, const NodeFacts& facts,
                          const IdentityFile& former, Effects& first) {
  Newborn child = newborn(*former.successor);
  const KeyPair before = key_pair_from_seed(former.seed);
  Succession succession;
  succession.former = before.public_key;
  succession.proof.raw =
      sign(before, succession_statement(former.cluster, child.membership.keys.public_key));
  std::vector<std::string> servers = options.join;
  servers.insert(servers.end(), former.peers.begin(), former.peers.end());
  return ask(loop, std::move(child), JoinKey::of_cluster(former.cluster, former.key_ring),
             {facts.name, facts.address, facts.version, succession}, servers, first);
}

// ---- resuming -----------------------------------------------------------------------------------

// How this host comes into the cluster that it was told to join.
std::string moving_hint(const NodeOptions& options) {
  std::string servers;
  for (const std::string& server : options.join) servers += (servers.empty() ? "" : ",") + server;
  return "to move this host there (what it holds is set aside): dunlin up --reset --dir " +
         options.dir + " --join " + servers + " --token-file FILE";
}

// A used directory resumes, and what it was told to join is another cluster: one of the two is a
// mistake, and nobody here can know which.
Result<void> check_own_cluster(uv_loop_t* loop, const NodeOptions& options,
                               const Remembered& remembered) {
  const ClusterId& own = remembered.membership.cluster;
  const std::string belongs = options.dir + " belongs to cluster " + own.short_text();
  if (!options.token.empty()) {
    const Result<JoinToken> token = JoinToken::parse(options.token);
    if (!token) return tl::unexpected(token.error());
    if (token->cluster != own) {
      return fail(Code::kRefused, belongs + ", the token to cluster " + token->cluster.short_text(),
                  moving_hint(options));
    }
  }
  if (options.join.empty()) return {};
  const Identity self{remembered.membership.keys, remembered.boot, own};
  const std::optional<std::string> other =
      server_of_other_cluster(loop, self, remembered.membership.key_ring, options.join);
  if (!other) return {};
  return fail(Code::kRefused, belongs + ", the node at " + *other + " to another cluster",
              moving_hint(options) + "; to go on in its own, leave out --join");
}

Result<NodeStart> resume(uv_loop_t* loop, const NodeOptions& options, Remembered remembered,
                         Effects& first) {
  if (Result<void> fine = check_own_cluster(loop, options, remembered); !fine) {
    return tl::unexpected(fine.error());
  }
  NodeStart start;
  start.boot = remembered.boot + 1;
  start.founding = remembered.founding;
  start.membership = std::move(remembered.membership);
  start.seeds = std::move(remembered.seeds);
  put_boot(start.boot, first);
  return start;
}

}  // namespace

Result<NodeStart> begin_life(uv_loop_t* loop, const NodeOptions& options, const NodeFacts& facts,
                             const Recovered& recovered, const std::optional<IdentityFile>& former,
                             const KeepFirst& keep, Effects& first) {
  Result<Remembered> before = remembered(recovered.facts);
  if (before) return resume(loop, options, std::move(*before), first);
  if (before.error().code != Code::kNotFound) return tl::unexpected(before.error());
  if (former) return succeed(loop, options, facts, *former, first);
  if (!options.join.empty()) return join(loop, options, facts, keep, recovered, first);
  return found(options, first);
}

IdentityFile identity_of(const Membership& membership, const std::vector<Member>& members) {
  IdentityFile identity;
  std::copy_n(membership.keys.secret.begin(), identity.seed.size(), identity.seed.begin());
  identity.cluster = membership.cluster;
  identity.key_ring = membership.key_ring;
  for (const Member& member : members) {
    if (identity.peers.size() == kMaxIdentityPeers) break;
    if (member.facts.key != membership.keys.public_key) {
      identity.peers.push_back(member.facts.address);
    }
  }
  return identity;
}

}  // namespace dunlin
