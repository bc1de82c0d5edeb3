# SPDX-License-Identifier: MIT
"""Guest memory in files: their contents, and lost pages."""

import json
import os
import shutil
import subprocess

from crossing import begin
from elfcore import Core, area_is, filled
from errors import WAIT
from ferry import AREA, BUILD, MIB, PAGE, QmpError, Skip, check, equal, \
    one_json, page, runs, soon

SANITIZERS = {"address", "thread"}

DATA = 16 * MIB // PAGE         # pages of the data area in most tests
GUEST = "work=verify mib=16 hold=1"
RAM = [(0, 64 * MIB)]


def dump(vmm, path, **more):
    """Dump all of guest memory. Return: what dump-guest-memory returns."""
    return vmm.qmp.execute("dump-guest-memory", paging=False,
                           protocol="file:" + path, **more)


def save(vmm, path, gpa, size):
    """Save a range by pmemsave. Return: its bytes."""
    equal(vmm.qmp.execute("pmemsave", val=gpa, size=size, filename=path), {},
          "return of pmemsave")
    with open(path, "rb") as f:
        return f.read()


def without(ranges, lost):
    """Ranges (start, end), with these pages cut out."""
    result = []
    for start, end in ranges:
        for gpa, n in runs(p for p in lost if start <= p < end):
            if gpa > start:
                result.append((start, gpa))
            start = gpa + n * PAGE
        if start < end:
            result.append((start, end))
    return result


def alone(world, path, wanted=True):
    """The file exists, or not; there is no temporary file beside it."""
    equal([n for n in os.listdir(world.dir) if n.startswith(
        os.path.basename(path))], [os.path.basename(path)] * wanted, "files")


def hold(world, ram, *pages, cpus=2):
    a = world.run(GUEST, "--ram", ram, cpus=cpus).ready()
    a.poison_pages(pages)
    return a


LOST = [page(i) for i in (0, 1, 2, 700, 702, DATA - 1)] + [0]


def test_dump(world, ram):
    """The dump has every byte except lost pages, which it lists."""
    a, path = hold(world, ram, *LOST), world.path("core")
    ret = dump(a, path)
    equal({g for e in ret["lost"] for g in range(
        e["address"], e["address"] + e["size"], PAGE)}, set(LOST), "lost")
    equal(ret["lost-bytes"], len(LOST) * PAGE, "bytes lost")
    e = a.qmp.wait_event("DUMP_COMPLETED")
    equal(e["result"], a.qmp.execute("query-dump"), "event and query-dump")
    equal({**e["result"], **ret}, {"status": "completed", "total": 64 * MIB,
                                   "completed": 64 * MIB, **ret}, "result")
    core = Core(path)
    equal(core.covers(), without(RAM, LOST), "what is in the file")
    equal(core.lost(), set(LOST), "the note FERRY")
    area_is(lambda gpa: core.read(gpa, PAGE), DATA, LOST)
    for rip, cr3 in zip(core.cpus(), core.cr3()):
        check(cr3 == core.cr3()[0] != 0, f"CR3 {cr3:#x}")
        check(MIB <= rip < 3 * MIB, f"rip {rip:#x} is not in the guest")
    equal(os.stat(path).st_mode & 0o777, 0o600, "mode")
    alone(world, path)
    save(a, world.path("page"), page(5), PAGE)
    equal(a.qmp.execute("query-dump"), e["result"], "query-dump, later")
    equal(a.injected(), [], "machine checks")
    a.expect(LOST)
    a.send("go")
    a.full_pass()
    a.sweep()
    a.verdict(seen=len(LOST) - 1, readable=0, unexpected=0)


test_dump.cases = {"ram": ["anon", "memfd"]}


