# SPDX-License-Identifier: MIT
"""Memory failure that the host's kernel finds before any access (scrubbing)."""

import os
import struct

from errors import Failed, Skip
from ferry import MIB, PAGE

OFFLINE = "/sys/devices/system/memory/hard_offline_page"
PRESENT, PFN = 1 << 63, (1 << 55) - 1


def ram_base(vmm, mib):
    """Address of RAM in a machine's process: one mapping for up to 3 GiB."""
    with open(f"/proc/{vmm.process.pid}/maps", encoding="ascii") as f:
        for line in f:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            if end - start == mib * MIB:
                return start
    raise Failed(f"no mapping of {mib} MiB in {vmm.name}")


def host_page(vmm, gpa, mib):
    """Host-physical address of a guest's page."""
    with open(f"/proc/{vmm.process.pid}/pagemap", "rb", buffering=0) as f:
        f.seek((ram_base(vmm, mib) + gpa) // PAGE * 8)
        entry, = struct.unpack("Q", f.read(8))
    if not entry & PRESENT:
        raise Failed(f"{vmm.name} has no page at {gpa:#x}")
    return (entry & PFN) * PAGE


def host_finds(vmm, gpa, mib=512):
    """Let the host's kernel take a guest's page out of use, without an
    access."""
    if not os.path.exists(OFFLINE):
        raise Skip("this kernel has no CONFIG_MEMORY_FAILURE")
    vmm.world.need_hwpoison()
    where = host_page(vmm, gpa, mib)
    with open(OFFLINE, "w", encoding="ascii") as f:
        f.write(hex(where))
