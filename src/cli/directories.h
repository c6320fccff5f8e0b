// Directories and paths of this host, as the commands name them.
#pragma once

#include <string>

namespace dunlin {

// "." when the system does not know it.
std::string current_directory();
// Below the current directory, unless it is absolute.
std::string absolute_path(const std::string& path);
// $HOME, else the account's.
std::string home_directory();

// "c" of "a/b/c".
std::string last_part(const std::string& path);
// Or a link to one.
bool is_regular_file(const std::string& path);

}  // namespace dunlin
