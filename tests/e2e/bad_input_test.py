"""What a node says to those who have no business with it, or err."""

import subprocess
import unittest

from dunlin_cluster import PROGRAM, ClusterTest


class BadInput(ClusterTest):
    nodes = 1

    def up(self, *words, timeout=15):
        return subprocess.run([PROGRAM, "up", *words], capture_output=True, text=True,
                              timeout=timeout)

    def refused(self, done, code, words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_tokens_that_do_not_fit(self):
        cluster = self.cluster
        address = (cluster.dir(1) / "ready").read_text().split()[2]
        place = ["--listen", cluster.env["DUNLIN_NET"] + ".9:" + address.split(":")[1], "--join",
                 address]
        def stranger(name, token):
            return self.up("--dir", f"{cluster.root}/{name}", *place, "--token", token)
        good = (cluster.dir(1) / "join-token").read_text().strip()
        self.refused(stranger("a", "dun1-nonsense"), 2, "token")
        parts = good.split("-")
        other_secret = "-".join(parts[:3] + [parts[3][::-1]])
        done = stranger("b", other_secret)
        self.assertNotEqual(done.returncode, 0)
        unknown = "-".join(parts[:2] + ["0000000000000", parts[3]])
        done = stranger("c", unknown)
        self.assertEqual(done.returncode, 5, done.stderr)

    def test_a_directory_or_a_port_in_use(self):
        cluster = self.cluster
        address = (cluster.dir(1) / "ready").read_text().split()[2]
        self.refused(self.up("--dir", str(cluster.dir(1)), "--listen", address), 5, "in use")
        self.refused(self.up("--dir", cluster.root + "/other", "--listen", address), 1, "listen")

    def test_no_node_at_the_socket(self):
        done = subprocess.run([PROGRAM, "--server", "/nonexistent/api.sock", "jobs"],
                              capture_output=True, text=True, timeout=15)
        self.refused(done, 3, "no node answers")


if __name__ == "__main__":
    unittest.main()
