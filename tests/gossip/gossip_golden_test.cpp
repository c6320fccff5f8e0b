// Transcripts of gossip: a host joins, a probe goes round a lost path, a host dies.
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <variant>

#include "golden/golden.h"
#include "gossip/gossip_cluster.h"
#include "gossip/messages.h"

namespace dunlin::test {
namespace {

// Frames as a person reads them, hosts by their place in the cluster.
class GossipTranscript {
 public:
  explicit GossipTranscript(GossipCluster& cluster) : cluster_(cluster) {
    cluster.on_send = [this](std::size_t from, const Send& send) {
      const Result<gossip::Message> message = gossip::decode_frame(send.frame);
      begin_line(from) << " -> " << name(send.to)
                       << (send.channel == Channel::kStream ? " (stream) " : " ")
                       << (message ? std::visit(*this, *message) : "unreadable") << "\n";
    };
    cluster.on_event = [this](std::size_t at, const GossipEvent& event) {
      if (const auto* up = std::get_if<MemberUp>(&event)) {
        begin_line(at) << " sees " << name(up->node) << "\n";
      } else if (const auto* suspect = std::get_if<MemberSuspect>(&event)) {
        begin_line(at) << " suspects " << name(suspect->node) << "\n";
      } else if (const auto* dead = std::get_if<MemberDead>(&event)) {
        begin_line(at) << " holds " << name(dead->node) << " for dead\n";
      }
    };
  }
  ~GossipTranscript() {
    cluster_.on_send = nullptr;
    cluster_.on_event = nullptr;
  }
  GossipTranscript(const GossipTranscript&) = delete;
  GossipTranscript& operator=(const GossipTranscript&) = delete;

  std::string text() const { return text_.str(); }

  std::string operator()(const gossip::Ping& m) const {
    return "ping " + std::to_string(m.sequence) + news(m.news);
  }
  std::string operator()(const gossip::Ack& m) const {
    return "ack " + std::to_string(m.sequence) + news(m.news);
  }
  std::string operator()(const gossip::PingRequest& m) const {
    return "ping " + name(m.target) + " for me, " + std::to_string(m.sequence) + ", within " +
           std::to_string(m.wait_ms) + " ms" + news(m.news);
  }
  std::string operator()(const gossip::PingReport& m) const {
    return std::string(m.answered ? "it answered, " : "it did not answer, ") +
           std::to_string(m.sequence);
  }
  std::string operator()(const gossip::News& m) const { return "news" + news(m.news); }
  std::string operator()(const gossip::SyncRequest& m) const {
    return "what do you know? I am " + m.self.card.facts.name +
           "; digests: " + std::to_string(m.members.size()) + " of members, " +
           std::to_string(m.routes.size()) + " of routes";
  }
  std::string operator()(const gossip::SyncReply& m) const {
    return "I know" + records(m.records) + "; shares " + std::to_string(m.buckets.size()) + " of " +
           std::to_string(m.bucket_count) + ", routes " + std::to_string(m.routes.size());
  }
  std::string operator()(const gossip::SyncPush& m) const {
    return "and I know" + records(m.records) + "; routes " + std::to_string(m.routes.size());
  }
  std::string operator()(const gossip::Heartbeat&) const { return "heartbeat"; }

 private:
  std::ostream& begin_line(std::size_t host) {
    char time[32];
    std::snprintf(time, sizeof time, "%.1f", static_cast<double>(cluster_.now().us) / 1000);
    return text_ << time << " n" << host;
  }
  std::string name(const NodeId& id) const {
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (cluster_.id(i) == id) return "n" + std::to_string(i);
    }
    return "a stranger";
  }
  static std::string standing(const gossip::Standing& s) {
    return std::string(member_state_name(s.state)) + " " + std::to_string(s.boot) + "." +
           std::to_string(s.incarnation);
  }
  std::string records(const std::vector<gossip::Record>& records) const {
    std::string text;
    for (const gossip::Record& r : records) {
      text += " [" + name(r.card.facts.id) + " " + standing(r.standing) + "]";
    }
    return text.empty() ? " nobody" : text;
  }
  std::string news(const std::vector<Bytes>& updates) const {
    std::string text;
    for (const Bytes& bytes : updates) {
      const Result<gossip::Update> update = gossip::decode_update(bytes);
      if (!update) {
        text += " [unreadable]";
      } else if (const auto* status = std::get_if<gossip::Status>(&*update)) {
        text += " [" + name(status->node) + " " + standing(status->standing) + "]";
        for (const NodeId& accuser : status->accusers) text += " by " + name(accuser);
      } else if (const auto* who = std::get_if<gossip::Introduction>(&*update)) {
        text += " [" + name(who->card.facts.id) + " joins, " + standing(who->standing) + "]";
      } else {
        text += std::holds_alternative<Route>(*update) ? " [route]" : " [load]";
      }
    }
    return text;
  }

  GossipCluster& cluster_;
  std::ostringstream text_;
};

TEST(GossipGolden, Join) {
  GossipCluster cluster(1);
  cluster.found(2);
  cluster.run_for(seconds(10));
  GossipTranscript transcript(cluster);
  const std::size_t joiner = cluster.add();
  cluster.start(joiner, cluster.members_of(0));
  cluster.run_for(milliseconds(2500));
  EXPECT_TRUE(cluster.is_true()) << cluster.wrong();
  compare_with_golden("gossip_join", transcript.text());
}

TEST(GossipGolden, ABlockedPathAndADeath) {
  GossipCluster cluster(2);
  cluster.found(3);
  cluster.run_for(seconds(10));
  GossipTranscript transcript(cluster);
  cluster.block(0, 1);
  cluster.block(1, 0);
  cluster.run_for(milliseconds(2500));
  cluster.unblock_all();
  cluster.run_for(milliseconds(1500));
  EXPECT_TRUE(cluster.is_true()) << cluster.wrong();
  cluster.crash(2);
  EXPECT_TRUE(cluster.run_until(seconds(20),
                                [&] { return cluster.count_views(2, MemberState::kDead) == 2; }));
  compare_with_golden("gossip_blocked_path_and_death", transcript.text());
}

}  // namespace
}  // namespace dunlin::test
