# SPDX-License-Identifier: MIT
"""A cut at every operation and after every message of a migration.

These are tests of tests/migrate/, unchanged, over connections that are slow,
or that are cut once or twice (tests/lib/faulty.py). The guest
must be whole at the end, wherever the cut was.

TESTS are run with most kinds of faults. test_any_slow and test_any_cut run all
that have a destination, but those in LEFT_OUT.

FERRY_TEST_EVERY=1 (make cuts) tries every place of every cut on either side,
and each value of the tests' cases: days, so choose tests by run.py's FILE:WORD,
"tests/failure/cuts.py:any_cut of=poison_live". Without it, as in scripts/check,
the first places, or none, and a selection of the others are tried; of
test_any_cut one place, on one side, which FERRY_TEST_SEED chooses; of the
tests' cases the first values. scripts/check runs of test_any_slow and
test_any_cut only what tests/check.py lists (ANY; in the lab LAB_FAILURE): they
are too many.
"""

import os
import random

from errors import check
from faulty import EVERY, SIDES, migrate_test, migrate_tests, operations, \
    run_once, until_untouched

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
SIDE_COMMANDS = {"source": "run", "destination": "receive"}
SLOW_WAY = "short,delay=100,rate=50000000"
SEED = int(os.environ.get("FERRY_TEST_SEED") or 1)
PLACES = 1000           # one of the first so many is tried, the first ones more

LOSES = "the test loses the link itself, and checks what that does"
COMMAND = "`ferry migrate` fails with the link, and the test is over"
# Tests that test_any_slow ("slow") and test_any_cut ("cut") leave out: what the
# name begins with, and why
LEFT_OUT = {
    "recover.": ("cut", LOSES),
    "metrics.recovery": ("cut", LOSES),
    "statistics.downtime_of_a_failure": ("cut", LOSES),
    "tls.resume": ("cut", LOSES),
    "precopy.command": ("cut", COMMAND),
    "statistics.json": ("cut", COMMAND),
    "statistics.table": ("cut", COMMAND),
    "statistics.text": ("cut", COMMAND),
    "streams.": ("cut", COMMAND),
    "console.states_and_events": ("cut", "it lists all events"),
    "metrics.figures": ("cut", "the figures of one link"),
    "poison_live.poison_for_delivered": ("cut", "it counts resent messages"),
    "tls.no_certificate": ("cut", "the test is the source, which is cut"),
    "zeroes.nothing_is_left": ("cut", "the order of all messages"),
}


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


test_slow.cases = {"what": TESTS, "how": [SLOW_WAY]}


def anywhere(wanted):
    """The tests of tests/migrate/ that must pass under a fault of this kind:
    all that LEFT_OUT does not have."""
    tests = migrate_tests()
    for key in LEFT_OUT:
        check(any(name.startswith(key) for name in tests),
              f"LEFT_OUT has {key}, no test has")
    return {name: test for name, test in tests.items() if not any(
        name.startswith(key) and wanted in kinds
        for key, (kinds, _) in LEFT_OUT.items())}


def test_any_slow(world, of):
    """As slow; every test of tests/migrate/, which must not notice it."""
    del world
    run_once(ANY_SLOW[of], of, faults={"run": SLOW_WAY, "receive": SLOW_WAY},
             automatic=False, operator=False)


ANY_SLOW = anywhere("slow")
test_any_slow.cases = {"of": ANY_SLOW}
test_any_slow.by_hand = True


def cut_somewhere(run, last):
    """Call run(N) for one place up to @last, or an earlier one if the run
    had ended by then."""
    n = last
    while not run(n):
        check(n > 1, "no fault was made")
        n = max(n // 4, 1)


def test_any_cut(world, of):
    """A cut on either side, and the source recovers by itself: every test of
    tests/migrate/, whose guest must not notice it."""
    del world

    def on(side):
        def run(n):
            fault = {SIDE_COMMANDS[side]: f"cut={n}" + ",all" * (n % 2)}
            return run_once(ANY_CUT[of], f"{of}: {fault}", faults=fault)
        return run
    if EVERY:
        for side in SIDES:
            until_untouched(on(side))
        return
    dice = random.Random(f"{SEED} {of}")
    side = dice.choice(list(SIDES))
    n = round(PLACES ** dice.random())
    print(f"#   {of}: operation {n} of the {side}, or earlier", flush=True)
    cut_somewhere(on(side), n)


ANY_CUT = anywhere("cut")
test_any_cut.cases = {"of": ANY_CUT}
test_any_cut.by_hand = True
