# SPDX-License-Identifier: MIT
"""A cut at every operation and after every message of a migration.

These are tests of tests/migrate/, unchanged, over connections that are slow,
or that are cut once or twice (tests/lib/faulty.py). The guest
must be whole at the end, wherever the cut was. Without FERRY_TEST_EVERY=1 the
first places, or none, and a selection of the others are tried.
"""

from faulty import SIDES, migrate_test, operations, run_once, until_untouched

# The test, and the world's parameters. A small guest is enough
TESTS = {
    "move": (migrate_test("integrity", "tcp", ram="anon"), {"mib": 4}),
    "poison": (migrate_test("poison", "consumed_before", ram="anon"),
               {"mib": 15}),
    "reset": (migrate_test("reset", "while_pages_arrive", how="guest"),
              {"mib": 4}),
    "hugetlb": (migrate_test("hugetlb", "poison", pair_of="anon-hugetlb"), {}),
    "precopy": (migrate_test("integrity", "tcp", ram="anon"),
                {"mib": 4, "ferry-precopy-passes": "2"}),
    "8 push": (migrate_test("integrity", "tcp", ram="memfd"),
               {"mib": 8, "multifd-channels": 8}),
    "tls": (migrate_test("tls", "moves", kind="PSK"), {"mib": 4}),
}
ALL = 1000000           # places
CHAIN = migrate_test("poison", "chain", ram="anon")
NAMES = {"source": "a", "destination": "b"}


def places(what):
    """How many places none of which is left out, and how far the others are
    apart."""
    return {"first": 40, "growth": 1.25} if what == "move" else {}


def test_operation(world, what, side):
    """Operation N of a process fails, and with it its connection, or all (each
    second time). Then the session recovers, by itself, or by an operator
    (each third time)."""
    del world
    test, parameters = TESTS[what]

    def run(n):
        fault = {NAMES[side]: f"cut={n}" + ",all" * (n % 2)}
        return run_once(test, fault, faults=fault, automatic=n % 3 > 0,
                        **parameters)
    until_untouched(run, **places(what))


test_operation.cases = {"what": TESTS, "side": SIDES}


def test_recovery(world, side):
    """A second cut, at operation M after the first: during the recovery, and
    after it."""
    del world
    test, parameters = TESTS["move"]
    n = operations(test, **parameters)[NAMES[side]] // 2

    def run(more):
        fault = {NAMES[side]: f"cut={n}+{more},all"}
        return run_once(test, fault, faults=fault, automatic=more % 3 > 0,
                        **parameters)
    until_untouched(run, first=6, growth=1.6, wanted=2)


test_recovery.cases = {"side": SIDES}


def test_message(world, what, side):
    """All connections are cut after message N of one side; of the smallest
    guest after every message."""
    del world
    test, parameters = TESTS[what]
    small = what == "move"

    def run(n):
        return run_once(test, f"{side} {n}", message=(SIDES[side], n),
                        **parameters | ({"mib": 1} if small else {}))
    until_untouched(run, first=ALL if small else 1)


test_message.cases = {"what": ["move", "8 push"], "side": SIDES}


def test_chain(world):
    """A to B to C, poison on each host, and a cut on each leg: of A's and of
    C's operations."""
    del world

    def run(n):
        fault = {"a": f"cut={n}", "c": f"cut={n}"}
        return run_once(CHAIN, fault, faults=fault, automatic=n % 3 > 0,
                        mib=8)
    until_untouched(run)


def test_slow(world, what, how):
    """Nothing is cut, but calls transfer few bytes, and take long."""
    del world
    test, parameters = TESTS[what]
    run_once(test, how, faults={"a": how, "b": how}, **parameters)


test_slow.cases = {"what": TESTS, "how": ["short,delay=100,rate=50000000"]}
