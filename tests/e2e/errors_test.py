"""docs/ERRORS.md: what the program says to whoever errs, taken down from real processes.

`scripts/errors` writes the page anew; the test here makes it again, and it must be the same. What is
run with `say` is shown as a person would have typed it. Ids, addresses, ports and paths are those of
the page, not of the day.
"""

import http.client
import os
import pathlib
import pwd
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import time
import unittest
import unittest.mock

from dunlin_cluster import HOME, PROGRAM, ClusterTest, let_pass, wait_for

PAGE = HOME / "docs" / "ERRORS.md"
HEAD = """# Errors

What is said to whoever errs, and the exit code. Every line here is taken down from real processes by `scripts/errors`, and a test makes the page again and compares.

Three hosts are a cluster: host1 to host3, on 192.0.2.1 to 192.0.2.3. An error is one line on stderr: what is wrong, with what, and what to do. With `--json` it is an object. Exit codes: 1 it failed · 2 wrong usage ·
3 no node reachable · 4 not found · 5 refused · 6 timed out · 7 the answer is incomplete; of `run` 124 time limit · 125 dunlin itself failed · 126, 127 cannot run, not found · else the command's own.
"""
FILES = {
    "hello.sh": "#!/bin/sh\necho hello\n",
    "plain.txt": "no program\n",
    "empty.txt": "",
    "object.json": '{"rate": 1}\n',
    "broken.json": "[1, 2\n",
    "million.txt": "".join(f"{n}\n" for n in range(1, 1_000_001)),
    "no_command.toml": 'name = "sweep"\n',
    "type.toml": 'command = ["./work", "{}"]\nentries = [1, 2]\ncpus = "two"\n',
    "key.toml": 'command = ["true"]\ncpu = 2\n',
    "value.toml": 'command = ["true"]\ntime = "90"\n',
    "syntax.toml": 'command = ["true"\ncpus = 2\n',
    "list.toml": 'command = ["true"]\nfile = [1]\n',
    "nodes.sh": "#!/bin/sh\n#SBATCH --job-name=a\n#SBATCH --nodes=2\ntrue\n",
    "mem.sh": "#!/bin/sh\n#SBATCH --mem=0\ntrue\n",
    "time.sh": "#!/bin/sh\n#SBATCH --time=1:2:3:4\ntrue\n",
    "unknown.sh": "#!/bin/sh\n#SBATCH --exclusive\ntrue\n",
    "gres.sh": "#!/bin/sh\n#SBATCH --gres=gpu:a100:2\ntrue\n",
    "dependency.sh": "#!/bin/sh\n#SBATCH --dependency=singleton\ntrue\n",
    "option.sh": "#!/bin/sh\n#DUNLIN --cpus 2 --mem lots\ntrue\n",
    "quote.sh": "#!/bin/sh\n#DUNLIN --name 'night\ntrue\n",
}
# Which host a task came to, what a host has, how long it took, who asked.
UNSTABLE = (
    (r"\bhost[123] (has no|cannot)", r"host2 \1"),
    (r"more than [0-9]+M$", "more than 64000M"),
    (r"by process [0-9]+", "by process 4711"),
    (r"\bgroup [0-9]+ did", "group 17 did"),
    (r": [0-9]+ groups have", ": 238 groups have"),
    (r"missing: host3, host2", "missing: host2, host3"),
    (r"^(time +)[0-9.]+m?s$", r"\g<1>5ms"),
    (r"^(user +)\S+$", r"\1root"),
    (r"^(coordinator +)\S+$", r"\1host1"),
    (r"\bjob [a-z][a-z0-9]{9} waits", "job k3v9x2m4pq waits"),
    (r"\bjob [a-z][a-z0-9]{9} within", "job k3v9x2m4pq within"),
    (r"accepted as [a-z][a-z0-9]{9}: dunlin show [a-z][a-z0-9]{9}",
     "accepted as k3v9x2m4pq: dunlin show k3v9x2m4pq"),
    (r"^(?=[a-z]*[0-9])[a-z][a-z0-9]{9}$", "k3v9x2m4pq"),
)


