// Tables for people: columns as wide as they must be, never cut off a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

class Table {
 public:
  // A heading that begins with '>' makes a column of figures, set flush right.
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<std::string> cells);
  // `width` 0: nothing is cut; else lines are cut to so many characters.
  std::string text(std::size_t width) const;
  // What was added since the last call, the first time with the headings: for tables that are
  // printed as they come. Columns only grow wider.
  std::string take(std::size_t width);

 private:
  void add_line(const std::vector<std::string>& cells, std::size_t width, std::string& text) const;

  std::vector<std::string> headings_;
  std::vector<bool> is_right_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;  // of what was taken
};

// Columns of the terminal on stdout; 0 when it is none.
std::size_t terminal_width();

// "NAME  VALUE" of a page about one thing, the values one below the other; no line for an empty
// one.
void add_line(std::string& page, const std::string& name, const std::string& value);

// What would move the cursor or change colours on a terminal is shown as '?'.
std::string printable(std::string_view text);

}  // namespace dunlin
