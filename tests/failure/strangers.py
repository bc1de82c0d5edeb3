# SPDX-License-Identifier: MIT
"""Bad destinations: the guest stays on the source, and can be moved later."""

import socket
import threading
import time

import wire
from errors import SLOW
from ferry import check, equal
from wire import Closed, FakeTarget, Message

SANITIZERS = {"address"}

BUSY = "work=verify mib=16 seed=3"


def still_good(world, a):
    """The guest runs on the source, and a real destination gets all of it."""
    a.wait_state("running")
    equal(a.status()["libvirt"]["state"], "VIR_DOMAIN_RUNNING", "libvirt")
    a.full_pass()
    b = world.receive()
    a.migrate(b)
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


def failed(world, behave, word):
    """Migrate to a destination that behaves so: it must fail with a reason."""
    a = world.run(BUSY, cpus=2).ready()
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        try:
            behave(fake)
        except Closed:
            pass                # it may have had enough already
        m = a.wait_migration("failed")
    check(word in m["error-desc"], f"'{word}' is not in: {m['error-desc']}")
    equal(m["libvirt"]["success"], False, "libvirt's success")
    still_good(world, a)


def say(data):
    """Accept a connection and answer anything with some bytes."""
    def behave(fake):
        fake.main = fake.accept()
        fake.main.hear()
        fake.main.say(data)
    return behave


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
HELLO_TYPE = wire.WELCOME

GREETINGS = {
    "closes": (lambda f: f.accept().close(), "closed the connection"),
    "zeroes": (say(bytes(100)), "Ferry"),
    "HTTP": (say(HTTP), "Ferry"),
    "ssh": (say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nmore and more bytes"),
            "Ferry"),
    "half a header": (lambda f: (say(b"\x2c\0\0\0\2\0")(f), f.main.shut()),
                      "closed"),
    "its own HELLO": (say(Message(wire.HELLO, wire.hello_body())), "HELLO"),
    "other magic": (say(Message(HELLO_TYPE,
                                wire.hello_body(magic=b"Fairy\0\0\1"))),
                    "not a Ferry"),
    "other version": (say(Message(HELLO_TYPE, wire.hello_body(version=2))),
                      "version 2"),
    "huge": (say(Message(HELLO_TYPE, b"", length=0xffffffff)), "WELCOME"),
    "reserved bits": (say(Message(HELLO_TYPE, wire.hello_body(),
                                  reserved=1)), "reserved"),
    "names pages": (say(Message(HELLO_TYPE, wire.hello_body(), a=4096)),
                    "names pages"),
    "no poison": (lambda f: f.greet(features=0).hear(), "UFFDIO_POISON"),
    "no push": (lambda f: f.greet(push=0).hear(), "0 push connections"),
    "too many pushes": (lambda f: f.greet(push=3).hear(),
                        "3 push connections of 2"),
    "refuses": (say(Message(wire.REFUSE, b"no room\n\x1b[31m")),
                "refused: no room"),
}


def test_greeting(world, what):
    """It answers the first message wrongly."""
    failed(world, *GREETINGS[what])


test_greeting.cases = {"what": GREETINGS}


def described(data):
    """Everything is right until the description was heard."""
    def behave(fake):
        fake.greet().expect(wire.DESCRIPTION)
        fake.main.say(data)
        fake.main.shut()
    return behave


def attached(act):
    def behave(fake):
        fake.greet().expect(wire.DESCRIPTION)
        fake.main.say(Message(wire.BUILT))
        fake.demand = fake.accept()
        fake.demand.expect(wire.HELLO)
        act(fake)
    return behave


def prepared(act):
    def behave(fake):
        fake.prepare()
        act(fake)
    return behave


LATER = {
    "closes after description": (described(b""), "closed"),
    "refuses description": (described(Message(wire.REFUSE, b"too small")),
                            "too small"),
    "garbage for BUILT": (described(HTTP), "Ferry"),
    "PREPARED for BUILT": (described(Message(wire.PREPARED)), "PREPARED"),
    "BUILT with payload": (described(Message(wire.BUILT, b"x")), "BUILT"),
    "closes 2nd connection": (attached(lambda f: f.demand.shut()), "closed"),
    "garbage on 2nd": (attached(lambda f: f.demand.say(HTTP)), "Ferry"),
    "refuses 2nd": (attached(lambda f: f.demand.say(
        Message(wire.REFUSE, b"one is enough"))), "one is enough"),
    "closes instead of PREPARED": (prepared(lambda f: f.main.shut()),
                                   "closed"),
    "refuses the state": (prepared(lambda f: f.main.say(
        Message(wire.REFUSE, b"bad MSR"))), "bad MSR"),
    "garbage for PREPARED": (prepared(lambda f: f.main.say(HTTP)), "Ferry"),
    "RUNNING for PREPARED": (prepared(lambda f: f.main.say(
        Message(wire.RUNNING))), "RUNNING"),
}


def test_later(world, what):
    """It goes wrong later, up to the last message before the hand-over."""
    failed(world, *LATER[what])


test_later.cases = {"what": LATER}


