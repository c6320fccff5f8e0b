"""The Debian package: what is in it, and that the node in it starts as its unit says."""

import gzip
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

from dunlin_cluster import HOME, PROGRAM, Network, wait_for


def output(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = pathlib.Path(tempfile.mkdtemp(prefix="dunlin-e2e."))
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.path = cls.make("one")
        cls.root = cls.home / "root"
        output("dpkg-deb", "-x", cls.path, cls.root)
        cls.program = str(cls.root / "usr/bin/dunlin")
        cls.unit = (cls.root / "lib/systemd/system/dunlin.service").read_text()

    @classmethod
    def make(cls, name):
        (cls.home / name).mkdir()
        return output(str(HOME / "scripts/deb"), PROGRAM, str(cls.home / name)).strip()

    def field(self, name):
        return output("dpkg-deb", "-f", self.path, name).strip()

    def setting(self, name):
        return re.findall(rf"^{name}=(.*)$", self.unit, re.MULTILINE)

    def test_its_name_and_fields_are_the_programs(self):
        version = output(self.program, "--version").split()[1]
        architecture = output("dpkg", "--print-architecture").strip()
        self.assertEqual(os.path.basename(self.path), f"dunlin_{version}_{architecture}.deb")
        self.assertEqual(self.field("Version"), version)
        self.assertRegex(self.field("Depends"), r"^libc6 \(>= 2\.[0-9]+\)$")
        self.assertEqual(output("dpkg-deb", "-I", self.path, "conffiles"), "/etc/default/dunlin\n")

    def test_files_are_where_debian_looks_for_them_and_belong_to_root(self):
        listed = output("dpkg-deb", "-c", self.path).splitlines()
        self.assertEqual({line.split()[1] for line in listed}, {"root/root"})
        modes = {line.split()[5]: line.split()[0] for line in listed}
        programs = [name for name, mode in modes.items() if mode == "-rwxr-xr-x"]
        self.assertEqual(programs, ["./usr/bin/dunlin"])
        plain = {name for name, mode in modes.items() if mode == "-rw-r--r--"}
        self.assertLessEqual({"./etc/default/dunlin", "./lib/systemd/system/dunlin.service",
                              "./usr/share/bash-completion/completions/dunlin",
                              "./usr/share/doc/dunlin/GUIDE.md",
                              "./usr/share/doc/dunlin/changelog.gz",
                              "./usr/share/doc/dunlin/copyright",
                              "./usr/share/man/man1/dunlin.1.gz",
                              "./usr/share/zsh/vendor-completions/_dunlin"}, plain)
        self.assertEqual({mode for name, mode in modes.items() if name.endswith("/")},
                         {"drwxr-xr-x"})
        self.assertEqual(len(plain) + len(programs),
                         len([name for name in modes if not name.endswith("/")]))
        output("dpkg-deb", "--control", self.path, self.home / "control")
        output("md5sum", "--strict", "--check", self.home / "control/md5sums", cwd=self.root)
        for script in ("postinst", "prerm", "postrm"):
            output("sh", "-n", self.home / "control" / script)

    def test_manual_and_completions_are_those_of_the_program_in_it(self):
        page = gzip.decompress((self.root / "usr/share/man/man1/dunlin.1.gz").read_bytes()).decode()
        self.assertEqual(page, output(self.program, "help", "--man"))
        for shell, place in (("bash", "bash-completion/completions/dunlin"),
                             ("zsh", "zsh/vendor-completions/_dunlin")):
            self.assertEqual((self.root / "usr/share" / place).read_text(),
                             output(self.program, "completion", shell))
        # The page is dated as the release is.
        log = gzip.decompress((self.root / "usr/share/doc/dunlin/changelog.gz").read_bytes())
        said = re.search(r"^ -- .*>  (.*)$", log.decode(), re.MULTILINE).group(1)
        self.assertIn(f".TH DUNLIN 1 {output('date', '-u', '-d', said, '+%F').strip()} ", page)

    def test_it_is_the_same_package_each_time(self):
        again = pathlib.Path(self.make("two"))
        self.assertEqual(pathlib.Path(self.path).read_bytes(), again.read_bytes())

    def test_the_unit_leaves_tasks_alone_and_takes_its_options_from_etc(self):
        self.assertEqual(self.setting("ExecStart"),
                         ["/usr/bin/dunlin up --keep-tasks $DUNLIN_OPTIONS"])
        self.assertEqual(self.setting("KillMode"), ["process"])
        self.assertEqual(self.setting("EnvironmentFile"), ["-/etc/default/dunlin"])
        self.assertEqual(self.setting("RuntimeDirectoryPreserve"), ["yes"])
        self.assertEqual(output("sh", "-c", '. "$1"; echo "$DUNLIN_OPTIONS"', "sh",
                                self.root / "etc/default/dunlin"), "\n")

    def test_tools_that_are_here_find_nothing_wrong(self):
        unit = self.home / "dunlin.service"
        unit.write_text(self.unit.replace("/usr/bin/dunlin", self.program)
                        .replace("Documentation=man:dunlin(1)\n", ""))
        for words in (["systemd-analyze", "--man=no", "verify", str(unit)],
                      ["lintian", "--allow-root", "--fail-on", "error,warning", self.path]):
            if shutil.which(words[0]):
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def start(self, options):
        """The node, as the unit starts it."""
        words = self.setting("ExecStart")[0].replace("/usr/bin/dunlin", self.program)
        line = words.replace("$DUNLIN_OPTIONS", options)
        node = subprocess.Popen(shlex.split(line), stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end, node)
        self.assertTrue(node.stdout.readline().startswith("ready "))
        return node

    def end(self, node):
        if node.poll() is None:
            output(self.program, "--server", f"{self.home}/node/api.sock", "down")  # tasks, too
        node.communicate(timeout=30)

    def test_a_task_lives_through_an_upgrade(self):
        network = Network()
        self.addCleanup(network.hold.close)
        place = self.home / "node"
        options = f"--dir {place} --listen {network.prefix}.1:7400 --cpus 1"
        client = [self.program, "--server", f"{place}/api.sock"]
        node = self.start(options)
        go_on = self.home / "go-on"
        script = f"until [ -e {go_on} ]; do sleep 0.1; done; echo $DUNLIN_ATTEMPT $PPID"
        job = output(*client, "submit", "--quiet", "--", "sh", "-c", script).strip()
        wait_for("the task", lambda: '"running"' in output(*client, "tasks", job, "--json"))
        # What `systemctl restart` does under KillMode=process.
        node.terminate()
        node.wait(timeout=30)
        self.start(options)
        go_on.touch()
        output(*client, "wait", job, timeout=60)
        self.assertEqual(output(*client, "logs", job).split()[0], "1")


if __name__ == "__main__":
    unittest.main()
