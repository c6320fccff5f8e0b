"""`dunlin up --unit`: systemd takes what is printed, and a node starts by it."""

import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

from dunlin_cluster import PROGRAM, Network


TOKEN = "-".join(("dun1", "0" * 26, "0" * 13, "0" * 26))


class Unit(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dunlin-e2e."))
        self.addCleanup(shutil.rmtree, self.place)

    def unit(self, *words):
        done = subprocess.run([PROGRAM, "up", "--unit", *words], capture_output=True, text=True,
                              timeout=30, cwd=self.place)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def verify(self, unit):
        file = self.place / "dunlin-e2e.service"
        file.write_text(unit)
        return subprocess.run(["systemd-analyze", "verify", "--man=no", str(file)],
                              capture_output=True, text=True, timeout=60)

    def test_systemd_has_nothing_to_say_about_it(self):
        for words in ((), ("--dir", "d"), ("--keep-tasks", "--run-as", "nobody"),
                      ("--dir", "odd %i dir", "--zone", 'a "b" $HOME %n ; \\x', "--label", "k=ö"),
                      ("--dir", "d", "--join", "10.0.0.1:7400", "--token", TOKEN)):
            unit = self.unit(*words)
            done = self.verify(unit)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), unit)
            self.assertNotIn(TOKEN, unit)

    def test_systemd_would_complain_of_a_wrong_one(self):
        unit = self.unit().replace("KillMode=process", "KillMode=sometimes")
        done = self.verify(unit)
        self.assertNotEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_a_node_starts_by_it(self):
        network = Network()
        unit = self.unit("--dir", "node dir", "--listen", network.prefix + ".1:17400", "--zone",
                         "a b", "--cpus", "1", "--name", "unit")
        line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
        node = subprocess.Popen(shlex.split(line.removeprefix("ExecStart=")), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(node.stdout.readline().split()[0], "ready")
            nodes = subprocess.run([PROGRAM, "--server", str(self.place / "node dir" / "api.sock"),
                                    "nodes", "--json"], capture_output=True, text=True, timeout=30)
            self.assertIn('"zone":"a b"', nodes.stdout)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(timeout=30)
            node.stdout.close()
            network.hold.close()


if __name__ == "__main__":
    unittest.main()
