# SPDX-License-Identifier: MIT
"""Ferry processes under test, and the guests in them.

A World belongs to one test: a temporary directory, and the machines, which
are ended at the end of the test, however it ends. A Vmm is one `ferry run` or
`ferry receive` process; a thread reads and keeps what its guest prints.
"""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from errors import SLOW, WAIT, Failed, Skip, check, equal, soon  # noqa: F401
from qmp import Qmp, QmpError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FERRY_BUILD",
                                       os.path.join(ROOT, "build")))
PAGE = 4096
MIB = 1 << 20
# How the reports of AddressSanitizer, UndefinedBehaviorSanitizer and
# ThreadSanitizer begin
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                   ": runtime error: ", "WARNING: ThreadSanitizer")
AREA = 4 * MIB          # where the guest's data area starts (docs/guest.md)


def page(index):
    """Guest-physical address of the data area's page with this index."""
    gpa = AREA + index * PAGE
    return gpa if gpa < 3 << 30 else gpa + (1 << 30)


# Not in the range from which Linux takes ports of outgoing connections
PORTS = range(20000, 30000)


def reserve_port():
    """A free TCP port of 127.0.0.1 that no other test gets.

    Return: it, and a socket that reserves it until it is closed: a name that
    the kernel gives only once. A port that was only seen to be free could be in
    use by the time that a program listens there.
    """
    for i in range(len(PORTS)):
        port = PORTS[(os.getpid() + i) % len(PORTS)]
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0ferry-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
            return port, lock
        except OSError:
            lock.close()
    raise Failed("no TCP port is free")


class Line:
    """One line of a guest's output: kind key=value …"""

    def __init__(self, text):
        self.text = text
        self.at = time.time()       # when it was read
        self.kind = text.split(" ", 1)[0]
        self.values = dict(re.findall(r"(\w+)=(\S*)", text))

    def __getitem__(self, key):
        value = self.values[key]
        try:
            return int(value, 0)
        except ValueError:
            return value

    def matches(self, kind, wanted):
        return self.kind == kind and all(
            key in self.values and self[key] == v for key, v in wanted.items())


class Output:
    """The lines that a stream has printed. A thread reads them."""

    def __init__(self, stream):
        self.changed = threading.Condition()
        self.lines = []
        self.partial = ""       # a line without its end
        self.ended = False
        self.thread = threading.Thread(target=self._read, args=(stream,),
                                       daemon=True)
        self.thread.start()

    def _read(self, stream):
        while data := os.read(stream.fileno(), 65536):
            with self.changed:
                text = self.partial + data.decode("utf-8", "replace")
                *whole, self.partial = text.split("\n")
                self.lines += [Line(x.rstrip("\r")) for x in whole]
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        stream.close()

    def wait(self, found, what, timeout=WAIT):
        """Wait until found(lines) is true. Return: its value."""
        end = time.monotonic() + timeout
        with self.changed:
            while not (result := found(self.lines)):
                if self.ended:
                    raise Failed(f"the output ended instead of {what}")
                if not self.changed.wait(end - time.monotonic()):
                    last = [x.text for x in self.lines[-3:]]
                    raise Failed(f"timed out while waiting for {what}; "
                                 f"the last lines: {last}")
        return result

    def text(self):
        with self.changed:
            return "\n".join([*(x.text for x in self.lines), self.partial])


