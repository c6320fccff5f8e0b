#include "sched/log_reader.h"

#include <algorithm>

namespace dunlin::sched {

namespace {

constexpr Duration kTailHold = seconds(5);
constexpr Duration kTailPatience = seconds(2);  // beyond the hold
constexpr Duration kPause = milliseconds(100);

}  // namespace

void LogReader::read(Turn& turn, std::uint64_t request, const ReadLog& what) {
  if (reads_.size() >= kMaxReads) {
    turn.raise(Answer{request, fail(Code::kLimit, "too many reads at this node")});
    return;
  }
  if (what.id.is_none()) {
    turn.raise(Answer{request, fail(Code::kUsage, "no job is named")});
    return;
  }
  Read& read = reads_[request];
  read.what = what;
  read.what.limit = std::clamp(what.limit, 1U, kMaxReadBytes);
  read.until = turn.now + (what.follow ? kFollow : kReadPatience);
  locate(turn, request, read);
}

LogReader::Read* LogReader::find(std::uint64_t token, std::uint64_t& request) {
  const auto at = tokens_.find(token);
  if (at == tokens_.end()) return nullptr;
  request = at->second;
  tokens_.erase(at);
  const auto read = reads_.find(request);
  return read == reads_.end() || read->second.token != token ? nullptr : &read->second;
}

void LogReader::answer(Turn& turn, std::uint64_t request, const Read& read, Bytes data, bool end) {
  turn.raise(Answer{
      request, LogChunk{read.attempt, read.what.offset, std::move(data), end, read.truncated}});
  tokens_.erase(read.token);
  reads_.erase(request);
}

void LogReader::fail_read(Turn& turn, std::uint64_t request, const Error& error) {
  turn.raise(Answer{request, tl::unexpected(error)});
  tokens_.erase(reads_.at(request).token);
  reads_.erase(request);
}

void LogReader::locate(Turn& turn, std::uint64_t request, Read& read) {
  read.locate_at = Instant::never();
  read.step_until = Instant::never();
  tokens_.erase(read.token);
  read.token = next_token_++;
  tokens_[read.token] = request;
  turn.raise(AskGroup{read.token, read.what.id.group(group_count_),
                      encode(GroupRequest{LocateLog{read.what, read.ended}}),
                      std::max(read.until, turn.now + seconds(5)) + seconds(1)});
}

void LogReader::again(Turn& turn, std::uint64_t request, Read& read) {
  if (read.until <= turn.now) {
    answer(turn, request, read, {}, false);
    return;
  }
  read.step_until = Instant::never();
  read.locate_at = turn.now + kPause;
}

bool LogReader::on_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply) {
  if (!tokens_.contains(token)) return false;
  std::uint64_t request = 0;
  Read* read = find(token, request);
  if (read == nullptr) return true;
  if (!reply) {
    fail_read(turn, request, reply.error());
    return true;
  }
  const Result<GroupAnswer> answer = decode<GroupAnswer>(*reply);
  if (!answer || !std::holds_alternative<LogPlace>(*answer)) {
    fail_read(turn, request, {Code::kFailed, "the leader's answer makes no sense", {}});
    return true;
  }
  take(turn, request, *read, std::get<LogPlace>(*answer));
  return true;
}

void LogReader::take(Turn& turn, std::uint64_t request, Read& read, const LogPlace& place) {
  if (!place.exists) {
    if (read.what.follow) return again(turn, request, read);
    return answer(turn, request, read, {}, false);
  }
  std::uint64_t& offset = read.what.offset;
  if (read.what.of.number != 0 && read.what.of != place.attempt) {
    offset = 0;
    read.truncated = false;
  }
  read.attempt = read.what.of = place.attempt;
  const std::uint64_t rest_end = place.rest.offset + place.rest.bytes.size();
  if (!place.pieces.empty()) {
    const LogPiece& piece = place.pieces.front();
    if (piece.offset > offset) {
      // Nothing before it was kept.
      read.truncated = true;
      offset = piece.offset;
    }
    read.pieces = place.pieces;
    read.data.clear();
    read.is_all = place.is_over && !place.has_more_pieces && place.rest.bytes.empty();
    return fetch(turn, request, read);
  }
  if (rest_end > offset) {
    if (place.rest.offset > offset) {
      read.truncated = true;
      offset = place.rest.offset;
    }
    const std::size_t from = static_cast<std::size_t>(offset - place.rest.offset);
    const std::size_t count =
        std::min<std::size_t>(read.what.limit, place.rest.bytes.size() - from);
    Bytes data = to_bytes(ByteView(place.rest.bytes).subspan(from, count));
    return answer(turn, request, read, std::move(data), offset + count == rest_end);
  }
  if (place.is_over) return answer(turn, request, read, {}, true);
  if (place.node && place.attempt != read.ended) return tail(turn, request, read, place);
  again(turn, request, read);
}

