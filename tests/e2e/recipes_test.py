"""The recipes of docs/GUIDE.md, line by line as they stand there, on clusters of real processes.

A block ```console is a session: `host1$ COMMAND` is typed on that host (`$ COMMAND`: on the first),
`> ` continues a line, and what follows must be what it prints: `...` stands for any text within a
line, a line of `...` for any lines, and ids and the addresses of the page for those there are. A
command must succeed, unless `echo $?` behind it says otherwise; what only looks at the cluster is
asked again until it shows what the page shows. A block with a file's name behind its language is
that file. Lines in parentheses are what happens to a host. What belongs to a host of its own (its
directory, its address, /etc, systemd and dpkg) has a stand-in here.
"""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import time
import unittest
import unittest.mock

from dunlin_cluster import HOME, PROGRAM, ClusterTest, wait_for

GUIDE = HOME / "docs" / "GUIDE.md"
LOOKS = re.compile(r"dunlin (status|nodes|jobs|show|tasks|explain)\b|dunlin forget")
PATIENCE = 60
QUIET = (1, 2, 3, 7, 8, 10)

# On a host of the cluster the program is called with what tells this host from the others.
DUNLIN = """#!/bin/bash
. "$HOSTS/$HOST/env"
if [ "$1" = up ]; then
  shift
  mkdir -p "$DIR"
  echo $$ >"$DIR/node.pid"  # so that the cluster is ended whole
  exec "$PROGRAM" up --dir "$DIR" --listen "$LISTEN" --name "$HOST" $UP "$@"
fi
exec "$PROGRAM" "$@"
"""
DPKG = """#!/bin/sh
[ "$1" = -i ] && exec dpkg-deb -x "$2" "$HOSTS/$HOST/root"
"""
# The unit's own line, with the signals that systemd sends under KillMode=process.
SYSTEMCTL = """#!/bin/bash
root=$HOSTS/$HOST/root unit=$root/lib/systemd/system/dunlin.service
grep -qx KillMode=process "$unit" || exit 1
pid=$(cat "$root/pid" 2>/dev/null)
stop() { kill -TERM "$pid"; while [ -d "/proc/$pid" ]; do sleep 0.1; done; }
start() {
  . "$root$(sed -n 's/^EnvironmentFile=-//p' "$unit")"
  line=$(sed -n 's/^ExecStart=.usr.bin.//p' "$unit")
  PROGRAM=$root/usr/bin/dunlin setsid ${line/'$DUNLIN_OPTIONS'/$DUNLIN_OPTIONS} \\
    >"$root/ready" 2>>"$root/stderr" </dev/null &
  echo $! >"$root/pid"
  until grep -q ^ready "$root/ready"; do sleep 0.1; [ -d /proc/$! ] || exit 1; done
}
case "$*" in
  "enable --now dunlin") start ;;
  "restart dunlin") stop; start ;;
  "disable --now dunlin") stop ;;
  *) exit 1 ;;
esac
"""


class Step:
    def __init__(self, number, host, command):
        self.number, self.host, self.command, self.shown = number, host, command, []


def recipes():
    """Title -> what is in its blocks, in order: Steps, happenings (texts), files (name, content)."""
    found, block, items = {}, None, None
    for number, line in enumerate(GUIDE.read_text().splitlines(), 1):
        if block is None and line.startswith("## "):
            items = None
        title = re.match(r"### ([0-9]+)\. (.*)", line)
        if block is None and title:
            items = found.setdefault(int(title.group(1)), [])
        elif line.startswith("```") and block is None:
            block = line[3:].split()
            if items is not None and len(block) == 2:
                items.append((block[1], ""))
        elif line.startswith("```"):
            block = None
        elif items is not None and block == ["console"]:
            add_line(items, number, line)
        elif items is not None and block is not None:
            if len(block) != 2:
                raise AssertionError(f"line {number}: a block that nothing can be done with")
            items[-1] = (items[-1][0], items[-1][1] + line + "\n")
    return found


