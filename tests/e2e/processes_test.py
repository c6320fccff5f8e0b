"""A host that has no process left for a task."""

import pathlib
import pwd
import resource
import unittest

from dunlin_cluster import ClusterTest, wait_for


def processes_of(account):
    number = pwd.getpwnam(account).pw_uid
    count = 0
    for entry in pathlib.Path("/proc").iterdir():
        try:
            count += entry.name.isdigit() and entry.stat().st_uid == number
        except FileNotFoundError:
            pass
    return count


class Processes(ClusterTest):
    """Of an account that may have few: what cannot be started there now is started later."""
    nodes = 1
    options = "--cpus 8 --run-as nobody"

    def setUp(self):
        before = resource.getrlimit(resource.RLIMIT_NPROC)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NPROC, before)
        # Binds tasks alone: of root's own processes none is counted.
        resource.setrlimit(resource.RLIMIT_NPROC, (processes_of("nobody") + 3, before[1]))
        super().setUp()

    def test_tasks_wait_for_processes(self):
        cluster = self.cluster
        job = cluster.good("submit", "--array", "1-8", "--", "sleep", "1").strip()

        def reason():
            said = cluster.json("explain", job)["nodes"]
            return said and "could not start a process" in (said[0]["detail"] or "")
        wait_for("explain to say what is lacking", reason)
        cluster.good("wait", job)
        self.assertEqual(cluster.json("show", job)["tasks"]["done"], 8)


if __name__ == "__main__":
    unittest.main()
