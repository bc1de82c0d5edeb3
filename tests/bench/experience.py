# SPDX-License-Identifier: MIT
"""What a guest experiences in one migration, by its own clock

The guest (docs/guest.md) counts the pages that it visits in each millisecond,
the longest times without progress, and its stalls. The VMM's events only say
when the guest was stopped and resumed, which selects the gap that the guest saw
then, and when the migration was complete. Whatever VMM runs the guest, this is
the same code.
"""

import ctypes
import math
import mmap
import struct
import time

from ferry import Failed, World

BASE_S = 0.3            # the guest's speed before the migration
SETTLE_MS = 20          # of which the first part is left out
AFTER_MS = 100          # the curve goes on for so long
STALL_US = 100          # a shorter access is not counted as a stall
CLOCK_US = 500          # accuracy of the guest's clock against the host's
TRIES = 5               # to compare the two
TSC_LOST_MS = 5         # a smaller difference is inaccuracy
BLOCK = 2 << 20
PR_SET_THP_DISABLE = 41


def allow_huge_pages(allowed):
    """May this process, and those it starts, have transparent huge pages?"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_THP_DISABLE, int(not allowed), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_THP_DISABLE)")


class Warmth:
    """Keeps free memory from returning to a host that this machine runs on

    Such a host takes back whole free blocks of 2 MiB; the first access to one
    then costs several times as much. One page in each block that stays in use
    prevents it, and huge pages with it.
    """

    def __init__(self, size):
        size = (size + BLOCK - 1) // BLOCK * BLOCK
        self.memory = mmap.mmap(
            -1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.memory.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            self.memory[at] = 1
        for at in range(0, size, BLOCK):
            self.memory.madvise(mmap.MADV_DONTNEED, at + mmap.PAGESIZE,
                                BLOCK - mmap.PAGESIZE)

    def close(self):
        """Free the memory"""
        self.memory.close()


def clock_of(vmm):
    """Host time of the guest's mark, and where its record is

    The best of several: this process may read a line late, never early. The
    guest may be interrupted between its first line and the look at its clock,
    but for no longer than passes until its second line is read.
    """
    marks = []
    for _ in range(TRIES):
        line = vmm.ask("record", "record")
        done = vmm.wait_line("recorded", since=vmm.mark)
        between = done.at - line.at
        marks.append(line.at - done["t_us"] / 1e6 +
                     (between if between > CLOCK_US / 1e6 else 0))
    return min(marks), line["gpa"], line["size"]


def read_record(world, vmm):
    """The guest's record. Return: mark, visits per ms, gaps (end, length)"""
    mark, gpa, size = clock_of(vmm)
    path = world.path("record")
    vmm.qmp.execute("pmemsave", val=gpa, size=size, filename=path)
    end = time.monotonic() + 5
    while True:         # QEMU answers when the file is complete; be sure
        with open(path, "rb") as f:
            data = f.read()
        if len(data) == size:
            break
        if time.monotonic() > end:
            raise Failed(f"pmemsave wrote {len(data)} bytes of {size}")
        time.sleep(0.01)
    ms, most, n = struct.unpack_from("<3I", data)
    visits = struct.unpack_from(f"<{ms}I", data, 12)
    # The first ones; a guest that wakes late all the time may have had more
    gaps = struct.iter_unpack("<2I", data[12 + 4 * ms:][:8 * min(n, most)])
    return mark, visits, list(gaps)


def blackout_gap(gaps, stop, resume):
    """Length of the gap in which a guest was stopped and resumed

    The guest's clock is known to CLOCK_US. If no gap covers the middle of that
    time, it is the longest one near it. Return: 0 if there is none: a guest
    that slept then has not missed anything.
    """
    middle = (stop + resume) / 2
    near = [(not end - us <= middle <= end, -us) for end, us in gaps
            if end > stop - CLOCK_US and end - us < resume + CLOCK_US]
    return -min(near)[1] if near else 0


def stalls_of(vmm):
    """Stalls since the mark as (us, number), the shortest first"""
    fine = vmm.ask("stalls", "stalls")["fine"].strip(",")
    pairs = [tuple(map(int, p.split(":"))) for p in fine.split(",") if p]
    return pairs[::-1]


def median_of_longest(pairs, n):
    """Median of the n longest of (value, number), the shortest first; None if
    there are fewer than half as many"""
    left = n / 2
    for value, number in reversed(pairs):
        left -= number
        if left <= 0:
            return value
    return None


def percentile(pairs, share):
    """Percentile of (value, number)"""
    left = share * sum(n for _, n in pairs)
    for value, n in pairs:
        left -= n
        if left <= 0:
            return value
    return pairs[-1][0] if pairs else 0


