"""The script that the other tests, and people, rely on: what it refuses, and what it leaves."""

import os
import shutil
import subprocess
import tempfile
import unittest

from dunlin_cluster import PROGRAM, Cluster, birth


class ClusterScript(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="dunlin-e2e.")
        self.addCleanup(shutil.rmtree, self.root)
        self.addCleanup(self.script, "down")

    def script(self, *words):
        return subprocess.run([Cluster.cluster_script, *words], capture_output=True, text=True,
                              timeout=20, env={**os.environ, "DUNLIN_BIN": PROGRAM,
                                   "DUNLIN_CLUSTER": self.root + "/cluster"})

    def test_what_cannot_be_done_is_one_line_and_exit_2(self):
        for words, why in ((("up", "0"), "1 to 254"), (("up", "abc"), "1 to 254"),
                           (("up", "-1"), "1 to 254"), (("up", "255"), "1 to 254"),
                           (("up", ""), "1 to 254"), (("add",), "no cluster"),
                           (("status",), "no cluster"), (("kill", "1"), "no cluster"),
                           (("socket",), "no cluster"), (("restart",), "which"),
                           (("frobnicate",), "frobnicate")):
            done = self.script(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(why, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertFalse(os.path.exists(self.root + "/cluster"), words)

    def test_help_shows_every_line_of_it(self):
        done = self.script("help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        words = ["up N", "add", "status", "kill I", "crash I", "stop I", "restart I", "pause I",
                 "continue I", "logs I", "socket I", "down", "DUNLIN_BIN", "DUNLIN_CLUSTER",
                 "DUNLIN_NET", "DUNLIN_PORT", "DUNLIN_UP"]
        self.assertEqual([word for word in words if word not in done.stdout], [])
        self.assertNotIn("set -e", done.stdout)
        bare = self.script()
        self.assertEqual((bare.returncode, bare.stdout, bare.stderr), (2, "", done.stdout))

    def test_down_that_cannot_end_a_process_says_so_and_keeps_the_directory(self):
        cluster = Cluster(1)
        self.addCleanup(cluster.down)
        pid = cluster.pid_of(1)
        born = birth(pid)
        # As a process that no signal reaches: bash takes these functions for its own commands.
        stubs = {f"BASH_FUNC_{name}%%": "() { :; }" for name in ("kill", "sleep")}
        done = subprocess.run([cluster.cluster_script, "down"], env={**cluster.env, **stubs},
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"\Acluster: these nodes do not end: 1; .*\n\Z")
        self.assertTrue((cluster.dir(1) / "log.db").exists())
        self.assertEqual(birth(pid), born)
        # The process that the tests' own down() overlooks is a failure of the test too.
        stray = subprocess.Popen(["sleep", "99999"], env={"DUNLIN_SERVER": cluster.root})
        try:
            with self.assertRaisesRegex(AssertionError, f"left behind: .{stray.pid}"):
                cluster.down()
        finally:
            stray.kill()
            stray.wait()


if __name__ == "__main__":
    unittest.main()
