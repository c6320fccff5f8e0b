#include <algorithm>
#include <array>
#include <deque>
#include <set>

#include "cli/commands.h"
#include "cli/job_text.h"
#include "cli/node_ref.h"
#include "cli/reconnect.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr Duration kEventsPatience = seconds(60);  // for a node to come back
constexpr std::int64_t kNewForMs = 10'000;         // of a job: its events may be on their way
constexpr int kPageWaitMs = 3000;                  // a node answers by then, news or not
// Told from those that another node tells again; each keeps its last kMaxNodeEvents.
constexpr std::size_t kMaxSeenNodeEvents = 4096;
static_assert(kMaxSeenNodeEvents >= kMaxNodeEvents);

std::vector<std::string> event_headings() {
  return {"TIME", "TYPE", "NODE", "JOB/TASK", "MESSAGE"};
}

bool is_of_node(const EventLine& event) {
  return event.id.starts_with("node.");
}

std::optional<JobState> state_after(const EventLine& event) {
  if (event.type == "job_done") return JobState::kDone;
  if (event.type == "job_failed") return JobState::kFailed;
  if (event.type == "job_cancelled") return JobState::kCancelled;
  return std::nullopt;
}

class EventsReader {
 public:
  EventsReader(Invocation& call, const std::optional<JobId>& job) : call_(call), job_(job) {}

  // Page by page, so that neither here nor in a reader's pipe all of them are held. Once something
  // is printed, whatever lacks makes the list incomplete, and an array is closed in any case.
  int list() {
    std::optional<Error> lacks;
    bool has_begun = false;
    for (bool is_more = true; is_more; has_begun = true) {
      auto page = next(0);
      if (!page && !has_begun) return call_.failed(page.error());
      if (!page) {
        lacks = {Code::kIncomplete, "the list is cut short: " + page.error().message,
                 page.error().hint};
        break;
      }
      if (!print_page(std::move(page->events))) return call_.failed(unprinted(print_error()));
      is_more = page->is_more;
      if (page->missed_groups > 0) {
        lacks = {Code::kIncomplete, "events are missing: some were forgotten before they were read",
                 "follow them as they come: dunlin events -f"};
      } else if (!is_more && !lacks && page->silent_groups > 0) {
        lacks = {Code::kIncomplete,
                 "events may be missing: " + counted(page->silent_groups, "group") +
                     (page->silent_groups == 1 ? " has" : " have") + " not answered",
                 "see: dunlin status"};
      }
    }
    if (!lacks) lacks = lack_of_beginning();
    if (lacks && lacks->code == Code::kNotFound) return call_.failed(*lacks);
    if (call_.json()) print(is_array_begun_ ? "]\n" : "[]\n");
    return lacks ? call_.failed(*lacks) : int{kExitWell};
  }

  // With a job until that is final, and as of `wait` then.
  int follow() {
    Reconnect reconnect(kEventsPatience);
    if (is_table() && !print(line_of(event_headings())))
      return call_.failed(unprinted(print_error()));
    bool is_more = false;
    while (true) {
      const bool waits = !cursor_.empty() && !is_more && !ended_ && !unknown_;
      auto page = next(waits ? kPageWaitMs : 0);
      if (!page) {
        const bool may_pass = is_lost(page.error()) || page.error().code == Code::kLimit ||
                              page.error().code == Code::kTimeout;
        if (!may_pass || !reconnect.again(page.error())) return call_.failed(page.error());
        continue;
      }
      reconnect.has_news();
      is_more = page->is_more;
      say_missed(*page);
      if (!print_new(std::move(page->events))) return call_.failed(unprinted(print_error()));
      if (!job_ || is_more) continue;
      if (ended_) return *ended_ == JobState::kDone ? kExitWell : kExitFailed;
      if (is_deleted_) return kExitFailed;
      if (unknown_) return call_.failed(*unknown_);
      if (is_first_ || page->missed_groups > 0) (void)look_at_job();
      is_first_ = false;
    }
  }

 private:
  bool is_table() const { return !call_.json() && !call_.quiet(); }

  Result<EventPage> next(int wait_ms) {
    std::string target = "/v1/events?wait_ms=" + std::to_string(wait_ms);
    if (job_) target += "&job=" + job_->text();
    if (!cursor_.empty()) target += "&after=" + cursor_;
    const auto answer = call_.client.call("GET", target);
    if (!answer) return tl::unexpected(answer.error());
    auto page = events_from_json(answer->body);
    if (!page) return page;
    cursor_ = page->cursor;
    return page;
  }

  // Another node may tell of nodes what one has told before it.
  bool is_new(const EventLine& event) {
    if (!is_of_node(event)) return true;
    if (!seen_.insert(event.id).second) return false;
    seen_in_order_.push_back(event.id);
    if (seen_in_order_.size() > kMaxSeenNodeEvents) {
      seen_.erase(seen_in_order_.front());
      seen_in_order_.pop_front();
    }
    return true;
  }

