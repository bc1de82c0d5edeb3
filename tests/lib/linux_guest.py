# SPDX-License-Identifier: MIT
"""A stock Linux kernel with the init of guest/linux (`make linux`).

Its output lines and commands are those of docs/guest.md, so Vmm.report(), ask()
and wait_line() work with it.
"""

import os
import subprocess

from errors import SLOW, Skip
from ferry import BUILD, PAGE, check, equal
from linux import APPEND, BOOT

# Messages that Linux prints when the machine is slow, as under emulation: an
# interrupt handler waited for a page, the clock watchdog ran late, a clock took
# long to read. A clock that is really wrong is reported as "skew"
SLOW_ONLY = ("hrtimer: interrupt took", "clocksource: Long readout interval",
             "excessive read-back delay", "workqueue: ")

# Only the init prints, so that the kernel does not interrupt its lines
QUIET = "loglevel=0 ferry.interval_ms=3600000 "
# An Intel guest panics if a vCPU has not joined the handler of a broadcast
# machine check within a second, which is little under emulation. In us
if SLOW > 1:
    QUIET += f"mce={int(10e6 * SLOW)} "


def initrd(world, name):
    """The packed initramfs, with the modules for the kernel appended."""
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
    """Start a guest, and wait until its workloads are ready."""
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
    """Guest-physical addresses of a workload's pages, as printed last."""
    where = {x["n"]: x["gpa"] for x in vmm.lines(kind)}
    return [where[n] for n in range(len(where))]


def touch(vmm, n):
    """Let the victim workload read a page. Return: the line about its SIGBUS,
    or None if the page could be read."""
    lost = vmm.ask(f"touch {n}", "touched", n=n)["lost"]
    return vmm.lines("bus", work="victim", n=n)[-1] if lost else None


def kernel_said(vmm, text):
    """The guest kernel's messages so far that have this text."""
    return [x.text for x in vmm.lines("kmsg") if text in x.text]


def wait_kernel(vmm, text):
    """Wait for a message of the guest kernel with this text."""
    return vmm.wait_line("kmsg", test=lambda x: text in x.text).text


def recovered(vmm, gpa):
    """Wait until Linux reports that it has taken a page out of use."""
    return wait_kernel(vmm, f"Memory failure: {gpa // PAGE:#x}: recovery "
                            "action for dirty LRU page: Recovered")


def warnings(vmm):
    """Kernel messages (warnings and worse) that slowness does not explain."""
    return [x.text for x in vmm.lines("kmsg")
            if not any(word in x.text for word in SLOW_ONLY)]


def clean(vmm, **wanted):
    """Let the guest check every page; its verdict must be clean."""
    vmm.ask("sweep", "sweep")
    v = vmm.ask("verdict", "verdict")
    for key, value in {"clean": 1, "bad": 0, **wanted}.items():
        equal(v[key], value, f"{vmm.name}: '{key}' in '{v.text}'")
    for kind in "bad", "back", "error":
        check(not vmm.lines(kind), [x.text for x in vmm.lines(kind)])
