"""What may be asked of a cluster that has lost more than it can bear, and of one that shrinks."""

import unittest

from dunlin_cluster import ClusterTest, wait_for


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

    def test_one_key_at_two_nodes_at_once_with_a_kill_between_is_one_job(self):
        cluster = self.cluster
        ids = {}
        for key in range(8):
            words = ["submit", "--quiet", "--name", "keyed", "--key", f"k{key}", "--", "true"]
            both = [cluster.start(*words, node=1), cluster.start(*words, node=2)]
            if key == 3:
                cluster.kill(1)
            answers = [(one.communicate(timeout=30)[0].strip(), one.returncode) for one in both]
            self.assertEqual(answers[1][1], 0)
            ids[key] = {answer for answer, code in answers if code == 0}
            self.assertEqual(len(ids[key]), 1)
        # The client whose node died does not know, and asks again: it is the same job.
        for key in range(8):
            again = cluster.good("submit", "--quiet", "--name", "keyed", "--key", f"k{key}", "--",
                                 "true", node=3).strip()
            self.assertEqual({again}, ids[key])
        listed = cluster.json("jobs", "--name", "keyed", node=2)
        self.assertEqual(len(listed), 8)

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
