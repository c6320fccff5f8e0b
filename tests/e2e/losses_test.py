"""Hosts and processes that die while work goes on."""

import pathlib
import time
import unittest

from dunlin_cluster import ClusterTest, wait_for


class Losses(ClusterTest):
    nodes = 5
    options = "--cpus 25"  # promised, not there: the tasks below only wait

    def start(self, tasks, command):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", f"1-{tasks}", "--", "sh", "-c",
                           command).strip()
        wait_for("all tasks running", lambda: cluster.json("show", job)["tasks"]["running"] == tasks)
        return job

    def another_leads(self, job, identity, node):
        return wait_for("another coordinator", lambda: (
            self.cluster.try_json("show", job, node=node) or {}).get("coordinator")
            not in (None, identity), 15)

    def test_clients_of_a_stopped_node_go_on_at_the_next_one(self):
        cluster = self.cluster
        flag = pathlib.Path(cluster.root) / "flag"
        work = f"while [ ! -e {flag} ]; do sleep 0.1; done; echo done"
        job = cluster.good("submit", "--quiet", "--", "sh", "-c", work, node=2).strip()
        both = (1, 2)
        clients = [cluster.start("wait", job, node=both),
                   cluster.start("logs", "-f", job, node=both),
                   cluster.start("run", "--", "sh", "-c", work, node=both)]
        wait_for("both running", lambda: len(cluster.json("jobs", "--state", "running")) == 2)
        cluster.script("pause", "1")
        self.addCleanup(cluster.script, "continue", "1")
        begin = time.monotonic()
        cluster.good("submit", "--file", __file__, "--", "true", node=both)
        self.assertLess(time.monotonic() - begin, 15)
        flag.touch()
        for client in clients:
            out, err = client.communicate(timeout=60)
            self.assertEqual(client.returncode, 0, err)
        self.assertEqual(out, "done\n")

    def test_the_coordinators_host_dies_and_nothing_elsewhere_is_restarted(self):
        cluster = self.cluster
        job = self.start(100, "echo $$; sleep 8; echo $$")
        victim = cluster.node_of(cluster.json("show", job)["coordinator"])
        before = {t["task"]: t["node"] for t in cluster.json("tasks", job)}
        identity = cluster.id_of(victim)
        cluster.kill(victim)
        other = cluster.survivor()
        self.another_leads(job, identity, other)
        cluster.good("wait", job, node=other)
        after = {t["task"]: t for t in cluster.json("tasks", job, node=other)}
        self.assertEqual(len(after), 100)
        for task, node in before.items():
            if node != identity:
                self.assertEqual((after[task]["node"], after[task]["attempt"]), (node, 1),
                                 f"task {task} was restarted")
        self.same_pids(cluster.good("logs", job, node=other))

    def test_the_coordinators_process_dies_and_no_task_is_restarted(self):
        cluster = self.cluster
        job = self.start(100, "echo $$; sleep 8; echo $$")
        victim = cluster.node_of(cluster.json("show", job)["coordinator"])
        cluster.script("crash", str(victim))
        self.another_leads(job, cluster.id_of(victim), victim % 5 + 1)
        cluster.restart(victim)
        cluster.good("wait", job)
        self.same_pids(cluster.good("logs", job))
        self.assertEqual({t["attempt"] for t in cluster.json("tasks", job)}, {1})

    def same_pids(self, logs):
        lines = logs.split()
        self.assertEqual(len(lines), 200)
        self.assertEqual(lines[0::2], lines[1::2])

    def test_jobs_survive_the_end_of_all_nodes_at_once(self):
        cluster = self.cluster
        job = self.start(4, "sleep 2; echo {}")
        for node in range(1, 6):
            cluster.kill(node)
        cluster.restart(1, 2, 3, 4, 5)
        wait_for("the job", lambda: cluster.try_json("show", job, node=2), 30)
        cluster.good("wait", job, node=2)
        self.assertEqual(cluster.good("logs", job, node=4), "1\n2\n3\n4\n")

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
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--", "sh", "-c",
                           "echo early; sleep 60").strip()
        wait_for("the task", lambda: cluster.json("show", job)["tasks"]["running"] == 1)
        wait_for("its output", lambda: cluster.good("logs", job) == "early\n")
        victim = cluster.node_of(cluster.json("tasks", job)[0]["node"])
        # Two runs of five seconds with other work: the promise is about time, so time must pass.
        for _ in range(2):
            cluster.good("run", "--", "sleep", "3", node=victim)
        cluster.kill(victim)
        other = cluster.survivor()
        wait_for("the first attempt's output", lambda: cluster.run(
            "logs", job, "--attempt", "1", node=other).stdout == "early\n", 30)
        cluster.good("cancel", job, node=other)


if __name__ == "__main__":
    unittest.main()
