// One life of a node's disk, journal and real storage on a loop of their own, writing batches
// whose content follows from their row number, so that any later life can check them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "dht/journal.h"
#include "os/loop_waker.h"
#include "os/storage.h"

namespace dunlin {

class StorageLife {
 public:
  StorageLife() {
    uv_loop_init(&loop_);
    waker_.emplace(&loop_);
  }
  ~StorageLife() { close(); }

  // Storage and journal agree to go on, or why not.
  Result<void> open(const std::string& directory, std::uint64_t reserve = 0) {
    auto storage = Storage::open(directory, reserve);
    if (!storage) return tl::unexpected(storage.error());
    storage_ = std::move(*storage);
    auto image = storage_->read_image();
    if (!image) return tl::unexpected(image.error());
    auto recovered = journal_.open(std::move(*image));
    if (!recovered) return tl::unexpected(recovered.error());
    recovered_ = std::move(*recovered);
    durable_ = journal_.last_row();
    storage_->start(&loop_, {[this](std::uint64_t row) { on_durable(row); },
                             [this](std::uint64_t id) { journal_.on_checkpoint(id); },
                             [this](const Ticket&, Result<Bytes> data) { data_ = std::move(data); },
                             [this](bool full) { full_ = full; }});
    return {};
  }

  void close() {
    if (loop_is_closed_) return;
    loop_is_closed_ = true;
    storage_.reset();
    waker_->close();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }

  // The next batch: a record, one of seven facts, 16 bytes of a pack; sometimes a trim.
  void write(std::size_t padding = 0) {
    Effects effects;
    const std::uint64_t row = effects.row = journal_.next_row();
    effects.append(Module::kGroups, record(row, padding));
    effects.put_fact("k/" + std::to_string(row % 7), to_bytes(std::to_string(row)));
    effects.file_writes.push_back({"packs/000001", row * 16, pack(row)});
    if (padding == 0 && row % 50 == 0) effects.trim_below = row - 40;
    storage_->submit(journal_.seal(effects));
  }
  void checkpoint(std::string_view value) {
    std::vector<KeyedChange> rows;
    for (int i = 0; i < 100; ++i) {
      rows.emplace_back("state/" + std::to_string(i), Bytes(100, static_cast<std::uint8_t>(i)));
    }
    rows.emplace_back("value", to_bytes(value));
    storage_->checkpoint(journal_.seal_checkpoint(std::move(rows)));
    turn_until([this] { return !journal_.checkpoint_in_flight(); });
  }
  // A disk that never gets so far ends the test program: it could not be closed either.
  template <class Condition>
  void turn_until(Condition is_so) {
    if (waker_->run_until(is_so)) return;
    std::fputs("the disk does not get on\n", stderr);
    std::abort();
  }
  void settle() {
    turn_until([this] { return durable_ == journal_.last_row(); });
  }
  void write_durably(int batches) {
    for (int i = 0; i < batches; ++i) {
      write();
      settle();
    }
  }
  Result<Bytes> read(const FileExtent& extent) {
    data_.reset();
    storage_->read_file(extent, {});
    turn_until([this] { return data_.has_value(); });
    return *data_;
  }

  // Everything up to `acknowledged` is there and as it was written.
  void check(std::uint64_t acknowledged) {
    const std::uint64_t last = recovered_.next_row - 1;
    EXPECT_GE(last, acknowledged);
    std::uint64_t expected = recovered_.records.empty() ? 1 : recovered_.records.front().row;
    for (const auto& found : recovered_.records) {
      EXPECT_EQ(found.row, expected++);
      const std::string text = "record " + std::to_string(found.row) + ".";
      EXPECT_EQ(to_text(found.data).substr(0, text.size()), text);
    }
    EXPECT_EQ(expected, last + 1);
    for (std::uint64_t row = last; row > 0 && row + 7 > last; --row) {
      EXPECT_EQ(to_text(recovered_.facts["k/" + std::to_string(row % 7)]), std::to_string(row));
    }
    for (std::uint64_t row = 1; row <= last; row += 1 + last / 20) {
      EXPECT_EQ(read({"packs/000001", row * 16, 16}), pack(row)) << row;
    }
  }

  // For a child process: writes for ever and reports each durable row as 8 bytes.
  [[noreturn]] void write_until_the_end(int report, std::size_t padding) {
    report_ = report;
    for (;;) {
      while (journal_.last_row() - durable_ < 20) write(padding);
      uv_run(&loop_, UV_RUN_ONCE);
    }
  }

  Storage& storage() { return *storage_; }
  Journal& journal() { return journal_; }
  const Recovered& recovered() const { return recovered_; }
  std::uint64_t durable() const { return durable_; }
  bool full() const { return full_; }

 private:
  static Bytes record(std::uint64_t row, std::size_t padding) {
    Bytes bytes = to_bytes("record " + std::to_string(row) + ".");
    bytes.resize(bytes.size() + padding);
    return bytes;
  }
  static Bytes pack(std::uint64_t row) {
    std::string text = "pack " + std::to_string(row);
    text.resize(16, '.');
    return to_bytes(text);
  }
  void on_durable(std::uint64_t row) {
    durable_ = row;
    journal_.on_durable(row);
    if (report_ >= 0) {
      const std::uint64_t message[2] = {row, full_ ? 1u : 0u};
      if (::write(report_, message, sizeof message) != sizeof message) ::_exit(1);
    }
  }

  uv_loop_t loop_;
  std::optional<LoopWaker> waker_;
  bool loop_is_closed_ = false;
  std::unique_ptr<Storage> storage_;
  Journal journal_;
  Recovered recovered_;
  std::optional<Result<Bytes>> data_;
  std::uint64_t durable_ = 0;
  bool full_ = false;
  int report_ = -1;
};

}  // namespace dunlin
