#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run end-to-end tests: run.py [-k WORD] [-l] FILE...

A test is a function test_* of a file; its docstring says what it proves. It
gets a World (tests/lib/ferry.py), and one value for each list in its `cases`.
They run one after the other. One line each, "ok", "not ok" or "skip" with
a reason; exit status 1 if one failed.

FERRY_BUILD names the build directory; FERRY_TEST_SLOW=5 gives five times as
long for everything, for a build with sanitizers.
"""

import argparse
import importlib.util
import itertools
import os
import signal
import sys
import traceback

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(TESTS, "lib"))

from errors import SLOW, Failed, Skip  # noqa: E402
from ferry import BUILD, World  # noqa: E402

TEST_SECONDS = int(180 * SLOW)


def on_alarm(*_):
    raise Failed(f"not over after {TEST_SECONDS} s")


def on_term(*_):
    raise SystemExit(1)     # ends the machines on its way out


def load(path):
    """The tests of a file, in their order: (name, function, arguments)."""
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for key, test in list(vars(module).items()):
        if not key.startswith("test_"):
            continue
        lists = getattr(test, "cases", {})
        for values in itertools.product(*lists.values()):
            args = dict(zip(lists, values))
            words = [f"{k}={v}" for k, v in args.items()]
            yield " ".join([f"{name}.{key[5:]}", *words]), test, args


def run(name, test, args):
    """Run one test. Return: False if it failed."""
    signal.alarm(TEST_SECONDS)
    with World() as world:
        try:
            test(world, **args)
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


def main():
    p = argparse.ArgumentParser(description="Run end-to-end tests")
    p.add_argument("-k", metavar="WORD", default="",
                   help="only tests with this in their name")
    p.add_argument("-l", action="store_true", help="list tests")
    p.add_argument("file", nargs="+")
    o = p.parse_args()
    sys.dont_write_bytecode = True
    if not os.access(os.path.join(BUILD, "ferry"), os.X_OK):
        p.error(f"no {BUILD}/ferry: build it, or set FERRY_BUILD")
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_term)
    tests = [t for f in o.file for t in load(f) if o.k in t[0]]
    if o.l:
        print("\n".join(t[0] for t in tests))
        return 0
    return 0 if all([run(*t) for t in tests]) else 1


if __name__ == "__main__":
    sys.exit(main())
