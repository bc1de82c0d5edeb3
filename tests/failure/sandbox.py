# SPDX-License-Identifier: MIT
"""The sandbox of a machine's process, and a machine without root."""

import os
import shutil
import stat

from ferry import BUILD, MIB, Skip, check, equal, page
from poisoned import all_seen
from proc import thread_values

NOBODY = 65534
KVM, USERFAULTFD = "/dev/kvm", "/dev/userfaultfd"


def sandboxed(vmm):
    """Is each thread of a machine in the sandbox? All must agree."""
    modes = set(thread_values(vmm.process.pid, "Seccomp"))
    check(modes in ({0}, {2}), f"seccomp modes of the threads: {modes}")
    return modes == {2}


def test_each_thread(world):
    """Every thread of both sides, before and after a migration."""
    if not sandboxed(world.run(name="probe")):
        raise Skip("a sanitizer build has no sandbox")
    a = world.run("work=verify mib=32 hold=1", cpus=2).ready()
    b = world.receive()
    check(sandboxed(a) and sandboxed(b), "not in the sandbox at the start")
    a.migrate(b)
    check(sandboxed(a) and sandboxed(b), "not in the sandbox after a migration")
    equal(set(thread_values(b.process.pid, "NoNewPrivs")), {1}, "no_new_privs")


def test_off(world):
    """--no-sandbox leaves it out, on both sides."""
    a = world.run("work=verify mib=32 hold=1", "--no-sandbox").ready()
    b = world.receive("--no-sandbox")
    a.migrate(b)
    check(not sandboxed(a) and not sandboxed(b), "in the sandbox")


def unprivileged(world):
    """A build directory whose ferry runs as nobody, with access to devices of
    its own that only nobody's group may use."""
    if os.geteuid():
        raise Skip("needs root, to give root up")
    if not os.path.exists(USERFAULTFD):
        raise Skip(f"no {USERFAULTFD}")
    folder = world.path("build")
    devices = world.path("devices")
    os.mkdir(folder)
    os.mkdir(devices)
    for name in "ferry", "guest.elf":
        shutil.copy(os.path.join(BUILD, name), os.path.join(folder, name))
    os.rename(os.path.join(folder, "ferry"), os.path.join(folder, "real"))
    for path in KVM, USERFAULTFD:
        mine = os.path.join(devices, os.path.basename(path))
        os.mknod(mine, stat.S_IFCHR, os.stat(path).st_rdev)
        os.chown(mine, 0, NOBODY)
        os.chmod(mine, 0o660)
    with open(os.path.join(folder, "ferry"), "w", encoding="ascii") as f:
        f.write(f"""#!/bin/sh
exec unshare -m --propagation private sh -c '
    for x in kvm userfaultfd; do mount --bind {devices}/$x /dev/$x; done &&
    exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \\
        --inh-caps=-all --bounding-set=-all --pdeathsig KILL \\
        {folder}/real "$@"' sh "$@"
""")
    os.chmod(os.path.join(folder, "ferry"), 0o755)
    os.chown(world.dir, NOBODY, NOBODY)
    return folder


def test_without_root(world):
    """A user without root or capabilities, with the devices' group only: a
    guest runs, migrates with poison, and is dumped."""
    build = unprivileged(world)
    lost = [page(7), page(4000)]
    a = world.run("work=verify mib=32 hold=1", cpus=2, build=build).ready()
    b = world.receive(build=build)
    for vmm in a, b:
        equal(set(thread_values(vmm.process.pid, "CapEff")), {0},
              "capabilities")
        equal(os.stat(f"/proc/{vmm.process.pid}").st_uid, NOBODY, "user")
    a.poison_pages(lost)
    a.migrate(b)
    b.expect(lost)
    b.send("go")
    all_seen(b, lost)
    path = os.path.join(world.dir, "dump")
    b.qmp.execute("dump-guest-memory", paging=False, protocol="file:" + path)
    check(os.path.getsize(path) >= 64 * MIB, "the dump is short")
