# SPDX-License-Identifier: MIT
"""query-ferry-pages: the map of RAM on each side, before, during and after a
migration."""

import re
import time

from ferry import MIB, PAGE, WAIT, check, equal, page

SANITIZERS = {"address", "thread"}

SLOW = 2 * MIB          # bytes per second: time to look


def query(vmm, **args):
    return vmm.qmp.execute("query-ferry-pages", **args)


def cells(answer, before=None):
    """The letter of each cell; before: of the last answer, for changes."""
    result = list(before or " " * answer["cells"])
    for part in filter(None, answer["runs"].split(",")):
        at, _, runs = part.partition(":")
        at = int(at)
        for n, letter in re.findall(r"(\d*)(\D)\+?", runs):
            for _ in range(int(n or 1)):
                result[at] = letter
                at += 1
    return result


def whole(vmm, **args):
    answer = query(vmm, **args)
    equal(answer["whole"], True, "the map is whole")
    return cells(answer)


def summed(vmm, memory=64 * MIB):
    pages = query(vmm)["pages"]
    equal(sum(pages.values()), memory // PAGE, f"sum of {pages}")
    return pages


def test_a_machine_that_stays(world):
    """Written pages, those that were never written, and a poisoned one; a
    cursor gets the changes only."""
    a = world.run("work=idle mib=32 period_us=1000000").ready()
    pages = summed(a)
    check(pages["here"] >= 32 * MIB // PAGE, pages)
    check(pages["never-written"] >= 20 * MIB // PAGE, pages)
    first = query(a, grain=PAGE)
    equal(first["cells"], 64 * MIB // PAGE, "cells")
    a.poison(page(100))
    then = query(a, grain=PAGE, cursor=first["cursor"])
    equal(then["whole"], False, "only changes")
    equal(cells(then, cells(first))[page(100) // PAGE], "p", "the page")
    check(len(then["runs"]) < 200, f"changes: {then['runs']}")
    again = query(a, grain=PAGE, cursor=then["cursor"])
    equal(again["runs"].count("p"), 0, "a change is reported once")
    part = query(a, begin=page(96), size=8 * PAGE, grain=PAGE)
    equal(cells(part)[4], "p", "the page in a part")
    equal(part["pages"]["poisoned"], 1, "poisoned pages of the part")


def test_during_a_migration(world):
    """The source shows what it sent, the destination what it has; poison is
    where it was placed."""
    # The guest requests less than is pushed, however long it takes to look
    a = world.run("work=dirty mib=48 rate=100", cpus=2).ready()
    b = world.receive()
    a.poison(page(3000))
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": SLOW})
    a.start_migration(b.uri)
    end = time.monotonic() + WAIT
    while b.migration()["status"] != "postcopy-active":
        check(time.monotonic() < end, "no postcopy")
        time.sleep(0.01)
    here, there = summed(a), summed(b)
    check(there["missing"] > 0, there)
    check(here["here"] > 0, here)
    check("m" in whole(b), "the destination has a missing cell")
    equal(whole(a, grain=PAGE)[page(3000) // PAGE], "p", "source's poison")
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    a.wait_migration("completed")
    b.wait_migration("completed")
    here, there = summed(a), summed(b)
    for state in "missing", "requested":
        equal(there[state], 0, f"{state} pages at the end")
    check(there["demanded"] > 0, there)
    check(here["demanded"] > 0, here)
    check(there["pushed"] > there["demanded"], there)
    equal(here["here"], 0, "pages that the source has not sent")
    equal(there["poisoned"], 1, "poisoned pages")
    final = whole(b, grain=PAGE)
    equal(final[page(3000) // PAGE], "p", "destination's poison")
    check(not {"m", "r"} & set(whole(b)), "no missing cell")
    b.poison(page(10))
    equal(whole(b, begin=page(10), size=PAGE)[0], "p", "poison afterwards")
    b.expect([page(3000), page(10)])
    b.sweep()
    b.verdict(expected=2, seen=2)


def test_a_guest_that_has_not_arrived(world):
    b = world.receive()
    b.refused("no guest has arrived", "query-ferry-pages")


def test_a_failed_migration_shows_the_machine_again(world):
    a = world.run("work=idle mib=32 period_us=1000000").ready()
    a.start_migration("unix:" + world.path("nobody"))
    a.wait_migration("failed")
    pages = summed(a)
    equal(pages["pushed"] + pages["demanded"], 0, "sent pages")


def test_large_guests_have_small_answers(world):
    """16 GiB: 2048 cells, a hole below 4 GiB, a few KiB whatever they show."""
    a = world.run("work=idle mib=32 period_us=1000000", memory="16G").ready()
    answer = query(a)
    equal(answer["grain"], 16 * MIB, "grain")
    equal(answer["cells"], 17 * 64, "cells")
    check(len(answer["runs"]) < 4096, "the answer is long")
    map_ = cells(answer)
    equal(set(map_[3 * 64:4 * 64]), {"x"}, "the hole below 4 GiB")
    equal(map_.count("x"), 64, "cells without RAM")
    summed(a, 16 << 30)


def test_wrong_arguments_are_refused(world):
    a = world.run("work=idle mib=16")
    for wanted, args in [
            ("'cells'", {"cells": 0}), ("'cells'", {"cells": 1 << 20}),
            ("'begin'", {"begin": 1 << 40}), ("'begin'", {"begin": -1}),
            ("'begin'", {"size": 0}), ("'begin'", {"size": 1 << 40}),
            ("'begin'", {"begin": PAGE, "size": 64 * MIB}),
            ("'grain'", {"grain": 4097}), ("'grain'", {"grain": 0}),
            ("'grain'", {"begin": PAGE, "size": PAGE, "grain": 2 * PAGE}),
            ("unknown argument", {"x": 1})]:
        a.refused(wanted, "query-ferry-pages", **args)
