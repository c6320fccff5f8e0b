// Jobs as rows of a checkpoint: "job/<group>/<job>" is the head, ".../s" the spec (it never
// changes), ".../<n>" the n-th chunk of columns with the details of its tasks. A snapshot is all
// rows of a group.
#include <charconv>

#include "sched/job_machine.h"

namespace dunlin::sched {

namespace {

using Details = std::map<std::uint32_t, TaskDetail>;

std::string key_of(GroupId group, const JobId& job) {
  return "job/" + std::to_string(group.value) + "/" + job.text();
}

// "job/<group>/<job>" and what follows the job's name.
struct ParsedKey {
  GroupId group;
  JobId job;
  std::string_view rest;
};

std::optional<std::uint32_t> number_from(std::string_view text) {
  std::uint32_t value = 0;
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || text.empty()) return std::nullopt;
  return value;
}

std::optional<ParsedKey> parse(std::string_view key) {
  if (!key.starts_with("job/")) return std::nullopt;
  key.remove_prefix(4);
  const std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint32_t> group = number_from(key.substr(0, slash));
  const std::optional<JobId> job = JobId::from_text(key.substr(slash + 1, JobId{}.raw.size()));
  if (!group || *group >= kMaxGroups || !job) return std::nullopt;
  std::string_view rest = key.substr(slash + 1 + job->raw.size());
  if (!rest.empty() && rest[0] != '/') return std::nullopt;
  if (!rest.empty()) rest.remove_prefix(1);
  return ParsedKey{{static_cast<std::uint16_t>(*group)}, *job, rest};
}

Bytes encode_chunk(const Job& job, std::uint32_t chunk) {
  const std::uint32_t first = chunk * TaskColumns::kChunk;
  const Details here(job.details.lower_bound(first),
                     job.details.lower_bound(first + TaskColumns::kChunk));
  return encode(std::pair{job.columns.encode_chunk(chunk), here});
}

Result<void> decode_chunk(Job& job, std::uint32_t chunk, ByteView bytes) {
  auto row = decode<std::pair<Bytes, Details>>(bytes);
  if (!row) return tl::unexpected(row.error());
  if (!row->first.empty()) {
    const Result<void> columns = job.columns.decode_chunk(chunk, row->first);
    if (!columns) return columns;
  }
  for (auto& [index, detail] : row->second) {
    if (index / TaskColumns::kChunk != chunk || index >= job.head.total) {
      return fail(Code::kCorrupt, "a task's details in the wrong row");
    }
    job.details[index] = std::move(detail);
  }
  return {};
}

// Rows of one job: all of them, or what changed.
void write_rows(GroupId group, const Job& job, bool all, Rows& rows) {
  const std::string key = key_of(group, job.id);
  if (all || job.head_dirty) rows[key] = encode(job.head);
  if (all || job.spec_dirty) rows[key + "/s"] = job.spec_bytes;
  if (!all) {
    for (const std::uint32_t chunk : job.dirty_chunks) {
      rows[key + "/" + std::to_string(chunk)] = encode_chunk(job, chunk);
    }
    return;
  }
  for (std::uint32_t chunk = 0; chunk < job.columns.chunk_count(); ++chunk) {
    rows[key + "/" + std::to_string(chunk)] = encode_chunk(job, chunk);
  }
}

}  // namespace

void JobMachine::take_dirty(Rows& rows) {
  rows.merge(erased_);
  erased_.clear();
  for (auto& [group, jobs] : groups_) {
    for (auto& [id, job] : jobs) {
      if (!job->head_dirty && !job->spec_dirty && job->dirty_chunks.empty()) continue;
      write_rows(group, *job, false, rows);
      job->head_dirty = job->spec_dirty = false;
      job->dirty_chunks.clear();
    }
  }
}

void JobMachine::erase_rows(GroupId group, const Job& job) {
  const std::string key = key_of(group, job.id);
  erased_[key] = std::nullopt;
  erased_[key + "/s"] = std::nullopt;
  for (std::uint32_t chunk = 0; chunk < job.columns.chunk_count(); ++chunk) {
    erased_[key + "/" + std::to_string(chunk)] = std::nullopt;
  }
}

