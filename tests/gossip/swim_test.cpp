// One Gossip, spoken to frame by frame.
#include <gtest/gtest.h>

#include "gossip/gossip.h"
#include "people.h"

namespace dunlin {
namespace {

using gossip::Introduction;
using gossip::Message;
using gossip::Standing;
using gossip::Status;
using gossip::Update;
using test::at_ms;
using test::card;
using test::id_of;

struct Swim : testing::Test {
  Gossip node{test::person(0), 5, GossipConfig{}, Random(1)};
  Instant now = at_ms(1000);

  // Hands over a message, and returns what it sends.
  std::vector<Send> receive(std::uint8_t from, const Message& message) {
    Effects out;
    node.receive(now, id_of(from), encode_frame(message), out);
    return out.sends;
  }
  std::vector<Send> tell(std::uint8_t from, const Update& update) {
    return receive(from, gossip::News{{gossip::encode_update(update)}});
  }
  std::vector<Send> tick() {
    Effects out;
    node.tick(now, out);
    return out.sends;
  }
  // Everything it sends until then, ticking when it is due.
  std::vector<Send> run_until(Instant end) {
    std::vector<Send> sends;
    while (node.next_deadline() <= end) {
      now = std::max(now, node.next_deadline());
      for (Send& send : tick()) sends.push_back(std::move(send));
    }
    now = end;
    return sends;
  }
  void know(std::initializer_list<std::uint8_t> numbers) {
    std::vector<Member> members;
    for (const std::uint8_t number : numbers) members.push_back(test::member(number));
    node.seed(now, members);
    node.take_events();
  }
  MemberState state_of(std::uint8_t number) const { return node.members().at(id_of(number)).state; }
  template <class Event>
  std::size_t count() {
    std::size_t found = 0;
    for (const GossipEvent& event : node.take_events()) {
      found += std::holds_alternative<Event>(event) ? 1 : 0;
    }
    return found;
  }
};

template <class T>
std::vector<std::pair<NodeId, T>> messages_in(const std::vector<Send>& sends) {
  std::vector<std::pair<NodeId, T>> found;
  for (const Send& send : sends) {
    const Result<Message> message = gossip::decode_frame(send.frame);
    EXPECT_TRUE(message.has_value());
    if (const T* held = std::get_if<T>(&*message)) found.emplace_back(send.to, *held);
  }
  return found;
}

// All updates of a kind in whatever messages.
template <class T>
std::vector<T> updates_in(const std::vector<Send>& sends) {
  std::vector<T> found;
  auto look = [&](const std::vector<Bytes>& news) {
    for (const Bytes& bytes : news) {
      const auto update = gossip::decode_update(bytes);
      if (const T* held = std::get_if<T>(&*update)) found.push_back(*held);
    }
  };
  for (const Send& send : sends) {
    const Result<Message> message = gossip::decode_frame(send.frame);
    if (const auto* news = std::get_if<gossip::News>(&*message)) look(news->news);
    if (const auto* ping = std::get_if<gossip::Ping>(&*message)) look(ping->news);
    if (const auto* ack = std::get_if<gossip::Ack>(&*message)) look(ack->news);
  }
  return found;
}

Status status(std::uint8_t number, Boot boot, std::uint64_t incarnation, MemberState state) {
  return {id_of(number), {boot, incarnation, state, 0}, {}};
}

TEST_F(Swim, AloneItHasNothingToDo) {
  EXPECT_EQ(node.next_deadline(), Instant::never());
  ASSERT_EQ(node.members().size(), 1U);
  EXPECT_EQ(node.members().begin()->second.boot, 5U);
}

TEST_F(Swim, AnswersAPingWithItsSequenceAndDigest) {
  know({1});
  const auto acks = messages_in<gossip::Ack>(receive(1, gossip::Ping{42, 1, {}}));
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].first, id_of(1));
  EXPECT_EQ(acks[0].second.sequence, 42U);
  EXPECT_EQ(acks[0].second.boot, 5U);
  EXPECT_EQ(acks[0].second.digest, node.digest());
}

TEST_F(Swim, OpensAnExchangeWithASeedAtOnceAndRetries) {
  know({1, 2});
  EXPECT_LE(node.next_deadline(), now);
  EXPECT_EQ(messages_in<gossip::SyncRequest>(tick()).size(), 1U);
  const auto more = messages_in<gossip::SyncRequest>(run_until(now + milliseconds(2500)));
  EXPECT_EQ(more.size(), 2U);
}

