"""Slurm scripts, job files and what tasks see of them, on a real node."""

import pathlib
import subprocess
import unittest

from dunlin_cluster import ClusterTest

SLURM = """#!/bin/sh
#SBATCH --job-name=night
#SBATCH --array=1-3%2
#SBATCH --cpus-per-task=2 --time=10
#SBATCH --partition=long
#SBATCH --export=NONE,GREETING=hello
echo "$GREETING $1 $SLURM_JOB_NAME $SLURM_ARRAY_TASK_ID $SLURM_CPUS_PER_TASK"
echo "$SLURM_JOB_ID $SLURM_ARRAY_JOB_ID $SLURM_SUBMIT_DIR" >&2
"""

JOB_FILE = """
command = ["sh", "-c", 'cat; echo "{} $RATE" > $DUNLIN_TASK_ID.txt']
entries = [["a", "b"], [0.5]]
stdin = "words"
out = "*.txt"
wait = true
[env]
RATE = 7
"""


class Scripts(ClusterTest):
    nodes = 1

    def submit(self, *words, **options):
        """As from the test's own directory."""
        return subprocess.run([*self.cluster.command(), "submit", *words], cwd=self.cluster.root,
                              capture_output=True, text=True, timeout=60, **options)

    def write(self, name, text):
        path = pathlib.Path(self.cluster.root) / name
        path.write_text(text)
        return path

    def test_a_slurm_array_runs_unchanged(self):
        cluster = self.cluster
        self.write("night.sh", SLURM)
        done = self.submit("--wait", "night.sh", "sir")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("partition", done.stderr)
        job = done.stdout.strip()
        self.assertEqual(cluster.good("logs", job),
                         "".join(f"hello sir night {n} 2\n" for n in (1, 2, 3)))
        here = str(pathlib.Path(cluster.root).resolve())
        self.assertEqual(cluster.good("logs", "--stderr", job),
                         "".join(f"{job}.{n} {job} {here}\n" for n in (1, 2, 3)))
        self.assertEqual(cluster.json("show", job)["spec"]["limit"], 2)

    def test_a_job_file_is_run_and_what_is_typed_counts_before_it(self):
        cluster = self.cluster
        self.write("words", "good day\n")
        self.write("pair.toml", JOB_FILE)
        done = self.submit("pair.toml")
        self.assertEqual(done.returncode, 0, done.stderr)
        job = done.stdout.strip()
        self.assertEqual(cluster.good("logs", job), "good day\ngood day\n")
        self.assertEqual(cluster.good("outputs", f"{job}.2", "2.txt"), "b 0.5 7\n")
        typed = self.submit("--env", "RATE=8", "--name", "other", "pair.toml", ":::", "c")
        self.assertEqual(typed.returncode, 0, typed.stderr)
        self.assertEqual(cluster.good("outputs", typed.stdout.strip() + ".1", "1.txt"), "c 8\n")
        self.assertEqual(cluster.json("jobs", "--name", "oth*")[0]["tasks"]["done"], 1)

    def test_what_a_script_or_file_gets_wrong_is_named_with_its_line(self):
        self.write("bad.sh", "#!/bin/sh\n#SBATCH --nodes=2\n")
        self.write("bad.toml", "command = ['true']\ncpus = 'two'\n")
        for name, said in (("bad.sh", "bad.sh line 2: #SBATCH --nodes"),
                           ("bad.toml", "bad.toml line 2: cpus: expected a whole number")):
            done = self.submit(name)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(self.cluster.json("jobs"), [])

    def test_tasks_of_a_node_and_a_search_without_patience(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-2", "--", "sleep", "300").strip()
        late = cluster.run("run", "--timeout", "0", "--", "true")
        self.assertEqual(late.returncode, 125, late.stderr)
        held = cluster.good("tasks", "--node", "n1", "--quiet").split()
        self.assertEqual(held, [f"{job}.1", f"{job}.2"])
        self.assertEqual(cluster.run("wait", job, "--timeout", "0").returncode, 6)
        cluster.good("cancel", job)
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        self.assertEqual(cluster.good("run", "--timeout", "0", "--", "echo", "now"), "now\n")


if __name__ == "__main__":
    unittest.main()
