# SPDX-License-Identifier: MIT
"""A stock Linux kernel reboots: the machine is reset, poison is forgotten."""

from ferry import MIB, check, equal
from linux import BOOT, linux, wait_text

INIT = r"""
mount -t devtmpfs none /dev
mount -t tmpfs -o size=90% none /modules
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
# Of 256 MiB, in the middle. Should the kernel touch it on its way down it panics,
# and reboots for that reason (panic=-1)
SOMEWHERE = 160 * MIB


def boots(vmm):
    """What it has said of itself at each start."""
    with vmm.out.changed:
        return [x.text for x in vmm.out.lines if x.text.startswith("up cpus=")]


def wait_boot(vmm, n):
    wait_text(vmm, "up cpus=")
    vmm.out.wait(lambda _: len(boots(vmm)) >= n, f"boot number {n}", BOOT)


def test_reboot_after_poison(world, cpus):
    """The list is cleared, the pages are fresh, all of its RAM can be used."""
    a = linux(world, INIT, cpus=cpus)
    wait_boot(a, 1)
    a.poison(SOMEWHERE, 16)
    equal(len(a.poisoned()), 16, "poisoned pages")
    a.send("again")
    equal(a.qmp.wait_event("RESET", 120), {"guest": True,
                                          "reason": "guest-reset"}, "RESET")
    wait_boot(a, 2)
    equal(a.status()["poisoned"], [], "poison after the reboot")
    equal(boots(a)[1], boots(a)[0], "what it finds")
    a.send("fill")
    wait_text(a, "filled all")
    a.send("off")
    equal(a.wait_end(120), 0, "exit status")
    check(a.qmp.seen("SHUTDOWN", reason="guest-shutdown"), "no SHUTDOWN")


test_reboot_after_poison.cases = {"cpus": [1, 2]}
