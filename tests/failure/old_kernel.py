# SPDX-License-Identifier: MIT
"""A destination whose kernel has no UFFDIO_POISON (before Linux 6.6).

In the lab with LAB_KERNEL=6.1 both sides have such a kernel; elsewhere the
destination is a build that does not use UFFDIO_POISON (make FAULTS=1
BUILD=build/faults, FERRY_FAULT=old-kernel).
"""

import os

import wire
from ferry import MIB, PAGE, ROOT, Skip, check, equal, page, soon
from poisoned import all_seen
from relay import TARGET, Relay

FAULTS = os.environ.get("FERRY_FAULTS_BUILD",
                        os.path.join(ROOT, "build", "faults"))
OLD = tuple(int(x) for x in os.uname().release.split(".")[:2]) < (6, 6)
METHOD = "hwpoison" if OLD else "simulate"
NONE = "the destination's kernel has no UFFDIO_POISON"
SLEEP = "work=verify mib=32 hold=1"
BUSY = "work=verify mib=16"


def receive_old(world, *args, **kw):
    """A destination that cannot poison, and reports that when it starts."""
    if OLD:
        b = world.receive(*args, **kw)
    elif os.access(os.path.join(FAULTS, "ferry"), os.X_OK):
        b = world.receive(*args, build=FAULTS,
                          env={"FERRY_FAULT": "old-kernel"}, **kw)
    else:
        raise Skip(f"no {FAULTS}/ferry (make FAULTS=1 BUILD=build/faults)")
    b.said("this kernel has no UFFDIO_POISON")
    return b


def lose(vmm, *pages):
    """Make pages unreadable, as this kernel can."""
    if OLD:
        vmm.world.need_hwpoison()
    for gpa in pages:
        vmm.poison(gpa, method=METHOD)


def accessed(vmm, pages):
    """all_seen(), of pages that only their access has shown to the guest.

    With real memory failure the kernel may tell the process of a page by
    itself, and the guest then learns of it before it accesses it.
    """
    vmm.sweep()
    if OLD and any(not e["flags"]["action-required"] for e in vmm.injected()):
        raise Skip("the kernel has told of a page before it was accessed")
    all_seen(vmm, pages)


def allow(vmm, yes=True):
    vmm.qmp.execute("migrate-set-capabilities", capabilities=[
        {"capability": "ferry-poison", "state": not yes}])


def failed(a, *words):
    """The migration failed for that reason, and the guest runs on the
    source."""
    why = a.wait_migration("failed")["error-desc"]
    for word in words:
        check(word in why, f"'{word}' is not in: {why}")
    a.wait_state("running")
    equal(a.status()["libvirt"]["state"], "VIR_DOMAIN_RUNNING", "libvirt")


def test_refused_says_how(world):
    """Refused, with the remedy; the guest runs on. With --no-poison it
    migrates."""
    a = world.run(BUSY, cpus=2).ready()
    b = receive_old(world)
    _, text = world.ferry("migrate", "a", b.uri, status=1)
    for word in NONE, "6.6", "--no-poison":
        check(word in text, f"'{word}' is not in: {text}")
    failed(a, NONE)
    a.full_pass()
    a.sweep()
    equal(b.state(), "inmigrate", "state of the destination")
    world.ferry("migrate", "--no-poison", "a", b.uri)
    b.wait_migration("completed")
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


def test_leave_is_for_once(world):
    """--no-poison is valid for one command only."""
    a, b = world.run(SLEEP).ready(), receive_old(world)
    world.ferry("migrate", "--no-poison", "a", world.uri(), status=1)
    _, text = world.ferry("migrate", "a", b.uri, status=1)
    check(NONE in text, text)


def test_refused_lost_before(world):
    """A guest with lost pages is refused with --no-poison, too."""
    lost = [page(5), page(6), page(900)]
    a, b = world.run(SLEEP).ready(), receive_old(world)
    lose(a, *lost)
    _, text = world.ferry("migrate", "--no-poison", "a", b.uri, status=1)
    for word in "lost memory (3 pages)", NONE:
        check(word in text, f"'{word}' is not in: {text}")
    failed(a, NONE)
    a.expect(lost)
    a.send("go")
    accessed(a, lost)


