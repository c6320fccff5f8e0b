"""What shells and man are given, tried in a real bash and with the real formatters, where they are."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from dunlin_cluster import PROGRAM, ClusterTest


class Bash:
    """An interactive bash on a terminal of its own, with the completion loaded."""

    def __init__(self, cluster):
        env = dict(os.environ, PATH=os.path.dirname(os.path.abspath(PROGRAM)) + ":/usr/bin:/bin",
                   DUNLIN_SERVER=str(cluster.dir(1) / "api.sock"), PS1="$ ", TERM="dumb",
                   INPUTRC="/dev/null", HISTFILE="", LC_ALL="C")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(cluster.root)
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], env)
        self.say(f"source <({PROGRAM} completion bash)\n")
        # A key that shows the line as it is.
        self.say("bind -x '\"\\C-g\": printf \"<%s>\\n\" \"$READLINE_LINE\"'\n")
        self.say("bind 'set enable-bracketed-paste off'; stty cols 10000; echo rea''dy\n")
        self.read_until(r"ready\r?\n")

    def say(self, text):
        os.write(self.terminal, text.encode())

    def read_until(self, pattern, seconds=20):
        text = ""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, text):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                raise AssertionError(f"{pattern}: not in {text!r}")
            text += os.read(self.terminal, 65536).decode(errors="replace")
        return text

    def line(self, typed, key):
        """The line after that key."""
        self.say(typed + key + "\x07")
        shown = re.search(r"<(dunlin[^>\r\n]*)>", self.read_until(r"<dunlin[^>\r\n]*>")).group(1)
        self.say("\x15")  # nothing of it stays
        return shown

    def after_tab(self, typed):
        return self.line(typed, "\t")

    def candidates(self, typed):
        """All of them, as `insert-completions` writes them into the line."""
        stem = typed.rpartition(" ")[0] + " "
        return self.line(typed, "\x1b*").removeprefix(stem).split()

    def end(self):
        os.close(self.terminal)  # hangs it up
        os.waitpid(self.pid, 0)


class Completion(ClusterTest):
    nodes = 1
    options = "--cpus 2 --zone north"

    def setUp(self):
        super().setUp()
        self.bash = Bash(self.cluster)
        self.addCleanup(self.bash.end)

    def test_bash_completes_what_the_program_says(self):
        bash = self.bash
        self.assertEqual(bash.after_tab("dunlin und"), "dunlin undrain ")
        self.assertEqual(bash.after_tab("dunlin token rev"), "dunlin token revoke ")
        self.assertEqual(bash.after_tab("dunlin submit --each"), "dunlin submit --each-line ")
        self.assertEqual(bash.after_tab("dunlin jobs --state fa"), "dunlin jobs --state failed ")
        self.assertEqual(bash.after_tab("dunlin jobs --state=fa"), "dunlin jobs --state=failed ")
        self.assertEqual(bash.candidates("dunlin token create --role "), ["node", "user"])
        self.assertEqual(bash.candidates("dunlin jobs --state="),
                         ["--state=cancelled", "done", "failed", "paused", "running", "waiting"])
        # The words behind were typed in quotes, or hold what bash breaks words at.
        self.assertEqual(bash.after_tab("dunlin submit --name 'a b' --label k=v --file a:b --dry"),
                         "dunlin submit --name 'a b' --label k=v --file a:b --dry-run ")
        listed = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)
        commands = set(re.findall(r"^  ([a-z]+) .*", listed.stdout.split("\nEvery command")[0],
                                  re.MULTILINE))
        self.assertGreater(len(commands), 20)
        self.assertEqual(set(bash.candidates("dunlin ")), commands | {"help"})

    def test_bash_completes_jobs_nodes_zones_and_tokens_of_the_cluster(self):
        bash = self.bash
        ids = [self.cluster.good("submit", "--quiet", "--", "true").strip() for _ in range(3)]
        self.assertEqual(sorted(bash.candidates("dunlin wait ")), sorted([*ids, "last"]))
        self.assertEqual(bash.after_tab("dunlin logs -f " + ids[0][:9]), f"dunlin logs -f {ids[0]} ")
        self.assertEqual(bash.after_tab("dunlin drain "), "dunlin drain n1 ")
        self.assertEqual(bash.after_tab("dunlin submit --zone "), "dunlin submit --zone north ")
        tokens = self.cluster.good("token", "list", "--quiet").split()
        self.assertEqual(bash.candidates("dunlin token revoke "), tokens)

    def test_bash_completes_files_and_programs_where_they_may_stand(self):
        with open(self.cluster.root + "/entries of mine.txt", "w", encoding="ascii"):
            pass
        self.assertEqual(self.bash.after_tab("dunlin submit --each-line ent"),
                         "dunlin submit --each-line entries\\ of\\ mine.txt ")
        self.assertEqual(self.bash.after_tab("dunlin run -- cat ent"),
                         "dunlin run -- cat entries\\ of\\ mine.txt ")
        self.assertIn("hostname", self.bash.candidates("dunlin run hostn"))
        # What is a number is not completed as a file.
        self.assertEqual(self.bash.after_tab("dunlin submit --cpus ent"),
                         "dunlin submit --cpus ent")


class Manual(unittest.TestCase):
    def test_the_formatters_that_are_here_have_nothing_to_warn_of(self):
        page = subprocess.run([PROGRAM, "help", "--man"], capture_output=True, check=True).stdout
        formatters = [["groff", "-man", "-ww", "-Tutf8"],
                      ["man", "--warnings", "-l", "-"],
                      ["mandoc", "-T", "lint"]]
        for words in formatters:
            if shutil.which(words[0]):
                done = subprocess.run(words, input=page, capture_output=True, check=False,
                                      env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80"))
                said = done.stderr + (done.stdout if words[0] == "mandoc" else b"")
                self.assertEqual((done.returncode, said), (0, b""), words[0])


if __name__ == "__main__":
    unittest.main()
