#include "sched/log_writer.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crypto.h"

namespace dunlin::sched {

namespace {

constexpr Duration kFlightRepeat = seconds(1);

std::uint64_t tail_of(std::uint64_t limit) {
  return std::min(limit / 2, kMaxTail);
}

std::uint64_t head_of(std::uint64_t limit) {
  return limit - tail_of(limit);
}

}  // namespace

LogWriter::LogWriter(Boot boot, const EpochGate& gates, std::uint64_t first_token)
    : boot_(boot), gates_(gates), next_token_(first_token), next_sequence_((boot << 32) + 1) {}

void LogWriter::open(ProcessKey key, const Source& source, std::uint64_t stdout_from,
                     std::uint64_t stderr_from) {
  Entry& entry = entries_[key];
  entry.source = source;
  const std::array from = {stdout_from, stderr_from};
  for (std::size_t i = 0; i < 2; ++i) {
    Stream& stream = entry.streams[i];
    stream.safe = stream.packed = stream.received = stream.kept_from = from[i];
  }
  JobLog& log = jobs_[source.job];
  log.group = source.group;
  log.keys.insert(key);
}

void LogWriter::set_limit(ProcessKey key, std::uint64_t log_limit) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  at->second.limit = log_limit;
  schedule(at->second.source.job);
}

bool LogWriter::is_cut(const Entry& entry, const Stream& stream) const {
  return stream.received > entry.limit;
}

// What may be packed next: the head, and after the end also the tail.
LogWriter::Range LogWriter::packable(const Entry& entry, const Stream& stream) const {
  if (stream.is_inlined) return {stream.packed, stream.packed};
  const bool cut = is_cut(entry, stream);
  const bool whole = entry.ended && !cut;
  const std::uint64_t head =
      whole ? stream.received : std::min(stream.received, head_of(entry.limit));
  if (stream.packed < head) return {stream.packed, head};
  if (!entry.ended || !cut) return {stream.packed, stream.packed};
  return {std::max(stream.packed, stream.received - tail_of(entry.limit)), stream.received};
}

void LogWriter::receive(Turn& turn, const ProcessOutput& output) {
  const auto at = entries_.find(output.key);
  if (at == entries_.end() || at->second.ended) return;
  Stream& stream = at->second.streams[output.is_stderr ? 1 : 0];
  const std::uint64_t end = output.offset + output.bytes.size();
  // What was delivered before comes again after the connection to the runner was renewed.
  if (output.offset > stream.received || end <= stream.received) return;
  const std::size_t known = static_cast<std::size_t>(stream.received - output.offset);
  append(stream.kept, ByteView(output.bytes).subspan(known));
  stream.received = end;
  if (stream.unpacked_since == Instant::never()) stream.unpacked_since = turn.now;
  const JobId job = at->second.source.job;
  trim(turn, output.key, output.is_stderr);
  pump(turn, job, jobs_[job]);
  schedule(job);
}

// Forgets what is safe, and tells the runner; over the limit also what falls between head and tail.
void LogWriter::trim(Turn& turn, ProcessKey key, bool is_stderr) {
  Entry& entry = entries_.at(key);
  Stream& stream = entry.streams[is_stderr ? 1 : 0];
  std::uint64_t needed = stream.safe;
  const std::uint64_t head = head_of(entry.limit);
  if (stream.safe >= head && stream.received > head + tail_of(entry.limit)) {
    needed = std::max(needed, stream.received - tail_of(entry.limit));
  }
  if (needed <= stream.kept_from) return;
  const auto gone = static_cast<std::ptrdiff_t>(needed - stream.kept_from);
  stream.kept.erase(stream.kept.begin(), stream.kept.begin() + gone);
  stream.kept_from = needed;
  turn.effects.taken.push_back({key, is_stderr, needed});
}

void LogWriter::end(Turn& turn, ProcessKey key, std::size_t most_inline) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  Entry& entry = at->second;
  entry.ended = true;
  for (Stream& stream : entry.streams) {
    const std::uint64_t rest = stream.received - stream.packed;
    if (most_inline == 0) {
      stream.is_inlined = false;
    } else if (!is_cut(entry, stream) && rest <= most_inline) {
      stream.is_inlined = true;
    }
  }
  const JobId job = entry.source.job;
  pump(turn, job, jobs_[job]);
  schedule(job);
}

bool LogWriter::is_settled(ProcessKey key) const {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return true;
  if (!at->second.ended) return false;
  return std::all_of(at->second.streams.begin(), at->second.streams.end(),
                     [&](const Stream& stream) {
                       const Range left = packable(at->second, stream);
                       return left.from == left.to && stream.safe >= stream.packed;
                     });
}

