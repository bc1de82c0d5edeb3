# SPDX-License-Identifier: MIT
"""Dumps that are refused or fail."""

import os
import resource

from ferry import AREA, MIB, PAGE, check, equal

SANITIZERS = {"address"}

GUEST = "work=verify mib=8"


def both(vmm, path, words):
    """Both commands refuse this path, and the guest runs on."""
    vmm.refused(words, "pmemsave", val=AREA, size=PAGE, filename=path)
    vmm.refused(words, "dump-guest-memory", paging=False,
                protocol="file:" + path)
    vmm.working()


def test_places(world):
    """Paths that are not, and cannot become, a regular file."""
    a = world.run(GUEST).ready()
    os.mkdir(world.path("dir"))
    os.mkfifo(world.path("fifo"))
    os.symlink(world.path("dir"), world.path("link"))
    both(a, world.path("dir"), "is a directory")
    both(a, world.path("link"), "is a directory")
    both(a, world.path("fifo"), "not a regular file")
    both(a, "/dev/full", "not a regular file")
    both(a, world.path("none/f"), ["none/f", "No such file"])
    both(a, "/proc/f", "/proc/f")
    both(a, "", "path is empty")
    both(a, "/" + "x" * 300, "too long")
    both(a, "/" + "x/" * 2100, "too long")
    equal(a.qmp.execute("query-dump")["status"], "none", "status")
    check(os.path.exists("/dev/full"), "/dev/full is gone")


def test_link(world):
    """A symbolic link stays; the file that it names is replaced."""
    a = world.run(GUEST).ready()
    with open(world.path("file"), "w", encoding="ascii") as f:
        f.write("old")
    os.symlink(world.path("file"), world.path("link"))
    a.qmp.execute("pmemsave", val=AREA, size=PAGE,
                  filename=world.path("link"))
    check(os.path.islink(world.path("link")), "the link was replaced")
    equal(os.path.getsize(world.path("file")), PAGE, "size")


def test_full(world):
    """No space left: an error, no partial file, and the guest runs on."""
    a = world.run(GUEST).ready()
    resource.prlimit(a.process.pid, resource.RLIMIT_FSIZE, (MIB, MIB))
    path = world.path("f")
    a.refused("File too large", "pmemsave", val=AREA, size=2 * MIB,
              filename=path)
    a.refused("File too large", "dump-guest-memory", paging=False,
              protocol="file:" + path)
    e = a.qmp.wait_event("DUMP_COMPLETED")
    equal(e["result"]["status"], "failed", "status")
    check("File too large" in e["error"], e["error"])
    equal([n for n in os.listdir(world.dir) if n.startswith("f")
           and n != "ferry"], [], "files left")
    a.qmp.execute("pmemsave", val=AREA, size=MIB, filename=path)
    a.working()
    equal(a.state(), "running", "state")


def test_ranges(world):
    """Ranges that are empty or outside RAM, and bad arguments."""
    a, path = world.run(GUEST).ready(), world.path("f")
    for val, size, word in (
            (AREA, 0, "0"), (64 * MIB, 1, "0x4000000 is not RAM"),
            (64 * MIB - 1, 2, "0x4000000 is not RAM"),
            (AREA, 1 << 62, "0x4000000 is not RAM"), (AREA, -1, "not RAM"),
            (-1, 1, "not RAM"), (-PAGE, 2 * PAGE, "not RAM"),
            (0xfee00000, 4, "0xfee00000 is not RAM")):
        a.refused(word, "pmemsave", val=val, size=size, filename=path)
    for more, word in (
            ({"begin": 0}, "'length' is missing"),
            ({"length": PAGE}, "'begin' is missing"),
            ({"begin": 0, "length": 0}, "'length'"),
            ({"begin": -1, "length": 9}, "negative"),
            ({"begin": 1 << 40, "length": PAGE}, "is RAM"),
            ({"format": "kdump-zlib"}, "kdump-zlib"),
            ({"paging": True}, "paging")):
        a.refused(word, "dump-guest-memory",
                  **{"paging": False, "protocol": "file:" + path, **more})
    for protocol in ("fd:dump", path, "file", ""):
        a.refused("protocol", "dump-guest-memory", paging=False,
                  protocol=protocol)
    check(not os.path.exists(path), "a file was created")
    equal(a.qmp.execute("query-dump-guest-memory-capability"),
          {"formats": ["elf"]}, "formats")


def test_no_guest(world):
    """A machine that waits for a guest has no memory to save."""
    b = world.receive()
    b.refused("no guest has arrived", "pmemsave", val=0, size=1,
              filename=world.path("f"))
    b.refused("no guest has arrived", "dump-guest-memory", paging=False,
              protocol="file:" + world.path("f"))