def test_refused_lost_meanwhile(world):
    """A page is lost between the handshake and the hand-over: the migration
    fails, and the guest runs on."""
    a, b = world.run(SLEEP).ready(), receive_old(world)
    relay = Relay(world, b)
    relay.stop_at = (TARGET, wire.BUILT)
    allow(a)
    a.start_migration(relay.uri)
    relay.wait(wire.BUILT)
    lose(a, page(77))
    relay.release()
    failed(a, "lost memory (1 page)", NONE)
    a.expect([page(77)])
    a.send("go")
    accessed(a, [page(77)])
    equal(b.qmp.seen("MEMORY_FAILURE"), [], "events on the destination")


def addresses(vmm, action):
    """Addresses of the MEMORY_FAILURE events so far with an action."""
    return sorted(e["address"] for e in vmm.qmp.seen("MEMORY_FAILURE",
                                                     action=action))


def named(vmm, action):
    """All pages that these events name: neighbours may share one event."""
    return sorted(gpa for e in vmm.qmp.seen("MEMORY_FAILURE", action=action)
                  for gpa in range(e["address"], e["address"] + e["size"],
                                   PAGE))


def refused_poison(world, edit):
    """A source that sends poison to such a destination is refused."""
    a, b = world.run(SLEEP).ready(), receive_old(world)
    relay = Relay(world, b)
    relay.edit = edit
    allow(a)
    a.start_migration(relay.uri)
    failed(a)
    text = b.said("incoming migration failed")
    for word in "this kernel has no UFFDIO_POISON", hex(page(3)):
        check(word in text, f"'{word}' is not in: {text}")


def test_poison_in_the_list(world):
    """The destination refuses a POISON_LIST that is not empty."""
    body = (1).to_bytes(4, "little") + page(3).to_bytes(8, "little") + \
        PAGE.to_bytes(8, "little") + b"\1"
    refused_poison(world, {wire.POISON_LIST: lambda _: [wire.Message(
        wire.POISON_LIST, body)]})


def test_poison_before_prepare(world):
    """The destination refuses a POISON message before the hand-over."""
    refused_poison(world, {wire.PREPARE: lambda m: [wire.Message(
        wire.POISON, b"", page(3), 1), m]})


