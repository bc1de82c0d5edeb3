# SPDX-License-Identifier: MIT
"""A stock Linux kernel boots, is moved in mid-sentence, and turns itself off.

FERRY_LINUX names the kernel (a distribution's bzImage), or it is the lab's own.
Its init is a script for busybox, packed here into an initramfs.
"""

import os
import shutil
import subprocess

from errors import Skip
from ferry import check, equal

BOOT = 150              # seconds that a boot may take under emulation
# The lab's processor runs XSETBV unseen by its own KVM: docs/lab.md
APPEND = "console=ttyS0 loglevel=4 panic=-1 mitigations=off noxsave "

INIT = r"""#!/bin/busybox sh
for c in mkdir mount grep sleep poweroff reboot cat; do
	eval "$c() { /bin/busybox $c \"\$@\"; }"
done
mkdir -p /proc
mount -t proc proc /proc
echo "up cpus=$(grep -c ^processor /proc/cpuinfo)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
if grep -q then=reboot /proc/cmdline; then reboot -f; fi
if grep -q then=speak /proc/cmdline; then
	n=0
	while [ $n -lt 4 ]; do
		echo -n "before after-$n and"
		sleep 2
		echo " behind"
		n=$((n + 1))
	done
fi
echo "end"
poweroff -f
"""


def initramfs(world):
    """busybox and INIT, as the kernel unpacks it."""
    root = world.path("root")
    os.makedirs(os.path.join(root, "bin"))
    for name in ("dev", "sys"):
        os.mkdir(os.path.join(root, name))
    shutil.copy("/bin/busybox", os.path.join(root, "bin"))
    with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
        f.write(INIT)
    os.chmod(os.path.join(root, "init"), 0o755)
    path = world.path("initrd")
    with open(path, "wb") as f:
        subprocess.run("find . | cpio -o -H newc", shell=True, cwd=root,
                       stdout=f, stderr=subprocess.DEVNULL, check=True)
    return path


def linux(world, then, cpus=2):
    kernel = os.environ.get("FERRY_LINUX") or os.environ.get("LAB_VMLINUZ")
    if not kernel:
        raise Skip("FERRY_LINUX names no kernel, and this is not the lab")
    a = world.start("a", ["run", "--name", "a", "--memory", "256M", "--cpus",
                          str(cpus), "--kernel", kernel, "--initrd",
                          initramfs(world), "--append",
                          APPEND + "then=" + then])
    a.out.wait(lambda lines: any(f"up cpus={cpus}" in x.text for x in lines),
               "Linux is up with all its vCPUs", BOOT)
    return a


def ends(vmm, reason):
    """Linux has ended the machine, and people were told."""
    equal(vmm.wait_end(60), 0, "exit status")
    check(vmm.qmp.seen("SHUTDOWN", reason=reason), "no event SHUTDOWN")


def test_moves_in_mid_sentence(world):
    """Half a line is printed before, half after; then it powers off."""
    a = linux(world, "speak")
    b = world.receive()
    a.out.wait(lambda _: "before after" in a.out.partial, "half a line", 60)
    a.migrate(b)
    b.out.wait(lambda lines: any(x.text.strip() == "end" for x in lines),
               "the end of the story", 120)
    check(b.out.lines[0].text.rstrip("\r").endswith("behind"),
          f"the other half: {b.out.text()}")
    check("BUG" not in b.out.text() and "WARNING" not in b.out.text(),
          b.out.text())
    ends(b, "guest-shutdown")


def test_reboot(world):
    """What Linux means as a reboot is no power-off to who watches."""
    ends(linux(world, "reboot"), "guest-reset")
