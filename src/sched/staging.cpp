#include "sched/staging.h"

#include <algorithm>

namespace dunlin::sched {

namespace {

std::vector<std::string> lines_of(ByteView bytes) {
  std::vector<std::string> lines;
  std::string_view text = as_text(bytes);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

}  // namespace

Staging::Files Staging::files(Turn& turn, const JobId& id, const JobSpec& spec) {
  static const std::vector<StagedFile> kNoFiles;
  if (spec.files.empty()) return {true, std::nullopt, &kNoFiles};
  auto [at, is_new] = jobs_.try_emplace(id);
  JobFiles& job = at->second;
  if (is_new) {
    for (const ShippedFile& shipped : spec.files) {
      StagedFile& file = job.files.emplace_back();
      file.name = shipped.name;
      file.mode = shipped.mode;
      file.content.resize(shipped.content.size());
      for (std::size_t piece = 0; piece < shipped.content.size(); ++piece) {
        job.pieces.push_back(shipped.content[piece]);
        job.places.emplace_back(job.files.size() - 1, piece);
      }
    }
    job.missing = job.pieces.size();
    asking_.push_back(id);
    ask_for_pieces(turn);
  }
  if (job.error) {
    const Error error = *job.error;
    drop_files(id);
    ask_for_pieces(turn);
    return {false, error, nullptr};
  }
  return {job.missing == 0, std::nullopt, &job.files};
}

// Jobs take turns, so that one with many pieces does not keep the others waiting.
void Staging::ask_for_pieces(Turn& turn) {
  while (!asking_.empty() && localizing_.size() < kMaxLocalizing) {
    const JobId id = asking_.front();
    asking_.pop_front();
    JobFiles& job = jobs_.at(id);
    if (job.error || job.asked == job.pieces.size()) continue;
    localizing_[next_token_] = {id, job.asked};
    turn.raise(LocalizeBlob{next_token_++, job.pieces[job.asked++], {}});
    asking_.push_back(id);
  }
}

void Staging::drop_files(const JobId& id) {
  if (jobs_.erase(id) == 0) return;
  std::erase(asking_, id);
  std::erase_if(localizing_, [&](const auto& entry) { return entry.second.job == id; });
}

bool Staging::on_local(Turn& turn, std::uint64_t token, const Result<FileExtent>& extent) {
  const auto wanted = localizing_.find(token);
  if (wanted == localizing_.end()) return false;
  const Wanted what = wanted->second;
  localizing_.erase(wanted);
  JobFiles& job = jobs_.at(what.job);
  --job.missing;
  if (extent) {
    const auto [file, piece] = job.places[what.piece];
    job.files[file].content[piece] = *extent;
  } else if (!job.error || extent.error().code == Code::kNotFound) {
    job.error = extent.error();
  }
  if (job.error || job.missing == 0) woken_.insert(what.job);
  ask_for_pieces(turn);
  return true;
}

// ---- entries ------------------------------------------------------------------------------------

Staging::Entry Staging::entry(Turn& turn, const JobId& job, const JobSpec& spec,
                              std::uint32_t number) {
  if (spec.entries.empty() && spec.entry_blocks.empty()) {
    return {true, std::nullopt, std::to_string(number)};
  }
  std::size_t at = number - 1;
  if (!spec.entries.empty()) {
    return {true, std::nullopt, at < spec.entries.size() ? spec.entries[at] : std::string()};
  }
  for (const EntryBlock& wanted : spec.entry_blocks) {
    if (at >= wanted.count) {
      at -= wanted.count;
      continue;
    }
    auto known = blocks_.find(wanted.blob.id);
    if (known == blocks_.end()) {
      if (!make_room_for_block()) {
        crowded_out_.insert(job);
        return {};
      }
      known = blocks_.try_emplace(wanted.blob.id).first;
      fetching_[next_token_] = wanted.blob.id;
      turn.raise(FetchBlob{next_token_++, wanted.blob, {}});
    }
    Block& block = known->second;
    Entry answer{block.is_ready, block.error, {}};
    if (block.error) {
      for (const JobId& other : block.awaited_by) woken_.insert(other);
      blocks_.erase(known);
      woken_.merge(crowded_out_);
      crowded_out_.clear();
    } else if (!block.is_ready) {
      block.awaited_by.insert(job);
    } else {
      block.used = ++uses_;
      if (at < block.lines.size()) answer.text = block.lines[at];
      release_block(job, block);
    }
    return answer;
  }
  return {true, Error{Code::kNotFound, "the task has no entry", {}}, {}};
}

// Evicts the block whose last use is the longest ago. One that somebody waits for stays: to fetch
// it again and again for jobs that evict each other's would go on for ever.
bool Staging::make_room_for_block() {
  if (blocks_.size() < kMaxEntryBlocks) return true;
  auto oldest = blocks_.end();
  for (auto at = blocks_.begin(); at != blocks_.end(); ++at) {
    const bool is_under_way = !at->second.is_ready && !at->second.error;
    if (is_under_way || !at->second.awaited_by.empty()) continue;
    if (oldest == blocks_.end() || at->second.used < oldest->second.used) oldest = at;
  }
  if (oldest == blocks_.end()) return false;
  blocks_.erase(oldest);
  return true;
}

void Staging::release_block(const JobId& job, Block& block) {
  if (block.awaited_by.erase(job) == 0 || !block.awaited_by.empty()) return;
  woken_.merge(crowded_out_);
  crowded_out_.clear();
}

bool Staging::on_fetched(std::uint64_t token, const Result<Bytes>& content) {
  const auto wanted = fetching_.find(token);
  if (wanted == fetching_.end()) return false;
  Block& block = blocks_.at(wanted->second);
  if (content) {
    block.lines = lines_of(*content);
    block.is_ready = true;
  } else {
    block.error = content.error();
  }
  woken_.insert(block.awaited_by.begin(), block.awaited_by.end());
  // Nobody waits any more: whoever has no room for his block may have this one's.
  if (block.awaited_by.empty()) {
    if (block.error) blocks_.erase(wanted->second);
    woken_.merge(crowded_out_);
    crowded_out_.clear();
  }
  fetching_.erase(wanted);
  return true;
}

void Staging::rest(const JobId& job) {
  crowded_out_.erase(job);
  for (auto& [id, block] : blocks_) release_block(job, block);
}

void Staging::forget(const JobId& job) {
  rest(job);
  drop_files(job);
  woken_.erase(job);
}

}  // namespace dunlin::sched
