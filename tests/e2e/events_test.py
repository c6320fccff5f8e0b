"""What `dunlin events` tells, and that whoever follows them loses nothing with the node he asks."""

import json
import os
import signal
import subprocess
import unittest

from dunlin_cluster import PROGRAM, ClusterTest, wait_for

FIELDS = {"id", "time", "type", "node", "job", "task", "attempt", "message"}


class Events(ClusterTest):
    nodes = 3

    def follow(self, *words, nodes=(1, 2, 3)):
        """A client that follows through the first of these nodes, and where its lines go."""
        path = f"{self.cluster.root}/followed.{len(self.cluster.clients)}"
        sockets = ",".join(str(self.cluster.dir(node) / "api.sock") for node in nodes)
        with open(path, "wb") as out:
            client = subprocess.Popen(
                [PROGRAM, "events", "-f", "--json", *words], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.PIPE, env={**os.environ, "DUNLIN_SERVER": sockets})
        self.cluster.clients.append(client)

        def lines():
            with open(path) as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        return client, lines

    @staticmethod
    def of_type(events, kind):
        return [(event["job"], event["task"]) for event in events if event["type"] == kind]

    def once(self, events):
        ids = [event["id"] for event in events]
        self.assertEqual(len(ids), len(set(ids)))
        # Of one group they come as they stand in its log.
        last = {}
        for event in events:
            group, *place = event["id"].split(".")
            if group != "node":
                place = tuple(map(int, place))
                self.assertGreater(place, last.get(group, (0, 0)))
                last[group] = place

    def test_who_follows_goes_on_with_another_node_without_gap_or_repeat(self):
        cluster = self.cluster
        client, lines = self.follow()
        first = cluster.good("submit", "--quiet", "--array", "1-200", "--", "true", node=2).strip()
        wait_for("the first events", lambda: len(self.of_type(lines(), "task_done")) > 20)
        cluster.kill(1)
        jobs = [first] + [
            cluster.good("submit", "--quiet", "--array", "1-50", "--", "true", node=node).strip()
            for node in (2, 3, 2, 3)]
        cluster.good("wait", *jobs, node=2)
        wait_for("the last event", lambda: {job for job, _ in self.of_type(lines(), "job_done")}
                 == set(jobs), 60)
        events = lines()
        for event in events:
            self.assertEqual(set(event), FIELDS)
        expected = {(first, n) for n in range(1, 201)} | {
            (job, n) for job in jobs[1:] for n in range(1, 51)}
        done = self.of_type(events, "task_done")
        self.assertEqual(len(done), len(expected))
        self.assertEqual(set(done), expected)
        self.assertEqual(sorted(self.of_type(events, "job_done")),
                         sorted((job, None) for job in jobs))
        self.assertEqual(sorted(self.of_type(events, "job_submitted")),
                         sorted((job, None) for job in jobs))
        self.once(events)
        wait_for("the death of its node", lambda: any(
            event["type"] == "node_dead" and event["node"] == cluster.id_of(1)
            for event in lines()), 60)
        self.assertIsNone(client.poll())
        client.send_signal(signal.SIGINT)
        self.assertIn(client.wait(10), (130, -signal.SIGINT))

    def test_a_list_holds_what_was_followed_and_a_job_ends_who_follows_it(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-3", "--", "sh", "-c", "exit {}").strip()
        client, lines = self.follow("--job", job)
        self.assertEqual(client.wait(60), 1)
        told = [(event["type"], event["task"]) for event in lines()]
        self.assertEqual(told[0], ("job_submitted", None))
        self.assertEqual(set(told[1:-1]), {("task_failed", n) for n in (1, 2, 3)})
        self.assertEqual(told[-1], ("job_failed", None))
        for node in (1, 2, 3):
            self.assertEqual(cluster.json("events", "--job", job, node=node), lines())
        everything = cluster.json("events")
        self.once(everything)
        for event in lines():
            self.assertIn(event, everything)
        self.assertEqual({event["node"] for event in everything if event["type"] == "node_alive"},
                         {cluster.id_of(node) for node in (2, 3)})
        cluster.good("drain", "n2")
        wait_for("the drain", lambda: any(event["type"] == "node_draining"
                                          for event in cluster.json("events", node=3)))
        table = cluster.good("events", "--job", job)
        self.assertIn("TIME", table.splitlines()[0])
        self.assertIn(f"{job}.2", table)
        self.assertIn("exit 2", table)
        again, lines_again = self.follow("--job", job)
        self.assertEqual(again.wait(60), 1)
        self.assertEqual(lines_again(), lines())
        for words in (["events", "-f"], ["events"]):
            unknown = cluster.run(*words, "--job", "zzzzzzzzzz")
            self.assertEqual(unknown.returncode, 4)

    def test_groups_that_nobody_answers_for_make_a_list_incomplete(self):
        self.cluster.kill(2)
        self.cluster.kill(3)
        wait_for("the loss to show", lambda: self.cluster.run("events").returncode == 7, 60)


if __name__ == "__main__":
    unittest.main()
