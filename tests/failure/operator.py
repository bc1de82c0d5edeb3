# SPDX-License-Identifier: MIT
"""What an operator does with machines: watch, end, restart and configure them,
also where descriptors, terminals or disks are missing."""

import contextlib
import ctypes
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import threading
import time

import wire
from errors import WAIT, soon
from ferry import BUILD, PAGE, check, equal, page
from qmp import FakeMachine, Qmp
from relay import SOURCE, Relay

SANITIZERS = {"address"}

IDLE = "work=verify mib=8"
FERRY = os.path.join(BUILD, "ferry")


def command(world, *args, **kw):
    """A ferry command that runs while the test goes on."""
    p = subprocess.Popen([FERRY, *args], env=world.env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, **kw)
    world.closers.append(lambda: (p.kill(), p.communicate()))
    return p


def watch(world, machine):
    """`ferry events`, connected."""
    p = command(world, "events", "--json", machine.name)
    end = time.monotonic() + WAIT
    while not select.select([p.stdout], [], [], 0.05)[0]:
        check(time.monotonic() < end, "no event")
        machine.qmp.execute("stop")
        machine.qmp.execute("cont")
    return p


ENDS = {
    "quit": lambda a: a.qmp.execute("quit"),
    "guest": lambda a: a.send("exit"),
    "SIGTERM": lambda a: a.process.send_signal(signal.SIGTERM),
}


def test_events_end(world, how):
    """ferry events ends with the machine: its last event says so."""
    a = world.run(IDLE).ready()
    p = watch(world, a)
    ENDS[how](a)
    out, err = p.communicate(timeout=WAIT)
    last = json.loads(out.splitlines()[-1])
    equal([p.returncode, last["event"], err], [0, "SHUTDOWN", b""], "end")
    equal(last["data"]["guest"], how == "guest", "'guest'")


test_events_end.cases = {"how": ENDS}


def test_events_lost(world):
    """A connection that ends without that event is an error, never 0."""
    a = world.run(IDLE).ready()
    p = watch(world, a)
    a.kill()
    _, err = p.communicate(timeout=WAIT)
    equal(p.returncode, 1, "exit status")
    check(b"ended the connection" in err, err)


def test_console_of_killed(world):
    """The console of a machine that was killed ends with an error."""
    a = world.run(IDLE).ready()
    p = command(world, "console", "a")
    p.stdout.read(1)
    a.kill()
    _, err = p.communicate(timeout=WAIT)
    equal(p.returncode, 1, "exit status")
    check(b"a died" in err, err)


def test_events_text(world):
    """Without --json an event is a line: time, name, and what it says."""
    a = world.run(IDLE).ready()
    p = command(world, "events", "a")
    end = time.monotonic() + WAIT
    while not select.select([p.stdout], [], [], 0.05)[0]:
        check(time.monotonic() < end, "no event")
        a.qmp.execute("stop")
        a.qmp.execute("cont")
    # Outside the area that the guest reads: a vCPU that came first would
    # report the page instead
    a.poison(page(4096))
    a.qmp.execute("quit")
    out, err = p.communicate(timeout=WAIT)
    lines = [re.sub(r"^\d\d:\d\d:\d\d\.\d{6} ", "", x)
             for x in out.decode().splitlines()]
    check("RESUME running (VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNPAUSED)"
          in lines, lines)
    check(f"MEMORY_FAILURE {page(4096):#x}, 4 KiB: hypervisor ignore" in lines, lines)
    equal([lines[-1], p.returncode, err],
          ["SHUTDOWN host-qmp-quit", 0, b""], "end")


def test_status_watch(world, form):
    """ferry status --watch prints each new state, and ends with the machine,
    or at Ctrl-C."""
    a = world.run(IDLE).ready()
    p = command(world, "status", "--watch", *form, "a")
    text = ""
    for act, word in ((None, "running"), ("stop", "paused"),
                      ("cont", "running"), ("quit", "")):
        if act:
            a.qmp.execute(act)
        while word:
            text = p.stdout.readline().decode()
            if form:
                text = json.loads(text)["status"] + " "
            if text.startswith(word) or text.startswith(f"a: {word} "):
                break
    out, err = p.communicate(timeout=WAIT)
    equal([p.returncode, err], [0, b""], "end")
    check(out.count(b"\n") < 20, "states that are no news", out)
    b = world.run(IDLE, name="b").ready()
    p = command(world, "status", "--watch", "b")
    p.stdout.readline()
    p.send_signal(signal.SIGINT)
    equal([p.wait(WAIT), p.stderr.read()], [0, b""], "after Ctrl-C")
    b.kill()
    _, err = world.ferry("status", "--watch", "b", status=1)
    check("not running any more" in err, err)


