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
  return Table(*this).take(width);
}

std::string Table::take(std::size_t width) {
  const bool is_first = widths_.empty();
  for (const std::string& heading : headings_) {
    if (is_first) widths_.push_back(utf8_count(heading));
  }
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths_[i] = std::max(widths_[i], utf8_count(row[i]));
    }
  }
  std::string text;
  if (is_first) add_line(headings_, width, text);
  for (const auto& row : rows_) add_line(row, width, text);
  rows_.clear();
  return text;
}

void Table::add_line(const std::vector<std::string>& cells, std::size_t width,
                     std::string& text) const {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += "  ";
    const std::size_t padding = widths_[i] - utf8_count(cells[i]);
    if (is_right_[i]) line.append(padding, ' ');
    line += cells[i];
    if (!is_right_[i]) line.append(padding, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  text += (width == 0 ? line : cut(line, width)) + "\n";
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
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7F; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
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