TEST_F(Swim, RefutesSuspicionAboutItself) {
  know({1, 2});
  const auto sends = tell(1, status(0, 5, 0, MemberState::kSuspect));
  const auto refutations = updates_in<Status>(sends);
  ASSERT_FALSE(refutations.empty());
  for (const Status& refutation : refutations) {
    EXPECT_EQ(refutation.node, id_of(0));
    EXPECT_EQ(refutation.standing, (Standing{5, 1, MemberState::kAlive, 0}));
  }
  EXPECT_EQ(node.members().at(id_of(0)).incarnation, 1U);
  EXPECT_EQ(node.local_health(), 1U);
  EXPECT_EQ(count<TwinSeen>(), 0U);
}

TEST_F(Swim, WhoMustRefuteAgainAsksForPatience) {
  know({1, 2});
  auto patience = [&](std::uint64_t incarnation) {
    now = now + seconds(2);
    return updates_in<Status>(tell(1, status(0, 5, incarnation, MemberState::kSuspect)))
        .front()
        .standing.patience;
  };
  EXPECT_EQ(patience(0), 0);
  EXPECT_EQ(patience(1), 1);
  EXPECT_EQ(patience(2), 2);
  EXPECT_EQ(patience(3), 4);
}

TEST_F(Swim, ALaterBootOfItselfProvesATwin) {
  know({1});
  tell(1, status(0, 6, 0, MemberState::kAlive));
  EXPECT_EQ(count<TwinSeen>(), 1U);
  tell(1, status(0, 7, 0, MemberState::kAlive));
  EXPECT_EQ(count<TwinSeen>(), 0U) << "once is enough";
}

TEST_F(Swim, AnIncarnationThatItNeverRaisedProvesATwin) {
  know({1});
  tell(1, status(0, 5, 3, MemberState::kAlive));
  EXPECT_EQ(count<TwinSeen>(), 1U);
}

TEST_F(Swim, TheSameBootFromAnotherLifeProvesATwin) {
  know({1});
  tell(1, Introduction{card(0, 5, 12345), {5, 0, MemberState::kAlive, 0}});
  EXPECT_EQ(count<TwinSeen>(), 1U);
}

TEST_F(Swim, AGoodByeInItsNameProvesATwin) {
  know({1});
  tell(1, status(0, 5, 0, MemberState::kLeft));
  EXPECT_EQ(count<TwinSeen>(), 1U);
}

TEST_F(Swim, NewsOfItsEarlierLifeProveNothingAndAreCorrected) {
  know({1});
  const auto sends = tell(1, status(0, 4, 9, MemberState::kDead));
  EXPECT_EQ(count<TwinSeen>(), 0U);
  const auto introductions = updates_in<Introduction>(sends);
  ASSERT_FALSE(introductions.empty());
  EXPECT_EQ(introductions[0].standing.boot, 5U);
}

TEST_F(Swim, TellsARestoredCopyOfAMemberThatALaterBootIsKnown) {
  node.seed(now, {test::member(1, 8)});
  const auto words = updates_in<Status>(receive(1, gossip::Ping{1, 3, {}}));
  ASSERT_FALSE(words.empty());
  EXPECT_EQ(words[0].node, id_of(1));
  EXPECT_EQ(words[0].standing.boot, 8U);
}

TEST_F(Swim, TwoLivesOfOneBootOfAMemberAreTold) {
  know({2});
  tell(2, Introduction{card(1, 3, 100), {3, 0, MemberState::kAlive, 0}});
  const auto sends = tell(2, Introduction{card(1, 3, 200), {3, 0, MemberState::kAlive, 0}});
  bool is_told = false;
  for (const auto& [to, news] : messages_in<gossip::News>(sends)) is_told |= to == id_of(1);
  EXPECT_TRUE(is_told);
}

TEST_F(Swim, AHigherBootMakesADeadMemberAliveAtOnce) {
  know({1, 2});
  tell(2, status(1, 1, 4, MemberState::kDead));
  EXPECT_EQ(state_of(1), MemberState::kDead);
  node.take_events();
  tell(2, Introduction{card(1, 2), {2, 0, MemberState::kAlive, 0}});
  EXPECT_EQ(state_of(1), MemberState::kAlive);
  std::size_t restarted = 0;
  std::size_t up = 0;
  for (const GossipEvent& event : node.take_events()) {
    if (const auto* held = std::get_if<MemberRestarted>(&event)) {
      EXPECT_EQ(held->boot, 2U);
      ++restarted;
    }
    up += std::holds_alternative<MemberUp>(event) ? 1 : 0;
  }
  EXPECT_EQ(restarted, 1U);
  EXPECT_EQ(up, 1U);
}

