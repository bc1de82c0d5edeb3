# SPDX-License-Identifier: MIT
"""Wrong options and addresses are refused, with an error that names them."""

import os
import socket

from errors import soon
from ferry import BUILD, check, equal

SANITIZERS = {"address"}

KERNEL = os.path.join(BUILD, "guest.elf")
RUN = ["run", "--name", "x", "--kernel", KERNEL]

OPTIONS = {
    "no command": ([], ""),
    "unknown command": (["sail"], "sail"),
    "unknown option": ([*RUN, "--fast"], "--fast"),
    "no name": (["run", "--kernel", KERNEL], "--name"),
    "no kernel": (["run", "--name", "x"], "--kernel"),
    "bad name": (["run", "--name", "a/b", "--kernel", KERNEL], "a/b"),
    "dash in a name": (["run", "--name", "-x", "--kernel", KERNEL],
                       "'-' in front"),
    "long name": (["run", "--name", "n" * 65, "--kernel", KERNEL], "64"),
    "small memory": ([*RUN, "--memory", "8M"], "16"),
    "huge memory": ([*RUN, "--memory", "17T"], "16"),
    "odd memory": ([*RUN, "--memory", "16385K"], "MiB"),
    "memory text": ([*RUN, "--memory", "much"], "much"),
    "no vCPU": ([*RUN, "--cpus", "0"], "64"),
    "65 vCPUs": ([*RUN, "--cpus", "65"], "64"),
    "ram kind": ([*RUN, "--ram", "swap"], "swap"),
    "initrd": ([*RUN, "--initrd", ""], "--initrd"),
    "vendor": ([*RUN, "--cpu-vendor", "via"], "via"),
    "serial": ([*RUN, "--serial", "tape"], "tape"),
    "other's option": (["receive", "--name", "x", "--memory", "64M",
                        "unix:/x"], "--memory"),
    "no URI": (["receive", "--name", "x"], "URI"),
    "no decision": (["resolve", "x"], "--give-up"),
    "two decisions": (["resolve", "x", "--run-here", "--give-up"],
                      "--run-here"),
    "recover where": (["recover", "x"], "URI"),
    "automatically": (["migrate", "x", "unix:/x", "--recover-automatically",
                       "maybe"], "maybe"),
    "no address": (["poison", "x"], "--address"),
    "bad address": (["poison", "x", "--address", "here"], "here"),
    "no count": (["poison", "x", "--address", "0", "--count", "0"], "count"),
    "method": (["poison", "x", "--address", "0", "--method", "axe"], "axe"),
}


def test_options(world, what):
    """Exit status 2, one line that names the mistake, no machine is started."""
    args, word = OPTIONS[what]
    out, err = world.ferry(*args, status=2)
    check(word in err, f"'{word}' is not in: {err}")
    equal(out, "", "standard output")
    check(not os.path.exists(world.socket("x")), "a socket is left")


test_options.cases = {"what": OPTIONS}


def test_help(world):
    """Every command has --help, with exit status 0."""
    for command in ("run", "receive", "migrate", "recover", "resolve", "poison", "dump", "status",
                    "list", "stop", "cont", "quit", "events"):
        out, err = world.ferry(command, "--help")
        check(out.startswith(f"usage: ferry {command}"), out)
        equal(err, "", "standard error")


URIS = {
    "no kind": "localhost:1", "unknown kind": "udp:localhost:1",
    "no port": "tcp:localhost", "port 0": "tcp:localhost:0",
    "port too big": "tcp:localhost:65536", "port text": "tcp:localhost:http",
    "bare IPv6": "tcp:::1:4444", "no path": "unix:",
    "long path": "unix:/" + "p" * 108,
}


def test_uri(world, what):
    """A bad address is refused on both sides; the guest keeps running."""
    uri = URIS[what]
    out, err = world.ferry("receive", "--name", "x", uri, status=None)
    check(uri in err or "path must have" in err, err)
    equal(out, "", "standard output")
    a = world.run("work=verify mib=8").ready()
    a.refused("", "migrate", uri=uri)
    equal(a.state(), "running", "state")
    equal(a.migration()["status"], "none", "migration")


test_uri.cases = {"what": URIS}


def test_name_in_use(world):
    """Two machines can't have the same name; the first keeps running."""
    a = world.run("work=verify mib=8").ready()
    _, err = world.ferry("run", "--name", "a", "--kernel", KERNEL, status=1)
    check("a.sock" in err or "in use" in err, err)
    equal(a.state(), "running", "state of the first")


