# SPDX-License-Identifier: MIT
"""Real memory failure on a source, and what Linux makes of it where it arrives.

MADV_HWPOISON takes pages away from the source for good: before the move, and
during it, when some are read for the first time in the midst of a batch.
"""

import wire
from ferry import PAGE, QmpError, check, equal, soon
from linux_guest import clean, linux_guest, pages, recovered, touch
from relay import SOURCE, Relay

WORKS = "verify,victim,cache,clock,kmsg"
VICTIMS = 512       # more than what connections hold: some have not left


def lose(vmm, gpa):
    vmm.world.need_hwpoison()
    equal(vmm.poison(gpa, method="hwpoison")["method"], "hwpoison", "method")


def sigbus(vmm, n, gpa):
    """The victim touches a lost page: it is told where, and Linux copes."""
    addr = [x["addr"] for x in vmm.lines("victim", n=n)] or None
    bus = touch(vmm, n)
    check(bus, f"page {n}, which is lost, could be read")
    equal((bus["code"], bus["lsb"]), (4, 12), f"BUS_MCEERR_AR in {bus.text}")
    if addr:
        equal(bus["addr"], addr[-1], "si_addr")
    recovered(vmm, gpa)
    return bus["addr"]


def lose_unsent(a, relay, where):
    """Lose pages that a has not sent, neighbours of such that are well."""
    lost = []
    for n in range(len(where) - 2, 8, -20):
        if len(lost) == 6:
            break
        try:
            lose(a, where[n])
            lost.append(n)
        except QmpError as e:
            check("already handed over" in e.desc, e.desc)
    check(len(lost) >= 3, "only", len(lost), "pages had not left yet")
    equal([h for h in relay.heard if h[2] == wire.POISON], [],
          "poison that was sent before")
    return lost


def sent_alone(relay, lost, where):
    """On the wire: each as poison, its neighbours as pages."""
    told = {h[3] + i * PAGE for h in relay.heard if h[2] == wire.POISON
            for i in range(h[4])}
    sent = {h[3] + i * PAGE for h in relay.heard
            if h[0] == SOURCE and h[2] == wire.PAGES for i in range(h[4])}
    equal(told, {where[n] for n in lost}, "pages told to be poison")
    check(not told & sent, "poison was sent as contents")
    for n in lost:
        for near in where[n - 1], where[n + 1]:
            check(near in sent, f"{near:#x} was lost with {where[n]:#x}")


def panics(vmm, gpa, n):
    """The kernel itself reads a lost page: it gives up, ferry doesn't."""
    vmm.send(f"kread {n}")
    equal(vmm.qmp.wait_event("GUEST_PANICKED"), {"action": "pause"}, "data")
    vmm.wait_state("guest-panicked")
    soon(lambda: [e["address"] for e in vmm.injected()][-1:], [gpa],
         "the last event")
    check(vmm.alive() and not vmm.qmp.seen("SHUTDOWN"), "ferry has ended")
    check(not vmm.lines("kread"), "a lost page was read")


def test_hwpoison(world, vendor):
    """Lost before and during the move: a SIGBUS each, all else is right."""
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
            equal(touch(b, again), None, f"page {again} on second thoughts")
    gone = [0, *lost]
    equal(b.poisoned(), {kernel[2], *(where[n] for n in gone)}, "poison")
    soon(lambda: sorted(e["address"] for e in b.injected()),
         sorted(where[n] for n in lost), "machine checks there")
    equal([e["address"] for e in a.injected()], [where[0]], "and at home")
    clean(b, lost=0, corrupted_kib=4 * len(gone))
    panics(b, kernel[2], 2)


test_hwpoison.cases = {"vendor": ["amd", "intel"]}
