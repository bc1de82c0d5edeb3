# SPDX-License-Identifier: MIT
"""A queue of test programs: each with a time limit, several at a time.

A Job is one program. The queue starts a job when every job in `needs` has
passed, no running job has the same `lock`, and the sum of the running jobs'
loads, with this one's, is at most the number of processors. The output of a job goes to a file and is evaluated as a
whole when the job ends, so that lines of two jobs never mix.

Time limit: each job runs in a process group of its own. When the limit is
reached, the group gets SIGTERM and 5 s later SIGKILL, and the job counts as
one failure. Processes that a job leaves in its group are killed as well.
"""

import os
import re
import signal
import subprocess
import time

TERM_SECONDS = 5        # between SIGTERM and SIGKILL, for a program to clean up
SHOWN_LINES = 60        # of a job's failures
LINE_MAX = 200          # of a failure that is named once more, characters
RUNS_MAX = 3            # of a job that is run again

OK = re.compile(r"ok ")
# cmocka writes "not ok N # SKIP NAME" for a test that calls skip(); the test
# prints its reason in a line "# skip NAME: reason" before
SKIP = re.compile(r"(skip |(not )?ok .*# SKIP)")
REASON = re.compile(r"# skip ")
NOT_OK = re.compile(r"not ok (?!.*# SKIP)")


class Result:
    """What the output and the exit status of one job mean."""

    def __init__(self, text, status):
        lines = text.splitlines()
        self.skips = [x for x in lines if SKIP.match(x)]
        self.reasons = [x for x in lines if REASON.match(x)]
        self.passed = sum(1 for x in lines if OK.match(x)
                          and not SKIP.match(x))
        self.bad = [i for i, x in enumerate(lines) if NOT_OK.match(x)]
        self.failed = len(self.bad)
        self.lines = lines
        self.reason = None      # of a failure that has no "not ok" line
        if status and not self.failed:
            self.reason = f"ended with status {status}"
        elif not status and not self.failed + self.passed + len(self.skips):
            self.reason = "it ran no test"
        if self.reason:
            self.failed = 1

    def shown(self):
        """Each "not ok" line and the 12 lines after it."""
        want = {k for i in self.bad for k in range(i, i + 13)}
        return [x for i, x in enumerate(self.lines) if i in want][:SHOWN_LINES]


def build_result(label):
    """A build passes if the compiler prints no warning."""
    def judge(text, status):
        lines = text.splitlines()
        bad = [x for x in lines
               if re.search("error|undefined|Error|warning:", x)][:20]
        what = "it does not build:" if status else "the compiler warns:"
        if status or any("warning:" in x for x in lines):
            return Result("\n".join([f"not ok {label}: {what}", *bad]), status)
        return Result(f"ok {label}", status)
    return judge


