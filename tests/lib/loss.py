# SPDX-License-Identifier: MIT
"""What must be true of the sides of a migration that lost each other."""

import time

from ferry import check, equal


def silent(vmm):
    """Its guest says nothing more, asked or not."""
    said = len(vmm.out.lines)
    vmm.send("hello")
    time.sleep(0.3)
    equal(len(vmm.out.lines), said, f"lines of {vmm.name}, which must not run")


def paused(vmm, side):
    """It shows what happened, keeps all, and lives."""
    m = vmm.wait_migration("postcopy-paused")
    check(m["error-desc"], "no reason")
    equal(m["ferry"]["side"], side, "side")
    check(vmm.alive(), "the process ended")
    return m


def lost_source(a):
    """The source after the hand-over: it never runs the guest again."""
    paused(a, "source")
    st = a.status()
    equal((st["status"], st["running"]), ("finish-migrate", False), "source")
    equal(st["libvirt"]["reason"], "VIR_DOMAIN_PAUSED_POSTCOPY_FAILED",
          "libvirt's reason")
    for command in ("cont", "stop"):
        a.refused("finish-migrate", command)
    a.qmp.wait_event("MIGRATION", status="postcopy-paused")
    silent(a)


def quits(*machines):
    """Nothing hangs: they end when told."""
    for vmm in machines:
        vmm.qmp.execute("quit")
        equal(vmm.wait_end(), 0, f"exit status of {vmm.name}")
