# SPDX-License-Identifier: MIT
"""A reset: empty memory, no poison, and the guest boots again."""

import os
import shutil
import time

from crossing import begin, finish, in_postcopy
from ferry import BUILD, check, equal, page, soon

SANITIZERS = {"address", "thread"}

BUSY = "work=verify mib=16"
GUEST = {"guest": True, "reason": "guest-reset"}
HOST = {"guest": False, "reason": "host-qmp-system-reset"}


def boots(vmm):
    return len(vmm.lines("boot"))


def wait_boot(vmm, n, how):
    """Wait for boot number n, and for the event of the reset before it."""
    vmm.out.wait(lambda lines: len([x for x in lines if x.kind == "ready"])
                 >= n, f"boot number {n}")
    soon(lambda: vmm.qmp.seen("RESET")[-1:], [how], "event RESET")


def check_fresh(vmm, busy=True):
    """Every page can be used, and none is poisoned."""
    equal(vmm.status()["poisoned"], [], "poison after a reset")
    equal(vmm.state(), "running", "state after a reset")
    if busy:
        vmm.full_pass()
    vmm.sweep()
    vmm.verdict(mce=0, seen=0)


def test_clears_poison(world, ram, how):
    """Poison is cleared, whether the guest has consumed it or not."""
    a = world.run(BUSY, "--ram", ram, cpus=4).ready()
    a.poison_pages([page(3), page(1000)])
    a.expect([page(3), page(1000)])
    a.sweep()
    a.verdict(seen=2)
    a.qmp.execute("stop")
    a.poison(page(17))
    equal(len(a.poisoned()), 3, "poisoned pages before")
    a.qmp.execute("cont")
    if how == "host":
        a.qmp.execute("system_reset")
    else:
        a.send("reset" if how == "acpi" else "reset keyboard")
    wait_boot(a, 2, HOST if how == "host" else GUEST)
    check_fresh(a)
    equal([a.qmp.seen("STOP")[1:], a.qmp.seen("SHUTDOWN")], [[], []],
          "STOP and SHUTDOWN events")


test_clears_poison.cases = {"ram": ["anon", "memfd"],
                            "how": ["acpi", "keyboard", "host"]}


def test_again_and_again(world):
    """Four resets in a row, with all vCPUs; the guest's clock goes on."""
    start = time.monotonic()
    a = world.run("work=token mib=8", cpus=4).ready()
    for n in range(2, 6):
        a.send("reset")
        wait_boot(a, n, GUEST)
        a.working()
    guest_us = a.report()["t_us"]
    real_us = (time.monotonic() - start) * 1e6
    check(guest_us < real_us * 1.01, guest_us, "us of guest time, but",
          real_us, "us since the machine's start")


def test_paused_stays_paused(world):
    """A stopped guest is reset, and starts at the next cont."""
    a = world.run(BUSY).ready()
    a.qmp.execute("stop")
    world.ferry("reset", "a")
    equal(a.qmp.wait_event("RESET"), HOST, "event")
    a.wait_state("prelaunch")
    equal(boots(a), 1, "boots")
    a.qmp.execute("cont")
    wait_boot(a, 2, HOST)
    check_fresh(a)


def test_out_of_a_panic(world):
    """A guest that has panicked is reset, and can be started."""
    a = world.run(BUSY).ready()
    a.send("panic")
    a.wait_state("guest-panicked")
    a.qmp.execute("system_reset")
    a.wait_state("prelaunch")
    a.qmp.execute("cont")
    wait_boot(a, 2, HOST)
    check_fresh(a)


def test_no_reboot(world):
    """With --no-reboot a reset ends the machine."""
    a = world.run(BUSY, "--no-reboot").ready()
    a.send("reset")
    equal(a.wait_end(), 0, "exit status")
    soon(lambda: a.qmp.seen("SHUTDOWN"), [{**GUEST, "exit-status": 0}],
         "SHUTDOWN")
    equal((a.qmp.seen("RESET"), boots(a)), ([], 1), "RESET events, boots")


