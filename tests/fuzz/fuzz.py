# SPDX-License-Identifier: MIT
"""What scripts/fuzz does: builds the targets with libFuzzer and runs them.

Each target is tests/fuzz/fuzz_TARGET.c; its corpus in the repository is
tests/fuzz/corpus/TARGET, its dictionary, if there is one,
tests/fuzz/TARGET.dict.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CORPUS = "tests/fuzz/corpus"
BUILD = "build/fuzz"
COVERAGE_BUILD = "build/fuzz-coverage"
COVERED = ["migration/wire", "migration/link", "migration/session"]
SESSIONS = ["destination", "source"]

INPUT_SECONDS = 30      # one input that takes longer is a hang
RSS_MIB = 2048          # of a target, with AddressSanitizer's own memory
MERGE_SECONDS = 600
CORPUS_BYTES = 400 << 10        # of all targets together
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1:"
                    "quarantine_size_mb=16",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}
DONE = re.compile(r"^#(\d+)\s+(?:DONE|REDUCE|NEW|pulse|RELOAD|INITED)\s+"
                  r"cov: (\d+) ft: (\d+) corp: (\d+)", re.M)


class Bad(Exception):
    """Something that the user has to change; the text says what."""


def all_targets():
    return sorted(os.path.basename(p)[5:-2]
                  for p in glob.glob("tests/fuzz/fuzz_*.c"))


def make(*command):
    """Build targets with clang into a folder of their own."""
    print("building: " + " ".join(command), flush=True)
    done = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", *command],
                          capture_output=True, text=True, check=False)
    if "libclang_rt.fuzzer" in done.stderr:
        raise Bad("libFuzzer is missing: apt-get install libclang-rt-dev")
    if done.returncode:
        raise Bad(f"it does not build:\n{done.stderr[-3000:]}")


def program(folder, target):
    return f"{folder}/tests/fuzz/fuzz_{target}"


def run(command, seconds, env=None):
    """Return: (status, all output); status -1 if it had to be ended."""
    # libFuzzer ends without exit handlers: what a target leaves goes with it
    with tempfile.TemporaryDirectory(prefix="ferry-fuzz-") as tmp, \
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT, "TMPDIR": tmp,
                     **(env or {})}) as p:
        try:
            text = p.communicate(timeout=seconds)[0]
            status = p.returncode
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            text, status = p.communicate()[0], -1
        except BaseException:
            os.killpg(p.pid, 9)
            raise
    return status, text.decode(errors="replace")


def limits(target):
    """Options of libFuzzer for a target."""
    found = f"{BUILD}/found/{target}/"
    os.makedirs(found, exist_ok=True)
    options = [f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={RSS_MIB}",
               f"-artifact_prefix={found}", "-max_len=49152"]
    if target in SESSIONS:
        # The simulator counts what a session leaves; and a session reaches so
        # much that the entropy of inputs would be half of the time
        options += ["-detect_leaks=0", "-entropic=0"]
    if os.path.exists(f"tests/fuzz/{target}.dict"):
        options.append(f"-dict=tests/fuzz/{target}.dict")
    return options


def corpora(target, own):
    """Directories of inputs: libFuzzer writes new ones to the first."""
    os.makedirs(own, exist_ok=True)
    if not any(os.path.isfile(p) for p in glob.glob(f"{own}/*")):
        seed = run([program(BUILD, target), "--seeds", own], 60)
        if seed[0]:
            raise Bad(f"{target} cannot write its seeds:\n{seed[1]}")
    kept = f"{CORPUS}/{target}"
    return [own, kept] if os.path.isdir(kept) else [own]


def fuzz(target, seconds, own, *options):
    """Run one target. Return: (0 if nothing broke, text to print)."""
    status, text = run(
        [program(BUILD, target), *limits(target),
         f"-max_total_time={seconds}", "-print_final_stats=1", *options,
         *corpora(target, own)], seconds + 60 + 2 * INPUT_SECONDS)
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    last = DONE.findall(text)[-1:]
    if status or not runs or not last:
        with open(f"{BUILD}/found/{target}/log", "w", encoding="utf-8") as f:
            f.write(text)
        return 1, (f"not ok {target}: status {status}\n" +
                   "\n".join("    " + x for x in text.splitlines()[-60:]))
    _, edges, features, inputs = last[0]
    return 0, (f"ok {target}: {runs[1]} executions in {seconds} s, "
               f"{edges} edges, {features} features, {inputs} inputs")


def fuzz_scratch(target, seconds):
    """From the committed corpus, and with the same choices each time: a check
    of the same sources has the same result. `make fuzz` searches further."""
    with tempfile.TemporaryDirectory(prefix="ferry-fuzz-") as own:
        return fuzz(target, seconds, own, "-seed=1")


def cmd_run(o):
    if not o.no_build:
        make("fuzz-build")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        jobs = [pool.submit(fuzz_scratch, t, o.seconds) if o.fresh else
                pool.submit(fuzz, t, o.seconds, f"{BUILD}/corpus/{t}")
                for t in o.target]
        for job in concurrent.futures.as_completed(jobs):
            status, text = job.result()
            failed |= status
            print(text, flush=True)
    return failed


def cmd_merge(o):
    """The smallest inputs that together reach what all of them reach."""
    make("fuzz-build")
    for t in o.target:
        sources = corpora(t, f"{BUILD}/corpus/{t}")
        fresh = f"{BUILD}/merged/{t}"
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(fresh)
        # Of a session, one input for each edge: not for each number of times
        counters = ["-use_counters=0"] if t in SESSIONS else []
        status, text = run([program(BUILD, t), "-merge=1", *counters,
                            *limits(t), fresh, *sources], MERGE_SECONDS)
        if status:
            raise Bad(f"{t} cannot be merged:\n{text[-3000:]}")
        keep_merged(t, fresh)
    size = sum(os.path.getsize(p) for p in glob.glob(f"{CORPUS}/*/*"))
    print(f"{CORPUS}: {size} bytes")
    if size > CORPUS_BYTES:
        raise Bad(f"the corpora have {size} bytes, {CORPUS_BYTES} at most: "
                  "remove the large inputs")
    return 0


def keep_merged(target, fresh):
    """Replace a target's corpus; regression inputs, named for their bug,
    stay."""
    kept = f"{CORPUS}/{target}"
    os.makedirs(kept, exist_ok=True)
    for path in glob.glob(f"{kept}/*"):
        if re.fullmatch("[0-9a-f]{40}", os.path.basename(path)):
            os.unlink(path)
    files = sorted(glob.glob(f"{fresh}/*"), key=os.path.getsize)
    for path in files:
        shutil.copyfile(path, f"{kept}/{os.path.basename(path)}")
    print(f"{target}: {len(files)} inputs, "
          f"{sum(map(os.path.getsize, files))} bytes", flush=True)


def tool(name):
    """llvm-cov and llvm-profdata, of the same version as clang."""
    text = subprocess.run(["clang", "--version"], capture_output=True,
                          text=True, check=True).stdout
    version = re.search(r"version (\d+)", text)[1]
    for path in f"{name}-{version}", name:
        if shutil.which(path):
            return path
    raise Bad(f"{name} is missing: apt-get install llvm")


def run_inputs(target):
    """Run a target's inputs. Return: the file that has what they reach."""
    raw = f"{COVERAGE_BUILD}/{target}.raw"
    dirs = [d for d in (f"{BUILD}/corpus/{target}", f"{CORPUS}/{target}")
            if os.path.isdir(d)]
    status, text = run([program(COVERAGE_BUILD, target), "-runs=0",
                        f"-timeout={INPUT_SECONDS}", *dirs], MERGE_SECONDS,
                       {"LLVM_PROFILE_FILE": raw})
    if status:
        raise Bad(f"{target} fails:\n{text[-3000:]}")
    return raw


