# SPDX-License-Identifier: MIT
"""The link is lost in the middle, and the migration goes on over another one.

What needs no real guest is in tests/session: a cut at each message, of the
first link and of a new one.
"""

import os
import signal
import struct

import wire
from crossing import begin, exits, in_postcopy, whole
from ferry import MIB, PAGE, QmpError, check, equal, page, soon
from loss import paused
from poisoned import all_seen, scattered
from relay import SOURCE, TARGET, Relay

BUSY = "work=verify mib=16 seed=11"


def cut(world, a, b, relay):
    """The network fails: both sides are paused, and wait for each other."""
    relay.cut()
    for vmm, side in (a, "source"), (b, "destination"):
        waits = paused(vmm, side)["ferry"]["waiting"]
        check(waits["for"] and waits["remedy"], "not explained", waits)


def resume(a, uri):
    a.qmp.execute("migrate", uri=uri, resume=True)


def poison_error(vmm, gpa):
    """Poison a page. Return: "", or why that is refused."""
    try:
        vmm.poison(gpa)
    except QmpError as e:
        return e.desc
    return ""


def complete(a, b):
    for vmm in a, b:
        vmm.wait_migration("completed", recovers=True)
        # The destination is complete before it is confirmed
        soon(lambda m=vmm: waits_for(m), None, f"{vmm.name} waits no more")


def waits_for(vmm):
    return vmm.migration().get("ferry", {}).get("waiting", {}).get("for")


def test_resume(world):
    """An operator resumes, twice."""
    a, b, relay = in_postcopy(world, BUSY)
    for _ in range(2):
        cut(world, a, b, relay)
        relay.hold()
        resume(a, relay.uri)
        a.wait_migration("postcopy-active")
    relay.release()
    complete(a, b)
    whole(b)
    exits(b)


def test_automatic(world):
    """Nobody does anything: the source tries until the network is back."""
    a, b, relay = in_postcopy(world, BUSY)
    relay.cut()
    for vmm in a, b:
        vmm.recover_automatically(True)
    complete(a, b)
    whole(b)


def test_another_address(world):
    """The destination listens elsewhere, because the old address is gone."""
    a, b, relay = in_postcopy(world, BUSY)
    cut(world, a, b, relay)
    uri = world.uri("tcp")
    b.qmp.execute("migrate-recover", uri=uri)
    resume(a, uri)
    complete(a, b)
    whole(b)


def test_poison_on_both_sides(world):
    """Pages that are lost while the link is, on either side: the guest gets
    each of them as poison, and the source learns those of the destination."""
    a, b, relay = in_postcopy(world, "work=verify mib=16 hold=1")
    cut(world, a, b, relay)
    there = [page(i) for i in scattered(500, 10)]
    b.poison_pages(there)
    # Not sent yet: the relay has held the pages that are pushed before them
    here = [page(i) for i in scattered(2000, 60)]
    a.poison_pages(here)
    resume(a, relay.uri)
    complete(a, b)
    equal(b.poisoned(), set(here + there), "poisoned pages there")
    check(set(there) <= a.poisoned(), "the source does not know them")
    b.expect(here + there)
    b.send("go")
    all_seen(b, here + there)


def test_poison_on_arrived(world):
    """A page that has arrived without an acknowledgement can't be poisoned at
    the source while the link is lost: whatever it says is done, the guest
    meets."""
    a = world.run("work=verify mib=16 hold=1").ready()
    b = world.receive()
    relay = Relay(world, b)
    relay.stop_at = (TARGET, wire.CHUNK_ACK)
    # The pages below it are there then, and most of the others are not
    relay.hold_from(page(2000))
    a.start_migration(relay.uri)
    soon(lambda: any(h[1:3] == (wire.PUSH, wire.PAGES) and h[3] >= page(2000)
                     for h in list(relay.heard)), True, "pages of the data")
    cut(world, a, b, relay)
    here, refused = [], []
    for gpa in [page(i) for i in scattered(3, 90, 44)]:
        (refused if poison_error(a, gpa) else here).append(gpa)
    # The threads of the lost link may have to end before that
    soon(lambda: any("the destination may have it" in poison_error(a, gpa)
                     for gpa in refused), True,
         "a page is refused because it may have arrived")
    check(here, "no page of the source could be poisoned")
    resume(a, relay.uri)
    complete(a, b)
    equal(b.poisoned(), set(here), "poisoned pages there")
    b.expect(here)
    b.send("go")
    all_seen(b, here)


