# SPDX-License-Identifier: MIT
"""Memory errors that the host finds before the guest's access; two migrations.

The guest is notified (action optional), and Linux takes the pages out of use:
they cause nothing more. A page of which the guest was not notified causes a
machine check when the guest accesses it, on whichever host it is then.
"""

from ferry import check, equal, soon
from host_memory import host_finds
from linux_guest import clean, kernel_said, linux_guest, pages, recovered, \
    touch

FOUND = [0, 1, 2]       # by the host of a; 0 is accessed there, 1 and 2 never


def notified(vmm, gpas):
    """For each page one event that it was found, and one that the guest was
    notified."""
    events = vmm.qmp.wait(
        lambda: (e := vmm.qmp.seen("MEMORY_FAILURE"),
                 len(e) >= 2 * len(gpas))[1] and e,
        f"{2 * len(gpas)} events")
    equal(sorted((e["address"], e["action"], e["recipient"],
                  e["flags"]["action-required"]) for e in events),
          sorted((gpa, *what, False) for gpa in gpas for what in
                 (("ignore", "hypervisor"), ("inject", "guest"))), "events")


def test_found(world, how):
    """Each page is reported once and stays retired; A to B to C, and more pages
    are lost on the way."""
    vendor, ram = how.split("-")
    a = linux_guest(world, "ferry.work=verify,victim,clock,kmsg ferry.mib=96 "
                    "ferry.mce_poll_s=1", "--cpu-vendor", vendor, "--ram", ram)
    where = pages(a, "victim")
    for n in FOUND:
        # One SIGBUS is pending at a time: the kernel drops a second one
        host_finds(a, where[n])
        a.qmp.wait_event("MEMORY_FAILURE", address=where[n])
    notified(a, [where[n] for n in FOUND])
    for n in FOUND:
        recovered(a, where[n])
    bus = touch(a, 0)
    equal((bus["code"], bus["lsb"]), (4, 12), "SIGBUS by Linux alone")
    a.poison(where[4], method="hwpoison")

    b = world.receive()
    a.migrate(b)
    b.poison(where[5], method="hwpoison")
    b.poison(where[6], method="hwpoison")
    check(touch(b, 6), "page 6, which is lost, could be read")
    recovered(b, where[6])

    c = world.receive(name="c")
    b.migrate(c)
    lost = [*FOUND, 4, 5, 6]
    equal(c.poisoned(), {where[n] for n in lost}, "poison on c")
    for n in 1, 2, 4, 5:
        equal(touch(c, n)["code"], 4, f"page {n}")
    for n in range(16):
        equal(touch(c, n), None, f"page {n} at the second access")
    clean(c, lost=0, corrupted_kib=4 * len(lost))
    for vmm, new in (a, FOUND), (b, [6]), (c, [4, 5]):
        soon(lambda vmm=vmm: sorted(e["address"] for e in vmm.injected()),
             sorted(where[n] for n in new), f"notifications on {vmm.name}")
        soon(lambda vmm=vmm: len(kernel_said(vmm, "recovery action")),
             len(new), f"pages retired on {vmm.name}")


test_found.cases = {"how": ["amd-anon", "intel-memfd"]}
