"""docs/openapi.json is what the server does: every operation is called, well and badly, against real
nodes, and what comes back is held against the file; so is every `--json`.

Whoever adds an endpoint describes it there, and calls it here: a line each in `well` and `badly`.
"""

import http.client
import json
import random
import re
import socket
import string
import struct
import unittest

import prometheus_text
from dunlin_cluster import HOME, ClusterTest, wait_for
from json_schema import Schemas

DOCUMENT = json.loads((HOME / "docs" / "openapi.json").read_text())


def operations():
    """operationId -> (method, path, operation)"""
    return {operation["operationId"]: (method.upper(), path, operation)
            for path, item in DOCUMENT["paths"].items() for method, operation in item.items()}


def job_id(choice):
    """A new id of that group (see API.md, Submitting)."""
    letters = string.ascii_lowercase
    for first in random.sample(letters, 26):
        for place, second in enumerate(letters + string.digits):
            if (letters.index(first) * 36 + place) % choice["group_count"] == choice["group"]:
                return first + second + "".join(random.choices(letters, k=8))
    raise AssertionError(f"no id in group {choice}")


def frames(body):
    """(kind, task, payload) of an application/x-dunlin-frames."""
    while body:
        kind, task, length = struct.unpack_from("<cII", body)
        yield kind.decode(), task, body[9:9 + length]
        body = body[9 + length:]


class Described(unittest.TestCase):
    def test_every_route_of_the_server_is_described_and_nothing_else(self):
        served = set()
        for source in sorted((HOME / "src" / "os").glob("api_*.cpp")):
            for method, pattern in re.findall(r'\{"([A-Z]+)", "(/[^"]*)", ', source.read_text()):
                served.add((method, pattern.replace("{...}", "{}")))
        self.assertGreater(len(served), 15)
        described = {(method, re.sub(r"\{[^}]*\}", "{}", path))
                     for method, path, _ in operations().values()}
        self.assertEqual(served, described)

    def test_every_path_names_its_parameters_and_every_reference_leads_somewhere(self):
        schemas = Schemas(DOCUMENT)
        for reference in re.findall(r'"\$ref": "([^"]*)"', json.dumps(DOCUMENT)):
            schemas.resolve(reference)
        for name, (_, path, operation) in operations().items():
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            self.assertEqual(set(re.findall(r"\{([^}]*)\}", path)), named, name)

    def test_what_is_not_as_described_is_found(self):
        schemas = Schemas(DOCUMENT)
        node = {"error": {"code": "usage", "message": "x", "hint": None}}
        error = DOCUMENT["components"]["schemas"]["Error"]
        self.assertEqual(schemas.errors(node, error), [])
        for wrong in ({"code": "odd", "message": "x", "hint": None}, {"code": "usage"},
                      {"code": "usage", "message": 1, "hint": None}, [], None):
            self.assertNotEqual(schemas.errors({"error": wrong}, error), [], wrong)
        for value, schema in ((True, {"type": "integer"}), (-1, {"minimum": 0}),
                              ({"a": 1}, {"properties": {}, "additionalProperties": False}),
                              ({"a": 1}, {"additionalProperties": {"type": "string"}}),
                              ("x", {"pattern": "^y"}), ("today", {"format": "date-time"}),
                              ([1], {"items": {"type": "string"}}), (2, {"const": 1}),
                              (2, {"anyOf": [{"const": 1}, {"type": "null"}]})):
            self.assertNotEqual(schemas.errors(value, schema), [], schema)
        with self.assertRaises(KeyError):
            schemas.errors(1, {"maximum": 2})


