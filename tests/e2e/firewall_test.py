"""Firewalls between hosts, for real: network namespaces with rules that drop. A joiner that others
cannot reach back is told address, port and transport, and `doctor` says it too.

Needs root, ip (iproute2) and nft; the build leaves it out, and says so, where they are missing.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
import uuid

from dunlin_cluster import PROGRAM, wait_for

PORT = 7400


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """A network namespace on the bridge of the test, and the node in it."""

    def __init__(self, test, number):
        self.test, self.number = test, number
        self.name = f"{test.mark}{number}"
        self.address = f"10.77.0.{number}"
        self.dir = test.place / f"n{number}"
        self.log = test.place / f"n{number}.log"
        self.node = None
        ip("netns", "add", self.name)
        test.addCleanup(ip, "netns", "del", self.name)
        ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.name, "netns", test.switch)
        test.in_switch("link", "set", self.name, "master", "bridge", "up")
        self.ip("addr", "add", self.address + "/24", "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        ip("-n", self.name, *words)

    def drop(self, what):
        """Whatever comes in and is so, without an answer."""
        rules = ("add table inet f; add chain inet f in { type filter hook input priority 0; }; "
                 f"add rule inet f in {what} drop")
        subprocess.run(["ip", "netns", "exec", self.name, "nft", rules], check=True)

    def allow_all(self):
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "flush", "ruleset"], check=True)

    def up(self, *words):
        with open(self.log, "w") as err:
            self.node = subprocess.Popen(
                ["ip", "netns", "exec", self.name, PROGRAM, "up", "--dir", str(self.dir), "--name",
                 f"n{self.number}", "--cpus", "1", "--listen", f"0.0.0.0:{PORT}", *words],
                stdout=subprocess.PIPE, stderr=err, text=True)
        self.test.addCleanup(self.down)
        assert self.node.stdout.readline().startswith("ready "), self.log.read_text()

    def down(self):
        if self.node.poll() is None:
            self.node.send_signal(signal.SIGTERM)
        self.node.wait(timeout=60)
        self.node.stdout.close()

    def doctor(self):
        done = subprocess.run([PROGRAM, "--server", str(self.dir / "api.sock"), "doctor", "--json"],
                              capture_output=True, text=True, timeout=60)
        return {(f["code"], f["subject"]): f["message"] for f in json.loads(done.stdout)}

    def says(self, text, seconds=10):
        wait_for(f"'{text}' in {self.log.read_text()}",
                 lambda: text in self.log.read_text(), seconds)


class Firewall(unittest.TestCase):
    def setUp(self):
        self.mark = "dl" + uuid.uuid4().hex[:8]
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dunlin-e2e."))
        self.addCleanup(shutil.rmtree, self.place)
        self.switch = self.mark + "sw"
        ip("netns", "add", self.switch)
        self.addCleanup(ip, "netns", "del", self.switch)
        self.in_switch("link", "add", "bridge", "type", "bridge")
        self.in_switch("link", "set", "bridge", "up")
        self.founder, self.joiner = Host(self, 1), Host(self, 2)
        self.founder.up()

    def in_switch(self, *words):
        ip("-n", self.switch, *words)

    def join(self, *words):
        """From when on its ten seconds count."""
        self.joiner.up("--join", f"{self.founder.address}:{PORT}", "--token-file",
                       str(self.founder.dir / "join-token"), *words)

    def test_a_joiner_that_is_reached_is_told_nothing(self):
        self.join()
        wait_for("no finding of the network", lambda: not any(
            code in ("udp_blocked", "tcp_blocked") for code, _ in self.joiner.doctor()))
        self.assertNotIn("reach", self.joiner.log.read_text())
        self.assertNotIn("reach", self.founder.log.read_text())

    def test_tcp_that_is_dropped_is_said_with_address_and_port(self):
        self.joiner.drop(f"tcp dport {PORT}")
        self.join()
        self.joiner.says(f"others cannot reach this node by TCP at 10.77.0.2:{PORT}")
        self.assertNotIn("UDP", self.joiner.log.read_text())
        found = self.founder.doctor()
        self.assertIn(("tcp_blocked", "n2"), found)
        self.assertIn(f"n1 cannot connect to it at 10.77.0.2:{PORT}", found["tcp_blocked", "n2"])
        self.assertNotIn(("tcp_blocked", "n1"), found)
        self.assertNotIn(("udp_blocked", "n2"), found)
        self.joiner.allow_all()
        self.joiner.says("others reach this node now", 60)

    def test_udp_that_is_dropped_is_said_with_address_and_port(self):
        self.joiner.drop(f"udp dport {PORT}")
        self.join()
        self.joiner.says(f"others cannot reach this node by UDP at 10.77.0.2:{PORT}")
        self.assertNotIn("by TCP", self.joiner.log.read_text())
        found = self.founder.doctor()
        self.assertIn(("udp_blocked", "n2"), found)
        self.assertNotIn(("udp_blocked", "n1"), found)

    def test_an_address_where_another_answers_is_said(self):
        self.join("--advertise", f"{self.founder.address}:{PORT}")
        self.joiner.says(f"others cannot reach this node by TCP at {self.founder.address}:{PORT}")
        self.joiner.says("another node answers there")


if __name__ == "__main__":
    unittest.main()
