// An ordered set of small records for millions of entries: sorted runs of at most 256, some 1.4
// times the records' own size, where a std::map would add 48 bytes of pointers to each. `Key` takes
// a record to its key. Pointers into it hold until the next insert or erase.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace dunlin {

template <class Record, auto Key>
class SortedBlocks {
 public:
  using KeyType = std::remove_cvref_t<decltype(std::declval<Record>().*Key)>;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  Record* find(const KeyType& key) {
    const auto [block, at] = lower_bound(key);
    if (block == blocks_.size() || blocks_[block][at].*Key != key) return nullptr;
    return &blocks_[block][at];
  }
  const Record* find(const KeyType& key) const {
    return const_cast<SortedBlocks*>(this)->find(key);
  }

  // False, and nothing changes, when the key is there already.
  bool insert(const Record& record) {
    if (blocks_.empty()) blocks_.emplace_back();
    const std::size_t block = block_for(record.*Key);
    auto& run = blocks_[block];
    const auto at = std::ranges::lower_bound(run, record.*Key, {}, Key);
    if (at != run.end() && (*at).*Key == record.*Key) return false;
    ++size_;
    if (run.size() < kMaxRun) {
      run.insert(at, record);
    } else if (at == run.end() && block + 1 == blocks_.size()) {
      // Ascending keys, as recovery brings them, leave full runs behind.
      blocks_.emplace_back().push_back(record);
    } else {
      split(block);
      --size_;
      return insert(record);
    }
    return true;
  }

  bool erase(const KeyType& key) {
    const auto [block, at] = lower_bound(key);
    if (block == blocks_.size() || blocks_[block][at].*Key != key) return false;
    auto& run = blocks_[block];
    run.erase(run.begin() + static_cast<std::ptrdiff_t>(at));
    if (run.empty()) blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(block));
    --size_;
    return true;
  }

  // Calls visit(record) in order from the first key >= `from` until it returns false.
  template <class Visit>
  void scan(const KeyType& from, Visit visit) const {
    auto [block, at] = lower_bound(from);
    for (; block < blocks_.size(); ++block, at = 0) {
      for (; at < blocks_[block].size(); ++at) {
        if (!visit(blocks_[block][at])) return;
      }
    }
  }

  void clear() {
    blocks_.clear();
    size_ = 0;
  }

 private:
  static constexpr std::size_t kMaxRun = 256;

  // The last run that begins at or before the key.
  std::size_t block_for(const KeyType& key) const {
    const auto after = std::ranges::upper_bound(blocks_, key, {}, [](const auto& run) -> KeyType {
      return run.empty() ? KeyType{} : run.front().*Key;
    });
    return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
  }

  // Block and place of the first record whose key is not less; {blocks_.size(), 0} if none.
  std::pair<std::size_t, std::size_t> lower_bound(const KeyType& key) const {
    if (blocks_.empty()) return {0, 0};
    const std::size_t block = block_for(key);
    const auto& run = blocks_[block];
    const auto at = std::ranges::lower_bound(run, key, {}, Key);
    if (at == run.end()) return {block + 1, 0};
    return {block, static_cast<std::size_t>(at - run.begin())};
  }

  void split(std::size_t block) {
    const auto middle = blocks_[block].begin() + static_cast<std::ptrdiff_t>(kMaxRun / 2);
    std::vector<Record> upper;
    upper.reserve(kMaxRun);
    upper.assign(middle, blocks_[block].end());
    blocks_[block].erase(middle, blocks_[block].end());
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(block) + 1, std::move(upper));
  }

  std::vector<std::vector<Record>> blocks_;
  std::size_t size_ = 0;
};

}  // namespace dunlin
