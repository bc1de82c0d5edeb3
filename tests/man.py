#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The man pages, as they are installed: man.py [BUILD]

Reads BUILD/man, which `make man` writes; BUILD is "build" by default. Each
check prints one line, "ok", "skip" or "not ok" with a reason; the exit status
is 1 if one failed.
"""

import glob
import os
import re
import shutil
import subprocess
import sys

FOLDER = os.path.join(sys.argv[1] if sys.argv[1:] else "build", "man")
FERRY = os.path.join(os.path.dirname(FOLDER), "ferry")
# mandoc looks for these among the installed pages
ELSEWHERE = "referenced manual not found"


def ferry(*args):
    return subprocess.run([FERRY, *args], check=True, timeout=10,
                          stdout=subprocess.PIPE).stdout.decode()


def pages():
    """The text of each page, by its name."""
    result = {}
    for path in glob.glob(os.path.join(FOLDER, "*.1")):
        with open(path, encoding="utf-8") as f:
            result[os.path.basename(path)[:-2]] = f.read()
    return result


def lint():
    """mandoc finds nothing wrong."""
    if not shutil.which("mandoc"):
        return "skip", "no mandoc here"
    p = subprocess.run(["mandoc", "-T", "lint", *glob.glob(f"{FOLDER}/*.1")],
                       check=False, timeout=60, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
    wrong = [x for x in p.stdout.decode().splitlines() if ELSEWHERE not in x]
    return "\n".join(wrong)


def complete():
    """Each command has a page, with all options that its help text has, and
    with a description; there is no other page."""
    have = pages()
    wanted = {"ferry"} | {
        "ferry-" + m for m in re.findall(r"^  (\w+) ", ferry("help"), re.M)}
    wrong = sorted(wanted ^ set(have))
    for name, text in have.items():
        for section in "NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO":
            if text.count(f"\n.Sh {section}\n") != 1:
                wrong.append(f"{name} has not one section {section}")
        if name == "ferry":
            listed = set(re.findall(r"^\.It Xr (\S+) 1$", text, re.M))
            wrong += sorted(listed ^ (wanted - {"ferry"}))
            continue
        for option in re.findall(r"^  --(\S+)", ferry(name[6:], "--help"),
                                 re.M):
            if f"\n.It Fl -{option}" not in text:
                wrong.append(f"{name} lacks --{option}")
    return " ".join(wrong)


def references():
    """A page that another one refers to exists, and so does an option."""
    have, wrong = pages(), []
    options = {o for text in have.values()
               for o in re.findall(r"^\.It Fl -(\S+)", text, re.M)}
    for name, text in have.items():
        wrong += [f"{name}: {x}" for x in
                  re.findall(r"^\.Xr (ferry\S*) 1", text, re.M)
                  if x not in have]
        wrong += [f"{name}: --{x}" for x in
                  re.findall(r"\bFl -(\S+)", text) if x not in options]
    return " ".join(wrong)


def main():
    failed = False
    for check in lint, complete, references:
        wrong = check()
        state, why = wrong if isinstance(wrong, tuple) else (
            "not ok" if wrong else "ok", wrong)
        print(f"{state} man.{check.__name__}{': ' if why else ''}{why}")
        failed |= state == "not ok"
    return failed


if __name__ == "__main__":
    sys.exit(main())
