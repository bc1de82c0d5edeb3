# SPDX-License-Identifier: MIT
"""A stock Linux kernel as the guest, with busybox and an init of the test's.

FERRY_LINUX names the kernel (a distribution's bzImage), or it is the lab's own,
and FERRY_LINUX_MODULES the folder with modules of its that guests load, named
in the order to load them in.
"""

import glob
import os
import shutil
import struct
import subprocess

from errors import SLOW, Skip

BOOT = 50 * SLOW        # seconds that a boot may take
# mce: Linux panics if a vCPU does not come to a machine check within a second,
# us; on a busy machine's emulated one it may not
APPEND = "console=ttyS0 loglevel=4 panic=-1 mitigations=off mce=30000000 "

HEAD = r"""#!/bin/busybox sh
for c in mkdir mount grep sed sleep poweroff reboot cat insmod dmesg dd free; do
	eval "$c() { /bin/busybox $c \"\$@\"; }"
done
mkdir -p /proc
mount -t proc proc /proc
mount -t sysfs sys /sys
"""


def initramfs(world, init):
    """busybox, the modules and an init, as the kernel unpacks it."""
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
    """The ELF file that a bzImage carries (Linux, arch/x86/boot.rst)."""
    with open(bzimage, "rb") as f:
        data = f.read()
    sectors = data[0x1f1] or 4
    at, size = struct.unpack_from("<II", data, 0x248)
    packed = data[(sectors + 1) * 512 + at:][:size - 4]     # 4: unpacked size
    tools = {b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    path = world.path("vmlinux")
    with open(path, "wb") as f:
        subprocess.run([tools[packed[:4]], "-dc"], input=packed, stdout=f,
                       check=True)
    return path


def linux(world, init, *args, append="", memory="256M", cpus=2, elf=False,
          **kw):
    """Start a guest with Linux in it."""
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
    """Wait for a line of Linux with this text; give the line's text."""
    return vmm.out.wait(lambda lines: next(
        (x.text for x in lines if text in x.text), None), f"'{text}'", timeout)
