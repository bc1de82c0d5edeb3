#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check docs/model/ferry.pml with spin: model.py [--only NAME] [--build BUILD]

First the model itself: no assertion may fail (both sides run; a page is lost;
both sides wait for ever), and from every state the guest must end complete on
one side once nothing fails any more. Then mutants: one rule removed each, in
the phase table (`cells`) or in ferry.pml (`define`). spin must report an error
in each, or the model does not see what it is there to see.

Each check prints one line: "ok", "not ok", or "skip" with a reason. After a
"not ok" the steps that lead to the error follow. Everything is written below
BUILD/model.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MODEL = "docs/model/ferry.pml"
SECONDS = 300           # for each call of a program
MEGABYTES = 3500        # for a search
DEPTH = 1000000

# The whole graph is stored, so that no reduction has to be trusted
# Compiling takes longer than searching
COMMON = ["-O0", "-w", "-DNOREDUCE", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}"]
SAFETY = [*COMMON, "-DSAFETY", "-DNOCLAIM"]
LIVENESS = [*COMMON, "-DNFAIR=3"]
# Weak fairness: a side that can always do something does something
FAIR = ["-a", "-f"]


# What spin prints of an error, and what it means
ERRORS = {"!((source_runs&&target_runs))": "both run", "expired": "stuck",
          "have==3": "page lost", "acceptance cycle": "no end"}


class Cell:
    """A cell of a phase table, replaced: side, phase, event, result."""

    def __init__(self, side, phase, event, result):
        self.side, self.phase = side, phase
        self.event, self.result = event, result

    def put(self, text):
        """The generated text with this cell before the others of its row, so
        that it is the one that is executed."""
        row = f"\t:: {self.side} == {self.phase} ->\n\t\tif\n"
        if row not in text or f"#define {self.event}\t" not in text:
            raise SystemExit(f"no row {self.phase} or no event {self.event}")
        return text.replace(row, f"{row}\t\t:: event == {self.event} ->\n"
                                 f"\t\t\t{self.result}\n")


class Mutant:
    def __init__(self, name, says, cells=(), define=None, error="no end"):
        self.name, self.says = name, says
        self.cells, self.define, self.error = cells, define, error


RUN_HERE = "did = PHASE_RESUME | PHASE_CLOSE"
MUTANTS = [
    Mutant("commit-early", "COMMIT is sent before PREPARED was received",
           [Cell("source", "SOURCE_HANDOVER", "EVENT_COMMIT",
                 "source = SOURCE_COMMITTED; did = 0")],
           "BREAK_COMMIT_EARLY"),
    Mutant("run-early", "the destination runs the guest before COMMIT",
           [Cell("target", "TARGET_LOADING", "EVENT_LOADED",
                 "target = TARGET_POSTCOPY; did = PHASE_RUN")],
           error="both run"),
    Mutant("run-here-lost", "run-here is accepted where the destination is "
           "known to run",
           [Cell("source", "SOURCE_LOST", "EVENT_RUN_HERE",
                 f"source = SOURCE_FAILED; {RUN_HERE}")], error="both run"),
    Mutant("run-here-committed", "run-here is accepted on a source that has "
           "just sent COMMIT",
           [Cell("source", "SOURCE_COMMITTED", "EVENT_RUN_HERE",
                 f"source = SOURCE_FAILED; {RUN_HERE}")], error="both run"),
    Mutant("run-here-prepared", "run-here is accepted on a destination that "
           "is linked to its source",
           [Cell("target", "TARGET_PREPARED", "EVENT_RUN_HERE",
                 "target = TARGET_POSTCOPY; did = PHASE_RUN")],
           error="both run"),
    Mutant("operator", "an operator runs a destination in doubt while the "
           "source lives", define="BREAK_OPERATOR", error="both run"),
    Mutant("cancel-late", "a cancel after the point of no return resumes the "
           "guest",
           [Cell("source", "SOURCE_COMMITTED", "EVENT_CANCEL",
                 "source = SOURCE_CANCELLING; did = PHASE_HANG_UP")],
           error="both run"),
    Mutant("doubt-resumes", "a source that has sent COMMIT and loses the link "
           "resumes the guest",
           [Cell("source", "SOURCE_COMMITTED", "EVENT_MAIN_LOST",
                 "source = SOURCE_FAILING; did = PHASE_HANG_UP")],
           error="both run"),
    Mutant("promise-broken", "a destination that has sent PREPARED and loses "
           "the link discards the machine",
           [Cell("target", "TARGET_PREPARED", "EVENT_MAIN_LOST",
                 "target = TARGET_FAILING; did = PHASE_RELEASE")]),
    Mutant("complete-once", "a destination does not wait until COMPLETE is "
           "confirmed",
           [Cell("target", "TARGET_WHOLE", "EVENT_MAIN_LOST",
                 "target = TARGET_COMPLETED; did = PHASE_CLOSE")]),
    Mutant("ledger", "after a REPORT the source does not send again what was "
           "under way", define="BREAK_LEDGER", error="stuck"),
    Mutant("commit-once", "COMMIT is not sent again after a REPORT that says "
           "that it did not arrive", define="BREAK_COMMIT_ONCE",
           error="stuck"),
    Mutant("refuse-once", "a source that has failed does not deliver a REFUSE "
           "that was lost", define="BREAK_REFUSE_ONCE",
           error="stuck"),
    Mutant("refuse-late", "it does so only if PREPARED had arrived",
           define="BREAK_REFUSE_LATE", error="stuck"),
    Mutant("refuse-unsure", "it takes a REFUSE that was sent for one that has "
           "arrived", define="BREAK_REFUSE_UNSURE", error="stuck"),
    Mutant("refused-early", "a destination that is not prepared yet refuses a "
           "source that comes to deliver REFUSE, and then promises",
           define="BREAK_REFUSED_EARLY", error="stuck"),
    Mutant("refuse-overtaken", "a source opens the next link before the "
           "destination has read REFUSE", define="BREAK_REFUSE_OVERTAKEN"),
    Mutant("ack", "pages on a push connection that is lost count as sent",
           define="BREAK_ACK", error="page lost"),
    Mutant("epoch", "a replayed greeting of an old epoch is accepted",
           define="BREAK_EPOCH"),
]