test_status_watch.cases = {"form": [[], ["--json"]]}


def test_many_ranges(world):
    """query-status is bounded: what it does not list, it counts."""
    a = world.run("work=idle mib=8", memory="64M").ready()
    for i in range(1100):
        a.poison(page(4096 + 2 * i))
    st = a.status()
    equal(len(st["poisoned"]), 1024, "ranges listed")
    equal(st["poisoned-unlisted"], 76, "ranges that are not listed")
    equal(st["poisoned-bytes"], 1100 * PAGE, "bytes")
    out, _ = world.ferry("status", "a")
    check(f"poisoned:  {1100 * PAGE // 1024} KiB" in out, out)
    check("and 1084 more ranges" in out, out)


def test_burst(world):
    """12000 poisoned pages are 12000 events at each client."""
    a = world.run("work=verify mib=48 hold=1").ready()
    p = watch(world, a)
    world.ferry("poison", "a", "--address", "0x400000", "--count", "12000",
                "--method", "simulate")
    seen = set()
    for line in p.stdout:
        event = json.loads(line)
        if event["event"] == "MEMORY_FAILURE":
            seen.add(event["data"]["address"])
        if len(seen) == 12000:
            break
    equal(seen, set(range(4 << 20, (4 << 20) + 12000 * PAGE, PAGE)), "pages")
    soon(lambda: len(a.qmp.seen("MEMORY_FAILURE")), 12000, "events")
    equal(p.poll(), None, "ferry events")


def test_slow_poison(world):
    """ferry poison waits longer for many pages than for another command's
    answer (10 s): they are poisoned one by one."""
    path = world.path("slow")

    def poison(_):
        time.sleep(11)
        return {"poisoned": 2000, "address": 0, "method": "simulate"}

    with FakeMachine(path, {"ferry-poison": poison}):
        out, _ = world.ferry("poison", "--control", path, "--address", "0",
                             "--count", "2000")
    check("poisoned 2000 pages" in out, out)


def test_not_utf8(world):
    """An address that JSON can't represent is refused for that reason."""
    a = world.run(IDLE).ready()
    for uri in b"unix:/x\xff", b"tcp:h\xff:1":
        p = command(world, "migrate", "a", uri)
        _, err = p.communicate(timeout=WAIT)
        equal(p.returncode, 1, "exit status")
        check(b"it is not UTF-8" in err, err)
    equal(a.migration()["status"], "none", "migration")
    b = world.receive(uri=os.fsdecode(os.fsencode(world.uri()) + b"\xff"))
    os.symlink(b.uri[5:], world.path("s"))
    a.start_migration("unix:" + world.path("s"))
    a.wait_migration("completed")
    there = b.wait_migration("completed")
    check(there["ferry"]["uri"].endswith("?"), there["ferry"])


def listens(p, uri):
    """Wait until a destination listens, for which it takes its last descriptor,
    or has ended. Return: does it listen?"""
    end = time.monotonic() + WAIT
    while p.poll() is None:
        try:
            wire.Peer.connect(uri).close()
            return True
        except OSError:
            check(time.monotonic() < end, "it neither listens nor ends")
            time.sleep(0.01)
    return False


def test_few_descriptors(world):
    """What gets no descriptor says so, before a guest comes; of KVM, also what
    to do."""
    seen, uri = b"", world.uri("tcp")
    for n in range(4, 40):
        p = command(world, "receive", "--name", "x", "--serial", "none", uri,
                    preexec_fn=lambda n=n: resource.setrlimit(
                        resource.RLIMIT_NOFILE, (n, n)))
        if listens(p, uri):
            break
        _, err = p.communicate(timeout=WAIT)
        seen += err
        check(b"Too many open files" in err, n, err)
        check(all(line.startswith(b"ferry ") for line in err.splitlines()),
              n, err)
        check(b"Bad file" not in err, n, err)
    kvm = re.findall(b"KVM_[^\n]*Too many open files[^\n]*", seen)
    check(kvm and all(b"ulimit -n" in line for line in kvm), kvm, seen)


