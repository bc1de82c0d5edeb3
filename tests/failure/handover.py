# SPDX-License-Identifier: MIT
"""The connection fails at each message: one side runs the guest, never two.

Before COMMIT the guest is at home again; from then on neither side may bring
it back, and what there is is kept.
"""

import wire
from ferry import check, equal
from loss import lost_source, paused, quits, silent
from relay import SOURCE, TARGET, Relay

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=16 seed=5"

BEFORE = {
    "HELLO": (SOURCE, wire.HELLO), "WELCOME": (TARGET, wire.WELCOME),
    "DESCRIPTION": (SOURCE, wire.DESCRIPTION), "BUILT": (TARGET, wire.BUILT),
    "STATE": (SOURCE, wire.STATE), "POISON_LIST": (SOURCE, wire.POISON_LIST),
    "ZERO_LIST": (SOURCE, wire.ZERO_LIST), "PREPARE": (SOURCE, wire.PREPARE),
    "PREPARED": (TARGET, wire.PREPARED),
}


def start(world, **kw):
    a = world.run(BUSY, cpus=2, **kw).ready()
    b = world.receive()
    return a, b, Relay(world, b)


def works(vmm):
    vmm.full_pass()
    vmm.sweep()
    vmm.verdict(mce=0)


def test_cut_before(world, at):
    """The guest is at home again, works, and is carried by the next try."""
    a, b, relay = start(world)
    relay.cut_at = BEFORE[at]
    a.start_migration(relay.uri)
    a.wait_migration("failed")
    a.wait_state("running")
    a.full_pass()
    if at == "PREPARED":        # it can't know whether the source went on
        paused(b, "destination")
        check(not b.status()["running"], "both run")
        silent(b)
        b.kill()
        b = world.receive(name="c")
    a.migrate(b)
    works(b)


test_cut_before.cases = {"at": BEFORE}


def test_killed_before(world, at):
    """The same when the destination's host fails."""
    a, b, relay = start(world)
    relay.stop_at = BEFORE[at]
    a.start_migration(relay.uri)
    relay.wait(BEFORE[at][1])
    b.kill()
    relay.cut()
    a.wait_migration("failed")
    a.wait_state("running")
    a.full_pass()
    c = world.receive(name="c")
    a.migrate(c)
    works(c)


test_killed_before.cases = {"at": ["WELCOME", "BUILT", "STATE", "PREPARED"]}


def test_source_killed_before(world, at):
    """The source's host fails: the destination waits for another guest."""
    a, b, relay = start(world)
    relay.stop_at = BEFORE[at]
    a.start_migration(relay.uri)
    relay.wait(BEFORE[at][1])
    a.kill()
    relay.cut()
    b.said("incoming migration failed")
    b.wait_state("inmigrate")
    d = world.run(BUSY, name="d", cpus=2).ready()
    d.migrate(b)
    works(b)


test_source_killed_before.cases = {"at": ["WELCOME", "BUILT", "STATE",
                                          "PREPARE"]}


def test_cut_at_commit(world):
    """COMMIT is lost: in doubt neither runs, and both say so."""
    a, b, relay = start(world)
    relay.cut_at = (SOURCE, wire.COMMIT)
    a.start_migration(relay.uri)
    m = paused(a, "source")
    check("in doubt" in m["error-desc"], m["error-desc"])
    check("in doubt" in paused(b, "destination")["error-desc"], "no doubt")
    check(not b.status()["running"], "the destination runs")
    lost_source(a)
    silent(b)
    quits(a, b)


def test_demand_cut_at_commit(world):
    """The other connection fails first: it is no less in doubt."""
    a, b, relay = start(world)
    relay.stop_at = (SOURCE, wire.COMMIT)
    a.start_migration(relay.uri)
    relay.wait(wire.COMMIT)
    relay.cut(wire.DEMAND)
    m = paused(a, "source")
    check("in doubt" in m["error-desc"], m["error-desc"])
    relay.cut()
    check("in doubt" in paused(b, "destination")["error-desc"], "no doubt")
    check(not b.status()["running"], "the destination runs")
    lost_source(a)
    quits(a, b)


def test_push_cut_before_commit(world):
    """A connection that nobody listens to yet: no guest is given to it."""
    a, b, relay = start(world)
    relay.stop_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    relay.wait(wire.PREPARED)
    relay.cut(wire.PUSH)
    relay.release()
    m = a.wait_migration("failed")
    check("before the hand-over" in m["error-desc"], m["error-desc"])
    works(a)
    b.said("incoming migration failed")
    a.migrate(b)
    works(b)


def test_cut_at_running(world):
    """The answer to COMMIT is lost: the destination has it, alone."""
    a, b, relay = start(world)
    relay.cut_at = (TARGET, wire.RUNNING)
    a.start_migration(relay.uri)
    lost_source(a)
    paused(b, "destination")
    equal(b.status()["libvirt"]["reason"],
          "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED", "libvirt's reason")
    quits(b, a)


def test_cut_at_done(world):
    """All pages were sent, but nobody said so: kept on both sides."""
    a, b, relay = start(world)
    relay.cut_at = (SOURCE, wire.DONE, wire.MAIN)
    a.start_migration(relay.uri)
    lost_source(a)
    paused(b, "destination")
    quits(a, b)


def test_cut_at_complete(world):
    """Only the last word is lost: the guest is whole, where it is."""
    a, b, relay = start(world)
    relay.cut_at = (TARGET, wire.COMPLETE)
    a.start_migration(relay.uri)
    b.wait_migration("completed")
    works(b)
    m = a.wait_migration("completed", "postcopy-paused")
    check(not a.status()["running"], "the source runs", m)
    silent(a)
    quits(a, b)
