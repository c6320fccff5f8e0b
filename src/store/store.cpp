#include "store/store.h"

#include <utility>

#include "base/assert.h"
#include "base/codec.h"
#include "store/fetches.h"
#include "store/members.h"
#include "store/messages.h"
#include "store/puts.h"
#include "store/repair.h"
#include "store/scrub.h"
#include "store/shelf.h"

namespace dunlin {

using namespace store;

// Constructed in this order: each part knows those above it.
struct Blobs::Parts {
  Parts(NodeId node, StoreConfig configuration, Random random)
      : self(node),
        config(configuration),
        members(node),
        shelf(config),
        puts(node, config, random.fork(), members, shelf, events),
        fetches(node, config, random.fork(), members, shelf, events),
        repair(node, config, random.fork(), members, shelf, fetches),
        scrub(config, shelf) {}

  void read(Instant now, NodeId from, const Offer& offer, Effects& out) {
    puts.on_offer(now, from, offer, out);
  }
  void read(Instant now, NodeId from, const Deposit& deposit, Effects& out) {
    puts.on_deposit(now, from, deposit, out);
  }
  void read(Instant now, NodeId from, const PutAnswer& answer, Effects& out) {
    puts.on_answer(now, from, answer, out);
  }
  void read(Instant, NodeId, const Release& release, Effects& out) {
    shelf.remove_pin(release.id, release.pin, out);
  }
  void read(Instant, NodeId from, const Get& get, Effects& out) { fetches.on_get(from, get, out); }
  void read(Instant now, NodeId from, const GetAnswer& answer, Effects& out) {
    fetches.on_answer(now, from, answer, out);
  }
  void read(Instant, NodeId from, const Doubt& doubt, Effects& out) {
    fetches.on_doubt(from, doubt, out);
  }
  void read(Instant now, NodeId from, const Summary& summary, Effects& out) {
    repair.compare().on_summary(now, from, summary, out);
  }
  void read(Instant now, NodeId from, const SummaryAnswer& answer, Effects&) {
    repair.compare().on_answer(now, from, answer);
  }
  void read(Instant now, NodeId from, const Items& items, Effects& out) {
    repair.compare().on_items(now, from, items, out);
  }
  void read(Instant, NodeId from, const AskPins& ask, Effects& out) {
    repair.compare().on_ask_pins(from, ask, out);
  }
  void read(Instant, NodeId from, const PinsOf& pins, Effects& out) {
    repair.compare().on_pins(from, pins, out);
  }
  void read(Instant now, NodeId from, const Entrust& message, Effects& out) {
    repair.misplaced().on_entrust(now, from, message, out);
  }
  void read(Instant now, NodeId from, const Entrusted& answer, Effects&) {
    repair.misplaced().on_entrusted(now, from, answer);
  }
  // Somebody came, went, was suspected or recovered.
  void on_members(Instant now, Effects& out) {
    puts.on_members(now, out);
    fetches.on_members(now, out);
    repair.on_members(now);
    repair.settle(now, out);
  }
  void dispatch(Instant now, const ReadDone& done, Effects& out);

  const NodeId self;
  const StoreConfig config;
  std::vector<BlobEvent> events;
  Members members;
  Shelf shelf;
  Puts puts;
  Fetches fetches;
  Repair repair;
  Scrub scrub;
};

Blobs::Blobs(NodeId self, StoreConfig config, Random random)
    : parts_(std::make_unique<Parts>(self, config, random)) {}
Blobs::~Blobs() = default;

Result<void> Blobs::recover_fact(std::string_view key, ByteView value) {
  return parts_->shelf.recover_fact(key, value);
}

void Blobs::recover_pack(std::string_view file, std::uint64_t size) {
  parts_->shelf.recover_pack(file, size);
}

void Blobs::start(Instant now, Effects& out) {
  parts_->repair.on_lost(now, parts_->shelf.finish_recovery());
  parts_->repair.settle(now, out);
  parts_->scrub.begin(now);
}

void Blobs::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kStore)) return;
  const Result<Message> message = decode<Message>(frame.subspan(1));
  if (!message) return;
  std::visit([&](const auto& held) { parts_->read(now, from, held, out); }, *message);
  parts_->repair.settle(now, out);
}

void Blobs::tick(Instant now, Effects& out) {
  Parts& p = *parts_;
  p.puts.tick(now, out);
  p.fetches.tick(now, out);
  p.repair.tick(now, out);
  const bool is_idle = p.puts.size() == 0 && p.fetches.size() == 0 && p.shelf.reads() == 0;
  p.scrub.tick(now, is_idle, out);
  p.repair.settle(now, out);
}

