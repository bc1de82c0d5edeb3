# SPDX-License-Identifier: MIT
"""A guest that has migrated can migrate again, and back."""

from ferry import equal

SANITIZERS = {"address", "thread"}

WORK = "work=verify mib=32 seed=9"


def test_chain(world, ram):
    """A to B to C, under load."""
    a = world.run(WORK, "--ram", ram, cpus=4).ready()
    b, c = world.receive(name="b"), world.receive(name="c")
    a.working()
    a.migrate(b)
    b.working()
    b.migrate(c)
    c.full_pass()
    c.sweep()
    c.verdict(expected=0, mce=0)
    equal(b.state(), "postmigrate", "state in the middle")
    equal(c.migration()["ferry"]["side"], "destination", "side at the end")


test_chain.cases = {"ram": ["anon", "memfd"]}


def test_back(world):
    """A to B, and back to a machine that has A's name."""
    a = world.run(WORK, cpus=2).ready()
    b = world.receive()
    a.migrate(b)
    a.qmp.execute("quit")
    equal(a.wait_end(), 0, "exit status")
    a = world.receive(name="a")
    b.working()
    b.migrate(a)
    a.full_pass()
    a.sweep()
    a.verdict(expected=0, mce=0)


def test_at_once(world):
    """Each migration starts as soon as the last one has completed."""
    a = world.run(WORK, cpus=2).ready()
    hops = [world.receive(name=n) for n in "bcdef"]
    for here, there in zip([a, *hops], hops):
        here.migrate(there)
    hops[-1].full_pass()
    hops[-1].sweep()
    hops[-1].verdict(expected=0, mce=0)


def test_three_pairs(world):
    """Three pairs of machines migrate at the same time."""
    pairs = [(world.run(WORK, name=f"a{i}").ready(),
              world.receive(name=f"b{i}")) for i in range(3)]
    for a, b in pairs:
        a.start_migration(b.uri)
    for _, b in pairs:
        b.wait_migration("completed")
        b.full_pass()
        b.sweep()
        b.verdict(expected=0, mce=0)
