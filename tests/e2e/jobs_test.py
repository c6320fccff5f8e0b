"""What a person does with a healthy cluster."""

import pathlib
import unittest

from dunlin_cluster import ClusterTest, wait_for


class Jobs(ClusterTest):
    def test_run_gives_the_commands_own_exit_code_and_output(self):
        cluster = self.cluster
        self.assertEqual(cluster.good("run", "--", "echo", "hello", node=2), "hello\n")
        for code, command in [(7, ["sh", "-c", "exit 7"]), (137, ["sh", "-c", "kill -9 $$"]),
                              (127, ["no-such-program"]), (126, ["/etc/passwd"])]:
            done = cluster.run("run", "--", *command)
            self.assertEqual(done.returncode, code, done.stderr)
        late = cluster.run("run", "--time", "1s", "--grace", "1s", "--", "sleep", "30")
        self.assertEqual(late.returncode, 124, late.stderr)

    def test_entries_arrays_and_their_placeholders(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--", "echo", "<{}:{#}>", ":::", "a", "b").strip()
        cluster.good("wait", job, node=3)
        self.assertEqual(cluster.good("logs", job, node=2), "<a:1>\n<b:2>\n")
        job = cluster.good("submit", "--quiet", "--array", "2-6:2", "--", "sh", "-c",
                           "echo $DUNLIN_TASK_ID").strip()
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "2\n4\n6\n")
        self.assertEqual([task["task"] for task in cluster.json("tasks", job)], [2, 4, 6])

    def test_an_array_that_begins_at_zero_is_whole_in_every_list(self):
        cluster = self.cluster
        here = pathlib.Path(cluster.root)
        for array, numbers in (("0-4", [0, 1, 2, 3, 4]), ("0-4:2", [0, 2, 4]), ("5-7", [5, 6, 7])):
            job = cluster.good("submit", "--quiet", "--array", array, "--out", "o", "--", "sh", "-c",
                               "echo {} > o; echo {}").strip()
            followed = cluster.run("logs", "-f", job)
            self.assertEqual(followed.returncode, 0, followed.stderr)
            self.assertEqual(sorted(followed.stdout.splitlines()), [f"{n}: {n}" for n in numbers])
            self.assertEqual([task["task"] for task in cluster.json("tasks", job)], numbers)
            self.assertEqual(cluster.good("logs", job, node=2), "".join(f"{n}\n" for n in numbers))
            self.assertEqual([file["task"] for file in cluster.json("outputs", job)], numbers)
            cluster.good("outputs", job, "--to", str(here / array), node=3)
            for n in numbers:
                self.assertEqual((here / array / str(n) / "o").read_text(), f"{n}\n")

    def test_files_go_out_and_outputs_come_back(self):
        cluster = self.cluster
        here = pathlib.Path(cluster.root)
        (here / "in.txt").write_text("some words\n")
        (here / "results").mkdir()
        job = cluster.good("submit", "--quiet", "--file", f"{here}/in.txt", "--out", "out/*",
                           "--array", "1-3", "--", "sh", "-c",
                           "mkdir out; tr a-z A-Z < in.txt > out/upper").strip()
        cluster.good("wait", job)
        cluster.good("outputs", job, "--to", str(here / "results"), node=3)
        for task in (1, 2, 3):
            self.assertEqual((here / "results" / str(task) / "out/upper").read_text(),
                             "SOME WORDS\n")

    def test_a_failing_task_is_tried_again_and_told(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--retries", "2", "--", "sh", "-c",
                           "echo $DUNLIN_ATTEMPT; exit $((DUNLIN_ATTEMPT < 3))").strip()
        cluster.good("wait", job)
        self.assertEqual(cluster.good("logs", job), "3\n")
        job = cluster.good("submit", "--quiet", "--array", "1-4", "--", "sh", "-c",
                           "exit $((DUNLIN_TASK_ID % 2))").strip()
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        counts = cluster.json("show", job)["tasks"]
        self.assertEqual((counts["done"], counts["failed"], counts["total"]), (2, 2, 4))

    def test_the_same_key_is_one_job_and_another_spec_a_conflict(self):
        cluster = self.cluster
        first = cluster.good("submit", "--quiet", "--key", "k", "--", "true", node=1)
        self.assertEqual(cluster.good("submit", "--quiet", "--key", "k", "--", "true", node=2), first)
        self.assertEqual(cluster.run("submit", "--key", "k", "--", "false").returncode, 5)

    def test_cancel_ends_what_runs_and_what_waits(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-50", "--", "sleep", "300").strip()

        def begun():
            return [task["task"] for task in cluster.json("tasks", job) if task["started_at"]]

        wait_for("running tasks", lambda: cluster.json("show", job)["tasks"]["running"] > 0 and begun())
        ran = begun()
        cluster.good("cancel", job, node=2)
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        counts = cluster.json("show", job)["tasks"]
        self.assertEqual(counts["cancelled"], 50)
        # Those that ran say what they have used.
        used = {task["task"]: task["max_rss"] for task in cluster.json("tasks", job)}
        self.assertTrue(all(used[task] for task in ran), (ran, used))
        cluster.good("cancel", job)

    def test_ids_that_do_not_exist_exit_with_4(self):
        for words in (["show"], ["logs"], ["wait"], ["cancel"], ["tasks"], ["outputs"]):
            done = self.cluster.run(*words, "zzzzzzzzzz")
            self.assertEqual(done.returncode, 4, f"{words}: {done.stderr}")
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