TEST_F(Swim, WhoLeftStaysAwayInThatLife) {
  know({1, 2});
  tell(1, status(1, 1, 0, MemberState::kLeft));
  EXPECT_EQ(state_of(1), MemberState::kLeft);
  tell(2, status(1, 1, 99, MemberState::kAlive));
  tell(2, status(1, 1, 99, MemberState::kDead));
  EXPECT_EQ(state_of(1), MemberState::kLeft);
  tell(1, Introduction{card(1, 2), {2, 0, MemberState::kAlive, 0}});
  EXPECT_EQ(state_of(1), MemberState::kAlive);
}

TEST_F(Swim, AForgottenMemberIsGoneForGood) {
  know({1, 2});
  node.mark_forgotten(now, id_of(1));
  EXPECT_EQ(count<MemberLeft>(), 1U);
  EXPECT_FALSE(node.members().contains(id_of(1)));
  tell(2, Introduction{card(1, 9), {9, 0, MemberState::kAlive, 0}});
  EXPECT_FALSE(node.members().contains(id_of(1)));
  EXPECT_TRUE(receive(1, gossip::Ping{1, 9, {}}).empty());
  node.seed(now, {test::member(1, 9)});
  EXPECT_FALSE(node.members().contains(id_of(1)));
}

TEST_F(Swim, DoesNotBelieveTheDeathOfSomebodyItJustHeard) {
  know({1, 2});
  receive(1, gossip::Ping{1, 1, {}});
  now = now + seconds(1);
  const auto sends = tell(2, status(1, 1, 0, MemberState::kDead));
  EXPECT_EQ(state_of(1), MemberState::kAlive);
  bool is_told = false;
  for (const auto& [to, news] : messages_in<gossip::News>(sends)) is_told |= to == id_of(1);
  EXPECT_TRUE(is_told) << "he is to refute";
  EXPECT_FALSE(messages_in<gossip::Ping>(sends).empty()) << "and is probed";
}

TEST_F(Swim, BelievesARumourOfDeathAboutSomebodyItHasNotHeard) {
  know({1, 2});
  tell(2, status(1, 1, 0, MemberState::kDead));
  EXPECT_EQ(state_of(1), MemberState::kDead);
  EXPECT_EQ(count<MemberDead>(), 1U);
}

TEST_F(Swim, ADeadMemberThatSpeaksIsToldThatItIsHeldForDead) {
  know({1, 2});
  tell(2, status(1, 1, 0, MemberState::kDead));
  now = now + seconds(5);
  const auto words = updates_in<Status>(receive(1, gossip::Ping{1, 1, {}}));
  ASSERT_FALSE(words.empty());
  EXPECT_EQ(words[0].node, id_of(1));
  EXPECT_EQ(words[0].standing.state, MemberState::kDead);
  tell(1, status(1, 1, 1, MemberState::kAlive));
  EXPECT_EQ(state_of(1), MemberState::kAlive);
}

TEST_F(Swim, SilenceBecomesSuspicionAndThenDeath) {
  know({1});
  run_until(now + milliseconds(1600));
  EXPECT_EQ(state_of(1), MemberState::kSuspect);
  run_until(now + seconds(3));
  EXPECT_EQ(state_of(1), MemberState::kDead);
}

TEST_F(Swim, AnyFrameWithinTheTimeoutPreventsSuspicion) {
  know({1});
  for (int i = 0; i < 50; ++i) {
    run_until(now + milliseconds(200));
    node.heard(now, id_of(1));
  }
  EXPECT_EQ(state_of(1), MemberState::kAlive);
  EXPECT_EQ(count<MemberSuspect>(), 0U);
}

TEST_F(Swim, ALateAnswerPreventsTheVerdict) {
  know({1});
  run_until(now + milliseconds(1600));
  ASSERT_EQ(state_of(1), MemberState::kSuspect);
  node.heard(now, id_of(1));
  run_until(now + milliseconds(2600));
  EXPECT_EQ(state_of(1), MemberState::kSuspect) << "it only waits for the refutation";
  tell(1, status(1, 1, 1, MemberState::kAlive));
  EXPECT_EQ(state_of(1), MemberState::kAlive);
}

