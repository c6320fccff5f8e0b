"""Where tasks run, and what they are given there: labels, resources, gpus, directories; explain."""

import pathlib
import unittest

from dunlin_cluster import ClusterTest, wait_for

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

    def submit(self, *words):
        return self.cluster.good("submit", "--quiet", *words).strip()

    def explain(self, job):
        told = self.cluster.json("explain", job)
        return told, {node["node"]: node for node in told["nodes"]}

    def test_tasks_run_where_they_may_and_with_what_they_were_given(self):
        cluster = self.cluster
        first, second = cluster.id_of(1), cluster.id_of(2)
        shared = pathlib.Path(cluster.root) / "shared"
        shared.mkdir()

        # One place or the other.
        for option, where in (("--label=disk=ssd", second), ("--zone=east", second),
                              (f"--node={first}", first), (f"--exclude={second}", first)):
            job = self.submit(option, "--array", "1-6", "--", "true")
            cluster.good("wait", job)
            self.assertEqual({task["node"] for task in cluster.json("tasks", job)}, {where}, option)

        # A named resource bounds what runs at once; a file for each that runs shows how many do.
        script = ("touch on.$DUNLIN_TASK_ID; ls on.* | wc -l; "
                  "until [ -e go ]; do sleep 0.05; done; rm on.$DUNLIN_TASK_ID")
        job = self.submit("--array", "1-4", "-r", "license=1", "--chdir", str(shared), "--", "sh", "-c",
                          script)
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
        job = self.submit("--gpus", "2", "--", "sh", "-c", gpus)
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "gpus=0,1\n")
        job = self.submit("--node", second, "--", "sh", "-c", gpus + "; env | grep -c CUDA")
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "gpus=\n1\n")

        # A directory of the host; its own is named besides.
        job = self.submit("--chdir", str(shared), "--", "sh", "-c",
                          'pwd; test "$PWD" != "$DUNLIN_WORKDIR" && echo own')
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), f"{shared}\nown\n")
        job = self.submit("--chdir", str(shared / "gone"), "--", "true")
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        told, _ = self.explain(job)
        self.assertEqual(told["reason"], "file_missing")
        self.assertIn(f"has no directory {shared}/gone", told["detail"])
        self.assertEqual([a["outcome"] for a in told["attempts"]], ["failed"])

        # What no node has; and a node that is gone.
        job = self.submit("--gpus", "3", "--", "true")
        told, nodes = self.explain(job)
        self.assertEqual(told["reason"], "impossible")
        self.assertIn("3 gpus", told["detail"])
        self.assertEqual(nodes[second]["has"]["gpus"], 2)
        self.assertIn("lacks", cluster.good("explain", job))
        cluster.good("cancel", job)
        job = self.submit("--gpus", "1", "--", "true")
        cluster.good("wait", job)
        cluster.kill(2)
        job = self.submit("--gpus", "1", "--", "true")

        def is_unreachable():
            _, nodes = self.explain(job)
            return nodes[second]["verdict"] == "unreachable" and nodes[second]["since"]
        wait_for("its verdict", is_unreachable)


if __name__ == "__main__":
    unittest.main()
