# SPDX-License-Identifier: MIT
"""The plan of scripts/check: which programs run, on what, in which order.

tests/lib/jobs.py runs them. `load` is the number of processors that a job
keeps busy on average: tests that mostly wait for deadlines have less than 1 and
run beside others. One start of the lab, which takes minutes, runs beside the
tests of this machine.

What the sanitizer builds repeat: a test is repeated where a sanitizer can see
more than the test itself does. With AddressSanitizer that is code that reads
what a peer, a guest, a file or a user supplies, and code that frees on an
unusual path: failed hand-overs, resets, lost connections. With
ThreadSanitizer it is code in which a thread meets another at an unusual
moment: poison during a migration, a reset, a lost connection, several push
connections. Tests that move more memory, more vCPUs or another workload over
the same code are not repeated. Each test file declares this in SANITIZERS, a
single test in its attribute `sanitizers`.
"""

import argparse
import fcntl
import glob
import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from jobs import Job, Queue, build_result  # noqa: E402

GROUPS = ["lint", "clang", "kernel", "unit", "model", "sim", "machine",
          "fuzz", "migrate", "failure", "web", "demo", "bench", "lab",
          "linux", "address", "thread"]
SLOW_GROUPS = {"clang", "bench", "lab", "linux", "address", "thread"}
KVM_GET_API_VERSION, KVM_API_VERSION = 0xae00, 12

# Time limits, seconds. Each end-to-end test has a limit of its own
# (tests/run.py); these end a program that hangs, and a build that does
BUILD_LIMIT = 900
PROGRAM_LIMIT = {"kernel": 300, "unit": 60, "machine": 180, "fuzz": 180,
                 "sim": 900}
FILE_LIMIT = 900
FILE_LIMITS = {"failure/cuts": 1800}    # some 300 migrations
FUZZ_SECONDS = 20           # of each fuzzer with libFuzzer
SANITIZER_SLOW = 5          # FERRY_TEST_SLOW of a sanitizer build
LAB_SLOW = 4                # of the lab, an emulated machine
LAB = "lab"                 # lock: one lab at a time, beside other tests

# Started before the others, in this order
LONG_FIRST = ["linux/lab", "linux/demo", "lab/lab", "lab/facts",
              "failure/cuts", "failure/lost", "failure/impostors",
              "migrate/integrity",
              "migrate/poison_live", "migrate/poison", "migrate/hugetlb",
              "failure/strangers", "failure/handover", "bench", "lint"]
LATE_BUILDS = ("address", "thread", "clang", "fuzzers")

# Load of the files that differ from 1
LOAD = {"failure/impostors": 0.5, "failure/killed": 0.5,
        "failure/strangers": 0.5, "failure/lost": 0.5,
        "failure/usage": 0.5, "failure/images": 0.5}

# End-to-end tests that are short enough for the lab, on a machine without KVM
LAB_MIGRATE = ["chain", "console", "poison_refused", "poison:where=first",
               "precopy:lost", "recover", "terminal:paused", "tls:moves"]
LAB_FAILURE = ["cuts:any_cut of=poison_refused",
               "cuts:any_slow of=poison_refused.already", "dump", "faults",
               "handover", "images", "resume", "usage"]
# Of the tests of tests/migrate/ over faulty connections, those that run with
# KVM, too: all of them, by hand, take very long
ANY = ["any_cut of=chain", "any_cut of=dump", "any_cut of=panic",
       "any_cut of=poison_refused", "any_cut of=talk", "any_cut of=zeroes",
       "any_slow of=chain", "any_slow of=console",
       "any_slow of=poison_refused.already"]
HWPOISON = ["poison_refused", "dump", "hugetlb"]

# These change the size of the machine's pool of huge pages: one at a time
HUGE_PAGES = ("migrate/hugetlb", "migrate/precopy", "failure/old_kernel",
              "failure/cuts", "migrate/recover", "kernel/poison-hugetlb",
              "unit/test_ram")

ENVIRONMENT = {
    "CMOCKA_MESSAGE_OUTPUT": "TAP",
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0 exitcode=66",
}

# Runs each program of its arguments; status 1 if one failed
EACH_PROGRAM = ("rc=0; for t; do echo \"# $t\"; timeout -k 5 {limit} \"$t\" ||"
                " {{ e=$?; rc=1; [ $e -lt 124 ] || "
                "echo \"not ok $t: ended with status $e\"; }}; done; exit $rc")


