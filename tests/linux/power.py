# SPDX-License-Identifier: MIT
"""A stock Linux kernel shuts down when its ACPI power button is pressed."""

from ferry import equal, soon
from linux import BOOT, linux, wait_text

INIT = r"""
for m in /modules/*.ko; do insmod $m; done
mount -t devtmpfs dev /dev
for e in /sys/class/input/event*; do
	grep -q "Power Button" $e/device/name && button=/dev/input/${e##*/}
done
# An event reaches only who has opened the device before it
exec 3<$button
echo "it waits for $button"
dd of=/key bs=24 count=1 <&3 2>/dev/null
echo "the button was pressed"
poweroff -f
"""


def test_powerdown(world, moved):
    """Linux learns of the button also where it has migrated to."""
    a = linux(world, INIT)
    wait_text(a, "it waits for /dev/input/event")
    if moved:
        b = world.receive()
        a.migrate(b)
        a = b
    equal(a.out.text().count("was pressed"), 0, "presses")
    world.ferry("powerdown", a.name)
    wait_text(a, "the button was pressed")
    equal(a.wait_end(BOOT), 0, "exit status")
    soon(lambda: a.qmp.seen("SHUTDOWN"), [
        {"guest": True, "reason": "guest-shutdown", "exit-status": 0}],
        "SHUTDOWN")
    equal(len(a.qmp.seen("POWERDOWN")), 1, "POWERDOWN events")


test_powerdown.cases = {"moved": [False, True]}