def covered(targets, raw):
    """Return: what targets reach together, {directory: (lines, of lines)}."""
    data = f"{COVERAGE_BUILD}/{'+'.join(targets)}.p"
    subprocess.run([tool("llvm-profdata"), "merge", "-o", data, *raw],
                   check=True)
    programs = [program(COVERAGE_BUILD, t) for t in targets]
    objects = [x for p in programs[1:] for x in ("-object", p)]
    text = subprocess.run(
        [tool("llvm-cov"), "export", "-summary-only",
         f"-instr-profile={data}", programs[0], *objects],
        check=True, capture_output=True, text=True).stdout
    sums = {d: [0, 0] for d in COVERED}
    for f in json.loads(text)["data"][0]["files"]:
        path = os.path.dirname(os.path.relpath(f["filename"], ROOT))
        if path in sums:
            sums[path][0] += f["summary"]["lines"]["covered"]
            sums[path][1] += f["summary"]["lines"]["count"]
    return sums


def print_covered(name, sums):
    cells = [f"{a} / {n}  {100 * a // n:3} %" if a else "-"
             for a, n in sums.values()]
    print(f"{name:<14}" + "".join(f"{c:>24}" for c in cells), flush=True)


def cmd_coverage(o):
    tool("llvm-cov")
    make(f"BUILD={COVERAGE_BUILD}", "CC=clang", "SAN=fuzzer-no-link",
         "FUZZ_ENGINE=-fsanitize=fuzzer", "CFLAGS=-O1 -g "
         "-fprofile-instr-generate -fcoverage-mapping", "fuzzers")
    print("lines reached / lines of the files that a target links, in "
          "percent\n")
    print(f"{'target':<14}" + "".join(f"{d:>24}" for d in COVERED))
    raw = {}
    for t in o.target:
        raw[t] = run_inputs(t)
        print_covered(t, covered([t], [raw[t]]))
    # Each of them runs one side of a session
    if set(SESSIONS) <= set(raw):
        print_covered("both sessions",
                      covered(SESSIONS, [raw[t] for t in SESSIONS]))
    return 0


