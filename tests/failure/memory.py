# SPDX-License-Identifier: MIT
"""More memory than the host can hold."""

import os
import subprocess

from errors import WAIT
from ferry import BUILD, MIB, PAGE, Skip, check, equal

TDP_MMU = "/sys/module/kvm/parameters/tdp_mmu"
LARGEST = 16 << 40
TABLES = LARGEST // PAGE * 10       # vmm/kvm/x86_slot_cost.h


def test_tables_of_kvm(world, ram):
    """A guest for which KVM's own tables do not fit into the host is refused,
    and the text says how much is missing.

    If it were not refused, the host would run out of memory: then this process
    is the first that its OOM killer ends.
    """
    with open("/proc/meminfo", encoding="ascii") as f:
        free = next(int(x.split()[1]) << 10 for x in f
                    if x.startswith("MemAvailable"))
    if not os.path.exists(TDP_MMU):
        raise Skip(f"no {TDP_MMU}")
    with open(TDP_MMU, encoding="ascii") as f:
        if f.read(1) != "N":
            raise Skip("KVM allocates no tables in advance here")
    if free > TABLES - 1024 * MIB:
        raise Skip("this host has enough memory")
    p = subprocess.run(
        ["choom", "-n", "1000", "--", f"{BUILD}/ferry", "run", "--name", "a",
         "--memory", "16T", "--ram", ram, "--kernel", f"{BUILD}/guest.elf"],
        env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=WAIT, check=False)
    text = p.stderr.decode()
    equal(p.returncode, 1, f"exit status ({text})")
    for word in "16384.0 GiB of RAM", "need 40.0 GiB", "--memory":
        check(word in text, f"'{word}' is not in: {text}")


test_tables_of_kvm.cases = {"ram": ["anon", "memfd"]}
