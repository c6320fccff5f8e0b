// The outputs that a task leaves: found, read and kept as blobs, one file and one piece at a time.
#include "base/codec.h"
#include "base/crypto.h"
#include "base/fields.h"
#include "sched/executor.h"

namespace dunlin::sched {

namespace {

constexpr Duration kPutAgain = seconds(1);

// What of these outputs is more than a result may carry; empty: nothing.
std::string excess_of(const std::vector<FoundOutput>& files) {
  if (files.size() > kMaxOutputFiles) {
    return "more than " + std::to_string(kMaxOutputFiles) + " output files: pack them into one";
  }
  std::size_t bytes = 0;
  for (const FoundOutput& file : files) {
    const auto pieces = static_cast<std::size_t>(file.size / kMaxOutputRead + 1);
    bytes += encoded_size({file.name, 0, 0, {}}) + 45 * std::min(pieces, kMaxOutputListBytes);
  }
  if (bytes <= kMaxOutputListBytes) return {};
  return "the list of its outputs and their pieces of 1 MiB is longer than " +
         std::to_string(kMaxOutputListBytes / 1024) + " KiB";
}

}  // namespace

void Executor::next_output(Turn& turn, ProcessKey key, Process& process) {
  if (!process.wants_outputs || process.outputs_done) return;
  if (process.found.empty() && process.outputs.empty() && process.put_token == 0) {
    turn.effects.output_searches.push_back({key, jobs_.at(process.job).spec->outputs});
    return;
  }
  while (!process.outputs.empty()) {
    const FoundOutput& found = process.found[process.outputs.size() - 1];
    OutputFile& output = process.outputs.back();
    if (output.size < found.size) {
      turn.effects.output_reads.push_back({key, found.name, output.size, kMaxOutputRead});
      return;
    }
    if (process.outputs.size() == process.found.size()) break;
    const FoundOutput& next = process.found[process.outputs.size()];
    process.outputs.push_back({next.name, 0, next.mode, {}});
  }
  process.outputs_done = true;
}

void Executor::on(Turn& turn, const OutputsFound& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || !at->second.wants_outputs || !at->second.found.empty()) return;
  Process& process = at->second;
  process.found = event.files;
  process.output_error = event.error;
  if (const std::string excess = excess_of(process.found); !excess.empty()) {
    process.output_error = excess;
  }
  if (!process.output_error.empty() || process.found.empty()) {
    process.outputs_done = true;
  } else {
    process.outputs.push_back({process.found[0].name, 0, process.found[0].mode, {}});
    next_output(turn, event.key, process);
  }
  conclude(turn, event.key);
}

void Executor::on(Turn& turn, const OutputData& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || at->second.outputs.empty()) return;
  Process& process = at->second;
  const OutputFile& output = process.outputs.back();
  const bool is_expected =
      output.name == event.name && output.size == event.offset && process.put_token == 0;
  if (!is_expected || process.outputs_done) return;
  if (!event.error.empty() || event.bytes.empty()) {
    process.output_error = event.error.empty() ? event.name + " became shorter" : event.error;
    process.outputs_done = true;
    conclude(turn, event.key);
    return;
  }
  process.put_data = event.bytes;
  put_output(turn, event.key, process);
}

void Executor::put_output(Turn& turn, ProcessKey key, Process& process) {
  process.put_again = Instant::never();
  process.put_token = next_token_++;
  puts_[process.put_token] = key;
  const Pin pin{jobs_.at(process.job).group, blake2b_64(as_bytes(process.job.text()))};
  turn.raise(PutBlob{process.put_token, pin, process.put_data});
}

bool Executor::on_blob_stored(Turn& turn, std::uint64_t token, const Result<BlobRef>& blob) {
  if (logs_.on_stored(turn, token, blob)) return true;
  const auto put = puts_.find(token);
  if (put == puts_.end()) return false;
  const ProcessKey key = put->second;
  puts_.erase(put);
  const auto at = processes_.find(key);
  if (at == processes_.end()) return true;
  Process& process = at->second;
  process.put_token = 0;
  if (!blob) {
    process.put_again = turn.now + kPutAgain;
    process_due(process.put_again);
    return true;
  }
  process.outputs.back().content.push_back(*blob);
  process.outputs.back().size += process.put_data.size();
  process.put_data.clear();
  next_output(turn, key, process);
  conclude(turn, key);
  fill(turn);
  return true;
}

}  // namespace dunlin::sched
