"""A cluster of real processes on 127.x.y.z for one test, driven by scripts/cluster.

Everything waits for conditions with a bound, never for luck. down() leaves nothing behind, and
fails where a process is left.
"""

import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

HOME = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("DUNLIN_BIN", str(HOME / "build" / "dunlin"))

# Of all tests of a file: ctest's own limit, a little above, would leave the nodes running.
SECONDS = int(os.environ.get("DUNLIN_E2E_SECONDS", "180"))
STARTED = time.monotonic()


def wait_for(what, condition, seconds=30.0, every=0.05):
    """The first true value of `condition`, asked again and again; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(every)


def let_pass(seconds, since):
    """For promises about time itself, and for nothing else: until so many seconds after `since`."""
    wait_for("the clock", lambda: time.monotonic() >= since + seconds, seconds + 60,
             every=min(seconds / 20, 0.05))


def mark():
    """A word that no other process has: not one of another test, nor of another run of this one."""
    return "mark" + uuid.uuid4().hex


def processes_with(word):
    """Ids of living processes that have the word in their command line or environment."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{entry}/{what}", "rb") as file:
                    if word.encode() in file.read():
                        found.append(int(entry))
                        break
            except OSError:
                pass
    return found


def control_groups(names):
    """Paths of the control groups that are called so."""
    return [os.path.join(above, name) for above, below, _ in os.walk("/sys/fs/cgroup")
            for name in below if name in names]


def birth(pid):
    """When a living process began, in ticks: with its id a name that is given once. None: gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


class Network:
    """The first three numbers of 254 addresses that no other test of this machine has meanwhile."""

    def __init__(self):
        for number in itertools.islice(itertools.count(os.getpid()), 60000):
            self.prefix = f"127.{1 + number // 251 % 250}.{number % 251}"
            self.hold = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                # A name without a file: the kernel frees it at the end of this process.
                self.hold.bind(f"\0dunlin-e2e-{self.prefix}")
                return
            except OSError:
                self.hold.close()
        raise AssertionError("no free network")


class Cluster:
    cluster_script = str(HOME / "scripts" / "cluster")

    def __init__(self, nodes, up=""):
        self.network = Network()
        self.root = tempfile.mkdtemp(prefix="dunlin-e2e.")
        os.chmod(self.root, 0o711)  # tasks of another account come through here
        self.env = dict(os.environ)
        self.env.update(
            DUNLIN_BIN=PROGRAM,
            DUNLIN_CLUSTER=self.root + "/cluster",
            DUNLIN_NET=self.network.prefix,  # of its own: tests run beside each other
            DUNLIN_UP=up,
        )
        self.env.pop("DUNLIN_PORT", None)
        self.dead = set()
        self.clients = []
        self.nodes = nodes
        try:
            self.script("up", str(nodes))
        except BaseException:
            self.down()
            raise

    def script(self, *words):
        done = subprocess.run(
            [self.cluster_script, *words],
            env=self.env, capture_output=True, text=True, timeout=90)
        if done.returncode != 0:
            raise AssertionError(f"cluster {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def down(self):
        """Fails, and leaves the directory for those who look, where a process is left."""
        for client in self.clients:
            if client.poll() is None:
                client.kill()
            client.communicate()
        groups = self.group_names()
        self.script("down")
        # Tasks too: where their node listens is in their environment. A runner takes a moment to see
        # that the client which was its node is gone.
        left = []

        def is_clean():
            left[:] = processes_with(self.root) + control_groups(groups)
            return not left

        try:
            wait_for("the end of them all", is_clean, 5)
        except AssertionError:
            raise AssertionError(
                f"these processes or control groups are left behind: {left}") from None
        shutil.rmtree(self.root)
        self.network.hold.close()

    def group_names(self):
        """What the runners of all nodes call their control groups."""
        directories = pathlib.Path(self.env["DUNLIN_CLUSTER"]).glob("n*")
        places = [directory.stat() for directory in directories]
        return {f"dunlin-{place.st_dev}-{place.st_ino}" for place in places}

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
        client = subprocess.Popen([*self.command(node), *words], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.clients.append(client)
        return client

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

    def pid_of(self, node):
        """The id of its process (of its node process, not of its runner)."""
        return int((self.dir(node) / "node.pid").read_text())

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
