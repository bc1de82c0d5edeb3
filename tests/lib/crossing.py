# SPDX-License-Identifier: MIT
"""A guest on its way from a source to a destination, through a relay."""

from ferry import PAGE, check, equal
from relay import Relay


def begin(world, append, *args, cpus=2, **kw):
    """A guest that is about to migrate. Return: source, destination, relay."""
    a = world.run(append, *args, cpus=cpus, **kw).ready()
    b = world.receive()
    return a, b, Relay(world, b)


def in_postcopy(world, append, *args, before=None, **kw):
    """A guest that runs on the destination while the relay holds back what
    the source pushes; before(a, b) is called first. Return: as begin()."""
    a, b, relay = begin(world, append, *args, **kw)
    if before:
        before(a, b)
    relay.hold()
    a.start_migration(relay.uri)
    a.wait_migration("postcopy-active")
    b.wait_migration("postcopy-active")
    b.report()
    return a, b, relay


def finish(a, b, relay):
    """Let everything pass, and wait until both sides have completed."""
    relay.release()
    a.wait_migration("completed")
    b.wait_migration("completed")


def add_up(m, memory):
    """The pages in an answer of query-migrate are all of RAM. A source counts a
    page each time that it sends it: after a recovery some twice."""
    pages = m["ferry"]["pages"]
    n = sum(pages.values())
    if m["ferry"]["side"] == "source" and m["ferry"]["recoveries"]:
        check(n >= memory // PAGE, f"sum of {pages}")
    else:
        equal(n, memory // PAGE, f"sum of {pages}")


def whole(vmm, sweep=True):
    """Every page is used, checked and right."""
    vmm.full_pass()
    if sweep:
        vmm.sweep()
    vmm.verdict(expected=0, mce=0)


def exits(vmm):
    """The guest ends with the status of a guest that found nothing wrong."""
    vmm.send("exit")
    equal(vmm.wait_end(), 0, "exit status of the guest")