def add_line(items, number, line):
    typed = re.match(r"([a-z]*[0-9]*)\$ (.*)", line)
    if typed:
        items.append(Step(number, typed.group(1) or "host1", typed.group(2)))
    elif line.startswith("> "):
        items[-1].command += "\n" + line[2:]
    elif re.fullmatch(r"\(.*\)", line):
        items.append(line)
    else:
        items[-1].shown.append(line)


class Page:
    """What is shown on the page, as a pattern of what is printed."""

    WORD = re.compile(r" *\.\.\.|\b(?=[a-z]*[0-9])[a-z][a-z0-9]{9}\b")

    def __init__(self, network, port):
        self.network, self.port = network, port

    def address(self, text):
        return re.sub(r"192\.0\.2\.([0-9]+):7400", rf"{self.network}.\1:{self.port}", text)

    def pattern(self, lines):
        return "".join(map(self.line, lines)) if lines else "(?:.*\n)*"

    def line(self, line):
        if line.strip() == "...":
            return "(?:.*\n)*"
        text, at = "", 0
        line = self.address(line)
        for word in self.WORD.finditer(line):
            text += self.blanks(line[at:word.start()])
            text += ".*" if word.group().endswith("...") else "[a-z][a-z0-9]{9}"
            at = word.end()
        return text + self.blanks(line[at:]) + " *\n"

    @staticmethod
    def blanks(text):
        """Columns are as wide as they must be."""
        return " +".join(re.escape(part) for part in re.split(" {2,}", text))


class Session:
    """One bash, to which lines are typed, as on one host and then another."""

    def __init__(self, place, env):
        self.log = open(place / "session", "w+b")
        self.bash = subprocess.Popen(["bash", "--norc", "--noprofile"], stdin=subprocess.PIPE,
                                     stdout=self.log, stderr=subprocess.STDOUT, env=env,
                                     cwd=place / "work")
        self.read = 0

    def type(self, text, seconds=PATIENCE):
        """What it prints, and its exit code."""
        mark = f"\x1e{time.monotonic_ns()}"
        line = f"{{ {text}\n}} </dev/null\n(code=$?; printf '\\n%s %d\\n' '{mark}' $code; exit $code)\n"
        self.bash.stdin.write(line.encode())
        self.bash.stdin.flush()
        ended = re.compile(rf"\n{mark} ([0-9]+)\n")

        def end():
            with open(self.log.name, "rb") as file:
                file.seek(self.read)
                return ended.search(file.read().decode(errors="replace"))
        end = wait_for(text, end, seconds)
        self.read += len(end.string[:end.end()].encode())
        said = end.string[:end.start()]
        return said + "\n" if said and not said.endswith("\n") else said, int(end.group(1))

    def end(self):
        self.bash.stdin.close()
        self.bash.wait(timeout=30)
        self.log.close()


