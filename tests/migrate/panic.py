# SPDX-License-Identifier: MIT
"""A guest that reports a panic by pvpanic, with and without a migration."""

import time

from ferry import check, equal, soon

SANITIZERS = {"address"}

BUSY = "work=verify mib=16"
PANICKED = "VIR_DOMAIN_CRASHED_PANICKED"


def panic(vmm):
    vmm.send("panic")
    data = vmm.qmp.wait_event("GUEST_PANICKED")
    equal(data, {"action": "pause"}, "data of GUEST_PANICKED")
    vmm.wait_state("guest-panicked")


def check_panicked(vmm):
    st = vmm.status()
    equal((st["status"], st["running"], st["libvirt"]["reason"]),
          ("guest-panicked", False, PANICKED), "status")
    equal(vmm.lines("panicked"), [], "output of a guest that is paused")


def test_paused_and_reported(world):
    """A panic pauses the guest and is reported; cont resumes the guest."""
    a = world.run(BUSY, cpus=2).ready()
    panic(a)
    check_panicked(a)
    a.qmp.execute("stop")
    check_panicked(a)
    soon(lambda: [e["status"] for e in a.qmp.seen("STOP")],
         ["guest-panicked"], "states of STOP events")
    a.said("the guest's kernel panicked; the guest is paused")
    a.qmp.execute("cont")
    a.wait_line("panicked")
    equal(a.state(), "running", "state after cont")
    a.full_pass()
    a.sweep()
    a.verdict()
    panic(a)            # reported each time
    a.qmp.wait(lambda: len(a.qmp.seen("GUEST_PANICKED")) == 2,
               "a second event")


def test_status_shows_it(world):
    """`ferry status` shows the panic."""
    a = world.run(BUSY).ready()
    panic(a)
    text, _ = world.ferry("status", "a")
    check("guest-panicked" in text and PANICKED in text, text)
    equal(a.qmp.execute("query-name"), {"name": "a"}, "the machine answers")


def test_crash_loaded(world):
    """A guest that handles its panic itself (kdump) is not paused."""
    a = world.run(BUSY).ready()
    a.ask("panic kdump", "panicked")
    equal(a.qmp.wait_event("GUEST_CRASHLOADED"), {"action": "run"}, "data")
    equal(a.state(), "running", "state")
    equal(a.qmp.seen("GUEST_PANICKED"), [], "GUEST_PANICKED events")


def test_migrates_panicked(world):
    """A panicked guest migrates as one, and can be resumed at the end."""
    a, b, c = world.run(BUSY, cpus=2).ready(), world.receive(), \
        world.receive(name="c")
    panic(a)
    for here, there in (a, b), (b, c):
        here.migrate(there)
        here.wait_state("postmigrate")
        check_panicked(there)
        equal(there.qmp.seen("GUEST_PANICKED"), [], "events on the destination")
    c.qmp.execute("cont")
    c.wait_line("panicked")
    c.sweep()
    c.verdict()


def test_failed_migration(world):
    """A failed migration leaves a panicked guest as it was."""
    a = world.run(BUSY).ready()
    panic(a)
    a.start_migration(world.uri())
    a.wait_migration("failed")
    check_panicked(a)
    a.qmp.execute("cont")
    a.wait_line("panicked")


def test_panics_in_migration(world):
    """A panic at any moment of a migration pauses the guest, and is reported
    by one of the two sides."""
    for i in range(4):
        a = world.run("work=verify mib=8", name=f"a{i}", cpus=2).ready()
        b = world.receive(name=f"b{i}")
        a.send("panic")
        time.sleep(i * 0.007)
        a.migrate(b)
        b.wait_state("guest-panicked")
        soon(lambda: len(a.qmp.seen("GUEST_PANICKED") +
                         b.qmp.seen("GUEST_PANICKED")), 1,
             "GUEST_PANICKED events on both sides")
        check_panicked(b)
        a.end()
        b.end()
