# SPDX-License-Identifier: MIT
"""Terminals on the serial port: ferry console, also across a migration, and the
terminal of ferry run."""

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

from crossing import begin
from errors import WAIT, Failed, Skip
from ferry import AREA, BUILD, check, equal, page, soon
from loss import paused

SANITIZERS = {"address"}

BUSY = "work=verify mib=16"
ESCAPE = b"\x1d"
# vmm/console/chardev_socket.c: bytes that are kept for a slow terminal, and in
# its output buffer
RING_SIZE, AHEAD_MAX = 65536, 16384


# A shell with the job control that one command needs: SIGTSTP does not stop a
# process whose process group is orphaned
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGUSR1, lambda *_: os.tcsetpgrp(0, os.getpgrp()))
signal.signal(signal.SIGUSR2, lambda *_: (os.tcsetpgrp(0, pid),
                                          os.kill(pid, signal.SIGCONT)))
os.waitpid(pid, 0)
"""


class Console:
    """`ferry console`, or another command, with a terminal of its own."""

    def __init__(self, world, *args, shell=(), command="console"):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *shell,
             os.path.join(BUILD, "ferry"), command, *args],
            env=world.env, stdin=self.slave, stdout=self.slave,
            stderr=self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        world.closers.append(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in self.master, self.slave:
            try:
                os.close(fd)
            except OSError:
                pass

    def read(self, timeout):
        if select.select([self.master], [], [], timeout)[0]:
            self.text += os.read(self.master, 65536).decode("utf-8", "replace")
            return True
        return False

    def wait(self, text, timeout=WAIT):
        end = time.monotonic() + timeout
        while text not in self.text:
            if time.monotonic() > end:
                raise Failed(f"'{text}' is not on the terminal: {self.text!r}")
            self.read(0.1)

    def type(self, data):
        os.write(self.master, data)

    def is_raw(self):
        now = termios.tcgetattr(self.slave)
        return not now[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def ended(self, status=0):
        """The command has ended with this status, and restored the
        terminal."""
        equal(self.process.wait(WAIT), status, "exit status")
        while self.read(0.1):
            pass
        equal(termios.tcgetattr(self.slave), self.before, "the terminal")


def attached(world, name="a", *args, **kw):
    c = Console(world, *(args or (name,)), **kw)
    c.wait("Ctrl-] detaches")
    check(c.is_raw(), "the terminal is not raw")
    return c


def test_talks_and_leaves(world):
    """Input reaches the guest, its output is shown, Ctrl-] leaves."""
    a = world.run(BUSY).ready()
    c = attached(world)
    c.wait("ready t_us=")       # printed before the console attached
    c.type(b"hello terminal\n")
    c.wait("\nhello terminal")
    equal(a.wait_line("hello").text, "hello terminal", "standard output")
    c.type(b"\x03\x1a\nhello again\n")       # Ctrl-C, Ctrl-Z go to the guest
    c.wait("\nhello again")
    fds = f"/proc/{c.process.pid}/fd"
    equal(len([n for n in os.listdir(fds) if os.readlink(
        os.path.join(fds, n)).startswith("socket:")]), 1,
        "sockets: a control client that reads no events is disconnected")
    c.type(b"hello not-" + ESCAPE + b"typed\n")
    c.wait("detached from the console of a")
    c.ended()
    equal(a.state(), "running", "state")
    a.send("")
    a.ask("hello still", "hello", )


def need_own_handler(sig):
    """Skip where AddressSanitizer, not Ferry, handles the signal."""
    if sig == signal.SIGSEGV and "address" in os.path.basename(BUILD):
        raise Skip("AddressSanitizer handles SIGSEGV itself")


def test_signals_restore_it(world, sig):
    """A signal ends the command, after it has restored the terminal."""
    need_own_handler(sig)
    world.run(BUSY).ready()
    c = attached(world)
    c.process.send_signal(sig)
    c.ended(-sig)


test_signals_restore_it.cases = {"sig": [
    signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
    signal.SIGSEGV]}


def until(ready, what):
    end = time.monotonic() + WAIT
    while not ready():
        check(time.monotonic() < end, what)
        time.sleep(0.01)


def process_state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return f.read().split(")")[1].split()[0]


def test_stopped_and_continued(world):
    """A console that is stopped restores the terminal; continued, it sets it
    raw again."""
    world.run(BUSY).ready()
    c = attached(world, shell=[sys.executable, "-c", SHELL])
    pid = os.tcgetpgrp(c.master)
    os.kill(pid, signal.SIGTSTP)
    until(lambda: process_state(pid) == "T", "it is not stopped")
    check(not c.is_raw(), "the terminal is raw while it is stopped")
    os.kill(pid, signal.SIGCONT)
    until(c.is_raw, "the terminal is not raw again")
    c.type(b"hello again\n")
    c.wait("\nhello again")
    os.kill(pid, signal.SIGTSTP)
    until(lambda: process_state(pid) == "T", "it is not stopped")
    c.process.send_signal(signal.SIGUSR1)   # the shell becomes the foreground
    until(lambda: os.tcgetpgrp(c.master) != pid, "it is not the shell's")
    os.kill(pid, signal.SIGCONT)                # bg
    until(lambda: process_state(pid) != "T", "it does not go on")
    c.type(b"\n")                               # it reads, and SIGTTIN stops it
    until(lambda: process_state(pid) == "T", "it reads in the background")
    check(not c.is_raw(), "the shell's terminal is raw")
    c.process.send_signal(signal.SIGUSR2)       # fg
    until(c.is_raw, "the terminal is not raw in the foreground")
    c.type(b"hello awake\n")
    c.wait("\nhello awake")
    c.type(ESCAPE)
    c.ended()


def test_machine_ends(world):
    """A console ends with its machine."""
    a = world.run(BUSY).ready()
    c = attached(world)
    a.qmp.execute("quit")
    c.wait("a ended")
    c.ended()


def pending(sock):
    """Bytes that have arrived on a socket and were not read."""
    size = bytearray(4)
    fcntl.ioctl(sock, termios.FIONREAD, size)
    return int.from_bytes(size, sys.byteorder)


def report_often(vmm):
    """Let the guest print some thousand bytes."""
    for _ in range(50):
        vmm.send("report")
    vmm.ask("hello round", "hello")


def test_several(world):
    """Several consoles: each shows the output and accepts input; one that does
    not read does not delay the others."""
    a = world.run(BUSY).ready()
    path = a.qmp.execute("query-chardev")[0]["filename"].split(":", 1)[1]
    with socket.socket(socket.AF_UNIX) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(path)
        one, two = attached(world), attached(world)
        one.type(b"hello one\n")
        two.type(b"hello two\n")
        for c in one, two:
            c.wait("\nhello one")
            c.wait("\nhello two")
        unread = -1     # until its connection takes no more
        while unread != (unread := pending(slow)):
            report_often(a)
        begin = len(a.out.text())       # then more than is kept for it
        while len(a.out.text()) < begin + RING_SIZE + AHEAD_MAX + 4096:
            report_often(a)
        a.ask("hello last", "hello")
        one.wait("\nhello last")
        slow.settimeout(WAIT)
        text = b""
        while b"\nhello last" not in text:
            text += slow.recv(65536)
        check(re.search(rb"\[ferry: \d+ bytes lost\]", text), "none was lost")
        slow.sendall(b"hello slow\n")
        two.wait("\nhello slow")


def test_types_and_goes(world):
    """Input arrives also if its console has closed the connection by then."""
    a = world.run(BUSY).ready()
    path = a.qmp.execute("query-chardev")[0]["filename"].split(":", 1)[1]
    a.qmp.execute("stop")       # its port takes 16 bytes, and no more now
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"hello " + 100 * b"x" + b"\n")
    a.qmp.execute("query-status")
    a.qmp.execute("cont")
    equal(a.wait_line("hello").text, "hello " + 100 * "x",
          "output on standard output")


def test_too_many(world):
    """A console above the limit shows the reason, not that the machine
    ended."""
    a = world.run(BUSY).ready()
    path = a.qmp.execute("query-chardev")[0]["filename"].split(":", 1)[1]
    others = [socket.socket(socket.AF_UNIX) for _ in range(16)]
    for s in others:
        s.connect(path)
        check(s.recv(1), "no output")
    c = Console(world, "a")
    c.wait("too many terminals are attached")
    c.wait("a closed this console")
    c.ended(1)
    others.pop().close()
    for s in others[1:]:
        s.close()
    c = attached(world)
    c.type(b"hello room\n")
    c.wait("\nhello room")
    others[0].close()


def test_follows_a_move(world):
    """The console follows the guest in the middle of a line."""
    a, b, c = world.run(BUSY, cpus=2).ready(), world.receive(), \
        world.receive(name="c")
    con, there = attached(world), attached(world, "b")
    con.type(b"half The guest was here,\n")
    con.wait("The guest was here,")
    a.migrate(b)
    con.wait("this is b now")
    con.type(b"rest and then it was there.\n")
    con.wait("and then it was there.")
    there.wait("and then it was there.")
    b.migrate(c)
    con.wait("this is c now")
    there.wait("this is c now")
    con.type(b"hello from afar\n")
    con.wait("\nhello from afar")
    late = Console(world, "a")
    late.wait("this is b now")      # b names the next destination
    late.wait("this is c now")
    for x in con, there, late:
        x.type(ESCAPE)
        x.ended()


def test_paused_migration(world):
    """While the connection between both sides is lost, the guest answers at the
    console what needs no missing page. A terminal from before that serves it
    after the recovery, too."""
    # Its work sleeps, and all that it needs else is below the data area
    a, b, relay = begin(world, "work=idle mib=48 period_us=3600000000")
    relay.hold_from(page(4096))
    a.start_migration(relay.uri)
    b.wait_migration("postcopy-active")
    soon(lambda: sum(b.qmp.execute("query-ferry-pages", begin=0, size=AREA)
                     ["pages"][x] for x in ("missing", "requested")), 0,
         "pages below the data area that are missing")
    con = attached(world, "b")
    con.type(b"hello before\n")
    con.wait("\nhello before")
    relay.cut()
    paused(a, "source")
    paused(b, "destination")
    late = attached(world, "b")
    con.type(b"hello paused\n")
    late.type(b"hello late\n")
    for text in "\nhello paused", "\nhello late":
        con.wait(text)
        late.wait(text)
    check(b.migration()["ram"]["remaining"] > 0, "no page is missing")
    equal(b.migration()["status"], "postcopy-paused", "status")
    a.qmp.execute("migrate", uri=relay.uri, resume=True)
    for vmm in a, b:
        vmm.wait_migration("completed", recovers=True)
    con.type(b"hello again\n")
    for x in con, late:
        x.wait("\nhello again")
        x.type(ESCAPE)
        x.ended()
    b.sweep()
    b.verdict()


def test_moves_out_of_sight(world):
    """A console that cannot follow names the destination, and ends."""
    a = world.run(BUSY).ready()
    os.mkdir(world.path("other"))
    b = world.receive("--control", world.path("elsewhere"),
                      control=world.path("elsewhere"),
                      env={"XDG_RUNTIME_DIR": world.path("other")})
    con = attached(world)
    a.migrate(b)
    con.wait(f"the guest moved to {b.uri}; attach to its console there")
    con.ended()
    con = attached(world, "", "--control", world.path("elsewhere"))
    con.type(b"hello there\n")
    con.wait("\nhello there")


def test_failed_migration(world):
    """After a failed migration the console stays attached."""
    a = world.run(BUSY).ready()
    con = attached(world)
    a.start_migration(world.uri())
    a.wait_migration("failed")
    con.type(b"hello source\n")
    con.wait("\nhello source")


def test_no_terminal(world):
    """Input from a pipe: no raw mode, no escape; output until the machine
    ends."""
    a = world.run(BUSY).ready()
    p = subprocess.Popen([os.path.join(BUILD, "ferry"), "console", "a"],
                         env=world.env, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b"hello pi\x1dpe\nexit\n")
    p.stdin.close()
    out = p.stdout.read().decode()
    equal(p.wait(WAIT), 0, "exit status")
    check("\nhello pi\x1dpe" in out and "\nverdict" in out, out)
    check("a ended" in p.stderr.read().decode(), "no reason")
    p.stdout.close()
    p.stderr.close()
    a.wait_end()


def test_output_lost(world):
    """Output to a closed pipe is an error."""
    a = world.run(BUSY).ready()
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run([os.path.join(BUILD, "ferry"), "console", "a"],
                       env=world.env, stdin=subprocess.DEVNULL, stdout=w,
                       stderr=subprocess.PIPE, check=False, timeout=WAIT)
    os.close(w)
    equal(p.returncode, 1, "exit status")
    check(b"cannot write the output: Broken pipe" in p.stderr, p.stderr)
    equal(a.state(), "running", "state")


def machine(world, *args, append=BUSY, **kw):
    """`ferry run` on a terminal."""
    c = Console(world, "--name", "a", "--memory", "64M", "--kernel",
                os.path.join(BUILD, "guest.elf"), "--append",
                "interval_ms=1000000 " + append, *args, command="run", **kw)
    c.wait("Ctrl-] q ends the machine")
    c.wait("ready t_us=")
    check(c.is_raw(), "the terminal is not raw")
    return c


def test_own_terminal(world):
    """The terminal of ferry run: every key goes to the guest, but Ctrl-]."""
    c = machine(world)
    c.type(b"hello \x03\x1aterminal\n")
    c.wait("\nhello ")
    c.wait("terminal")
    check("^C" not in c.text, "echoed by the terminal: " + c.text)
    equal(world.ferry("status", "a")[0].split()[1], "running", "state")
    c.type(ESCAPE + b"x" + ESCAPE)
    c.wait("any other key continues")
    c.type(ESCAPE)              # the second of two goes to the guest
    c.type(b"\nhello again\n")
    c.wait("\nhello again")
    c.type(ESCAPE + b"q")
    c.ended()


def test_own_terminal_of_stopped(world):
    """A guest that takes no input does not keep its machine from ending."""
    c = machine(world)
    world.ferry("stop", "a")
    c.type(2000 * b"x")
    c.type(b"\n" + ESCAPE)
    c.wait("any other key continues")
    c.type(b"q")
    c.ended()


def test_own_terminal_restored(world, sig):
    """However ferry run ends, the terminal is as before."""
    need_own_handler(sig)
    c = machine(world)
    c.process.send_signal(sig)
    c.ended(128 + sig if sig in (signal.SIGTERM, signal.SIGINT) else -sig)


test_own_terminal_restored.cases = {"sig": [
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGSEGV,
    signal.SIGABRT]}


def test_own_terminal_lost(world):
    """The terminal is closed: the guest goes on, and its machine can be reached
    and ended."""
    c = machine(world)
    for fd in c.master, c.slave:
        os.close(fd)
    c.master = c.slave = -1
    for _ in range(3):
        equal(world.ferry("status", "a")[0].split()[1], "running", "state")
    world.ferry("quit", "a")
    equal(c.process.wait(WAIT), 0, "exit status")


def test_own_terminal_of_other_ends(world):
    """The same when the guest, or ferry quit, ends the machine."""
    c = machine(world)
    c.type(b"exit\n")
    c.ended()
    c = machine(world)
    world.ferry("quit", "a")
    c.ended()


def test_own_terminal_stopped(world):
    """SIGTSTP restores the terminal; SIGCONT sets it raw again."""
    c = machine(world, shell=[sys.executable, "-c", SHELL])
    pid = os.tcgetpgrp(c.master)
    for _ in range(2):
        os.kill(pid, signal.SIGTSTP)
        # The terminal is restored first: SIGCONT must not come in between
        until(lambda: process_state(pid) == "T", "it is not stopped")
        check(not c.is_raw(), "the terminal is raw while it is stopped")
        os.kill(pid, signal.SIGCONT)
        until(c.is_raw, "the terminal is not raw again")
        c.type(b"hello again\n")
        c.wait("hello again")
        c.text = ""
    c.type(ESCAPE + b"q")
    c.ended()


def test_messages_have_lines_of_their_own(world):
    """A message of ferry on the guest's terminal does not continue a line of
    the guest."""
    c = machine(world, append=BUSY + " hold=1")
    c.type(b"half The guest was here,\n")
    c.wait("The guest was here,")
    world.ferry("poison", "a", "--address", "0x400000", "--method", "simulate")
    c.wait("memory failure at 0x400000")
    check(re.search(r"guest was here,\r?\nferry a: memory failure", c.text),
          c.text)
