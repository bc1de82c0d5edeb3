# SPDX-License-Identifier: MIT
"""Checks of poisoned pages at the end of a test."""

from ferry import PAGE, check, equal

# MCi_STATUS and MCG_STATUS of a consumed error (SDM and APM, as in docs)
CONSUMED = {
    "amd": (0xbc00080000000000, 0x7),
    "intel": (0xbd80000000000134, 0x7),
}


def touched(vmm, pages, vendor=None):
    """The guest has accessed exactly these poisoned pages on this machine, and
    got one machine check for each.

    Lets the guest check its whole data area first. The events, the list of
    query-status and the guest's own lines must agree.
    """
    pages = set(pages)
    vmm.sweep()
    events = vmm.wait_injected(len(pages)) if pages else vmm.injected()
    equal(sorted(e["address"] for e in events), sorted(pages),
          f"{vmm.name}: addresses of injected machine checks")
    for e in events:
        equal((e["recipient"], e["size"], e["flags"]),
              ("guest", PAGE, {"action-required": True, "recursive": False}),
              f"event {e}")
    consumed = vmm.lines("mce", kind="ar")
    equal(sorted(x["addr"] & ~(PAGE - 1) for x in consumed), sorted(pages),
          f"{vmm.name}: addresses in the guest's machine checks")
    for x in consumed if vendor else []:
        equal((x["status"], x["mcgstatus"]), CONSUMED[vendor], x.text)
    delivered = vmm.poisoned(delivered=True)
    check(pages <= delivered, "not marked as delivered:",
          [hex(p) for p in pages - delivered])


def all_seen(vmm, pages, vendor=None):
    """The guest expected these pages (expect()), accessed each, and found
    nothing wrong."""
    touched(vmm, pages, vendor)
    equal(vmm.poisoned(), set(pages), f"{vmm.name}: poisoned pages")
    vmm.verdict(expected=len(pages), seen=len(pages), readable=0,
                unexpected=0)


def scattered(first, n, step=7):
    """Indices of pages that are not adjacent."""
    return [first + i * step for i in range(n)]
