# SPDX-License-Identifier: MIT
"""Pages that are pushed on several connections arrive as on one."""

import wire
from ferry import check, equal
from relay import Relay, SOURCE

BUSY = "work=verify mib=48 seed=8"


def whole(vmm):
    """Every page is used, checked, and right."""
    vmm.full_pass()
    vmm.sweep()
    vmm.verdict(expected=0, mce=0)


def pushed(relay):
    """How many connections were opened to push, and pages that came there"""
    hellos = [h for h in relay.heard if h[:3] == (SOURCE, wire.PUSH,
                                                  wire.HELLO)]
    pages = sum(h[4] for h in relay.heard
                if h[:3] == (SOURCE, wire.PUSH, wire.PAGES))
    done = [h for h in relay.heard if h[:3] == (SOURCE, wire.PUSH, wire.DONE)]
    return len(hellos), pages, len(done)


def test_connections(world, n):
    """As many as were asked for, each carries pages, none is wrong."""
    a = world.run(BUSY, cpus=2).ready()
    b = world.receive()
    relay = Relay(world, b)
    world.ferry("migrate", "a", relay.uri, "--connections", str(n))
    b.wait_migration("completed")
    conns, pages, done = pushed(relay)
    equal((conns, done), (n, n), "push connections, and their ends")
    check(pages > 0, "no pages on them", pages)
    equal(a.qmp.execute("query-migrate-parameters")["multifd-channels"], n,
          "the parameter")
    whole(b)


test_connections.cases = {"n": [1, 2, 8]}


def test_limit_is_for_all(world):
    """--bandwidth is what all connections together may take."""
    a = world.run("work=idle period_us=1000000", memory="48M").ready()
    b = world.receive()
    world.ferry("migrate", "a", b.uri, "--bandwidth", "64M",
                "--connections", "4")
    m = b.wait_migration("completed")
    took = m["ferry"]["stage-ms"]["pages"] / 1e3
    pages = m["ferry"]["pages"]["push"]
    check(pages > 4096, "little was pushed", pages)
    # What each had in hand when the limit was reached comes sooner
    check(took > (pages - 4 * 64) * 4096 / (64 << 20), "too fast", took)
    equal(a.status()["status"], "postmigrate", "the source")


def test_refused(world):
    """Numbers that can't be."""
    a = world.run(BUSY)
    for n in 0, 9, -1:
        a.refused("1 to 8", "migrate-set-parameters",
                  **{"multifd-channels": n})
        _, err = world.ferry("migrate", "a", world.uri(), "--connections",
                             str(n), status=2)
        check("--connections" in err, err)
    equal(a.qmp.execute("query-migrate-parameters")["multifd-channels"], 2,
          "the parameter")