// Everybody but this node holds the suspect for dead: it asks him before it believes itself.
TEST_F(Swim, AsksBeforeItDeclaresADeathThatOthersSuspected) {
  know({1, 2, 3});
  tell(2, Status{id_of(1), {1, 0, MemberState::kSuspect, 0}, {id_of(2), id_of(3)}});
  ASSERT_EQ(state_of(1), MemberState::kSuspect);
  // He answers this node, late, so that it is no witness.
  const Instant end = now + seconds(30);
  while (now < end) {
    run_until(now + milliseconds(400));
    for (const NodeId other : {id_of(1), id_of(2), id_of(3)}) node.heard(now, other);
  }
  EXPECT_EQ(state_of(1), MemberState::kSuspect);
}

TEST_F(Swim, ADoubtIsProbedAtOnce) {
  know({1, 2, 3, 4, 5});
  tick();
  node.doubt(now, id_of(4));
  EXPECT_LE(node.next_deadline(), now);
  const auto pings = messages_in<gossip::Ping>(tick());
  ASSERT_FALSE(pings.empty());
  bool is_probed = false;
  for (const auto& [to, ping] : pings) is_probed |= to == id_of(4);
  EXPECT_TRUE(is_probed);
}

TEST_F(Swim, AProcessThatStoodStillBlamesNobody) {
  know({1, 2, 3});
  run_until(now + milliseconds(100));
  now = now + seconds(60);
  tick();
  EXPECT_EQ(state_of(1), MemberState::kAlive);
  run_until(now + milliseconds(50));
  EXPECT_EQ(count<MemberDead>(), 0U);
  EXPECT_GE(node.local_health(), 1U);
}

TEST_F(Swim, ASuspectHearsOfItWithTheNextWord) {
  know({1, 2});
  tell(2, Status{id_of(1), {1, 0, MemberState::kSuspect, 0}, {id_of(2)}});
  const auto acks = messages_in<gossip::Ack>(receive(1, gossip::Ping{1, 1, {}}));
  ASSERT_EQ(acks.size(), 1U);
  ASSERT_FALSE(acks[0].second.news.empty());
  const auto first = gossip::decode_update(acks[0].second.news.front());
  EXPECT_EQ(std::get<Status>(*first).node, id_of(1));
}

TEST_F(Swim, PingsForOthersAndReports) {
  know({1, 2});
  const auto pings =
      messages_in<gossip::Ping>(receive(1, gossip::PingRequest{9, id_of(2), 300, {}}));
  ASSERT_EQ(pings.size(), 1U);
  EXPECT_EQ(pings[0].first, id_of(2));
  const auto reports =
      messages_in<gossip::PingReport>(receive(2, gossip::Ack{pings[0].second.sequence, 1, 0, {}}));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].first, id_of(1));
  EXPECT_EQ(reports[0].second.sequence, 9U);
  EXPECT_TRUE(reports[0].second.answered);

  receive(1, gossip::PingRequest{10, id_of(2), 300, {}});
  const auto failures = messages_in<gossip::PingReport>(run_until(now + milliseconds(400)));
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_FALSE(failures[0].second.answered);
}

TEST_F(Swim, TheNewestTermOfARouteWins) {
  know({1, 2});
  tell(1, Route{{7}, 3, id_of(1), 1});
  EXPECT_EQ(count<RouteChanged>(), 1U);
  tell(2, Route{{7}, 2, id_of(2), 1});
  EXPECT_EQ(node.route({7})->leader, id_of(1));
  tell(2, Route{{7}, 3, id_of(2), 1});
  EXPECT_EQ(node.route({7})->leader, id_of(1)) << "a term has one leader";
  EXPECT_EQ(count<RouteChanged>(), 0U);
  tell(2, Route{{7}, 4, id_of(2), 1});
  EXPECT_EQ(node.route({7})->leader, id_of(2));
  node.take_events();
  node.announce_route(now, {{7}, 5, id_of(0), 5});
  EXPECT_EQ(count<RouteChanged>(), 0U) << "its own word";
  EXPECT_EQ(node.route({7})->leader, id_of(0));
  EXPECT_FALSE(node.route({8}).has_value());
}

