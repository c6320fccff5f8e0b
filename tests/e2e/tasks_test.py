"""Tasks that misbehave, and what they are given."""

import os
import pathlib
import resource
import subprocess
import time
import unittest

from dunlin_cluster import ClusterTest, wait_for


def processes_with(word):
    """Ids of processes that have the word in their command line."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if word.encode() in file.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


class Tasks(ClusterTest):
    nodes = 1

    @classmethod
    def setUpClass(cls):
        # Less than the node takes for itself: its tasks get what it was started with.
        cls.open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (cls.open_files[1] // 2, cls.open_files[1]))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        resource.setrlimit(resource.RLIMIT_NOFILE, cls.open_files)

    def test_tasks_may_open_as_many_files_as_the_node_was_given(self):
        limits = self.cluster.good("run", "--", "sh", "-c", "ulimit -Sn; ulimit -Hn").split()
        self.assertEqual(limits, [str(self.open_files[1] // 2), str(self.open_files[1])])

    def test_what_ignores_term_is_killed_after_its_grace(self):
        cluster = self.cluster
        stubborn = ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"]
        late = cluster.run("run", "--time", "1s", "--grace", "1s", "--", *stubborn)
        self.assertEqual(late.returncode, 124, late.stderr)
        self.assertFalse(os.path.exists(f"/proc/{late.stdout.strip()}"))
        job = cluster.good("submit", "--quiet", "--grace", "1s", "--", *stubborn).strip()
        pid = wait_for("its pid", lambda: cluster.good("logs", job).strip())
        cluster.good("cancel", job)
        self.assertEqual(cluster.json("show", job)["state"], "running")
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        self.assertFalse(os.path.exists(f"/proc/{pid}"))
        task = cluster.json("tasks", job)[0]
        self.assertEqual((task["state"], task["attempt"], task["node"]),
                         ("cancelled", 1, cluster.id_of(1)))
        self.assertIsNotNone(task["started_at"])

    def test_a_node_that_ends_gives_its_tasks_their_grace_and_another_start(self):
        cluster = self.cluster
        saved = pathlib.Path(cluster.root) / "saved"
        # The shell dies of TERM at once; what it started saves its work first.
        job = cluster.good("submit", "--quiet", "--grace", "20s", "--", "sh", "-c", f"""
            (trap 'sleep 1; echo $DUNLIN_ATTEMPT >>{saved}; exit' TERM; exec >/dev/null 2>&1
             while :; do sleep 0.1; done) &
            sleep 0.5; echo on; wait""").strip()

        def attempt():
            tasks = cluster.try_json("tasks", job) or [{}]
            return tasks[0].get("state") == "running" and tasks[0]["attempt"]
        for number, end in ((1, ["stop", "1"]), (2, None)):
            wait_for("the task", lambda: attempt() == number)
            wait_for("its trap", lambda: cluster.run("logs", job).stdout == "on\n")
            if end:
                cluster.script(*end)
            else:
                cluster.good("down")
            wait_for("the node's end", lambda: not processes_with(str(cluster.dir(1))))
            self.assertEqual(saved.read_text().split(), [str(n + 1) for n in range(number)])
            cluster.restart(1)
        wait_for("the task", lambda: attempt() == 3)
        began = time.monotonic()
        cluster.script("stop", "1")
        self.assertLess(time.monotonic() - began, 8)

    def test_what_forks_away_ends_with_its_task(self):
        marks = [f"77{os.getpid()}{n}" for n in range(3)]
        script = (f"setsid sleep {marks[0]} & (setsid setsid nohup sleep {marks[1]} "
                  f">/dev/null 2>&1 </dev/null &) ; sleep {marks[2]} & sleep 0.3; echo started")
        self.assertEqual(self.cluster.good("run", "--", "sh", "-c", script), "started\n")
        for mark in marks:
            wait_for("the end of what it left", lambda: not processes_with(mark), 5)

    def test_a_host_that_is_killed_runs_nothing_more_and_down_leaves_nothing(self):
        cluster = self.cluster

        def start(mark):
            job = cluster.good("submit", "--quiet", "--", "sh", "-c",
                               f"trap '' TERM; setsid sleep {mark} & sleep {mark}; wait").strip()
            wait_for("the task", lambda: len(processes_with(mark)) == 3)
            return job
        first, second = f"78{os.getpid()}", f"79{os.getpid()}"
        job = start(first)
        cluster.kill(1)
        self.assertEqual(processes_with(first), [])
        cluster.restart(1)
        wait_for("its end", lambda: cluster.run("cancel", job).returncode == 0)
        start(second)
        cluster.script("down")
        self.assertEqual(processes_with(second), [])
        self.assertEqual(processes_with(str(cluster.dir(1))), [])

    def test_resources_that_no_node_has_are_named(self):
        cluster = self.cluster
        for words, lacking in ((["-c", "99"], "99 cpus"), (["--mem", "90000G"], "memory")):
            done = cluster.run("run", "--timeout", "2s", *words, "--", "true")
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertIn(lacking, done.stderr)
        job = cluster.good("submit", "--quiet", "-c", "99", "--", "true").strip()
        self.assertEqual(cluster.json("show", job)["reason"], "impossible")
        self.assertIn("99 cpus", cluster.good("show", job))
        cluster.good("cancel", job)

    def test_executables_that_are_missing_or_none(self):
        cluster = self.cluster
        for code, command in ((127, "no-such-program"), (127, "/no/such/program"),
                              (126, "/etc/passwd"), (126, "/etc")):
            done = cluster.run("run", "--", command)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(os.path.basename(command), done.stderr)

    def test_output_without_end_takes_a_bounded_disk(self):
        cluster = self.cluster
        limit = 4_000_000
        spec = {"argv": ["sh", "-c", "head -c 60000000 /dev/urandom; echo; echo the end"],
                "log_limit": limit}
        job = cluster.api("POST", "/v1/jobs", {"id": "noisyoutpt", "spec": spec})["id"]
        cluster.good("wait", job)
        self.assertTrue(cluster.json("tasks", job)[0]["log_truncated"])
        logs = subprocess.run([*cluster.command(), "logs", job], capture_output=True, timeout=60)
        self.assertEqual(logs.returncode, 0, logs.stderr)
        self.assertLess(len(logs.stdout), limit + 1000)
        self.assertGreater(len(logs.stdout), limit // 2)
        self.assertIn(b"bytes cut out", logs.stdout)
        self.assertTrue(logs.stdout.endswith(b"\nthe end\n"))

    def test_stdin_is_passed_on(self):
        cluster = self.cluster
        text = "".join(f"line {n}\n" for n in range(200_000))
        self.assertEqual(cluster.good("run", "--", "cat", stdin=text), text)
        self.assertEqual(cluster.good("run", "--", "sh", "-c", "ls -A; cat", stdin="x"), "x")
        self.assertEqual(cluster.good("run", "--no-stdin", "--", "cat", stdin="x"), "")
        self.assertEqual(cluster.good("run", "--", "cat", stdin=""), "")
        self.assertEqual(
            cluster.good("run", "--retries", "1", "--", "sh", "-c",
                         "cat; exit $((DUNLIN_ATTEMPT < 2))", stdin="again,"), "again,again,")


if __name__ == "__main__":
    unittest.main()
