"""The one promise that takes a minute: no task runs on without a node that looks after it."""

import os
import time
import unittest

from dunlin_cluster import ClusterTest, wait_for


class Unattended(ClusterTest):
    nodes = 1

    def test_tasks_of_a_node_process_that_does_not_come_back_are_gone_within_a_minute(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--", "sh", "-c",
                           "trap '' TERM; setsid sleep 999 & echo $$ $!; wait").strip()
        pids = wait_for("its pids", lambda: cluster.good("logs", job).split())
        cluster.script("crash", "1")
        died = time.monotonic()
        self.assertTrue(all(os.path.exists(f"/proc/{pid}") for pid in pids))
        wait_for("their end", lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 62)
        self.assertGreater(time.monotonic() - died, 30)


if __name__ == "__main__":
    unittest.main()
