"""A host's clock that jumps."""

import os
import pathlib
import subprocess
import unittest

from dunlin_cluster import ClusterTest

# In the place of libc's: the wall clock of one node, moved by as many seconds as a file says.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec* time) {
  static int (*own)(clockid_t, struct timespec*);
  if (own == NULL) own = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const int result = own(clock, time);
  if (clock != CLOCK_REALTIME) return result;
  FILE* file = fopen(getenv("CLOCK_OFFSET"), "r");
  long offset = 0;
  if (file != NULL) {
    if (fscanf(file, "%ld", &offset) != 1) offset = 0;
    fclose(file);
  }
  time->tv_sec += offset;
  return result;
}
"""


class Clocks(ClusterTest):
    def test_a_clock_that_jumps_disturbs_nothing(self):
        cluster = self.cluster
        root = pathlib.Path(cluster.root)
        (root / "clock.c").write_text(CLOCK)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", root / "clock.so", root / "clock.c"],
                       check=True)
        offset = root / "offset"
        cluster.script("stop", "2")
        cluster.env.update(LD_PRELOAD=str(root / "clock.so"), CLOCK_OFFSET=str(offset))
        cluster.script("restart", "2")
        del cluster.env["LD_PRELOAD"]
        cluster.await_spare()
        maps = pathlib.Path(f"/proc/{cluster.pid_of(2)}/maps").read_text()
        self.assertIn("clock.so", maps)
        long = cluster.good("submit", "--array", "1-6", "--", "sleep", "8").strip()
        for seconds in (86400, -86400, 0):
            (root / "next").write_text(str(seconds))
            os.replace(root / "next", offset)
            for node in (1, 2, 3):
                self.assertEqual(cluster.good("run", "--", "echo", "here", node=node), "here\n")
        cluster.good("wait", long)
        for task in cluster.json("tasks", long):
            self.assertEqual((task["state"], task["attempt"]), ("done", 1))
            self.assertGreaterEqual(task["duration_ms"], 0)
        cluster.await_spare()
        # Of the hosts nobody was taken for dead, nor took anybody for it.
        self.assertEqual({node["state"] for node in cluster.json("nodes")}, {"alive"})


if __name__ == "__main__":
    unittest.main()
