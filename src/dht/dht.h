// What other modules may include of src/dht: the ring (who is near), the groups (who agreed), and
// the way to a group's leader.
#pragma once

#include "dht/groups.h"
#include "dht/ring.h"
#include "dht/router.h"