  // What is new of a page, with the names that its lines need.
  std::vector<EventLine> unseen(std::vector<EventLine> page) {
    std::erase_if(page, [&](const EventLine& event) { return !is_new(event); });
    const bool has_strangers = std::any_of(page.begin(), page.end(), [&](const auto& event) {
      return event.node && !names_.contains(*event.node);
    });
    if (is_table() && has_strangers) names_ = node_names(call_.client);
    return page;
  }

  bool print_new(std::vector<EventLine> page) {
    std::string text;
    for (const EventLine& event : unseen(std::move(page))) {
      note_state(event);
      if (is_table()) {
        text += line_of(cells_of(event));
      } else {
        text += call_.json() ? event_json(event) + "\n" : event.id + "\n";
      }
    }
    return text.empty() || print(text);
  }

  bool print_page(std::vector<EventLine> page) {
    std::string text;
    for (const EventLine& event : unseen(std::move(page))) {
      note_state(event);
      if (is_table()) {
        table_.add(cells_of(event));
      } else if (call_.json()) {
        text += (is_array_begun_ ? "," : "[") + event_json(event);
        is_array_begun_ = true;
      } else {
        text += event.id + "\n";
      }
    }
    if (is_table()) text = table_.take(terminal_width());
    return text.empty() || print(text);
  }

  // Without a job no end of one is the end.
  void note_state(const EventLine& event) {
    if (!job_) return;
    is_any_ = is_any_ || event.job;
    if (event.type == "job_submitted") is_begun_ = true;
    if (event.type == "job_retried") ended_.reset();
    if (event.type == "job_deleted") is_deleted_ = true;
    if (const auto state = state_after(event)) ended_ = state;
  }

  // What became of it before the oldest event that is kept. The events that were made meanwhile are
  // to be told still.
  Result<JobSummary> look_at_job() {
    const auto answer = call_.client.call("GET", "/v1/jobs/" + job_->text());
    if (!answer) {
      if (answer.error().code == Code::kNotFound) unknown_ = answer.error();
      return tl::unexpected(answer.error());
    }
    auto job = job_from_json(answer->body);
    if (job && is_final(job->state)) ended_ = job->state;
    return job;
  }

  // A group keeps its last events, and so of an old job perhaps only how it ended. That there are
  // none yet of a new one is no lack.
  std::optional<Error> lack_of_beginning() {
    if (!job_ || is_begun_) return std::nullopt;
    if (!is_any_) {
      const Result<JobSummary> job = look_at_job();
      if (unknown_) return unknown_;
      if (!job) {
        return Error{Code::kIncomplete, "there may be events of this job: " + job.error().message,
                     job.error().hint};
      }
      const bool is_new = wall_now().ms - job->submitted_at.ms < kNewForMs;
      if (!ended_ && is_new) return std::nullopt;
    }
    return Error{Code::kIncomplete, "earlier events of this job are no longer kept",
                 is_deleted_ ? std::string() : "its record is: dunlin show " + job_->text()};
  }

  void say_missed(const EventPage& page) {
    if (page.missed_groups == 0) return;
    note("dunlin: here some events of " + counted(page.missed_groups, "group") +
         " may be missing: they are no longer kept");
  }

  std::vector<std::string> cells_of(const EventLine& event) const {
    std::string what = event.job ? event.job->text() : "-";
    if (event.task) what += "." + std::to_string(*event.task);
    return {event.time.ms == 0 ? "-" : to_rfc3339(event.time), event.type,
            name_in(names_, event.node), what, event.message};
  }

  // Of a list that has no end: columns as wide as they mostly are.
  static std::string line_of(const std::vector<std::string>& cells) {
    constexpr std::array<std::size_t, 5> kWidths = {24, 14, 12, 12, 0};
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string cell = printable(cells[i]);
      if (cell.size() < kWidths[i]) cell.resize(kWidths[i], ' ');
      line += (i == 0 ? "" : "  ") + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
  }

  Invocation& call_;
  const std::optional<JobId> job_;
  std::string cursor_;
  NodeNames names_;
  Table table_{event_headings()};  // of a list
  bool is_array_begun_ = false;    // of a list as JSON
  std::set<std::string> seen_;
  std::deque<std::string> seen_in_order_;
  bool is_first_ = true;
  bool is_any_ = false;    // of the job
  bool is_begun_ = false;  // its first one is among those told
  bool is_deleted_ = false;
  std::optional<JobState> ended_;  // as the last event says, or a look at the job
  std::optional<Error> unknown_;   // there is no such job
};

}  // namespace

const OptionTable& events_options() {
  static const OptionTable table = {
      {"follow", 'f', nullptr, Takes::kNothing,
       "and those to come; with --job until the job has ended, exit code as of wait"},
      {"job", 0, "JOB", Takes::kText, "of this job alone"},
  };
  return table;
}

int run_events(Invocation& call) {
  std::optional<JobId> job;
  if (call.args.has("job")) {
    const std::string word = call.args.text("job");
    const auto found = find_job(call.client, word);
    if (!found) return call.failed(found.error());
    if (!found->tasks.empty()) return call.usage("--job takes a whole job, not '" + word + "'");
    job = found->id;
  }
  EventsReader reader(call, job);
  return call.args.has("follow") ? reader.follow() : reader.list();
}

}  // namespace dunlin
