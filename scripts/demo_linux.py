# SPDX-License-Identifier: MIT
"""The story of scripts/demo-linux: what Ferry did, and what Linux said to it.

Everything is checked, by the lines of the guest's init (docs/guest.md) and by
the machines' events; a cross marks what should not have been.
"""

import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from ferry import BUILD, PAGE, Failed, QmpError, Skip, World  # noqa: E402
from linux_guest import SLOW_ONLY, linux_guest, pages, touch, \
    warnings  # noqa: E402

WORKS = "verify,victim,clock,kmsg,stress-ng"
VICTIMS = 128
PUSH = "1M"     # bytes a second: slow enough to lose memory meanwhile
# Registers that the events name already, and that all is slow
DETAILS = ("]: RIP", "]: TSC", "]: PROCESSOR", "Disabling lock", *SLOW_ONLY)
failures = []


def step(text):
    print("\n" + text, flush=True)


def says(who, text):
    print(f"   {who:<8}{text}", flush=True)


def judge(good, text):
    """One thing that must be so."""
    print(f"   {'✓' if good else '✗'} {text}", flush=True)
    if not good:
        failures.append(text)


def lose(vmm, gpa):
    """Take a page away, as failing memory would. Return: was it there?"""
    try:
        vmm.poison(gpa, method="hwpoison")
    except QmpError:
        return False
    says(vmm.name, f"{gpa:#x} is gone: madvise(MADV_HWPOISON)")
    return True


def met(vmm, n, gpa):
    """The victim touches a lost page. All that follows, beside each other."""
    seen = len(vmm.lines("kmsg"))
    bus = touch(vmm, n)
    if not bus:
        judge(False, f"{gpa:#x} could be read")
        return
    recovered = f"{gpa // PAGE:#x}: recovery action for dirty LRU page: " \
        "Recovered"
    vmm.wait_line("kmsg", test=lambda x: recovered in x.text)
    event = vmm.qmp.wait(lambda: [e for e in vmm.injected()
                                  if e["address"] == gpa], "its event")
    for e in event:
        says(vmm.name, f"machine check for {e['address']:#x}, action required")
    for line in vmm.lines("kmsg")[seen:]:
        if not any(word in line.text for word in DETAILS):
            says("dmesg", line.text.split(" ", 3)[3])
    says("victim", f"SIGBUS, si_code {bus['code']}, si_addr {bus['addr']:#x}, "
         f"si_addr_lsb {bus['lsb']}: it maps a fresh page and goes on")
    addr = vmm.addresses[n]
    judge(len(event) == 1 and (bus["code"], bus["lsb"], bus["addr"]) ==
          (4, 12, addr), f"one machine check, one BUS_MCEERR_AR at {addr:#x}")


def boot(world):
    step("1. Home boots a stock Linux kernel.")
    home = linux_guest(world, f"ferry.work={WORKS} ferry.mib=96 "
                       f"ferry.stress_mib=16 ferry.victims={VICTIMS}",
                       packed="linux-tools.initrd", name="home")
    line = home.lines("boot")[0]
    says("guest", f"Linux {line['kernel']}, {line['cpus']} CPUs, "
         f"{line['mib']} MiB, clock {line['clock']}")
    home.wait_line("tool", test=lambda x: "dispatching" in x.text)
    says("guest", "its init checks 96 MiB again and again, stress-ng --verify "
         "checks more,")
    says("", f"a process holds {VICTIMS} pages, another watches the clocks")
    return home


def move(home, away, world, where):
    """Move it, losing memory meanwhile. Return: the pages lost so far."""
    step("3. It moves, by postcopy, in the middle of a line.")
    lost = [1] if lose(home, where[1]) else []
    home.send("half to be or")
    home.out.wait(lambda _: home.out.partial == "to be or", "half a line")
    says("home", "the guest prints 'to be or'")
    command = ["migrate", "home", away.uri, "--bandwidth", PUSH]
    says("$", "ferry " + " ".join(command))
    with subprocess.Popen([os.path.join(BUILD, "ferry"), *command],
                          env=world.env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as p:
        home.wait_migration("postcopy-active", "completed")
        says("", "the guest runs at away; its pages follow, and some are lost "
             "before they leave:")
        for n in range(VICTIMS - 2, 8, -6):
            if len(lost) < 3 and lose(home, where[n]):
                lost.append(n)
        says("home", "the rest may leave as fast as it can")
        home.qmp.execute("migrate-set-parameters",
                         **{"max-postcopy-bandwidth": 0})
        p.wait()
    judge(len(lost) == 3, "two pages were lost during the move")
    figures = away.wait_migration("completed")
    pages_ = figures["ferry"]["pages"]
    says("away", f"{pages_['demand']} pages on demand, {pages_['push']} "
         f"pushed, {pages_['zero']} zero, {pages_['poison']} poison")
    away.send("rest  not to be")
    away.out.wait(lambda lines: lines, "the other half")
    judge(away.out.lines[0].text == " not to be",
          f"at away it goes on in the same line: '{away.out.lines[0].text}'")
    return lost


def last(home, away, where, lost):
    step("5. Every page is looked at.")
    good = [n for n in range(VICTIMS) if touch(away, n) is None]
    judge(len(good) == VICTIMS, "the victim's pages hold what they should")
    away.ask("sweep", "sweep")
    verdict = away.ask("verdict", "verdict")
    says("guest", verdict.text)
    judge(verdict["bad"] == 0 and verdict["lost"] == 0,
          "not one word of the other 96 MiB is wrong")
    judge(verdict["corrupted_kib"] == 4 * (len(lost) + 1),
          "Linux has taken the lost pages out of use, and no others")
    judge(away.poisoned() == {where[0], *(where[n] for n in lost)},
          "Ferry's list of lost pages says the same")
    away.report()
    clock = away.lines("clock")[-1]
    judge(clock["monotonic_back"] + clock["realtime_back"] +
          clock["tsc_back"] == 0, "no clock has stepped back")
    away.send("stop")
    says("guest", away.wait_line("tool", name="stress-ng", status=0).text)
    others = [x for x in warnings(away) if "mce:" not in x and
              "Memory failure:" not in x and "MCE:" not in x]
    for text in others:
        says("dmesg", text)
    judge(not others, "the kernel warns of nothing else")
    before = len(home.out.text())
    time.sleep(1)
    judge(len(home.out.text()) == before, "home never ran the guest again")
    away.send("exit")
    judge(away.wait_end() == 0, "the guest has turned itself off")


def story(world):
    print("A Linux guest of 2 CPUs and 512 MiB moves from 'home' to 'away'.")
    home = boot(world)
    where = pages(home, "victim")
    addresses = [x["addr"] for x in home.lines("victim")]
    step("2. Memory fails at home, and the guest meets it.")
    home.addresses = addresses
    lose(home, where[0])
    met(home, 0, where[0])
    away = world.receive(name="away", uri=world.uri("tcp"))
    away.addresses = addresses
    lost = move(home, away, world, where)
    step("4. At away the guest meets what was lost at home.")
    for n in lost:
        met(away, n, where[n])
    last(home, away, where, lost)


def main():
    with World() as world:
        try:
            story(world)
        except (Failed, QmpError, Skip) as why:
            judge(False, str(why))
            print(world.log())
    if failures:
        step(f"{len(failures)} of these should not have happened.")
    else:
        step("The guest has moved, with its wounds, and lost nothing else.")
    if "--test" in sys.argv:
        print("not ok demo-linux: see above" if failures else "ok demo-linux")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
