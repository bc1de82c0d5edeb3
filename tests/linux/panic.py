# SPDX-License-Identifier: MIT
"""A stock Linux kernel that panics reports it through pvpanic."""

from ferry import check, equal
from linux import linux, wait_text

INIT = r"""
for m in /modules/*.ko; do insmod $m; done
for e in /sys/devices/*/QEMU0001*/events /sys/devices/*/*/QEMU0001*/events; do
	test -e $e && echo "pvpanic events=$(cat $e)"
done
echo "up"
echo c >/proc/sysrq-trigger
sleep 1000
"""


def test_panic(world, cpus):
    """The machine is paused at the panic, after the kernel's last messages."""
    a = linux(world, INIT, cpus=cpus)
    wait_text(a, "up")
    equal(a.qmp.wait_event("GUEST_PANICKED"), {"action": "pause"}, "data")
    a.wait_state("guest-panicked")
    equal(a.status()["libvirt"]["reason"], "VIR_DOMAIN_CRASHED_PANICKED",
          "reason")
    wait_text(a, "pvpanic events=3")
    wait_text(a, "Kernel panic - not syncing: sysrq triggered crash")
    check("Rebooting" not in a.out.text(), a.out.text())
    check(not a.qmp.seen("SHUTDOWN"), "the machine ended")


test_panic.cases = {"cpus": [1, 2]}
