# SPDX-License-Identifier: MIT
"""Checks of both sides after the connection between them was lost."""

import time

from errors import SLOW
from ferry import check, equal

QUIET_S = 0.3           # without a line
SETTLE_S = 5 * SLOW     # that lines printed before may take to arrive here


def silent(vmm):
    """The guest does not run here: it does not answer, and prints nothing.

    What it printed before it was paused may still be on its way.
    """
    vmm.send("hello")
    end = time.monotonic() + SETTLE_S
    said = -1
    while said != len(vmm.out.lines):
        said = len(vmm.out.lines)
        check(time.monotonic() < end,
              f"{vmm.name}, which must not run, prints lines")
        time.sleep(QUIET_S)
    equal([x.text for x in vmm.out.lines[vmm.mark:] if x.kind == "hello"], [],
          f"answers of {vmm.name}, which must not run")


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
