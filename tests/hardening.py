#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The protections that the compiler and the linker give: hardening.py [BUILD]

Reads BUILD/ferry and BUILD's objects, default "build", as ELF files. Each check
prints one line, "ok" or "not ok" with a reason; the exit status is 1 if one
failed. A sanitizer build has no FORTIFY.
"""

import glob
import os
import struct
import sys

ET_DYN, PT_LOAD, PT_DYNAMIC = 3, 1, 2
PT_GNU_STACK, PT_GNU_RELRO = 0x6474e551, 0x6474e552
PF_X, PF_W = 1, 2
SHT_NOTE = 7
DT_STRTAB, DT_SYMTAB, DT_RPATH, DT_TEXTREL, DT_FLAGS, DT_RUNPATH = \
    5, 6, 15, 22, 30, 29
DT_FLAGS_1 = 0x6ffffffb
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x8000000
NT_GNU_PROPERTY, X86_FEATURE_1_AND = 5, 0xc0000002
IBT_SHSTK = 3


class Elf:
    """An ELF64 file: segments (type, flags, offset, address, size), dynamic
    section, names of dynamic symbols."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        head = struct.unpack_from("<16sHHIQQQIHHHHHH", self.data)
        if head[0][:5] != b"\x7fELF\x02":
            raise ValueError(f"{path} is not ELF64")
        self.type = head[1]
        self.segments = []
        for i in range(head[10]):
            kind, flags, at, vaddr, _, size = struct.unpack_from(
                "<IIQQQQ", self.data, head[5] + head[9] * i)
            self.segments.append((kind, flags, at, vaddr, size))
        self.sections = [struct.unpack_from(
            "<IIQQQQIIQQ", self.data, head[6] + head[11] * i)
            for i in range(head[12])]
        self.dynamic = {}
        for _, _, at, _, size in self.kind(PT_DYNAMIC):
            for off in range(at, at + size, 16):
                tag, value = struct.unpack_from("<QQ", self.data, off)
                self.dynamic.setdefault(tag, value)

    def kind(self, kind):
        return [s for s in self.segments if s[0] == kind]

    def offset(self, vaddr):
        """Where in the file an address is."""
        return next(at + vaddr - start
                    for _, _, at, start, size in self.kind(PT_LOAD)
                    if start <= vaddr < start + size)

    def imports(self):
        """Names of the undefined dynamic symbols."""
        names = self.offset(self.dynamic[DT_STRTAB])
        first = self.offset(self.dynamic[DT_SYMTAB])
        result = set()
        # The string table follows the symbol table
        for at in range(first, names, 24):
            name, _, _, section = struct.unpack_from("<IBBH", self.data, at)
            if not section and name:
                end = self.data.index(b"\0", names + name)
                result.add(self.data[names + name:end].decode())
        return result

    def cet(self):
        """Bits of GNU_PROPERTY_X86_FEATURE_1_AND: 1 IBT, 2 SHSTK."""
        for s in self.sections:
            if s[1] != SHT_NOTE:
                continue
            data = self.data[s[4]:s[4] + s[5]]
            if struct.unpack_from("<III", data)[::2] != (4, NT_GNU_PROPERTY):
                continue
            data = data[16:]
            while data:
                kind, size = struct.unpack_from("<II", data)
                if kind == X86_FEATURE_1_AND:
                    return struct.unpack_from("<I", data, 8)[0]
                data = data[8 + (size + 7 & ~7):]
        return 0


def position_independent(elf):
    flags = elf.dynamic.get(DT_FLAGS_1, 0)
    return elf.type == ET_DYN and flags & DF_1_PIE or "not a PIE"


def no_executable_stack(elf):
    stack = elf.kind(PT_GNU_STACK)
    return stack and not stack[0][1] & PF_X or "its stack is executable"


def no_writable_code(elf):
    bad = [s for s in elf.segments if s[1] & PF_X and s[1] & PF_W]
    if DT_TEXTREL in elf.dynamic or \
            elf.dynamic.get(DT_FLAGS, 0) & DF_TEXTREL:
        return "its code is relocated"
    return not bad or "a segment is writable and executable"


def read_only_relocations(elf):
    now = elf.dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW or \
        elf.dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW
    if not elf.kind(PT_GNU_RELRO):
        return "no PT_GNU_RELRO"
    return now or "symbols are bound late, so the table stays writable"


def no_library_path(elf):
    return not {DT_RPATH, DT_RUNPATH} & elf.dynamic.keys() or \
        "it has a library path of its own"


def stack_protector(elf):
    return "__stack_chk_fail" in elf.imports() or "no stack protector"


def fortify(elf):
    names = elf.imports()
    if any(x.startswith(("__asan", "__tsan", "__ubsan")) for x in names):
        return "SKIP a sanitizer build"
    return {"__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk"} & names or \
        "no checked variant of a C function is used"


CHECKS = [position_independent, no_executable_stack, no_writable_code,
          read_only_relocations, no_library_path, stack_protector, fortify]


def unmarked_objects(build):
    """Objects whose indirect branches and returns are not marked (CET). The
    program itself is marked only if the C library's start files are."""
    found = [p for top in ("vmm", "migration")
             for p in glob.glob(f"{build}/{top}/**/*.o", recursive=True)]
    bad = [p for p in found if Elf(p).cet() & IBT_SHSTK != IBT_SHSTK]
    if not found:
        return "no objects"
    return not bad or f"{len(bad)} of {len(found)} objects, e.g. {bad[0]}"


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    elf = Elf(os.path.join(build, "ferry"))
    results = [(c.__name__, c(elf)) for c in CHECKS]
    results.append(("control_flow", unmarked_objects(build)))
    failed = False
    for name, result in results:
        text = result if isinstance(result, str) else None
        if text and text.startswith("SKIP"):
            print(f"skip hardening.{name}: {text[5:]}")
        elif text:
            print(f"not ok hardening.{name}: {text}")
            failed = True
        else:
            print(f"ok hardening.{name}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
