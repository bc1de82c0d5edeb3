# SPDX-License-Identifier: MIT
"""A guest keeps its processor, or its migration is refused.

A relay changes the description that the destination receives to a processor
that this host does not have.
"""

import struct

import fdt
import wire
from ferry import check, equal
from relay import Relay

SANITIZERS = {"address"}

BUSY = "work=verify mib=16 seed=3"
LEAF7_EBX = {       # names of bits, as /proc/cpuinfo has them
    4: "hle", 11: "rtm", 14: "mpx", 16: "avx512f", 26: "avx512pf",
    27: "avx512er",
}


def cells(root):
    """The guest's CPUID: a list of [leaf, subleaf, flags, a, b, c, d]."""
    return [list(c) for c in struct.iter_unpack(
        ">7I", root.child("cpus").props["ferry,cpuid"])]


def find(table, leaf, index=0):
    return next((e for e in table if e[:2] == [leaf, index]), None)


def edit_cpuid(change):
    """An edit for a relay: change the CPUID in the description."""
    def cpus(root):
        table = cells(root)
        change(table)
        root.child("cpus").props["ferry,cpuid"] = b"".join(
            fdt.u32(*e) for e in table)
    return edit(cpus)


def edit(change):
    def message(m):
        root = fdt.parse(m.body)
        change(root)
        return [wire.Message(wire.DESCRIPTION, fdt.build(root))]
    return {wire.DESCRIPTION: message}


def refused(world, edits, *words):
    """The migration is refused for that reason; the guest runs on, and an
    unchanged migration succeeds."""
    a = world.run(BUSY, cpus=2).ready()
    b = world.receive()
    relay = Relay(world, b)
    relay.edit = edits
    a.start_migration(relay.uri)
    why = a.wait_migration("failed")["error-desc"]
    for word in words:
        check(word in why, f"'{word}' is not in: {why}")
        b.said(word)
    a.wait_state("running")
    a.full_pass()
    equal(b.state(), "inmigrate", "state of the destination")
    a.migrate(b)
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)


def test_features(world):
    """Bits that this host lacks are named; the guest runs on at the source."""
    lack = {}

    def change(table):
        e = find(table, 7)
        lack.update({bit: name for bit, name in LEAF7_EBX.items()
                     if not e[4] & 1 << bit})
        for bit in lack:
            e[4] |= 1 << bit
        find(table, 0x80000001)[5] |= 1 << 16

    # A first, discarded migration shows which bits this host lacks
    a = world.run(BUSY, name="probe")
    with wire.FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        table = cells(fdt.parse(fake.greet().expect(wire.DESCRIPTION).body))
    change(table)
    check(len(lack) >= 2, "this host has every feature")
    refused(world, edit_cpuid(change), "this host lacks what the guest has: "
            "CPUID 0x7 EBX: " + ", ".join(f"{name} (bit {bit})" for bit, name
                                          in sorted(lack.items())),
            "CPUID 0x80000001 ECX: fma4 (bit 16)")


def test_unnamed(world):
    """A bit without a name is reported by its number."""
    def change(table):
        find(table, 7)[6] |= 1 << 0
    refused(world, edit_cpuid(change), "CPUID 0x7 EDX: bit 0")


def test_xsave(world):
    """An XSAVE area with another layout."""
    def change(table):
        table[:] = [e for e in table if e[0] != 0xd]
        table.extend([[0xd, 0, 1, 7, 832, 832, 0],
                      [0xd, 2, 1, 256, 600, 0, 0]])
    refused(world, edit_cpuid(change),
            "CPUID 0xd.2: avx has 256 bytes at 600 in the XSAVE area")


def test_xcr0(world):
    """A component of the XSAVE area that this host does not have."""
    def change(table):
        table[:] = [e for e in table if e[0] != 0xd]
        table.append([0xd, 0, 1, 1 << 14 | 3, 832, 832, 0])
    refused(world, edit_cpuid(change), "CPUID 0xd EAX: uintr (bit 14)")


def test_addresses(world):
    """Physical addresses that are too wide for this host."""
    def change(table):
        find(table, 0x80000008)[3] |= 0x3f
    refused(world, edit_cpuid(change),
            "CPUID 0x80000008 EAX: physical addresses of 63 bits")


def test_vendor(world):
    """A guest that was started on another vendor's processor."""
    def change(root):
        root.child("cpus").props["ferry,host-cpuid-vendor"] = \
            b"HygonGenuine\0"
    refused(world, edit(change), "'HygonGenuine'", "stays with its vendor")


def test_baseline(world, vendor, ram):
    """A guest with the baseline processor migrates twice."""
    a = world.run(BUSY, "--cpu", "baseline", "--cpu-vendor", vendor, "--ram",
                  ram, cpus=2).ready()
    b, c = world.receive(), world.receive(name="c")
    a.migrate(b)
    b.full_pass()
    b.migrate(c)
    c.full_pass()
    c.sweep()
    c.verdict(mce=0)


test_baseline.cases = {"vendor": ["amd", "intel"], "ram": ["anon", "memfd"]}


def test_baseline_is_described(world):
    """The description of the baseline is fixed: no XSAVE, a brand, a
    family."""
    a = world.run(BUSY, "--cpu", "baseline", "--cpu-vendor", "intel", cpus=4)
    with wire.FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        root = fdt.parse(fake.greet().expect(wire.DESCRIPTION).body)
    table = cells(root)
    equal(find(table, 1)[3:], [0x106a3, 4 << 16 | 0x800, 0x81b82201,
                               0x178bfbfd], "leaf 1")
    equal(find(table, 0xd), None, "leaf 0xd")
    brand = b"".join(struct.pack("<4I", *find(table, 0x80000002 + i)[3:])
                     for i in range(3))
    equal(brand.rstrip(b"\0"), b"Ferry baseline processor (Intel)", "brand")
    equal([find(table, 0xb, i)[4] for i in range(3)], [1, 4, 0], "leaf 0xb")
