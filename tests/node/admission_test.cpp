// What group 0's log says about the cluster itself, as it reaches a node.
#include "node/admission.h"

#include <gtest/gtest.h>

#include "base/codec.h"

namespace dunlin {
namespace {

TEST(Admission, ACommittedEntryThatMakesNoSenseIsAnErrorAndChangesNothing) {
  const Membership membership;
  Admission admission(membership, Random(1));
  const Bytes before = admission.encode_record();
  EXPECT_FALSE(admission.apply(1, Bytes{}).has_value());
  EXPECT_FALSE(admission.apply(2, Bytes{0xc1, 7}).has_value());
  EXPECT_EQ(admission.encode_record(), before);
  // A command that is refused is an entry like any other.
  EXPECT_TRUE(admission.apply(3, encode(RecordCommand(Admit{}))).has_value());
}

TEST(Admission, WhoHasNobodyToAskLooksAgainLater) {
  const Membership membership;
  Admission admission(membership, Random(1));
  Effects out;
  admission.spread(Instant{1'000'000}, false, false, {}, out);
  const Instant due = admission.next_deadline();
  admission.spread(due, false, false, {}, out);
  EXPECT_GT(admission.next_deadline(), due);
  EXPECT_TRUE(out.sends.empty());
}

AdmissionReply answer_to(Admission& admission, const AdmissionRequest& request,
                         const std::map<NodeId, Member>& members) {
  const TokenRecord token;
  RecordCommand added = AddToken{token, WallTime{}};
  if (admission.record().find_token(token.id) == nullptr) {
    EXPECT_TRUE(admission.apply(1, encode(added)).has_value());
  }
  PublicKey key;
  key.raw[0] = 7;
  admission.on_join(1, token.id, key, encode(request), members, WallTime{1});
  AdmissionReply reply;
  reply.admitted = true;  // as far as this node has a say
  for (const Admission::Event& event : admission.take_events()) {
    const auto* joined = std::get_if<Admission::Joined>(&event);
    if (joined == nullptr) continue;
    const Result<AdmissionReply> refusal = decode<AdmissionReply>(joined->reply);
    if (refusal) reply = *refusal;
  }
  return reply;
}

TEST(Admission, ANameIsBorneByOneLivingNode) {
  const Membership membership;
  Admission admission(membership, Random(1));
  Member there;
  there.facts.name = "n1";
  there.facts.address = "10.0.0.1:7400";
  const auto members = [&] { return std::map<NodeId, Member>{{NodeId{}, there}}; };
  const AdmissionRequest asked = {"n1", "10.0.0.2:7400", "", {}};
  for (const MemberState state : {MemberState::kAlive, MemberState::kSuspect}) {
    there.state = state;
    const AdmissionReply refused = answer_to(admission, asked, members());
    EXPECT_FALSE(refused.admitted);
    EXPECT_EQ(refused.refusal, "the name n1 is taken by the node at 10.0.0.1:7400");
    EXPECT_NE(refused.hint.find("--name"), std::string::npos);
  }
  EXPECT_TRUE(answer_to(admission, {"n2", "10.0.0.2:7400", "", {}}, members()).admitted);
  // What stood at the joiner's own address is gone, heard of or not.
  EXPECT_TRUE(answer_to(admission, {"n1", "10.0.0.1:7400", "", {}}, members()).admitted);
  there.state = MemberState::kDead;
  EXPECT_TRUE(answer_to(admission, asked, members()).admitted);
}

}  // namespace
}  // namespace dunlin