void JobMachine::drop_group(GroupId group) {
  const auto at = groups_.find(group);
  if (at == groups_.end()) return;
  for (const auto& [id, job] : at->second) erase_rows(group, *job);
  groups_.erase(at);
  open_.erase(group);
  bytes_.erase(group);
}

Bytes JobMachine::snapshot(GroupId group) const {
  std::map<std::string, Bytes> all;
  if (const Jobs* here = jobs(group)) {
    Rows rows;
    for (const auto& [id, job] : *here) write_rows(group, *job, true, rows);
    for (auto& [key, value] : rows) all.emplace(key, std::move(*value));
  }
  return encode(all);
}

Result<void> JobMachine::restore(GroupId group, ByteView snapshot) {
  const auto rows = decode<std::map<std::string, Bytes>>(snapshot);
  if (!rows) return tl::unexpected(rows.error());
  for (const auto& [key, value] : *rows) {
    const std::optional<ParsedKey> parsed = parse(key);
    if (!parsed || parsed->group != group) return fail(Code::kCorrupt, "a foreign row: " + key);
  }
  drop_group(group);
  groups_.try_emplace(group);
  for (const auto& [key, value] : *rows) {
    const Result<void> done = recover_row(key, value);
    if (!done) return done;
  }
  for (auto& [id, job] : groups_[group]) {
    job->head_dirty = job->spec_dirty = true;
    for (std::uint32_t i = 0; i < job->columns.chunk_count(); ++i) job->dirty_chunks.insert(i);
  }
  return {};
}

Result<void> JobMachine::recover_row(std::string_view key, ByteView value) {
  const std::optional<ParsedKey> parsed = parse(key);
  if (!parsed) return fail(Code::kCorrupt, "no row of a job: " + std::string(key));
  Job* job = changeable(parsed->group, parsed->job);
  Partial& partial = partial_[{parsed->group, parsed->job}];
  if (parsed->rest.empty()) {
    partial.head = to_bytes(value);
  } else if (parsed->rest == "s") {
    partial.spec = to_bytes(value);
  } else {
    const std::optional<std::uint32_t> chunk = number_from(parsed->rest);
    if (!chunk) return fail(Code::kCorrupt, "no row of a job: " + std::string(key));
    if (job != nullptr) {
      partial_.erase({parsed->group, parsed->job});
      grow(parsed->group, *job, value.size());
      return decode_chunk(*job, *chunk, value);
    }
    partial.chunks[*chunk] = to_bytes(value);
  }
  if (!partial.head || !partial.spec) return {};
  Partial whole = std::move(partial);
  partial_.erase({parsed->group, parsed->job});
  return assemble(parsed->group, parsed->job, whole);
}

Result<void> JobMachine::assemble(GroupId group, const JobId& id, Partial& partial) {
  const Result<JobHead> head = decode<JobHead>(*partial.head);
  if (!head) return tl::unexpected(head.error());
  const Result<JobSpec> spec = decode<JobSpec>(*partial.spec);
  if (!spec) return tl::unexpected(spec.error());
  const bool fits = are_ascending(spec->tasks) && spec->task_count() == head->total;
  if (!fits || head->total == 0 || head->total > kMaxTasks) {
    return fail(Code::kCorrupt, "a job's head and spec differ: " + id.text());
  }
  auto job = std::make_unique<Job>();
  job->id = id;
  job->spec_bytes = std::move(*partial.spec);
  job->head = *head;
  job->columns = TaskColumns(head->total);
  grow(group, *job, partial.head->size() + job->spec_bytes.size());
  for (const auto& [chunk, bytes] : partial.chunks) {
    grow(group, *job, bytes.size());
    const Result<void> done = decode_chunk(*job, chunk, bytes);
    if (!done) return done;
  }
  job->head_dirty = job->spec_dirty = false;
  if (!job->is_final()) open_[group].insert(id);
  groups_[group][id] = std::move(job);
  return {};
}

}  // namespace dunlin::sched