def test_many_lost(world):
    """The list in the answer is limited; its sum and the file are not."""
    lost = [page(2 * i) for i in range(1100)]
    a, path = hold(world, "anon", *lost), world.path("core")
    ret = dump(a, path)
    equal([e["address"] for e in ret["lost"]], lost[:1024], "lost")
    equal(ret["lost-bytes"], len(lost) * PAGE, "bytes lost")
    equal(Core(path).lost(), set(lost), "the note FERRY")


def test_part(world):
    """A dump of a range has the RAM in it, without lost pages."""
    lost = [page(9), page(10)]
    a, path = hold(world, "anon", *lost), world.path("core")
    dump(a, path, begin=page(8) + 8, length=4 * PAGE)
    core = Core(path)
    equal(core.covers(), [(page(8) + 8, page(9)),
                          (page(11), page(12) + 8)], "what is in the file")
    equal(core.lost(), set(lost), "lost")
    equal(core.read(page(8) + 8, PAGE - 8), filled(page(8))[8:], "page 8")
    dump(a, path, begin=64 * MIB - PAGE, length=1 << 60)
    equal(Core(path).covers(), [(64 * MIB - PAGE, 64 * MIB)], "the end")
    equal(Core(path).lost(), set(), "lost")
    a.refused("none of 0x4000000", "dump-guest-memory", paging=False,
              protocol="file:" + path, begin=64 * MIB, length=PAGE)


def test_above_4g(world):
    """Two regions of RAM, with the hole below 4 GiB between them."""
    low, high = 3 << 30, 4 << 30
    a = world.run("work=idle period_us=3600000000 mib=16", memory="3200M")
    a.ready().poison_pages([low - PAGE, high])
    path = world.path("core")
    dump(a, path, begin=low - 4 * PAGE, length=high - low + 8 * PAGE)
    core = Core(path)
    equal(core.covers(), [(low - 4 * PAGE, low - PAGE),
                          (high + PAGE, high + 4 * PAGE)], "in the file")
    equal(core.lost(), {low - PAGE, high}, "lost")
    dump(a, path, begin=low, length=high - low + 2 * PAGE)
    equal(Core(path).covers(), [(high + PAGE, high + 2 * PAGE)], "in it")
    for gpa, size in ((low - 2 * PAGE, 4 * PAGE), (low, PAGE),
                      (low - PAGE, high - low + 2 * PAGE)):
        a.refused(["0xc0000000", "is not RAM"], "pmemsave", val=gpa,
                  size=size, filename=path)
    equal(save(a, path, high + PAGE, 2 * PAGE), bytes(2 * PAGE), "zeroes")


