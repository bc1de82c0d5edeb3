# SPDX-License-Identifier: MIT
"""Images that cannot be booted are refused, with the reason."""

import os
import struct

from ferry import BUILD, MIB, check, equal

SANITIZERS = {"address"}

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
LOAD, NOTE = 1, 4
IDENT = b"\x7fELF\2\1\1" + bytes(9)
PVH = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", MIB)


def elf(headers, data=b"", ident=IDENT, machine=62, count=None):
    """An ELF file; headers are (type, physical address, bytes, size)."""
    at = EHDR.size + PHDR.size * len(headers)
    table, body = b"", b""
    for kind, paddr, content, size in headers:
        table += PHDR.pack(kind, 5, at + len(body), paddr, paddr, len(content),
                           size, 4)
        body += content
    return EHDR.pack(ident, 2, machine, 1, MIB, EHDR.size, 0, 0, EHDR.size,
                     PHDR.size, len(headers) if count is None else count, 0, 0,
                     0) + table + body + data


HALT = b"\xf4\xeb\xfd"                  # hlt; jmp back to it
CODE = (LOAD, MIB, HALT, 4096)
ENTRY = (NOTE, 0, PVH, len(PVH))


def bzimage(version=0x20f, flags=1, gpa=16 * MIB, size=2 * MIB, cmdline=2047,
            sectors=1):
    """A Linux kernel's setup header, followed by code that halts."""
    f = bytearray(0x400 + 0x200)
    struct.pack_into("<B", f, 0x1f1, sectors)
    struct.pack_into("<BB4sH", f, 0x200, 0xeb, 0x6a, b"HdrS", version)
    struct.pack_into("<I", f, 0x22c, 0x7fffffff)
    struct.pack_into("<HI", f, 0x236, flags, cmdline)
    struct.pack_into("<QI", f, 0x258, gpa, size)
    return bytes(f) + HALT


IMAGES = {
    "bzImage of old": (bzimage(version=0x20b), "no 64-bit entry"),
    "32-bit bzImage": (bzimage(flags=0), "no 64-bit entry"),
    "bzImage cut off": (bzimage(sectors=9), "cut off"),
    "bzImage beyond RAM": (bzimage(size=60 * MIB), "not RAM above 1 MiB"),
    "bzImage in the hole": (bzimage(gpa=3 << 30), "not RAM above 1 MiB"),
    "bzImage below 1 MiB": (bzimage(gpa=0x10000), "not RAM above 1 MiB"),
    "endless bzImage": (bzimage(gpa=(1 << 64) - 4096), "not RAM"),
    "text": (b"I am no kernel\n" * 100, "neither an ELF file nor a Linux"),
    "empty": (b"", "neither an ELF file nor a Linux"),
    "short": (elf([CODE, ENTRY])[:40], "not an ELF file"),
    "32-bit": (elf([CODE, ENTRY], ident=b"\x7fELF\1\1\1" + bytes(9)),
               "not for x86-64"),
    "arm64": (elf([CODE, ENTRY], machine=183), "not for x86-64"),
    "headers cut off": (elf([CODE, ENTRY])[:100], "cut off"),
    "too many headers": (elf([CODE, ENTRY], count=60000), "cut off"),
    "segment cut off": (elf([ENTRY, CODE])[:-2], "cut off"),
    "file above memory size": (elf([ENTRY, (LOAD, MIB, HALT * 9, 4)]),
                               "cut off"),
    "no PVH note": (elf([CODE]), "no PVH entry"),
    "another note": (elf([CODE, (NOTE, 0, PVH.replace(b"Xen", b"GNU"),
                                 len(PVH))]), "no PVH entry"),
    "note cut off": (elf([CODE, (NOTE, 0, PVH[:14], 14)]), "no PVH entry"),
    "endless note": (elf([CODE, (NOTE, 0, struct.pack(
        "<III4s", 4, 0xffffffff, 1, b"Xen\0"), 16)]), "no PVH entry"),
    "beyond RAM": (elf([ENTRY, (LOAD, 64 * MIB - 4096, HALT, 8192)]),
                   "not in RAM"),
    "in the hole": (elf([ENTRY, (LOAD, 3 << 30, HALT, 4096)]), "not in RAM"),
    "below 1 MiB": (elf([ENTRY, (LOAD, 0, HALT, 4096)]), "not in RAM"),
    "wraps around": (elf([ENTRY, (LOAD, (1 << 64) - 4096, HALT, 1 << 20)]),
                     "not in RAM"),
    "endless": (elf([ENTRY, (LOAD, MIB, HALT, (1 << 64) - 4096)]),
                "not in RAM"),
}


