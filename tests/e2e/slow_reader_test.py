"""A client that reads output slower than it comes."""

import os
import subprocess
import unittest

from dunlin_cluster import ClusterTest

MIB = 1024 * 1024


def resident(pid):
    """Bytes of a process's memory that are in use."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Readers(ClusterTest):
    def test_a_slow_reader_gets_all_and_the_node_keeps_little_of_it(self):
        cluster = self.cluster
        job = cluster.good("submit", "--log-limit", "100M", "--", "sh", "-c",
                           "head -c 48M /dev/zero | tr '\\0' x; echo end").strip()
        cluster.good("wait", job, timeout=120)
        reader = subprocess.Popen([*cluster.command(2), "logs", job], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, bufsize=0)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.addCleanup(reader.stdout.close)
        read = len(reader.stdout.read(MIB // 16))
        # Others are served meanwhile, by the same node, and what it buffers does not grow.
        for _ in range(5):
            self.assertEqual(cluster.good("run", "--", "echo", "by the way", node=2),
                             "by the way\n")
            self.assertLess(resident(cluster.pid_of(2)), 64 * MIB)
        last = b""
        while piece := reader.stdout.read(MIB):
            read += len(piece)
            last = (last + piece)[-4:]
        self.assertEqual((read, last), (48 * MIB + 4, b"end\n"))
        self.assertEqual(reader.wait(), 0)


if __name__ == "__main__":
    unittest.main()
