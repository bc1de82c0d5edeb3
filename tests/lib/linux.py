# SPDX-License-Identifier: MIT
"""A stock Linux kernel as the guest, with busybox and the test's own init.

FERRY_LINUX names the kernel (a distribution's bzImage); without it, it is the
kernel of the lab. FERRY_LINUX_MODULES names a folder with modules of that
kernel, which guests load in the order of their file names.
"""

import glob
import os
import shutil
import struct
import subprocess

from errors import SLOW, Skip

BOOT = 50 * SLOW        # seconds that a boot may take
# mce: microseconds within which all vCPUs must arrive in the machine check
# handler, or Linux panics. The default, 1 s, is too short in an emulated
# machine. The options of the second line shorten the boot
APPEND = "console=ttyS0 loglevel=4 panic=-1 mitigations=off mce=30000000 " \
    "no_timer_check cryptomgr.notests audit=0 lsm=capability nokaslr "

HEAD = r"""#!/bin/busybox sh
for c in mkdir mount grep sed sleep poweroff reboot cat insmod dmesg dd free \
	stty; do
	eval "$c() { /bin/busybox $c \"\$@\"; }"
done
mkdir -p /proc
mount -t proc proc /proc
mount -t sysfs sys /sys
"""


def initramfs(world, init):
    """Build an initramfs from busybox, the modules and an init script."""
    root = world.path("root")
    for name in ("bin", "dev", "sys", "modules"):
        os.makedirs(os.path.join(root, name))
    shutil.copy("/bin/busybox", os.path.join(root, "bin"))
    folder = os.environ.get("FERRY_LINUX_MODULES",
                            os.environ.get("LAB_MODULES", ""))
    for module in glob.glob(os.path.join(folder, "*.ko")):
        shutil.copy(module, os.path.join(root, "modules"))
    with open(os.path.join(root, "init"), "w", encoding="ascii") as f:
        f.write(HEAD + init)
    os.chmod(os.path.join(root, "init"), 0o755)
    path = world.path("initrd")
    with open(path, "wb") as f:
        subprocess.run("find . | cpio -o -H newc", shell=True, cwd=root,
                       stdout=f, stderr=subprocess.DEVNULL, check=True)
    return path


def vmlinux(world, bzimage):
    """Extract the ELF file from a bzImage (Linux, arch/x86/boot.rst)."""
    with open(bzimage, "rb") as f:
        data = f.read()
    sectors = data[0x1f1] or 4
    at, size = struct.unpack_from("<II", data, 0x248)
    # The last 4 bytes are the unpacked size
    packed = data[(sectors + 1) * 512 + at:][:size - 4]
    tools = {b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    path = world.path("vmlinux")
    with open(path, "wb") as f:
        subprocess.run([tools[packed[:4]], "-dc"], input=packed, stdout=f,
                       check=True)
    return path


def linux(world, init, *args, append="", memory="256M", cpus=2, elf=False,
          **kw):
    """Start a Linux guest."""
    kernel = os.environ.get("FERRY_LINUX") or os.environ.get("LAB_VMLINUZ")
    if not kernel:
        raise Skip("FERRY_LINUX names no kernel, and this is not the lab")
    if elf:
        kernel = vmlinux(world, kernel)
    return world.start("a", ["run", "--name", "a", "--memory", memory,
                             "--cpus", str(cpus), "--kernel", kernel,
                             "--initrd", initramfs(world, init), "--append",
                             APPEND + append, *args], **kw)


def wait_text(vmm, text, timeout=BOOT):
    """Wait for a line of the guest with this text. Return: the line."""
    return vmm.out.wait(lambda lines: next(
        (x.text for x in lines if text in x.text), None), f"'{text}'", timeout)
