# SPDX-License-Identifier: MIT
"""Any migration test, with a fault somewhere in the middle of it.

A FaultyWorld runs a test of tests/migrate/ as it is. Its machines are of the
build with faults: their channels fail as FERRY_CHANNEL says
(migration/link/channel_fault.h). Or there is a relay before each destination,
which cuts all connections after a message. What a user would do then is done
by the source itself (recovery is automatic) or by an operator, a thread: a
migration that has failed is started again, one that is paused is resumed. So
the test ends as if nothing had happened, or it fails.
"""

import glob
import os
import re
import signal
import threading
import time

from cases import file_tests, load_file, uses
from errors import SLOW, WAIT, Failed, Skip, check
from ferry import ROOT, Vmm, World
from qmp import Qmp, QmpError
from relay import SOURCE, TARGET, Relay

BUILD = os.environ.get("FERRY_FAULTS_BUILD",
                       os.path.join(ROOT, "build", "faults"))
# With FERRY_TEST_EVERY=1 a fault is tried at every place, not at a selection
EVERY = os.environ.get("FERRY_TEST_EVERY") == "1"
LOOK_S = 0.05           # the operator's
STARTS = 5              # again, for each fault: the peer may still be busy
RUN_SECONDS = 180       # for one run of the test


def migrate_test(file, name, **args):
    """A test of tests/migrate/ with its arguments, as function(world)."""
    path = os.path.join(ROOT, "tests", "migrate", file + ".py")
    test = getattr(load_file(path), "test_" + name)
    return lambda world: test(world, **args)


def migrate_tests():
    """All tests of tests/migrate/ that have a destination and migrate a guest:
    {name: function(world)}. With FERRY_TEST_EVERY=1 with each value of their
    cases; else with the first values, and without those that are long."""
    found, done = {}, set()
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "migrate",
                                              "*.py"))):
        for name, test, args in file_tests(path, each=True, quick=not EVERY):
            if uses(test, "receive") and \
                    uses(test, "migrate", "start_migration") and \
                    (EVERY or test not in done):
                done.add(test)
                found[name] = lambda world, t=test, a=args: t(world, **a)
    return found


class FaultyVmm(Vmm):
    """A machine whose migration may fail or pause before it completes."""

    def __init__(self, *args, **kw):
        self.leaves = None      # arguments of its last migration
        super().__init__(*args, **kw)

    def start_migration(self, uri, **more):
        super().start_migration(uri, **more)
        self.leaves = {"uri": uri, **more}

    def poison(self, *args, **kw):
        """During a recovery Ferry may ask to try again, and so a user does."""
        end = time.monotonic() + WAIT
        while True:
            try:
                return super().poison(*args, **kw)
            except QmpError as e:
                if "try again" not in e.desc or time.monotonic() > end:
                    raise
            time.sleep(LOOK_S)

    def wait_migration(self, *wanted, recovers=False):
        """Wait for one of these statuses, whatever comes before it. A failure
        counts only if the operator does not start the migration again."""
        end = time.monotonic() + WAIT
        while (m := self.migration())["status"] not in wanted or \
                m["status"] == "failed" and self.world.starts_again(self):
            check(time.monotonic() < end, f"{self.name}: migration is "
                  f"{m['status']} ({m.get('error-desc')}), not {wanted}")
            time.sleep(0.01)
        return m

    def faults(self):
        """What its channels have done to it, as it reports it."""
        return re.findall(r"fault: (operation \d+: \w+)", self.err.text())

    def operations(self):
        """How many operations its channels had when the last one closed."""
        return max(map(int, re.findall(r"fault: (\d+) operations so far",
                                       self.err.text())), default=0)


class Operator(threading.Thread):
    """Does what failure.md tells operators to do, for all machines.

    A migration may have to fail because of what its test does: it is started
    again only a few times for each fault that was made.
    """

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.over = threading.Event()
        self.control = {}
        self.started = {}       # machine: how often it was started again
        self.start()

    def starts_again(self, vmm):
        """Will a migration that has failed be started again?"""
        return vmm.leaves and self.started.get(vmm, 0) < \
            STARTS * self.world.faults_made()

    def run(self):
        while not self.over.wait(LOOK_S):
            for vmm in list(self.world.machines):
                if vmm.leaves and vmm.alive():
                    self._look(vmm)

    def _look(self, vmm):
        try:
            if vmm not in self.control:
                self.control[vmm] = Qmp(self.world.socket(vmm.name), vmm.alive)
            qmp = self.control[vmm]
            m = qmp.execute("query-migrate")
            if m["status"] == "failed" and self.starts_again(vmm):
                self.started[vmm] = self.started.get(vmm, 0) + 1
                qmp.execute("migrate", **vmm.leaves)
            elif m["status"] == "postcopy-paused" and \
                    not self.world.automatic:
                qmp.execute("migrate", uri=vmm.leaves["uri"], resume=True)
        except (Failed, QmpError):
            pass            # the moment was wrong, or the machine has ended

    def end(self):
        self.over.set()
        self.join()
        for qmp in self.control.values():
            qmp.close()