def test_paused_stays_paused(world):
    """A guest that was stopped by hand isn't started by a failure."""
    a = world.run(BUSY).ready()
    a.qmp.execute("stop")
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        fake.prepare()
        fake.main.shut()
        a.wait_migration("failed")
    a.wait_state("paused")
    check(not a.qmp.seen("RESUME", status="running")[1:], "it was resumed")


SILENT = {
    "hello": lambda f: f.accept(),
    "build": lambda f: f.greet().expect(wire.DESCRIPTION),
    "prepare": lambda f: f.prepare(),
}


def test_cancel(world, stage):
    """migrate_cancel ends the wait for one that never answers."""
    a = world.run(BUSY, cpus=2).ready()
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        keep = SILENT[stage](fake)
        a.refused("under way already", "migrate", uri=world.uri())
        a.qmp.execute("migrate_cancel")
        a.wait_migration("cancelled")
        if isinstance(keep, wire.Peer):
            keep.close()
    st = a.status()
    equal(st["status"], "running", "state")
    if stage == "prepare":
        equal(st["libvirt"]["reason"], "VIR_DOMAIN_RUNNING_MIGRATION_CANCELED",
              "libvirt's reason")
    still_good(world, a)


test_cancel.cases = {"stage": SILENT}


def test_cancel_nothing(world):
    """Nothing to cancel is no error, as in QEMU; too late is one."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.qmp.execute("migrate_cancel")
    a.migrate(b)
    a.qmp.execute("migrate_cancel")
    equal(a.migration()["status"], "completed", "status")


def test_silent(world):
    """One that accepts and says nothing is given up by itself."""
    a = world.run(BUSY).ready()
    a.qmp.execute("migrate-set-parameters", **{"ferry-connect-timeout": 1500})
    with FakeTarget(world.uri("tcp")) as fake:
        a.start_migration(fake.uri)
        m = a.wait_migration("failed")
    check("in time" in m["error-desc"], m["error-desc"])
    still_good(world, a)


def say_slowly(peer, data, pause_s):
    """Byte by byte, until the other side has had enough."""
    try:
        for byte in data:
            peer.say(bytes([byte]))
            time.sleep(pause_s)
    except Closed:
        pass


def test_downtime_limit(world, trickle):
    """A destination that is not prepared in time doesn't get the guest: the
    limit is for all waits together, however many bytes come meanwhile."""
    limit = int(700 * SLOW)
    a = world.run("work=idle period_us=1000").ready()
    a.qmp.execute("migrate-set-parameters", **{"downtime-limit": limit})
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        fake.prepare()
        began = time.monotonic()
        if trickle:
            say_slowly(fake.main, Message(wire.PREPARED).bytes()[:-1],
                       0.1 * SLOW)
        m = a.wait_migration("failed")
        took = time.monotonic() - began
        check(fake.main.refusal() and took < 15 * SLOW, "no reason, or late",
              took)
    check(f"{limit} ms" in m["error-desc"], m["error-desc"])
    a.wait_state("running")
    equal(a.qmp.execute("query-migrate-parameters")["downtime-limit"], limit,
          "the parameter")


test_downtime_limit.cases = {"trickle": [False, True]}


def test_downtime_limit_option(world):
    """`ferry migrate --downtime-limit` sets the same limit."""
    a = world.run("work=idle period_us=1000").ready()
    with FakeTarget(world.uri()) as fake:
        t = threading.Thread(target=fake.prepare, daemon=True)
        t.start()
        _, err = world.ferry("migrate", "a", fake.uri, "--downtime-limit",
                             "400", status=1)
        t.join(wire.WAIT)
    check("400 ms" in err, err)
    a.wait_state("running")


def test_quit_while_waiting(world, stage):
    """`quit` in the midst of a migration ends the process immediately."""
    a = world.run(BUSY).ready()
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        keep = SILENT[stage](fake)
        a.qmp.execute("quit")
        equal(a.wait_end(), 0, "exit status")
        if isinstance(keep, wire.Peer):
            keep.close()


test_quit_while_waiting.cases = {"stage": SILENT}


def pump(here, there, n):
    """Pass on what one side says, so many bytes at a time."""
    try:
        while data := here.recv(n):
            there.sendall(data)
    except OSError:
        pass
    there.close()


def serve(listener, uri):
    """Connect a migration to an address, piece by piece."""
    family, where = wire.address(uri)
    for _ in range(4):      # main, demand, 2 that push
        here, there = listener.accept()[0], socket.socket(family)
        there.connect(where)
        for pair in (here, there, 1447), (there, here, 3):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def test_in_pieces(world):
    """Messages that come in odd pieces, of three bytes even, are the same."""
    a, b = world.run(BUSY).ready(), world.receive()
    uri = world.uri()
    with wire.listen(uri) as listener:
        t = threading.Thread(target=serve, args=(listener, b.uri), daemon=True)
        t.start()
        a.start_migration(uri)
        t.join(wire.WAIT)
        a.wait_migration("completed")
    b.wait_migration("completed")
    b.sweep()
    b.verdict()