TEST_F(Swim, LoadIsToldWhenItsClassChangesAndPaced) {
  know({1, 2});
  run_until(now + seconds(2));
  node.set_load(now, {4, 0, 0, 0, 0, false});
  EXPECT_FALSE(updates_in<gossip::LoadReport>(tick()).empty()) << "the first at once";
  for (int i = 0; i < 3; ++i) {
    run_until(now + milliseconds(150));
    node.heard(now, id_of(1));
    node.heard(now, id_of(2));
  }
  std::set<std::uint32_t> told;
  const Instant end = now + seconds(10);
  std::uint32_t running = 0;
  while (now < end) {
    node.set_load(now, {4, 0, ++running % 2 == 0 ? 1U : 8U, 0, 0, false});
    for (const auto& report : updates_in<gossip::LoadReport>(run_until(now + milliseconds(50)))) {
      told.insert(report.sequence);
    }
    node.heard(now, id_of(1));
    node.heard(now, id_of(2));
  }
  EXPECT_LE(told.size(), 12U);
  EXPECT_GE(told.size(), 5U);
}

TEST_F(Swim, DrainingIsToldAtOnce) {
  know({1, 2});
  node.set_load(now, {4, 0, 0, 0, 0, false});
  tick();
  now = now + milliseconds(200);
  node.set_load(now, {4, 0, 0, 0, 0, true});
  bool is_told = false;
  for (const auto& report : updates_in<gossip::LoadReport>(tick())) {
    is_told |= load_of_class(report.load_class).draining;
  }
  EXPECT_TRUE(is_told);
}

TEST_F(Swim, AnOlderReportOfLoadIsIgnoredAndANewerKept) {
  know({1, 2});
  const Load busy{0, 0, 8, 3, 0, false};
  tell(2, gossip::LoadReport{id_of(1), 1, 5, load_class(busy)});
  EXPECT_EQ(node.members().at(id_of(1)).load.running, 8U);
  EXPECT_EQ(node.members().at(id_of(1)).load_at, now);
  tell(2, gossip::LoadReport{id_of(1), 1, 4, 0});
  tell(2, gossip::LoadReport{id_of(1), 7, 9, 0});
  EXPECT_EQ(node.members().at(id_of(1)).load.running, 8U);
}

TEST_F(Swim, ThatAMemberDrainsIsNewsAtOnceAndOtherLoadIsNot) {
  know({1, 2});
  node.take_events();
  Load load{4, 1ULL << 30, 0, 0, 0, false};
  tell(2, gossip::LoadReport{id_of(1), 1, 1, load_class(load)});
  EXPECT_EQ(count<MemberChanged>(), 0U);
  load.draining = true;
  tell(2, gossip::LoadReport{id_of(1), 1, 2, load_class(load)});
  EXPECT_EQ(count<MemberChanged>(), 1U);
  EXPECT_TRUE(node.members().at(id_of(1)).load.draining);
}

TEST_F(Swim, ViewsThatDifferInWhoDrainsHaveDifferentDigests) {
  know({1, 2});
  const std::uint64_t before = node.digest();
  tell(2, gossip::LoadReport{id_of(1), 1, 1, load_class(Load{4, 0, 2, 0, 0, false})});
  EXPECT_EQ(node.digest(), before);
  tell(2, gossip::LoadReport{id_of(1), 1, 2, load_class(Load{4, 0, 2, 0, 0, true})});
  EXPECT_NE(node.digest(), before);
  tell(2, gossip::LoadReport{id_of(1), 1, 3, load_class(Load{4, 0, 2, 0, 0, false})});
  EXPECT_EQ(node.digest(), before);
}

TEST_F(Swim, ALoadThatArrivesBesideItsIntroductionIsKept) {
  know({2});
  const Load busy{0, 0, 8, 3, 0, false};
  gossip::News news;
  news.news.push_back(gossip::encode_update(gossip::LoadReport{id_of(1), 1, 1, load_class(busy)}));
  news.news.push_back(gossip::encode_update(Introduction{card(1), {1, 0, MemberState::kAlive, 0}}));
  receive(2, news);
  EXPECT_EQ(node.members().at(id_of(1)).load.running, 8U);
}

TEST_F(Swim, ChangedFactsSpread) {
  know({1, 2});
  tick();
  NodeFacts facts = test::person(0);
  facts.labels["disk"] = "ssd";
  now = now + seconds(1);
  node.set_facts(now, facts);
  const auto introductions = updates_in<Introduction>(tick());
  ASSERT_FALSE(introductions.empty());
  EXPECT_EQ(introductions.back().card.facts.labels.at("disk"), "ssd");
  EXPECT_EQ(introductions.back().card.version, 1U);
}