void LogReader::fetch(Turn& turn, std::uint64_t request, Read& read) {
  tokens_.erase(read.token);
  read.token = next_token_++;
  tokens_[read.token] = request;
  read.step_until = Instant::never();
  turn.raise(FetchBlob{read.token, read.pieces.front().segment, {}});
}

// A segment holds many pieces of a stream: all that follow each other go into one answer, and those
// of further segments too as long as there is room.
bool LogReader::on_fetched(Turn& turn, std::uint64_t token, const Result<Bytes>& content) {
  if (!tokens_.contains(token)) return false;
  std::uint64_t request = 0;
  Read* read = find(token, request);
  if (read == nullptr) return true;
  const BlobRef segment = read->pieces.front().segment;
  std::size_t used = 0;
  std::uint64_t at = read->what.offset + read->data.size();
  for (const LogPiece& piece : read->pieces) {
    if (piece.segment != segment || piece.offset > at || read->room() == 0) break;
    const std::uint64_t skip = at - piece.offset;
    const std::size_t count = std::min<std::size_t>(read->room(), piece.length - skip);
    if (!content || piece.at + skip + count > content->size()) break;
    append(read->data, ByteView(*content).subspan(piece.at + skip, count));
    at += count;
    if (skip + count == piece.length) ++used;
  }
  read->pieces.erase(read->pieces.begin(),
                     read->pieces.begin() + static_cast<std::ptrdiff_t>(used));
  if (read->data.empty()) {
    const Error damaged{Code::kCorrupt, "a log segment is shorter than it should be", {}};
    fail_read(turn, request, content ? damaged : content.error());
    return true;
  }
  const bool goes_on = used > 0 && !read->pieces.empty() && read->pieces.front().offset == at;
  if (goes_on && read->room() > 0) {
    fetch(turn, request, *read);
  } else {
    answer(turn, request, *read, std::move(read->data), read->is_all && read->pieces.empty());
  }
  return true;
}

// ---- live ---------------------------------------------------------------------------------------

void LogReader::tail(Turn& turn, std::uint64_t request, Read& read, const LogPlace& place) {
  Duration hold{};
  if (read.what.follow) hold = std::min(kTailHold, read.until - turn.now);
  read.token = next_token_++;
  tokens_[read.token] = request;
  read.step_until = turn.now + hold + kTailPatience;
  turn.send(*place.node,
            TailLog{read.token, read.what.id, place.index, place.attempt, read.what.is_stderr,
                    read.what.offset, read.what.limit, std::max(hold, Duration{})});
}

void LogReader::on(Turn& turn, const TailReply& reply) {
  std::uint64_t request = 0;
  Read* read = find(reply.token, request);
  if (read == nullptr) return;
  if (!reply.is_here) return again(turn, request, *read);
  if (reply.ended && reply.data.empty()) {
    read->ended = read->attempt;
    return locate(turn, request, *read);
  }
  if (reply.data.empty() && read->what.follow) return again(turn, request, *read);
  if (reply.truncated && reply.offset > read->what.offset) {
    read->truncated = true;
    read->what.offset = reply.offset;
  }
  if (reply.offset != read->what.offset) return again(turn, request, *read);
  Bytes data = reply.data;
  if (data.size() > read->what.limit) data.resize(read->what.limit);
  answer(turn, request, *read, std::move(data), false);
}

void LogReader::tick(Turn& turn) {
  std::vector<std::uint64_t> due;
  for (const auto& [request, read] : reads_) {
    if (read.locate_at <= turn.now || read.step_until <= turn.now) due.push_back(request);
  }
  for (const std::uint64_t request : due) {
    Read& read = reads_.at(request);
    if (read.until <= turn.now) {
      answer(turn, request, read, {}, false);
    } else {
      locate(turn, request, read);
    }
  }
}

Instant LogReader::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [request, read] : reads_) {
    next = std::min({next, read.locate_at, read.step_until});
  }
  return next;
}

}  // namespace dunlin::sched
