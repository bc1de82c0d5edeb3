# SPDX-License-Identifier: MIT
"""What can't be booted is refused, and the text says why."""

import os
import struct

from ferry import BUILD, MIB, check, equal

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

IMAGES = {
    "text": (b"I am no kernel\n" * 100, "not an ELF file"),
    "empty": (b"", "not an ELF file"),
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
    """Exit status 1, the file's name and the reason; nothing is left."""
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
    """The very same file without the fault starts, so the fault is it."""
    path = world.path("kernel")
    with open(path, "wb") as f:
        f.write(elf([CODE, ENTRY]))
    x = world.start("x", ["run", "--name", "x", "--memory", "64M", "--kernel",
                          path])
    equal(x.state(), "running", "state")


def test_arguments_too_long(world):
    """Boot arguments that don't fit are refused, not cut."""
    _, err = world.ferry("run", "--name", "x", "--kernel",
                         os.path.join(BUILD, "guest.elf"), "--append",
                         "a" * 100000, status=1)
    check("--append" in err, err)