def cmd_record(_):
    """Real runs, here or in the lab, become inputs in build/fuzz/corpus."""
    folder = os.path.abspath(f"{BUILD}/recorded")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    command = ["/usr/bin/python3", "-B", "tests/fuzz/record.py", folder]
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        command[-1] = "/run/lab/scratch"
        command = ["env", "FERRY_TEST_SLOW=4", "scripts/lab", "--timeout",
                   "900", "--scratch", folder, "--", *command]
    subprocess.run(command, check=True)
    for t in sorted(os.listdir(folder)):
        own = f"{BUILD}/corpus/{t}"
        os.makedirs(own, exist_ok=True)
        paths = glob.glob(f"{folder}/{t}/*")
        for path in paths:
            shutil.copy(path, own)
        print(f"{t}: {len(paths)} inputs from real runs", flush=True)
    return 0


def options():
    p = argparse.ArgumentParser(prog="scripts/fuzz")
    sub = p.add_subparsers(required=True)
    for name, function in (("run", cmd_run), ("merge", cmd_merge),
                           ("coverage", cmd_coverage),
                           ("record", cmd_record)):
        c = sub.add_parser(name)
        c.set_defaults(function=function)
        c.add_argument("target", nargs="*", metavar="TARGET")
        if name == "run":
            c.add_argument("--seconds", type=int, default=60)
            c.add_argument("--jobs", type=int, default=os.cpu_count())
            c.add_argument("--fresh", action="store_true")
            c.add_argument("--no-build", action="store_true")
    o = p.parse_args()
    unknown = set(o.target) - set(all_targets())
    if unknown:
        raise Bad(f"no target {', '.join(unknown)}: there are "
                  f"{', '.join(all_targets())}")
    o.target = o.target or all_targets()
    return o


def main():
    os.chdir(ROOT)
    try:
        o = options()
        return o.function(o)
    except Bad as e:
        print(f"fuzz: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
