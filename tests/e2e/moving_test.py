"""A host that belongs to a cluster and is told to join another: refused with the command that moves
it, and moved by that command, which keeps what was there."""

import signal
import subprocess
import unittest

from dunlin_cluster import PROGRAM, Cluster, ClusterTest, wait_for


class Moving(ClusterTest):
    nodes = 1

    def setUp(self):
        super().setUp()
        self.other = Cluster(1, self.options)
        self.addCleanup(self.other.down)
        self.running = []
        self.addCleanup(self.end_all)
        self.there = (self.other.dir(1) / "ready").read_text().split()[3]
        self.token = self.other.dir(1) / "join-token"

    def join_address(self, cluster):
        return cluster.network.prefix + ".1:" + (cluster.dir(1).parent / "port").read_text().strip()

    def command(self, *words):
        """`up` on the first cluster's directory."""
        return [PROGRAM, "up", "--dir", str(self.cluster.dir(1)),
                "--listen", self.join_address(self.cluster),
                "--name", "mover", "--cpus", "2", *words]

    def refused(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def start(self, *words):
        """Its first line, and what it said by then."""
        log = self.cluster.dir(1) / "moved"
        with open(log, "w") as err:
            node = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, stderr=err,
                                    text=True)
        self.running.append(node)
        return node.stdout.readline().split(), log.read_text()

    def end_all(self):
        for node in self.running:
            if node.poll() is None:
                node.send_signal(signal.SIGTERM)
            node.wait(timeout=30)
            node.stdout.close()
        self.running.clear()

    def test_another_cluster_is_refused_and_the_hint_moves_the_host(self):
        join = "--join", self.join_address(self.other)
        # While a node runs on it, nothing of it is touched.
        said = self.refused("--reset", *join, "--token-file", str(self.token))
        self.assertIn(f"in use by process {self.cluster.pid_of(1)}", said)
        self.assertEqual(len(self.cluster.json("nodes")), 1)
        self.assertEqual(list(self.cluster.dir(1).glob("rotten-*")), [])
        self.cluster.script("stop", "1")

        for words in (join, (*join, "--token-file", str(self.token))):
            said = self.refused(*words)
            self.assertIn("belongs to cluster", said)
            self.assertIn(f"dunlin up --reset --dir {self.cluster.dir(1)} {' '.join(join)} "
                          "--token-file FILE", said)
        # Its own cluster is none other, be it that nobody answers there.
        ready, _ = self.start("--join", self.join_address(self.cluster))
        self.assertEqual(ready[1], self.cluster.id_of(1))
        self.end_all()

        ready, said = self.start("--reset", *join, "--token-file", str(self.token))
        self.assertEqual(ready[0], "ready", said)
        self.assertEqual(ready[3], self.there)
        self.assertNotEqual(ready[1], self.cluster.id_of(1))
        kept = self.cluster.dir(1) / "rotten-1"
        self.assertIn(str(kept), said)
        self.assertTrue((kept / "log.db").exists() and (kept / "join-token").exists())
        self.assertFalse((self.cluster.dir(1) / "join-token").exists())
        wait_for("both nodes", lambda: len(self.other.json("nodes")) == 2)
        # And it stays there without being told again.
        self.end_all()
        ready, _ = self.start()
        self.assertEqual(ready[3], self.there)


if __name__ == "__main__":
    unittest.main()
