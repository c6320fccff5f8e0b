"""One node on a disk of 256 MiB that tasks fill. In a mount namespace of this test's own."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from dunlin_cluster import PROGRAM, Network, birth, processes_with, wait_for

INSIDE = "DUNLIN_HAS_MOUNTS"
SIZE = 256 << 20


def fill(path):
    """Until not a byte more can be written."""
    piece = 1 << 20
    with open(path, "wb", buffering=0) as file:
        while piece > 0:
            try:
                file.write(b"x" * piece)
            except OSError:
                piece //= 2


class FullDiskTest(unittest.TestCase):
    def setUp(self):
        self.network = Network()
        self.root = tempfile.mkdtemp(prefix="dunlin-e2e.")
        self.disk = pathlib.Path(self.root) / "disk"
        self.disk.mkdir()
        self.sh("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "none", str(self.disk))
        self.dir = self.disk / "node"
        self.stderr = open(f"{self.root}/stderr", "w+", encoding="utf-8")
        self.node = None
        self.addCleanup(self.end)
        signal.signal(signal.SIGALRM, lambda *_: self.fail("not over within 120 s"))
        signal.alarm(120)

    def end(self):
        signal.alarm(0)
        if self.node and self.node.poll() is None:
            self.node.send_signal(signal.SIGCONT)
            self.node.terminate()
            self.node.wait(30)
        wait_for("the end of all", lambda: not processes_with(self.root))
        self.stderr.close()
        self.sh("umount", str(self.disk))
        os.rmdir(self.disk)
        os.unlink(f"{self.root}/stderr")
        os.rmdir(self.root)
        self.network.hold.close()

    def sh(self, *words):
        subprocess.run(words, check=True)

    def begin(self):
        return subprocess.Popen([PROGRAM, "up", "--dir", self.dir, "--cpus", "4",
                                 "--listen", f"{self.network.prefix}.1:7400"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=self.stderr, text=True)

    def up(self):
        self.node = self.begin()
        self.addCleanup(self.node.stdout.close)
        self.assertIn("ready", self.node.stdout.readline(), self.said())

    def said(self):
        self.stderr.seek(0)
        return self.stderr.read()

    def good(self, *words):
        done = subprocess.run([PROGRAM, "--server", self.dir / "api.sock", *words],
                              capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0, done.stderr + self.said())
        return done.stdout.strip()

    def submit(self, script):
        return self.good("submit", "--quiet", "--", "sh", "-c", script)

    def task(self, job):
        return json.loads(self.good("tasks", job, "--json"))[0]

    def free(self):
        about = os.statvfs(self.disk)
        return about.f_bavail * about.f_frsize

    def runner(self):
        lock = self.dir / "runner.lock"
        return lock.exists() and lock.read_text()

    def kill_host(self):
        """The host is gone: the node, then its runner and what that holds."""
        pid = int(wait_for("the runner", self.runner))
        self.node.kill()
        self.node.wait()
        os.kill(pid, signal.SIGKILL)
        wait_for("the runner's end", lambda: birth(pid) is None)

    def test_the_task_that_fills_the_disk_ends_and_the_node_goes_on(self):
        self.up()
        bystander = self.submit("echo here > small; sleep 1000")
        wait_for("the bystander", lambda: self.task(bystander)["state"] == "running")
        greedy = [self.submit("exec 2>/dev/null; while :; do cat /dev/zero >> large; done")
                  for _ in range(2)]
        for job in greedy:
            wait_for("its end", lambda job=job: self.task(job)["state"] == "failed", 60)
            self.assertEqual(self.task(job)["reason"], "disk")
            self.assertIn("this task held the most of it", self.good("explain", job))
        wait_for("room", lambda: self.free() > SIZE // 2)
        self.assertEqual(self.task(bystander)["state"], "running")
        self.assertIsNone(self.node.poll(), self.said())
        again = self.submit("true")
        self.good("wait", again)

    def test_room_comes_back_while_nobody_takes_the_output_of_who_filled_the_disk(self):
        self.up()
        job = self.submit("exec 2>/dev/null; touch ready; while [ ! -e go ]; do sleep 0.01; done; "
                          "cat /dev/zero & while :; do cat /dev/zero >> large; done")
        ready, = wait_for("the task", lambda: list((self.dir / "tasks").glob("*/ready")))
        self.node.send_signal(signal.SIGSTOP)
        (ready.parent / "go").touch()
        wait_for("its end", lambda: not ready.exists())
        wait_for("room", lambda: self.free() > SIZE // 2)
        self.node.send_signal(signal.SIGCONT)
        wait_for("its result", lambda: self.task(job)["state"] == "failed", 60)
        self.assertEqual(self.task(job)["reason"], "disk")
        self.assertIsNone(self.node.poll(), self.said())

    def test_a_task_that_says_all_that_it_keeps_ends_as_well(self):
        self.up()
        for _ in range(2):
            job = self.submit("exec 2>/dev/null; while :; do cat /dev/zero | tee -a large; done")
            wait_for("its end", lambda job=job: self.task(job)["state"] == "failed", 60)
            self.assertEqual(self.task(job)["reason"], "disk")
        self.assertIsNone(self.node.poll(), self.said())
        self.good("wait", self.submit("true"))

    def test_what_dead_tasks_left_goes_before_the_node_needs_room(self):
        self.up()
        self.good("wait", self.submit("true"))
        self.kill_host()
        left = self.dir / "tasks" / "77"
        (left / "deep").mkdir(parents=True)
        fill(left / "deep" / "large")
        self.assertEqual(self.free(), 0)
        self.up()
        self.assertFalse(left.exists())
        self.good("wait", self.submit("true"))

    def test_with_other_things_on_the_disk_the_reserve_lets_it_begin(self):
        self.up()
        wait_for("the reserve", lambda: (self.dir / "reserve").exists())
        self.kill_host()
        other = self.disk / "other"
        fill(other)
        self.up()
        self.assertFalse((self.dir / "reserve").exists())
        self.node.terminate()
        self.assertEqual(self.node.wait(30), 0, self.said())
        # Nothing is left to give up now, and one line says so.
        fill(self.disk / "more")
        before = len(self.said())
        begun = self.begin()
        self.addCleanup(begun.stdout.close)
        self.assertNotEqual(begun.wait(60), 0)
        last = self.said()[before:].splitlines()[-1]
        self.assertIn("full", last)
        other.unlink()
        self.up()
        self.good("wait", self.submit("true"))


if __name__ == "__main__":
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        spaces = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, __file__, *sys.argv[1:]])
    unittest.main()