def test_no_reboot_moves(world, where):
    """--no-reboot is in effect wherever the guest moves afterwards."""
    a = world.run(BUSY, *["--no-reboot"] * (where == "run")).ready()
    b = world.receive(*["--no-reboot"] * (where == "receive"))
    c = world.receive(name="c")
    a.migrate(b)
    b.full_pass()
    b.migrate(c)
    c.full_pass()
    c.send("reset")
    equal(c.wait_end(), 0, "exit status")
    equal((c.qmp.seen("RESET"), boots(c)), ([], 0), "RESET events, boots")


test_no_reboot_moves.cases = {"where": ["run", "receive"]}


def test_where_it_arrived(world):
    """On each destination the guest boots from the images of its first
    start."""
    a = world.run(BUSY, cpus=2).ready()
    b, c = world.receive(), world.receive(name="c")
    a.poison(page(5))
    a.migrate(b)
    a.qmp.execute("quit")
    b.poison(page(6))
    equal(len(b.poisoned()), 2, "poisoned pages there")
    b.send("reset")
    wait_boot(b, 1, GUEST)
    check_fresh(b)
    b.migrate(c)
    b.qmp.execute("quit")
    c.full_pass()
    c.send("reset")
    wait_boot(c, 1, GUEST)
    check_fresh(c)


def test_while_pages_arrive(world, how):
    """A reset in postcopy waits until all pages are present; the guest stands
    still meanwhile."""
    a, b, relay = in_postcopy(world, "work=idle mib=48")
    if how == "guest":
        b.send("reset")
    else:
        b.qmp.execute("system_reset")
    b.said("the reset waits")
    equal(b.qmp.seen("RESET"), [], "RESET events before all pages are present")
    b.wait_migration("postcopy-active")
    finish(a, b, relay)
    wait_boot(b, 1, GUEST if how == "guest" else HOST)
    check_fresh(b, busy=False)


test_while_pages_arrive.cases = {"how": ["guest", "host"]}


def test_while_it_waits(world, cpus):
    """Reset while a vCPU waits for a page, halted by KVM (asynchronous
    fault)."""
    a, b, relay = begin(world, "work=verify mib=48", cpus=cpus)
    # From the workload's pages on: touched in ring 3, with interrupts on
    relay.hold_answers(page(0))
    a.start_migration(relay.uri)
    relay.unanswered()
    b.qmp.execute("system_reset")
    b.said("the reset waits")
    relay.release()
    b.wait_migration("completed")
    wait_boot(b, 1, HOST)
    check_fresh(b)


test_while_it_waits.cases = {"cpus": [1, 2]}


def test_during_migration(world):
    """A reset at any moment of a migration: the guest boots once, on one
    side."""
    for i in range(4):
        a = world.run("work=verify mib=8", name=f"a{i}", cpus=2).ready()
        b = world.receive(name=f"b{i}")
        a.send("reset")
        a.start_migration(b.uri)
        a.wait_migration("completed")
        b.wait_migration("completed")
        soon(lambda: len(a.qmp.seen("RESET") + b.qmp.seen("RESET")), 1,
             "RESET events on both sides")
        b.working()
        check_fresh(b)
        a.end()
        b.end()


def test_not_where_it_left(world):
    """The source cannot reset a guest that it has handed over."""
    a, b = world.run(BUSY).ready(), world.receive()
    b.refused("no guest", "system_reset")
    a.migrate(b)
    a.refused("can't be reset", "system_reset")
    b.full_pass()
    b.verdict()


def test_file_is_gone(world):
    """The guest boots from the image as it was at its first start."""
    kernel = world.path("kernel")
    shutil.copy(os.path.join(BUILD, "guest.elf"), kernel)
    a = world.start("a", ["run", "--name", "a", "--memory", "64M", "--kernel",
                          kernel, "--append", BUSY]).ready()
    os.unlink(kernel)
    a.send("reset")
    wait_boot(a, 2, GUEST)
    check_fresh(a)
