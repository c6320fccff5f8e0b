// Events of all groups, or of one job's, for clients: asked of the groups' leaders where they are
// known, else of whoever has replicas, from the places on that the reader has reached. Only what is
// committed is ever applied, so any replica's answer is right, though perhaps not the newest.
//
// A question may be held: whoever is asked answers once there is news, or at the end of the hold.
// Each poll of a reader asks anew, so an answer that comes late, to a question of an earlier poll,
// is as good as one to this: answers are known by the place that they begin from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "sched/coordinator.h"
#include "sched/group_leaders.h"
#include "sched/job_machine.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxEventGathers = 256;            // under way from this node
constexpr std::size_t kMaxHeldQuestions = 1024;          // of other nodes; over it: not held
constexpr std::size_t kMaxEventsListed = 8192;           // in one answer to a client, about
constexpr std::size_t kMaxEventFrameBytes = 512 * 1024;  // of runs in one frame
constexpr Duration kMostEventHold = seconds(20);
constexpr Duration kEventPatience = seconds(2);       // for those who do not hold
constexpr Duration kEventSecond = milliseconds(700);  // then everybody is asked for what lacks
constexpr Duration kEventAgain = milliseconds(300);   // and again, once all have answered
constexpr Duration kEventHeldPatience = seconds(1);   // for answers, beyond the hold
constexpr Duration kEventGrace = milliseconds(50);    // for others' news, once there is some

class EventReader {
 public:
  EventReader(const EventLog& log, const Coordinator& coordinator, const GroupLeaders& leaders,
              std::uint16_t group_count, std::uint64_t first_token, std::uint64_t chance);

  // Answered by one EventsListed.
  void list(Turn& turn, std::uint64_t request, const ListEvents& query);
  // Something else is to be told to the reader: it is answered with what there is.
  void hurry(Turn& turn, std::uint64_t request);
  // The reader is gone.
  void forget(std::uint64_t request);

  void on(Turn& turn, NodeId from, const AskEvents& message);
  void on(Turn& turn, NodeId from, const EventsReply& message);
  void on_applied(Turn& turn, std::uint64_t token);
  // An entry of the group was applied.
  void applied(Turn& turn, GroupId group);

  void tick(Turn& turn);
  Instant next_deadline() const;

 private:
  struct Wanted {
    EventPlace from;
    bool is_first = false;       // from the oldest on, whichever that is
    std::uint64_t question = 0;  // to the leader
    bool asked_all = false;
    std::optional<GroupEvents> best;
    // Nothing lacks between where the reader is and what there is.
    bool has_all() const { return best && best->floor < from.index; }
    bool is_settled() const { return has_all() && best->is_served; }
    bool has_news() const { return best && (!best->runs.empty() || best->is_more); }
  };
  struct Gather {
    std::uint64_t request = 0;
    ListEvents query;
    std::map<GroupId, Wanted> groups;
    std::set<std::uint64_t> held;    // questions to leaders, unanswered
    std::set<std::uint64_t> polled;  // to everybody
    std::size_t limit = kMaxEventsListed;
    Instant hold_until;
    Instant until;
    Instant ask_at = Instant::never();  // everybody, for what is not settled
    Instant finish_at = Instant::never();
  };
  using Gathers = std::map<std::uint64_t, Gather>;
  using Asker = std::pair<NodeId, std::uint64_t>;  // and his reader

  void start(Turn& turn, Gather gather);
  void ask_all(Turn& turn, Gather& gather, const std::vector<GroupId>& groups);
  std::uint64_t ask(Turn& turn, const Gather& gather, const NodeId& node,
                    const std::vector<GroupId>& groups, Duration hold);
  void take(Gather& gather, const EventsReply& reply);
  // What is to be done next, or nothing but to wait; true: the answer is complete.
  bool judge(Turn& turn, Gather& gather);
  bool judge_held(Turn& turn, Gather& gather);
  void finish(Turn& turn, Gathers::iterator at);
  void begin_answer(Turn& turn, NodeId to, const AskEvents& question);
  void answer(Turn& turn, NodeId to, const AskEvents& question) const;
  // The question is no longer held.
  AskEvents release(const Asker& asker);
  bool is_reading(std::uint64_t reader) const;
  bool has_news(const AskEvents& question) const;
  bool is_known(GroupId group) const;

  const EventLog& log_;
  const Coordinator& coordinator_;
  const GroupLeaders& leaders_;
  const std::uint16_t group_count_;
  std::uint64_t next_token_;
  std::uint64_t next_reader_;
  Gathers gathers_;  // by number
  struct Held {
    AskEvents question;
    Instant until;
  };
  std::map<Asker, Held> held_;
  // The groups of the questions that are held, and up to where each has no news for it.
  std::map<GroupId, std::map<Asker, EventPlace>> waiting_;
  // To be answered within this turn, by token of AppliedWanted.
  std::map<std::uint64_t, std::pair<NodeId, AskEvents>> answering_;
};

}  // namespace dunlin::sched
