# SPDX-License-Identifier: MIT
"""The test guest is not specific to Ferry: QEMU's -kernel starts it, too."""

import os
import subprocess

from errors import WAIT
from ferry import BUILD, check, equal

QEMU = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "2",
        "-m", "64", "-nodefaults", "-display", "none", "-serial", "stdio",
        "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", os.path.join(BUILD, "guest.elf")]


def in_qemu(append):
    """Run the guest to its end. Return: (exit status of QEMU, lines)"""
    done = subprocess.run([*QEMU, "-append", append], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=WAIT, check=False)
    return done.returncode, done.stdout.splitlines()


def test_qemu_boots_the_guest(_):
    """It finds its vCPUs, verifies its memory, and ends with success."""
    rc, lines = in_qemu("work=verify mib=8 seed=5 cpus=2 passes=2")
    equal(rc, 2 * 0 + 1, "isa-debug-exit's status")
    check(any(line.startswith("boot ferry-guest") and "cpus=2" in line
              for line in lines), lines)
    check(lines[-1].startswith("verdict") and lines[-1].endswith("clean=1"),
          lines)


def test_qemu_passes_arguments(_):
    """Its boot arguments arrive: it refuses an unknown one by name."""
    rc, lines = in_qemu("work=verify colour=red")
    equal(rc, 2 * 2 + 1, "isa-debug-exit's status")
    check("error arg=colour=red reason=unknown-key" in lines, lines)