class Record:
    """What a relay has passed on: the pages that were sent, those that were
    acknowledged, and what REPORT has said of each page."""

    def __init__(self, relay):
        self.sent, self.pushed, self.acknowledged = set(), 0, 0
        self.reported = {}
        for kind in wire.PAGES, wire.ZERO, wire.POISON:
            relay.edit[kind] = self.note_pages
            relay.edit[kind, wire.PUSH] = self.note_push
        relay.edit[wire.CHUNK_ACK] = self.note_ack
        relay.edit[wire.REPORT] = self.note_report

    def note_pages(self, m):
        first = m.a // PAGE
        self.sent |= set(range(first, first + m.b))
        return [m]

    def note_push(self, m):
        self.pushed += m.b
        return self.note_pages(m)

    def note_ack(self, m):
        self.acknowledged, = struct.unpack("<Q", m.body)
        return [m]

    def note_report(self, m):
        for at, pages, kind in wire.parse_report(m.body)[1]:
            for i in range(at // PAGE, at // PAGE + pages):
                self.reported[i] = kind
        self.sent = set()
        return [m]


def test_huge_pages(world):
    """The link is lost where a huge page has arrived in part: the destination
    reports the parts that it has, and the source sends the others only."""
    world.huge_pages(24)
    # Until "go" it touches no page of the huge one: all of it would be
    # requested
    a = world.run(BUSY + " hold=1", memory="32M").ready()
    b = world.receive("--ram", "hugetlb")
    relay = Relay(world, b)
    record = Record(relay)
    huge = 1792 // 512 * 512
    middle = page(huge + 256)
    relay.hold_from(middle)
    a.qmp.execute("migrate-set-parameters", **{"multifd-channels": 1})
    a.start_migration(relay.uri)
    a.wait_migration("postcopy-active")
    soon(lambda: [h for h in relay.heard if h[:2] == (SOURCE, wire.PUSH)
                  and h[3] >= middle] != [], True, "a page is held back")
    soon(lambda: record.acknowledged == record.pushed, True,
         "all before it was placed")
    first = page(huge) // PAGE
    parts = record.sent & set(range(first, first + 512))
    check(0 < len(parts) < 512, "no huge page was sent in part", parts)
    cut(world, a, b, relay)
    resume(a, relay.uri)
    b.send("go")
    complete(a, b)
    equal({record.reported.get(i) for i in parts}, {wire.STAGED},
          "how the parts are reported")
    equal({i for i, kind in record.reported.items() if kind == wire.STAGED
           and first <= i < first + 512}, parts, "the reported parts")
    equal(record.sent & set(record.reported), set(), "sent again")
    equal(record.sent | set(record.reported), set(range(32 * MIB // PAGE)),
          "reported or sent")
    whole(b)


def test_hand_over_in_doubt(world, at):
    """COMMIT or RUNNING is lost: the new link says who has the guest."""
    a, b, relay = begin(world, BUSY)
    relay.cut_at = {"COMMIT": (SOURCE, wire.COMMIT),
                    "RUNNING": (TARGET, wire.RUNNING)}[at]
    a.start_migration(relay.uri)
    paused(a, "source")
    paused(b, "destination")
    b.refused("", "ferry-resolve", action="maybe")
    resume(a, relay.uri)
    complete(a, b)
    whole(b)


test_hand_over_in_doubt.cases = {"at": ["COMMIT", "RUNNING"]}


def test_refusal_is_delivered(world):
    """The source fails where the destination is in doubt: it tells the
    destination, without automatic recovery, too. The guest can try again."""
    a, b, relay = begin(world, BUSY)
    relay.cut_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    a.wait_migration("failed")
    b.wait_migration("failed", recovers=True)
    for vmm, what in (a, None), (b, "a source to connect"):
        soon(lambda m=vmm: waits_for(m), what, f"what {vmm.name} waits for")
    a.wait_state("running")
    a.migrate(b)
    whole(b)


def test_refusal_of_an_earlier_attempt(world):
    """The next attempt begins before the destination has been told that the
    last one has failed: it is told all the same, and takes the guest then."""
    a, b, relay = begin(world, BUSY)
    relay.cut_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    a.wait_migration("failed")
    # At once: no time to tell it before. It goes where nobody listens
    a.start_migration(world.uri())
    a.wait_migration("failed")
    b.wait_migration("failed", recovers=True)
    a.migrate(b)
    whole(b)


def test_the_guest_moves_on(world):
    """The source does not know that the destination is whole, and the guest
    migrates on from there: the source may ask still, until the time for that
    is over. Then it is told that no session waits, and an operator ends it."""
    a, b, relay = begin(world, BUSY)
    c = world.receive(name="c")
    b.qmp.execute("migrate-set-parameters", **{"ferry-confirm-timeout": 1000})
    relay.cut_at = (TARGET, wire.COMPLETE)
    a.start_migration(relay.uri)
    b.wait_migration("completed")
    paused(a, "source")
    b.migrate(c)
    whole(c)
    soon(lambda: os.path.exists(b.uri.removeprefix("unix:")), False,
         "a listener")
    equal(waits_for(b), None, "what it waits for")
    resume(a, relay.uri)
    paused(a, "source")
    a.refused("known to run", "ferry-resolve", action="run-here")
    a.qmp.execute("ferry-resolve", action="give-up")
    a.wait_migration("failed", recovers=True)
    whole(c)


def test_asked_after_the_guest_moved_on(world):
    """A destination from which the guest has migrated on says still that it
    waits to be asked, and an operator gives it another address for that."""
    a, b, relay = begin(world, BUSY)
    c = world.receive(name="c")
    relay.cut_at = (TARGET, wire.COMPLETE)
    a.start_migration(relay.uri)
    b.wait_migration("completed")
    paused(a, "source")
    b.migrate(c)
    check("whether the guest has arrived whole" in str(waits_for(b)),
          "it does not say so", b.migration())
    uri = world.uri()
    world.ferry("recover", "b", uri)
    resume(a, uri)
    a.wait_migration("completed", recovers=True)
    soon(lambda: waits_for(b), None, "what b waits for")
    whole(c)


def test_a_paused_destination(world):
    """Paused, the destination obeys stop and cont, and says for how long it has
    waited. A reset waits until all pages are there."""
    a, b, relay = in_postcopy(world, "work=idle mib=48")
    cut(world, a, b, relay)
    since = b.migration()["ferry"]["waiting"]["ms"]
    b.qmp.execute("stop")
    equal(b.state(), "paused", "state after stop")
    b.qmp.execute("cont")
    equal(b.state(), "running", "state after cont")
    soon(lambda: b.migration()["ferry"]["waiting"]["ms"] > since, True,
         "the time for which it has waited grows")
    b.qmp.execute("system_reset")
    b.said("the reset waits")
    paused(b, "destination")
    equal(b.qmp.seen("RESET"), [], "RESET events before all pages are there")
    resume(a, relay.uri)
    complete(a, b)
    b.wait_line("ready")
    soon(lambda: b.qmp.seen("RESET"),
         [{"guest": False, "reason": "host-qmp-system-reset"}], "event RESET")
    b.sweep()
    b.verdict(mce=0)


def test_complete_is_lost(world):
    """The destination is whole, says that it waits to be asked, and the
    source asks it."""
    a, b, relay = begin(world, BUSY)
    equal(waits_for(b), "a source to connect", "before it begins")
    out, _ = world.ferry("status", "b")
    check("waits for: a source to connect, for " in out, out)
    relay.cut_at = (TARGET, wire.COMPLETE)
    a.start_migration(relay.uri)
    b.wait_migration("completed")
    paused(a, "source")
    out, _ = world.ferry("status", "b")
    for text in "ask whether the guest has arrived whole", "ferry recover":
        check(text in out, f"no '{text}' in `ferry status`", out)
    since = b.migration()["ferry"]["waiting"]["ms"]
    soon(lambda: b.migration()["ferry"]["waiting"]["ms"] > since, True,
         "the time for which it has waited grows")
    resume(a, relay.uri)
    complete(a, b)
    whole(b)


def test_frozen_destination(world):
    """A destination that stands still is dead after the time for that; when it
    continues, the source comes back by itself."""
    a, b, relay = in_postcopy(world, BUSY)
    a.qmp.execute("migrate-set-parameters",
                  **{"ferry-dead-peer-timeout": 2000})
    b.process.send_signal(signal.SIGSTOP)
    try:
        m = a.wait_migration("postcopy-paused")
        check("ferry-dead-peer-timeout" in m["error-desc"], m["error-desc"])
    finally:
        b.process.send_signal(signal.SIGCONT)
    relay.cut()
    a.recover_automatically(True)
    complete(a, b)
    whole(b)


def test_the_guest_ends_there(world):
    """The guest ends while pages are missing: the source knows, and is done."""
    a, b, _ = in_postcopy(world, BUSY)
    b.qmp.execute("quit")
    equal(b.wait_end(), 0, "exit status")
    a.wait_migration("completed")
    a.said("the guest has ended at the destination")


def test_refused(world):
    """What may not resume a session is refused by name, and harms nothing."""
    a, b, relay = in_postcopy(world, BUSY)
    a.refused("postcopy-paused", "migrate", uri=relay.uri, resume=True)
    b.refused("postcopy-paused", "migrate-recover", uri=world.uri())
    cut(world, a, b, relay)
    ident = bytes.fromhex(a.migration()["ferry"]["id"])
    for words, wrong in ((
            "another guest", {"epoch": 9}),
            ("secret", {"ident": ident, "epoch": 9}),
            ("secret", {"ident": ident, "epoch": 1})):
        peer = wire.Peer.connect(b.uri)
        peer.say(wire.Message(wire.HELLO, wire.hello_body(
            resume=True, push=1, **wrong)))
        text = peer.refusal()
        check(words in text, f"'{words}' is not in: {text}")
        peer.close()
    a.refused("known to run", "ferry-resolve", action="run-here")
    b.refused("runs here already", "ferry-resolve", action="give-up")
    resume(a, relay.uri)
    complete(a, b)
    whole(b)
