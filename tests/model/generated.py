#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare what is generated from the phase tables: generated.py [--write]

docs/model/phase.pml, and in docs/failure.md the text between each pair of lines
"<!-- generated: NAME -->" and "<!-- end: NAME -->". BUILD/tests/model/phases
prints both from migration/session/phase.c. With --write the files are written
instead. Each check prints one line, "ok" or "not ok".
"""

import argparse
import difflib
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MODEL, FAILURE = "docs/model/phase.pml", "docs/failure.md"
BLOCK = re.compile(r"<!-- generated: ([a-z-]+) -->\n(.*?)<!-- end: \1 -->\n",
                   re.S)


def printed(build, what):
    """What the program prints."""
    return subprocess.run([f"{build}/tests/model/phases", what], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def read(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def with_blocks(text, blocks):
    """The document with its generated blocks replaced."""
    missing = set(blocks)

    def replace(m):
        missing.discard(m[1])
        if m[1] not in blocks:
            raise SystemExit(f"{FAILURE}: no table is named {m[1]}")
        return (f"<!-- generated: {m[1]} -->\n{blocks[m[1]]}"
                f"<!-- end: {m[1]} -->\n")

    text = BLOCK.sub(replace, text)
    if missing:
        raise SystemExit(f"{FAILURE} lacks the table {min(missing)}: the "
                         f"lines <!-- generated: {min(missing)} --> and "
                         f"<!-- end: {min(missing)} --> belong into it")
    return text


def wanted(build):
    """The files as they must be: path -> text."""
    blocks = {m[1]: m[2] for m in BLOCK.finditer(printed(build, "markdown"))}
    return {MODEL: printed(build, "promela"),
            FAILURE: with_blocks(read(FAILURE), blocks)}


def compare(path, text):
    now = read(path)
    name = os.path.basename(path).replace(".", "_")
    if now == text:
        print(f"ok generated.{name}")
        return True
    print(f"not ok generated.{name}: {path} is not what "
          "migration/session/phase.c says: run make model-files")
    for line in list(difflib.unified_diff(now.splitlines(), text.splitlines(),
                                          "committed", "generated", n=1,
                                          lineterm=""))[:8]:
        print("#   " + line)
    return False


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--write", action="store_true")
    p.add_argument("--build", default="build")
    o = p.parse_args()
    os.chdir(ROOT)
    files = wanted(o.build)
    if not o.write:
        return 0 if all([compare(p, t) for p, t in files.items()]) else 1
    for path, text in files.items():
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