def test_relative_path(world):
    """A relative path means the directory of the command, not that of the
    machine."""
    a, b = world.run(IDLE).ready(), world.receive()
    here = world.path("here")
    os.mkdir(here)
    os.symlink(b.uri[5:], os.path.join(here, "s"))
    p = command(world, "migrate", "a", "unix:s", cwd=here)
    out, err = p.communicate(timeout=WAIT)
    equal(p.returncode, 0, (out, err))
    b.full_pass()
    del a


def test_console_of_relative_control(world):
    """The path of a console does not depend on a client's directory."""
    command(world, "run", "--name", "a", "--kernel",
            os.path.join(BUILD, "guest.elf"), "--control", "c.sock",
            cwd=world.dir)
    end = time.monotonic() + WAIT
    while not os.path.exists(world.path("c.console")):
        check(time.monotonic() < end, "no console")
        time.sleep(0.01)
    p = command(world, "console", "--control", world.path("c.sock"))
    check(p.stdout.read(1), "no output")


def settings(vmm):
    return [vmm.qmp.execute("query-migrate-" + what)
            for what in ("parameters", "capabilities")]


def test_parameters_are_kept(world):
    """ferry migrate changes only what its options name, and only if it is
    accepted."""
    # It touches no page, so that only the push moves its memory
    a = world.run("work=verify mib=32 hold=1", memory="128M").ready()

    def limit():
        return a.qmp.execute("query-migrate-parameters")[
            "max-postcopy-bandwidth"]

    def move(*args, **kw):
        return world.ferry("migrate", "a", *args, **kw)

    a.qmp.execute("migrate-set-parameters",
                  **{"max-postcopy-bandwidth": 1 << 20})
    b = world.receive()
    move("--detach", b.uri)
    equal(limit(), 1 << 20, "limit")
    _, err = move("--bandwidth", "900M", b.uri, status=1)
    check("under way" in err, err)
    equal(limit(), 1 << 20, "limit after a refused command")
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    a.wait_migration("completed")
    before = settings(a)
    move("--bandwidth", "900M", "--connections", "4", "--downtime-limit", "9",
         "--no-poison", "--recover-automatically", "no", b.uri, status=1)
    equal(settings(a), before, "after a refused command")


def test_parameters_of_one(world):
    """What the options of ferry migrate choose is for that migration only."""
    a, b = world.run(IDLE).ready(), world.receive()
    a.recover_automatically(True)
    before = settings(a)
    relay = Relay(world, b)
    relay.stop_at = (SOURCE, wire.STATE)
    world.ferry("migrate", "--detach", "--bandwidth", "64M",
                "--max-bandwidth", "32M", "--connections", "3",
                "--downtime-limit", "9000", "--no-poison",
                "--recover-automatically", "no", "a", relay.uri)
    relay.wait(wire.STATE)
    parameters, capabilities = settings(a)
    equal([parameters[p] for p in ("max-postcopy-bandwidth", "max-bandwidth",
                                   "multifd-channels", "downtime-limit")],
          [64 << 20, 32 << 20, 3, 9000], "of the migration under way")
    equal(capabilities, before[1], "capabilities")
    relay.release()
    a.wait_migration("completed")
    equal(settings(a), before, "afterwards")


