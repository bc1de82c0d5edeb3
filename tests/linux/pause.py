# SPDX-License-Identifier: MIT
"""A Linux guest that was paused for long reports no lockup.

Its RCU may report a stall nevertheless: in Linux 6.12 the first watchdog that
sees PVCLOCK_GUEST_STOPPED clears it for all.
"""

import time

from ferry import check
from linux import linux, wait_text

# Linux reports a soft lockup after twice the threshold
INIT = r"""
echo 4 >/proc/sys/kernel/watchdog_thresh
echo "threshold=$(cat /proc/sys/kernel/watchdog_thresh)"
n=0
while :; do sleep 1; n=$((n + 1)); echo "tick=$n"; done
"""
PAUSE = 25


def test_pause(world, cpus):
    """stop, and cont three thresholds later: no lockup, the guest goes on."""
    a = linux(world, INIT, cpus=cpus)
    wait_text(a, "threshold=4")
    wait_text(a, "tick=2")
    a.qmp.execute("stop")
    time.sleep(PAUSE)
    before = len(a.out.text())
    a.qmp.execute("cont")
    a.out.wait(lambda _: a.out.text()[before:].count("tick=") > 10, "ticks")
    check("soft lockup" not in a.out.text(), a.out.text())


test_pause.cases = {"cpus": [1, 2]}