def test_name_of_killed(world):
    """The socket of a killed machine is replaced by the next of its name."""
    world.run("work=verify mib=8", name="x").kill()
    check(os.path.exists(world.socket("x")), "no socket was left")
    world.run("work=verify mib=8", name="x").ready()


def test_no_such_machine(world):
    """A command for a machine that does not run reports that."""
    for args in (["status", "x"], ["migrate", "x", "unix:/x"], ["quit", "x"],
                 ["poison", "x", "--address", "0"]):
        _, err = world.ferry(*args, status=1)
        check("machine 'x' is not running here" in err, err)


def test_no_listener(world, kind):
    """No listener at the URI: the guest keeps running, and can migrate later."""
    a = world.run("work=verify mib=8").ready()
    _, err = world.ferry("migrate", "a", world.uri(kind), status=1)
    check("cannot connect" in err, err)
    equal(a.state(), "running", "state")
    b = world.receive()
    a.migrate(b)
    b.full_pass()
    b.verdict()


test_no_listener.cases = {"kind": ["unix", "tcp"]}


def test_address_in_use(world):
    """Another process listens at the address already."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        uri = f"tcp:127.0.0.1:{s.getsockname()[1]}"
        _, err = world.ferry("receive", "--name", "x", uri, status=1)
    check("in use" in err, err)
    b = world.receive()
    _, err = world.ferry("receive", "--name", "y", b.uri, status=1)
    check("in use" in err, err)
    world.run("work=verify mib=8").ready().migrate(b)


def test_receive_twice(world):
    """A machine waits for one guest, and only if it has none."""
    a, b = world.run("work=verify mib=8").ready(), world.receive()
    b.refused("waits for one already", "migrate-incoming", uri=world.uri())
    a.refused("has a guest", "migrate-incoming", uri=world.uri())


def test_log_disk_full(world):
    """A log on a full disk stops neither the guest nor its migration."""
    a = world.run("work=verify mib=8", "--log", "/dev/full").ready()
    b = world.receive("--log", "/dev/full")
    a.poison(4 << 20)
    a.migrate(b)
    b.full_pass()
    b.expect([4 << 20])
    b.verdict(expected=1, seen=1)


def test_log(world):
    """The log has the messages."""
    path = world.path("log")
    a = world.run("work=verify mib=8", "--log", path).ready()
    a.poison(4 << 20)

    def logged():
        with open(path, encoding="utf-8") as f:
            return "memory failure at 0x400000" in f.read()

    soon(logged, True, "the message is in the log")
    _, err = world.ferry("run", "--name", "y", "--kernel", KERNEL, "--log",
                         world.path("no/such"), status=1)
    check("cannot open log" in err, err)


def unread_stderr(world):
    """The directory of a ferry whose standard error is a full pipe that nothing
    reads, and the pipe."""
    pipe, build = world.path("pipe"), world.path("unread")
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    world.closers.append(lambda: os.close(fd))
    size = 65536                # a pipe takes less than a page at last
    while size:
        try:
            os.write(fd, bytes(size))
        except BlockingIOError:
            size //= 2
    os.mkdir(build)
    with open(os.path.join(build, "ferry"), "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec {BUILD}/ferry "$@" 2>{pipe}\n')
    os.chmod(f.name, 0o700)
    return build, fd


def test_messages_unread(world):
    """Messages that nothing reads stop neither side of a migration."""
    build, fd = unread_stderr(world)
    gone = [(4 << 20) + 4096 * i for i in range(3)]
    a = world.run("work=verify mib=8", build=build).ready()
    b = world.receive(build=build)
    for gpa in gone:
        a.poison(gpa)
    a.migrate(b)
    b.full_pass()
    b.expect(gone)
    b.sweep()
    b.verdict(expected=3, seen=3)
    for vmm in a, b:
        world.ferry("quit", vmm.name)
        equal(vmm.wait_end(), 0, "exit status")
    check(b"ferry" not in os.read(fd, 1 << 20), "the pipe was not full")


def test_output_closed(world):
    """The console can't be written: the guest keeps working."""
    a = world.run("work=verify mib=8", "--serial",
                  "file:/dev/full", cpus=2)
    b = world.receive()
    a.migrate(b)
    b.full_pass()
    b.verdict()
