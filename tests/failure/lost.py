# SPDX-License-Identifier: MIT
"""A side or the connection is lost while pages are missing.

The side that is left is postcopy-paused: visible, alive, nothing discarded.
"""

import signal

import wire
from crossing import in_postcopy
from errors import SLOW
from ferry import check, equal, page
from loss import lost_source, paused, quits, silent
from relay import Relay

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=32 seed=6"


def impatient(*machines):
    """Connections on which nothing comes for so long are given up.

    Also those that the relay delays: a test must have got to the fault by then.
    """
    ms = 1000 + int(2000 * SLOW)
    for vmm in machines:
        vmm.qmp.execute("migrate-set-parameters", **{
            "ferry-silence-timeout": ms, "ferry-answer-timeout": ms})


def lost_target(b):
    """The destination after the loss: it keeps what it has."""
    paused(b, "destination")
    st = b.status()
    equal(st["libvirt"]["reason"], "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED",
          "libvirt's reason")
    check(b.migration()["ram"]["remaining"] > 0, "nothing is missing")
    b.qmp.wait_event("MIGRATION", status="postcopy-paused")


def ended(a, how):
    """The source received ENDED: the guest has ended at the destination and
    needs no page any more, so `quit` needs no force."""
    a.wait_migration("completed", recovers=True)
    a.said(f"the guest has ended at the destination: {how}")
    silent(a)
    a.qmp.execute("quit")
    equal(a.wait_end(), 0, "exit status")


def test_destination_killed(world):
    """Its host fails: the source keeps the rest, and never runs again."""
    a, b, _ = in_postcopy(world, BUSY)
    b.kill()
    lost_source(a)
    check(a.migration()["ram"]["remaining"] > 0, "nothing is left")
    a.refused("under way", "migrate", uri=world.uri())
    a.refused("handed over", "migrate_cancel")
    quits(a)


def test_source_killed(world):
    """Its host fails: the destination keeps what it has got."""
    a, b, _ = in_postcopy(world, BUSY)
    a.kill()
    lost_target(b)
    b.refused("", "migrate", uri=world.uri())
    quits(b)


def test_connection_lost(world):
    """The network fails: both sides wait, and both are still there."""
    a, b, relay = in_postcopy(world, BUSY)
    relay.cut()
    lost_source(a)
    lost_target(b)
    quits(a, b)


def test_push_connection_lost(world):
    """All that push: pages are missing, so both sides wait."""
    a, b, relay = in_postcopy(world, BUSY)
    relay.cut(wire.PUSH)
    lost_source(a)
    lost_target(b)
    quits(a, b)


def test_migrate_pause(world, where):
    """migrate-pause cuts the connection, from either side."""
    a, b, relay = in_postcopy(world, BUSY)
    relay.hold_answers()
    (a if where == "source" else b).qmp.execute("migrate-pause")
    relay.cut()
    lost_source(a)
    lost_target(b)
    quits(b, a)


test_migrate_pause.cases = {"where": ["source", "destination"]}


