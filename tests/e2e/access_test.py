"""Who comes from elsewhere: clients on hosts without a node, over the encrypted port or plain HTTP."""

import json
import os
import pathlib
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

import prometheus_text
from dunlin_cluster import PROGRAM, ClusterTest, wait_for


class Access(ClusterTest):
    # Whoever comes from elsewhere is never root, and root's nodes run nobody else's jobs as root.
    options = "--cpus 2" + (" --run-as nobody" if os.geteuid() == 0 else "")

    def setUp(self):
        super().setUp()
        self.home = pathlib.Path(self.cluster.root) / "elsewhere"
        self.home.mkdir()
        self.addresses = [(self.cluster.dir(n) / "ready").read_text().split()[2]
                          for n in (1, 2, 3)]
        made = self.cluster.json("token", "create", "--role", "user", "--user", "ann", "--ttl",
                                 "10m")
        self.assertEqual((made["role"], made["user"]), ("user", "ann"))
        self.token_id = made["id"]
        self.keep(made["token"])
        # Every node has heard of it.
        for address in self.addresses:
            wait_for("the token to be known", lambda a=address: self.ask(a, "nodes").returncode == 0)

    def keep(self, token):
        (self.home / ".dunlin").mkdir(exist_ok=True)
        (self.home / ".dunlin" / "token").write_text(token + "\n")

    def environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith("DUNLIN")}
        env["HOME"] = str(self.home)
        return env

    def ask(self, server, *words, env=None, stdin="", timeout=60):
        return subprocess.run([PROGRAM, "--server", server, *words], capture_output=True, text=True,
                              input=stdin, timeout=timeout,
                              env={**self.environment(), **(env or {})})

    def begin(self, server, *words):
        client = subprocess.Popen([PROGRAM, "--server", server, *words], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  env=self.environment())
        self.cluster.clients.append(client)
        return client

    def refused(self, server, *words, env=None, code=5):
        done = self.ask(server, *words, env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr

    def test_a_host_without_a_node_submits_follows_and_fetches(self):
        first = self.addresses[0]
        done = self.ask(first, "run", "--", "cat", stdin="over the wire\n")
        self.assertEqual((done.returncode, done.stdout), (0, "over the wire\n"), done.stderr)
        big = self.home / "big"
        big.write_bytes(os.urandom(6 << 20))
        job = self.ask(first, "submit", "--quiet", "--file", str(big), "--out", "copy", "--",
                       "cp", "big", "copy").stdout.strip()
        self.assertEqual(self.ask(first, "wait", job).returncode, 0)
        self.assertEqual(self.ask(first, "outputs", job, "--to", str(self.home / "out")).returncode,
                         0)
        self.assertEqual((self.home / "out" / "1" / "copy").read_bytes(), big.read_bytes())
        self.assertEqual(json.loads(self.ask(first, "show", job, "--json").stdout)["user"], "ann")
        # Others of the cluster were learnt, and nothing but the file says so.
        known = (self.home / ".dunlin" / "servers").read_text()
        for address in self.addresses:
            self.assertIn(address, known)
        # Never what the node's own account may.
        self.assertIn("root", self.refused(first, "token", "list"))
        self.refused(first, "down")
        job = self.cluster.good("submit", "--quiet", "--", "sleep", "60").strip()
        self.refused(first, "cancel", job)
        self.cluster.good("cancel", job)

    def test_a_node_that_dies_is_replaced_under_logs_and_wait(self):
        flag = self.home / "flag"
        lines = f"for i in $(seq 5); do echo line $i; done; until [ -e {flag} ]; do sleep 0.1; done"
        job = self.ask(self.addresses[0], "submit", "--quiet", "--", "sh", "-c",
                       lines + "; echo end").stdout.strip()
        runs_at = wait_for("a place for the task",
                           lambda: self.cluster.json("tasks", job)[0]["node"])
        # The task's host stays: another one is the clients', and the one to die.
        victim = next(n for n in (1, 2, 3) if self.cluster.id_of(n) != runs_at)
        first = self.addresses[victim - 1]
        logs = self.begin(first, "logs", "-f", job)
        wait = self.begin(first, "wait", job)
        seen = "".join(logs.stdout.readline() for _ in range(5))
        self.assertEqual(seen, "".join(f"line {i}\n" for i in range(1, 6)))
        # One of the servers that were named is all the client was told.
        self.cluster.kill(victim)
        flag.write_text("")
        rest, complaint = logs.communicate(timeout=60)
        self.assertEqual((logs.returncode, rest), (0, "end\n"), complaint)
        self.assertEqual(wait.wait(timeout=60), 0, wait.stderr.read())
        # A new client finds the others by what was learnt, and by the list.
        self.assertEqual(self.ask(first, "show", job).returncode, 0)
        (self.home / ".dunlin" / "servers").unlink()
        self.refused(first, "show", job, code=3)
        self.assertEqual(self.ask(",".join(self.addresses), "show", job).returncode, 0)

    def test_tokens_that_are_of_no_use_are_told_so_in_a_line(self):
        first = self.addresses[0]
        stream = self.begin(first, "logs", "-f", self.ask(
            first, "submit", "--quiet", "--", "sh", "-c", "echo on; sleep 600").stdout.strip())
        self.assertEqual(stream.stdout.readline(), "on\n")
        self.cluster.good("token", "revoke", self.token_id[:8])
        for address in self.addresses:
            wait_for("the revocation to be known",
                     lambda a=address: self.ask(a, "nodes").returncode == 5)
        self.assertIn("was revoked", self.refused(first, "nodes"))
        self.assertNotEqual(stream.wait(timeout=60), 0)
        self.assertIn("revoked", stream.stderr.read())
        short = self.cluster.good("token", "create", "--role", "user", "--user", "ann", "--ttl",
                                  "1s").strip()
        wait_for("the end of a second", lambda: "expired" in self.ask(
            first, "nodes", env={"DUNLIN_TOKEN": short}).stderr)
        self.refused(first, "nodes", env={"DUNLIN_TOKEN": short})
        node = (self.cluster.dir(1) / "join-token").read_text().strip()
        self.assertIn("for nodes", self.refused(first, "nodes", env={"DUNLIN_TOKEN": node}))
        other = node.split("-")
        other[1] = "0" * len(other[1])
        self.assertIn("another cluster",
                      self.refused(first, "nodes", env={"DUNLIN_TOKEN": "-".join(other)}))
        self.assertIn("does not begin", self.refused(first, "nodes", env={"DUNLIN_TOKEN": "x"},
                                                     code=2))
        listed = self.cluster.json("token", "list", "--all")
        self.assertEqual({t["state"] for t in listed}, {"valid", "revoked", "expired"})
        self.assertNotIn(node.split("-")[3], json.dumps(listed))
        self.cluster.good("token", "revoke", node.split("-")[2])
        late = subprocess.run([PROGRAM, "up", "--dir", self.cluster.root + "/late", "--listen",
                               self.cluster.network.prefix + ".9:7499", "--join", first, "--token",
                               node], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(late.returncode, 0)
        self.assertIn("the token was revoked", late.stderr)

    def test_another_protocol_version_is_refused_with_four_bytes(self):
        host, port = self.addresses[0].split(":")
        with socket.create_connection((host, int(port)), timeout=20) as stranger:
            stranger.sendall(b"dunlin" + (99).to_bytes(2, "little") + b"\x03" * 152)
            stranger.settimeout(20)
            answer = b""
            try:
                while more := stranger.recv(4096):
                    answer += more
            except ConnectionResetError:
                pass
            self.assertEqual((len(answer), answer[:2]), (4, bytes([2, 1])))
            self.assertNotEqual(int.from_bytes(answer[2:], "little"), 99)
        # And a client that is answered by another version says so.
        (self.home / ".dunlin" / "servers").unlink()
        with socket.create_server(("127.0.0.1", 0)) as newer:
            client = self.begin(f"127.0.0.1:{newer.getsockname()[1]}", "nodes")
            peer, _ = newer.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(bytes([2, 1, 9, 0]))
                complaint = client.communicate(timeout=20)[1]
            self.assertEqual(client.returncode, 5, complaint)
            self.assertIn("protocol version 9", complaint)


class PlainHttp(ClusterTest):
    nodes = 1

    def setUp(self):
        super().setUp()
        self.cluster.script("stop", "1")
        with socket.create_server((self.cluster.network.prefix + ".1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://{self.cluster.network.prefix}.1:{self.port}"
        self.cluster.env["DUNLIN_UP"] = f"--cpus 2 --http {self.url[7:]}"
        self.cluster.restart(1)

    def get(self, target, token=None, body=None):
        request = urllib.request.Request(self.url + target, data=body)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def test_the_api_is_there_for_bearers_of_a_token(self):
        made = self.cluster.json("token", "create", "--role", "user", "--user", "ann")
        self.assertEqual(self.get("/v1/pick-group", made["token"])[1]["user"], "ann")
        self.assertEqual(self.get("/v1/nodes", made["token"])[0], 200)
        # The last digit of a secret may not be any: it stands for fewer bits.
        head, _, secret = made["token"].rpartition("-")
        other = f"{head}-{'1' if secret[0] == '0' else '0'}{secret[1:]}"
        for wrong in (None, "x", (self.cluster.dir(1) / "join-token").read_text().strip(), other):
            status, body = self.get("/v1/nodes", wrong)
            self.assertEqual((status, body["error"]["code"]),
                             (401, "usage" if wrong == "x" else "refused"), body)
        self.assertEqual(self.get("/v1/down", made["token"], b"")[0], 403)
        self.assertEqual(self.get("/metrics")[0], 401)
        metrics = urllib.request.Request(self.url + "/metrics")
        metrics.add_header("Authorization", "Bearer " + made["token"])
        with urllib.request.urlopen(metrics, timeout=20) as answer:
            self.assertIn("dunlin_members", prometheus_text.parse(answer.read().decode()))
        self.cluster.good("token", "revoke", made["id"])
        self.assertEqual(self.get("/v1/nodes", made["token"])[0], 401)


if __name__ == "__main__":
    unittest.main()
