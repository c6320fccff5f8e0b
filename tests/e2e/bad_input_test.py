"""What a node says to those who have no business with it, or err."""

import itertools
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from dunlin_cluster import PROGRAM, ClusterTest, let_pass, wait_for


def spoilt(token):
    """The same token with another secret, still well-formed."""
    head, secret = token.rsplit("-", 1)
    for place in range(len(secret)):
        swapped = secret[:place] + ("a" if secret[place] != "a" else "b") + secret[place + 1:]
        yield head + "-" + swapped


class BadInput(ClusterTest):
    nodes = 1

    def setUp(self):
        super().setUp()
        self.address = (self.cluster.dir(1) / "ready").read_text().split()[2]
        self.good = (self.cluster.dir(1) / "join-token").read_text().strip()
        self.next_host = 9

    def listen(self):
        self.next_host += 1
        return f"{self.cluster.env['DUNLIN_NET']}.{self.next_host}:{self.address.split(':')[1]}"

    def up(self, name, *words, timeout=15):
        return subprocess.run([PROGRAM, "up", "--dir", f"{self.cluster.root}/{name}", *words],
                              capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)

    def start(self, name, *words):
        process = subprocess.Popen(
            [PROGRAM, "up", "--dir", f"{self.cluster.root}/{name}", "--listen", self.listen(),
             *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL)

        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def join(self, name, token):
        return self.up(name, "--listen", self.listen(), "--join", self.address, "--token", token)

    def refused(self, done, code, words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_tokens_that_do_not_fit(self):
        self.refused(self.join("a", "dun1-nonsense"), 2, "token")
        wrong = next(done for done in (self.join("b", t) for t in spoilt(self.good))
                     if done.returncode != 2)
        self.refused(wrong, 5, "token")
        parts = self.good.split("-")
        self.refused(self.join("c", "-".join(parts[:2] + ["0" * 13, parts[3]])), 5, "token")
        late = self.cluster.good("token", "create", "--ttl", "1s").strip()
        let_pass(1.1, time.monotonic())
        self.assertNotEqual(late, self.cluster.good("token", "create").strip())
        self.refused(self.join("d", late), 5, "expired")
        once = self.cluster.good("token", "create").strip()
        first = self.start("e", "--join", self.address, "--token", once)
        self.assertIn("ready", first.stdout.readline())
        self.refused(self.join("f", once), 5, "used up")

    def test_another_clusters_node_and_directory(self):
        other = self.start("other")
        address, cluster = other.stdout.readline().split()[2:4]
        refused = self.up("a", "--listen", self.listen(), "--join", address, "--token", self.good)
        self.refused(refused, 5, "not of cluster")
        other.terminate()
        other.wait(timeout=20)
        self.refused(self.join("other", self.good), 5, "--reset")
        # The command that it names moves the host, and keeps what was there.
        moved = self.start("other", "--reset", "--join", self.address, "--token", self.good)
        ready = moved.stdout.readline().split()
        self.assertEqual(ready[0], "ready")
        self.assertNotEqual(ready[3], cluster)
        self.assertTrue(os.path.exists(f"{self.cluster.root}/other/rotten-1/log.db"))

    def test_a_directory_or_a_port_in_use(self):
        busy = subprocess.run([PROGRAM, "up", "--dir", str(self.cluster.dir(1)), "--listen",
                               self.listen()], capture_output=True, text=True, timeout=15)
        self.refused(busy, 5, "in use")
        self.refused(self.up("new", "--listen", self.address), 1, "another process uses this port")
        # Nothing was founded by it: the directory may still join.
        joined = self.start("new", "--join", self.address, "--token", self.good)
        self.assertIn("ready", joined.stdout.readline())

    def test_joining_nobody_says_what_it_tries_and_ends_when_told(self):
        nobody = self.listen()
        trying = self.start("a", "--join", nobody, "--token", self.good)
        line = trying.stderr.readline()
        self.assertIn(nobody, line)
        self.assertIn("again", line)
        with self.assertRaises(subprocess.TimeoutExpired):
            trying.wait(timeout=2.5)
        trying.terminate()
        rest = trying.communicate(timeout=5)
        self.assertEqual(rest, ("", ""))  # one line is enough for the same trouble

    def kill_at_birth(self, home, words, stage, stages):
        """Starts a node, kills it when it has got so far, and returns how far it had got."""
        first = subprocess.Popen([PROGRAM, "up", *words], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            wait_for(f"{stage} of {home.name}", lambda: (home / stage).exists() or
                     first.poll() is not None, every=0.0002)
        finally:
            first.kill()
            first.wait()
        self.assertEqual(first.returncode, -signal.SIGKILL, "it ended by itself")
        return max(at for at, each in enumerate(stages) if (home / each).exists())

    def test_a_node_killed_at_its_birth_comes_to_life_the_next_time(self):
        # What a start leaves behind it, in this order; each is a moment to be killed at.
        stages = ["lock", "log.db", "state.db", "witness", "identity", "runner.lock"]
        reached = {"founder": set(), "joiner": set()}
        for kind, stage in itertools.product(reached, stages):
            home = pathlib.Path(self.cluster.root, f"{kind}-{stage}")
            words = ["--dir", str(home), "--listen", self.listen(), "--name", home.name]
            if kind == "joiner":
                # One use: an admission that the joiner did not hear of must not cost it.
                token = self.cluster.good("token", "create").strip()
                words += ["--join", self.address, "--token", token]
            with self.subTest(kind=kind, stage=stage):
                reached[kind].add(self.kill_at_birth(home, words, stage, stages))
                again = subprocess.Popen([PROGRAM, "up", *words], stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True,
                                         stdin=subprocess.DEVNULL)
                patience = threading.Timer(15, again.kill)
                patience.start()
                said = again.stdout.readline()
                patience.cancel()
                again.terminate()
                rest = again.communicate(timeout=20)
                self.assertTrue(said.startswith("ready "), rest)
                if kind == "founder":
                    self.assertTrue((home / "join-token").read_text())
        # A kill may come a stage late, but they may not all have met the same moment.
        for kind, met in reached.items():
            self.assertGreaterEqual(len(met), 3, f"{kind}: only killed at {met}")

    def test_names_and_directories_that_do_not_fit(self):
        self.refused(self.up("long", "--listen", self.listen(), "--name", "n" * 5000), 2,
                     "at most 64")
        self.refused(self.up("twice", "--listen", self.listen(), "--name", "n1", "--join",
                             self.address, "--token", self.good), 5, "the name n1 is taken")
        os.makedirs(f"{self.cluster.root}/home/Documents")
        self.refused(self.up("home", "--listen", self.listen()), 5, "holds Documents/")
        self.refused(self.up("who", "--listen", self.listen(), "--run-as", "nobody-here"), 2,
                     "no user nobody-here")

    def test_down_returns_when_the_directory_is_free(self):
        for _ in range(5):
            self.cluster.good("down")
            again = subprocess.run([PROGRAM, "up", "--dir", str(self.cluster.dir(1)), "--listen",
                                    self.address, "--name", "n" * 65], capture_output=True,
                                   text=True, timeout=15, stdin=subprocess.DEVNULL)
            self.assertNotIn("in use", again.stderr)
            self.cluster.restart(1)

    def test_a_node_runs_its_own_users_job_as_that_user(self):
        self.assertEqual(self.cluster.good("run", "--", "id", "-u"), f"{os.geteuid()}\n")
        if os.geteuid() == 0:
            self.a_root_node_runs_no_other_users_job()

    def a_root_node_runs_no_other_users_job(self):
        root = pathlib.Path(self.cluster.root)
        program = shutil.copy(PROGRAM, root / "program")
        nobody = pwd.getpwnam("nobody")

        def asked_by_nobody(home):
            """Through the node's socket, which is opened to everybody."""
            for place in {root, home.parent, home}:
                os.chmod(place, 0o711)
            os.chmod(home / "api.sock", 0o666)
            return subprocess.run(
                [program, "--server", str(home / "api.sock"), "run", "--timeout", "3s", "--", "id",
                 "-u"], capture_output=True, text=True, timeout=30, user=nobody.pw_uid,
                group=nobody.pw_gid, extra_groups=[], cwd="/", stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
        refused = asked_by_nobody(self.cluster.dir(1))
        self.assertEqual((refused.stdout, refused.returncode), ("", 125), refused.stderr)
        self.assertIn("run tasks as root, which is for jobs of root alone", refused.stderr)
        self.assertIn("--run-as", refused.stderr)
        # A node that runs tasks as somebody takes the same job of the same user.
        everybodys = self.start("everybodys", "--run-as", "nobody")
        self.assertIn("ready", everybodys.stdout.readline())
        taken = asked_by_nobody(root / "everybodys")
        self.assertEqual((taken.stdout, taken.returncode), (f"{nobody.pw_uid}\n", 0), taken.stderr)

    def test_no_node_at_the_socket(self):
        done = subprocess.run([PROGRAM, "--server", "/nonexistent/api.sock", "jobs"],
                              capture_output=True, text=True, timeout=15)
        self.refused(done, 3, "no node answers")

    def test_noise_and_half_open_connections_on_every_port(self):
        noise = random.Random(7)
        host, port = self.address.split(":")
        path = str(self.cluster.dir(1) / "api.sock")

        def opened(family, place):
            one = socket.socket(family, socket.SOCK_STREAM)
            one.settimeout(10)
            one.connect(place)
            return one
        silent = [opened(socket.AF_INET, (host, int(port))) for _ in range(100)]
        silent += [opened(socket.AF_UNIX, path) for _ in range(100)]
        starts = [b"", b"GET / HTTP/1.1\r\n", b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                  b"\x00" * 64, b"\xff" * 4]
        for round in range(60):
            for family, place in ((socket.AF_INET, (host, int(port))), (socket.AF_UNIX, path)):
                with opened(family, place) as one:
                    try:
                        one.sendall(noise.choice(starts) + noise.randbytes(noise.randrange(3000)))
                    except OSError:
                        pass  # it may hang up on nonsense
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            for _ in range(500):
                one.sendto(noise.randbytes(noise.randrange(1400)), (host, int(port)))
        self.assertEqual(self.cluster.good("run", "--", "echo", "well"), "well\n")
        for one in silent:
            one.close()

    def test_a_torn_log_is_harmless_and_a_rotten_one_stops_the_node(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--", "echo", "kept").strip()
        cluster.good("wait", job)
        cluster.kill(1)
        log = cluster.dir(1) / "log.db-wal"
        with open(log, "ab") as file:
            file.write(b"half a frame")
        cluster.restart(1)
        wait_for("the job", lambda: cluster.run("logs", job).stdout == "kept\n")
        cluster.kill(1)
        data = bytearray(log.read_bytes())
        for at in range(len(data) // 2, len(data) // 2 + 4096):
            data[at] ^= 0x55
        log.write_bytes(data)
        done = subprocess.run([PROGRAM, "up", "--dir", str(cluster.dir(1)), "--listen",
                               self.address], capture_output=True, text=True, timeout=15)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "rotten|lost")
        self.assertIn("--reset", done.stderr.splitlines()[-1])
        again = subprocess.Popen([PROGRAM, "up", "--reset", "--dir", str(cluster.dir(1)),
                                  "--listen", self.address], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end, again)
        self.assertIn("ready", again.stdout.readline())


if __name__ == "__main__":
    unittest.main()
