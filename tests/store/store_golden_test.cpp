// Transcripts of the store: a small blob and a larger one are put, and a lost copy is made good.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <variant>

#include "golden/golden.h"
#include "store/store_cluster.h"

namespace dunlin {
namespace {

// Frames as a person reads them, hosts by their place in the cluster, blobs by how their ids begin.
class StoreTranscript {
 public:
  explicit StoreTranscript(StoreCluster& cluster) : cluster_(cluster) {
    cluster.tap = [this](std::size_t from, std::size_t to, const Bytes& frame) {
      const Result<store::Message> message = decode<store::Message>(ByteView(frame).subspan(1));
      begin_line() << "n" << from << " -> n" << to << " "
                   << (message ? std::visit(*this, *message) : "unreadable") << "\n";
    };
  }
  ~StoreTranscript() { cluster_.tap = nullptr; }
  StoreTranscript(const StoreTranscript&) = delete;
  StoreTranscript& operator=(const StoreTranscript&) = delete;

  void note(const std::string& what) { begin_line() << what << "\n"; }
  std::string text() const { return text_.str(); }

  std::string operator()(const store::Offer& m) const {
    return "do you have " + name(m.blob) + "? " + text_of(m.pin);
  }
  std::string operator()(const store::Deposit& m) const {
    return "keep " + name(m.id) + ", " + std::to_string(m.data.size()) + " bytes, " +
           text_of(m.pin);
  }
  std::string operator()(const store::PutAnswer& m) const {
    constexpr std::array<const char*, 5> kVerdicts = {"stored", "wanted", "full", "busy",
                                                      "leaving"};
    return name(m.id) + " " + kVerdicts.at(static_cast<std::size_t>(m.verdict));
  }
  std::string operator()(const store::Release& m) const {
    return "release " + name(m.id) + ", " + text_of(m.pin);
  }
  std::string operator()(const store::Get& m) const {
    return (m.only_asking ? "do you hold " : "send me ") + name(m.id);
  }
  std::string operator()(const store::GetAnswer& m) const {
    constexpr std::array<const char*, 4> kVerdicts = {"is this", "is here", "is missing", "busy"};
    return name(m.id) + " " + kVerdicts.at(static_cast<std::size_t>(m.verdict)) + ", " +
           std::to_string(m.data.size()) + " bytes, " + std::to_string(m.pins.size()) + " pins";
  }
  std::string operator()(const store::Doubt& m) const { return "look at your " + name(m.id); }
  std::string operator()(const store::Summary& m) const {
    return "I hold" + cells(m.cells) + "; and you?";
  }
  std::string operator()(const store::SummaryAnswer& m) const {
    return m.comparable ? "the same in" + cells(m.equal) : "not to be compared now";
  }
  std::string operator()(const store::Items& m) const {
    std::string text = "of" + cells(m.complete) + " I hold";
    for (const store::Item& item : m.items) text += " " + name(item.blob);
    return text + (m.items.empty() ? " nothing" : "") + (m.answer ? "; and you?" : "");
  }
  std::string operator()(const store::AskPins& m) const {
    return "the pins of " + name(m.id) + "?";
  }
  std::string operator()(const store::PinsOf& m) const {
    return "pins of " + name(m.id) + ": " + std::to_string(m.pins.size());
  }
  std::string operator()(const store::Entrust& m) const {
    std::string text = m.verified ? "take, and verify" : "take";
    for (const store::Trusted& each : m.blobs) text += " " + name(each.blob);
    return text;
  }
  std::string operator()(const store::Entrusted& m) const {
    std::string text = "I hold";
    for (const BlobId& id : m.held) text += " " + name(id);
    return text + (m.held.empty() ? " none" : "");
  }

 private:
  std::ostream& begin_line() {
    char time[32];
    std::snprintf(time, sizeof time, "%.1f ", static_cast<double>(cluster_.now().us) / 1000);
    return text_ << time;
  }
  static std::string name(const BlobId& id) { return id.text().substr(0, 6); }
  static std::string name(const BlobRef& blob) {
    return name(blob.id) + " of " + std::to_string(blob.length);
  }
  static std::string text_of(const Pin& pin) {
    return "pin " + std::to_string(pin.group.value) + "/" + std::to_string(pin.intent);
  }
  static std::string cells(const std::vector<store::Cell>& cells) {
    std::string text;
    for (const store::Cell& cell : cells) {
      text += " " + std::to_string(cell.prefix) + "/" + std::to_string(cell.bits);
    }
    return text.empty() ? " no cell" : text;
  }

  StoreCluster& cluster_;
  std::ostringstream text_;
};

TEST(StoreGolden, Put) {
  StoreCluster cluster(1, 4);
  cluster.run_for(seconds(1));
  StoreTranscript transcript(cluster);
  for (const std::size_t size : {1000, 20'000}) {
    const std::uint64_t token = cluster.put(0, noise(size, size), {GroupId{1}, size});
    ASSERT_TRUE(cluster.run_until([&] { return cluster.ended(0, token); }));
    const auto* stored = cluster.event<BlobStored>(0, token);
    ASSERT_NE(stored, nullptr);
    std::string holders;
    for (const NodeId& holder : stored->holders) {
      holders += " n" + std::to_string(cluster.index_of(holder));
    }
    transcript.note("stored on" + holders);
    cluster.run_for(milliseconds(100));
  }
  ASSERT_TRUE(cluster.broken().empty()) << cluster.broken().front();
  compare_with_golden("store_put", transcript.text());
}

TEST(StoreGolden, Repair) {
  StoreConfig config;
  config.repair_delay = seconds(2);
  config.compare_delay = seconds(1);
  StoreCluster cluster(2, 4, config);
  cluster.run_for(seconds(1));
  const BlobId id = blob_id_of(noise(20'000, 1));
  const std::uint64_t token = cluster.put(0, noise(20'000, 1), {GroupId{1}, 1});
  ASSERT_TRUE(cluster.run_until([&] { return cluster.ended(0, token); }));
  cluster.run_for(seconds(20));
  ASSERT_EQ(cluster.sound_copies(id), 3U);
  std::size_t lost = 0;
  while (!cluster.host(lost).disk.has_sound(id)) ++lost;
  StoreTranscript transcript(cluster);
  cluster.destroy(lost);
  cluster.declare(lost, StoreMemberState::kDead);
  transcript.note("n" + std::to_string(lost) + " is lost");
  ASSERT_TRUE(cluster.run_until([&] { return cluster.sound_copies(id) == 3; }));
  cluster.run_for(seconds(20));
  ASSERT_TRUE(cluster.broken().empty()) << cluster.broken().front();
  compare_with_golden("store_repair", transcript.text());
}

}  // namespace
}  // namespace dunlin
