"""Tasks that misbehave, and what they are given."""

import os
import pathlib
import resource
import subprocess
import unittest

from dunlin_cluster import ClusterTest, birth, mark, processes_with, wait_for


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
        self.assertGreater(task["max_rss"], 0)
        self.assertIsNotNone(task["cpu_ms"])

    def test_a_node_that_ends_gives_its_tasks_their_grace_and_another_start(self):
        cluster = self.cluster
        here = pathlib.Path(cluster.root)
        saved, slow, told = here / "saved", here / "slow", here / "told"
        # The shell dies of TERM at once; what it started saves its work first, and takes as long as
        # there is the file "slow".
        job = cluster.good("submit", "--quiet", "--grace", "60s", "--", "sh", "-c", f"""
            (trap '>{told}; while [ -e {slow} ]; do sleep 0.1; done; echo $DUNLIN_ATTEMPT >>{saved}
                   exit' TERM
             >armed; exec >/dev/null 2>&1; while :; do sleep 0.1; done) &
            until [ -e armed ]; do sleep 0.1; done; echo on; wait""").strip()

        def attempt():
            tasks = cluster.try_json("tasks", job) or [{}]
            return tasks[0].get("state") == "running" and tasks[0]["attempt"]

        def await_start(number):
            wait_for("the task", lambda: attempt() == number)
            wait_for("its trap", lambda: cluster.run(
                "logs", job, "--attempt", str(number)).stdout == "on\n")
        for number, end in ((1, lambda: cluster.script("stop", "1")),
                            (2, lambda: cluster.good("down"))):
            await_start(number)
            end()
            wait_for("the node's end", lambda: not processes_with(str(cluster.dir(1))))
            self.assertEqual(saved.read_text().split(), [str(n + 1) for n in range(number)])
            cluster.restart(1)
        # Of a grace of a minute only what the task needs: the node waits for the file, and no more.
        await_start(3)
        slow.touch()
        told.unlink()
        stopping = subprocess.Popen([cluster.cluster_script, "stop", "1"], env=cluster.env)
        wait_for("the task's TERM", told.exists)
        self.assertIsNone(stopping.poll())
        self.assertEqual(len(saved.read_text().split()), 2)
        slow.unlink()
        self.assertEqual(stopping.wait(timeout=25), 0)
        self.assertEqual(saved.read_text().split(), ["1", "2", "3"])

    def test_what_forks_away_ends_with_its_task(self):
        here = pathlib.Path(self.cluster.root)
        word = mark()
        # Each says who it is and in which session before it waits for ever.
        body = "cut -d\" \" -f1,6 /proc/$$/stat >$0; exec sleep 99999"
        script = f"""
            export MARK={word}
            setsid sh -c '{body}' {here}/0 &
            (setsid setsid nohup sh -c '{body}' {here}/1 >/dev/null 2>&1 </dev/null &)
            sh -c '{body}' {here}/2 &
            for n in 0 1 2; do until [ -s {here}/$n ]; do sleep 0.1; done; done
            for n in 0 1 2; do read pid session <{here}/$n; kill -0 $pid && echo $n; done"""
        self.assertEqual(self.cluster.good("run", "--", "sh", "-c", script), "0\n1\n2\n")
        (a, a_session), (b, b_session), (c, c_session) = (
            (here / str(n)).read_text().split() for n in range(3))
        self.assertEqual((a_session, b_session), (a, b))  # these two had a session of their own
        self.assertNotEqual(c_session, c)
        wait_for("the end of what it left", lambda: not processes_with(word), 5)
        self.assertEqual([birth(pid) for pid in (a, b, c)], [None] * 3)

    def test_a_host_that_is_killed_runs_nothing_more_and_down_leaves_nothing(self):
        cluster = self.cluster

        def start(word):
            job = cluster.good("submit", "--quiet", "--env", f"MARK={word}", "--", "sh", "-c",
                               "trap '' TERM; setsid sleep 99999 & sleep 99999; wait").strip()
            wait_for("the task", lambda: len(processes_with(word)) == 3)
            return job
        first, second = mark(), mark()
        job = start(first)
        cluster.kill(1)
        self.assertEqual(processes_with(first), [])
        cluster.restart(1)
        wait_for("its end", lambda: cluster.run("cancel", job).returncode == 0)
        start(second)
        cluster.script("down")
        self.assertEqual(processes_with(second), [])
        self.assertEqual(processes_with(cluster.root), [])

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


class KeptTasks(ClusterTest):
    nodes = 1
    options = "--cpus 2 --keep-tasks"

    def test_the_next_process_goes_on_with_the_tasks_of_one_that_was_told_to_end(self):
        cluster = self.cluster
        go = pathlib.Path(cluster.root) / "go"
        job = cluster.good("submit", "--quiet", "--", "sh", "-c",
                           f"trap '' HUP; echo $$; until [ -e {go} ]; do sleep 0.05; done; "
                           "echo end").strip()
        pid = wait_for("its pid", lambda: cluster.good("logs", job).strip())
        born = birth(pid)
        self.assertIsNotNone(born)
        node = cluster.pid_of(1)
        cluster.script("stop", "1")
        self.assertEqual(birth(pid), born)
        cluster.restart(1)
        self.assertNotEqual(cluster.pid_of(1), node)
        # Until the node has said what it holds, its tasks are neither here nor there.
        shown = wait_for("the task", lambda: [
            task for task in cluster.try_json("tasks", job) or [] if task["state"] == "running"])
        self.assertEqual(shown[0]["attempt"], 1)
        go.touch()
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), f"{pid}\nend\n")
        self.assertEqual(cluster.json("tasks", job)[0]["attempt"], 1)


if __name__ == "__main__":
    unittest.main()
