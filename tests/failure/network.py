# SPDX-License-Identifier: MIT
"""Two hosts, as two network namespaces: slow, lossy and broken networks."""

import time

from crossing import whole
from ferry import MIB, PAGE, check, equal
from loss import paused
from netns import ADDRESS, Network

BUSY = "work=verify mib=16 seed=14"
# Until "go" it touches no page: it would fetch all of them in half a second
WAITS = BUSY + " hold=1"
DATA = 16 * MIB
PORT = 4444
HURRIED = {"ferry-dead-peer-timeout": 2000, "ferry-beat-interval": 200}

# The queue of each end, and the delay that it must cause, both ways, in us
SHAPES = {
    "0.1 ms": (["netem", "delay", "100us"], 200),
    "10 ms": (["netem", "delay", "10ms"], 20000),
    "50 ms": (["netem", "delay", "50ms"], 100000),
    "loss": (["netem", "delay", "1ms", "loss", "1%"], 2000),
    "slow": (["netem", "delay", "5ms", "loss", "1%", "rate", "100mbit"],
             10000),
}


def uri(address=ADDRESS["b"]):
    return f"tcp:{address}:{PORT}"


def hosts(world, append=BUSY, **parameters):
    """A guest on one host, a destination on the other. Return: both, and the
    network between them."""
    net = Network(world)
    world.parameters.update(parameters)
    a = world.run(append, cpus=2, prefix=net.prefix("a")).ready()
    b = world.receive(uri=uri(), prefix=net.prefix("b"))
    return a, b, net


def test_rate(world):
    """100 Mbit/s: no deadline ends the migration, and the network's speed is
    used."""
    a, b, net = hosts(world)
    net.shape("tbf", "rate", "100mbit", "burst", "64kb", "latency", "100ms")
    _, there = a.migrate(b)
    whole(b)
    pages = there["ferry"]["pages"]
    took = there["ferry"]["stage-ms"]["pages"] / 1e3
    sent = (pages["push"] + pages["demand"]) * PAGE
    check(sent > DATA / 2, "little was sent", pages)
    check(took > (sent - MIB) * 8 / 100e6, "faster than the network", took)


def test_netem(world, shape):
    """Delay and loss: the guest waits for pages as long as the network takes,
    and is whole. A page that was under way already when the guest touched it
    comes sooner, so only the longest wait is known to be a whole round."""
    qdisc, delay = SHAPES[shape]
    a, b, net = hosts(world)
    net.shape(*qdisc)
    a.migrate(b)
    whole(b)
    latency = b.migration()["ferry"]["demand-latency-us"]
    check(latency["count"] > 0, "no page was requested")
    check(latency["max"] >= delay, "faster than the network", latency)


test_netem.cases = {"shape": SHAPES}


def slowly(world, **parameters):
    """A migration under way that takes 16 s, unless quickly() ends that.
    Return: as hosts()."""
    a, b, net = hosts(world, WAITS, **parameters)
    a.qmp.execute("migrate-set-parameters",
                  **{"max-postcopy-bandwidth": MIB})
    a.start_migration(b.uri)
    for vmm in a, b:
        vmm.wait_migration("postcopy-active")
    return a, b, net


def quickly(a):
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})


def complete(*machines):
    for vmm in machines:
        vmm.wait_migration("completed", recovers=True)


def test_short_outage(world):
    """A link that is down for less than ferry-dead-peer-timeout: TCP sends
    again, and neither side is paused."""
    a, b, net = slowly(world)
    net.link("b", "down")
    b.send("go")        # vCPUs wait for pages while it is down
    time.sleep(1)
    for vmm in a, b:
        equal(vmm.migration()["status"], "postcopy-active", vmm.name)
    net.link("b", "up")
    quickly(a)
    complete(a, b)
    for vmm in a, b:
        equal(vmm.qmp.seen("MIGRATION", status="postcopy-paused"), [],
              f"pauses of {vmm.name}")
    whole(b)


def test_long_outage(world, end):
    """A link that is down for longer: both sides are paused, whichever end it
    is, and go on by themselves when it is up."""
    world.automatic = True
    a, b, net = slowly(world, **HURRIED)
    net.link(end, "down")
    b.send("go")
    for vmm in a, b:
        # A source that tries again is paused only now and then
        vmm.qmp.wait_event("MIGRATION", status="postcopy-paused")
    equal(b.migration()["status"], "postcopy-paused", "the destination")
    quickly(a)
    net.link(end, "up")
    complete(a, b)
    whole(b)


test_long_outage.cases = {"end": ["a", "b"]}


def test_other_address(world):
    """The destination's host gets another address: an operator names it on
    both sides."""
    a, b, net = slowly(world, **HURRIED)
    net.address("b", "del", ADDRESS["b"])
    net.address("b", "add", "10.97.0.3")
    b.send("go")
    paused(a, "source")
    paused(b, "destination")
    quickly(a)
    world.ferry("recover", "b", uri("10.97.0.3"))
    world.ferry("migrate", "--resume", "a", uri("10.97.0.3"))
    complete(a, b)
    whole(b)
