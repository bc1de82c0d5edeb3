# SPDX-License-Identifier: MIT
"""Poison that appears during a migration, on either side.

A relay between the two delays messages, so that the moment of the poisoning is
certain.
"""

import wire
from crossing import begin, finish, in_postcopy
from ferry import AREA, MIB, PAGE, QmpError, check, equal, page, soon
from poisoned import all_seen, scattered, touched
from relay import SOURCE, TARGET

SANITIZERS = {"address", "thread"}

SLEEP = "work=verify mib=32 hold=1"
DATA = 32 * MIB // PAGE


def try_poison(vmm, pages):
    """Poison pages one by one. Return: those that were not handed over yet."""
    done = []
    for gpa in pages:
        try:
            vmm.poison(gpa)
            done.append(gpa)
        except QmpError as e:
            check("already handed over" in e.desc, e.desc)
    return done


STAGES = {
    "hello": (TARGET, wire.WELCOME), "build": (TARGET, wire.BUILT),
}


def test_on_the_source_before(world, stage, ram):
    """Poisoned on the source at a stage before the hand-over."""
    a, b, relay = begin(world, SLEEP, "--ram", ram)
    relay.stop_at = STAGES[stage]
    a.start_migration(relay.uri)
    relay.wait(STAGES[stage][1])
    lost = try_poison(a, [page(i) for i in scattered(1500, 40, 3)])
    check(len(lost) >= 30, "only", len(lost), "of 40 pages could be poisoned")
    finish(a, b, relay)
    b.expect(lost)
    b.send("go")
    all_seen(b, lost)
    equal(a.injected(), [], "machine checks on the source")


test_on_the_source_before.cases = {"stage": STAGES, "ram": ["anon", "memfd"]}


def test_on_the_source_while_handed_over(world):
    """Refused while the lists are being sent: nothing is poisoned
    partially."""
    a, b, relay = begin(world, SLEEP)
    relay.stop_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    relay.wait(wire.PREPARED)
    a.refused("handed over just now", "ferry-poison", address=page(20))
    finish(a, b, relay)
    equal(b.poisoned(), set(), "poisoned pages")
    b.send("go")
    b.sweep()
    b.verdict(mce=0)


def test_on_the_source_after(world, ram, vendor):
    """The source finds poison when it reads pages: single ones within
    batches."""
    a, b, relay = in_postcopy(world, SLEEP, "--ram", ram, "--cpu-vendor",
                              vendor, memory="128M")
    wanted = [page(i) for i in [*scattered(64, 80, 100), *range(30, 46)]]
    lost = try_poison(a, wanted)
    check(len(lost) >= 40, "only", len(lost), "of 96 pages could be poisoned")
    soon(lambda: {e["address"] for e in a.qmp.seen(
        "MEMORY_FAILURE", side="source", action="ignore")}, set(lost),
         "events on the source")
    finish(a, b, relay)
    equal(b.poisoned(), set(lost), "poisoned pages there")
    b.expect(lost)
    b.send("go")
    all_seen(b, lost, vendor)


test_on_the_source_after.cases = {"ram": ["anon", "memfd"],
                                  "vendor": ["amd", "intel"]}


def test_on_the_source_busy(world, ram):
    """The same while the guest requests these pages.

    A page may be sent just before it is poisoned on the source: it stays
    healthy on the destination. Every page that is poison on the destination
    was poisoned on the source.
    """
    a, b, relay = in_postcopy(world, "work=walk order=random mib=96 hold=1",
                              "--ram", ram, cpus=4, memory="128M")
    tried = [page(i) for i in scattered(100, 200, 113)]
    made = try_poison(a, tried[::2])    # some for certain
    b.send("go")
    made += try_poison(a, tried[1::2])
    finish(a, b, relay)
    lost = b.poisoned()
    check(lost and lost <= set(made), len(lost), "poisoned there of",
          len(made), "made here")
    b.expect(lost)
    all_seen(b, lost)


test_on_the_source_busy.cases = {"ram": ["anon", "memfd"]}


def test_on_the_destination(world, ram):
    """Poisoned on the destination, for pages that have not arrived yet.

    They arrive later, and must not make the pages readable again.
    """
    a, b, relay = in_postcopy(world, SLEEP, "--ram", ram, cpus=4)
    lost = [page(i) for i in scattered(70, 40, 199)]
    b.poison_pages(lost)
    finish(a, b, relay)
    check(b.migration()["ferry"]["duplicates"] >= 1, "no late page arrived")
    equal(b.poisoned(), set(lost), "poisoned pages there")
    b.expect(lost)
    b.send("go")
    all_seen(b, lost)


test_on_the_destination.cases = {"ram": ["anon", "memfd"]}


def test_present_on_the_destination(world, ram):
    """Poisoned on the destination for pages that are present, under load."""
    _, b, relay = in_postcopy(world, "work=verify mib=1", "--ram", ram)
    b.full_pass()
    lost = [page(i) for i in scattered(3, 20, 11)]
    b.poison_pages(lost)
    b.expect(lost)
    b.full_pass()
    relay.release()
    b.wait_migration("completed")
    all_seen(b, lost)


test_present_on_the_destination.cases = {"ram": ["anon", "memfd"]}


def test_default_method(world):
    """Without a method no real memory is taken from the host, by QMP and by
    the command.

    The page has not arrived, so that the method auto would be refused on every
    kernel: only a page that has arrived can be lost for real.
    """
    a, b, relay = in_postcopy(world, SLEEP)
    b.refused("has not arrived", "ferry-poison", address=page(5000),
              method="auto")
    answer = b.qmp.execute("ferry-poison", address=page(5000))
    equal(answer["method"], "simulate", "method of QMP")
    out, _ = world.ferry("poison", "b", "--address", hex(page(6000)))
    check("(simulate)" in out, out)
    finish(a, b, relay)
    lost = [page(5000), page(6000)]
    b.expect(lost)
    b.send("go")
    all_seen(b, lost)


