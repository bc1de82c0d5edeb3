# SPDX-License-Identifier: MIT
"""Reads a guest's memory dump as tools do, and computes what it must hold."""

import struct
from array import array

from ferry import PAGE, check, equal, page

NT_PRSTATUS = 1
NT_FERRY_LOST = 0x46590001
MASK = (1 << 64) - 1


class Core:
    """An ELF64 core file."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        head = struct.unpack_from("<16sHHIQQQIHHHHHH", self.data)
        equal((head[0][:7], head[1], head[2]),
              (b"\x7fELF\x02\x01\x01", 4, 62), "ELF core of x86-64")
        equal((head[5], head[9]), (64, 56), "where program headers are")
        self.loads, self.notes = [], []
        for i in range(head[10]):
            kind, _, at, vaddr, paddr, filesz, memsz, _ = struct.unpack_from(
                "<IIQQQQQQ", self.data, 64 + 56 * i)
            if kind == 4:
                equal(i, 0, "index of PT_NOTE")
                self._notes(self.data[at:at + filesz])
                continue
            equal((kind, vaddr, filesz), (1, paddr, memsz), f"header {i}")
            check(at + filesz <= len(self.data), f"header {i} ends outside")
            self.loads.append((paddr, filesz, at))

    def _notes(self, data):
        while data:
            name, size, kind = struct.unpack_from("<III", data)
            text = data[12:12 + name].rstrip(b"\0").decode()
            at = 12 + (name + 3 & ~3)
            self.notes.append((text, kind, data[at:at + size]))
            data = data[at + (size + 3 & ~3):]

    def read(self, gpa, size):
        """Bytes at an address, or None if the file lacks any of them."""
        for start, n, at in self.loads:
            if start <= gpa and gpa + size <= start + n:
                return self.data[at + gpa - start:at + gpa - start + size]
        return None

    def covers(self):
        """Addresses in the file: (start, end) of ranges, adjacent ones
        merged."""
        result = []
        for start, n, _ in sorted(self.loads):
            if result and result[-1][1] == start:
                result[-1][1] = start + n
            else:
                result.append([start, start + n])
        return [tuple(r) for r in result]

    def lost(self):
        """Addresses of all pages that the FERRY note lists."""
        found = [d for n, k, d in self.notes if (n, k) == ("FERRY",
                                                           NT_FERRY_LOST)]
        check(len(found) <= 1, "several FERRY notes")
        pages = set()
        for gpa, size in struct.iter_unpack("<QQ", b"".join(found)):
            pages |= set(range(gpa, gpa + size, PAGE))
        return pages

    def cpus(self):
        """rip of each vCPU. The CORE and the QEMU notes must agree."""
        status = [d for n, k, d in self.notes if (n, k) == ("CORE",
                                                            NT_PRSTATUS)]
        qemu = [d for n, k, d in self.notes if (n, k) == ("QEMU", 0)]
        equal([len(d) for d in status], [336] * len(status), "CORE notes")
        equal([struct.unpack_from("<II", d) for d in qemu],
              [(1, 440)] * len(status), "QEMU notes")
        equal([struct.unpack_from("<I", d, 32)[0] for d in status],
              list(range(1, len(status) + 1)), "numbers of vCPUs")
        rip = [struct.unpack_from("<Q", d, 112 + 16 * 8)[0] for d in status]
        equal([struct.unpack_from("<Q", d, 8 + 16 * 8)[0] for d in qemu],
              rip, "rip in the QEMU notes")
        return rip

    def cr3(self):
        """CR3 of each vCPU."""
        return [struct.unpack_from("<Q", d, 8 + 18 * 8 + 10 * 24 + 24)[0]
                for n, _, d in self.notes if n == "QEMU"]


def filled(gpa):
    """Contents of a page that the guest has just filled: generation 0, seed 0
    (guest/user/pattern.h)."""
    x = gpa * 0xd6e8feb86659fd93 & MASK
    x ^= x >> 32
    x = x * 0xe7037ed1a0b428db & MASK
    x ^= x >> 29
    x = x * 0x8ebc6af09c88c6e3 & MASK
    x ^= x >> 32
    return array("Q", [x + i * 0x9e3779b97f4a7c15 & MASK
                       for i in range(PAGE // 8)]).tobytes()


def area_is(read, pages, lost=()):
    """Compare the guest's whole data area, page by page.

    read(gpa) returns a page, or None for a page that the file lacks.
    """
    for i in range(pages):
        gpa = page(i)
        equal(read(gpa), None if gpa in lost else filled(gpa),
              f"page at {gpa:#x}")
