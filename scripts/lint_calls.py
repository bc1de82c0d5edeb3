#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""Which file calls which, for scripts/lint; prints what is wrong.

Two rules that includes do not show:

- Calls between the files of migration/ point one way: no file reaches itself
  through others. (Structs of functions are not calls: an upper layer hands
  them to a lower one.)
- A function is declared in the header of the file that defines it: part.c's in
  part.h, or in whole.h if the file is whole_part.c. ELSEWHERE has the headers
  that stand for several files: an architecture's interface, a directory's own.

Needs Universal Ctags. Runs in the top directory of the project.
"""

import collections
import os
import re
import subprocess
import sys

DIRS = ["vmm", "migration"]
ACYCLIC = "migration/"
ELSEWHERE = {
    "vmm/boot/arch_boot.h", "vmm/dump/arch_core.h", "vmm/machine/arch.h",
    "vmm/machine/x86_arch.h", "vmm/machine/description_walk.h",
    "vmm/machine/machine_config.h", "vmm/machine/machine_private.h",
    "vmm/kvm/kvm.h", "vmm/web/web_private.h", "vmm/cli/cli_common.h",
    "vmm/cli/usage.h", "migration/link/tls_private.h",
}


def tags(kind):
    """(name, file) of each function: definition (f), but for static ones, or
    declaration (p)."""
    out = subprocess.run(
        ["ctags", "-R", "--languages=C", "--langmap=C:+.h",
         f"--kinds-C={kind}", "--fields=", "--extras=-F", "-f", "-"] + DIRS,
        capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        name, path, _ = line.split("\t", 2)
        yield name, path


def global_functions():
    found = collections.defaultdict(set)
    for name, path in tags("f"):
        if path.endswith(".c") and name != "main":
            found[name].add(path)
    return found


def misplaced(functions):
    for name, header in sorted(set(tags("p"))):
        if not header.endswith(".h") or header in ELSEWHERE:
            continue
        stem = header[:-2]
        for path in sorted(functions.get(name, ())):
            if path[:-2] != stem and not path.startswith(stem + "_"):
                yield f"{header}: {name}() is defined in {path}"


def calls(functions):
    graph = {}
    for path in sorted({p for paths in functions.values() for p in paths}):
        if not path.startswith(ACYCLIC):
            continue
        with open(path, encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r'/\*.*?\*/|"(\\.|[^"\\])*"', "", text, flags=re.S)
        graph[path] = {p for word in set(re.findall(r"\b\w+\b", text))
                       for p in functions.get(word, ())
                       if p != path and p.startswith(ACYCLIC)}
    return graph


def cycles(graph):
    """The files that reach themselves, with the files on one way back."""
    for start in sorted(graph):
        came = {start: None}
        todo = [start]
        while todo:
            at = todo.pop()
            for to in sorted(graph.get(at, ())):
                if to == start:
                    way = [at]
                    while came[way[-1]]:
                        way.append(came[way[-1]])
                    yield " -> ".join(way[::-1] + [start])
                    todo = []
                    break
                if to not in came:
                    came[to] = at
                    todo.append(to)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    functions = global_functions()
    for line in misplaced(functions):
        print(line)
    for line in cycles(calls(functions)):
        print("calls in a circle: " + line)


if __name__ == "__main__":
    sys.exit(main())