def lost_after(world, pages, append=SLEEP, *args, there=(), huge=False):
    """The source loses pages after the hand-over, before it has sent them.

    With RAM of huge pages, a destination without UFFDIO_POISON loses the whole
    huge page. Return: the destination.
    """
    a = world.run(append, *args, cpus=2).ready()
    b = receive_old(world, *there)
    relay = Relay(world, b)
    relay.hold()
    allow(a)
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    b.report()
    a.wait_migration("postcopy-active")
    lose(a, *pages)
    relay.release()
    a.wait_migration("completed")
    b.wait_migration("completed")
    unit = 2 * MIB if huge else PAGE
    first = {gpa // unit * unit for gpa in pages}
    every = {gpa + i for gpa in first for i in range(0, unit, PAGE)}
    soon(lambda: named(b, "ignore"), sorted(every), "events at their arrival")
    equal(b.poisoned(), every, "poisoned pages")
    return b


def test_lost_after(world, ram):
    """The guest runs until it accesses a lost page; then the machine is ended
    and reports every lost page."""
    pages = [page(i) for i in (6000, 6001, 8000)]
    b = lost_after(world, pages, SLEEP, "--ram", ram)
    equal(b.state(), "running", "state before an access to a lost page")
    b.report()
    b.send("go")
    b.said("this kernel can't poison")
    b.wait_state("internal-error")
    equal(b.status()["libvirt"]["state"], "VIR_DOMAIN_CRASHED", "libvirt")
    soon(lambda: named(b, "fatal"), pages, "addresses of fatal events")
    equal(b.lines("bad"), [], "wrong data that the guest read")
    b.refused("internal-error", "cont")
    b.qmp.execute("quit")
    equal(b.wait_end(), 0, "exit status")


test_lost_after.cases = {"ram": ["anon", "memfd"]}


def test_huge(world):
    """A huge page of which a part is lost is lost as a whole: neither the guest
    nor a dump reads zeroes for any of it, and the next destination gets all of
    it as poison.
    """
    world.huge_pages(32)
    lost = page(6000)
    b = lost_after(world, [lost], there=("--ram", "hugetlb"), huge=True)
    for gpa in lost, lost + PAGE:
        b.refused(hex(gpa), "pmemsave", val=gpa, size=PAGE,
                  filename=world.path("page"))
    if not OLD:
        c, gone = world.receive("--ram", "anon", name="c"), b.poisoned()
        b.migrate(c)
        equal(c.poisoned(), gone, "poisoned pages on c")
        c.expect(sorted(gone))
        c.send("go")
        all_seen(c, sorted(gone))


def test_huge_touched(world):
    """The machine is ended when the guest accesses any part of it."""
    world.huge_pages(32)
    b = lost_after(world, [page(6000)], there=("--ram", "hugetlb"), huge=True)
    b.send("go")
    b.wait_state("internal-error")
    first = page(6000) // (2 * MIB) * 2 * MIB
    soon(lambda: named(b, "fatal"),
         list(range(first, first + 2 * MIB, PAGE)),
         "addresses of fatal events")
    equal(b.lines("bad"), [], "lines of a guest that read wrong data")


def test_reset(world, ram, touched):
    """After a reset, before or after the access, all of RAM can be used."""
    b = lost_after(world, [page(6000), page(6001)], SLEEP, "--ram", ram)
    if touched:
        b.send("go")
        b.wait_state("internal-error")
    b.qmp.execute("system_reset")
    b.qmp.wait_event("RESET")       # the command returns before
    if touched:
        b.qmp.execute("cont")
    b.wait_line("ready")
    equal(b.poisoned(), set(), "poisoned pages")
    b.send("go")
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


test_reset.cases = {"ram": ["anon", "memfd"],
                             "touched": [False, True]}


def test_waits_for_it(world):
    """A vCPU waits for a page when the source reports it as lost."""
    a = world.run("work=walk order=random mib=32 hold=1").ready()
    b = receive_old(world)
    relay = Relay(world, b)
    said = []

    def replace(m):
        if said or not page(0) <= m.a < page(0) + 32 * MIB:
            return [m]
        said.append(m.a)
        return [wire.Message(wire.POISON, b"", m.a, 1)]

    relay.hold()
    allow(a)
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    relay.edit = {wire.PAGES: replace}
    b.send("go")
    b.wait_state("internal-error")
    soon(lambda: addresses(b, "fatal"), said, "addresses of fatal events")


def test_next_destination(world):
    """Pages that are lost on this destination, and were not accessed, arrive at
    the next one as poison."""
    if OLD:
        raise Skip("the next one has no UFFDIO_POISON here either")
    lost = [page(6000), page(8000)]
    b, c = lost_after(world, lost), world.receive(name="c")
    b.migrate(c)
    c.expect(lost)
    c.send("go")
    all_seen(c, lost)


def test_simulate_there(world):
    """`ferry poison` is refused there, says what is possible, and changes
    nothing."""
    a, b = world.run(BUSY).ready(), receive_old(world)
    relay = Relay(world, b)
    relay.hold()
    allow(a)
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    b.full_pass()
    b.refused(["UFFDIO_POISON", "hwpoison"], "ferry-poison", address=page(5),
              method="simulate")
    equal(b.poisoned(), set(), "poisoned pages")
    relay.release()
    b.wait_migration("completed")
    b.sweep()
    b.verdict(mce=0)
