# SPDX-License-Identifier: MIT
"""The tests of a file: its functions test_*, with each value of `cases`."""

import importlib.util
import itertools
import os
import types


def combinations(lists, each):
    """The values to run a test with, one tuple for each run."""
    if not each or not lists:
        return itertools.product(*lists)
    # The shift by i // len() pairs the values of two lists differently in
    # each round through the shorter list
    return [tuple(v[(i + j * (i // len(v))) % len(v)]
                  for j, v in enumerate(lists))
            for i in range(max(map(len, lists)))]


def load_file(path):
    """The module in a file that is in no package."""
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def file_tests(path, each=False, quick=False, sanitizer=None):
    """The tests of a file, in their order: (name, function, arguments)."""
    module = load_file(path)
    default = getattr(module, "SANITIZERS", ())
    for key, test in list(vars(module).items()):
        if not key.startswith("test_"):
            continue
        if sanitizer and sanitizer not in getattr(test, "sanitizers", default):
            continue
        if quick and getattr(test, "long", False):
            continue
        cases = getattr(test, "cases", {})
        for values in combinations([list(v) for v in cases.values()],
                                   each or quick):
            args = dict(zip(cases, values))
            words = [f"{k}={v}" for k, v in args.items()]
            yield (" ".join([f"{module.__name__}.{key[5:]}", *words]), test,
                   args)


def uses(function, *words):
    """Does a function, or one that it calls, have one of these as a name or as
    a text in its code?

    Functions are followed that are global names where they are used: those of
    the same file, and those imported.
    """
    todo, seen = [(function.__code__, function.__globals__)], set()
    while todo:
        code, known = todo.pop()
        if not {*words}.isdisjoint([*code.co_names, *(
                c for c in code.co_consts if isinstance(c, str))]):
            return True
        if code in seen:
            continue
        seen.add(code)
        todo += [(c, known) for c in code.co_consts
                 if isinstance(c, types.CodeType)]
        called = (known.get(n) for n in code.co_names)
        todo += [(f.__code__, f.__globals__) for f in called
                 if isinstance(f, types.FunctionType)]
    return False