TEST_F(Swim, FactsOfAnOlderVersionAreIgnored) {
  know({2});
  gossip::Card newer = card(1, 3);
  newer.version = 2;
  newer.facts.zone = "new";
  tell(2, Introduction{newer, {3, 0, MemberState::kAlive, 0}});
  gossip::Card older = card(1, 3);
  older.version = 1;
  older.facts.zone = "old";
  tell(2, Introduction{older, {3, 0, MemberState::kAlive, 0}});
  EXPECT_EQ(node.members().at(id_of(1)).facts.zone, "new");
}

TEST_F(Swim, LeavingSaysGoodByeAndFallsQuiet) {
  know({1, 2, 3});
  tick();
  Effects out;
  node.leave(now, out);
  std::set<NodeId> told;
  for (const Send& send : out.sends) {
    for (const Status& word : updates_in<Status>({send})) {
      if (word.standing.state == MemberState::kLeft) told.insert(send.to);
    }
  }
  EXPECT_EQ(told.size(), 3U);
  run_until(now + seconds(5));
  EXPECT_TRUE(node.is_quiet());
  EXPECT_EQ(node.next_deadline(), Instant::never());
}

TEST_F(Swim, AnExchangeIsAnsweredWithWhatDiffersAndTheRestIsPushed) {
  know({1, 2, 3});
  tell(1, Route{{7}, 3, id_of(1), 1});
  Gossip other(test::person(4), 1, GossipConfig{}, Random(9));
  other.seed(now, {test::member(0, 5)});
  other.announce_route(now, {{9}, 1, id_of(4), 1});
  Effects out;
  other.tick(now, out);
  // Frames between the two until silence; only streams, so that rumours do not do the work.
  for (int round = 0; round < 6; ++round) {
    Effects next;
    for (const Send& send : out.sends) {
      if (send.channel != Channel::kStream) continue;
      if (send.to == id_of(0)) node.receive(now, id_of(4), send.frame, next);
      if (send.to == id_of(4)) other.receive(now, id_of(0), send.frame, next);
    }
    out = std::move(next);
  }
  EXPECT_EQ(other.members().size(), 5U);
  EXPECT_EQ(node.members().size(), 5U);
  EXPECT_EQ(other.route({7})->leader, id_of(1));
  EXPECT_EQ(node.route({9})->leader, id_of(4));
  EXPECT_EQ(node.digest(), other.digest());
}

TEST_F(Swim, ServesOnlySoManyExchangesASecond) {
  know({1});
  const gossip::SyncRequest request{{card(1), {1, 0, MemberState::kAlive, 0}},
                                    std::vector<std::uint64_t>(64),
                                    std::vector<std::uint64_t>(16)};
  std::size_t served = 0;
  for (int i = 0; i < 100; ++i) {
    served += messages_in<gossip::SyncReply>(receive(1, request)).size();
  }
  EXPECT_EQ(served, gossip::kMaxServedPerSecond);
  now = now + seconds(1);
  EXPECT_EQ(messages_in<gossip::SyncReply>(receive(1, request)).size(), 1U);
}

TEST_F(Swim, RandomFramesDoNoHarm) {
  know({1, 2, 3});
  Random random(3);
  for (int i = 0; i < 20000; ++i) {
    Bytes frame(random.below(60));
    random.fill(frame);
    if (!frame.empty()) frame[0] = static_cast<std::uint8_t>(Module::kGossip);
    if (frame.size() > 2) {
      frame[1] = 0x92;
      frame[2] = static_cast<std::uint8_t>(random.below(10));
    }
    Effects out;
    node.receive(now, id_of(1), frame, out);
  }
  EXPECT_EQ(node.members().size(), 4U);
}

TEST_F(Swim, ACrowdOfSuspicionsFitsIntoDatagrams) {
  std::vector<Member> members;
  for (std::uint8_t i = 1; i < 250; ++i) members.push_back(test::member(i));
  node.seed(now, members);
  for (std::uint8_t i = 1; i < 250; ++i) {
    const std::vector<NodeId> accusers{id_of(250), id_of(251), id_of(252), id_of(253)};
    for (const Send& send :
         tell(250, Status{id_of(i), {1, 0, MemberState::kSuspect, 0}, accusers})) {
      EXPECT_LE(send.frame.size(), kMaxDatagram);
    }
    now = now + milliseconds(100);
  }
}

}  // namespace
}  // namespace dunlin