InlineOutput LogWriter::take_inline(ProcessKey key, bool is_stderr) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return {};
  const Stream& stream = at->second.streams[is_stderr ? 1 : 0];
  if (!stream.is_inlined) return {};
  ASSERT(stream.packed >= stream.kept_from);
  const auto from = static_cast<std::ptrdiff_t>(stream.packed - stream.kept_from);
  return {stream.packed, Bytes(stream.kept.begin() + from, stream.kept.end())};
}

bool LogWriter::is_truncated(ProcessKey key) const {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return false;
  return is_cut(at->second, at->second.streams[0]) || is_cut(at->second, at->second.streams[1]);
}

bool LogWriter::is_silent(ProcessKey key) const {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return true;
  return at->second.streams[0].received == 0 && at->second.streams[1].received == 0;
}

void LogWriter::close(ProcessKey key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  const JobId job = at->second.source.job;
  entries_.erase(at);
  jobs_[job].keys.erase(key);
  schedule(job);
  forget_if_done(job);
}

void LogWriter::forget_if_done(const JobId& id) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end()) return;
  if (!at->second.keys.empty() || at->second.flight || !at->second.data.empty()) return;
  deadlines_.erase({at->second.deadline, id});
  jobs_.erase(at);
}

Instant LogWriter::deadline_of(const JobLog& log) const {
  Instant next = Instant::never();
  if (log.flight) next = log.flight->repeat_at;
  if (!log.flight && !log.data.empty()) next = std::min(next, log.seal_at);
  if (is_full(log)) return next;
  for (const ProcessKey key : log.keys) {
    const Entry& entry = entries_.at(key);
    for (const Stream& stream : entry.streams) {
      const Range left = packable(entry, stream);
      if (left.from == left.to || stream.unpacked_since == Instant::never()) continue;
      next = std::min(next, stream.unpacked_since + stream.age());
    }
  }
  return next;
}

void LogWriter::schedule(const JobId& id) {
  const auto at = jobs_.find(id);
  if (at == jobs_.end()) return;
  const Instant deadline = deadline_of(at->second);
  if (deadline == at->second.deadline) return;
  deadlines_.erase({at->second.deadline, id});
  at->second.deadline = deadline;
  if (deadline != Instant::never()) deadlines_.insert({deadline, id});
}

// ---- segments -----------------------------------------------------------------------------------

void LogWriter::pump(Turn& turn, const JobId& id, JobLog& log) {
  for (const ProcessKey key : log.keys) {
    Entry& entry = entries_.at(key);
    for (const bool is_stderr : {false, true}) {
      const Stream& stream = entry.streams[is_stderr ? 1 : 0];
      const Range left = packable(entry, stream);
      if (left.from == left.to || is_full(log)) continue;
      const bool is_old = stream.unpacked_since != Instant::never() &&
                          stream.unpacked_since + stream.age() <= turn.now;
      if (!entry.ended && !is_old && left.to - left.from < kPackSize) continue;
      pack(turn, log, key, is_stderr);
    }
  }
  if (log.flight || log.data.empty()) return;
  if (log.seal_at <= turn.now || is_full(log)) seal(turn, id, log);
}

void LogWriter::pack(Turn& turn, JobLog& log, ProcessKey key, bool is_stderr) {
  Entry& entry = entries_.at(key);
  Stream& stream = entry.streams[is_stderr ? 1 : 0];
  Range range = packable(entry, stream);
  range.to = std::min(range.to, range.from + kSegmentSize - log.data.size());
  ASSERT(range.from >= stream.kept_from && range.to <= stream.received);
  LogPiece place;
  place.is_stderr = is_stderr;
  place.offset = range.from;
  place.at = static_cast<std::uint32_t>(log.data.size());
  place.length = static_cast<std::uint32_t>(range.to - range.from);
  append(log.data,
         ByteView(stream.kept)
             .subspan(static_cast<std::size_t>(range.from - stream.kept_from), place.length));
  log.pieces.push_back({key, place});
  ++stream.pieces;
  stream.packed = range.to;
  // Bytes that may be packed now were old enough to be sealed with their segment at once.
  const Instant seal_at = turn.now + (entry.ended ? kUrgentAge : Duration{});
  log.seal_at = std::min(log.seal_at, seal_at);
  stream.unpacked_since = stream.packed < stream.received ? turn.now : Instant::never();
}

