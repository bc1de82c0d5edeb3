# SPDX-License-Identifier: MIT
"""Checks of both sides after the connection between them was lost."""

import time

from ferry import check, equal


def silent(vmm):
    """The guest does not run here: it does not answer."""
    said = len(vmm.out.lines)
    vmm.send("hello")
    time.sleep(0.3)
    equal(len(vmm.out.lines), said, f"lines of {vmm.name}, which must not run")


def paused(vmm, side):
    """The side reports postcopy-paused with a reason, and still runs.

    Return: the answer of query-migrate."""
    m = vmm.wait_migration("postcopy-paused")
    check(m["error-desc"], "no reason")
    equal(m["ferry"]["side"], side, "side")
    check(vmm.alive(), "the process ended")
    return m


def lost_source(a):
    """The source lost the connection after the hand-over: it must never run
    the guest again."""
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
    """`quit` ends each machine: no thread hangs. It is forced, because the
    guest may need a source's pages."""
    for vmm in machines:
        vmm.qmp.execute("quit", **{"ferry-force": True})
        equal(vmm.wait_end(), 0, f"exit status of {vmm.name}")
