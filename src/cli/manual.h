// The manual page, made of the tables that the program itself obeys, so that they cannot differ.
#pragma once

#include <string>

namespace dunlin {

// dunlin(1), for man: what `dunlin help --man` prints.
std::string manual_page();

}  // namespace dunlin