class Failed(Exception):
    pass


def call(args, folder):
    """Run a program. Return: its output."""
    try:
        r = subprocess.run(args, cwd=folder, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True,
                           timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{args[0]} is not over after {SECONDS} s") from None
    if r.returncode:
        raise Failed(f"{args[0]} ended with status {r.returncode}: "
                     + r.stdout[-500:])
    return r.stdout


class Search:
    """One search of the state space: its folder, and what it has found."""

    def __init__(self, folder, table, defines, flags, options):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        shutil.copy(MODEL, folder)
        with open(f"{folder}/phase.pml", "w", encoding="utf-8") as f:
            f.write(table)
        self.folder, self.table = folder, table
        self.define = [f"-D{d}" for d in defines if d]
        call(["spin", *self.define, "-a", "ferry.pml"], folder)
        call([os.environ.get("CC", "gcc"), *flags, "-o", "pan", "pan.c"],
             folder)
        self.text = call(["./pan", f"-m{DEPTH}", *options], folder)
        if not re.search(r"errors: \d+$", self.text, re.M) or \
                "max search depth too small" in self.text or \
                "reached -DMEMLIM" in self.text:
            raise Failed("the search is not complete: " + self.text[:500])
        self.states = int(re.search(r"(\d+) states, stored", self.text)[1])

    def error(self):
        """What was found: a value of ERRORS, other text, or None."""
        found = re.search(r"^pan:1: (.*)", self.text, re.M)
        return found and next((name for word, name in ERRORS.items()
                               if word in found[1]), found[1])

    def names(self, prefix):
        """Numbers of phases or events -> their names."""
        return {m[2]: m[1] for m in re.finditer(
            rf"^#define ((?:{prefix})_\w+)\t(\d+)$", self.table, re.M)}

    def steps(self):
        """The steps that lead to the error, as lines."""
        text = call(["spin", *self.define, "-t", "ferry.pml"], self.folder)
        events = self.names("MSG|EVENT")
        phases = {"source": self.names("SOURCE"),
                  "target": self.names("TARGET")}
        for m in re.finditer(r"(source|target): event (\d+), phase (\d+)|"
                             r"(?:network|page|process): .*|.*CYCLE.*",
                             text):
            yield (f"{m[1]}: {events[m[2]]} -> {phases[m[1]][m[3]]}"
                   if m[1] else m[0].strip())

    def reached(self, side):
        return {int(n) for n in re.findall(rf"reached {side} (\d+)$",
                                           self.text, re.M)}


class Runner:
    def __init__(self, build, only):
        self.folder, self.only = f"{build}/model", only
        self.table = subprocess.run(
            [f"{build}/tests/model/phases", "promela"], check=True,
            stdout=subprocess.PIPE, text=True).stdout
        self.bad = 0

    def report(self, name, why=None, note="", search=None):
        print(f"not ok model.{name}: {why}" if why else
              f"ok model.{name}{note}", flush=True)
        self.bad += bool(why)
        if why and search and search.error():
            for line in search.steps():
                print("#   " + line)

    def search(self, name, flags, options, table=None, defines=()):
        return Search(f"{self.folder}/{name}", table or self.table, defines,
                      flags, options)

    def run(self, name, function, *args):
        if self.only and self.only != name:
            return
        try:
            function(name, *args)
        except Failed as e:
            self.report(name, str(e))

    def sound(self, name, flags, options):
        """The model has no error, and every phase is reached."""
        s = self.search(name, flags, options)
        why = s.error() and f"{s.error()}, after these steps"
        for side in "source", "target":
            names = s.names(side.upper())
            missing = {int(n) for n in names} - s.reached(side)
            if not why and missing:
                why = f"not reached: {names[str(min(missing))]}"
        self.report(name, why, f" ({s.states} states)", s)

    def mutant(self, name, m):
        table = self.table
        for cell in m.cells:
            table = cell.put(table)
        if m.error == "both run":
            s = self.search(name, SAFETY, [], table,
                            [m.define, "ONLY_BOTH_RUN"])
        else:
            s = self.search(name, LIVENESS, FAIR, table, [m.define])
        if s.error() != m.error:
            self.report(name, f"{m.says}: spin finds {s.error()}, not "
                              f"{m.error}", search=s)
        else:
            self.report(name)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default="build")
    p.add_argument("--only", metavar="NAME", help="only this check")
    p.add_argument("--steps", metavar="NAME",
                   help="print the steps to the error of a mutant")
    o = p.parse_args()
    os.chdir(ROOT)
    if not shutil.which("spin"):
        print("skip model: spin is not installed (scripts/install-deps)")
        return 0
    r = Runner(o.build, o.only)
    r.run("never-both-run", r.sound, SAFETY, [])
    r.run("ends-complete", r.sound, LIVENESS, FAIR)
    for m in MUTANTS:
        r.run(m.name, r.mutant, m)
    return 1 if r.bad else 0


if __name__ == "__main__":
    sys.exit(main())
