# SPDX-License-Identifier: MIT
"""A stock Linux kernel boots, migrates in the middle of a line, powers off."""

from ferry import check, equal
from linux import linux, wait_text

INIT = r"""
echo "up cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
if grep -q then=reboot /proc/cmdline; then reboot -f; fi
if grep -q then=speak /proc/cmdline; then
	stty -echo
	echo -n "first half and"
	read go
	echo " second half"
fi
echo "end"
poweroff -f
"""


def boot(world, then, *args, cpus=2, **kw):
    a = linux(world, INIT, *args, append="then=" + then, cpus=cpus, **kw)
    wait_text(a, f"up cpus={cpus}")
    return a


def ends(vmm, reason):
    """Linux has ended the machine, and an event has reported it."""
    equal(vmm.wait_end(), 0, "exit status")
    vmm.qmp.wait_event("SHUTDOWN", reason=reason)


def test_moves_in_mid_sentence(world):
    """Half a line is printed before the migration, half after it; then Linux
    powers off."""
    a = boot(world, "speak")
    b = world.receive()
    a.out.wait(lambda _: a.out.partial == "first half and", "half a line")
    a.migrate(b)
    b.send("go")
    wait_text(b, "end")
    equal((a.out.partial, b.out.lines[0].text.rstrip("\r")),
          ("first half and", " second half"), "the halves")
    check("BUG" not in b.out.text() and "WARNING" not in b.out.text(),
          b.out.text())
    ends(b, "guest-shutdown")


def test_no_reboot(world):
    """With --no-reboot, a reboot ends the machine and is reported as a
    reset."""
    ends(boot(world, "reboot", "--no-reboot"), "guest-reset")


def test_elf(world):
    """A vmlinux, which starts by PVH: all CPUs, kvmclock, power-off."""
    a = boot(world, "end", elf=True)
    wait_text(a, "clock kvm-clock")
    ends(a, "guest-shutdown")