def test_gdb(world):
    """gdb reads registers and memory, and reports lost pages as unreadable."""
    if not shutil.which("gdb"):
        raise Skip("no gdb here")
    a, path = hold(world, "anon", page(5)), world.path("core")
    dump(a, path)
    rip = Core(path).cpus()
    out = subprocess.run(
        ["gdb", "-batch", "-nx", "-ex", "thread 2", "-ex", "p/x $rip",
         "-ex", f"x/gx {page(4)}", "-ex", f"x/gx {page(5)}", "-c", path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=WAIT).stdout.decode()
    for word in (f"= {rip[1]:#x}", f"Cannot access memory at address "
                 f"{page(5):#x}",
                 f"0x{int.from_bytes(filled(page(4))[:8], 'little'):016x}"):
        check(word in out, f"'{word}' is not in: {out}")


def test_bytes(world, ram):
    """pmemsave writes exactly the bytes of a range, which need not be
    aligned."""
    a, path = hold(world, ram), world.path("bytes")
    area_is(lambda gpa, all_=save(a, path, AREA, DATA * PAGE):
            all_[gpa - AREA:gpa - AREA + PAGE], DATA)
    equal(save(a, path, page(3) + 5, PAGE),
          filled(page(3))[5:] + filled(page(4))[:5], "two pages' parts")
    equal(save(a, path, page(7) + 4095, 1), filled(page(7))[-1:], "a byte")
    never = 40 * MIB
    equal(save(a, path, never - 3, MIB), bytes(MIB), "never written")
    equal(save(a, path, 64 * MIB - 1, 1), b"\0", "the last byte")
    equal(a.qmp.seen("STOP"), [], "events STOP")
    alone(world, path)


test_bytes.cases = {"ram": ["anon", "memfd"]}


def test_bytes_lost(world, ram):
    """pmemsave of a lost page names it, leaves no file, and does not disturb the
    guest."""
    a, path = hold(world, ram, page(100), page(102)), world.path("bytes")
    for gpa, size, bad in ((page(100), PAGE, 100), (page(100) + 9, 1, 100),
                           (page(90), 20 * PAGE, 100),
                           (page(101) - 1, 2, 100), (page(101), 5000, 102)):
        a.refused([f"{page(bad):#x}", "lost"], "pmemsave", val=gpa,
                  size=size, filename=path)
        alone(world, path, False)
    before = save(a, path, page(101), PAGE)
    equal(before, filled(page(101)), "the page between")
    a.refused("lost", "pmemsave", val=page(101), size=2 * PAGE,
              filename=path)
    with open(path, "rb") as f:
        equal(f.read(), before, "what was there before")
    alone(world, path)
    soon(lambda: len(a.qmp.seen("MEMORY_FAILURE")), 2, "events")
    a.verdict(mce=0)


test_bytes_lost.cases = {"ram": ["anon", "memfd"]}


def test_running(world):
    """A dump pauses the guest; pmemsave does not."""
    a, path = world.run("work=dirty mib=32", cpus=2).ready(), \
        world.path("core")
    dump(a, path)
    soon(lambda: [len(a.qmp.seen(e)) for e in ("STOP", "RESUME")], [1, 1],
         "events")
    equal(a.qmp.seen("STOP")[0]["libvirt"]["reason"],
          "VIR_DOMAIN_PAUSED_DUMP", "reason")
    equal(a.status()["libvirt"]["reason"], "VIR_DOMAIN_RUNNING_BOOTED",
          "reason afterwards")
    a.working(1000)
    a.qmp.execute("stop")
    dump(a, path)
    equal(a.state(), "paused", "state afterwards")
    core = Core(path)
    equal(core.covers(), RAM, "in the file")
    for gpa in (AREA, page(77), 20 * MIB):
        equal(save(a, world.path("p"), gpa, PAGE), core.read(gpa, PAGE),
              "pmemsave and the dump")
    b = world.receive()
    a.migrate(b)
    b.qmp.execute("cont")
    b.working(1000)
    b.sweep()
    b.verdict()


def test_hwpoison(world, ram):
    """Real memory failure: the VMM meets it in its own reads and continues."""
    world.need_hwpoison()
    lost = [page(i) for i in (3, 4, 600)]
    a, path = world.run(GUEST, "--ram", ram).ready(), world.path("f")
    for gpa in lost:
        equal(a.poison(gpa, method="hwpoison")["method"], "hwpoison", "method")
    a.refused([hex(lost[0]), "lost"], "pmemsave", val=AREA, size=MIB,
              filename=path)
    equal(save(a, path, page(5), 2 * PAGE), filled(page(5)) + filled(page(6)),
          "pages after it")
    dump(a, path)
    core = Core(path)
    equal(core.lost(), set(lost), "lost")
    equal(core.covers(), without(RAM, lost), "in the file")
    area_is(lambda gpa: core.read(gpa, PAGE), DATA, lost)
    equal(a.injected(), [], "machine checks")
    a.expect(lost)
    a.send("go")
    a.full_pass()
    a.sweep()
    a.verdict(seen=len(lost), readable=0, unexpected=0)


test_hwpoison.cases = {"ram": ["anon", "memfd"]}


def test_crashed(world):
    """The memory of a guest that has crashed can be dumped."""
    a = world.run(GUEST, "--paused")
    a.poison(MIB, count=512)
    a.qmp.execute("cont")
    a.wait_state("internal-error")
    path = world.path("core")
    dump(a, path)
    equal(len(Core(path).lost()), 512, "lost pages")
    equal(len(Core(path).cpus()), 1, "vCPUs")
    equal(a.state(), "internal-error", "state")


def test_arrived(world, ram):
    """On a destination a dump is refused while pages are missing; afterwards it
    is complete."""
    lost = [page(50), page(51), page(4000)]
    a, b, relay = begin(world, "work=verify mib=32 hold=1", "--ram", ram)
    a.poison_pages(lost[:2])
    path = world.path("f")
    relay.hold()
    a.start_migration(relay.uri)
    a.wait_migration("postcopy-active")
    b.wait_migration("postcopy-active")
    for command, args in (
            ("pmemsave", {"val": AREA, "size": PAGE, "filename": path}),
            ("dump-guest-memory", {"paging": False,
                                   "protocol": "file:" + path})):
        b.refused("missing here", command, **args)
    a.refused("finish-migrate", "dump-guest-memory", paging=False,
              protocol="file:" + path)
    equal(save(a, path, page(7), PAGE), filled(page(7)), "on the source")
    relay.release()
    b.wait_migration("completed")
    b.poison(lost[2])
    dump(b, path)
    core = Core(path)
    equal(core.lost(), set(lost), "lost")
    equal(core.covers(), without(RAM, lost), "in the file")
    area_is(lambda gpa: core.read(gpa, PAGE), 8192, lost)
    b.refused([hex(lost[0]), "lost"], "pmemsave", val=AREA, size=MIB,
              filename=path)
    equal(b.injected(), [], "machine checks")


test_arrived.cases = {"ram": ["anon", "memfd"]}


def during_dump(vmm, path, *commands):
    """Start a dump, and run commands once it has stopped the vCPUs. They are
    sent at once, so that the machine runs them in a row.

    Return: the answers, or None if the dump was over before the last one.
    """
    ret, status = vmm.qmp.execute_all(
        ("dump-guest-memory", {"paging": False, "detach": True,
                               "protocol": "file:" + path}),
        ("query-dump", {}))
    equal(ret, {}, "return")
    check(status["status"] in ("active", "completed"), status)
    vmm.qmp.wait_event("STOP")
    first, *answers, last = vmm.qmp.execute_all(
        ("query-status", {}), *commands, ("query-dump", {}))
    e = vmm.qmp.wait_event("DUMP_COMPLETED")
    equal((e["result"]["status"], e["result"]["completed"]),
          ("completed", 512 * MIB), "result")
    if last["status"] != "active":
        return None
    equal(first["status"], "save-vm", "status during the dump")
    vmm.wait_state("running")
    return answers


def test_detached(world):
    """With detach: answered at once; one dump at a time; no migration during
    it."""
    path = world.path("core")
    commands = {
        ("pmemsave", "one at a time"):
            {"val": 0, "size": 1, "filename": path},
        ("dump-guest-memory", "one at a time"):
            {"paging": False, "protocol": "file:" + path},
        ("migrate", "save-vm"): {"uri": world.uri()},
        ("system_reset", "dumped"): {},
        ("cont", "save-vm"): {}, ("stop", "save-vm"): {},
    }
    for n in range(5):      # on a slow machine a dump may be over too early
        a = world.run("work=verify hold=1", name=f"a{n}", memory="512M")
        a.ready()
        equal(a.qmp.execute("query-dump"),
              {"status": "none", "total": 0, "completed": 0}, "before")
        answers = during_dump(a, path, *(
            (name, arguments) for (name, _), arguments in commands.items()))
        a.end()
        if answers:
            break
    check(answers, "no dump lasted while the commands were answered")
    for (name, word), answer in zip(commands, answers):
        check(isinstance(answer, QmpError), f"{name} was not refused")
        check(word in answer.desc, f"'{word}' is not in: {answer.desc}")
    equal(Core(path).covers(), [(0, 512 * MIB)], "in the file")


def test_migrate_during_dump(world):
    """A migration during a dump fails, and does not disturb the dump."""
    a, b = world.run("work=verify hold=1", memory="512M").ready(), \
        world.receive()
    path = world.path("core")
    both = [{"execute": "dump-guest-memory", "id": "dump", "arguments": {
        "paging": False, "protocol": "file:" + path, "detach": True}},
            {"execute": "migrate", "id": "go", "arguments": {"uri": b.uri}}]
    a.qmp.socket.sendall("".join(map(json.dumps, both)).encode())
    a.qmp.wait(lambda: "go" in a.qmp.answers, "the answer to migrate")
    if "error" not in a.qmp.answers["go"]:
        a.wait_migration("failed")
    reset, status = a.qmp.execute_all(("system_reset", {}), ("query-dump", {}))
    refused = isinstance(reset, QmpError)
    check(refused or status["status"] == "completed", "reset during a dump")
    e = a.qmp.wait_event("DUMP_COMPLETED")
    equal(e["result"]["status"], "completed", "result")
    if refused:
        check("dumped" in reset.desc, reset.desc)
        a.wait_state("running")
        equal(a.qmp.seen("RESET"), [], "RESET events")
    else:       # the dump was over before the command
        a.out.wait(lambda lines: [x.kind for x in lines].count("ready") == 2,
                   "the second boot")
    a.migrate(b)


def test_quit(world):
    """A machine that ends during a dump reports that, and leaves no file."""
    for n in range(5):
        a = world.run("work=verify hold=1", name=f"a{n}", memory="512M")
        p = subprocess.Popen([os.path.join(BUILD, "ferry"), "dump",
                              a.ready().name, world.path("core")],
                             env=world.env, stderr=subprocess.PIPE)
        a.qmp.wait_event("STOP")
        a.qmp.execute("quit")
        equal(a.wait_end(), 0, "exit status")
        err = p.communicate(timeout=WAIT)[1]
        if b"the machine ends" in err:
            break
        os.unlink(world.path("core"))   # it was over before the command
    check(b"the machine ends" in err, err)
    equal(p.returncode, 1, "exit status of ferry dump")
    alone(world, world.path("core"), False)


def test_command(world):
    """ferry dump resolves paths in the caller's directory."""
    a = hold(world, "anon", page(1))
    ferry = os.path.join(os.environ.get("FERRY_BUILD", "build"), "ferry")

    def run(*args, status=0):
        p = subprocess.run([os.path.abspath(ferry), "dump", *args],
                           cwd=world.dir, env=world.env, check=False,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        equal(p.returncode, status, f"status of {args}: {p.stderr}")
        # An error names the path as it was typed
        return p.stdout.decode(), p.stderr.decode(errors="replace")

    out, _ = run("a", "core")
    check(f"4096 bytes at {page(1):#x}" in out, out)
    equal(Core(world.path("core")).lost(), {page(1)}, "lost")
    run("--raw", "--address", hex(page(2)), "--size", "4K", "a", "raw")
    with open(world.path("raw"), "rb") as f:
        equal(f.read(), filled(page(2)), "page")
    out, _ = run("--json", "--address", "0", "--size", "2M", "a", "part")
    equal(one_json(out), {}, "JSON")
    equal(Core(world.path("part")).covers(), [(0, 2 * MIB)], "part")
    _, err = run("--raw", "--address", hex(page(1)), "--size", "4K", "a",
                 "raw2", status=1)
    check(hex(page(1)) in err, err)
    run("--json", "--control", world.socket("a"), "core2")
    equal(Core(world.path("core2")).lost(), {page(1)}, "lost")
    for raw in [], ["--raw", "--address", "0", "--size", "4K"]:
        _, err = run(*raw, "a", b"\xff", status=1)
        check("not UTF-8" in err, err)
    check(a.alive(), "the machine ended")