def test_refused_changes_nothing(world):
    """What `migrate` chooses is for that migration alone, if it is accepted."""
    a = world.run(IDLE).ready()
    before = settings(a)
    chosen = {"max-postcopy-bandwidth": 64 << 20, "multifd-channels": 3,
              "ferry-poison": False}
    a.refused("multifd-channels", "migrate", uri=world.uri(), **{
        "ferry-parameters": {**chosen, "multifd-channels": 0}})
    a.refused("'speed'", "migrate", uri=world.uri(), **{
        "ferry-parameters": {"speed": 1}})
    a.refused("udp:x", "migrate", uri="udp:x", **{"ferry-parameters": chosen})
    a.refused("downtime-limit", "migrate-set-parameters",
              **{"downtime-limit": 0})
    equal([settings(a), a.migration()["status"]], [before, "none"], "refused")

    b = world.receive()
    relay = Relay(world, b)
    relay.stop_at = (SOURCE, wire.STATE)
    a.qmp.execute("migrate", uri=relay.uri, **{"ferry-parameters": chosen})
    relay.wait(wire.STATE)
    equal([settings(a)[0][p] for p in list(chosen)[:2]],
          [64 << 20, 3], "of the migration under way")
    relay.release()
    a.wait_migration("completed")
    equal(settings(a), before, "afterwards")
    equal(len({n for n, role in enumerate(relay.peers)
               if role[0][0] == wire.PUSH}) // 2, 3, "push connections")


def test_too_many_clients(world):
    """The 65th client gets a reason, and ferry prints it."""
    a = world.run(IDLE).ready()
    for _ in range(63):
        s = socket.socket(socket.AF_UNIX)
        world.closers.append(s.close)
        s.connect(world.socket("a"))
        check(s.recv(1), "no greeting")
    _, err = world.ferry("status", "a", status=1)
    check("64 control clients are connected" in err, err)
    equal(a.state(), "running", "state")


def in_postcopy(world):
    """A source that still has most pages, and its destination."""
    world.parameters["max-postcopy-bandwidth"] = 1 << 20
    a = world.run("work=verify mib=48 hold=1", memory="128M").ready()
    b = world.receive()
    a.start_migration(b.uri)
    a.wait_migration("postcopy-active")
    return a, b


def test_quit_in_postcopy(world):
    """The end of a source that still has pages would end the guest: quit wants
    to be forced for that."""
    a, _ = in_postcopy(world)
    _, err = world.ferry("quit", "a", status=1)
    check("still needs pages" in err, err)
    a.refused("ferry-force", "quit")
    a.refused("ferry-force", "quit", **{"ferry-force": False})
    equal(a.migration()["status"], "postcopy-active", "migration")
    world.ferry("quit", "--force", "a")
    equal(a.wait_end(), 0, "exit status")


def test_signal_in_postcopy(world, name):
    """The same by a signal: the second one within 10 s forces it."""
    a, b = in_postcopy(world)
    a.process.send_signal(name)
    a.said("a second request within 10 s")
    equal([a.migration()["status"], b.state()],
          ["postcopy-active", "running"], "after the signal")
    a.process.send_signal(name)
    equal(a.wait_end(), 128 + name, "exit status")


test_signal_in_postcopy.cases = {"name": [signal.SIGTERM, signal.SIGINT]}


def test_signal_after_postcopy(world):
    """Once all pages were sent, one signal is enough; the guest goes on."""
    a, b = in_postcopy(world)
    a.process.send_signal(signal.SIGTERM)
    a.said("a second request within 10 s")
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    a.wait_migration("completed")
    a.process.send_signal(signal.SIGTERM)
    equal(a.wait_end(), 128 + signal.SIGTERM, "exit status")
    b.report()


def test_quit_after(world):
    """A source that has sent everything ends without more words."""
    a, b = world.run(IDLE).ready(), world.receive()
    a.migrate(b)
    world.ferry("quit", "a")
    equal(a.wait_end(), 0, "exit status")
    b.full_pass()


def test_quit_leaves_anothers_socket(world):
    """A machine that ends does not remove the socket of another one that
    listens at the same address by now."""
    b = world.receive()
    os.unlink(b.uri.removeprefix("unix:"))
    c = world.receive(uri=b.uri, name="c")
    world.ferry("quit", "b")
    b.wait_end()
    d = world.run(IDLE, name="d").ready()
    d.migrate(c)
    c.full_pass()


def test_terminated(world):
    """SIGTERM ends a machine: no socket is left."""
    a = world.run(IDLE).ready()
    a.process.send_signal(signal.SIGTERM)
    equal(a.wait_end(), 128 + signal.SIGTERM, "exit status")
    equal(os.listdir(os.path.dirname(world.socket("a"))), [], "sockets")


def test_hangup(world):
    """A lost terminal is no reason to stop a guest, nor a second one."""
    a = world.run(IDLE).ready()
    for _ in range(2):
        a.process.send_signal(signal.SIGHUP)
        a.said("the guest goes on without it")
        a.working()
    equal(a.state(), "running", "state")


def test_nohup(world):
    """A machine that was started with nohup outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        a = world.run(IDLE).ready()
    finally:
        signal.signal(signal.SIGHUP, before)
    a.process.send_signal(signal.SIGHUP)
    a.working()
    equal(a.state(), "running", "state")


def test_closed_descriptors(world):
    """A program that was started without standard descriptors writes its
    messages into no other file."""
    a = world.run(IDLE).ready()
    log = world.path("log")
    out, err = world.path("out"), world.path("err")
    script = f'exec "$@" >{out} 2>{err}'
    for closed in "0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-":
        subprocess.run(["sh", "-c", f"{script} {closed}", "-", FERRY, "status",
                        "a"], env=world.env, check=False, timeout=WAIT)
        equal(a.state(), "running", "state")
    p = command(world, "run", "--name", "x", "--log", log, "--kernel",
                os.path.join(BUILD, "guest.elf"), "--memory", "64M",
                preexec_fn=lambda: [os.close(fd) for fd in range(3)])
    end = time.monotonic() + WAIT
    while world.ferry("status", "x", status=None)[1]:
        check(time.monotonic() < end and p.poll() is None, "no machine")

    def logged():
        with open(log, encoding="utf-8") as f:
            return f.read()

    soon(lambda: "cannot write the guest's output" in logged(), True, "log")
    check("boot ferry-guest" not in logged(), logged())
    equal({os.readlink(f"/proc/{p.pid}/fd/{n}") for n in range(3)},
          {"/dev/null"}, "standard descriptors")


def test_unwritten_output(world):
    """Output that can't be written is one message and exit status 1."""
    a = world.run(IDLE).ready()
    for args in ["status", "a"], ["list"], ["status", "--json", "a"], \
            ["help"], ["run", "--help"], ["version"]:
        with open("/dev/full", "wb") as full:
            p = subprocess.run([FERRY, *args], env=world.env, stdout=full,
                               stderr=subprocess.PIPE, check=False,
                               timeout=WAIT)
        equal([p.returncode, p.stderr.count(b"\n")], [1, 1], p.stderr)
        check(b"No space left" in p.stderr, p.stderr)
    with open("/dev/full", "wb") as full:
        p = subprocess.Popen([FERRY, "events", "a"], env=world.env,
                             stdout=full, stderr=subprocess.PIPE)
    world.closers.append(lambda: (p.kill(), p.communicate()))
    end = time.monotonic() + WAIT
    while p.poll() is None:
        a.qmp.execute("stop")
        a.qmp.execute("cont")
        check(time.monotonic() < end, "it goes on")
        time.sleep(0.05)
    text = p.stderr.read()
    equal([p.returncode, text.count(b"\n")], [1, 1], text)


def test_unwritten_console(world):
    """The guest's output can't be written: one message, and it goes on."""
    a = world.run(IDLE, "--serial", "file:/dev/full")
    a.said("cannot write the guest's output: No space left on device")
    for _ in range(20):
        a.qmp.execute("stop")
        a.qmp.execute("cont")
    equal(a.err.text().count("cannot write"), 1, "messages")


def test_powerdown_refused(world):
    """A guest that does not watch its power button can't be asked; where no
    guest runs there is none to ask."""
    a, b = world.run(IDLE).ready(), world.receive()
    _, err = world.ferry("powerdown", "a", status=1)
    check("does not watch its power button" in err, err)
    equal([a.state(), a.qmp.seen("POWERDOWN")], ["running", []], "machine")
    _, err = world.ferry("powerdown", "b", status=1)
    check("no guest has arrived" in err, err)
    a.migrate(b)
    _, err = world.ferry("powerdown", "a", status=1)
    check("'postmigrate'" in err, err)


def test_list_shows_control(world):
    """A machine with --control is found by its name as others are; a link that
    a killed machine left is in nobody's way."""
    def names():
        return [x["name"] for x in
                json.loads(world.ferry("list", "--json")[0])]

    path, link = world.path("c"), world.socket("a")
    a = world.run(IDLE, "--control", path, control=path).ready()
    equal(names(), ["a"], "ferry list")
    check("a: running" in world.ferry("status", "a")[0], "no status by name")
    b = world.run(IDLE, "--control", path + "2", control=path + "2")
    b.said("another machine has this name")
    world.ferry("quit", "--control", path + "2")
    equal(names(), ["a"], "ferry list")
    _, err = world.ferry("run", "--name", "a", "--kernel",
                         os.path.join(BUILD, "guest.elf"), status=1)
    check("not a socket" in err or "in use" in err, err)
    a.kill()
    check(os.path.islink(link), "no link was left")
    a = world.run(IDLE, "--control", path, control=path).ready()
    equal(names(), ["a"], "ferry list")
    a.kill()
    a = world.run(IDLE).ready()
    check(not os.path.islink(link), "the link is still there")
    world.ferry("quit", "a")
    a = world.run(IDLE, "--control", path, control=path).ready()
    world.ferry("quit", "a")
    equal([a.wait_end(), names(), os.path.lexists(link)], [0, [], False],
          "after the end")


def test_channels(world, kind):
    """migrate and migrate-incoming take an address in QEMU's other form."""
    a, b = world.run(IDLE).ready(), world.receive(uri=world.uri(kind))
    where = b.uri.split(":")
    channel = {"channel-type": "main", "addr": {
        "transport": "socket",
        **({"type": "unix", "path": where[1]} if kind == "unix" else
           {"type": "inet", "host": where[1], "port": where[2]})}}
    a.refused("not as both", "migrate", uri=b.uri, channels=[channel])
    a.refused("has a guest", "migrate-incoming",
              channels=[channel])
    a.qmp.execute("migrate", channels=[channel])
    a.wait_migration("completed")
    b.full_pass()


test_channels.cases = {"kind": ["unix", "tcp"]}


def test_listens_on_both(world):
    """tcp::PORT accepts IPv4 and IPv6."""
    port = world.uri("tcp").rsplit(":", 1)[1]
    for peer, n in ("127.0.0.1", "4"), ("[::1]", "6"):
        a = world.run(IDLE, name="a" + n).ready()
        b = world.receive(uri=f"tcp::{port}", name="b" + n)
        b.uri = f"tcp:{peer}:{port}"
        a.migrate(b)
        b.full_pass()
        b.end()


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


@contextlib.contextmanager
def late_vcpu(vmm):
    """The first vCPU's thread does not run. The value is a function that waits
    until the machine has asked it to stop."""
    tid = vmm.qmp.execute("query-cpus-fast")[0]["thread-id"]
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace(request):
        check(libc.ptrace(request, tid, None, None) == 0,
              os.strerror(ctypes.get_errno()))

    def pending():
        with open(f"/proc/{vmm.process.pid}/task/{tid}/status",
                  encoding="ascii") as f:
            return int(re.search("SigPnd:\t(\\w+)", f.read())[1], 16) != 0

    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(tid, 0x40000000)     # __WALL
    try:
        yield lambda: soon(pending, True, "a signal to the vCPU")
    finally:
        ptrace(PTRACE_DETACH)


def send_commands(vmm, *names):
    """Send commands to a machine on a connection of their own. Return: a
    function that waits for the answers, and a list of those that have come."""
    q = Qmp(vmm.world.socket(vmm.name), vmm.alive)
    vmm.world.closers.append(q.close)
    answers = []

    def run():
        answers.extend(q.execute_all(*((n, {}) for n in names)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread.join, answers


def test_late_stop(world):
    """A vCPU that is late delays `stop`, and no other client; what follows
    `stop` stays behind it."""
    a = world.run(IDLE).ready()
    with late_vcpu(a) as wait_kick:
        join, answers = send_commands(a, "stop", "cont", "query-status")
        wait_kick()
        for _ in range(10):
            equal([a.state(), answers], ["running", []], "while it waits")
    join()
    equal(answers[:2], [{}, {}], "answers")
    equal(answers[2]["status"], "running", "state after stop and cont")
    soon(lambda: [len(a.qmp.seen(e)) for e in ("STOP", "RESUME")], [1, 1],
         "events")
    a.working()


def test_late_stop_and_quit(world):
    """A machine that waits for a vCPU can be ended; who waits gets an
    answer."""
    a = world.run(IDLE).ready()
    with late_vcpu(a) as wait_kick:
        join, answers = send_commands(a, "stop")
        wait_kick()
        a.qmp.execute("quit")
    join()
    equal(a.wait_end(), 0, "exit status")
    check("did not stop" in answers[0].desc, answers)
