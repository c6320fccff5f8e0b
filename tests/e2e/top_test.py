"""`dunlin top` at a pseudo-terminal: what it shows, and that it leaves the terminal as it was."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import unittest

from dunlin_cluster import ClusterTest, wait_for

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Screen:
    """The terminal's other end; knows what is shown from the last drawing alone."""

    def __init__(self, test, *words, width=100, height=30):
        self.master, slave = pty.openpty()
        test.addCleanup(os.close, self.master)
        self.slave = slave
        test.addCleanup(os.close, slave)
        self.resize(width, height)
        self.before = termios.tcgetattr(slave)
        self.bytes = b""
        command = [*test.cluster.command(), "top", "--interval", "200ms", *words]
        # A session of its own, so that the terminal is its own, and stops reach it.
        self.top = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                                    start_new_session=True,
                                    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        test.addCleanup(self.end)

    def resize(self, width, height):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.bytes += os.read(self.master, 65536)
            except OSError:
                break

    def lines(self):
        """Of the last whole drawing."""
        self.read()
        drawings = [d for d in self.bytes.split(b"\x1b[H")[1:] if d.rstrip().endswith(b"\x1b[J")]
        if not drawings:
            return []
        text = re.sub(rb"\x1b\[\??[0-9;]*[A-Za-z]", b"", drawings[-1])
        # The terminal puts a carriage return of its own before each line feed.
        return [line.rstrip("\r") for line in text.decode().split("\n")]

    def shows(self, text):
        wait_for(f"'{text}' on the screen {self.lines()}",
                 lambda: any(text in line for line in self.lines()))

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self):
        if self.top.poll() is None:
            self.top.kill()
        self.top.wait()
        self.top.stderr.close()

    def ended(self, test, code):
        test.assertEqual(self.top.wait(timeout=20), code)
        self.read()
        test.assertEqual(termios.tcgetattr(self.slave), self.before)
        test.assertGreater(self.bytes.rfind(LEAVE), self.bytes.rfind(ENTER))
        test.assertGreater(self.bytes.rfind(SHOW), self.bytes.rfind(HIDE))
        test.assertEqual(self.top.stderr.read(), b"")


class Top(ClusterTest):
    nodes = 1

    def test_it_shows_the_cluster_follows_the_window_and_ends_by_q(self):
        job = self.cluster.good("submit", "--quiet", "-J", "shown", "--", "sleep", "600").strip()
        screen = Screen(self)
        for text in ("nodes: 1 alive", "n1", "shown", "running 1", "tasks/s 0.0"):
            screen.shows(text)
        self.assertTrue(screen.is_raw())
        self.assertIn(ENTER, screen.bytes)
        screen.resize(30, 8)
        wait_for("a smaller drawing", lambda: 0 < len(screen.lines()) <= 8 and all(
            len(line) <= 30 for line in screen.lines()))
        screen.resize(120, 40)
        screen.shows("TASKS/S")
        self.cluster.good("cancel", job)
        screen.shows("cancelled")
        os.write(screen.master, b"xq")
        screen.ended(self, 0)

    def test_whatever_ends_it_the_terminal_is_as_it_was(self):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            screen = Screen(self)
            screen.shows("nodes: 1 alive")
            screen.top.send_signal(how)
            screen.ended(self, 130)
        screen = Screen(self)
        screen.shows("nodes: 1 alive")
        os.write(screen.master, b"\x03")  # as typed
        screen.ended(self, 130)

    def test_stopped_it_gives_the_terminal_back_for_a_while(self):
        screen = Screen(self)
        screen.shows("nodes: 1 alive")
        screen.top.send_signal(signal.SIGTSTP)
        wait_for("the stop", lambda: "T" in self.state_of(screen.top.pid))
        self.assertEqual(termios.tcgetattr(screen.slave), screen.before)
        screen.read()
        self.assertGreater(screen.bytes.rfind(LEAVE), screen.bytes.rfind(ENTER))
        screen.bytes = b""
        screen.top.send_signal(signal.SIGCONT)
        screen.shows("nodes: 1 alive")
        self.assertTrue(screen.is_raw())
        os.write(screen.master, b"q")
        screen.ended(self, 0)

    def state_of(self, pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def test_while_nobody_answers_it_says_so_and_keys_are_heard(self):
        screen = Screen(self)
        screen.shows("nodes: 1 alive")
        self.cluster.script("pause", "1")
        try:
            os.write(screen.master, b"q")
            screen.ended(self, 0)
        finally:
            self.cluster.script("continue", "1")
        screen = Screen(self)
        screen.shows("nodes: 1 alive")
        self.cluster.script("stop", "1")
        screen.shows("no node answers")
        screen.shows("nodes: 1 alive")
        self.cluster.restart(1)
        wait_for("an answer", lambda: screen.lines() and not any(
            "no node answers" in line for line in screen.lines()))
        os.write(screen.master, b"q")
        screen.ended(self, 0)

    def test_off_a_terminal_it_is_printed_once(self):
        done = self.cluster.run("top")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        for text in ("nodes: 1 alive", "n1", "JOB"):
            self.assertIn(text, done.stdout)
        whole = json.loads(self.cluster.good("top", "--json"))
        self.assertEqual(len(whole["nodes"]), 1)
        self.assertEqual(whole["jobs"], [])
        self.assertEqual(self.cluster.run("top", "--interval", "1ms").returncode, 2)


if __name__ == "__main__":
    unittest.main()