def course(visits, start, begin, end, stalls, cell, blackout):
    """Figures from the visits per ms, and the ms since the guest's mark at
    which its speed was first measured, the migration began, and ended

    A guest that works all the time loses what it could not visit, by its speed
    before. A paced one loses the time in which it had to wait. The record has an
    end: what a longer migration has cost is not a number.
    """
    before = visits[start + SETTLE_MS:begin - 1]
    during, after = visits[begin:end + 1], visits[end + 1:end + AFTER_MS]
    base = max(1, sum(before)) / len(before)    # a guest may rest
    stalled = sum(us * n for us, n in stalls) / 1e3 / cell["cpus"]
    return {
        "stall_p50_us": percentile(stalls, .5),
        "stall_p99_us": percentile(stalls, .99),
        "stall_max_us": stalls[-1][0] if stalls else 0,
        "stalls": sum(n for _, n in stalls), "stalled_ms": stalled,
        "lost_ms": blackout + stalled if cell["rate"]
        else len(during) - sum(during) / base if after else math.nan,
        "base_per_ms": base,
        "after_percent": 100 * sum(after) / len(after) / base
        if after else math.nan}


def wait_over(vmm):
    """Wait until the migration has completed. Return: time of that event"""
    over = {"completed", "failed", "cancelled", "postcopy-paused"}
    vmm.qmp.wait(lambda: over & {e["status"] for e in
                                 vmm.qmp.seen("MIGRATION")},
                 f"the end of the migration on {vmm.name}")
    if not vmm.qmp.seen("MIGRATION", status="completed"):
        raise Failed(f"{vmm.name}: the migration did not complete: "
                     f"{vmm.migration().get('error-desc')}")
    return vmm.qmp.when("MIGRATION", status="completed")


class Run:
    """One migration, and its figures"""

    def __init__(self, world, peer, cell, append):
        self.cell = cell
        self.source, self.target = peer.pair(world, cell, append)
        self.source.ready()
        self.source.send("mark")
        self.mark = clock_of(self.source)[0]
        self.begin_base = time.time()
        time.sleep(BASE_S)
        self.begin = time.time()
        peer.migrate(self.source, self.target)
        self.end = max(map(wait_over, (self.source, self.target)))
        time.sleep(AFTER_MS / 1e3)
        self.of_peer = peer.figures(self.source, self.target)
        self.report = self.target.report()
        # The guest's clock may stand still while it is moved: so this mark
        # counts from then on
        mark, self.visits, self.gaps = read_record(world, self.target)
        self.tsc_lost = max(0, mark - self.mark) * 1e3
        self.all_stalls = stalls_of(self.target)
        self.stalls = [p for p in self.all_stalls if p[0] >= STALL_US]
        self.target.verdict()   # a wrong byte would void all figures

    def ms(self, at):
        """A host's time as milliseconds since the mark"""
        return int((at - self.mark) * 1e3)

    def blackout(self):
        """The gap in which the VMMs stopped and resumed the guest, ms"""
        stop, resume = (1e6 * (at - self.mark) for at in (
            self.source.qmp.when("STOP"), self.target.qmp.when("RESUME")))
        lost = self.tsc_lost if self.tsc_lost > TSC_LOST_MS else 0
        return lost + blackout_gap(self.gaps, stop, resume) / 1e3

    def figures(self):
        """All figures of this run"""
        down = self.target.qmp.when("RESUME") - self.source.qmp.when("STOP")
        faults, blackout = self.of_peer.get("faults"), self.blackout()
        return {
            "blackout_ms": blackout, "stopped_ms": 1e3 * down,
            **course(self.visits, *map(self.ms, (
                self.begin_base, self.begin, self.end)), self.stalls,
                self.cell, blackout),
            "total_ms": 1e3 * (self.end - self.begin),
            "tsc_lost_ms": self.tsc_lost, **self.of_peer,
            "gap_ms": self.report["gap_mark_max_us"] / 1e3,
            "any_stall_p99_us": self.report["stall_p99_us"],
            "any_stall_max_us": self.report["stall_mark_max_us"],
            "demand_p50_us": median_of_longest(self.all_stalls, faults)
            if faults else 0}

    def curve(self, base):
        """Speed per ms of the migration, in percent of base, and the
        hand-over's place in it"""
        first = max(0, self.ms(self.begin) - 50)
        return {"first_ms": first - self.ms(self.source.qmp.when("STOP")),
                "percent": [round(100 * v / base, 2) for v in self.visits[
                    first:self.ms(self.end) + AFTER_MS]]}


def run_once(peer, cell):
    """One migration of a guest. Return: figures, curve, stalls"""
    with World() as world:
        try:
            run = Run(world, peer, cell, cell["append"])
        except Failed as error:
            raise Failed(f"{peer.name}, {cell['name']}: {error}\n"
                         f"{world.log()}") from error
        figures = run.figures()
        return {"figures": figures, "curve": run.curve(figures["base_per_ms"]),
                "stalls": run.stalls}
