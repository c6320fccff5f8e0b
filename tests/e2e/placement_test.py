"""Where tasks run, and what they are given there: labels, resources, gpus, directories; explain."""

import pathlib
import random
import string
import unittest

from dunlin_cluster import ClusterTest, wait_for

LETTERS = string.ascii_lowercase + string.digits


class Placement(ClusterTest):
    nodes = 2
    options = "--cpus 4"

    def setUp(self):
        super().setUp()
        # The second node comes back as a host that has more.
        self.cluster.script("stop", "2")
        self.cluster.env["DUNLIN_UP"] = ("--cpus 4 --label disk=ssd --zone east --gpus 2 "
                                         "--resource license=2")
        self.cluster.restart(2)
        wait_for("what node 2 has", lambda: any(
            node["labels"] == {"disk": "ssd"} and node["state"] == "alive"
            for node in self.cluster.json("nodes")))

    def submit(self, argv, count=1, **spec):
        """By the API: the id is minted here."""
        picked = self.cluster.api("GET", "/v1/pick-group")
        start = next(a + b for i, a in enumerate(string.ascii_lowercase)
                     for j, b in enumerate(LETTERS)
                     if (i * 36 + j) % picked["group_count"] == picked["group"])
        job = start + "".join(random.choices(LETTERS, k=8))
        spec["argv"] = argv
        if count > 1:
            spec["array"] = f"1-{count}"
        self.cluster.api("POST", "/v1/jobs", {"id": job, "spec": spec})
        return job

    def explain(self, job):
        told = self.cluster.json("explain", job)
        return told, {node["node"]: node for node in told["nodes"]}

    def test_tasks_run_where_they_may_and_with_what_they_were_given(self):
        cluster = self.cluster
        first, second = cluster.id_of(1), cluster.id_of(2)
        shared = pathlib.Path(cluster.root) / "shared"
        shared.mkdir()

        # One place or the other.
        for spec, where in (({"labels": {"disk": "ssd"}}, second), ({"zone": "east"}, second),
                            ({"nodes": [first]}, first), ({"exclude": [second]}, first)):
            job = self.submit(["true"], 6, **spec)
            cluster.good("wait", job)
            self.assertEqual({task["node"] for task in cluster.json("tasks", job)}, {where}, spec)

        # A named resource bounds what runs at once; a file for each that runs shows how many do.
        script = ("touch on.$DUNLIN_TASK_ID; ls on.* | wc -l; "
                  "until [ -e go ]; do sleep 0.05; done; rm on.$DUNLIN_TASK_ID")
        job = self.submit(["sh", "-c", script], 4, resources={"license": 1}, chdir=str(shared))
        wait_for("two at once", lambda: len(list(shared.glob("on.*"))) == 2)
        told, nodes = self.explain(job)
        self.assertEqual(told["state"], "queued")
        self.assertEqual(nodes[second]["verdict"], "full")
        self.assertEqual(nodes[second]["needs"]["resources"], {"license": 1})
        self.assertEqual(nodes[second]["has"]["resources"], {"license": 0})
        self.assertLess(nodes[second]["asked_ms_ago"], 5000)
        self.assertEqual(nodes[first]["verdict"], "lacks")
        own = [n for n in cluster.json("nodes", node=2) if n["id"] == second][0]
        self.assertEqual(own["resources"], {"license": {"total": 2, "free": 0}})
        self.assertEqual((own["gpus_total"], own["gpus_free"]), (2, 2))
        (shared / "go").touch()
        cluster.good("wait", job)
        seen = [int(line) for line in cluster.good("logs", job).split()]
        self.assertEqual((len(seen), max(seen)), (4, 2))

        # Gpus by their numbers; none for who asked for none.
        gpus = "echo gpus=$CUDA_VISIBLE_DEVICES"
        job = self.submit(["sh", "-c", gpus], gpus=2)
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "gpus=0,1\n")
        job = self.submit(["sh", "-c", gpus + "; env | grep -c CUDA"], nodes=[second])
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "gpus=\n1\n")

        # A directory of the host; its own is named besides.
        job = self.submit(["sh", "-c", 'pwd; test "$PWD" != "$DUNLIN_WORKDIR" && echo own'],
                          chdir=str(shared))
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), f"{shared}\nown\n")
        job = self.submit(["true"], chdir=str(shared / "gone"))
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        told, _ = self.explain(job)
        self.assertEqual(told["reason"], "file_missing")
        self.assertIn(f"has no directory {shared}/gone", told["detail"])
        self.assertEqual([a["outcome"] for a in told["attempts"]], ["failed"])

        # What no node has; and a node that is gone.
        job = self.submit(["true"], gpus=3)
        told, nodes = self.explain(job)
        self.assertEqual(told["reason"], "impossible")
        self.assertIn("3 gpus", told["detail"])
        self.assertEqual(nodes[second]["has"]["gpus"], 2)
        self.assertIn("lacks", cluster.good("explain", job))
        cluster.good("cancel", job)
        job = self.submit(["true"], gpus=1)
        cluster.good("wait", job)
        cluster.kill(2)
        job = self.submit(["true"], gpus=1)

        def is_unreachable():
            _, nodes = self.explain(job)
            return nodes[second]["verdict"] == "unreachable" and nodes[second]["since"]
        wait_for("its verdict", is_unreachable)


if __name__ == "__main__":
    unittest.main()
