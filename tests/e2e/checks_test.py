"""That the checks of the tree can fail: each of their rules is broken once."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

HOME = pathlib.Path(__file__).resolve().parents[2]


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
        ("check_style", "tests/e2e/y_test.py", "    if os.geteuid() != 0:\n        return\n"),
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
        ("check_layers", "src/base/y.cpp", "#include <ctime>\n"),
        ("check_layers", "src/dht/y.h", "#include <unordered_map>\n"),
        ("check_layers", "src/dht/journal.cpp", "  for (auto& each : checksums_) {\n"),
        ("check_layers", "src/node/y.cpp", "  std::chrono::steady_clock::now();\n"),
        ("check_layers", "src/base/y.cpp", "#include <sodium.h>\n"),
        ("check_layers", "src/cli/y.cpp", "#include <uv.h>\n"),
    ]

    WORLD = ["uv.h", "thread", "mutex", "shared_mutex", "condition_variable", "future", "atomic",
             "chrono", "random", "ctime", "time.h", "fstream", "filesystem", "unistd.h", "fcntl.h",
             "sys/socket.h", "sqlite3.h", "iostream", "unordered_map", "unordered_set"]

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

    def test_this_tree_has_no_breach(self):
        for script in ("check_style", "check_layers"):
            done = subprocess.run([HOME / "scripts" / script], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_each_header_of_the_outside_world_is_found(self):
        self.write("src/sched/y.cpp", "".join(f"#include <{header}>\n" for header in self.WORLD))
        done = self.check("check_layers")
        self.assertEqual(done.returncode, 1)
        for number, header in enumerate(self.WORLD, 1):
            self.assertIn(f"src/sched/y.cpp:{number}:#include <{header}>\n", done.stderr)

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