class Job:
    """One program to run."""

    def __init__(self, label, command, limit, *, env=None, load=1.0, needs=(),
                 lock=None, judge=Result, again=None):
        self.label = label
        self.command = command
        self.limit = limit          # seconds
        self.env = env or {}
        self.load = load            # processors that it keeps busy
        self.needs = needs          # jobs
        self.lock = lock            # name of what only one job may use
        self.judge = judge
        self.again = again          # function(text, status): why to run it
        self.runs = 0               # again, for a fault that is not the test's
        self.done = self.good = False
        self.process = self.result = self.log = None
        self.started = self.seconds = self.cpu = 0.0
        self.kill_at = self.status = None
        self.late = False

    def group(self):
        """The group of tests that the job belongs to."""
        return self.label.split("/")[0]

    def start(self, logs):
        self.log = os.path.join(logs, re.sub(r"[/ ]", "_", self.label) + ".log")
        self.started = time.monotonic()
        self.runs += 1
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **self.env})

    def signal(self, number):
        """Signal the job's process group, which has the process's id."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def poll(self):
        """Enforce the limit. Return: True if the job has ended."""
        now = time.monotonic()
        if self.kill_at is None and now > self.started + self.limit:
            self.late = True
            self.stop()
        elif self.kill_at is not None and now > self.kill_at:
            self.signal(signal.SIGKILL)
        # The process stays a zombie until wait4(): its id, which is that of
        # its group, cannot be another's when the group is killed
        if not os.waitid(os.P_PID, self.process.pid,
                         os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        self.signal(signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        self.process.returncode = self.status
        self.seconds = now - self.started
        self.cpu = usage.ru_utime + usage.ru_stime
        self.evaluate()
        return True

    def stop(self):
        """End the job: politely first."""
        self.signal(signal.SIGTERM)
        self.kill_at = time.monotonic() + TERM_SECONDS

    def evaluate(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        why = self.again and not self.late and self.again(text, self.status)
        if why and self.runs < RUNS_MAX:
            print(f"{self.label}: run again: {why}", flush=True)
            return
        self.result = self.judge(text, self.status)
        if self.late:
            if not self.result.reason:
                self.result.failed += 1
            self.result.reason = f"not over after {self.limit:g} s"
        self.good = not self.result.failed
        self.done = True

    def report(self):
        """Print the outcome: counts, failures, and reasons of skipped
        tests."""
        r = self.result
        if r.reason:
            print(f"not ok {self.label}: {r.reason}; the end of {self.log}:")
            print("\n".join("    " + x for x in r.lines[-15:]))
        print(f"{self.label}: {r.passed} passed, {r.failed} failed, "
              f"{len(r.skips)} skipped, {self.seconds:.0f} s "
              f"(processor: {self.cpu:.0f} s)")
        for line in [*r.shown(), *r.skips, *r.reasons]:
            print("    " + line)
        print(end="", flush=True)


class Queue:
    """Jobs in the order in which they may start."""

    def __init__(self, jobs, logs, processors):
        self.waiting, self.running, self.ended = list(jobs), [], []
        self.logs = logs
        self.processors = processors
        os.makedirs(logs, exist_ok=True)

    def is_ready(self, job):
        """Could it start if a processor were free?"""
        return all(n.good for n in job.needs) and \
            not (job.lock and any(j.lock == job.lock for j in self.running))

    def has_room(self, job):
        load = sum(j.load for j in self.running)
        return not self.running or load + job.load <= self.processors + 0.01

    def start_jobs(self):
        for job in list(self.waiting):
            if any(n.done and not n.good for n in job.needs):
                self.waiting.remove(job)        # its build has failed
                print(f"{job.label}: not run: "
                      f"{', '.join(n.label for n in job.needs)} failed",
                      flush=True)
                job.done = True
            elif self.is_ready(job):
                if not self.has_room(job):
                    return      # later jobs do not overtake a large one
                self.waiting.remove(job)
                job.start(self.logs)
                self.running.append(job)

    def run(self):
        """Run all jobs. Return: (passed, failed, skipped) tests."""
        try:
            while self.waiting or self.running:
                self.start_jobs()
                for job in [j for j in self.running if j.poll()]:
                    self.running.remove(job)
                    if not job.done:
                        self.waiting.insert(0, job)
                        continue
                    self.ended.append(job)
                    job.report()
                time.sleep(0.02)
        finally:
            self.stop()
        results = [j.result for j in self.ended]
        return (sum(r.passed for r in results), sum(r.failed for r in results),
                sum(len(r.skips) for r in results))

    def stop(self):
        """End what still runs, after an interrupt."""
        for job in self.running:
            job.stop()
        while self.running:
            self.running = [j for j in self.running if not j.poll()]
            time.sleep(0.02)

    def failures(self):
        """Lines that name each failure once more: a log that is read from its
        end, or that is cut in the middle, then tells them all."""
        for job in self.ended:
            if job.result.reason:
                yield f"not ok {job.label}: {job.result.reason}"
            for i in job.result.bad:
                yield f"{job.label}: {job.result.lines[i]}"[:LINE_MAX]

    def times(self):
        """Lines with the time of each group and of the slowest jobs."""
        groups = {}
        for j in self.ended:
            wall, cpu = groups.get(j.group(), (0, 0))
            groups[j.group()] = wall + j.seconds, cpu + j.cpu
        yield "group       seconds  of processor"
        for name, (wall, cpu) in sorted(groups.items(),
                                        key=lambda g: -g[1][0]):
            yield f"{name:<10} {wall:8.0f} {cpu:13.0f}"
        slowest = sorted(self.ended, key=lambda j: -j.seconds)[:8]
        yield "slowest: " + ", ".join(f"{j.label} {j.seconds:.0f} s"
                                      for j in slowest)
