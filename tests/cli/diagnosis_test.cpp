#include "cli/diagnosis.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

NodeId checked_node(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

// Three hosts with which all is well.
class Diagnosis : public ::testing::Test {
 protected:
  Diagnosis() {
    client::Status& status = evidence.status.emplace();
    status.groups = status.groups_with_quorum = status.groups_fully_replicated = 16;
    client::Checkup& checkup = evidence.checkup.emplace();
    for (std::uint8_t n = 1; n <= 3; ++n) {
      Member member;
      member.facts.id = checked_node(n);
      member.facts.name = "n" + std::to_string(n);
      member.facts.version = "1.0";
      member.load_at = Instant{1};
      evidence.nodes.push_back(member);
      client::NodeCheckup& node_checkup = checkup.nodes.emplace_back();
      node_checkup.node = checked_node(n);
      node_checkup.name = member.facts.name;
      node_checkup.address = "10.0.0." + std::to_string(n) + ":7400";
      node_checkup.has_answered = true;
      node_checkup.host = {2000, 524288, 1000, 500};
      for (std::uint8_t peer = 1; peer <= 3; ++peer) {
        if (peer == n) continue;
        PathReport path;
        path.peer = checked_node(peer);
        path.answers = path.udp_to = path.udp_from = true;
        path.dial = DialResult::kReached;
        node_checkup.paths.push_back(path);
      }
    }
  }

  client::NodeCheckup& host(std::size_t n) { return evidence.checkup->nodes[n - 1]; }
  PathReport& path(std::size_t from, std::uint8_t to) {
    for (PathReport& one : host(from).paths) {
      if (one.peer == checked_node(to)) return one;
    }
    throw std::logic_error("no such path");
  }
  // "CODE SUBJECT" of all; each says something and what to do.
  std::vector<std::string> found() const {
    std::vector<std::string> codes;
    for (const Finding& finding : diagnose(evidence)) {
      EXPECT_FALSE(finding.message.empty()) << finding.code;
      EXPECT_FALSE(finding.hint.empty()) << finding.code;
      codes.push_back(std::string(finding.code) + " " + finding.subject);
    }
    return codes;
  }
  std::string message() const {
    const auto findings = diagnose(evidence);
    return findings.size() == 1 ? findings[0].message : "not one finding";
  }
  using Codes = std::vector<std::string>;

  Evidence evidence;
};

TEST_F(Diagnosis, FindsNothingWhereAllIsWell) {
  EXPECT_EQ(found(), Codes{});
  // A node that is left out of the checkup by an older dunlin, or the status, is no finding.
  evidence.checkup.reset();
  evidence.status.reset();
  EXPECT_EQ(found(), Codes{});
}

TEST_F(Diagnosis, OfAClusterThatNobodyAnswersForSaysSo) {
  const Finding finding = no_node_answers({Code::kUnreachable, "no node answers at x", ""});
  EXPECT_STREQ(finding.code, "no_node");
  EXPECT_EQ(finding.message, "no node answers at x");
  EXPECT_NE(finding.hint.find("dunlin up"), std::string::npos);
}

TEST_F(Diagnosis, NamesTheOneThatRunsAnotherVersion) {
  evidence.nodes[1].facts.version = "0.9";
  EXPECT_EQ(found(), Codes{"version_differs n2"});
  evidence.nodes[1].state = MemberState::kLeft;
  EXPECT_EQ(found(), Codes{"few_hosts cluster"});
}

TEST_F(Diagnosis, NamesTheOneWhoseClockIsWrong) {
  for (const std::uint8_t peer : {std::uint8_t{1}, std::uint8_t{3}}) {
    path(2, peer).clock_ahead_ms = -5000;
    path(peer, 2).clock_ahead_ms = 5010;
  }
  EXPECT_EQ(found(), Codes{"clock_skew n2"});
  EXPECT_NE(message().find("5.0s ahead of the others"), std::string::npos) << message();
  for (const std::uint8_t peer : {std::uint8_t{1}, std::uint8_t{3}}) {
    path(2, peer).clock_ahead_ms = 900;
    path(peer, 2).clock_ahead_ms = -900;
  }
  EXPECT_EQ(found(), Codes{});
}

TEST_F(Diagnosis, LooksAtDisksAndLimits) {
  host(1).host.disk_free = 99;
  host(2).host.log_commit_us = 51'000;
  host(3).host.descriptors = 1024;
  EXPECT_EQ(found(), (Codes{"disk_low n1", "log_slow n2", "few_descriptors n3"}));
  for (std::size_t n = 1; n <= 3; ++n) host(n).host = {};  // not known
  EXPECT_EQ(found(), Codes{});
}

TEST_F(Diagnosis, SaysWhatCannotBeEnforced) {
  host(1).isolation_note = "memory is watched, since no cgroup can limit it";
  host(2).isolation_note =
      "tasks are not pinned to cores, since another node of this host does that or none may";
  EXPECT_EQ(found(), (Codes{"no_cgroup n1", "no_pinning n2"}));
  host(2).isolation_note = host(1).isolation_note + "; " + host(2).isolation_note;
  host(1).isolation_note.clear();
  EXPECT_EQ(found(), (Codes{"no_cgroup n2", "no_pinning n2"}));
}

TEST_F(Diagnosis, TellsBlockedDatagramsByDirection) {
  path(1, 2).udp_to = false;
  path(2, 1).udp_from = false;
  path(3, 2).udp_to = false;
  path(2, 3).udp_from = false;
  EXPECT_EQ(found(), Codes{"udp_blocked n2"});
  EXPECT_EQ(message(), "datagrams of n1, n3 do not reach it at 10.0.0.2:7400");
  // Of a peer that does not answer nothing is known.
  path(1, 2).answers = path(2, 1).answers = path(3, 2).answers = path(2, 3).answers = false;
  EXPECT_EQ(found(), Codes{});
}

TEST_F(Diagnosis, TellsWhoCannotBeConnectedTo) {
  path(2, 1).dial = path(2, 3).dial = DialResult::kFailed;
  path(2, 3).trouble = "no answer within 3 s";
  path(1, 3).dial = DialResult::kUnknown;
  EXPECT_EQ(found(), Codes{"tcp_blocked n2"});
  EXPECT_EQ(message(), "n1, n3 cannot connect to it at 10.0.0.2:7400: no answer within 3 s");
}

TEST_F(Diagnosis, NamesNodesThatAreSilentSuspectOrDead) {
  host(3).has_answered = false;
  EXPECT_EQ(found(), Codes{"silent_node n3"});
  host(3).has_answered = true;
  evidence.nodes[0].state = MemberState::kDead;
  evidence.nodes[1].state = MemberState::kSuspect;
  EXPECT_EQ(found(), (Codes{"dead_node n1", "suspect_node n2", "few_hosts cluster"}));
  EXPECT_NE(diagnose(evidence)[0].hint.find("dunlin forget n1"), std::string::npos);
}

TEST_F(Diagnosis, SaysWhatTheGroupsAndBlocksLack) {
  evidence.status->groups_with_quorum = 15;
  evidence.status->groups_fully_replicated = 14;
  evidence.status->blocks_missing = 1;
  EXPECT_EQ(found(), (Codes{"no_quorum cluster", "blocks_missing cluster"}));
  evidence.status->groups_with_quorum = 16;
  evidence.status->blocks_missing = 0;
  evidence.status->blocks_under_replicated = 7;
  EXPECT_EQ(found(), (Codes{"groups_under_replicated cluster", "blocks_under_replicated cluster"}));
}

TEST_F(Diagnosis, RemembersHostsThatWereDrainedAndForgotten) {
  evidence.nodes[2].load.draining = true;
  evidence.nodes[2].load.running = 1;
  EXPECT_EQ(found(), Codes{});
  evidence.nodes[2].load.running = 0;
  EXPECT_EQ(found(), Codes{"drained_node n3"});
}

TEST_F(Diagnosis, CountsHosts) {
  evidence.nodes.pop_back();
  EXPECT_EQ(found(), Codes{"few_hosts cluster"});
  EXPECT_NE(diagnose(evidence)[0].hint.find("one more"), std::string::npos);
  evidence.nodes.pop_back();
  EXPECT_NE(diagnose(evidence)[0].hint.find("two more"), std::string::npos);
}

TEST_F(Diagnosis, FindsTokensThatOthersMayRead) {
  evidence.token_files = {{"/d/join-token", 0600}, {"/d/token", 0640}, {"/e/token", 0604}};
  EXPECT_EQ(found(), (Codes{"token_readable /d/token", "token_readable /e/token"}));
}

TEST_F(Diagnosis, AsJsonHasAllFields) {
  EXPECT_EQ(findings_json({}), "[]\n");
  EXPECT_EQ(findings_json({{"a", "b", "c \"d\"", "e"}}),
            "[{\"code\":\"a\",\"subject\":\"b\",\"message\":\"c \\\"d\\\"\",\"hint\":\"e\"}]\n");
}

}  // namespace
}  // namespace dunlin
