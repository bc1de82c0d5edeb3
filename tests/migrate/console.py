# SPDX-License-Identifier: MIT
"""What a user sees of a migration: serial port, clock, pauses, states."""

import os
import time

from ferry import BUILD, check, equal, soon

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=16"


def test_quiet(world):
    """A guest prints reports only when it is asked for them, by default."""
    a = world.start("a", ["run", "--name", "a", "--memory", "64M", "--kernel",
                          os.path.join(BUILD, "guest.elf"), "--append", BUSY])
    end = a.wait_line("ready")["t_us"] + 2500000
    asked = 1
    while a.report()["t_us"] < end:
        asked += 1
        time.sleep(0.1)
    equal(len(a.lines("report")), asked, "reports")


def test_half_a_line(world):
    """A line that the guest begins on the source ends on the destination."""
    a, b = world.run(BUSY, cpus=2).ready(), world.receive()
    a.send("half The guest was here,")
    a.out.wait(lambda _: a.out.partial == "The guest was here,",
               "the first half")
    a.migrate(b)
    b.send("rest and then it was there.")
    equal(b.out.wait(lambda lines: lines, "the other half")[0].text,
          "and then it was there.", "first line on the destination")
    equal(a.out.partial, "The guest was here,", "the last line of the source")
    b.sweep()
    b.verdict()


def test_input_before_and_after(world):
    """The serial port answers on the side where the guest runs."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.ask("hello here", "hello")
    a.migrate(b)
    b.ask("hello there", "hello")
    equal(b.lines("hello")[-1].text, "hello there", "answer")
    equal(len(a.lines("hello")), 1, "answers on the source")


def test_input_typed_before_it_arrives(world):
    """Input typed at the destination before the guest arrives is not lost."""
    a, b = world.run(BUSY).ready(), world.receive()
    b.send("hello early")
    a.migrate(b)
    equal(b.wait_line("hello").text, "hello early", "answer")


def test_input_travels(world):
    """Input in the port's FIFO that the guest has not read migrates with
    it."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.qmp.execute("stop")
    a.send("hello 16550")
    for _ in range(5):          # turns of the event loop that reads the input
        a.status()
    a.migrate(b)
    b.qmp.execute("cont")
    equal(b.wait_line("hello").text, "hello 16550", "answer")


def test_clock(world, cpus):
    """The guest's clock never steps back, and does not run ahead of real
    time."""
    a, b = world.run(BUSY, cpus=cpus).ready(), world.receive()
    begin = time.monotonic()
    before = a.report()["t_us"]
    a.migrate(b)
    after = b.report()["t_us"]
    real = (time.monotonic() - begin) * 1e6
    check(after > before, f"time went back from {before} to {after}")
    check(after - before <= real * 1.01 + 1000,
          f"{after - before} us passed in the guest, {real} outside")
    check(b.report()["t_us"] > after, "time stands still")


test_clock.cases = {"cpus": [1, 4]}


def test_paused_stays_paused(world):
    """A guest that was stopped by command arrives stopped, and can be
    resumed."""
    a, b = world.run(BUSY, cpus=2).ready(), world.receive()
    a.qmp.execute("stop")
    a.migrate(b)
    st = b.status()
    equal((st["status"], st["running"]), ("paused", False), "state there")
    equal(b.out.lines, [], "output while stopped")
    b.qmp.execute("cont")
    equal(b.state(), "running", "state after cont")
    b.full_pass()
    b.sweep()
    b.verdict()


def test_never_run(world):
    """A guest that was never started boots at the destination."""
    a, b = world.run(BUSY, "--paused", cpus=2), world.receive()
    equal(a.state(), "prelaunch", "state here")
    a.migrate(b)
    check(not b.status()["running"], "it runs there without a command")
    b.qmp.execute("cont")
    b.ready()
    b.sweep()
    b.verdict()


def test_sleeper(world):
    """A guest whose vCPUs all sleep migrates, and wakes up for input."""
    a = world.run("work=idle period_us=3600000000 mib=4", cpus=4).ready()
    b = world.receive()
    a.migrate(b)
    b.ask("hello sleeper", "hello")
    b.sweep()
    b.verdict()


def test_states_and_events(world):
    """Both sides report each state, in their status and in events."""
    a, b = world.run(BUSY).ready(), world.receive()
    equal(b.state(), "inmigrate", "state of the destination")
    equal(b.migration()["status"], "none", "migration of the destination")
    b.refused("no guest has arrived", "cont")
    a.migrate(b)
    a.wait_state("postmigrate")
    st, there = a.status(), b.status()
    equal(st["libvirt"]["reason"], "VIR_DOMAIN_SHUTOFF_MIGRATED", "here")
    equal(there["libvirt"]["reason"], "VIR_DOMAIN_RUNNING_MIGRATED", "there")
    equal((st["side"], there["side"]), ("source", "destination"), "sides")
    for vmm in a, b:
        soon(lambda vmm=vmm: [w for e in vmm.qmp.seen("MIGRATION")
                              if (w := e["status"]) != "setup"],
             ["device", "postcopy-active", "completed"], "MIGRATION events")
    a.qmp.wait_event("STOP")
    b.qmp.wait_event("RESUME")
    # A new reason alone is no event: both have had several
    equal((len(a.qmp.seen("STOP")), len(b.qmp.seen("RESUME"))), (1, 1),
          "STOP and RESUME events")


def test_gone_is_gone(world):
    """A source that has handed over its guest can neither run nor migrate
    it."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.migrate(b)
    a.wait_state("postmigrate")
    a.refused("postmigrate", "cont")
    a.refused("postmigrate", "migrate", uri=world.uri())
    said = len(a.out.lines)
    b.full_pass()
    equal(len(a.out.lines), said, "lines of the source")
    a.qmp.execute("quit")
    equal(a.wait_end(), 0, "exit status of the source")
    b.full_pass()
    b.sweep()
    b.verdict()