class Recipe(ClusterTest):
    options = "--cpus 4"

    def setUp(self):
        # Tasks find the program on their hosts.
        path = os.path.dirname(os.path.abspath(PROGRAM)) + ":" + os.environ["PATH"]
        with unittest.mock.patch.dict(os.environ, DUNLIN_NAMES="host", PATH=path):
            super().setUp()
        cluster = self.cluster
        self.place = pathlib.Path(cluster.root)
        self.network = cluster.env["DUNLIN_NET"]
        self.port = (self.place / "cluster/port").read_text().strip()
        self.page = Page(self.network, self.port)
        for name in ("bin", "work", "laptop"):
            (self.place / name).mkdir()
        for name, text in (("dunlin", DUNLIN), ("dpkg", DPKG), ("systemctl", SYSTEMCTL)):
            (self.place / "bin" / name).write_text(text)
            (self.place / "bin" / name).chmod(0o755)
        for path in (self.place / "work", self.place / "bin"):
            path.chmod(path.stat().st_mode | stat.S_IROTH | stat.S_IXOTH)
        for host in range(1, 6):
            self.add_host(f"host{host}", host)
        self.session = Session(self.place, self.environment())
        self.addCleanup(self.session.end)
        self.host = None

    def add_host(self, host, number):
        here = self.place / "hosts" / host
        (here / "root").mkdir(parents=True)
        directory = self.cluster.dir(number)
        (here / "env").write_text(f"DIR={directory}\nUP='{self.options}'\n"
                                  f"LISTEN={self.network}.{number}:{self.port}\n")

    def environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith("DUNLIN_")}
        env.update(PATH=f"{self.place}/bin:{env['PATH']}", HOSTS=f"{self.place}/hosts",
                   PROGRAM=os.path.abspath(PROGRAM), HOME=f"{self.place}/work", LC_ALL="C",
                   DUNLIN_CLUSTER=self.cluster.env["DUNLIN_CLUSTER"])
        return env

    def follow(self, number):
        items = recipes()[number]
        for at, item in enumerate(items):
            if isinstance(item, str):
                self.happen(item)
            elif isinstance(item, tuple):
                path = self.place / "work" / item[0]
                path.write_text(item[1])
                path.chmod(0o755)
            else:
                following = items[at + 1] if at + 1 < len(items) else None
                self.step(item, isinstance(following, Step) and following.command == "echo $?")
        self.assertGreater(len(items), 3)

    def go_to(self, host):
        if self.host == "laptop":
            self.session.type("LAPTOP=$DUNLIN_SERVER")  # as its owner has exported it
        self.host = host
        if host == "laptop":
            self.session.type(f"export HOST=host1 HOME={self.place}/laptop DUNLIN_SERVER=$LAPTOP")
            return
        directory = self.place / "cluster" / host.replace("host", "n")
        self.session.type(f"export HOST={host} HOME={self.place}/work "
                          f"DUNLIN_SERVER={directory}/api.sock")

    def happen(self, text):
        lost = re.fullmatch(r"\(host([0-9]) loses its power\)", text)
        self.assertTrue(lost, text)
        self.cluster.kill(int(lost.group(1)))

    def step(self, step, may_fail):
        where = f"GUIDE.md, line {step.number}: {step.command}"
        command = self.page.address(step.command).replace(
            "/etc/", f"{self.place}/hosts/{step.host}/root/etc/")
        if step.host != self.host:
            self.go_to(step.host)
        pattern = re.compile(self.page.pattern(step.shown))
        deadline = time.monotonic() + PATIENCE
        while True:
            said, code = self.session.type(command)
            fits = pattern.fullmatch(said) and (may_fail or code == 0)
            if fits or not LOOKS.match(command) or time.monotonic() > deadline:
                break
            self.session.type("sleep 0.5")
        self.assertTrue(fits, f"{where}: exit {code}\n{said}--- on the page:\n" +
                        "\n".join(step.shown))

    def forget_all(self):
        """As before anything was installed on any host."""
        for node in range(1, self.nodes + 1):
            self.cluster.kill(node)
            shutil.rmtree(self.cluster.dir(node))


class OnThreeHosts(Recipe):
    def test_recipes_that_leave_the_hosts_as_they_are(self):
        for number in QUIET:
            with self.subTest(recipe=number):
                self.follow(number)

    def test_5_adding_and_removing_hosts(self):
        self.follow(5)

    def test_6_a_host_burns(self):
        self.follow(6)

    def test_every_recipe_is_followed_by_some_test(self):
        followed = {*QUIET, 4, 5, 6, 9}
        self.assertEqual((set(recipes()), len(followed)), (followed, 10))


class Behind(Recipe):
    nodes = 1

    def test_4_systemd(self):
        self.forget_all()
        package = subprocess.run([str(HOME / "scripts/deb"), PROGRAM, str(self.place)], check=True,
                                 capture_output=True, text=True).stdout.strip()
        shutil.copy(package, self.place / "work/dunlin_0.1.0_amd64.deb")
        self.follow(4)


class FromALaptop(Recipe):
    # Another user's tasks never run as root.
    options = "--cpus 4" + (" --run-as nobody" if os.geteuid() == 0 else "")

    def test_9_with_a_users_token(self):
        self.follow(9)


if __name__ == "__main__":
    unittest.main()
