# SPDX-License-Identifier: MIT
"""The guest's record of what it experienced, and how scripts/bench reads it."""

import math
import os
import sys
import time

from ferry import MIB, PAGE, ROOT, Skip, check, equal

sys.path.insert(1, os.path.join(ROOT, "tests", "bench"))
import experience  # noqa: E402
import limits  # noqa: E402

PAUSE_S = 0.1
RECORD_US = 16384e3     # guest/user/record.h


def test_visits(world):
    """Across a migration, the visits in the record are those of the reports,
    and its times are the host's."""
    # A small guest, so that the record has room for its migration
    a = world.run("work=dirty mib=4", cpus=2).ready()
    before = a.report()["pages"]
    began = time.time()
    a.send("mark")
    start = a.report()
    first = start["pages"]
    b = world.receive()
    a.migrate(b)
    end = b.report()
    if end["t_us"] - start["t_us"] > RECORD_US - 1e6:
        raise Skip("the migration took longer than the record has room for")
    last = end["pages"]
    mark, visits, _ = experience.read_record(world, b)
    after = b.report()["pages"]
    check(last - first <= sum(visits) <= after - before, "visits:",
          before, first, sum(visits), last, after)
    check(began - .01 < mark < time.time(), "mark at", mark, "not", began)


def test_gap(world):
    """A pause is a gap of at least that length in the record."""
    a = world.run("work=dirty").ready()
    a.send("mark")
    a.report()
    a.qmp.execute("stop")
    a.qmp.wait_event("STOP")
    time.sleep(PAUSE_S)
    a.qmp.execute("cont")
    a.qmp.wait_event("RESUME")
    mark, _, gaps = experience.read_record(world, a)
    now = 1e6 * (time.time() - mark)
    check(any(us >= 1e6 * PAUSE_S and us < end < now for end, us in gaps),
          "no such gap before", now, gaps)


def test_part(world):
    """part=4: a pass visits a quarter of the pages."""
    mib = 32
    a = world.run(f"work=walk part=4 passes=2 mib={mib}").ready()
    equal(a.wait_line("report")["pages"], 2 * mib * MIB // PAGE // 4,
          "pages visited")
    a.wait_line("verdict", clean=1)


def test_figures(_):
    """Percentiles of pairs (value, number)."""
    pairs = [(100, 90), (1000, 9), (5000, 1)]
    equal([experience.percentile(pairs, p) for p in (.5, .95, .99, 1)],
          [100, 1000, 1000, 5000], "percentiles")
    equal(experience.percentile([], .5), 0, "percentile of nothing")


def test_blackout(_):
    """Of all gaps, the blackout is that which covers the hand-over; else the
    longest near it; else there is none."""
    gaps = [(1000, 900), (12000, 2000), (15000, 3000), (30000, 9000)]
    for stop, resume, wanted in (11000, 11600, 2000), (9300, 9700, 2000), \
            (12200, 12600, 3000), (18000, 19000, 0):
        equal(experience.blackout_gap(gaps, stop, resume), wanted,
              f"blackout between {stop} and {resume}")


def test_course(_):
    """A guest that works loses what it did not visit, by its speed before; a
    paced one the time in which it waited."""
    visits = [7] * 20 + [10] * 80 + [0] * 40 + [5] * 10 + [4] * 200
    stalls = [(100, 20), (2000, 4)]
    cell = {"cpus": 2, "rate": 0}
    found = experience.course(visits, 0, 100, 149, stalls, cell, 3)
    equal([found[k] for k in ("base_per_ms", "lost_ms", "after_percent",
                              "stalls", "stalled_ms", "stall_max_us")],
          [10, 45, 40, 24, 5, 2000], "figures of a guest that works")
    found = experience.course(visits[:140], 0, 100, 149, stalls, cell, 3)
    check(math.isnan(found["lost_ms"]), "lost beyond the record:", found)
    cell["rate"] = 5000
    equal(experience.course(visits, 0, 100, 149, stalls, cell, 3)["lost_ms"],
          8, "time that a paced guest lost")
    equal(experience.course([0] * 400, 0, 100, 150, [], cell, 3)["lost_ms"],
          3, "time that a resting guest lost")


def test_demand(_):
    """Of all accesses, the longest ones are those that fetched a page."""
    pairs = [(4, 1000), (100, 5), (200, 4), (900, 1)]
    equal(experience.median_of_longest(pairs, 10), 200, "of 10 faults")
    equal(experience.median_of_longest(pairs, 2), 900, "of 2 faults")
    equal(experience.median_of_longest(pairs, 3000), None, "of 3000 faults")
    none = {"median": None, "min": None, "max": None}
    equal(limits.summarize_runs([{"a": 1, "b": math.nan}, {"a": 3, "b": 2}]),
          {"a": {"median": 2, "min": 1, "max": 3, "runs": [1, 3]},
           "b": {**none, "runs": [None, 2]}}, "with a run without a number")