class Api(ClusterTest):
    nodes = 3

    def setUp(self):
        super().setUp()
        self.schemas = Schemas(DOCUMENT)
        self.operations = operations()
        self.well = set()
        self.badly = set()

    def fits(self, value, schema, what):
        self.assertEqual(self.schemas.errors(value, schema), [], f"{what}: {value}")

    def request(self, method, target, body, node):
        connection = http.client.HTTPConnection("dunlin", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self.cluster.dir(node) / "api.sock"))
        try:
            connection.request(method, target, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def fits_content(self, kind, body, schema, what):
        if kind == "application/json":
            self.fits(json.loads(body), schema, what)
        elif kind == "application/x-ndjson":
            for line in body.decode().split("\n"):
                if line:
                    self.fits(json.loads(line), schema, what)
        elif kind.startswith("text/plain; version=0.0.4"):
            prometheus_text.parse(body.decode())
        elif kind == "application/x-dunlin-frames":
            parts = {"j": "Job", "t": "Task", "x": "Error"}
            for frame, _, payload in frames(body):
                if frame in parts:
                    self.fits(json.loads(payload), {"$ref": "#/components/schemas/" + parts[frame]},
                              what)

    def call(self, name, *places, query="", body=None, node=1, status=200):
        """One call of that operation; its body, read if it is JSON."""
        method, path, operation = self.operations[name]
        for place in places:
            path = re.sub(r"\{[^}]*\}", str(place), path, count=1)
        self.assertNotIn("{", path)
        for key in re.findall(r"(\w+)=", query):
            known = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            self.assertTrue(key in known or status == 400, f"{name}: {key} is not described")
        if body is not None and not isinstance(body, bytes):
            if status == 200:
                self.fits(body, operation["requestBody"]["content"]["application/json"]["schema"],
                          name)
            body = json.dumps(body)
        got, headers, data = self.request(method, path + ("?" + query if query else ""), body, node)
        self.assertEqual(got, status, f"{name} {path}: {data[:300]}")
        described = operation["responses"].get(str(got)) or operation["responses"]["default"]
        kind = headers["Content-Type"]
        self.assertIn(kind, described["content"], name)
        self.fits_content(kind, data, described["content"][kind]["schema"], name)
        for header, value in headers.items():
            if header.startswith("Dunlin-"):
                self.fits(value, described["headers"][header]["schema"], header)
        (self.well if status == 200 else self.badly).add(name)
        return json.loads(data) if kind == "application/json" else data

    def order(self, name, **more):
        """Lines of progress and signs of life, and at last that it is done."""
        lines = [json.loads(line) for line in self.call(name, **more).splitlines()]
        self.assertEqual(lines[-1:], [{"done": True}], f"{name}: {lines}")

    def submission(self, *argv, **more):
        return {"id": job_id(self.call("pickGroup")), "spec": {"argv": list(argv), **more}}

    def test_every_operation_answers_as_it_is_described(self):
        for name in ("listNodes", "getStatus", "getCheckup", "getMetrics", "pickGroup"):
            self.call(name)
            self.call(name, query="odd=1", status=400)
        self.tokens()
        job = self.jobs()
        self.job(job)
        self.outputs_and_blobs()
        self.ends()
        self.assertEqual(self.well, set(self.operations), "these were never called well")
        self.assertEqual(self.badly, set(self.operations), "these were never called badly")

    def tokens(self):
        made = self.call("createToken", body={"role": "user", "user": "ann", "ttl_ms": 60000})
        self.call("createToken", body={"role": "user", "user": "root"}, status=403)
        self.call("createToken", body={"role": "admin"}, status=400)
        self.call("revokeToken", made["id"])
        self.call("revokeToken", "0" * 13, status=404)
        self.call("revokeToken", "short", status=400)
        self.assertGreater(len(self.call("listTokens", query="all=1")), 1)
        self.call("listTokens", query="all=perhaps", status=400)

    def jobs(self):
        many = self.submission("sh", "-c", "echo {}; exit {}", array="0-2")
        self.call("submitJob", body=many)
        self.call("submitJob", body={"id": "x", "spec": {}}, status=400)
        self.call("submitJob", body={**many, "spec": {"argv": ["true"]}}, status=409)
        self.call("runJob", body=self.submission("sh", "-c", "echo out; echo err >&2; exit 3"))
        self.call("runJob", body=self.submission("nowhere-to-be-found"))
        self.call("runJob", body={"spec": {}}, status=400)
        self.call("watchJobs", body={"jobs": [many["id"], "zzzzzzzzzz"], "only_final": True})
        self.call("watchJobs", body={"jobs": "all"}, status=400)
        self.call("listJobs", query="all=1&mine=1&limit=1")
        self.assertEqual(len(self.call("listJobs", query="state=failed&all=1")), 3)
        self.call("listJobs", query="state=odd", status=400)
        return many["id"]

    def job(self, job):
        self.call("getJob", job)
        self.call("getJob", "zzzzzzzzzz", status=404)
        self.assertEqual(len(self.call("listTasks", job, query="limit=2")), 2)
        self.call("listTasks", job, query="state=failed&tasks=1-2&after=0")
        self.call("listTasks", job, query="tasks=x", status=400)
        self.call("watchJob", job, query="seen=0&hold_ms=0")
        self.call("watchJob", job, query="seen=x", status=400)
        self.assertEqual(self.call("readLogs", job, query="stream=both&tasks=0-1"), b"0\n1\n")
        self.call("readLogs", job, query="follow=1")
        self.call("readLogs", job, query="stream=odd", status=400)
        self.events(job)
        self.call("cancelJob", job)
        self.call("cancelJob", "zzzzzzzzzz", status=404)
        self.call("explainTask", job, query="task=1")
        self.call("explainTask", job, query="task=x", status=400)
        self.orders()

    def events(self, job):
        page = self.call("listEvents", query=f"job={job}")
        self.assertGreater(len(page["events"]), 3)
        after = self.call("listEvents", query=f"job={job}&wait_ms=0&after={page['cursor']}", node=2)
        told = {event["id"] for event in page["events"]}
        self.assertFalse(told & {event["id"] for event in after["events"]})
        self.assertGreater(len(self.call("listEvents")["events"]), len(page["events"]))
        self.call("listEvents", query="after=odd", status=400)
        self.call("listEvents", query="job=1", status=400)

    def orders(self):
        impossible = self.submission("true", cpus=60000)
        waits = impossible["id"]
        self.call("submitJob", body=impossible)
        self.assertNotEqual(self.call("explainTask", waits)["nodes"], [])
        self.call("pauseJob", waits, query="freeze=1")
        self.call("pauseJob", waits, query="freeze=odd", status=400)
        self.call("resumeJob", waits)
        self.call("resumeJob", "zzzzzzzzzz", status=404)
        self.call("changeJob", waits, body={"priority": 3, "keep_ms": 60000})
        self.call("changeJob", waits, body={}, status=400)
        self.call("deleteJob", waits, status=409)
        failing = self.submission("sh", "-c", "exit 3")
        failed = failing["id"]
        self.call("runJob", body=failing)
        self.call("retryJob", failed, query="order=7")
        self.call("retryJob", failed, query="all=odd", status=400)
        self.call("watchJobs", body={"jobs": [failed], "only_final": True})
        self.call("deleteJob", failed)

    def outputs_and_blobs(self):
        put = self.call("putBlob", body=b"content")
        self.call("putBlob", query="odd=1", body=b"content", status=400)
        self.assertEqual(self.call("getBlob", put["id"]), b"content")
        self.call("getBlob", "short", status=400)
        with_file = self.submission(
            "cp", "a", "b", out=["b"],
            files=[{"name": "a", "mode": 420, "size": 7,
                    "content": [{"id": put["id"], "length": put["length"]}]}])
        self.call("runJob", body=with_file)
        self.assertEqual(self.call("listOutputs", with_file["id"])[0]["name"], "b")
        self.call("listOutputs", with_file["id"], query="tasks=x", status=400)
        self.assertEqual(self.call("readOutput", with_file["id"], 1, "b"), b"content")
        self.call("readOutput", with_file["id"], 1, "c", status=404)
        # As the node keeps it, with all that was not said.
        self.assertEqual(self.call("getJob", with_file["id"])["spec"]["argv"], ["cp", "a", "b"])

    def ends(self):
        self.order("drain", body={"node": self.cluster.id_of(2), "wait": True})
        self.call("drain", body={"node": "short"}, status=400)
        self.order("undrain", body={"node": self.cluster.id_of(2)})
        self.call("undrain", body={"odd": 1}, status=400)
        self.forget(3)
        self.call("leave", body={"node": "short"}, status=400)
        self.order("leave", body={"node": self.cluster.id_of(2), "now": True})
        self.call("down", query="odd=1", status=400)
        self.assertEqual(self.call("down"), {})

    def forget(self, node):
        lost = self.cluster.id_of(node)
        self.cluster.await_spare()
        self.cluster.kill(node)
        wait_for("its death to be known", lambda: any(
            n["id"] == lost and n["state"] == "dead" for n in self.cluster.json("nodes")), 60)
        self.call("forget", body={"odd": 1}, status=400)
        self.assertEqual(self.call("forget", body={"node": lost}), {})

    def test_every_answer_with_json_is_as_it_is_described(self):
        cluster = self.cluster
        job = cluster.good("submit", "--quiet", "--array", "1-2", "--out", "o", "--", "sh", "-c",
                           "echo {} > o").strip()
        cluster.good("wait", job)
        for words, name in ((["nodes"], "Nodes"), (["nodes", "n1"], "Nodes"), (["status"], "Status"),
                            (["jobs"], "Jobs"), (["show", job], "JobWithSpec"),
                            (["tasks", job], "Tasks"), (["explain", job + ".1"], "Explanation"), (["outputs", job], "Outputs"),
                            (["token", "create"], "TokenCreated"), (["token", "list"], "Tokens"),
                            (["submit", "--", "true"], "Job"), (["events"], "Events"),
                            (["wait", job], "Jobs")):
            answer = json.loads(cluster.good("--json", *words))
            self.fits(answer, {"$ref": "#/components/schemas/" + name}, words)
        for words in (["show", "zzzzzzzzzz"], ["jobs", "--odd"], ["token", "revoke", "zzz"]):
            done = cluster.run(*words, "--json")
            self.assertEqual(done.stdout, "")
            self.fits(json.loads(done.stderr), {"$ref": "#/components/schemas/Error"}, words)
        wait_for("the end of the last job", lambda: cluster.run("wait", "last").returncode == 0)


if __name__ == "__main__":
    unittest.main()