Instant Blobs::next_deadline() const {
  const Parts& p = *parts_;
  return std::min({p.puts.next_deadline(), p.fetches.next_deadline(), p.repair.next_deadline(),
                   p.scrub.next_deadline()});
}

void Blobs::on_durable(Instant now, const Ticket& ticket, Effects& out) {
  Parts& p = *parts_;
  switch (static_cast<TicketKind>(ticket.a)) {
    case TicketKind::kWritten:
      p.fetches.on_written(now, p.shelf.on_written(ticket, out), out);
      break;
    case TicketKind::kPut: p.puts.on_own_durable(now, ticket, out); break;
    case TicketKind::kRead: break;
  }
  p.repair.settle(now, out);
}

void Blobs::on_file_data(Instant now, const Ticket& ticket, Result<Bytes> data, Effects& out) {
  parts_->dispatch(now, parts_->shelf.on_file_data(now, ticket, std::move(data)), out);
  parts_->repair.settle(now, out);
}

void Blobs::Parts::dispatch(Instant now, const ReadDone& done, Effects& out) {
  for (const ReadJob& job : done.jobs) {
    switch (job.reason) {
      case ReadFor::kFetch: fetches.on_own_read(now, job, done, out); break;
      case ReadFor::kServe: fetches.on_served_read(job, done, out); break;
      case ReadFor::kOffer: puts.on_offered_read(job, done, out); break;
      case ReadFor::kPut: puts.on_own_read(now, job, done, out); break;
      case ReadFor::kScrub: break;  // the shelf has drawn its conclusion
    }
  }
}

void Blobs::set_members(Instant now, std::vector<StoreMember> members, Effects& out) {
  if (parts_->members.set(std::move(members))) parts_->on_members(now, out);
}

void Blobs::peer_suspected(Instant now, NodeId peer, Effects& out) {
  if (parts_->members.set_suspected(peer, true)) parts_->on_members(now, out);
}

void Blobs::peer_recovered(Instant now, NodeId peer, Effects& out) {
  if (parts_->members.set_suspected(peer, false)) parts_->on_members(now, out);
}

void Blobs::set_disk(std::uint64_t total, std::uint64_t free) {
  parts_->shelf.set_disk(total, free);
}

void Blobs::put(Instant now, std::uint64_t token, Pin pin, Bytes data, Effects& out) {
  parts_->puts.put(now, token, pin, std::move(data), out);
  parts_->repair.settle(now, out);
}

void Blobs::fetch(Instant now, std::uint64_t token, const BlobId& id,
                  const std::vector<NodeId>& hint, Effects& out) {
  parts_->fetches.want(now, Want::kContent, token, id, hint, out);
  parts_->repair.settle(now, out);
}

void Blobs::localize(Instant now, std::uint64_t token, const BlobId& id,
                     const std::vector<NodeId>& hint, Effects& out) {
  parts_->fetches.want(now, Want::kLocal, token, id, hint, out);
  parts_->repair.settle(now, out);
}

void Blobs::release(Instant now, const BlobId& id, Pin pin, Effects& out) {
  Parts& p = *parts_;
  p.shelf.remove_pin(id, pin, out);
  p.repair.settle(now, out);
  for (const NodeId node : p.members.candidates(id, p.config.replicas, p.config.replicas)) {
    if (node != p.self) out.send(node, Channel::kStream, frame_of(store::Release{id, pin}));
  }
}

void Blobs::replace_lost(Instant now) {
  parts_->repair.hurry(now);
}

void Blobs::prepare_to_leave(Instant now, Effects& out) {
  parts_->members.leave();
  parts_->on_members(now, out);
}

LeaveState Blobs::leave_state() const {
  return parts_->repair.leave_state();
}

bool Blobs::holds(const BlobId& id) const {
  return parts_->shelf.holds(id);
}

StoreStats Blobs::stats() const {
  StoreStats stats;
  stats.held = parts_->shelf.held();
  stats.held_bytes = parts_->shelf.held_bytes();
  parts_->repair.count(stats);
  stats.bad_copies = parts_->shelf.bad_copies() + parts_->fetches.bad_answers();
  return stats;
}

std::vector<BlobEvent> Blobs::take_events() {
  return std::exchange(parts_->events, {});
}

}  // namespace dunlin
