# SPDX-License-Identifier: MIT
"""The connection fails at each message: one side runs the guest, never two.

Before COMMIT the guest runs on the source again; from then on neither side may
bring it back, and what there is is kept. The guest prints a report every 30 ms,
unasked: a vCPU that runs where it must not is heard.
"""

import time

import wire
from errors import SLOW
from ferry import check, equal, soon
from loss import lost_source, paused, quits, silent
from proc import sockets, threads
from relay import SOURCE, TARGET, Relay

SANITIZERS = {"address", "thread"}

INTERVAL = 0.03 * SLOW ** 2     # s; an emulated serial port is slow
TALKS = f"interval_ms={1000 * INTERVAL:.0f}"
BUSY = "work=verify mib=16 seed=5 " + TALKS

BEFORE = {
    "HELLO": (SOURCE, wire.HELLO), "WELCOME": (TARGET, wire.WELCOME),
    "DESCRIPTION": (SOURCE, wire.DESCRIPTION), "BUILT": (TARGET, wire.BUILT),
    "ZERO_LIST": (SOURCE, wire.ZERO_LIST), "READY": (TARGET, wire.READY),
    "PASS": (SOURCE, wire.PASS), "DISCARD": (SOURCE, wire.DISCARD),
    "STATE": (SOURCE, wire.STATE), "WRITTEN_LIST": (SOURCE, wire.WRITTEN_LIST),
    "POISON_LIST": (SOURCE, wire.POISON_LIST),
    "PREPARE": (SOURCE, wire.PREPARE),
    "PREPARED": (TARGET, wire.PREPARED),
}


def start(world, **kw):
    a = world.run(BUSY, cpus=2, **kw).ready()
    b = world.receive()
    return a, b, Relay(world, b)


def never_ran(vmm):
    """No vCPU of a machine has entered its guest, which would have talked."""
    equal([x.text for x in vmm.out.lines], [], f"lines of {vmm.name}'s guest")


def works(vmm):
    vmm.full_pass()
    vmm.sweep()
    vmm.verdict(mce=0)


def test_cut_before(world, at):
    """The guest runs on the source again, and the next migration moves it."""
    a, b, relay = start(world)
    relay.cut_at = BEFORE[at]
    a.start_migration(relay.uri)
    a.wait_migration("failed")
    a.wait_state("running")
    a.full_pass()
    never_ran(b)
    if at == "PREPARED":        # it can't know, until the source tells it
        b.qmp.wait_event("MIGRATION", status="postcopy-paused")
        b.wait_migration("failed", recovers=True)
    a.migrate(b)
    works(b)


test_cut_before.cases = {"at": BEFORE}


HELD = {**{k: v for k, v in BEFORE.items() if k != "HELLO"},
        "COMMIT": (SOURCE, wire.COMMIT)}


def test_never_before_commit(world, at):
    """The destination's vCPUs don't enter the guest before COMMIT has arrived,
    however long that takes; then they do."""
    a, b, relay = start(world)
    a.qmp.execute("migrate-set-parameters", **{"downtime-limit": 60000})
    relay.stop_at = HELD[at]
    a.start_migration(relay.uri)
    relay.wait(HELD[at][1])
    time.sleep(max(0.4, 3 * INTERVAL))
    never_ran(b)
    check(not b.status()["running"], "the destination says that it runs")
    relay.release()
    a.wait_migration("completed")
    b.wait_line("report")
    silent(a)
    works(b)


test_never_before_commit.cases = {"at": HELD}


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
    never_ran(b)
    quits(a, b)


def test_demand_cut_at_commit(world):
    """The demand connection fails, and main says nothing: it is in doubt."""
    a, b, relay = start(world)
    a.qmp.execute("migrate-set-parameters",
                  **{"ferry-dead-peer-timeout": 1500})
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
    never_ran(b)
    quits(a, b)


