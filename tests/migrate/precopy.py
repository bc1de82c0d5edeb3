# SPDX-License-Identifier: MIT
"""Precopy passes before the hand-over: a guest that rewrites its pages
meanwhile has no wrong byte afterwards, and pages that are lost in a pass are
lost."""

import time

from crossing import exits, whole
from ferry import MIB, PAGE, WAIT, check, equal, page
from poisoned import all_seen

WORK = "work=verify mib=48 seed=3"
RATE = "max-bandwidth"


def start(vmm, to, passes, **parameters):
    vmm.start_migration(to.uri, **{"ferry-parameters": {
        "ferry-precopy-passes": str(passes), **parameters}})


def await_figure(vmm, name, least):
    """Wait until ferry.precopy has this much. Return: query-migrate."""
    end = time.monotonic() + WAIT
    while True:
        m = vmm.migration()
        if m["ferry"].get("precopy", {}).get(name, 0) >= least:
            return m
        check(time.monotonic() < end, f"{name} of the passes: {m['ferry']}")
        time.sleep(0.01)


def both(a, b):
    return a.wait_migration("completed"), b.wait_migration("completed")


def test_writing_guest(world, kinds, cpus):
    """Two passes while the guest rewrites its pages; then every byte is
    right."""
    here, there = kinds.split("-")
    if "hugetlb" in kinds:
        world.huge_pages(32)
    a = world.run(WORK, "--ram", here, cpus=cpus, memory="64M").ready()
    a.working()
    b = world.receive("--ram", there)
    start(a, b, 2)
    here, there = both(a, b)
    whole(b, True)
    passes = here["ferry"]["precopy"]
    # One if the guest did not write: the host may be busy
    check(passes["passes"] in (1, 2), f"passes: {passes}")
    equal(here["ram"]["dirty-sync-count"], passes["passes"] + 2,
          "dirty-sync-count")
    check(passes["pages"] * PAGE >= 48 * MIB, f"sent by passes: {passes}")
    for m in here, there:
        equal(m["ram"]["remaining"], 0, "remaining")
    exits(b)


test_writing_guest.cases = {
    "kinds": ["anon-anon", "memfd-memfd", "anon-hugetlb", "hugetlb-anon"],
    "cpus": [1, 4]}


def test_lost_in_a_pass(world):
    """A page is lost after it was sent; another one before it is."""
    lost = [page(1), page(48 * MIB // PAGE - 1)]
    a = world.run("work=verify mib=48 hold=1", memory="64M").ready()
    b = world.receive()
    start(a, b, 30, **{RATE: MIB})
    m = await_figure(a, "pages", 1000)
    equal(m["status"], "active", "status")
    check("expected-downtime" in m, "no expected-downtime")
    a.poison_pages(lost)
    # The limit is that of the passes: the rest comes without one
    a.qmp.execute("migrate-start-postcopy")
    both(a, b)
    equal(b.poisoned(), set(lost), "poisoned there")
    b.expect(lost)
    b.send("go")
    b.full_pass()
    all_seen(b, lost)


def test_cancelled(world):
    """The guest goes on here, and moves by the next attempt."""
    a = world.run(WORK, cpus=2, memory="64M").ready()
    b = world.receive()
    start(a, b, "auto", **{RATE: MIB})
    await_figure(a, "pages", 500)
    a.qmp.execute("migrate_cancel")
    a.wait_migration("cancelled")
    a.full_pass()
    a.verdict(mce=0)
    start(a, b, 1)
    both(a, b)
    whole(b, True)


def test_reset(world):
    """A guest that is reset in a pass arrives as it is after the reset."""
    a = world.run("work=verify mib=32 hold=1", memory="64M").ready()
    b = world.receive()
    start(a, b, 30, **{RATE: MIB})
    await_figure(a, "pages", 500)
    with a.out.changed:
        before = len(a.out.lines)
    a.qmp.execute("system_reset")
    a.wait_line("ready", since=before)
    a.qmp.execute("migrate-set-parameters", **{RATE: 0})
    a.qmp.execute("migrate-start-postcopy")
    both(a, b)
    b.send("go")
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


def test_command(world):
    """--precopy-passes; a number that is none is refused."""
    a = world.run(WORK, memory="64M").ready()
    b = world.receive()
    _, text = world.ferry("migrate", "--precopy-passes", "31", a.name, b.uri,
                          status=1)
    check("0" in text and "30" in text and "auto" in text, text)
    world.ferry("migrate", "--precopy-passes", "auto", a.name, b.uri)
    m = a.migration()
    equal(m["status"], "completed", "status")
    check(m["ferry"]["precopy"]["passes"] >= 1, m["ferry"])
    whole(b, True)


def test_dirty_pages_are_shown(world):
    """query-ferry-pages on the source: pages that the guest has written since
    a pass has sent them, until the hand-over."""
    def shown(vmm):
        return vmm.qmp.execute("query-ferry-pages")["pages"]

    a = world.run("work=verify mib=8 seed=3", memory="32M").ready()
    a.working()
    b = world.receive()
    start(a, b, 30, **{RATE: 4 * MIB})
    end = time.monotonic() + WAIT
    while not shown(a)["dirty"]:
        check(time.monotonic() < end, f"no page is dirty: {a.migration()}")
        time.sleep(0.05)
    check(shown(a)["pushed"], "no page was sent")
    a.qmp.execute("migrate-start-postcopy")
    a.qmp.execute("migrate-set-parameters", **{RATE: 0})
    both(a, b)
    for vmm in a, b:
        equal(shown(vmm)["dirty"], 0, f"dirty pages of {vmm.name}")
    whole(b, True)
