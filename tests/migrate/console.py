# SPDX-License-Identifier: MIT
"""What people see of a migration: serial port, clock, pauses, states."""

import time

from ferry import check, equal, soon

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=16"


def test_half_a_line(world):
    """A line begun on the source ends on the destination."""
    a, b = world.run(BUSY, cpus=2).ready(), world.receive()
    a.send("half The guest was here,")
    a.out.wait(lambda _: a.out.partial == "The guest was here,",
               "the first half")
    a.migrate(b)
    b.send("rest and then it was there.")
    equal(b.out.wait(lambda lines: lines, "the other half")[0].text,
          "and then it was there.", "first line on the destination")
    equal(a.out.partial, "The guest was here,", "the source's last line")
    b.sweep()
    b.verdict()


def test_input_before_and_after(world):
    """The port answers on the side where the guest is."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.ask("hello here", "hello")
    a.migrate(b)
    b.ask("hello there", "hello")
    equal(b.lines("hello")[-1].text, "hello there", "answer")
    equal(len(a.lines("hello")), 1, "answers on the source")


def test_input_typed_before_it_arrives(world):
    """What is typed at the destination waits there for the guest."""
    a, b = world.run(BUSY).ready(), world.receive()
    b.send("hello early")
    a.migrate(b)
    equal(b.wait_line("hello").text, "hello early", "answer")


def test_input_travels(world):
    """What the port has taken, and the guest not yet read, is state."""
    a, b = world.run(BUSY).ready(), world.receive()
    a.qmp.execute("stop")
    a.send("hello 16550")
    for _ in range(5):          # turns of the loop that reads what is typed
        a.status()
    a.migrate(b)
    b.qmp.execute("cont")
    equal(b.wait_line("hello").text, "hello 16550", "answer")


def test_clock(world, cpus):
    """The guest's time goes on: never back, and not ahead of real time."""
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
    """A guest that was stopped by hand arrives stopped, and goes on there."""
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
    """A guest that was never started boots where it arrives."""
    a, b = world.run(BUSY, "--paused", cpus=2), world.receive()
    equal(a.state(), "prelaunch", "state here")
    a.migrate(b)
    check(not b.status()["running"], "it runs there without being told")
    b.qmp.execute("cont")
    b.ready()
    b.sweep()
    b.verdict()


def test_sleeper(world):
    """A guest whose vCPUs all sleep is carried, and wakes when typed at."""
    a = world.run("work=idle period_us=3600000000 mib=4", cpus=4).ready()
    b = world.receive()
    a.migrate(b)
    b.ask("hello sleeper", "hello")
    b.sweep()
    b.verdict()


def test_states_and_events(world):
    """Both sides go through their states, in words and in events."""
    a, b = world.run(BUSY).ready(), world.receive()
    equal(b.state(), "inmigrate", "state of who waits")
    equal(b.migration()["status"], "none", "migration of who waits")
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


def test_gone_is_gone(world):
    """Where a guest was handed over it can't be run or migrated again."""
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
