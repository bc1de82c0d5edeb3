# SPDX-License-Identifier: MIT
"""A stock Linux kernel reboots: the machine is reset, its poison is cleared."""

from ferry import MIB, check, equal
from linux import BOOT, linux, wait_text

INIT = r"""
mount -t devtmpfs none /dev
mount -t tmpfs -o size=90% none /modules
free=$(dd if=/proc/kpageflags bs=8 skip=32768 2>/dev/null |
	od -A n -v -t x8 -w8 | tr -d ' ' |
	awk 'NR % 1024 == 1 && substr($1, 14, 1) ~ /[4567c-f]/ { n = NR }
	     END { print n ? n + 32767 : "none" }')
echo "free pfn=$free"
echo "up cpus=$(grep -c ^processor /proc/cpuinfo) $(grep MemTotal /proc/meminfo)"
while read word; do
	case $word in
	fill)	dd if=/dev/zero of=/modules/f bs=1M count=140 &&
			echo "fil""led all" ;;
	again)	reboot -f ;;
	off)	poweroff -f ;;
	esac
done
"""
# The guest looks for a free block of 4 MiB, by the BUDDY flag (bit 10) in
# /proc/kpageflags, Linux's Documentation/admin-guide/mm/pagemap.rst. The page
# allocator uses such a block last, so that the kernel does not access the
# poison in the middle of it while it shuts down


def boots(vmm):
    """The line that the init prints at each boot."""
    with vmm.out.changed:
        return [x.text for x in vmm.out.lines if x.text.startswith("up cpus=")]


def found(line):
    """(vCPUs, bytes of memory) of a line "up cpus=N MemTotal: N kB"."""
    words = line.split()
    return words[1], int(words[3]) * 1024


def wait_boot(vmm, n):
    wait_text(vmm, "up cpus=")
    vmm.out.wait(lambda _: len(boots(vmm)) >= n, f"boot number {n}", BOOT)


def test_reboot_after_poison(world, cpus):
    """After a reboot the list is empty, and all of RAM can be used."""
    a = linux(world, INIT, cpus=cpus)
    wait_boot(a, 1)
    pfn = wait_text(a, "free pfn=").split("=")[1].strip()
    check(pfn != "none", "the guest finds no free block of 4 MiB")
    a.poison((int(pfn) + 512) * 4096, 16)
    equal(len(a.poisoned()), 16, "poisoned pages")
    a.send("again")
    equal(a.qmp.wait_event("RESET"),
          {"guest": True, "reason": "guest-reset"}, "RESET")
    wait_boot(a, 2)
    equal(a.status()["poisoned"], [], "poison after the reboot")
    (cpus_1, memory_1), (cpus_2, memory_2) = map(found, boots(a))
    equal(cpus_2, cpus_1, "vCPUs that the kernel finds")
    # The kernel's own early allocations differ by some pages
    check(abs(memory_2 - memory_1) < MIB, "MemTotal was", memory_1, "and is",
          memory_2)
    a.send("fill")
    wait_text(a, "filled all")
    a.send("off")
    equal(a.wait_end(), 0, "exit status")
    a.qmp.wait_event("SHUTDOWN", reason="guest-shutdown")


test_reboot_after_poison.cases = {"cpus": [1, 2]}
