# SPDX-License-Identifier: MIT
"""The steps of scripts/demo-linux: what Ferry does, and how Linux reacts.

Each step is checked, by the lines of the guest's init (docs/guest.md) and by
the machines' events; a cross marks a failed check.
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
PUSH = "1M"     # bytes a second: slow enough to lose memory during the push
# Lines without information: registers that the events contain, slowness
DETAILS = ("]: RIP", "]: TSC", "]: PROCESSOR", "Disabling lock", *SLOW_ONLY)
failures = []


def step(text):
    print("\n" + text, flush=True)


def says(speaker, text):
    print(f"   {speaker:<8}{text}", flush=True)


def judge(good, text):
    """Print a check; record it if it failed."""
    print(f"   {'✓' if good else '✗'} {text}", flush=True)
    if not good:
        failures.append(text)


def lose(vmm, gpa):
    """Lose a page, as failing memory would. Return: False if it was sent."""
    try:
        vmm.poison(gpa, method="hwpoison")
    except QmpError:
        return False
    says(vmm.name, f"{gpa:#x} is lost: madvise(MADV_HWPOISON)")
    return True


def access(vmm, n, gpa):
    """The victim accesses a lost page; print and check all reactions."""
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
         f"si_addr_lsb {bus['lsb']}: it maps a fresh page and continues")
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
    says("guest", "its init checks 96 MiB repeatedly, stress-ng --verify "
         "checks more,")
    says("", f"a process holds {VICTIMS} pages, another watches the clocks")
    return home


def move(home, away, world, where):
    """Migrate it and lose memory meanwhile. Return: the pages lost so far."""
    step("3. It migrates by postcopy, in the middle of a line.")
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
             "before they are sent:")
        for n in range(VICTIMS - 2, 8, -6):
            if len(lost) < 3 and lose(home, where[n]):
                lost.append(n)
        says("home", "the rest is sent without a limit")
        home.qmp.execute("migrate-set-parameters",
                         **{"max-postcopy-bandwidth": 0})
        p.wait()
    judge(len(lost) == 3, "two pages were lost during the migration")
    figures = away.wait_migration("completed")
    pages_ = figures["ferry"]["pages"]
    says("away", f"{pages_['demand']} pages on demand, {pages_['push']} "
         f"pushed, {pages_['zero']} zero, {pages_['poison']} poison")
    away.send("rest  not to be")
    away.out.wait(lambda lines: lines, "the other half")
    judge(away.out.lines[0].text == " not to be",
          f"at away it continues the same line: '{away.out.lines[0].text}'")
    return lost


def last(home, away, where, lost):
    step("5. Every page is checked.")
    good = [n for n in range(VICTIMS) if touch(away, n) is None]
    judge(len(good) == VICTIMS, "the victim's pages have the right contents")
    away.ask("sweep", "sweep")
    verdict = away.ask("verdict", "verdict")
    says("guest", verdict.text)
    judge(verdict["bad"] == 0 and verdict["lost"] == 0,
          "not one word of the other 96 MiB is wrong")
    judge(verdict["corrupted_kib"] == 4 * (len(lost) + 1),
          "Linux has taken the lost pages out of use, and no others")
    judge(away.poisoned() == {where[0], *(where[n] for n in lost)},
          "Ferry's list of lost pages is the same")
    away.report()
    clock = away.lines("clock")[-1]
    judge(clock["monotonic_back"] + clock["realtime_back"] +
          clock["tsc_back"] == 0, "no clock has stepped back")
    away.send("stop")
    says("guest", away.wait_line("tool", name="stress-ng", status=0).text)
    # "mce_notify_irq: N callbacks suppressed": the same message too often
    reports = "mce:", "MCE:", "mce_notify_irq:", "Memory failure:"
    others = [x for x in warnings(away)
              if not any(word in x for word in reports)]
    for text in others:
        says("dmesg", text)
    judge(not others, "the kernel prints no other warning")
    before = len(home.out.text())
    time.sleep(1)
    judge(len(home.out.text()) == before, "home never ran the guest again")
    away.send("exit")
    judge(away.wait_end() == 0, "the guest has powered itself off")


def demo(world):
    print("A Linux guest of 2 CPUs and 512 MiB migrates from 'home' to "
          "'away'.")
    home = boot(world)
    where = pages(home, "victim")
    addresses = [x["addr"] for x in home.lines("victim")]
    step("2. Memory fails at home, and the guest accesses it.")
    home.addresses = addresses
    lose(home, where[0])
    access(home, 0, where[0])
    away = world.receive(name="away", uri=world.uri("tcp"))
    away.addresses = addresses
    lost = move(home, away, world, where)
    step("4. At away the guest accesses what was lost at home.")
    for n in lost:
        access(away, n, where[n])
    last(home, away, where, lost)


def main():
    with World() as world:
        try:
            demo(world)
        except (Failed, QmpError, Skip) as error:
            judge(False, str(error))
            print(world.log())
    if failures:
        step(f"{len(failures)} checks failed.")
    else:
        step("The guest has migrated with its poisoned pages, and lost nothing "
             "else.")
    if "--test" in sys.argv:
        print("not ok demo-linux: see above" if failures else "ok demo-linux")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
