"""The one promise that takes a minute: no task runs on without a node that looks after it."""

import time
import unittest

from dunlin_cluster import ClusterTest, birth, let_pass, wait_for


class Unattended(ClusterTest):
    nodes = 1

    def test_tasks_of_a_node_process_that_does_not_come_back_are_gone_within_a_minute(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--", "sh", "-c",
                           "trap '' TERM; setsid sleep 999 & echo $$ $!; wait").strip()
        pids = wait_for("its pids", lambda: cluster.good("logs", job).split())
        self.assertEqual(len(pids), 2)
        born = [birth(pid) for pid in pids]
        self.assertNotIn(None, born)
        cluster.script("crash", "1")
        died = time.monotonic()
        # The minute is the node's: whoever starts it again within it finds its tasks.
        let_pass(45, died)
        self.assertEqual([birth(pid) for pid in pids], born)
        wait_for("their end", lambda: [birth(pid) for pid in pids] == [None, None],
                 died + 65 - time.monotonic())


if __name__ == "__main__":
    unittest.main()
