# SPDX-License-Identifier: MIT
"""A guest that prints without being asked (work=talk) shows which side runs it."""

import time

from ferry import check, equal

CPUS = 3


def test_talk(world):
    """Each vCPU prints at the source, then each at the destination alone."""
    a = world.run("work=talk period_us=20000 mib=1", cpus=CPUS).ready()
    for cpu in range(CPUS):
        a.wait_line("talk", vcpu=cpu, n=2)
    b = world.receive()
    time.sleep(0.2)
    check(not b.lines("talk"), "a vCPU ran at the destination before it came")
    a.migrate(b)
    for cpu in range(CPUS):
        b.out.wait(lambda _, c=cpu: len(b.lines("talk", vcpu=c)) > 2,
                   f"lines of vCPU {cpu}")
    # All that the source has printed is known when it has ended. If it had run
    # the guest after the hand-over, its last line would not come before the
    # destination's first one
    a.qmp.execute("quit")
    equal(a.wait_end(), 0, "exit status of the source")
    a.out.thread.join()
    for cpu in range(CPUS):
        last = max(line["n"] for line in a.lines("talk", vcpu=cpu))
        first = b.lines("talk", vcpu=cpu)[0]["n"]
        # One line may have its halves on both sides
        check(last < first <= last + 2, f"vCPU {cpu}: line {first} at the "
              f"destination after line {last} at the source")
