# SPDX-License-Identifier: MIT
"""The figures of a migration agree with each other, and on both sides."""

import errno
import os
import re
import subprocess
import time

import wire
from crossing import add_up, begin, finish, in_postcopy
from errors import WAIT
from ferry import BUILD, MIB, PAGE, check, equal, one_json, page
from relay import TARGET, Relay

SANITIZERS = {"thread"}

MEMORY = 64 * MIB


def crossed(world, append="work=verify mib=32", **kw):
    a = world.run(append, cpus=2, **kw).ready()
    b = world.receive()
    return b, a.migrate(b)


def test_pages_add_up(world, ram):
    """Each page arrives once: demand, push, zero and poison add up to RAM."""
    a = world.run("work=idle mib=32 period_us=1000000", "--ram", ram,
                  cpus=2).ready()
    b = world.receive()
    lost = [page(4000 + 2 * i) for i in range(10)]
    a.poison_pages(lost)
    for m in a.migrate(b):
        add_up(m, MEMORY)
        pages = m["ferry"]["pages"]
        equal(pages["poison"], len(lost), "poisoned pages")
        check(pages["zero"] >= (MEMORY - 40 * MIB) // PAGE, "zero pages")
        ram_part = m["ram"]
        equal(ram_part["total"], MEMORY, "total")
        equal(ram_part["remaining"], 0, "remaining")
        equal(ram_part["duplicate"], pages["zero"], "duplicate")
        equal(ram_part["normal"], pages["demand"] + pages["push"], "normal")
        equal(ram_part["normal-bytes"], ram_part["normal"] * PAGE, "bytes")


test_pages_add_up.cases = {"ram": ["anon", "memfd"]}


def test_times(world):
    """The downtime is above 0 and below the total time; times are whole
    milliseconds, as QEMU's, and with fractions under `ferry`. A destination,
    which does not know when the guest was paused, shows no downtime."""
    _, both = crossed(world)
    for m in both:
        for name in "total", "setup", "downtime":
            key = name if name == "downtime" else name + "-time"
            equal(key in m, f"{name}-ms" in m["ferry"], f"{name} in both forms")
            if key in m:
                equal(m[key], int(m["ferry"][f"{name}-ms"]), name)
        check(m["ferry"]["total-ms"] > 0, "no total time")
    here, there = both
    check(0 < here["ferry"]["setup-ms"] < here["ferry"]["total-ms"], "setup")
    check(0 < here["ferry"]["downtime-ms"] < here["ferry"]["total-ms"],
          "downtime", here)
    check("downtime" not in there and "setup-time" not in there, there)


def test_downtime_of_a_failure(world):
    """The source shows how long the guest was stopped while it is, and after
    a hand-over that failed."""
    a = world.run("work=idle period_us=1000").ready()
    b = world.receive()
    relay = Relay(world, b)
    relay.stop_at = (TARGET, wire.PREPARED)
    a.start_migration(relay.uri)
    relay.wait(wire.PREPARED)       # so the guest is stopped
    time.sleep(0.3)
    now = a.migration()
    check(now["downtime"] > 100, "stopped for", now["downtime"], "ms so far")
    relay.cut()
    m = a.wait_migration("failed")
    check(m["downtime"] >= now["downtime"], m["downtime"], now["downtime"])
    check(m["libvirt"]["downtime"] == m["downtime"], m["libvirt"])


def test_bytes(world):
    """The number of bytes sent is at least that of the pages."""
    _, both = crossed(world)
    for m in both:
        check(m["ferry"]["bytes"] >= m["ram"]["normal-bytes"], "bytes", m)
        check(m["ram"]["mbps"] > 0, "no rate", m)


def test_latency(world):
    """Demand faults are counted for each vCPU, the same on both sides; the
    percentiles ascend.

    The push is delayed, so that the guest's accesses are faults.
    """
    a, b, relay = in_postcopy(world, "work=walk order=random mib=32")
    b.working(500)
    finish(a, b, relay)
    here, there = a.migration(), b.migration()
    f = there["ferry"]
    d = f["demand-latency-us"]
    check(f["pages"]["demand"] >= 50 and d["count"] >= 50, "faults", f)
    check(0 < d["p50"] <= d["p90"] <= d["p99"] <= d["max"], "order", d)
    equal(here["ferry"]["demand-latency-us"], d, "latency on the source")
    equal([v["index"] for v in f["vcpus"]], [0, 1], "vCPUs")
    equal(sum(v["count"] for v in f["vcpus"]) + f["asynchronous"]["count"],
          d["count"], "faults by vCPU")
    b.sweep()
    b.verdict()


def test_guest_sees_it(world):
    """The guest's own histogram of stalls has the faults, and adds up."""
    a, b, relay = begin(world, "work=walk order=random mib=32", cpus=1)
    a.send("mark")
    a.report()
    # The push is delayed: nearly every page that the guest touches faults
    relay.hold()
    a.start_migration(relay.uri)
    relay.wait(wire.RUNNING)
    b.working(500)
    finish(a, b, relay)
    there = b.migration()
    b.full_pass()
    line = b.ask("stalls", "stalls")
    pairs = [tuple(map(int, p.split(":"))) for p in
             line["fine"].strip(",").split(",")]
    us = [p[0] for p in pairs]
    equal(us, sorted(us, reverse=True), "longest first")
    equal(sum(p[1] for p in pairs), line["n"], "stalls in all")
    d = there["ferry"]["demand-latency-us"]
    check(line["n"] >= d["count"], "fewer stalls than faults", line.text, d)
    # The guest does not time its few faults on code and stack
    check(us[0] >= 0.8 * d["p90"], "the histogram lacks the long faults",
          us[0], d)


def test_json(world):
    """`ferry migrate --json` prints one JSON object: query-migrate's."""
    a = world.run("work=verify mib=16").ready()
    b = world.receive(uri=world.uri("tcp"))
    out, err = world.ferry("migrate", "a", b.uri, "--json")
    m = one_json(out)
    equal(err, "", "standard error")
    equal(m["status"], "completed", "status")
    equal(m, a.migration(), "query-migrate")


def test_text(world):
    """Without --json a few lines are printed, and status shows the
    migration."""
    world.run("work=verify mib=16").ready()
    b = world.receive()
    out, _ = world.ferry("migrate", "a", b.uri)
    check(out.startswith(f"a is at {b.uri} now\n"), out)
    b.wait_migration("completed")
    out, _ = world.ferry("status", "b")
    check("VIR_DOMAIN_RUNNING_MIGRATED" in out, out)
    check("completed" in out, out)


def read_all(fd):
    """All that was written, after the writers have closed it.

    Linux gives the output of a terminal in pieces, and an error at its end.
    """
    text = b""
    try:
        while data := os.read(fd, 65536):
            text += data
    except OSError as e:
        equal(e.errno, errno.EIO, "error of the terminal")
    return text.decode()


TERMINALS = {
    "UTF-8": ({"TERM": "xterm", "LC_ALL": "C.UTF-8"}, True),
    "ASCII": ({"TERM": "xterm", "LC_ALL": "C"}, False),
    "dumb": ({"TERM": "dumb", "LC_ALL": "C.UTF-8"}, False),
    "file": ({"TERM": "xterm", "LC_ALL": "C.UTF-8"}, False)}


def test_table(world, terminal):
    """ferry migrate ends with a table of the faults, and a histogram of their
    latency on a terminal that can show it."""
    env, shown = TERMINALS[terminal]
    a, b, relay = begin(world, "work=walk order=random mib=32")
    relay.hold()
    ours, theirs = os.pipe() if terminal == "file" else os.openpty()
    with open(ours, "rb", 0) as output:
        p = subprocess.Popen(
            [os.path.join(BUILD, "ferry"), "migrate", "a", relay.uri],
            env={**world.env, **env}, stdin=subprocess.DEVNULL, stdout=theirs,
            stderr=subprocess.DEVNULL)
        os.close(theirs)
        world.closers.append(lambda: (p.kill(), p.wait()))
        relay.wait(wire.RUNNING)
        b.working(200)
        finish(a, b, relay)
        equal(p.wait(WAIT), 0, "exit status")
        text = read_all(output.fileno())
    rows = [x.split() for x in text.splitlines()]
    start = rows.index("vCPU faults p50 us p90 us p99 us max us".split())
    d = a.migration()["ferry"]["demand-latency-us"]
    equal([r[0] for r in rows[start + 1:start + 4]], ["all", "0", "1"], "rows")
    equal(rows[start + 1][1:3], [str(d["count"]), f"{d['p50']:.0f}"], "all")
    line = [x for x in text.splitlines() if x.startswith("  stalls: ")]
    equal(len(line), int(shown), text)
    if shown:
        filled = [i for i, x in enumerate(d["buckets"]) if x["count"]]
        bars = re.search("[\u2580-\u2590 ]*\u2588[\u2580-\u2590 ]*", line[0])
        equal(len(bars[0].strip()), filled[-1] - filled[0] + 1, line[0])


test_table.cases = {"terminal": TERMINALS}


def test_libvirt_words(world):
    """libvirt's statistics have the same values under libvirt's names."""
    _, (here, _) = crossed(world)
    v = here["libvirt"]
    equal(v["success"], True, "success")
    equal(v["memory_total"], MEMORY, "memory_total")
    equal(v["memory_remaining"], 0, "memory_remaining")
    equal(v["memory_normal"], here["ram"]["normal"], "memory_normal")
