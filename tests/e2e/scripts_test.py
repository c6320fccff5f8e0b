"""The scripts that the other tests, and people, rely on: what they refuse, and that checks fire."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from dunlin_cluster import HOME, PROGRAM, Cluster, birth


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


class Checks(unittest.TestCase):
    """Each rule of check_style and check_layers, broken in a tree of a few lines."""

    TREE = {
        **{f"src/{layer}/x.h": "#pragma once\n" for layer in
           ("base", "gossip", "dht", "store", "sched", "node", "os", "cli")},
        **{f"src/{module}/{module}.h": f'#include "{module}/x.h"\n' for module in
           ("gossip", "dht", "store", "sched")},
        "src/base/crypto.cpp": "#include <sodium.h>\n",
        "src/base/time.cpp": "#include <ctime>\n",
        "src/dht/journal.h": "#include <unordered_map>\n",
        "src/dht/inner.h": "",
        "src/node/x.cpp": '#include "dht/dht.h"\n#include "dht/journal.h"\n#include "sched/x.h"\n',
        "src/os/x.cpp": '#include <uv.h>\n#include <thread>\n#include "node/x.h"\n',
        "tests/os/x_test.cpp": "  const bool is_root = geteuid() == 0;\n  return is_root;\n",
        "tests/e2e/dunlin_cluster.py": "import time\ntime.sleep(every)\n",
        "tests/e2e/x_test.py": "import time\nlet_pass(5, time.monotonic())\n",
    }

    BREACHES = [
        ("check_style", "src/os/long.cpp", "//\n" * 601),
        ("check_style", "src/os/later.cpp", "// TODO\n"),
        ("check_style", "tests/os/y_test.cpp", "  GTEST_SKIP();\n"),
        ("check_style", "tests/os/y_test.cpp", "TEST(X, DISABLED_Y) {}\n"),
        ("check_style", "tests/e2e/y_test.py", "    @unittest.skip('some day')\n"),
        ("check_style", "tests/e2e/y_test.py", "    @unittest.skipUnless(os.geteuid() == 0, '')\n"),
        ("check_style", "tests/e2e/y_test.py", "        self.skipTest('not here')\n"),
        ("check_style", "tests/e2e/y_test.py", "    @unittest.expectedFailure\n"),
        ("check_style", "tests/os/y_test.cpp", "  if (::geteuid() != 0) return;\n"),
        ("check_style", "tests/os/y_test.cpp", "  if (getuid() != 0) {\n    return;\n  }\n"),
        ("check_style", "tests/e2e/y_test.py", "        if os.geteuid() != 0:\n            return\n"),
        ("check_style", "tests/os/y_test.cpp", "  std::this_thread::sleep_for(1s);\n"),
        ("check_style", "tests/os/y_test.cpp", "  ::usleep(1000);\n"),
        ("check_style", "tests/os/y_test.cpp", "  ::sleep(1);\n"),
        ("check_style", "tests/e2e/y_test.py", "        time.sleep(0.5)\n"),
        ("check_style", "tests/e2e/y_test.py", "from time import sleep\n"),
        ("check_style", "tests/e2e/dunlin_cluster.py", "time.sleep(every)\ntime.sleep(5)\n"),
        ("check_layers", "src/gossip/y.cpp", '#include "dht/dht.h"\n'),
        ("check_layers", "src/os/y.cpp", '#include "cli/x.h"\n'),
        ("check_layers", "src/base/y.cpp", '#include "elsewhere/x.h"\n'),
        ("check_layers", "src/node/y.cpp", '#include "dht/inner.h"\n'),
        ("check_layers", "src/cli/y.cpp", '#include "gossip/y.h"\n'),
        *[("check_layers", "src/sched/y.cpp", f"#include <{header}>\n") for header in (
            "uv.h", "thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic",
            "chrono", "random", "ctime", "time.h", "fstream", "filesystem", "unistd.h", "sys/socket.h",
            "sqlite3.h", "iostream", "unordered_map", "unordered_set")],
        ("check_layers", "src/base/y.cpp", "#include <ctime>\n"),
        ("check_layers", "src/dht/y.h", "#include <unordered_map>\n"),
        ("check_layers", "src/dht/journal.cpp", "  for (auto& each : checksums_) {\n"),
        ("check_layers", "src/node/y.cpp", "  std::chrono::steady_clock::now();\n"),
        ("check_layers", "src/base/y.cpp", "#include <sodium.h>\n"),
        ("check_layers", "src/cli/y.cpp", "#include <uv.h>\n"),
    ]

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dunlin-checks."))
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in self.TREE.items():
            self.write(path, text)
        shutil.copytree(HOME / "scripts", self.root / "scripts")
        self.git("init", "--quiet")

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, timeout=20)

    def check(self, script):
        self.git("add", "--all")
        return subprocess.run([self.root / "scripts" / script], capture_output=True, text=True,
                              timeout=20)

    def test_a_tree_without_a_breach_passes(self):
        for script in ("check_style", "check_layers"):
            done = self.check(script)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_each_breach_is_found_and_named(self):
        for script, path, text in self.BREACHES:
            with self.subTest(path=path, text=text[:60]):
                before = self.TREE.get(path)
                self.write(path, text)
                done = self.check(script)
                self.assertEqual(done.returncode, 1)
                self.assertIn(path, done.stderr)
                if before is None:
                    (self.root / path).unlink()
                else:
                    self.write(path, before)


if __name__ == "__main__":
    unittest.main()