void LogWriter::seal(Turn& turn, const JobId& id, JobLog& log) {
  Flight flight;
  flight.data = std::move(log.data);
  flight.pieces = std::move(log.pieces);
  log.data = {};
  log.pieces.clear();
  log.seal_at = Instant::never();
  log.flight = std::move(flight);
  put(turn, id, log);
  // What did not fit into it goes into the next.
  pump(turn, id, log);
}

void LogWriter::put(Turn& turn, const JobId& id, JobLog& log) {
  log.flight->token = next_token_++;
  log.flight->repeat_at = Instant::never();
  puts_[log.flight->token] = id;
  turn.raise(
      PutBlob{log.flight->token, {log.group, blake2b_64(as_bytes(id.text()))}, log.flight->data});
}

bool LogWriter::on_stored(Turn& turn, std::uint64_t token, const Result<BlobRef>& blob) {
  const auto at = puts_.find(token);
  if (at == puts_.end()) return false;
  const JobId id = at->second;
  puts_.erase(at);
  JobLog& log = jobs_.at(id);
  ASSERT(log.flight && log.flight->token == token);
  if (!blob) {
    log.flight->repeat_at = turn.now + kFlightRepeat;
    schedule(id);
    return true;
  }
  for (Piece& piece : log.flight->pieces) piece.place.segment = *blob;
  log.flight->data = {};
  log.flight->sequence = next_sequence_++;
  send(turn, id, log);
  schedule(id);
  return true;
}

void LogWriter::send(Turn& turn, const JobId& id, JobLog& log) {
  log.flight->repeat_at = turn.now + kFlightRepeat;
  const std::optional<NodeId> coordinator = gates_.coordinator(log.group);
  if (!coordinator) return;
  Logs message{log.group, id, boot_, log.flight->sequence, {}};
  std::map<ProcessKey, AttemptLogs> by_attempt;
  for (const Piece& piece : log.flight->pieces) {
    const auto entry = entries_.find(piece.key);
    if (entry == entries_.end()) continue;
    AttemptLogs& logs = by_attempt[piece.key];
    logs.index = entry->second.source.index;
    logs.attempt = entry->second.source.attempt;
    logs.pieces.push_back(piece.place);
  }
  for (auto& [key, logs] : by_attempt) message.logs.push_back(std::move(logs));
  turn.send(*coordinator, message);
}

void LogWriter::on_committed(Turn& turn, const LogsCommitted& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end() || !at->second.flight) return;
  JobLog& log = at->second;
  if (log.flight->sequence != message.sequence) return;
  const std::vector<Piece> pieces = std::move(log.flight->pieces);
  log.flight.reset();
  for (const Piece& piece : pieces) {
    const auto entry = entries_.find(piece.key);
    if (entry == entries_.end()) continue;
    Stream& stream = entry->second.streams[piece.place.is_stderr ? 1 : 0];
    stream.safe = std::max(stream.safe, piece.place.offset + piece.place.length);
    trim(turn, piece.key, piece.place.is_stderr);
  }
  pump(turn, message.job, log);
  schedule(message.job);
  forget_if_done(message.job);
}

// ---- readers, time ------------------------------------------------------------------------------

LogWriter::Read LogWriter::read(ProcessKey key, bool is_stderr, std::uint64_t offset,
                                std::size_t limit) const {
  Read answer;
  const auto at = entries_.find(key);
  if (at == entries_.end()) return answer;
  const Stream& stream = at->second.streams[is_stderr ? 1 : 0];
  answer.offset = offset;
  if (offset < stream.kept_from) {
    // Safe bytes are read from their blobs; those between head and tail are gone for good.
    if (offset < stream.safe) return answer;
    answer.truncated = true;
    answer.offset = stream.kept_from;
  }
  answer.is_here = true;
  if (answer.offset > stream.received) answer.offset = stream.received;
  const std::size_t from = static_cast<std::size_t>(answer.offset - stream.kept_from);
  const std::size_t count = std::min(limit, stream.kept.size() - from);
  answer.data = to_bytes(ByteView(stream.kept).subspan(from, count));
  answer.at_end = from + count == stream.kept.size();
  return answer;
}

void LogWriter::tick(Turn& turn) {
  std::vector<JobId> due;
  for (const auto& [deadline, id] : deadlines_) {
    if (deadline > turn.now) break;
    due.push_back(id);
  }
  for (const JobId& id : due) {
    JobLog& log = jobs_.at(id);
    if (log.flight && log.flight->repeat_at <= turn.now) {
      if (log.flight->sequence == 0) {
        put(turn, id, log);
      } else {
        send(turn, id, log);
      }
    }
    pump(turn, id, log);
    schedule(id);
  }
}

}  // namespace dunlin::sched
