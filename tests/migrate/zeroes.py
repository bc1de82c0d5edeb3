# SPDX-License-Identifier: MIT
"""Pages that were never written are announced before the guest is held.

What the guest writes between the announcement and the hold must arrive all the
same: WRITTEN_LIST takes it back.
"""

import struct

import wire
from crossing import add_up
from ferry import MIB, PAGE, check, equal
from relay import SOURCE, TARGET, Relay


def entries(body):
    n, = struct.unpack_from("<I", body)
    equal(len(body), 4 + 16 * n, "length of the list")
    return list(struct.iter_unpack("<QQ", body[4:]))


def covered(ranges):
    return {at + i for at, size in ranges for i in range(0, size, PAGE)}


class Lists:
    """What the source says in its two lists, as a relay sees it."""

    def __init__(self, relay):
        self.said = {}
        for kind in wire.ZERO_LIST, wire.WRITTEN_LIST:
            relay.edit[kind] = self._keep

    def _keep(self, m):
        self.said[m.kind] = entries(m.body)
        return [m]


def test_written_since(world, ram):
    """A guest fills its memory between ZERO_LIST and the hold: no byte of it is
    zero on the destination, and the figures are right."""
    a = world.run("work=verify mib=32 seed=11", "--ram", ram, "--paused",
                  cpus=2)
    b = world.receive()
    relay = Relay(world, b)
    lists = Lists(relay)
    relay.stop_at = (TARGET, wire.READY)
    a.start_migration(relay.uri)
    relay.wait(wire.READY)
    a.qmp.execute("cont")
    a.ready()
    a.full_pass()
    relay.release()
    here, there = a.wait_migration("completed"), b.wait_migration("completed")
    zero = covered(lists.said[wire.ZERO_LIST])
    written = covered(lists.said[wire.WRITTEN_LIST])
    check(written <= zero, "written, but not announced")
    check(len(written) > 16 * MIB // PAGE, "little was written since",
          len(written))
    for m in here, there:
        add_up(m, 64 * MIB)
        pages = m["ferry"]["pages"]
        check(pages["zero"] >= len(zero - written), "zero pages", pages)
    b.full_pass()
    b.sweep()
    b.verdict(bad=0, mce=0)


test_written_since.cases = {"ram": ["anon", "memfd"]}


def test_poisoned_since(world):
    """A page that was announced as zeroes and is poisoned before the hold
    arrives as poison."""
    a = world.run("work=idle mib=16 period_us=1000000").ready()
    b = world.receive()
    relay = Relay(world, b)
    lists = Lists(relay)
    relay.stop_at = (TARGET, wire.READY)
    a.start_migration(relay.uri)
    relay.wait(wire.READY)
    lost = 40 * MIB
    check(lost in covered(lists.said[wire.ZERO_LIST]), "not announced")
    a.poison(lost, count=3)
    relay.release()
    here, there = a.wait_migration("completed"), b.wait_migration("completed")
    equal(b.poisoned(), {lost + i * PAGE for i in range(3)}, "poisoned on b")
    for m in here, there:
        equal(m["ferry"]["pages"]["poison"], 3, "poisoned pages")
        add_up(m, 64 * MIB)


def test_nothing_is_left_for_the_pause(world):
    """While the guest is held, the lists are as long as what changed: not as
    what was never written."""
    a = world.run("work=idle mib=16 period_us=1000000", memory="2G").ready()
    b = world.receive()
    relay = Relay(world, b)
    lists = Lists(relay)
    a.start_migration(relay.uri)
    b.wait_migration("completed")
    kinds = [h[2] for h in relay.heard
             if h[:2] in ((SOURCE, wire.MAIN), (TARGET, wire.MAIN))]
    order = [kinds.index(k) for k in (wire.ZERO_LIST, wire.READY, wire.STATE,
                                      wire.WRITTEN_LIST, wire.DISCARD,
                                      wire.POISON_LIST, wire.PREPARE)]
    equal(order, sorted(order), "order of the messages")
    check(len(covered(lists.said[wire.ZERO_LIST])) > (2048 - 64) * MIB // PAGE,
          "little was announced")
    check(len(covered(lists.said[wire.WRITTEN_LIST])) < 512, "much was written")
