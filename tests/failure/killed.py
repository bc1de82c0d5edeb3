# SPDX-License-Identifier: MIT
"""Either process is killed, or stands still, at a random point.

The points are operations of the process's channels, chosen by a seed, half of
them evenly and half with more at the beginning. FERRY_TEST_POINTS says how many
for each signal and side (`make killed`: 100), FERRY_TEST_SEED another seed. The
surviving process reports what has happened, carries out the operator's next
commands, and ends on `quit`.
"""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from crossing import whole
from errors import SLOW, WAIT
from faulty import FaultyWorld, operations, run_limit
from ferry import check, equal
from loss import quits, silent
from qmp import QmpError

POINTS = int(os.environ.get("FERRY_TEST_POINTS") or 12)
SEED = int(os.environ.get("FERRY_TEST_SEED") or 1)
BUSY = "work=verify mib=8 seed=10"
SIDES = {"source": "a", "destination": "b"}
LIMIT_MS = int(1000 * SLOW)     # of every wait of a process
REPORT_S = 10 * SLOW            # within this, what is left must have reported
LIMITS = {f"ferry-{name}-timeout": LIMIT_MS for name in (
    "connect", "build", "silence", "hello", "answer", "last-pages",
    "dead-peer")} | {"downtime-limit": LIMIT_MS, "ferry-beat-interval": 200}
OVER = "failed", "postcopy-paused", "completed"


def pair(w):
    """A guest, and the machine that it is to move to."""
    return w.run(BUSY, cpus=2).ready(), w.receive()


def moves(w):
    a, b = pair(w)
    a.migrate(b)


def points(what, side):
    """Places of a fault."""
    name, dice = SIDES[side], random.Random(f"{SEED} {what} {side}")
    last = operations(moves)[name]
    print(f"# {what} {side}: seed {SEED}, {POINTS} of {last} operations",
          flush=True)
    for i in range(POINTS):
        yield round(last ** dice.random()) if i % 2 else \
            dice.randrange(1, last + 1), dice


def completes(a, b):
    """Have both sides completed?"""
    return all(vmm.migration()["status"] == "completed" for vmm in (a, b))


def wait_fault(hit, a, b):
    """Wait until hit(), or until a migration has completed without it."""
    end = time.monotonic() + WAIT
    while not hit():
        check(time.monotonic() < end, "neither fault nor completion")
        try:
            if completes(a, b):
                return False
        except Exception:       # pylint: disable=broad-except
            pass                # the process is about to end
        time.sleep(0.005)
    return True


def arrives(w, b):
    """The machine listens again: another guest moves there."""
    c = w.run(BUSY, name="c").ready()
    end = time.monotonic() + WAIT
    while True:
        c.start_migration(b.uri)
        if c.wait_migration(*OVER)["status"] == "completed":
            break
        check(time.monotonic() < end, "b takes no guest any more")
        time.sleep(0.05)
    b.wait_migration("completed")
    whole(b)


def is_in_doubt(m):
    return "in doubt" in m["error-desc"]


def resolve(vmm, action):
    vmm.qmp.execute("ferry-resolve", action=action)


def source_left(_, a, m):
    """The destination is gone. The guest runs here, if that is certain or an
    operator says so; else it is given up."""
    if m["status"] == "completed":
        return
    check(m["error-desc"], "no reason")
    if m["status"] == "postcopy-paused":
        if not is_in_doubt(m):
            a.refused("known to run", "ferry-resolve", action="run-here")
            resolve(a, "give-up")
            a.wait_migration("failed")
            silent(a)
            return
        resolve(a, "run-here")
    a.wait_state("running")
    whole(a)


def target_left(w, b, m):
    """The source is gone. The guest is here, or the machine listens again."""
    if m["status"] == "completed":
        whole(b)
        return
    if m["status"] == "postcopy-paused":
        if not is_in_doubt(m):
            b.refused("runs here already", "ferry-resolve", action="run-here")
            equal(b.status()["libvirt"]["reason"],
                  "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED", "libvirt's reason")
            return
        resolve(b, "give-up")
        b.wait_migration("failed")
    arrives(w, b)


def killed(name, n):
    """Return: what the other process reports."""
    with FaultyWorld({name: f"kill={n}"}, operator=False,
                     automatic=False) as w:
        a, b = pair(w)
        dead, left = (a, b) if name == "a" else (b, a)
        a.start_migration(b.uri)
        if not wait_fault(lambda: not dead.alive(), a, b):
            return "untouched"
        equal(dead.process.wait(), -signal.SIGKILL, "exit status")
        start = time.monotonic()
        # A destination may not have heard of the source yet
        m = left.wait_migration(*OVER, *(["none"] if left is b else []))
        took = time.monotonic() - start
        check(took < REPORT_S, f"{left.name} reports after {took:.1f} s")
        (target_left if left is b else source_left)(w, left, m)
        quits(left)
        w.check_sanitizers()
        return m["status"]


def is_stopped(vmm):
    with open(f"/proc/{vmm.process.pid}/stat", encoding="ascii") as f:
        return f.read().rsplit(")", 1)[1].split()[0] == "T"


def continue_late(vmm, over):
    """Continue a process that stops when the other side has completed."""
    while not over.wait(0.05):
        if is_stopped(vmm):
            vmm.process.send_signal(signal.SIGCONT)


def stopped(name, n, seconds):
    """The process stands still at operation @n, and goes on after @seconds.
    Return: what the other one reported meanwhile."""
    with FaultyWorld({name: f"stop={n}"}, **LIMITS) as w, \
            ThreadPoolExecutor() as pool:
        a, b = pair(w)
        still, left = (a, b) if name == "a" else (b, a)
        # The process may stop before it has answered
        command = pool.submit(a.start_migration, b.uri)
        status = "untouched"
        try:
            if wait_fault(lambda: is_stopped(still), left, left):
                time.sleep(seconds)
                status = left.migration()["status"]
                if seconds * 1000 > LIMIT_MS:
                    status = left.wait_migration(*OVER, "none")["status"]
        finally:
            still.process.send_signal(signal.SIGCONT)
            command.result()
        over = threading.Event()
        pool.submit(continue_late, still, over)
        try:
            for vmm in a, b:
                vmm.wait_migration("completed")
            whole(b)
        finally:
            over.set()
        w.check_sanitizers()
        return status


def each_point(what, side, run):
    """Run a test for each point. Prints what was reported how often."""
    seen = {}
    for n, dice in points(what, side):
        run_limit()
        try:
            status = run(SIDES[side], n, dice)
        except (AssertionError, QmpError) as e:
            raise AssertionError(f"{what}={n} of the {side}: {e}") from e
        seen[status] = seen.get(status, 0) + 1
    print(f"# {what} {side}: {seen}", flush=True)
    check(set(seen) != {"untouched"}, "no fault was made")


def test_killed(world, side):
    """SIGKILL: the other side reports it in time, does what the operator says,
    and does not hang."""
    del world
    each_point("kill", side, lambda name, n, _: killed(name, n))


def test_stopped(world, side):
    """SIGSTOP, and SIGCONT before or after every limit has passed: the guest is
    whole on the destination at the end."""
    del world
    each_point("stop", side, lambda name, n, dice: stopped(
        name, n, dice.choice([0.05, 0.3, 2.5, 4]) * SLOW))


test_killed.cases = test_stopped.cases = {"side": SIDES}