def has_kvm():
    """Does /dev/kvm work, and may it be used (FERRY_NO_KVM)?"""
    if os.environ.get("FERRY_NO_KVM"):
        return False
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return fcntl.ioctl(fd, KVM_GET_API_VERSION) == KVM_API_VERSION
    except OSError:
        return False
    finally:
        os.close(fd)


def test_programs(group):
    """Names of the C programs of a group."""
    first = {"kernel": "*", "fuzz": "fuzz_*"}.get(group, "test_*")
    helpers = {"ktest", "kuffd", "kguest"}
    names = {os.path.basename(p)[:-2]
             for p in glob.glob(f"tests/{group}/{first}.c")}
    return sorted(names - helpers)


def test_files(group):
    return sorted(os.path.basename(p)[:-3]
                  for p in glob.glob(f"tests/{group}/*.py"))


def lab_crashed(text, status):
    """Has the emulated processor run code as it was before another processor
    changed it? That ends the lab's own kernel (docs/lab.md), and says nothing
    about what was tested in it."""
    if status and "the lab's kernel panicked" in text and "Oops: int3" in text:
        return "QEMU has run stale code of the lab's kernel (Oops: int3)"
    return None


class Plan:
    """The jobs, in the order in which they may start."""

    def __init__(self, groups, quick):
        self.groups, self.quick = groups, quick
        self.kvm = has_kvm()
        self.jobs, self.builds = [], {}
        self.cpus = os.cpu_count() or 1

    def add(self, label, *args, lock=None, **kw):
        if label.endswith(HUGE_PAGES):
            lock = "huge pages"
        self.jobs.append(Job(label, *args, lock=lock, **kw))
        return self.jobs[-1]

    # ---- Builds ------------------------------------------------------------

    def build(self, name, *args, target=("all", "tests"), needs=()):
        """A build of the tree. Return: its job, the same for the same name."""
        if name not in self.builds:
            self.builds[name] = self.add(
                name, ["make", "-s", f"-j{self.cpus}", *args, *target],
                BUILD_LIMIT, needs=needs, judge=build_result(name))
        return self.builds[name]

    def gcc(self):
        return self.build("gcc", "CC=gcc")

    def faults(self):
        return self.build("faults", "FAULTS=1", "BUILD=build/faults",
                          target=["all"])

    def sanitizer(self, name, sanitizer, programs):
        """A build with a sanitizer: everything if the machine's KVM can run
        it, else only these programs of tests/."""
        folder = f"build/{sanitizer}"
        target = [f"{folder}/tests/{p}" for p in programs]
        return self.build(name, f"SAN={sanitizer}",
                          target=["all", "tests"] if self.kvm else target)

    # ---- Programs and files on this machine ---------------------------------

    def programs(self, group, build, folder="build", prefix=""):
        slow = SANITIZER_SLOW if prefix else 1
        for name in test_programs(group):
            corpus = f"tests/fuzz/corpus/{name.removeprefix('fuzz_')}"
            args = ["--corpus", corpus] if group == "fuzz" else []
            self.add(f"{prefix}{group}/{name}",
                     [f"{folder}/tests/{group}/{name}", *args],
                     PROGRAM_LIMIT[group] * slow, needs=[build])

    def files(self, group, build, folder="build", sanitizer=None):
        options = ["--quick"] if self.quick else []
        slow, prefix = 1, ""
        if sanitizer:
            options += ["--each", "--sanitizer", sanitizer]
            slow, prefix = SANITIZER_SLOW, sanitizer + "/"
        for name in test_files(group):
            path = f"tests/{group}/{name}.py"
            if sanitizer and not self.repeats(path, sanitizer):
                continue
            self.add(f"{prefix}{group}/{name}",
                     ["/usr/bin/python3", "-B", "tests/run.py", *options,
                      path],
                     FILE_LIMITS.get(f"{group}/{name}", FILE_LIMIT) * slow,
                     needs=[build, self.faults()],
                     load=LOAD.get(f"{group}/{name}", 1.0),
                     env={"FERRY_BUILD": folder,
                          "FERRY_FAULTS_BUILD": "build/faults",
                          "FERRY_TEST_SLOW": str(slow)})

    @staticmethod
    def repeats(path, sanitizer):
        """Does a file declare tests to repeat with a sanitizer?"""
        with open(path, encoding="utf-8") as f:
            return any(sanitizer in line for line in f
                       if line.startswith("SANITIZERS")
                       or ".sanitizers = " in line)

    # ---- The lab -----------------------------------------------------------

    def lab_ready(self, kernel):
        """Fetch what the lab needs: two of these jobs at once would
        collide."""
        name = f"lab/fetch-{kernel}"
        if name not in self.builds:
            self.builds[name] = self.add(
                name, ["sh", "-c", "scripts/lab --fetch && echo ok fetched"],
                BUILD_LIMIT, env={"LAB_KERNEL": kernel}, load=0.5,
                needs=[j for n, j in self.builds.items()
                       if n.startswith("lab/fetch")])
        return self.builds[name]

    def lab(self, label, seconds, command, kernel="6.12", needs=()):
        """A command in the lab, in one start of it."""
        self.add(label, ["scripts/lab", "--timeout", str(seconds), "--",
                         *command], seconds + 60, load=1.0, again=lab_crashed,
                 needs=[self.lab_ready(kernel), self.gcc(), *needs],
                 lock=LAB,
                 env={"FERRY_BUILD": "build", "LAB_KERNEL": kernel,
                      "FERRY_FAULTS_BUILD": "build/faults",
                      "FERRY_TEST_SLOW": str(LAB_SLOW)})

    def lab_programs(self, label, seconds, group):
        self.lab(label, seconds, [
            "sh", "-c", EACH_PROGRAM.format(limit=PROGRAM_LIMIT[group]), "sh",
            *(f"build/tests/{group}/{n}" for n in test_programs(group))])

    def lab_files(self, label, seconds, *args, **kw):
        self.lab(label, seconds, ["/usr/bin/python3", "-B", "tests/run.py",
                                  *args], **kw)

    # ---- Groups ------------------------------------------------------------

    def lint(self):
        self.add("lint", ["scripts/lint"], 600)
        self.checked_texts("lint/man", "man")
        self.add("lint/jobs", ["/usr/bin/python3", "-B",
                               "tests/lib/jobs_test.py"], 60)

    def checked_texts(self, label, name):
        """What the option table becomes: man pages, shell completion."""
        self.add(label, ["/usr/bin/python3", "-B", f"tests/{name}.py"], 60,
                 load=0.5, needs=[self.gcc()])

    def clang(self):
        build = self.build("clang", "CC=clang", "BUILD=build/clang")
        self.hardening("clang/hardening", "build/clang", build)

    def hardening(self, label, folder, build):
        """The protections that the compiler gives are in the program."""
        self.add(label, ["/usr/bin/python3", "-B", "tests/hardening.py",
                         folder], 60, load=0.5, needs=[build])

    def kernel(self):
        self.add("kernel/archive", ["tests/kernel/archive.sh"], 300)
        if self.kvm:
            self.programs("kernel", self.gcc())
        elif "lab" not in self.groups:
            self.lab_programs("kernel/lab", 400, "kernel")

    def unit(self):
        self.programs("unit", self.gcc())
        self.hardening("unit/hardening", "build", self.gcc())
        self.checked_texts("unit/completion", "completion")
        self.add("unit/no_cmocka", ["tests/no_cmocka.sh"], 60, load=0.5)
        # Most of its time it waits for a new link
        self.add("unit/session", ["build/tests/session/test_recover"], 300,
                 load=0.5, needs=[self.gcc()])
        self.add("unit/precopy", ["build/tests/session/test_precopy"], 300,
                 load=0.5, needs=[self.gcc()])
        self.add("unit/shown", ["build/tests/session/test_shown"], 60,
                 load=0.5, needs=[self.gcc()])
        self.add("unit/main_thread", ["build/tests/session/test_main_thread"],
                 60, load=0.5, needs=[self.gcc()])

    def sim(self):
        """Whole migrations on a virtual clock and network (tests/sim): as
        many as 100 s of a processor are enough for."""
        seeds = "1-1000" if self.quick else "1-10000"
        self.add("sim/seeds", ["build/tests/sim/sim", "--seeds", seeds],
                 PROGRAM_LIMIT["sim"], needs=[self.gcc()])
        self.add("sim/sweep", ["build/tests/sim/sim", "--sweep", "--seeds",
                               "1-2"], PROGRAM_LIMIT["sim"],
                 needs=[self.gcc()])
        # A word that is no option must not be ignored: it may be the seeds
        self.add("sim/usage", ["sh", "-c", "! build/tests/sim/sim --seeds 1-1 "
                               "18-18 >/dev/null 2>&1 && echo ok sim.usage"],
                 PROGRAM_LIMIT["sim"], needs=[self.gcc()])
        self.add("sim/same", ["build/tests/sim/sim", "--twice", "--seeds",
                              "20001-20200"], PROGRAM_LIMIT["sim"],
                 needs=[self.gcc()])

    def model(self):
        """The phase tables in docs/, and the model of hand-over and
        recovery."""
        for name in "generated", "model":
            self.add(f"model/{name}", ["/usr/bin/python3", "-B",
                                       f"tests/model/{name}.py"],
                     FILE_LIMIT, needs=[self.gcc()])

    def fuzz(self):
        """The corpora and random changes of them; then guided by coverage."""
        self.programs("fuzz", self.gcc())
        if self.quick:
            return
        build = self.build("fuzzers", target=["fuzz-build"])
        for name in test_programs("fuzz"):
            target = name.removeprefix("fuzz_")
            self.add(f"fuzz/guided-{target}",
                     ["scripts/fuzz", "run", "--no-build", "--fresh",
                      "--jobs", "1", "--seconds", str(FUZZ_SECONDS), target],
                     PROGRAM_LIMIT["fuzz"], needs=[build])

    def machine(self):
        if self.kvm:
            self.programs("machine", self.gcc())
        else:
            self.lab_programs("machine/lab", 900, "machine")

    def end_to_end(self, group, in_lab):
        if self.kvm:
            self.files(group, self.gcc())
            return
        files = []
        for name in in_lab:
            name, _, word = name.partition(":")
            files.append(f"tests/{group}/{name}.py" + (word and ":" + word))
        self.lab_files(f"{group}/lab", 2400, *files, needs=[self.faults()])

    def migrate(self):
        self.end_to_end("migrate", LAB_MIGRATE)

    def failure(self):
        self.end_to_end("failure", LAB_FAILURE)
        if self.kvm and not self.quick:
            self.add("failure/cuts-any",
                     ["/usr/bin/python3", "-B", "tests/run.py",
                      *(f"tests/failure/cuts.py:{word}" for word in ANY)],
                     FILE_LIMIT, needs=[self.gcc(), self.faults()],
                     env={"FERRY_BUILD": "build",
                          "FERRY_FAULTS_BUILD": "build/faults"})

    def web(self):
        """The page in a browser. Its live tests skip without KVM: the lab has
        no browser."""
        self.files("web", self.gcc())

    def demo(self):
        if self.kvm:
            self.add("demo", ["scripts/demo", "--test"], 300,
                     needs=[self.gcc()])
            self.add("demo/readme", ["scripts/readme-samples"], 300,
                     needs=[self.gcc()])

    def bench(self):
        """That it works, on a small guest: the figures mean nothing here."""
        self.add("bench/native", ["sh", "-c", "scripts/bench --native --quick "
                                  "--memory 64M && echo ok bench/native"],
                 600, needs=[self.gcc()])
        if self.kvm:
            self.add("bench", ["sh", "-c", "scripts/bench --quick --memory "
                               "64M && echo ok bench"], 600,
                     needs=[self.gcc()])
            self.add("bench/peer", [
                "sh", "-c", "scripts/bench --peer qemu --quick --memory 64M "
                "--ram anon; case $? in 0) echo ok bench/peer ;; 77) echo "
                "skip bench/peer: QEMU 10 cannot be had here ;; "
                "*) exit 1 ;; esac"], 600, needs=[self.gcc()])

    def lab_group(self):
        """What this kernel may lack: real memory failure, SVM; Linux 6.1."""
        ready = [self.lab_ready("6.12"), self.gcc()]
        self.lab_programs("lab/facts", 400, "kernel")
        self.add("lab/lab", ["tests/lab/lab.sh"], 600, needs=ready,
                 lock=LAB)
        self.add("lab/other_vmm", ["/usr/bin/python3", "-B", "tests/run.py",
                                   "tests/lab/other_vmm.py"], 300,
                 needs=ready, env={"FERRY_BUILD": "build",
                                   "FERRY_TEST_SLOW": str(LAB_SLOW)})
        self.lab_files("lab/network", 500, "tests/failure/network.py")
        self.lab("lab/tls", 300, [
            "sh", "-c", "build/tests/unit/test_channel_tls && "
            "/usr/bin/python3 -B tests/run.py tests/migrate/tls.py:moves && "
            "grep -q 'TlsTxSw.*[1-9]' /proc/net/tls_stat && "
            "echo ok the kernel has encrypted"])
        self.lab_files("lab/old_kernel", 300, "-k", ".refused",
                       "tests/failure/old_kernel.py", kernel="6.1",
                       needs=[self.faults()])

    def linux(self):
        """Stock Linux guests, and real memory failure under Ferry's own."""
        built = self.build("linux", target=["linux"], needs=[self.gcc()])
        guests = [f"tests/linux/{n}.py" for n in test_files("linux")]
        real = [f"tests/migrate/{n}.py:.hwpoison" for n in HWPOISON]
        if self.kvm and os.environ.get("FERRY_LINUX"):
            for path in guests:
                self.add(f"linux/{os.path.basename(path)[:-3]}",
                         ["/usr/bin/python3", "-B", "tests/run.py", path],
                         FILE_LIMIT, needs=[built],
                         env={"FERRY_BUILD": "build"})
            guests = []
        self.lab_files("linux/lab", 2400, *guests, *real, needs=[built])
        self.add("linux/demo", ["scripts/demo-linux", "--test"], 600,
                 lock=LAB, again=lab_crashed,
                 needs=[built, self.lab_ready("6.12")],
                 env={"FERRY_BUILD": "build",
                      "FERRY_TEST_SLOW": str(LAB_SLOW)})

    def address(self):
        folder = "build/address+undefined"
        groups = "unit", "fuzz"
        build = self.sanitizer("address", "address+undefined", [
            "sim/sim", *(f"{g}/{n}" for g in groups
                         for n in test_programs(g))])
        for group in groups:
            self.programs(group, build, folder, "address/")
        self.add("address/sim", [f"{folder}/tests/sim/sim", "--seeds",
                                 "1-400"],
                 PROGRAM_LIMIT["sim"] * SANITIZER_SLOW, needs=[build])
        if self.kvm:
            self.programs("machine", build, folder, "address/")
            self.files("migrate", build, folder, "address")
            self.files("failure", build, folder, "address")

    def thread(self):
        sessions = "recover", "precopy", "main_thread"
        build = self.sanitizer("thread", "thread", [
            *(f"unit/{n}" for n in test_programs("unit")),
            *(f"session/test_{n}" for n in sessions)])
        self.programs("unit", build, "build/thread", "thread/")
        for name in sessions:
            self.add(f"thread/session/{name}",
                     [f"build/thread/tests/session/test_{name}"],
                     300 * SANITIZER_SLOW, load=0.5, needs=[build])
        if self.kvm:
            self.files("migrate", build, "build/thread", "thread")
            self.files("failure", build, "build/thread", "thread")

    def make(self):
        """Add the jobs of all groups. Return: them in the order to start."""
        self.gcc()
        for group in GROUPS:
            if group in self.groups:
                getattr(self, "lab_group" if group == "lab" else group)()
        return sorted(self.jobs, key=self.rank)

    def rank(self, job):
        """Builds before what needs them, long jobs before short ones, so that
        no long job is left alone at the end."""
        if job in self.builds.values():
            return 1 if job.label in LATE_BUILDS else 0
        name = job.label.removeprefix("address/").removeprefix("thread/")
        return 2 + LONG_FIRST.index(name) if name in LONG_FIRST else 99


