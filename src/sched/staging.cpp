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
    for (std::size_t i = 0; i < spec.files.size(); ++i) {
      const ShippedFile& shipped = spec.files[i];
      StagedFile& file = job.files.emplace_back();
      file.name = shipped.name;
      file.mode = shipped.mode;
      file.content.resize(shipped.content.size());
      for (std::size_t piece = 0; piece < shipped.content.size(); ++piece) {
        ++job.missing;
        localizing_[next_token_] = {id, i, piece};
        turn.raise(LocalizeBlob{next_token_++, shipped.content[piece], {}});
      }
    }
  }
  Files answer;
  answer.error = job.error;
  answer.is_ready = job.missing == 0 && !job.error;
  answer.files = &job.files;
  // A later attempt asks anew.
  if (job.error && job.missing == 0) jobs_.erase(at);
  return answer;
}

bool Staging::on_local(std::uint64_t token, const Result<FileExtent>& extent) {
  const auto wanted = localizing_.find(token);
  if (wanted == localizing_.end()) return false;
  const auto job = jobs_.find(wanted->second.job);
  if (job != jobs_.end()) {
    --job->second.missing;
    if (extent) {
      job->second.files[wanted->second.file].content[wanted->second.piece] = *extent;
    } else {
      job->second.error = extent.error();
    }
  }
  localizing_.erase(wanted);
  return true;
}

Staging::Entry Staging::entry(Turn& turn, const JobSpec& spec, std::uint32_t number) {
  if (spec.entries.empty() && spec.entry_blocks.empty()) {
    return {true, std::nullopt, std::to_string(number)};
  }
  std::size_t at = number - 1;
  if (!spec.entries.empty()) {
    return {true, std::nullopt, at < spec.entries.size() ? spec.entries[at] : std::string()};
  }
  for (const EntryBlock& block : spec.entry_blocks) {
    if (at >= block.count) {
      at -= block.count;
      continue;
    }
    const auto [known, is_new] = blocks_.try_emplace(block.blob.id);
    if (is_new) {
      block_order_.push_back(block.blob.id);
      fetching_[next_token_] = block.blob.id;
      turn.raise(FetchBlob{next_token_++, block.blob, {}});
      if (block_order_.size() > kMaxEntryBlocks) {
        blocks_.erase(block_order_.front());
        block_order_.pop_front();
      }
    }
    Entry answer{known->second.is_ready, known->second.error, {}};
    if (at < known->second.lines.size()) answer.text = known->second.lines[at];
    if (answer.error) {
      std::erase(block_order_, block.blob.id);
      blocks_.erase(known);
    }
    return answer;
  }
  return {true, Error{Code::kNotFound, "the task has no entry", {}}, {}};
}

bool Staging::on_fetched(std::uint64_t token, const Result<Bytes>& content) {
  const auto wanted = fetching_.find(token);
  if (wanted == fetching_.end()) return false;
  const auto block = blocks_.find(wanted->second);
  if (block != blocks_.end()) {
    if (content) {
      block->second.lines = lines_of(*content);
      block->second.is_ready = true;
    } else {
      block->second.error = content.error();
    }
  }
  fetching_.erase(wanted);
  return true;
}

void Staging::forget(const JobId& job) {
  std::erase_if(localizing_, [&](const auto& entry) { return entry.second.job == job; });
  jobs_.erase(job);
}

}  // namespace dunlin::sched