def test_migrate_pause_early(world):
    """Outside of postcopy there is nothing to pause."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.refused("postcopy", "migrate-pause")
    b.refused("postcopy", "migrate-pause")
    a.migrate(b)
    a.refused("postcopy", "migrate-pause")
    b.full_pass()
    b.verdict()


def test_too_late_to_cancel(world):
    """After the hand-over there is no way back, and asking changes nothing."""
    a, b, relay = in_postcopy(world, BUSY)
    a.refused("handed over", "migrate_cancel")
    a.refused("finish-migrate", "cont")
    silent(a)
    relay.release()
    a.wait_migration("completed")
    b.wait_migration("completed")
    b.full_pass()
    b.sweep()
    b.verdict()


def test_exit_status(world):
    """`ferry migrate` tells a paused migration from a failed one."""
    a = world.run(BUSY, cpus=2).ready()
    b = world.receive()
    relay = Relay(world, b)
    relay.cut_at = ("source", wire.DONE, wire.MAIN)
    _, err = world.ferry("migrate", "a", relay.uri, status=3)
    check("connection was lost after the hand-over" in err, err)
    quits(a, b)


def test_poison_while_lost(world):
    """What is lost meanwhile can still be looked at, and made worse."""
    a, b, relay = in_postcopy(world, "work=verify mib=32 hold=1")
    relay.cut()
    lost_source(a)
    lost_target(b)
    b.poison(page(8000))
    equal(b.poisoned(), {page(8000)}, "poisoned pages")
    quits(a, b)


def test_terminated(world):
    """SIGTERM ends a machine whose vCPUs wait for pages that never come."""
    a, b, _ = in_postcopy(world, BUSY)
    a.kill()
    lost_target(b)
    b.process.send_signal(signal.SIGTERM)
    equal(b.wait_end(), 128 + signal.SIGTERM, "exit status")


def test_guest_ends_in_postcopy(world):
    """A guest that ends ends the destination, which sends ENDED to the source."""
    a, b, _ = in_postcopy(world, BUSY)
    b.send("exit")
    equal(b.wait_end(), 0, "exit status")
    ended(a, "it has powered off")


def test_quit_in_postcopy(world, where):
    """`quit` on one side. Without the source, the destination is left as by
    any loss; without the destination, the guest has ended."""
    a, b, _ = in_postcopy(world, BUSY)
    if where == "source":
        quits(a)
        lost_target(b)
        quits(b)
    else:
        quits(b)
        ended(a, "its process was ended there")


test_quit_in_postcopy.cases = {"where": ["source", "destination"]}


def test_frozen_peer(world, where):
    """A peer that stands still, with its connection open, is given up.

    After the deadline, which is for no byte at all.
    """
    a, b, _ = in_postcopy(world, "work=walk order=random mib=64",
                          memory="128M", before=impatient)
    frozen, left = (a, b) if where == "source" else (b, a)
    frozen.process.send_signal(signal.SIGSTOP)
    try:
        side = "destination" if where == "source" else "source"
        m = paused(left, side)
        check("in time" in m["error-desc"] or "has not answered" in
              m["error-desc"], m["error-desc"])
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    quits(left)


test_frozen_peer.cases = {"where": ["source", "destination"]}


def test_frozen_and_continued(world):
    """A destination that stood still for too long, and continues: status,
    reason and error of each side agree, and stay so."""
    a, b, relay = in_postcopy(world, BUSY, before=impatient)
    b.process.send_signal(signal.SIGSTOP)
    try:
        relay.release()
        lost_source(a)
    finally:
        b.process.send_signal(signal.SIGCONT)
    m = b.wait_migration("postcopy-paused", "completed")
    reason = b.status()["libvirt"]["reason"]
    equal("error-desc" in m, m["status"] == "postcopy-paused", "an error")
    equal(reason == "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED",
          m["status"] == "postcopy-paused", reason)
    quits(a, b)


def test_frozen_connection(world):
    """One of several push connections stands still: it is given up, and what
    it carried goes on the other one."""
    a = world.run("work=idle period_us=1000000", memory="64M").ready()
    a.qmp.execute("migrate-set-parameters",
                  **{"max-postcopy-bandwidth": 8 << 20})
    impatient(a)
    # The fake destination sends no BEAT
    a.qmp.execute("migrate-set-parameters",
                  **{"ferry-dead-peer-timeout": int(60000 * SLOW)})
    with wire.FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        fake.prepare(push=2)
        fake.main.say(wire.Message(wire.PREPARED))
        fake.main.expect(wire.COMMIT)
        fake.main.say(wire.Message(wire.RUNNING))
        pages, heard = 0, wire.PAGES
        while heard != wire.DONE:
            m = fake.pushes[0].hear()
            heard, pages = m.kind, pages + m.b
            if m.b:
                fake.pushes[0].say(wire.acknowledge(pages))
        equal(a.migration()["status"], "postcopy-active", "status")
    check("in time" in a.said("a push connection was lost"), "the reason")
    quits(a)