def options():
    p = argparse.ArgumentParser(
        prog="scripts/check", description="Build everything and run all tests",
        epilog="Groups: " + ", ".join(GROUPS))
    p.add_argument("--quick", action="store_true",
                   help="not the groups " + ", ".join(sorted(SLOW_GROUPS)) +
                   "; of a test's cases each value, not each combination")
    p.add_argument("--only", metavar="GROUP", action="append", choices=GROUPS,
                   help="only this group; may be repeated")
    return p.parse_args()


def on_signal(number, _):
    sys.exit(128 + number)      # Queue.run() ends the jobs


def main():
    o = options()
    os.chdir(ROOT)
    os.environ.update(ENVIRONMENT)
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, on_signal)
    groups = set(o.only or GROUPS)
    if o.quick and not o.only:
        groups -= SLOW_GROUPS
    plan = Plan(groups, o.quick)
    lab = groups & {"lab", "linux"} or not plan.kvm
    if lab and subprocess.run(["scripts/install-deps", "lab"],
                              check=False).returncode:
        return 1
    if "web" in groups and subprocess.run(
            ["scripts/install-deps", "browser"], check=False).returncode:
        return 1
    queue = Queue(plan.make(), "build/check", plan.cpus)
    passed, failed, skipped = queue.run()
    print("\n" + "\n".join([*queue.times(), *queue.failures()]))
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