def test_late_answer(world, ram):
    """A page is poisoned while a vCPU waits for it; then the page arrives.

    The vCPU gets its machine check at once; the late page changes nothing.
    """
    a, b, relay = in_postcopy(world, "work=walk order=random mib=200", "--ram",
                              ram, memory="256M")
    relay.hold_answers(AREA)
    gpa = relay.unanswered()
    a.refused("already handed over", "ferry-poison", address=gpa)
    b.poison(gpa)
    b.wait_injected(1)
    finish(a, b, relay)
    b.expect([gpa])
    all_seen(b, [gpa])
    check(b.migration()["ferry"]["duplicates"] >= 1, "no answer arrived")


test_late_answer.cases = {"ram": ["anon", "memfd"]}


def test_late_copy_on_the_wire(world, ram):
    """Contents that are sent for poisoned pages never become readable.

    On one connection, so that all other pages have arrived before them.
    """
    lost = [page(i) for i in (100, 101, 5000)]
    stale = [wire.Message(wire.PAGES, bytes(range(256)) * 16 * 2, p - PAGE, 2)
             for p in lost]
    a, b, relay = begin(world, SLEEP, "--ram", ram)
    a.qmp.execute("migrate-set-parameters", **{"multifd-channels": 1})
    a.poison_pages(lost)
    relay.edit = {(wire.DONE, wire.PUSH): lambda m: [*stale, m]}
    a.start_migration(relay.uri)
    finish(a, b, relay)
    b.expect(lost)
    b.send("go")
    all_seen(b, lost)
    check(b.migration()["ferry"]["duplicates"] >= 3, "no late page arrived")


test_late_copy_on_the_wire.cases = {"ram": ["anon", "memfd"]}


def test_poison_for_delivered(world, ram):
    """POISON messages for pages that are present change nothing.

    On one connection, so that all pages have arrived before them.
    """
    a, b, relay = begin(world, SLEEP, "--ram", ram)
    a.qmp.execute("migrate-set-parameters", **{"multifd-channels": 1})
    late = [wire.Message(wire.POISON, b"", page(i), 1) for i in (7, 8, 4000)]
    relay.edit = {(wire.DONE, wire.PUSH): lambda m: [*late, m]}
    a.start_migration(relay.uri)
    finish(a, b, relay)
    equal(b.migration()["ferry"]["poison-refused"], 3, "poison refused")
    equal(b.poisoned(), set(), "poisoned pages")
    b.send("go")
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


test_poison_for_delivered.cases = {"ram": ["anon", "memfd"]}


def test_several_wait_for_one(world, vendor):
    """All vCPUs wait for one page, and it is poison: all wake up."""
    a, b, relay = begin(world, "work=walk share=1 mib=8 hold=1",
                        "--cpu-vendor", vendor, cpus=4)
    lost = [page(i) for i in range(60, 8 * MIB // PAGE, 125)]
    a.poison_pages(lost)
    relay.hold()
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    b.expect(lost)
    b.send("go")
    b.full_pass()
    finish(a, b, relay)
    b.sweep()
    soon(lambda: {e["address"] for e in b.injected()}, set(lost), "events")
    equal(b.poisoned(), set(lost), "poisoned pages")
    b.verdict(expected=len(lost), seen=len(lost), readable=0, unexpected=0)


test_several_wait_for_one.cases = {"vendor": ["amd", "intel"]}


def test_both_sides_then_on(world):
    """Poisoned before, on the source and on the destination; then on to C."""
    before = [page(i) for i in (10, 11, 12)]
    a, b, relay = begin(world, SLEEP)
    a.poison_pages(before)
    relay.hold()
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    b.report()
    there = [page(i) for i in (3000, 6001)]
    b.poison_pages(there)
    here = try_poison(a, [page(i) for i in scattered(4000, 60, 17)])
    check(here, "no page could be poisoned on the source")
    finish(a, b, relay)
    lost = before + there + here
    equal(b.poisoned(), set(lost), "poisoned pages on b")
    c = world.receive(name="c")
    b.migrate(c)
    equal(c.poisoned(), set(lost), "poisoned pages on c")
    c.expect(lost)
    c.send("go")
    all_seen(c, lost)


def test_stopped_in_postcopy(world):
    """Poisoned while the guest is stopped by command and pages are missing."""
    a, b, relay = in_postcopy(world, SLEEP)
    b.qmp.execute("stop")
    lost = [page(i) for i in (2, 900, 8191)]
    b.poison_pages(lost)
    finish(a, b, relay)
    equal(b.state(), "paused", "state")
    b.qmp.execute("cont")
    b.expect(lost)
    b.send("go")
    b.full_pass()
    touched(b, lost)
    b.verdict(expected=3, seen=3)


def test_on_the_wire(world):
    """The source never sends the contents of a poisoned page."""
    a, b, relay = in_postcopy(world, SLEEP, memory="128M")
    lost = set(try_poison(a, [page(i) for i in scattered(500, 60, 97)]))
    finish(a, b, relay)
    with relay.changed:
        sent = [(h[3], h[4]) for h in relay.heard
                if h[0] == SOURCE and h[2] in (wire.PAGES, wire.ZERO)]
        as_poison = {h[3] + i * PAGE for h in relay.heard if h[2] == wire.POISON
                for i in range(h[4])}
    for gpa, n in sent:
        inside = [p for p in lost if gpa <= p < gpa + n * PAGE]
        equal(inside, [], "poisoned pages sent as contents")
    equal(as_poison, lost, "pages sent as poison")
    b.verdict(mce=0)
