"""A cluster of real processes on 127.x.y.z for one test, driven by scripts/cluster.

Everything waits for conditions with a bound, never for luck; down() leaves nothing behind.
"""

import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

HOME = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("DUNLIN_BIN", str(HOME / "build" / "dunlin"))

# Of all tests of a file: ctest's own limit, a little above, would leave the nodes running.
SECONDS = 180
STARTED = time.monotonic()


def wait_for(what, condition, seconds=30.0):
    """The first true value of `condition`, asked again and again; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Cluster:
    def __init__(self, nodes, up=""):
        self.root = tempfile.mkdtemp(prefix="dunlin-e2e.")
        self.env = dict(os.environ)
        self.env.update(
            DUNLIN_BIN=PROGRAM,
            DUNLIN_CLUSTER=self.root + "/cluster",
            # A network of its own: tests run beside each other.
            DUNLIN_NET=f"127.{random.randint(1, 250)}.{random.randint(0, 250)}",
            DUNLIN_UP=up,
        )
        self.dead = set()
        self.nodes = nodes
        try:
            self.script("up", str(nodes))
        except BaseException:
            self.down()
            raise

    def script(self, *words):
        done = subprocess.run(
            [str(HOME / "scripts" / "cluster"), *words],
            env=self.env, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise AssertionError(f"cluster {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def down(self):
        try:
            self.script("down")
        finally:
            shutil.rmtree(self.root, ignore_errors=True)

    def dir(self, node):
        return pathlib.Path(self.env["DUNLIN_CLUSTER"]) / f"n{node}"

    def command(self, node=1):
        """Asked of that node, or of the first of several that answers."""
        nodes = node if isinstance(node, tuple) else (node,)
        return [PROGRAM, "--server", ",".join(str(self.dir(n) / "api.sock") for n in nodes)]

    def run(self, *words, node=1, timeout=60, stdin=""):
        """One command of the program, asked of that node."""
        return subprocess.run([*self.command(node), *words], capture_output=True, text=True,
                              timeout=timeout, input=stdin)

    def start(self, *words, node=1):
        """The same, without waiting for its end."""
        return subprocess.Popen([*self.command(node), *words], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def api(self, method, target, body=None, node=1):
        """One request to the node's API, for what the program has no command for."""
        connection = http.client.HTTPConnection("dunlin", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(20)
        connection.sock.connect(str(self.dir(node) / "api.sock"))
        try:
            connection.request(method, target, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise AssertionError(f"{method} {target}: {answer.status} {text}")
            return json.loads(text)
        finally:
            connection.close()

    def good(self, *words, **options):
        done = self.run(*words, **options)
        if done.returncode != 0:
            raise AssertionError(f"dunlin {' '.join(words)}: {done.returncode} {done.stderr}")
        return done.stdout

    def json(self, *words, **options):
        return json.loads(self.good(*words, "--json", **options))

    def try_json(self, *words, **options):
        done = self.run(*words, "--json", **options)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def id_of(self, node):
        return (self.dir(node) / "ready").read_text().split()[1]

    def node_of(self, identity):
        for node in range(1, self.nodes + 1):
            if self.id_of(node) == identity:
                return node
        raise AssertionError(f"no node has the id {identity}")

    def kill(self, node):
        self.script("kill", str(node))
        self.dead.add(node)

    def restart(self, *nodes):
        self.script("restart", *map(str, nodes))
        self.dead.difference_update(nodes)

    def survivor(self):
        return next(n for n in range(1, self.nodes + 1) if n not in self.dead)

    def await_spare(self, hosts=1):
        """Until any so many hosts may be lost."""
        def healthy():
            status = self.try_json("status", node=self.survivor())
            return status and status["can_lose"] >= hosts
        wait_for(f"a cluster that can lose {hosts}", healthy, 60)


class ClusterTest(unittest.TestCase):
    nodes = 3
    options = "--cpus 2"

    def setUp(self):
        def on_alarm(*_):
            raise AssertionError(f"the tests of this file are not over within {SECONDS} s")
        signal.signal(signal.SIGALRM, on_alarm)
        signal.alarm(max(1, int(STARTED + SECONDS - time.monotonic())))
        self.addCleanup(signal.alarm, 0)
        self.cluster = Cluster(self.nodes, self.options)
        self.addCleanup(self.cluster.down)
        if self.nodes >= 3:
            self.cluster.await_spare()