def start(world, path):
    return world.ferry("run", "--name", "x", "--memory", "64M", "--kernel",
                       path, status=1)


def test_image(world, what):
    """Exit status 1, the file's name and the reason; no socket is left."""
    data, word = IMAGES[what]
    path = world.path("kernel")
    with open(path, "wb") as f:
        f.write(data)
    out, err = start(world, path)
    check(path in err and word in err, f"'{word}' is not in: {err}")
    equal(out, "", "standard output")
    check(not os.path.exists(world.socket("x")), "the socket is left")


test_image.cases = {"what": IMAGES}


def test_no_file(world):
    """No such file, a directory, a device: not a kernel."""
    for path in (world.path("none"), world.dir, "/dev/zero"):
        _, err = start(world, path)
        check(path in err, err)


def test_good_image(world):
    """The same file without a fault starts: the fault is what was refused."""
    path = world.path("kernel")
    with open(path, "wb") as f:
        f.write(elf([CODE, ENTRY]))
    x = world.start("x", ["run", "--name", "x", "--memory", "64M", "--kernel",
                          path])
    equal(x.state(), "running", "state")


def test_good_bzimage(world):
    """A bzImage without a fault starts and runs its code."""
    path = world.path("kernel")
    with open(path, "wb") as f:
        f.write(bzimage())
    x = world.start("x", ["run", "--name", "x", "--memory", "64M", "--kernel",
                          path, "--initrd", path])
    equal(x.state(), "running", "state")


def test_initrd(world, what):
    """An unusable initrd is refused by name."""
    size, word = {"none": (None, "No such file"), "empty": (0, "empty"),
                  "too large": (64 * MIB, "--memory")}[what]
    path = world.path("initrd")
    if size is not None:
        with open(path, "wb") as f:
            f.truncate(size)
    _, err = world.ferry("run", "--name", "x", "--memory", "64M", "--kernel",
                         os.path.join(BUILD, "guest.elf"), "--initrd", path,
                         status=1)
    check(path in err and word in err, f"'{word}' is not in: {err}")


test_initrd.cases = {"what": ["none", "empty", "too large"]}


def test_initrd_and_kernel_meet(world):
    """An initrd is placed above the kernel's memory, or refused."""
    kernel, initrd = world.path("kernel"), world.path("initrd")
    with open(kernel, "wb") as f:
        f.write(bzimage(size=40 * MIB))     # up to 56 of 64 MiB
    with open(initrd, "wb") as f:
        f.truncate(8 * MIB + 1)
    args = ["run", "--name", "x", "--memory", "64M", "--kernel", kernel,
            "--initrd", initrd]
    _, err = world.ferry(*args, status=1)
    check(initrd in err and "above the kernel" in err, err)
    with open(initrd, "wb") as f:
        f.truncate(8 * MIB)
    equal(world.start("x", args).state(), "running", "state")


def test_command_line_of_a_bzimage(world):
    """The kernel's header limits the length of the command line."""
    path = world.path("kernel")
    with open(path, "wb") as f:
        f.write(bzimage(cmdline=10))
    _, err = world.ferry("run", "--name", "x", "--memory", "64M", "--kernel",
                         path, "--append", "a" * 11, status=1)
    check("--append" in err, err)


def test_arguments_too_long(world):
    """Boot arguments that are too long are refused, not cut."""
    _, err = world.ferry("run", "--name", "x", "--kernel",
                         os.path.join(BUILD, "guest.elf"), "--append",
                         "a" * 100000, status=1)
    check("--append" in err, err)
