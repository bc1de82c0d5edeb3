# SPDX-License-Identifier: MIT
"""Real memory errors on a source, and how a Linux guest handles them.

MADV_HWPOISON makes pages of the source unreadable: before the migration, and
during it, so that the source meets some when it reads a batch of pages.
"""

import wire
from ferry import PAGE, QmpError, check, equal, soon
from linux_guest import clean, linux_guest, pages, recovered, touch
from relay import SOURCE, Relay

WORKS = "verify,victim,cache,clock,kmsg"
VICTIMS = 512       # more than the connections buffer: some are not sent yet


def lose(vmm, gpa):
    vmm.world.need_hwpoison()
    equal(vmm.poison(gpa, method="hwpoison")["method"], "hwpoison", "method")


def sigbus(vmm, n, gpa):
    """The victim reads a lost page: SIGBUS with its address; Linux
    recovers."""
    addr = [x["addr"] for x in vmm.lines("victim", n=n)] or None
    bus = touch(vmm, n)
    check(bus, f"page {n}, which is lost, could be read")
    equal((bus["code"], bus["lsb"]), (4, 12), f"BUS_MCEERR_AR in {bus.text}")
    if addr:
        equal(bus["addr"], addr[-1], "si_addr")
    recovered(vmm, gpa)
    return bus["addr"]


def lose_unsent(a, relay, where):
    """Make pages unreadable that a has not sent, between healthy ones."""
    lost = []
    for n in range(len(where) - 2, 8, -20):
        if len(lost) == 6:
            break
        try:
            lose(a, where[n])
            lost.append(n)
        except QmpError as e:
            check("already handed over" in e.desc, e.desc)
    check(len(lost) >= 3, "only", len(lost), "pages had not been sent yet")
    equal([h for h in relay.heard if h[2] == wire.POISON], [],
          "POISON messages before")
    return lost


def sent_alone(relay, lost, where):
    """On the wire: each lost page as poison, its neighbours as contents."""
    as_poison = {h[3] + i * PAGE for h in relay.heard if h[2] == wire.POISON
            for i in range(h[4])}
    sent = {h[3] + i * PAGE for h in relay.heard
            if h[0] == SOURCE and h[2] == wire.PAGES for i in range(h[4])}
    equal(as_poison, {where[n] for n in lost}, "pages sent as poison")
    check(not as_poison & sent, "poison was sent as contents")
    for n in lost:
        for near in where[n - 1], where[n + 1]:
            check(near in sent, f"{near:#x} was lost with {where[n]:#x}")


def panics(vmm, gpa, n):
    """The guest's kernel itself reads a lost page: it panics, Ferry does not
    end."""
    vmm.send(f"kread {n}")
    equal(vmm.qmp.wait_event("GUEST_PANICKED"), {"action": "pause"}, "data")
    vmm.wait_state("guest-panicked")
    soon(lambda: [e["address"] for e in vmm.injected()][-1:], [gpa],
         "the last event")
    check(vmm.alive() and not vmm.qmp.seen("SHUTDOWN"), "ferry has ended")
    check(not vmm.lines("kread"), "a lost page was read")


def test_hwpoison(world, vendor):
    """Pages lost before and during the migration: one SIGBUS each; every other
    byte is right."""
    a = linux_guest(world, f"ferry.work={WORKS} ferry.mib=96 "
                    f"ferry.victims={VICTIMS}", "--cpu-vendor", vendor)
    where, kernel = pages(a, "victim"), pages(a, "cache")
    addr = [x["addr"] for x in a.lines("victim")]
    lose(a, where[0])
    equal(sigbus(a, 0, where[0]), addr[0], "si_addr")
    lose(a, where[1])
    lose(a, kernel[2])
    b = world.receive()
    relay = Relay(world, b)
    relay.hold()
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    a.wait_migration("postcopy-active")
    unsent = lose_unsent(a, relay, where)
    relay.release()
    a.wait_migration("completed")
    b.wait_migration("completed")
    sent_alone(relay, unsent, where)

    lost = [1, *unsent]
    for n in lost:
        equal(sigbus(b, n, where[n]), addr[n], "si_addr")
    for n in lost:
        for again in n, n + 1:
            equal(touch(b, again), None, f"page {again} at the second access")
    gone = [0, *lost]
    equal(b.poisoned(), {kernel[2], *(where[n] for n in gone)}, "poison")
    soon(lambda: sorted(e["address"] for e in b.injected()),
         sorted(where[n] for n in lost), "machine checks on b")
    equal([e["address"] for e in a.injected()], [where[0]],
          "machine checks on a")
    clean(b, lost=0, corrupted_kib=4 * len(gone))
    panics(b, kernel[2], 2)


test_hwpoison.cases = {"vendor": ["amd", "intel"]}