class Vmm:
    """A ferry process that has a guest, or waits for one.

    program: another VMM, which has a serial port and QMP like ferry's.
    """

    def __init__(self, world, name, args, env=None, build=BUILD,
                 control=None, program=None, prefix=()):
        self.world = world
        self.name = name
        self.mark = 0           # number of lines before the last command
        self.uri = None
        # The kernel ends the machine if this process dies first
        self.process = subprocess.Popen(
            [*prefix, "setpriv", "--pdeathsig", "KILL",
             program or os.path.join(build, "ferry")] + args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**world.env, **(env or {})})
        self.out = Output(self.process.stdout)
        self.err = Output(self.process.stderr)
        self.qmp = None
        world.machines.append(self)     # World.__exit__() ends it from here on
        self.qmp = Qmp(control or world.socket(name), self.alive)
        if program:
            return
        if world.parameters:
            self.qmp.execute("migrate-set-parameters", **world.parameters)
        self.recover_automatically(world.automatic)

    def alive(self):
        return self.process.poll() is None

    def recover_automatically(self, on):
        """Does a source open a new link without an operator?"""
        self.qmp.execute("migrate-set-capabilities", capabilities=[
            {"capability": "ferry-recover-automatically", "state": on}])

    def end(self):
        """Kill the process, and wait until it has ended."""
        if self.alive():
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.out.thread.join()
        self.err.thread.join()
        if self.qmp:
            self.qmp.close()

    def wait_end(self, timeout=WAIT):
        """Wait until the process ends. Return: its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise Failed(f"{self.name} does not end") from e

    def kill(self):
        """Kill the process, as a failing host would: it sends nothing more."""
        self.process.kill()
        self.process.wait()

    # The guest's serial port

    def send(self, text):
        """Type a line on the guest's serial port."""
        with self.out.changed:
            self.mark = len(self.out.lines)
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def lines(self, kind, /, **match):
        """All lines of a kind so far."""
        with self.out.changed:
            return [x for x in self.out.lines if x.matches(kind, match)]

    def wait_line(self, kind, /, timeout=WAIT, since=0, test=None, **match):
        """Wait for a line, unless it was printed already. Return: the line."""
        def found(lines):
            return next((x for x in lines[since:] if x.matches(kind, match)
                         and (test is None or test(x))), None)
        return self.out.wait(found, f"'{kind} {match or ''}' of {self.name}",
                             timeout)

    def ask(self, command, kind, /, **match):
        """Type a command for the guest. Return: its answer, a line."""
        self.send(command)
        return self.wait_line(kind, since=self.mark, **match)

    def report(self):
        return self.ask("report", "report")

    def ready(self):
        """Wait until the data area is filled."""
        self.wait_line("ready")
        return self

    def working(self, more=1):
        """Wait until the guest has visited this many more pages."""
        pages = self.report()["pages"]
        end = time.monotonic() + WAIT
        while self.report()["pages"] < pages + more:
            check(time.monotonic() < end, f"{self.name}: the guest is stuck")
            time.sleep(0.01)

    def full_pass(self):
        """Wait until every vCPU has visited all of its pages once."""
        begin = self.report()["iterations"]
        end = time.monotonic() + WAIT
        while True:
            asked = time.monotonic()
            if self.report()["iterations"] >= begin + 2:
                return
            now = time.monotonic()
            check(now < end, f"{self.name}: the guest does not finish a pass")
            # A report takes the guest time, most of all in the lab. It must not
            # have to write one whenever a busy host lets it run
            time.sleep(max(0.01 * SLOW ** 2, 5 * (now - asked)))

    def sweep(self):
        """Let the guest check every byte of every page."""
        self.ask("sweep", "sweep")

    def expect(self, pages):
        """Announce poisoned pages to the guest, one line for each range."""
        for first, count in runs(pages):
            self.send(f"expect 0x{first:x} {count}")

    def verdict(self, **wanted):
        """Check the guest's verdict: clean, except for the values in
        @wanted."""
        v = self.ask("verdict", "verdict")
        for key, value in {"clean": 1, "bad": 0, **wanted}.items():
            equal(v[key], value, f"{self.name}: '{key}' in '{v.text}'")
        return v

    # The control socket

    def status(self):
        return self.qmp.execute("query-status")

    def state(self):
        return self.status()["status"]

    def wait_state(self, state):
        end = time.monotonic() + WAIT
        while self.state() != state:
            check(time.monotonic() < end,
                  f"{self.name} is {self.state()}, not {state}")
            time.sleep(0.01)

    def poisoned(self, delivered=None):
        """Addresses of all pages that query-status lists as poisoned.

        With a value for delivered: only those with that flag. An entry of the
        list is a run of pages.
        """
        return {gpa for p in self.status()["poisoned"]
                if delivered in (None, p["delivered"])
                for gpa in range(p["address"], p["address"] + p["size"], PAGE)}

    def poison(self, gpa, count=1, method="simulate"):
        return self.qmp.execute("ferry-poison", address=gpa, count=count,
                                method=method)

    def poison_pages(self, pages):
        for first, count in runs(pages):
            self.poison(first, count)

    def injected(self):
        """Events of machine checks that were injected into the guest."""
        return self.qmp.seen("MEMORY_FAILURE", action="inject")

    def wait_injected(self, n):
        return self.qmp.wait(lambda: len(self.injected()) >= n and
                             self.injected(), f"{n} machine checks")

    def migration(self):
        return self.qmp.execute("query-migrate")

    def wait_migration(self, *wanted, recovers=False):
        """Wait for one of these statuses. Return: the answer of
        query-migrate.

        recovers: it may be postcopy-paused meanwhile, without being over.
        """
        over = {"completed", "failed", "cancelled", "postcopy-paused"}
        if recovers:
            over.remove("postcopy-paused")
        end = time.monotonic() + WAIT
        while True:
            m = self.migration()
            if m["status"] in wanted:
                return m
            if m["status"] in over or time.monotonic() > end:
                raise Failed(f"{self.name}: migration is {m['status']} "
                             f"({m.get('error-desc')}), not {wanted}")
            time.sleep(0.01)

    def start_migration(self, uri, **more):
        self.qmp.execute("migrate", uri=uri, **more)

    def migrate(self, to):
        """Migrate to another Vmm, and wait until both sides have completed.

        Return: the answers of query-migrate on both sides.
        """
        self.start_migration(to.uri)
        here = self.wait_migration("completed")
        there = to.wait_migration("completed")
        return here, there

    def refused(self, wanted, command, **arguments):
        """Run a command that must be refused with a text that has these
        words."""
        try:
            answer = self.qmp.execute(command, **arguments)
        except QmpError as e:
            for word in [wanted] if isinstance(wanted, str) else wanted:
                check(word in e.desc, f"'{word}' is not in: {e.desc}")
            return e
        raise Failed(f"{command} {arguments} was not refused: {answer}")

    def said(self, text, timeout=WAIT):
        """Wait until ferry prints a message with this text. Return: the
        line."""
        return self.err.wait(lambda lines: next(
            (x.text for x in lines if text in x.text), None),
            f"'{text}' on {self.name}'s standard error", timeout)


