"""`dunlin doctor`: finds what is wrong with a real cluster, and nothing else."""

import json
import os
import unittest

from dunlin_cluster import ClusterTest, wait_for

# What the machine of the test may lack is no fault of the cluster.
OF_THE_MACHINE = {"no_cgroup", "no_pinning", "disk_low", "log_slow", "few_descriptors"}


class Doctor(ClusterTest):
    nodes = 3

    def doctor(self, node=1):
        done = self.cluster.run("doctor", "--json", node=node)
        findings = json.loads(done.stdout)
        for finding in findings:
            self.assertEqual(set(finding), {"code", "subject", "message", "hint"})
            self.assertTrue(finding["message"] and finding["hint"], finding)
        self.assertEqual(done.returncode, 1 if findings else 0, done.stderr)
        return {(f["code"], f["subject"]) for f in findings if f["code"] not in OF_THE_MACHINE}

    def until(self, wanted, node=1):
        found = []

        def is_so():
            found[:] = [self.doctor(node)]
            return found[0] == wanted
        try:
            wait_for(f"findings {wanted}", is_so, 90)
        except AssertionError:
            self.assertEqual(found[0], wanted)

    def test_faults_are_found_and_go_away(self):
        cluster = self.cluster
        self.until(set())
        token = cluster.dir(1) / "join-token"
        os.chmod(token, 0o644)
        self.until({("token_readable", str(token))})
        said = cluster.run("doctor")
        self.assertEqual(said.returncode, 1)
        self.assertIn(f"token_readable  {token}: ", said.stdout)
        self.assertEqual(cluster.run("doctor", "--quiet").stdout.split().count("token_readable"), 1)
        os.chmod(token, 0o600)

        cluster.good("drain", "n2", "--wait")
        self.until({("drained_node", "n2")})
        cluster.good("undrain", "n2")
        cluster.await_spare()
        cluster.kill(3)
        wait_for("the death to be known", lambda: any(
            n["name"] == "n3" and n["state"] == "dead" for n in cluster.json("nodes")), 60)
        self.assertLessEqual({("dead_node", "n3"), ("few_hosts", "cluster")}, self.doctor())
        cluster.good("forget", "n3")
        wait_for("no dead node", lambda: ("dead_node", "n3") not in self.doctor())

        cluster.script("stop", "2")
        cluster.script("stop", "1")
        done = cluster.run("doctor", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertIn('"code":"no_node"', done.stdout)


if __name__ == "__main__":
    unittest.main()
