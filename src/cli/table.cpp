#include "cli/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/assert.h"
#include "os/utf8.h"

namespace dunlin {

namespace {

std::string cut(std::string_view line, std::size_t width) {
  std::size_t bytes = 0;
  for (std::size_t shown = 0; shown < width && bytes < line.size(); ++shown) {
    bytes += std::max<std::size_t>(1, utf8_length(line.substr(bytes)));
  }
  return std::string(line.substr(0, bytes));
}

}  // namespace

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {
  for (std::string& heading : headings_) {
    is_right_.push_back(heading.starts_with('>'));
    if (is_right_.back()) heading.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> cells) {
  ASSERT(cells.size() == headings_.size());
  for (std::string& cell : cells) cell = printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const std::string& heading : headings_) widths.push_back(utf8_count(heading));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], utf8_count(row[i]));
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string padding(widths[i] - utf8_count(cells[i]), ' ');
      const bool is_last = i + 1 == cells.size();
      line += is_right_[i] ? padding + cells[i] : cells[i] + (is_last ? "" : padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (width == 0 ? line : cut(line, width)) + "\n";
  };
  add_line(headings_);
  for (const auto& row : rows_) add_line(row);
  return text;
}

std::size_t terminal_width() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

void add_line(std::string& page, const std::string& name, const std::string& value) {
  constexpr std::size_t kColumn = 12;
  if (value.empty()) return;
  const std::size_t blanks = name.size() < kColumn ? kColumn - name.size() : 1;
  page += name + std::string(blanks, ' ') + printable(value) + "\n";
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // C0, DEL, and C1 as UTF-8 writes it.
    const bool is_control =
        first < 0x20 || first == 0x7F ||
        (length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    if (length == 0 || is_control) {
      out += '?';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return out;
}

}  // namespace dunlin
