# SPDX-License-Identifier: MIT
"""A stock Linux kernel boots, is moved in mid-sentence, and turns itself off."""

from ferry import check, equal
from linux import linux, wait_text

INIT = r"""
echo "up cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
if grep -q then=reboot /proc/cmdline; then reboot -f; fi
if grep -q then=speak /proc/cmdline; then
	n=0
	while [ $n -lt 4 ]; do
		echo -n "before after-$n and"
		sleep 2
		echo " behind"
		n=$((n + 1))
	done
fi
echo "end"
poweroff -f
"""


def boot(world, then, *args, cpus=2, **kw):
    a = linux(world, INIT, *args, append="then=" + then, cpus=cpus, **kw)
    wait_text(a, f"up cpus={cpus}")
    return a


def ends(vmm, reason):
    """Linux has ended the machine, and people were told."""
    equal(vmm.wait_end(), 0, "exit status")
    vmm.qmp.wait_event("SHUTDOWN", reason=reason)


def test_moves_in_mid_sentence(world):
    """Half a line is printed before, half after; then it powers off."""
    a = boot(world, "speak")
    b = world.receive()
    a.out.wait(lambda _: "before after" in a.out.partial, "half a line")
    a.migrate(b)
    b.out.wait(lambda lines: any(x.text.strip() == "end" for x in lines),
               "the end of the story")
    whole = a.out.partial + b.out.lines[0].text.rstrip("\r")
    check(whole.startswith("before after") and whole.endswith("and behind"),
          f"the other half: {b.out.text()}")
    check("BUG" not in b.out.text() and "WARNING" not in b.out.text(),
          b.out.text())
    ends(b, "guest-shutdown")


def test_no_reboot(world):
    """What Linux means as a reboot is no power-off to who watches."""
    ends(boot(world, "reboot", "--no-reboot"), "guest-reset")


def test_elf(world):
    """A vmlinux, which starts by PVH: all CPUs, kvmclock, power-off."""
    a = boot(world, "end", elf=True)
    wait_text(a, "clock kvm-clock")
    ends(a, "guest-shutdown")