def runs(pages):
    """Ranges (first address, number) of consecutive pages."""
    result = []
    for gpa in sorted(pages):
        if result and gpa == result[-1][0] + result[-1][1] * PAGE:
            result[-1][1] += 1
        else:
            result.append([gpa, 1])
    return [tuple(r) for r in result]


class World:
    """A test's directory and machines. Use it in a with statement.

    A test may change `parameters`, such as deadlines: each machine that is
    started after that gets them by migrate-set-parameters. The limits for the
    pause and for the set-up are those of a slow, busy machine: only the tests
    of these limits depend on them, and set them. A relay may hold messages for
    longer than the others are by default, where everything is slow. A lost link
    stays lost, unless a test sets `automatic`.
    """

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ferry-")
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.dir}
        self.machines = []
        self.closers = []
        self.parameters = {
            "downtime-limit": int(20000 * SLOW),
            "ferry-connect-timeout": int(30000 * SLOW),
            "ferry-hello-timeout": int(30000 * SLOW),
            "ferry-dead-peer-timeout": int(30000 * SLOW),
            "ferry-build-timeout": int(30000 * SLOW),
            "ferry-silence-timeout": int(20000 * SLOW),
            "ferry-answer-timeout": int(20000 * SLOW),
            "ferry-last-pages-timeout": int(20000 * SLOW)}
        self.automatic = False
        self.uris = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for m in self.machines:
            m.end()
        for close in self.closers:
            close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def another(self):
        """A second world like this one, for machines of the same names."""
        return World()

    def path(self, name):
        return os.path.join(self.dir, name)

    def socket(self, name):
        return os.path.join(self.dir, "ferry", name + ".sock")

    def port(self):
        """A TCP port of 127.0.0.1 that belongs to this test."""
        port, lock = reserve_port()
        self.closers.append(lock.close)
        return port

    def uri(self, kind="unix"):
        """An address that is not in use."""
        self.uris += 1
        if kind == "unix":
            return "unix:" + self.path(f"m{self.uris}")
        return f"tcp:127.0.0.1:{self.port()}"

    def start(self, name, args, **kw):
        return Vmm(self, name, args, **kw)

    def run(self, append="", *args, name="a", memory="64M", cpus=1, **kw):
        """Start a guest."""
        return self.start(name, [
            "run", "--debug-exit", "--name", name, "--memory", memory, "--cpus", str(cpus),
            "--kernel", os.path.join(BUILD, "guest.elf"), "--append",
            "interval_ms=1000000 " + append, *args], **kw)

    def receive(self, *args, name="b", uri=None, **kw):
        """Start a destination, which waits for a guest."""
        uri = uri or self.uri()
        vmm = self.start(name, ["receive", "--name", name, *args, uri], **kw)
        vmm.uri = uri
        return vmm

    def ferry(self, *args, status=0, build=BUILD, env=None):
        """Run a ferry command. Return: its standard output and error."""
        p = subprocess.run([os.path.join(build, "ferry"), *args],
                           env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=WAIT, check=False)
        text = p.stdout.decode(), p.stderr.decode()
        if status is not None:
            equal(p.returncode, status,
                  f"exit status of ferry {' '.join(args)} ({text})")
        return text

    @staticmethod
    def has_hwpoison():
        """Does the kernel have CONFIG_MEMORY_FAILURE, and this user the right
        to use it?"""
        return os.path.exists("/proc/sys/vm/memory_failure_recovery") and \
            os.geteuid() == 0

    def need_hwpoison(self):
        """Skip the test where real memory failure cannot be tested.

        MADV_HWPOISON takes pages of the host out of use until it reboots.
        The lab is thrown away; elsewhere FERRY_TEST_HWPOISON=1 asks for it.
        """
        if not self.has_hwpoison():
            raise Skip("needs root and a kernel with CONFIG_MEMORY_FAILURE")
        if os.environ.get("FERRY_TEST_HWPOISON") != "1":
            raise Skip("takes memory of this host out of use for good: "
                       "FERRY_TEST_HWPOISON=1 allows that")

    def huge_pages(self, n):
        """Reserve this many more huge pages of 2 MiB until the test ends."""
        pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/"

        def read(name):
            with open(pool + name, encoding="ascii") as f:
                return int(f.read())

        def write(value):
            with open(pool + "nr_hugepages", "w", encoding="ascii") as f:
                f.write(str(value))

        try:
            # The pool belongs to the whole machine: one test at a time
            # changes its size
            lock = open(pool + "nr_hugepages", encoding="ascii")
        except OSError as e:
            raise Skip("no huge pages of 2 MiB in this kernel") from e
        self.closers.append(lock.close)
        fcntl.flock(lock, fcntl.LOCK_EX)
        had = read("nr_hugepages")
        self.closers.insert(0, lambda: write(had))
        try:
            write(had + n)
        except OSError as e:
            self.closers.pop(0)
            raise Skip(f"cannot reserve huge pages: {e}: run as root") from e
        if read("free_hugepages") - read("resv_hugepages") < n:
            raise Skip(f"{n} huge pages asked for, too few free: memory is "
                       "fragmented")

    def check_sanitizers(self):
        """Fail if a sanitizer has reported anything in a machine.

        The exit status does not show a report: most tests end their machines
        by SIGKILL, and ThreadSanitizer only changes the status of exit().
        """
        for m in self.machines:
            text = m.err.text()
            for mark in SANITIZER_MARKS:
                check(mark not in text,
                      f"{m.name}: {text[text.find(mark):][:4000]}")

    def log(self):
        """The last lines of all machines, to find the cause of a failure."""
        text = []
        for m in self.machines:
            for label, out in ("guest", m.out), ("ferry", m.err):
                tail = out.text().splitlines()[-40:]
                text += [f"  {m.name} {label}: {x[:240]}" for x in tail]
            text.append(f"  {m.name} exit status: {m.process.poll()}")
        return "\n".join(text)


def one_json(text):
    """Parse a text that must be one JSON object and nothing else."""
    value, end = json.JSONDecoder().raw_decode(text)
    equal(text[end:].strip(), "", "text after the JSON object")
    return value


__all__ = ["AREA", "BUILD", "MIB", "PAGE", "ROOT", "Failed", "QmpError",
           "Skip", "World", "check", "equal", "one_json", "page", "runs"]
