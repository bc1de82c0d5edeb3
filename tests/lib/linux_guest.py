# SPDX-License-Identifier: MIT
"""A stock Linux kernel with guest/linux's init in it (`make linux`).

Its lines are docs/guest.md's. So are its commands, and Vmm's own report(),
ask() and wait_line() are of use.
"""

import os
import subprocess

from errors import SLOW, Skip
from ferry import BUILD, PAGE, check, equal
from linux import APPEND, BOOT

# What Linux says of its own accord when everything takes too long, as it does
# under emulation: an interrupt waited for a page, a clock was watched too late
# or read too slowly. A clock that went wrong is told of as "skew"
SLOW_ONLY = ("hrtimer: interrupt took", "clocksource: Long readout interval",
             "excessive read-back delay", "workqueue: ")

# It speaks through the init alone, so that no line is cut; and boots faster
QUIET = "loglevel=0 no_timer_check cryptomgr.notests audit=0 " \
        "lsm=capability nokaslr ferry.interval_ms=3600000 "


def initrd(world, name):
    """The packed initramfs, and the modules that the kernel needs behind it."""
    path = os.path.join(BUILD, name)
    if not os.path.exists(path):
        raise Skip(f"there is no {path}: make linux")
    modules = os.environ.get("FERRY_LINUX_MODULES") or \
        os.environ.get("LAB_MODULES")
    if not modules:
        return path
    root, out = world.path("more"), world.path("initrd")
    os.makedirs(root)
    os.symlink(modules, os.path.join(root, "from"))
    with open(out, "wb") as f:
        subprocess.run(["cat", path], stdout=f, check=True)
        subprocess.run("mkdir modules && cp from/* modules && "
                       "find modules | cpio -o -H newc --quiet",
                       shell=True, cwd=root, stdout=f, check=True)
    return out


def linux_guest(world, append, *args, cpus=2, memory="512M",
                packed="linux.initrd", name="a"):
    """Start a guest, and wait until its init has its workloads prepared."""
    kernel = os.environ.get("FERRY_LINUX") or os.environ.get("LAB_VMLINUZ")
    if not kernel:
        raise Skip("FERRY_LINUX names no kernel, and this is not the lab")
    a = world.start(name, ["run", "--name", name, "--memory", memory, "--cpus",
                          str(cpus), "--kernel", kernel, "--initrd",
                          initrd(world, packed), "--append",
                          APPEND + QUIET + append, *args])
    equal(a.wait_line("boot", timeout=BOOT)["cpus"], cpus, "CPUs")
    a.wait_line("ready", timeout=BOOT)
    return a


def pages(vmm, kind):
    """[guest-physical address of page n] of a workload, as printed last."""
    where = {x["n"]: x["gpa"] for x in vmm.lines(kind)}
    return [where[n] for n in range(len(where))]


def touch(vmm, n):
    """Have the victim touch a page: what its SIGBUS said, None if it's good."""
    lost = vmm.ask(f"touch {n}", "touched", n=n)["lost"]
    return vmm.lines("bus", work="victim", n=n)[-1] if lost else None


def kernel_said(vmm, text):
    """The kernel's messages so far with this in them."""
    return [x.text for x in vmm.lines("kmsg") if text in x.text]


def wait_kernel(vmm, text):
    """Wait for a message of the kernel with this in it."""
    return vmm.wait_line("kmsg", test=lambda x: text in x.text).text


def recovered(vmm, gpa):
    """Linux says that it has taken a page out of use."""
    return wait_kernel(vmm, f"Memory failure: {gpa // PAGE:#x}: recovery "
                            "action for dirty LRU page: Recovered")


def warnings(vmm):
    """Warnings and worse that don't come from all being slow."""
    return [x.text for x in vmm.lines("kmsg")
            if not any(word in x.text for word in SLOW_ONLY)]


def clean(vmm, **wanted):
    """Nothing is wrong, now that every page has been looked at."""
    vmm.ask("sweep", "sweep")
    v = vmm.ask("verdict", "verdict")
    for key, value in {"clean": 1, "bad": 0, **wanted}.items():
        equal(v[key], value, f"{vmm.name}: '{key}' in '{v.text}'")
    for kind in "bad", "back", "error":
        check(not vmm.lines(kind), [x.text for x in vmm.lines(kind)])
