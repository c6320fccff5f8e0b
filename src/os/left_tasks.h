// What the tasks of an earlier life left in DIR/tasks: removed by the runner's owner when all is
// well, and here when there is no room to begin with.
#pragma once

#include <string>

namespace dunlin {

// For who has the node's directory. Ends the processes of a runner that is dead, and removes what
// the node made in DIR/tasks; does nothing while a runner lives, for that one watches the disk
// itself, or may live, and where DIR/tasks is a link.
void remove_left_tasks(const std::string& directory);

}  // namespace dunlin