def test_push_cut_at_commit(world, at):
    """A push connection is lost between COMMIT and RUNNING: main works, so the
    hand-over is no less certain. What that connection carried is missing."""
    a, b, relay = start(world)
    relay.stop_at = PUSH_CUT[at]
    a.start_migration(relay.uri)
    relay.wait(PUSH_CUT[at][1])
    relay.cut(wire.PUSH)
    time.sleep(0.2)
    relay.release()
    for vmm, side in (a, "source"), (b, "destination"):
        m = paused(vmm, side)
        check("in doubt" not in m["error-desc"], m["error-desc"])
    equal(b.status()["libvirt"]["reason"],
          "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED", "libvirt's reason")
    lost_source(a)
    quits(a, b)


PUSH_CUT = {"COMMIT": (SOURCE, wire.COMMIT), "RUNNING": (TARGET, wire.RUNNING)}
test_push_cut_at_commit.cases = {"at": PUSH_CUT}


def test_push_cut_before_commit(world):
    """No thread reads the push connections yet: their loss is found by asking,
    and the source does not commit."""
    a, b, relay = start(world)
    relay.stop_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    relay.wait(wire.PREPARED)
    relay.cut(wire.PUSH)
    relay.release()
    m = a.wait_migration("failed")
    check("before the hand-over" in m["error-desc"], m["error-desc"])
    never_ran(b)
    works(a)
    b.said("incoming migration failed")
    a.migrate(b)
    works(b)


def test_no_thread_after_commit(world):
    """All threads of both sides are there before the point of no return: after
    it a thread that can't be created would strand the guest."""
    a, b, relay = start(world)
    relay.stop_at = (SOURCE, wire.COMMIT)
    relay.hold()
    a.start_migration(relay.uri)
    relay.wait(wire.COMMIT)
    before = {vmm: threads(vmm.process.pid) for vmm in (a, b)}
    equal(sorted(before[a].values()).count("push"), 2, "push threads")
    equal(sorted(before[b].values()).count("receiver"), 2, "receive threads")
    with relay.changed:
        relay.stop_at = None        # what is pushed stays held
        relay.changed.notify_all()
    relay.wait(wire.RUNNING)
    b.wait_migration("postcopy-active")
    b.working(50)
    for vmm in a, b:
        new = {name for tid, name in threads(vmm.process.pid).items()
               if tid not in before[vmm]}
        equal(new, set(), f"threads of {vmm.name} since COMMIT")
    relay.release()
    a.wait_migration("completed")
    works(b)


def test_nothing_stays_open(world):
    """When all pages have arrived, both sides have closed every connection and
    ended every thread of the migration, the listener among them."""
    a, b = world.run(BUSY, cpus=2).ready(), world.receive()
    pids = a.process.pid, b.process.pid
    had = [sockets(pid) for pid in pids]
    ran = set(threads(pids[0]).values())
    here, there = a.migrate(b)
    # Closed by threads that may run after the status is shown
    soon(lambda: [sockets(pid) for pid in pids], [had[0], had[1] - 1],
         "open sockets")
    for pid, name in zip(pids, "ab"):
        soon(lambda p=pid: set(threads(p).values()) - ran - {"migration"},
             set(), f"threads of {name}")
    for m in here, there:
        check("error-desc" not in m and "errmsg" not in m["libvirt"],
              "a completed migration has an error", m)
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
    """All pages were sent, but DONE was not: both sides keep what they have."""
    a, b, relay = start(world)
    relay.cut_at = (SOURCE, wire.DONE, wire.MAIN)
    a.start_migration(relay.uri)
    lost_source(a)
    paused(b, "destination")
    quits(a, b)


def test_cut_at_complete(world):
    """Only COMPLETE is lost: the destination has the whole guest."""
    a, b, relay = start(world)
    relay.cut_at = (TARGET, wire.COMPLETE)
    a.start_migration(relay.uri)
    check("error-desc" not in b.wait_migration("completed"), "an error")
    works(b)
    m = a.wait_migration("completed", "postcopy-paused")
    check(not a.status()["running"], "the source runs", m)
    silent(a)
    quits(a, b)
