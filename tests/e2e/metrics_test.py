"""GET /metrics: in Prometheus' format to the letter, and the figures are those of what happened."""

import http.client
import socket
import unittest

import prometheus_text
from dunlin_cluster import ClusterTest, wait_for

GOOD = """# HELP dunlin_a_total What \\\\ is.
# TYPE dunlin_a_total counter
dunlin_a_total{x="a\\"b\\\\c\\nd",y="z"} 3
dunlin_a_total{x="e"} 4.5e+3
# HELP dunlin_h_seconds Time.
# TYPE dunlin_h_seconds histogram
dunlin_h_seconds_bucket{le="0.5"} 1
dunlin_h_seconds_bucket{le="+Inf"} 2
dunlin_h_seconds_sum 1.25
dunlin_h_seconds_count 2
"""


class Format(unittest.TestCase):
    def test_what_is_right_is_read(self):
        families = prometheus_text.parse(GOOD)
        self.assertEqual(families["dunlin_a_total"].value(x='a"b\\c\nd', y="z"), 3)
        self.assertEqual(families["dunlin_a_total"].total(), 4503)
        self.assertEqual(families["dunlin_h_seconds"].kind, "histogram")

    def test_what_is_wrong_is_found(self):
        for right, wrong in (
                ("nd\",y=", "xd\",y="), ("y=\"z\"}", "x=\"z\"}"), ("y=\"z\"}", "y=\"z\",}"),
                ("{x=\"e\"}", "{}"), ("4.5e+3", "4,5"), ("4.5e+3", "-1"), ("4.5e+3", "NaN"),
                ("{x=\"e\"} 4.5e+3", "{x=\"a\\\"b\\\\c\\nd\",y=\"z\"} 3"),
                ("# TYPE dunlin_a_total counter\n", ""), ("counter", "gauge"), ("counter", "timer"),
                ("# HELP dunlin_a_total What \\\\ is.\n", ""), ("What \\\\ is.", "What \\ is."),
                ("dunlin_a_total", "other_a_total"), ("dunlin_a_total", "dunlin_a"),
                ("dunlin_h_seconds", "dunlin_h_ms"), ("dunlin_h_seconds", "dunlin_h"),
                ("_count 2\n", "_count 2"), ("_count 2", "_count 3"),
                ("_count 2\n", "_count 2\n\n"), ("dunlin_h_seconds_sum 1.25\n", ""),
                ("_bucket{le=\"0.5\"} 1", "_bucket{le=\"0.5\"} 5"),
                ("_bucket{le=\"+Inf\"} 2", "_bucket{le=\"9\"} 2"),
                ("dunlin_h_seconds_sum", "dunlin_g_seconds_sum"), ("_sum 1.25", "_sum 1.25 x")):
            text = GOOD.replace(right, wrong)
            self.assertNotEqual(text, GOOD, right)
            with self.assertRaises(prometheus_text.Wrong, msg=text):
                prometheus_text.parse(text)


class Metrics(ClusterTest):
    nodes = 3

    def scrape(self, node):
        connection = http.client.HTTPConnection("dunlin", timeout=20)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(20)
        connection.sock.connect(str(self.cluster.dir(node) / "api.sock"))
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            self.assertEqual(answer.headers["Content-Type"],
                             "text/plain; version=0.0.4; charset=utf-8")
            return prometheus_text.parse(answer.read().decode())
        finally:
            connection.close()

    def sum_of(self, name, **labels):
        return sum(self.scrape(n)[name].value(**labels) for n in range(1, self.nodes + 1))

    def test_the_figures_are_those_of_what_happened(self):
        cluster = self.cluster
        before = self.scrape(1)
        job = cluster.good("submit", "--quiet", "--array", "1-5", "--", "sh", "-c",
                           "exit $(( {} > 3 ))").strip()
        self.assertEqual(cluster.run("wait", job).returncode, 1)
        finished = "dunlin_attempts_finished_total"
        wait_for("the ends to be counted", lambda: self.sum_of(finished, outcome="done") == 3)
        self.assertEqual(self.sum_of(finished, outcome="failed"), 2)
        self.assertEqual(self.sum_of("dunlin_attempts_started_total"), 5)
        hanging = cluster.good("submit", "--quiet", "--", "sleep", "600").strip()
        wait_for("a running task", lambda: self.sum_of("dunlin_tasks_running") == 1)
        self.assertEqual(self.sum_of("dunlin_cpus_free"), self.sum_of("dunlin_cpus") - 1)
        cluster.good("cancel", hanging)
        wait_for("the end of the task", lambda: self.sum_of(finished, outcome="dropped") == 1)

        after = self.scrape(1)
        self.assertEqual(after["dunlin_members"].value(state="alive"), 3)
        self.assertEqual(after["dunlin_groups_with_quorum"].value(), after["dunlin_groups"].value())
        self.assertEqual(self.sum_of("dunlin_groups_led"), after["dunlin_groups"].value())
        for name in ("dunlin_group_entries_committed_total", "dunlin_api_requests_total",
                     "dunlin_messages_sent_total", "dunlin_messages_received_bytes_total"):
            self.assertGreater(after[name].total(), before[name].total(), name)
        self.assertGreater(after["dunlin_messages_received_total"].value(module="gossip"), 0)
        count = "_count", ()
        self.assertGreater(after["dunlin_log_commit_duration_seconds"].samples[count],
                           before["dunlin_log_commit_duration_seconds"].samples[count])
        self.assertGreater(after["process_resident_memory_bytes"].value(), 1 << 20)
        build = dict(next(iter(after["dunlin_build_info"].samples))[1])
        self.assertEqual(build["node"], cluster.id_of(1))

    def test_its_length_does_not_grow_with_the_tasks(self):
        before = sum(len(family.samples) for family in self.scrape(1).values())
        job = self.cluster.good("submit", "--quiet", "--array", "1-200", "--", "true").strip()
        self.cluster.good("wait", job)
        after = sum(len(family.samples) for family in self.scrape(1).values())
        # Statuses that the API has not given before.
        self.assertLess(after, before + 5)


if __name__ == "__main__":
    unittest.main()
