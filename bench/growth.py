"""A cluster that grows and shrinks while every node submits: what the submitters notice of it."""

import collections
import subprocess
import threading
import time

PAUSE = 0.2  # of a submitter, between two jobs
SETTLE = 600  # seconds: who dies and is not forgotten is replaced after five minutes


class Submitter(threading.Thread):
    """Submits one job after the other at one node, or, when that has gone, at the first."""

    def __init__(self, command, everything):
        super().__init__(daemon=True)
        self.command = command  # the program and its --server
        self.everything = everything  # ids of all jobs acknowledged
        self.longest = 0.0  # seconds from the first try until a job was taken
        self.refused = 0  # tries that failed
        self.is_over = threading.Event()

    def run(self):
        since = None
        while not self.is_over.wait(PAUSE):
            since = since or time.monotonic()
            done = subprocess.run([*self.command, "submit", "--quiet", "--", ":"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.longest = max(self.longest, time.monotonic() - since)
            if done.returncode == 0:
                self.everything.append(done.stdout.strip())
                since = None
            else:
                self.refused += 1

    def end(self):
        self.is_over.set()
        self.join()


class Growth:
    """`cluster` is one of a single node; all of `note(line)` is for people."""

    def __init__(self, cluster, wait_for, note):
        self.cluster = cluster
        self.wait_for = wait_for
        self.note = note
        self.jobs = []
        self.submitters = {}
        self.ended = []
        self.submit_at(1)

    def submit_at(self, node):
        # A client knows more than one server; the node itself comes first.
        others = (node, 1) if node != 1 else (1,)
        self.submitters[node] = Submitter(self.cluster.command(others), self.jobs)
        self.submitters[node].start()

    def settle(self, hosts):
        self.wait_for(f"{hosts} hosts to settle", lambda: self.is_settled(hosts), SETTLE)
        slowest = max(s.longest for s in [*self.submitters.values(), *self.ended])
        self.note(f"  {hosts} hosts, {len(self.jobs)} jobs so far, each within {slowest:.2f} s")

    def is_settled(self, hosts):
        status = self.cluster.try_json("status")
        return (status and status["nodes"]["alive"] == hosts
                and (hosts < 3 or status["can_lose"] >= 1))

    def grow_to(self, hosts):
        while self.cluster.nodes < hosts:
            self.cluster.nodes = int(self.cluster.script("add"))
            self.submit_at(self.cluster.nodes)
        self.settle(hosts)

    def end_submitter(self, node):
        submitter = self.submitters.pop(node)
        submitter.end()
        self.ended.append(submitter)

    def leave(self, node, hosts):
        self.cluster.good("leave", f"n{node}", timeout=120)
        self.settle(hosts)
        self.end_submitter(node)

    def lose(self, node, hosts, forget):
        self.cluster.kill(node)
        self.wait_for("the death to be seen", lambda: any(
            n["name"] == f"n{node}" and n["state"] == "dead"
            for n in self.cluster.try_json("nodes") or []), 60)
        if forget:
            self.cluster.good("forget", f"n{node}")
        self.settle(hosts)
        self.end_submitter(node)

    def end(self):
        """The seconds that the slowest submission took, how often one failed, and the jobs."""
        for node in list(self.submitters):
            self.end_submitter(node)
        return max(s.longest for s in self.ended), sum(s.refused for s in self.ended), self.jobs


def give_groups_jobs(cluster, jobs=1000):
    """Who leads a group is asked through its jobs: as many as leave few of the groups without."""
    for _ in range(jobs):
        cluster.good("submit", "--quiet", "--", ":")


def leaders(cluster, groups=256):
    """How many groups each host leads, by its name, of those that have jobs, and what share that is."""
    names = {node["id"]: node["name"] for node in cluster.json("nodes")}
    found = {}
    for job in cluster.json("jobs", "--all"):
        if job["coordinator"]:
            found[job["group"]] = names[job["coordinator"]]
    counts = collections.Counter(found.values())
    return counts, len(found) / groups


def settled_leaders(cluster, hosts, seconds=300):
    """The same, once no host of `hosts` is off an even share by more than a fifth, or time is up; and
    the seconds that took, and by what part of an even share the furthest is off it."""
    begin = time.monotonic()
    while True:
        counts, known = leaders(cluster)
        even = sum(counts.values()) / hosts
        shares = [*counts.values(), *[0] * (hosts - len(counts))]
        off = max(abs(count - even) for count in shares) / even
        waited = time.monotonic() - begin
        if off <= 0.2 or waited > seconds:
            return counts, known, waited, off
        time.sleep(2)
