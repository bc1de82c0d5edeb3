# SPDX-License-Identifier: MIT
"""Tests of jobs.py itself: a program that hangs, crashes or tests nothing is a
failure, and leaves no process running."""

import contextlib
import io
import os
import sys
import tempfile
import time

from jobs import RUNS_MAX, Job, Queue, build_result

PROGRAMS = {    # shell command, time limit: passed, failed, skipped, a reason
    "passes": ("echo ok a; echo 'ok 2 - b # SKIP c'; echo 'skip d: why'", 9,
               (1, 0, 2), None),
    "fails": ("echo ok a; echo 'not ok b: why'; exit 1", 9, (1, 1, 0), None),
    "fails quietly": ("echo ok a; exit 3", 9, (1, 1, 0), "status 3"),
    "crashes": ("echo ok a; kill -SEGV $$", 9, (1, 1, 0), "status -11"),
    "tests nothing": ("true", 9, (0, 1, 0), "it ran no test"),
    "hangs": ("echo ok a; sleep 99 & sleep 99", 2, (1, 1, 0), "after 2 s"),
    "ignores SIGTERM": ("trap '' TERM; while :; do sleep 1; done", 1,
                        (0, 1, 0), "after 1 s"),
    "leaves a process": ("echo ok a; sleep 99 & exit 0", 9, (1, 0, 0), None),
}


def run(jobs):
    """Run jobs without their output. Return: (passed, failed, skipped)."""
    with tempfile.TemporaryDirectory() as logs, \
            contextlib.redirect_stdout(io.StringIO()):
        return Queue(jobs, logs, 4).run()


def group_is_empty(pid):
    """Has every process of a group ended, or is about to?"""
    for _ in range(100):
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def programs():
    """Yield a name, and the error, for each program of the table."""
    jobs = {name: Job(name, ["sh", "-c", command], limit)
            for name, (command, limit, _, _) in PROGRAMS.items()}
    run(jobs.values())
    for name, (_, _, counts, reason) in PROGRAMS.items():
        r = jobs[name].result
        got = r.passed, r.failed, len(r.skips)
        error = None
        if got != counts:
            error = f"counts {got}, not {counts}"
        elif (reason or "") not in (r.reason or "") or \
                bool(reason) != bool(r.reason):
            error = f"reason {r.reason}, not {reason}"
        elif not group_is_empty(jobs[name].process.pid):
            error = "a process is left"
        yield name, error


def failed_build():
    """What needs a build that fails is not run."""
    build = Job("build", ["sh", "-c", "echo error; exit 1"], 9,
                judge=build_result("build"))
    test = Job("test", ["true"], 9, needs=[build])
    counts = run([build, test])
    if counts != (0, 1, 0) or test.process:
        return f"counts {counts}, process {test.process}"
    return None


def loads():
    """Jobs run at the same time up to the number of processors."""
    jobs = [Job(f"job {i}", ["sh", "-c", "sleep 0.3; echo ok a"], 9, load=2)
            for i in range(4)]
    run(jobs)
    spans = [(j.started, j.started + j.seconds) for j in jobs]
    most = max(sum(a <= t < b for a, b in spans) for t, _ in spans)
    return None if most == 2 else f"{most} at the same time, not 2"


def locks():
    """Jobs with the same lock run one after the other, others beside them."""
    jobs = [Job(f"job {i}", ["sh", "-c", "sleep 0.3; echo ok a"], 9,
                lock=lock) for i, lock in enumerate(["a", "a", None])]
    run(jobs)
    first, second, other = jobs
    if second.started < first.started + first.seconds:
        return "two jobs with one lock at the same time"
    if other.started > second.started:
        return "a job without a lock waited for one"
    return None


def again():
    """A job that ends by a fault that is not its own is run again, a limited
    number of times; only its last run counts."""
    def crashed(text, status):
        return "crash" if status == 7 else None

    with tempfile.TemporaryDirectory() as folder:
        first = Job("first", ["sh", "-c", f"echo ok a; test -e {folder}/b && "
                              f"exit 0; : >{folder}/b; exit 7"], 9,
                    again=crashed)
        always = Job("always", ["sh", "-c", "echo ok a; exit 7"], 9,
                     again=crashed)
        counts = run([first, always])
    if counts != (2, 1, 0) or (first.runs, always.runs) != (2, RUNS_MAX):
        return f"counts {counts}, runs {first.runs} and {always.runs}"
    return None


def failures():
    """Each failure is named once more at the end, and nothing else."""
    jobs = [Job(name, ["sh", "-c", PROGRAMS[name][0]], 9)
            for name in ("passes", "fails", "fails quietly")]
    with tempfile.TemporaryDirectory() as logs, \
            contextlib.redirect_stdout(io.StringIO()):
        queue = Queue(jobs, logs, 4)
        queue.run()
    got = sorted(queue.failures())
    return None if got == ["fails: not ok b: why",
                           "not ok fails quietly: ended with status 3"] \
        else str(got)


def main():
    results = [*programs(), ("a failed build", failed_build()),
               ("loads", loads()), ("locks", locks()), ("again", again()),
               ("failures", failures())]
    for name, error in results:
        print(f"not ok jobs.{name}: {error}" if error else f"ok jobs.{name}")
    return 1 if any(error for _, error in results) else 0


if __name__ == "__main__":
    sys.exit(main())
