#include "cli/entries.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace dunlin {

namespace {

constexpr std::size_t kReadSize = 256 * 1024;

// Lines of a stream, read in large pieces.
class Lines {
 public:
  Lines(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}
  ~Lines() {
    if (file_ != stdin) std::fclose(file_);
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  Result<std::optional<std::string>> next() {
    std::size_t searched = 0;
    while (true) {
      const std::size_t end = pending_.find('\n', at_ + searched);
      if (end != std::string::npos) {
        std::string line = pending_.substr(at_, end - at_);
        at_ = end + 1;
        return checked(std::move(line));
      }
      searched = pending_.size() - at_;
      if (searched >= kEntryBlockSize) return fail(Code::kLimit, name_ + " has a line over 1 MiB");
      if (is_over_) {
        if (searched == 0) return std::nullopt;
        std::string line = pending_.substr(at_);
        at_ = pending_.size();
        return checked(std::move(line));
      }
      if (const Result<void> fine = read(); !fine) return tl::unexpected(fine.error());
    }
  }

 private:
  Result<void> read() {
    pending_.erase(0, at_);
    at_ = 0;
    const std::size_t had = pending_.size();
    pending_.resize(had + kReadSize);
    const std::size_t count = std::fread(pending_.data() + had, 1, kReadSize, file_);
    pending_.resize(had + count);
    if (count < kReadSize) is_over_ = true;
    if (std::ferror(file_) != 0) {
      return fail(Code::kUsage, "--each-line " + name_ + ": " + std::strerror(errno));
    }
    return {};
  }

  Result<std::optional<std::string>> checked(std::string line) const {
    if (line.find('\0') == std::string::npos) return line;
    return fail(Code::kUsage, "--each-line " + name_ + " holds zero bytes: it is no text");
  }

  std::FILE* file_;
  std::string name_;
  std::string pending_;
  std::size_t at_ = 0;
  bool is_over_ = false;
};

// Whole lines, gathered into blocks of at most kEntryBlockSize.
class BlockMaker {
 public:
  BlockMaker(std::vector<std::string> first, const NextEntry& next)
      : first_(std::move(first)), next_(next) {}

  Result<bool> next_block(std::string& body) {
    std::uint32_t count = 0;
    body.clear();
    while (true) {
      auto entry = take();
      if (!entry) return tl::unexpected(entry.error());
      if (!*entry) break;
      if ((*entry)->find('\n') != std::string::npos) {
        return fail(Code::kUsage, "an entry holds a line break, and there are too many to keep it",
                    "use fewer entries, or a file of names");
      }
      if (!body.empty() && body.size() + (*entry)->size() + 1 > kEntryBlockSize) {
        kept_ = std::move(**entry);
        break;
      }
      body += **entry;
      body += '\n';
      ++count;
      if (++total_ > kMaxTasks) {
        return fail(Code::kLimit, "more than " + std::to_string(kMaxTasks) + " entries");
      }
    }
    if (count > 0) counts_.push_back(count);
    return count > 0;
  }

  const std::vector<std::uint32_t>& counts() const { return counts_; }
  std::uint64_t total() const { return total_; }

 private:
  Result<std::optional<std::string>> take() {
    if (kept_) return std::exchange(kept_, std::nullopt);
    if (first_at_ < first_.size()) return std::move(first_[first_at_++]);
    return next_();
  }

  std::vector<std::string> first_;
  const NextEntry& next_;
  std::size_t first_at_ = 0;
  std::optional<std::string> kept_;
  std::vector<std::uint32_t> counts_;
  std::uint64_t total_ = 0;
};

Result<std::optional<std::string>> too_long(std::uint64_t number, const std::string& entry) {
  return fail(Code::kLimit,
              "entry " + std::to_string(number) + " has " + std::to_string(entry.size()) +
                  " bytes, and a command takes no argument of more than " +
                  std::to_string(kMaxEntryBytes),
              "put it into a file, and let the entry name that");
}

}  // namespace

Result<NextEntry> entries_of_file(const std::string& path) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "re");
  if (file == nullptr) {
    return fail(errno == ENOENT ? Code::kNotFound : Code::kUsage,
                "--each-line " + path + ": " + std::strerror(errno));
  }
  return [lines = std::make_shared<Lines>(file, path)] { return lines->next(); };
}

Result<NextEntry> entries_of_words(std::vector<std::vector<std::string>> sources) {
  std::uint64_t total = 1;
  for (const auto& source : sources) {
    if (source.empty()) return fail(Code::kUsage, "::: is followed by no entry");
    total *= source.size();
    if (total > kMaxTasks) {
      return fail(Code::kLimit, "::: makes more than " + std::to_string(kMaxTasks) + " tasks");
    }
  }
  return [held = std::move(sources), total,
          at = std::uint64_t{0}]() mutable -> Result<std::optional<std::string>> {
    if (at == total) return std::nullopt;
    std::uint64_t rest = at++;
    std::string entry;
    for (auto source = held.rbegin(); source != held.rend(); ++source) {
      const std::string& word = (*source)[static_cast<std::size_t>(rest % source->size())];
      rest /= source->size();
      entry.insert(0, source == held.rbegin() ? word : word + " ");
    }
    return entry;
  };
}

Result<void> give_entries(const PutBlobs& put, const NextEntry& unchecked, JobSpec& spec) {
  const NextEntry next = [&, number = std::uint64_t{0}]() mutable {
    auto entry = unchecked();
    ++number;
    if (entry && *entry && (*entry)->size() > kMaxEntryBytes) return too_long(number, **entry);
    return entry;
  };
  std::size_t bytes = 0;
  std::vector<std::string> entries;
  while (bytes <= kMaxInlineEntryBytes) {
    auto entry = next();
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) break;
    // What an entry costs beyond its bytes counts too: a spec of empty lines has an end as well.
    bytes += (*entry)->size() + 1;
    entries.push_back(std::move(**entry));
  }
  std::uint64_t total = entries.size();
  if (bytes <= kMaxInlineEntryBytes) {
    spec.entries = std::move(entries);
  } else {
    BlockMaker blocks(std::move(entries), next);
    Result<void> fine =
        put([&](std::string& body) { return blocks.next_block(body); },
            [&](std::size_t number, const BlobRef& blob) {
              spec.entry_blocks.resize(std::max(spec.entry_blocks.size(), number + 1));
              spec.entry_blocks[number] = {blob, blocks.counts()[number]};
            });
    if (!fine) return fine;
    total = blocks.total();
  }
  if (total == 0) return fail(Code::kUsage, "there are no entries, so there is nothing to run");
  spec.many = true;
  spec.tasks = {TaskRange{1, static_cast<std::uint32_t>(total), 1}};
  return {};
}

}  // namespace dunlin
