# SPDX-License-Identifier: MIT
"""Poisoning that is refused, and a guest that cannot take a machine check."""

from ferry import MIB, PAGE, Skip, check, equal, page, soon
from poisoned import all_seen

SANITIZERS = {"address"}

SLEEP = "work=verify mib=32 hold=1"


def test_not_ram(world):
    """Addresses outside RAM are refused, and named."""
    a = world.run(SLEEP)
    for gpa in (64 * MIB, 3 << 30, 4 << 30, 0xfee00000, 1 << 60):
        a.refused([hex(gpa), "is not RAM"], "ferry-poison", address=gpa)
    a.refused("RAM", "ferry-poison", address=-PAGE)
    equal(a.poisoned(), set(), "poisoned pages")


def test_over_the_end(world):
    """A range beyond the end of RAM: the refusal says how much was
    poisoned."""
    a = world.run(SLEEP)
    a.refused(["after 2 of 5 pages", "is not RAM"], "ferry-poison",
              address=64 * MIB - 2 * PAGE, count=5, method="simulate")
    equal(a.poisoned(), {64 * MIB - 2 * PAGE, 64 * MIB - PAGE}, "poisoned")


def test_already(world):
    """A page cannot be poisoned twice, also after a migration."""
    a = world.run(SLEEP).ready()
    b = world.receive()
    a.poison(page(5))
    a.refused([hex(page(5)), "poisoned already"], "ferry-poison",
              address=page(5))
    a.migrate(b)
    b.refused([hex(page(5) + 77), "poisoned already"], "ferry-poison",
              address=page(5) + 77)
    soon(lambda: len(b.qmp.seen("MEMORY_FAILURE")), 1, "events")


def test_gone(world):
    """After the hand-over the source refuses to poison a page."""
    a = world.run(SLEEP).ready()
    b = world.receive()
    a.migrate(b)
    a.wait_state("postmigrate")
    a.refused("already handed over", "ferry-poison", address=page(5))
    equal(b.poisoned(), set(), "poisoned pages there")


def test_no_guest(world):
    """A machine that waits for a guest has no page to poison."""
    world.receive().refused("no guest has arrived", "ferry-poison",
                            address=page(0))


def test_arguments(world):
    """Bad counts and methods are refused; the text lists the good ones."""
    a = world.run(SLEEP)
    for count in (0, -1, 1 << 40):
        a.refused("count", "ferry-poison", address=page(0), count=count)
    a.refused(["magic", "simulate"], "ferry-poison", address=page(0),
              method="magic")
    a.refused("address", "ferry-poison")
    equal(a.poisoned(), set(), "poisoned pages")


def test_no_hwpoison(world):
    """Without CONFIG_MEMORY_FAILURE the refusal says so, and names the
    remedy."""
    if world.has_hwpoison():
        raise Skip("this kernel has CONFIG_MEMORY_FAILURE")
    a = world.run(SLEEP)
    a.refused(["--method simulate"], "ferry-poison", address=page(0),
              method="hwpoison")
    equal(a.poisoned(), set(), "poisoned pages")
    equal(a.poison(page(0), method="auto")["method"], "simulate", "method")


def test_hwpoison(world, ram):
    """Real memory failure has the same effect as simulated poison."""
    world.need_hwpoison()
    pages = [page(i) for i in (0, 100, 8191)]
    a = world.run(SLEEP, "--ram", ram, cpus=2).ready()
    for gpa in pages:
        equal(a.poison(gpa, method="hwpoison")["method"], "hwpoison", "method")
    b = world.receive()
    a.migrate(b)
    b.expect(pages)
    b.send("go")
    all_seen(b, pages)


test_hwpoison.cases = {"ram": ["anon", "memfd"]}


def test_cannot_take_it(world, vendor):
    """A guest with CR4.MCE clear is ended and reported, once."""
    a = world.run(SLEEP, "--paused", "--cpu-vendor", vendor)
    a.poison(MIB, count=512)
    a.qmp.execute("cont")
    e = a.qmp.wait_event("MEMORY_FAILURE", action="fatal")
    equal((e["recipient"], e["flags"]),
          ("guest", {"action-required": True, "recursive": False}), "event")
    a.wait_state("internal-error")
    st = a.status()
    equal(st["libvirt"]["state"], "VIR_DOMAIN_CRASHED", "libvirt's state")
    check(not st["running"], "it runs")
    equal(len(a.qmp.seen("MEMORY_FAILURE", action="fatal")), 1, "events")
    a.said("CR4.MCE")
    a.refused("internal-error", "cont")
    a.refused("internal-error", "migrate", uri=world.uri())
    a.qmp.execute("quit")
    equal(a.wait_end(), 0, "exit status")


test_cannot_take_it.cases = {"vendor": ["amd", "intel"]}


def test_cannot_take_it_there(world):
    """The same on a destination: the guest has not booted, its code is
    lost."""
    a, b = world.run(SLEEP, "--paused"), world.receive()
    a.poison(MIB, count=512)
    a.migrate(b)
    b.qmp.execute("cont")
    b.qmp.wait_event("MEMORY_FAILURE", action="fatal")
    b.wait_state("internal-error")
    check(b.alive(), "the process ended")


def test_before_boot(world):
    """Pages that are poisoned before the guest boots: it meets them while it
    fills its memory."""
    pages = [page(i) for i in (0, 1, 4000, 8191)]
    a, b = world.run(SLEEP, "--paused", cpus=2), world.receive()
    a.poison_pages(pages)
    a.migrate(b)
    b.qmp.execute("cont")
    b.ready()
    b.expect(pages)
    b.send("go")
    all_seen(b, pages)
