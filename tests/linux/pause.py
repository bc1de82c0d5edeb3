# SPDX-License-Identifier: MIT
"""A Linux guest is paused for longer than its watchdogs allow, and notices
nothing."""

import time

from ferry import check
from linux import linux, wait_text

# Soft lockups are reported after twice the threshold, and RCU stalls after the
# timeout, in seconds; the pause is longer
INIT = r"""
echo 5 >/proc/sys/kernel/watchdog_thresh
echo 10 >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
dmesg -c >/messages
echo "it listens"
while read word; do
	case $word in
	time*)	read seconds rest </proc/uptime; echo "$word $seconds" ;;
	watch*)	sleep 5; echo "$word end"; dmesg | grep -iE "lockup|stall|hung" |
			sed "s/^/dmesg /"; echo "$word all" ;;
	esac
done
"""
PAUSE = 15      # s


def uptime(vmm, word):
    """The guest's clock in s, and this host's before and after it was read."""
    before = time.monotonic()
    vmm.send(word)
    return float(wait_text(vmm, word + " ").split()[1]), before, \
        time.monotonic()


def check_unnoticed(vmm, begin, end, paused):
    """The clock stood still for this many s, and no watchdog has fired."""
    passed = end[0] - begin[0]
    check(0 <= passed <= end[2] - begin[1] - paused + 0.1,
          f"{passed} s passed in the guest, {end[2] - begin[1]} s outside, "
          f"{paused} s of them paused")
    vmm.send("watch")
    wait_text(vmm, "watch all")
    text = vmm.out.text()
    check("dmesg " not in text, text)


def test_pause(world):
    """Stopped and continued; stopped, moved and continued."""
    a = linux(world, INIT, cpus=1)
    wait_text(a, "it listens")
    begin = uptime(a, "time1")
    a.qmp.execute("stop")
    time.sleep(PAUSE)
    a.qmp.execute("cont")
    check_unnoticed(a, begin, uptime(a, "time2"), PAUSE)

    b = world.receive()
    begin = uptime(a, "time3")
    a.qmp.execute("stop")
    time.sleep(PAUSE)
    a.migrate(b)
    b.qmp.execute("cont")
    check_unnoticed(b, begin, uptime(b, "time4"), PAUSE)
