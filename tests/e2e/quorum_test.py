"""What may be asked of a cluster that has lost more than it can bear, and of one that shrinks."""

import os
import signal
import time
import unittest

from dunlin_cluster import ClusterTest, let_pass, wait_for


class Quorum(ClusterTest):
    def test_without_a_quorum_nothing_looks_whole(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-3", "--", "true").strip()
        cluster.good("wait", job)
        cluster.kill(2)
        cluster.kill(3)
        # A list may be a moment old: until the loss is seen it is whole, and says so.
        wait_for("the loss to be seen", lambda: cluster.run("status").returncode == 7)
        questions = [["jobs"], ["jobs", "--json"], ["jobs", "--quiet"], ["tasks", job],
                     ["show", job], ["logs", job], ["cancel", job], ["submit", "--", "true"],
                     ["status"], ["wait", job, "--timeout", "4s"]]
        asked = [(words, cluster.start(*words)) for words in [*questions, ["run", "--", "true"]]]
        for words, process in asked:
            answer, complaint = process.communicate(timeout=30)
            self.assertIn(process.returncode, (125,) if words[0] == "run" else (6, 7), words)
            self.assertTrue(complaint.startswith(("dunlin: ", '{"error"')), complaint)
            self.assertEqual(len(complaint.strip().splitlines()), 1, complaint)
            if words[0] in ("show", "tasks", "logs"):
                self.assertEqual(answer, "", words)
                for missing in ("n2", "n3"):
                    self.assertIn(missing, complaint)
        self.assertIn("done", cluster.good("show", "--stale", job))
        cluster.restart(2)
        wait_for("an answer", lambda: cluster.run("show", job).returncode == 0)
        cluster.good("run", "--", "true")

    def submit_at_two_nodes(self, key, commands, milliseconds):
        """One key at nodes 1 and 2 at once, and node 1 is killed meanwhile: so long after the
        start, or (None) once node 2 has answered, while node 1 is stopped and its client waits."""
        cluster = self.cluster
        if milliseconds is None:
            cluster.script("pause", "1")
        words = ["submit", "--quiet", "--name", "keyed", "--key", key, "--"]
        clients = [cluster.start(*words, command, node=node)
                   for node, command in zip((1, 2), commands)]
        if milliseconds is None:
            clients[1].wait(timeout=30)
            self.assertIsNone(clients[0].poll(), "the client of the stopped node does not wait")
        else:
            let_pass(milliseconds / 1000, time.monotonic())
        os.kill(cluster.pid_of(1), signal.SIGKILL)
        answers = [client.communicate(timeout=30)[0].strip() for client in clients]
        if milliseconds is None:
            # What it has not read it cannot answer: the submission is cut off here for certain.
            self.assertEqual((answers[0], clients[0].returncode), ("", 3))
            self.assertEqual(clients[1].returncode, 0)
        return answers, [client.returncode for client in clients]

    def test_one_key_at_two_nodes_at_once_with_a_kill_between_is_one_job(self):
        cluster = self.cluster
        jobs = {}
        # The same job, and two that differ: of those one is taken and the other refused.
        for number, (second, moment) in enumerate(
                [("true", None), (":", None), (":", 3), ("true", 6), (":", 9), (":", 12)]):
            key, commands = f"k{number}", ("true", second)
            answers, codes = self.submit_at_two_nodes(key, commands, moment)
            self.assertIn(codes[1], (0, 5) if second == ":" else (0,))
            taken = [commands[i] for i in (0, 1) if codes[i] == 0]
            if codes[1] == 5:
                taken.append("true")  # so says node 2, whatever became of the answer of node 1
            self.assertEqual(len(set(taken)), 1, (answers, codes))
            # The client whose node died does not know, and asks again: it is the same job, or none.
            again = cluster.run("submit", "--quiet", "--name", "keyed", "--key", key, "--", "true",
                                node=3)
            self.assertEqual(again.returncode, 0 if taken[0] == "true" else 5, again.stderr)
            ids = {answer for answer, code in zip(answers, codes) if code == 0}
            ids.update([again.stdout.strip()] if again.returncode == 0 else [])
            self.assertEqual(len(ids), 1)
            jobs[ids.pop()] = taken[0]
            cluster.restart(1)
        self.assertEqual(len(jobs), 6)
        listed = cluster.json("jobs", "--name", "keyed", node=2)
        self.assertEqual({job["id"] for job in listed}, set(jobs))
        for job, command in jobs.items():
            cluster.good("wait", job)
            shown = cluster.json("show", job)
            self.assertEqual(shown["spec"]["argv"], [command])
            self.assertEqual((shown["tasks"]["total"], shown["tasks"]["done"]), (1, 1))

    def test_leaving_takes_seconds_and_nothing_along(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-20", "--", "sh", "-c",
                           "head -c 20000 /dev/urandom | od").strip()
        cluster.good("wait", job)
        before = cluster.good("logs", job)
        done = cluster.run("leave", "n3", timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.strip().splitlines()[-1], "left")
        self.assertEqual(cluster.json("nodes", "n3")[0]["state"], "left")
        self.assertEqual(cluster.good("logs", job), before)


if __name__ == "__main__":
    unittest.main()
