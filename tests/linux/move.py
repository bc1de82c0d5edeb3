# SPDX-License-Identifier: MIT
"""A Linux guest migrates under load, and notices nothing."""

from ferry import check, equal
from linux_guest import clean, linux_guest, warnings

WORKS = "verify,victim,clock,kmsg,stress-ng"
CLOCKS = ("monotonic_back", "realtime_back", "tsc_back")


def test_busy(world):
    """More than half of RAM is checked, stress-ng verifies, the clocks advance.

    Half a line is printed before, half after; no byte is wrong, and the kernel
    prints no warning.
    """
    a = linux_guest(world, f"ferry.work={WORKS} ferry.mib=270 "
                    "ferry.stress_mib=24 ferry.touch_ms=20",
                    packed="linux-tools.initrd")
    a.wait_line("tool", test=lambda x: "dispatching" in x.text)
    a.full_pass()
    a.send("mark")
    a.send("half before the migration and")
    b = world.receive()
    a.out.wait(lambda _: a.out.partial == "before the migration and",
               "half a line")
    a.migrate(b)
    b.send("rest  after it")
    b.out.wait(lambda lines: lines, "the other half")
    equal(b.out.lines[0].text, " after it", "the other half")
    b.full_pass()
    clean(b, lost=0, corrupted_kib=0)
    b.report()
    clock = b.lines("clock")[-1]
    equal([clock[c] for c in CLOCKS], [0, 0, 0], f"steps back: {clock.text}")
    check(clock["samples"] > a.lines("clock")[-1]["samples"],
          "the clocks were not read")
    b.send("stop")
    b.wait_line("tool", name="stress-ng", status=0, good=1)
    equal(warnings(b), [], "warnings after the migration")
    b.send("exit")
    equal(b.wait_end(), 0, "exit status")


def test_memtester(world):
    """memtester migrates in the middle of its work."""
    a = linux_guest(world, "ferry.work=memtester,clock,kmsg "
                    "ferry.memtester_mib=2", memory="256M",
                    packed="linux-tools.initrd")
    a.wait_line("tool", test=lambda x: "Loop 1" in x.text)
    b = world.receive()
    a.migrate(b)
    b.wait_line("tool", test=lambda x: x.text.endswith(": ok"))
    b.send("stop")
    b.wait_line("tool", name="memtester", good=1)
    equal(b.ask("verdict", "verdict")["clean"], 1, "verdict")
    equal(warnings(b), [], "warnings after the migration")
