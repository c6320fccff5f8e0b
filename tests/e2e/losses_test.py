"""Hosts and processes that die while work goes on."""

import datetime
import pathlib
import threading
import time
import unittest

from dunlin_cluster import ClusterTest, birth, let_pass, wait_for


class Losses(ClusterTest):
    nodes = 5
    options = "--cpus 25"  # promised, not there: the tasks below only wait
    tasks = 105  # more than four nodes have room for: some run on each

    def setUp(self):
        super().setUp()
        self.here = pathlib.Path(self.cluster.root)
        self.flag = self.here / "flag"

    def start(self, tasks):
        """A job whose tasks end when the flag is there, and none before. Each start is noted."""
        cluster = self.cluster
        job = cluster.good(
            "submit", "--quiet", "--array", f"1-{tasks}", "--", "sh", "-c",
            f"echo $$ >>{self.here}/starts.{{}}; echo $$; "
            f"until [ -e {self.flag} ]; do sleep 0.5; done; echo $$").strip()
        wait_for("all tasks running",
                 lambda: cluster.json("show", job)["tasks"]["running"] == tasks)
        wait_for("all starts", lambda: len([s for n in range(1, tasks + 1) for s in self.starts(n)])
                 == tasks)
        wait_for("all output", lambda: len(cluster.good("logs", job).split()) == tasks)
        return job

    def starts(self, task):
        """The ids of its processes, in the order of their starts."""
        file = self.here / f"starts.{task}"
        return file.read_text().split() if file.exists() else []

    def shown(self, job, node=1):
        return {task["task"]: task for task in self.cluster.json("tasks", job, node=node)}

    def lives(self, job):
        """What may not change of a task that is not restarted, and its process with its birth."""
        pids = self.cluster.good("logs", job).split()
        lives = {}
        for pid, (number, task) in zip(pids, sorted(self.shown(job).items()), strict=True):
            self.assertEqual(self.starts(number), [pid])
            self.assertIsNotNone(birth(pid))
            self.assertEqual(task["attempt"], 1)
            lives[number] = (task["node"], pid, birth(pid))
        self.since = datetime.datetime.now(datetime.timezone.utc)  # all began before it
        return lives

    @staticmethod
    def when(text):
        return datetime.datetime.fromisoformat(text)

    def live(self, lives):
        for number, (_, pid, born) in lives.items():
            self.assertEqual(birth(pid), born, f"the process of task {number} is gone")

    def another_leads(self, job, identity, node):
        return wait_for("another coordinator", lambda: (
            self.cluster.try_json("show", job, node=node) or {}).get("coordinator")
            not in (None, identity), 15)

    def go_on(self, job, lives, node):
        """That these tasks live on as they were, now and until the flag ends them."""
        cluster = self.cluster
        self.live(lives)
        # Their nodes tell the new coordinator within a second since when they run.
        tasks = wait_for("the starts", lambda: (shown := self.shown(job, node)) and all(
            shown[number]["started_at"] for number in lives) and shown)
        for number, (where, _, _) in lives.items():
            task = tasks[number]
            self.assertEqual((task["state"], task["node"], task["attempt"]), ("running", where, 1),
                             f"task {number}")
            self.assertLess(self.when(task["started_at"]), self.since)
        self.flag.touch()
        cluster.good("wait", job, node=node)
        tasks = self.shown(job, node)
        for number, (where, pid, _) in lives.items():
            task = tasks[number]
            self.assertEqual((task["state"], task["node"], task["attempt"]), ("done", where, 1),
                             f"task {number}")
            self.assertLess(self.when(task["started_at"]), self.since)
            self.assertEqual(self.starts(number), [pid], f"task {number} was started again")
            self.assertEqual(cluster.good("logs", f"{job}.{number}", node=node).split(), [pid, pid])

    def test_clients_of_a_stopped_node_go_on_at_the_next_one(self):
        cluster = self.cluster
        work = f"while [ ! -e {self.flag} ]; do sleep 0.1; done; echo done"
        job = cluster.good("submit", "--quiet", "--", "sh", "-c", work, node=2).strip()
        both = (1, 2)
        clients = [cluster.start("wait", job, node=both),
                   cluster.start("logs", "-f", job, node=both),
                   cluster.start("run", "--", "sh", "-c", work, node=both)]
        wait_for("both running", lambda: len(cluster.json("jobs", "--state", "running")) == 2)
        cluster.script("pause", "1")
        self.addCleanup(cluster.script, "continue", "1")
        # While node 1 is stopped nothing but node 2 can have answered this.
        cluster.good("submit", "--file", __file__, "--", "true", node=both)
        self.assertTrue(all(client.poll() is None for client in clients))
        self.flag.touch()
        for client in clients:
            out, err = client.communicate(timeout=60)
            self.assertEqual(client.returncode, 0, err)
        self.assertEqual(out, "done\n")

    def test_the_coordinators_host_dies_and_nothing_elsewhere_is_restarted(self):
        cluster = self.cluster
        job = self.start(self.tasks)
        lives = self.lives(job)
        identity = cluster.json("show", job)["coordinator"]
        lost = {number for number, life in lives.items() if life[0] == identity}
        self.assertGreater(len(lost), 0)
        cluster.kill(cluster.node_of(identity))
        other = cluster.survivor()
        self.another_leads(job, identity, other)

        def started_again():
            counts = cluster.json("show", job, node=other)["tasks"]
            starts = sum(len(self.starts(number)) for number in lives)
            return counts["running"] == 100 and starts == 100 + len(lost)
        wait_for("the lost tasks elsewhere, as far as there is room", started_again)
        self.assertTrue(all(birth(lives[number][1]) is None for number in lost))
        self.go_on(job, {n: life for n, life in lives.items() if n not in lost}, other)
        tasks = self.shown(job, other)
        for number in lost:
            self.assertEqual(tasks[number]["state"], "done")
            self.assertNotEqual(tasks[number]["node"], identity)
            self.assertEqual(len(self.starts(number)), 2)

    def test_the_coordinators_process_dies_and_no_task_is_restarted(self):
        cluster = self.cluster
        job = self.start(self.tasks)
        lives = self.lives(job)
        identity = cluster.json("show", job)["coordinator"]
        victim = cluster.node_of(identity)
        self.assertIn(identity, {where for where, _, _ in lives.values()})
        cluster.script("crash", str(victim))
        self.another_leads(job, identity, victim % 5 + 1)
        self.live(lives)
        cluster.restart(victim)
        # All have been asked and have answered: every task is known to run where it ran.
        wait_for("all tasks adopted", lambda: [
            (n, t["state"], t["node"]) for n, t in sorted(self.shown(job).items())]
            == [(n, "running", life[0]) for n, life in sorted(lives.items())])
        self.go_on(job, lives, victim)

    def test_jobs_survive_the_end_of_all_nodes_at_once(self):
        cluster = self.cluster
        job = self.start(4)
        killers = [threading.Thread(target=cluster.kill, args=(node,)) for node in range(1, 6)]
        self.assertEqual(cluster.json("show", job)["tasks"]["running"], 4)
        for killer in killers:
            killer.start()
        for killer in killers:
            killer.join()
        self.assertEqual(len(cluster.dead), 5)
        cluster.restart(1, 2, 3, 4, 5)
        shown = wait_for("the job", lambda: cluster.try_json("show", job, node=2), 30)
        self.assertEqual((shown["tasks"]["total"], shown["tasks"]["done"]), (4, 0))
        self.flag.touch()
        cluster.good("wait", job, node=2)
        # Each ran anew, once, and its log is that of the second start.
        starts = [self.starts(number) for number in range(1, 5)]
        self.assertEqual([len(pids) for pids in starts], [2] * 4)
        self.assertEqual(cluster.good("logs", job, node=4).split(),
                         [pid for pids in starts for pid in (pids[1], pids[1])])

    def test_a_node_whose_log_is_rotten_goes_on_under_a_new_id(self):
        cluster = self.cluster
        before = cluster.id_of(3)
        cluster.kill(3)
        log = cluster.dir(3) / "log.db-wal"
        data = bytearray(log.read_bytes())
        for at in range(len(data) // 2, len(data) // 2 + 4000):
            data[at] ^= 0x55
        log.write_bytes(data)
        cluster.restart(3)
        after = cluster.id_of(3)
        self.assertNotEqual(before, after)
        said = (cluster.dir(3) / "stderr").read_text()
        self.assertIn("takes a new id; the old one", said)
        self.assertTrue((cluster.dir(3) / "rotten-1" / "log.db").exists())

        def ids():
            return {n["id"] for n in cluster.json("nodes") if n["state"] != "left"}
        wait_for("the old id to be forgotten", lambda: before not in ids() and after in ids(), 15)
        cluster.await_spare()
        cluster.good("run", "--array", "1-20", "--", "true", node=3)

    def test_output_older_than_five_seconds_survives_its_host(self):
        """Both where the host coordinates the job that dies with it, and where it does not."""
        cluster = self.cluster
        jobs = {}
        said_at = time.monotonic()

        def victim():
            """A host that runs a task whose job it leads, and one whose job another leads."""
            for node in range(1, 6):
                at = [job for job, (where, _, _) in jobs.items() if where == cluster.id_of(node)]
                led = [job for job in at if jobs[job][0] == jobs[job][1]]
                if led and len(at) > len(led):
                    return node, [led[0], next(job for job in at if job not in led)]
            return None
        while not victim():
            self.assertLess(len(jobs), 60)
            job = cluster.good(
                "submit", "--quiet", "--", "sh", "-c",
                "echo early $$ $(cat /proc/sys/kernel/random/uuid); sleep 600").strip()
            early = wait_for("its output", lambda: cluster.good("logs", job))
            said_at = time.monotonic()
            jobs[job] = (cluster.json("tasks", job)[0]["node"],
                         cluster.json("show", job)["coordinator"], early)
        node, chosen = victim()
        let_pass(6, said_at)
        cluster.kill(node)
        other = cluster.survivor()
        for job in chosen:
            early = jobs[job][2]
            self.assertRegex(early, r"^early \d+ [0-9a-f-]{36}\n$")
            wait_for("another start", lambda: "early" in (
                again := cluster.run("logs", job, node=other).stdout) and again != early)
            first = wait_for("the first attempt's output", lambda: cluster.run(
                "logs", job, "--attempt", "1", node=other).stdout)
            self.assertEqual(first, early)
        cluster.good("cancel", *jobs, node=other)


if __name__ == "__main__":
    unittest.main()
