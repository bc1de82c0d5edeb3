#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run end-to-end tests: run.py [OPTION]... FILE[:WORD]...

A test is a function test_* of a file; its docstring says what it proves. It
receives a World (tests/lib/ferry.py), and one value from each list in its
`cases`. The tests run one after the other. Each prints one line, "ok",
"not ok" or "skip" with a reason; the exit status is 1 if a test failed.

  -k WORD            only tests with this in their name; FILE:WORD does the
                     same for one file
  -l                 list the tests
  -x                 stop at the first test that fails
  --each             of a test with several lists in `cases`, run as many
                     combinations as the longest list has values, such that
                     each value occurs, instead of all combinations
  --quick            --each, and no test that has the attribute `long`
  --sanitizer NAME   only tests that are repeated with this sanitizer: those
                     with NAME in the attribute `sanitizers` of the test, or
                     in SANITIZERS of its file

A test with the attribute `by_hand` runs only if WORD is given.

FERRY_BUILD names the build directory. FERRY_TEST_SLOW=5 multiplies every time
limit by 5, for a build with sanitizers.
"""

import argparse
import os
import signal
import sys
import time
import traceback

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(TESTS, "lib"))

from cases import file_tests  # noqa: E402
from errors import SLOW, Failed, Skip  # noqa: E402
from ferry import BUILD, World  # noqa: E402

TEST_SECONDS = int(180 * SLOW)


def on_alarm(*_):
    raise Failed(f"not over after {TEST_SECONDS} s")


def on_term(*_):
    raise SystemExit(1)     # World.__exit__() ends the machines


def run_test(name, test, args):
    """Run one test. Return: False if it failed."""
    signal.alarm(TEST_SECONDS)
    with World() as world:
        try:
            test(world, **args)
            world.check_sanitizers()
            print(f"ok {name}", flush=True)
        except Skip as why:
            print(f"skip {name}: {why}", flush=True)
        except Exception as why:    # pylint: disable=broad-except
            signal.alarm(0)
            print(f"not ok {name}: {why}")
            if not isinstance(why, Failed):
                traceback.print_exc(file=sys.stdout)
            print(world.log(), flush=True)
            return False
        finally:
            signal.alarm(0)
    return True


def run_file(path, tests, stop):
    """Run the tests of one file, to the first failure at most if @stop.
    Return: the number that failed."""
    start, before = time.monotonic(), os.times()
    failed = 0
    for t in tests:
        failed += not run_test(*t)
        if failed and stop:
            break
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    print(f"# {path}: {len(tests)} tests, {time.monotonic() - start:.1f} s "
          f"(processor: {cpu:.1f} s)", flush=True)
    return failed


def options():
    p = argparse.ArgumentParser(description="Run end-to-end tests")
    p.add_argument("-k", metavar="WORD", default="",
                   help="only tests with this in their name")
    p.add_argument("-l", action="store_true", help="list the tests")
    p.add_argument("-x", action="store_true",
                   help="stop at the first test that fails")
    p.add_argument("--each", action="store_true",
                   help="each value of each list in `cases`, not each "
                   "combination")
    p.add_argument("--quick", action="store_true",
                   help="--each, and no long test")
    p.add_argument("--sanitizer", metavar="NAME",
                   help="only tests to repeat with this sanitizer")
    p.add_argument("file", nargs="+", metavar="FILE[:WORD]")
    o = p.parse_args()
    if not os.access(os.path.join(BUILD, "ferry"), os.X_OK):
        p.error(f"no {BUILD}/ferry: build it, or set FERRY_BUILD")
    return o


def main():
    o = options()
    sys.dont_write_bytecode = True
    # A shell ignores some for a command in the background, nohup SIGHUP; the
    # programs under test would inherit that
    for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler
                          if number == signal.SIGINT else signal.SIG_DFL)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_term)
    failed = 0
    for where in o.file:
        path, _, word = where.partition(":")
        tests = [t for t in file_tests(path, o.each, o.quick, o.sanitizer)
                 if o.k in t[0] and word in t[0] and
                 (word or o.k or not getattr(t[1], "by_hand", False))]
        if o.l:
            print("".join(t[0] + "\n" for t in tests), end="")
        elif tests:
            failed += run_file(path, tests, o.x)
        if failed and o.x:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
