# SPDX-License-Identifier: MIT
"""Pages that are pushed on several connections arrive as on one connection."""

import wire
from crossing import whole
from ferry import check, equal
from relay import Relay, SOURCE

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=48 seed=8"


def pushed(relay):
    """Return: push connections, pages on them, and DONE messages on them."""
    hellos = [h for h in relay.heard if h[:3] == (SOURCE, wire.PUSH,
                                                  wire.HELLO)]
    pages = sum(h[4] for h in relay.heard
                if h[:3] == (SOURCE, wire.PUSH, wire.PAGES))
    done = [h for h in relay.heard if h[:3] == (SOURCE, wire.PUSH, wire.DONE)]
    return len(hellos), pages, len(done)


def test_connections(world, n):
    """As many connections as requested; they carry pages; no byte is wrong."""
    a = world.run(BUSY, cpus=2).ready()
    b = world.receive()
    relay = Relay(world, b)
    world.ferry("migrate", "a", relay.uri, "--connections", str(n))
    b.wait_migration("completed")
    conns, pages, done = pushed(relay)
    equal((conns, done), (n, n), "push connections, DONE messages")
    check(pages > 0, "pages on them", pages)
    equal(a.qmp.execute("query-migrate-parameters")["multifd-channels"], 2,
          "the parameter, which is that of other migrations")
    whole(b)


test_connections.cases = {"n": [1, 2, 8]}


def test_limit_is_for_all(world):
    """--bandwidth limits the sum of all connections."""
    a = world.run("work=idle period_us=1000000", memory="48M").ready()
    b = world.receive()
    world.ferry("migrate", "a", b.uri, "--bandwidth", "64M",
                "--connections", "4")
    # The source's stage begins before the first page is sent, the destination's
    # perhaps after it
    m = a.wait_migration("completed")
    took = m["ferry"]["stage-ms"]["pages"] / 1e3
    pages = m["ferry"]["pages"]["push"]
    check(pages > 4096, "little was pushed", pages)
    # Not delayed are a batch of 64 pages on each connection, the pages that go
    # ahead of PREPARE, and what may be sent in 10 ms (PACER_BURST_NS)
    check(took > (pages - 5 * 64) * 4096 / (64 << 20) - 0.01, "too fast", took)
    equal(a.status()["status"], "postmigrate", "the source")


def test_refused(world):
    """Numbers outside the limits are refused."""
    a = world.run(BUSY)
    for n in 0, 9, -1:
        a.refused("1 to 8", "migrate-set-parameters",
                  **{"multifd-channels": n})
        _, err = world.ferry("migrate", "a", world.uri(), "--connections",
                             str(n), status=2)
        check("--connections" in err, err)
    equal(a.qmp.execute("query-migrate-parameters")["multifd-channels"], 2,
          "the parameter")