class FaultyWorld(World):
    """A world in which the channels of some machines fail.

    @faults: {name of a machine: FERRY_CHANNEL}; "run" and "receive" are all
    machines that begin with this command. @message: (side, N): all
    connections are cut after message N of this side. @automatic: the source
    recovers by itself; else an operator resumes it. @operator: there is one. @mib:
    size of the guest's data area, instead of the test's own.
    """

    def __init__(self, faults=None, message=None, automatic=True,
                 operator=True, mib=None, **parameters):
        super().__init__()
        self.like = {"faults": faults, "message": message,
                     "automatic": automatic, "operator": operator, "mib": mib,
                     **parameters}
        self.others = []            # from another()
        self.mib = mib
        if not os.access(os.path.join(BUILD, "ferry"), os.X_OK):
            raise Skip(f"no {BUILD}/ferry (make FAULTS=1 BUILD=build/faults)")
        self.faults = faults or {}
        self.message = message
        self.relays = []
        self.automatic = automatic
        self.parameters.update(parameters)
        self.operator = Operator(self) if operator else None
        if operator:
            self.closers.append(self.operator.end)

    def another(self):
        self.others.append(FaultyWorld(**self.like))
        return self.others[-1]

    def starts_again(self, vmm):
        return self.operator and self.operator.starts_again(vmm)

    def run(self, append="", *args, **kw):
        if self.mib:
            append = re.sub(r"\bmib=\d+", f"mib={self.mib}", append)
        return super().run(append, *args, **kw)

    def start(self, name, args, env=None, **kw):
        channel = self.faults.get(name) or self.faults.get(args[0], "delay=0")
        return FaultyVmm(self, name, args, build=BUILD, env={
            **(env or {}), "FERRY_CHANNEL": channel}, **kw)

    def receive(self, *args, **kw):
        vmm = super().receive(*args, **kw)
        if self.message:
            relay = Relay(self, vmm)
            relay.cut_after = self.message
            self.relays.append(relay)
            vmm.uri = relay.uri
        return vmm

    def faults_made(self):
        """How many faults have happened."""
        return sum(len(vmm.faults()) for vmm in list(self.machines)) + \
            sum(relay.cut_after is None for relay in self.relays) + \
            sum(w.faults_made() for w in self.others)


def run_limit():
    """One more run: it has the time limit of a test."""
    signal.alarm(int(RUN_SECONDS * SLOW))


def run_once(test, what, **world):
    """Run a test in a faulty world. Return: how many faults happened."""
    run_limit()
    with FaultyWorld(**world) as w:
        try:
            test(w)
            w.check_sanitizers()
            return w.faults_made()
        except (Failed, QmpError) as why:
            raise Failed(f"{what}: {why}\n{w.log()}") from why


def until_untouched(run, first=1, growth=3.0, wanted=1):
    """Call run(N) for N = 1, 2, 3 … until it returns fewer faults than
    @wanted: the place is after the end. After the first places only a
    selection, each @growth times as far as the one before, unless
    FERRY_TEST_EVERY is set."""
    n, runs = 1, 0
    while run(n) >= wanted:
        runs += 1
        n = n + 1 if EVERY or n < first else int(n * growth) + 1
    check(runs, "no fault was made")
    print(f"#   {runs} of {n} places, or fewer", flush=True)


def operations(test, **world):
    """{machine: operations of its channels in a run without a fault}."""
    run_limit()
    with FaultyWorld(**world) as w:
        test(w)
        end = time.monotonic() + WAIT
        while not all(vmm.operations() for vmm in w.machines):
            check(time.monotonic() < end, "operations are not reported")
            time.sleep(0.01)
        return {vmm.name: vmm.operations() for vmm in w.machines}


SIDES = {"source": SOURCE, "destination": TARGET}
__all__ = ["BUILD", "EVERY", "SIDES", "FaultyVmm", "FaultyWorld",
           "migrate_test", "migrate_tests", "operations", "run_limit",
           "run_once", "until_untouched"]