class Transcript:
    """The page as it grows, and how things of today become those of the page."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.text = HEAD
        self.names = {}  # of today -> of the page

    def rename(self, today, page):
        self.names[today] = page

    def plain(self, text):
        for today, page in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(today, page)
        network = self.cluster.env["DUNLIN_NET"]
        text = re.sub(rf"{re.escape(network)}\.([0-9]+):[0-9]+", r"192.0.2.\1:7400", text)
        text = re.sub(rf"{re.escape(network)}\.([0-9]+)", r"192.0.2.\1", text)
        text = text.replace(f"belongs to {pwd.getpwuid(os.geteuid()).pw_name}", "belongs to root")
        for today, page in UNSTABLE:
            text = re.sub(today, page, text, flags=re.MULTILINE)
        text = text.replace(self.cluster.root, "/srv")
        text = re.sub(r"\b20[0-9]{2}-[0-9-]{5}T[0-9:.]+Z", "2030-01-31T14:30:00.000Z", text)
        text = re.sub(r"\bdun1-[0-9a-z]{26}-[0-9a-z]{13}-[0-9a-z]{26}\b", "dun1-...", text)
        return re.sub(r"\b[0-9a-hjkmnp-tv-z]{26}\b", "5rj8...", text)

    def title(self, text):
        self.text += f"\n## {text}\n"

    def note(self, text):
        self.text += f"\n{text}\n"

    def case(self, typed, said, code):
        said = self.plain(said).rstrip("\n")
        body = f"$ {self.plain(typed)}\n" + (said + "\n" if said else "")
        self.text += f"\n```\n{body}```\nExit code {code}.\n"


class Errors(ClusterTest):
    options = "--cpus 4"

    def setUp(self):
        with unittest.mock.patch.dict(os.environ, DUNLIN_NAMES="host"):
            super().setUp()
        self.root = pathlib.Path(self.cluster.root)
        self.work = self.root / "work"
        self.work.mkdir()
        for name, content in FILES.items():
            (self.work / name).write_text(content)
        self.page = Transcript(self.cluster)
        self.address = (self.cluster.dir(1) / "ready").read_text().split()[2]
        self.net, self.port = self.address.rsplit(".", 1)[0], self.address.split(":")[1]
        self.last_host = 9
        for node in range(1, 4):
            self.page.rename(self.cluster.id_of(node), f"host{node}'s id")

    # What the cases are made of.

    def run_it(self, *words, node=1, server=None, env=None, stdin=""):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("DUNLIN_")}
        environment.update(HOME=str(self.work), DUNLIN_SERVER=server if server is not None else
                           str(self.cluster.dir(node) / "api.sock"), **(env or {}))
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                              input=stdin, env=environment, cwd=self.work)

    def say(self, *words, before="", lines=1, code=None, **options):
        """Runs it and takes it down; an error is one line."""
        done = self.run_it(*words, **options)
        typed = before + "dunlin " + " ".join(
            word if word in (":::", "{}") or word.startswith("dun1-") else shlex.quote(word)
            for word in words)
        self.page.case(typed, done.stdout + done.stderr, done.returncode)
        said = done.stderr.strip().splitlines()
        self.assertEqual(len(said), lines, f"{typed}: {done.stderr}")
        if code is not None:
            self.assertEqual(done.returncode, code, done.stderr)
        elif words[0] != "run":
            self.assertNotEqual(done.returncode, 0, typed)
        return done

    def good(self, *words, **options):
        done = self.run_it(*words, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def job(self, *words, name="k3v9x2m4pq"):
        identity = self.good("submit", "--quiet", *words)
        self.page.rename(identity, name)
        return identity

    def listen(self):
        self.last_host += 1
        return f"{self.net}.{self.last_host}:{self.port}"

    def say_up(self, directory, *words, **options):
        return self.say("up", "--dir", str(self.root / directory), "--listen", self.listen(),
                        *words, **options)

    def start(self, directory, *words):
        process = subprocess.Popen(
            [PROGRAM, "up", "--dir", str(self.root / directory), "--listen", self.listen(), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)

    def stopped_directory(self, name):
        """Of a node that was, and has ended in order."""
        node = self.start(name)
        self.assertTrue(node.stdout.readline().startswith("ready "))
        self.end(node)
        return self.root / name

    # The page, in its order.

    def usage(self):
        self.page.title("Wrong usage")
        for line in ("jbos", "submit --tiem 1h -- true", "token", "show", "submit -n 3 -- true",
                     "submit", "set last", "logs --stderr --both last", "jobs --state odd",
                     "submit --cpus", "submit -c 0 -- true", "submit -c many -- true",
                     "submit -c 1 -c 2 -- true", "submit --label ssd -- true",
                     "token create --role king", "completion fish", "jobs --stat x --json",
                     "run --follow -- true"):
            self.say(*line.split(), code=2)

    def durations_and_sizes(self):
        self.page.title("Durations, sizes and times")
        for words in (("--time", "90"), ("--time", "soon"), ("--time", "1h30"),
                      ("--time", "90000w"), ("--mem", "4"), ("--mem", "4X"), ("--mem", "lots"),
                      ("--begin", "tomorrow"), ("--begin", "25:00"), ("--backoff", "-1s")):
            self.say("submit", *words, "--", "true", code=2)

    def arrays(self):
        self.page.title("Many tasks")
        for array in ("5-1", "1-", "a-b", "1-9%0", "1-9:0", "1,1", "1-99999999999", ""):
            self.say("submit", "--array", array, "--", "true", code=2)
        self.say("submit", "--array", "1-3", "--each-line", "plain.txt", "--", "true", code=2)
        self.say("submit", "--array", "1-9%2", "--limit", "3", "--", "true", code=2)
        self.say("submit", "--", "echo", ":::", code=2)
        for option, name in (("--each-line", "missing.txt"), ("--each-line", "empty.txt"),
                             ("--each-line", "/"), ("--from-json", "object.json"),
                             ("--from-json", "broken.json")):
            self.say("submit", option, name, "--", "echo", code=4 if "missing" in name else 2)
        self.page.note("A million lines are no error:")
        done = self.say("submit", "--dry-run", "--each-line", "million.txt", "--", "echo", lines=0,
                        code=0)
        self.assertIn("1000000", done.stdout)

    def job_files(self):
        self.page.title("Job files and scripts")
        for name in ("no_command", "type", "key", "value", "syntax", "list"):
            self.say("submit", name + ".toml", code=2)
        for name in ("nodes", "mem", "time", "unknown", "gres", "dependency", "option", "quote"):
            self.say("submit", name + ".sh", code=2)

    def commands(self):
        self.page.title("Commands that cannot run")
        self.say("run", "--", "no-such-program", code=127)
        self.say("run", "--", "./hello.sh", code=126)
        self.say("run", "--", "./missing.sh", code=127)
        self.say("run", "--", "/etc", code=126)
        self.say("run", "--", "sh", "hello.sh", code=2)
        self.say("run", "--file", "missing.dat", "--", "true", code=125)
        self.say("run", "--chdir", "/nowhere", "--", "true", code=125)
        self.say("run", "--time", "1s", "--", "sleep", "60", code=124)
        self.say("run", "--", "sh", "-c", "exit 7", lines=0, code=7)
        self.say("run", "--", "sh", "-c", "kill -9 $$", lines=0, code=137)

    def resources(self):
        self.page.title("What no node has")
        for words in (("-c", "100"), ("--mem", "1000T"), ("--gpus", "1"), ("-r", "licence=1"),
                      ("--zone", "moon"), ("--label", "disk=ssd")):
            self.say("run", "--timeout", "2s", *words, "--", "true", lines=2, code=125)
        self.say("submit", "--node", "host9", "--", "true", code=4)

    def ids(self):
        self.page.title("Ids")
        self.say("show", "last", code=4)
        self.say("show", "zzzzzzzzzz", code=4)
        self.say("logs", "zzz", code=4)
        self.say("show", "NO", code=2)
        self.say("tasks", "last.x", code=2)
        self.say("nodes", "host9", code=4)
        self.say("token", "revoke", "zzzz", code=4)
        job = self.job("--array", "1-3", "--", "true")
        self.good("wait", job)
        self.say("tasks", job + ".9", code=4)
        self.say("cancel", job + ".9", code=4)
        self.say("logs", job + ".1", "--attempt", "9", code=4)
        self.say("outputs", job + ".1", "total", code=4)
        self.say("retry", job + ".9", code=4)
        self.ambiguous()

    def ambiguous(self):
        """Two jobs, of one first letter."""
        seen = {}
        jobs = [job["id"] for job in self.cluster.json("jobs", "--all")]
        for job in jobs:
            seen.setdefault(job[0], []).append(job)
        for _ in range(200):
            pair = next((jobs for jobs in seen.values() if len(jobs) == 2), None)
            if pair:
                break
            job = self.good("submit", "--quiet", "--", "true")
            seen.setdefault(job[0], []).append(job)
        done = self.run_it("show", pair[0][0])
        self.page.rename(pair[0], "k3v9x2m4pq")
        self.page.rename(pair[1], "kt7d01abzz")
        one, other = sorted(re.findall(r"\b(?:k3v9x2m4pq|kt7d01abzz)\b",
                                       self.page.plain(done.stderr)))
        said = re.sub(r"'.' could mean \S+, \S+;", f"'k' could mean {one}, {other};",
                      self.page.plain(done.stderr))
        self.page.case("dunlin show k", said, done.returncode)
        self.assertEqual(done.returncode, 2)

    def states(self):
        self.page.title("Orders that do not fit")
        job = self.job("--", "sleep", "600")
        self.say("delete", job, code=5)
        self.say("retry", "--all", job, code=5)
        self.say("wait", job, "--timeout", "1s", code=6)
        self.good("cancel", job)
        wait_for("the end", lambda: self.run_it("wait", job, "--timeout", "0").returncode == 1)
        self.page.rename(self.good("submit", "--key", "night", "--", "true"), "k3v9x2m4pq")
        self.say("submit", "--key", "night", "--", "false", code=5)

    def dependencies(self):
        self.page.title("Jobs that wait for others")
        self.page.note("A job that fails, is deleted or kept no more, or never was, ends those "
                       "behind it.")
        bad = self.job("--", "false")
        self.run_it("wait", bad)
        behind = self.job("--after", bad, "--", "true", name="m0c5t2r8wd")
        self.say("wait", behind, code=1)
        self.say("explain", behind, lines=0, code=0)
        self.good("delete", bad)
        orphan = self.job("--after", bad, "--", "true", name="r7ydn0ql4e")
        self.say("wait", orphan, code=1)

    def nodes_of_the_cluster(self):
        self.page.title("Orders about hosts")
        self.say("drain", "host9", code=4)
        self.say("forget", "host2", code=5)
        self.say("leave", "host9", code=4)

    def nobody(self):
        self.page.title("No node, or not as you")
        self.say("jobs", server="/srv/none.sock", before="DUNLIN_SERVER=/srv/none.sock ", code=3)
        self.say("--server", self.address, "jobs", code=2)
        self.say("--server", self.address, "--token-file", "missing", "jobs", code=2)
        (self.work / "node-token").write_text(self.cluster.good("token", "create"))
        self.say("--server", self.address, "--token-file", "node-token", "jobs", code=5)
        (self.work / "anns-token").write_text(
            self.cluster.good("token", "create", "--role", "user", "--user", "ann"))
        ann = ("--server", self.address, "--token-file", "anns-token")
        job = self.job("--", "sleep", "600")
        self.say(*ann, "cancel", job, code=5)
        self.say(*ann, "token", "list", code=5)
        self.say(*ann, "drain", "host2", code=5)
        identity = (self.work / "anns-token").read_text().split("-")[2]
        self.good("token", "revoke", identity)
        self.say(*ann, "jobs", code=5)
        self.good("cancel", job)

    def tokens(self):
        self.page.title("Joining")
        good = (self.cluster.dir(1) / "join-token").read_text().strip()
        join = ("--join", self.address)
        self.say_up("a", *join, "--token", "nonsense", code=2)
        self.say_up("a", "--token", good, code=2)
        self.say_up("a", *join, code=2)
        head, secret = good.rsplit("-", 1)
        wrong = head + "-" + next(a for a in "abc" if a != secret[5]).join((secret[:5], secret[6:]))
        self.say_up("a", *join, "--token", wrong, code=5)
        late = self.good("token", "create", "--ttl", "1s")
        let_pass(1.5, time.monotonic())
        self.say_up("a", *join, "--token", late, code=5)
        once = self.good("token", "create")
        first = self.start("b", *join, "--token", once, "--name", "host4")
        self.assertTrue(first.stdout.readline().startswith("ready "))
        self.say_up("c", *join, "--token", once, code=5)
        self.good("leave", "host4")
        ended = self.good("token", "create", "--uses", "0")
        self.good("token", "revoke", ended.split("-")[2])
        self.say_up("d", *join, "--token", ended, code=5)
        user = self.good("token", "create", "--role", "user", "--user", "ann")
        self.say_up("d", *join, "--token", user, code=5)
        self.say_up("d", *join, "--token", good, "--name", "host2", code=5)
        other = self.start("other")
        address, cluster = other.stdout.readline().split()[2:4]
        self.page.rename(cluster[:8], "9w4t6x1c")
        self.page.rename(good.split("-")[1][:8], "5rj8k2m0")
        self.say_up("e", "--join", address, "--token", good, code=5)
        self.end(other)
        self.say_up("other", *join, "--token", good, code=5)
        self.joining_nobody(good)

    def joining_nobody(self, token):
        nobody = self.listen()
        trying = self.start("f", "--join", nobody, "--token", token)
        line = trying.stderr.readline()
        self.page.note("To somebody who is not there yet; it goes on trying until it is ended:")
        trying.terminate()
        trying.wait(timeout=20)
        self.page.case(f"dunlin up --dir /srv/f --join {nobody} --token dun1-...", line,
                       128 - trying.returncode)

    def directories(self):
        self.page.title("Ports and directories")
        self.say("up", "--dir", str(self.root / "g"), "--listen", self.address, code=1)
        self.say("up", "--dir", str(self.root / "g"), "--listen", "here", code=2)
        self.say("up", "--dir", str(self.root / "g"), "--listen", "203.0.113.7:7400", code=1)
        self.say_up("cluster/n1", code=5)
        (self.root / "home/Documents").mkdir(parents=True)
        self.say_up("home", code=5)
        self.say_up("work/plain.txt", code=2)
        self.say_up("h", "--run-as", "nobody-here", code=2)
        self.say_up("h", "--name", "a b", code=2)
        self.say_up("h", "--http", f"{self.net}.1:7480", "--http-plain", "--groups", "9999", code=2)
        later = self.stopped_directory("later")
        database = sqlite3.connect(later / "log.db")
        database.execute("PRAGMA user_version=99")
        database.close()
        self.say_up("later", code=5)
        self.unreadable_directory()
        self.full_directory()
        self.few_descriptors()

    def unreadable_directory(self):
        """Within one that nobody may enter; root may enter all, and is another account here."""
        closed = self.root / "closed"
        closed.mkdir()
        closed.chmod(0)
        program = shutil.copy(PROGRAM, self.root / "program")
        account = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run([program, "up", "--dir", closed / "node", "--listen", self.listen()],
                              **account, capture_output=True, text=True, timeout=30, cwd="/",
                              env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]})
        closed.chmod(0o700)
        self.page.case("dunlin up --dir /srv/closed/node", done.stderr, done.returncode)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def full_directory(self):
        """A file system of 64 KiB, seen by this node alone."""
        full = self.root / "full"
        full.mkdir()
        line = (f"mount -t tmpfs -o size=64k,mode=700 none {full} && "
                f"exec {PROGRAM} up --dir {full} --listen {self.listen()}")
        spaces = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-r", "-m"]
        done = subprocess.run([*spaces, "sh", "-c", line], capture_output=True, text=True,
                              timeout=30, stdin=subprocess.DEVNULL)
        self.page.note("On a disk that is full:")
        self.page.case("dunlin up --dir /srv/full", done.stderr, done.returncode)
        self.assertIn("disk is full", done.stderr.splitlines()[-1])

    def few_descriptors(self):
        line = f"ulimit -n 100; exec {PROGRAM} up --dir {self.root}/i --listen {self.listen()}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        self.page.note("Where few files may be open, as after `ulimit -n 100`:")
        self.page.case("dunlin up --dir /srv/i", done.stderr, done.returncode)
        self.assertIn("may be open here", done.stderr.splitlines()[-1])

    def api(self):
        self.page.title("Of the API")
        self.page.note("With `curl --unix-socket`; behind `#` the status.")
        for method, target, body, shown in (
                ("POST", "/v1/jobs", b"{", "'{'"),
                ("POST", "/v1/jobs", b'{"id":"k3v9x2m4pq","spec":{"argv":["true"],"cpu":2}}', None),
                ("POST", "/v1/jobs", b" " * (2 * 1024 * 1024 + 1), "@2MiB+1"),
                ("PUT", "/v1/blobs", b"x" * (4 * 1024 * 1024 + 1), "@4MiB+1"),
                ("PUT", "/v1/blobs", b"x" * (5 * 1024 * 1024 + 1), "@5MiB+1"),
                ("GET", "/v1/nothing", None, None),
                ("PATCH", "/v1/jobs", None, None),
                ("GET", "/v1/jobs?limit=many", None, None),
                ("GET", "/v1/jobs/NO", None, None)):
            status, answer = self.ask(method, target, body)
            shown = shown or (f"'{body.decode()}'" if body else None)
            typed = f"curl -X {method} http://d{target}"
            if shown:
                typed += f" --data-binary {shown}"
            self.page.text += f"\n```\n$ {typed}    # {status}\n{self.page.plain(answer)}```\n"
            self.assertGreaterEqual(status, 400)

    def ask(self, method, target, body):
        connection = http.client.HTTPConnection("d", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(20)
        connection.sock.connect(str(self.cluster.dir(1) / "api.sock"))
        try:
            connection.request(method, target, body)
        except BrokenPipeError:
            pass  # it has answered before it has read all
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text if text.endswith("\n") else text + "\n"

    def no_quorum(self):
        self.page.title("Without a quorum")
        self.page.note("Of three hosts, host2 and host3 are lost.")
        job = self.job("--", "true")
        self.good("wait", job)
        self.cluster.kill(2)
        self.cluster.kill(3)
        self.say("show", job, code=6)
        self.say("show", job, "--stale", lines=0, code=0)
        self.say("submit", "--", "true", code=6)
        self.say("run", "--", "true", code=125)
        self.say("jobs", "--name", "none", "--quiet", code=7)
        self.say("events", "--quiet", "--job", "zzzzzzzzzz", code=7)

    def make(self):
        for part in (self.usage, self.durations_and_sizes, self.arrays, self.job_files, self.ids,
                     self.commands, self.resources, self.states, self.dependencies,
                     self.nodes_of_the_cluster, self.nobody, self.tokens, self.directories, self.api,
                     self.no_quorum):
            part()
        return self.page.text

    def test_the_page_says_what_the_program_says(self):
        self.maxDiff = None
        made = self.make()
        if os.environ.get("DUNLIN_WRITE_ERRORS"):
            PAGE.write_text(made)
        self.assertEqual(made, PAGE.read_text())


if __name__ == "__main__":
    unittest.main()
