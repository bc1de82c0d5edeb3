#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bash and zsh complete of ferry's commands: completion.py [BUILD]

Runs the functions of the scripts that `ferry completion` prints as the shells
run them. BUILD is "build" by default. Each case prints one line, "ok", "skip"
or "not ok" with a reason; the exit status is 1 if one failed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1] if sys.argv[1:] else "build")
FERRY = os.path.join(BUILD, "ferry")

BASH = r"""
eval "$("$1" completion bash)"
function=$(complete -p ferry | sed 's/.*-F \([^ ]*\) .*/\1/')
shift
COMP_WORDS=(ferry-under-test "$@")
COMP_CWORD=$(($# ))
"$function" "$FERRY" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""

# What zsh's own functions are asked for
ZSH = r"""
compdef() { :; }
_describe() { print -rl -- ${(P)2%%:*}; }
_arguments() { print -rl -- "$@"; }
eval "$("$1" completion zsh)"
shift
words=(ferry "$@")
CURRENT=$#words
_ferry
"""


def shell(program, script, words):
    p = subprocess.run([program, "-c", script, program, FERRY, *words],
                       check=False, timeout=20, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       env={**os.environ, "FERRY": FERRY})
    if p.stderr or p.returncode:
        return [f"status {p.returncode}: {p.stderr.decode()}"]
    return sorted(p.stdout.decode().split("\n")[:-1])


def commands():
    text = subprocess.run([FERRY, "help"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return sorted(re.findall(r"^  (\w+) ", text, re.M))


def options(command):
    text = subprocess.run([FERRY, command, "--help"], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return sorted(re.findall(r"^  (--\S+)", text, re.M))


def cases():
    """Words typed, the last one unfinished, and what completes it."""
    for command in commands():
        yield [command, "-"], options(command)
    yield [""], commands()
    yield ["st"], ["status", "stop"]
    yield ["help", "re"], ["receive", "recover", "reset", "resolve"]
    yield ["run", "--ram", ""], ["anon", "hugetlb", "memfd"]
    yield ["run", "--name", "a", "--ram", "m"], ["memfd"]
    yield ["run", "--serial", "f"], ["file:"]
    yield ["run", "--serial", "file", ":", "fi"], ["file-1", "file-2"]
    yield ["run", "--kernel", "f"], ["file-1", "file-2"]
    yield ["run", "--cpus", ""], [""]
    yield ["migrate", "--recover-automatically", ""], ["no", "yes"]
    # No machine runs in this directory: no name
    yield ["migrate", ""], [""]
    yield ["migrate", "a", ""], ["tcp:", "tls:", "unix:"]
    yield ["migrate", "--bandwidth", "1M", "a", "--detach", "un"], ["unix:"]
    yield ["migrate", "a", "unix", ":", "file-"], ["file-1", "file-2"]
    yield ["migrate", "a", "unix", ":"], ["file-1", "file-2"]
    yield ["dump", "a", "file-2"], ["file-2"]
    yield ["completion", ""], ["bash", "zsh"]
    yield ["nonsense", ""], [""]


def test_bash():
    if not shutil.which("bash"):
        return "skip", "no bash here"
    wrong = []
    for words, wanted in cases():
        got = shell("bash", BASH, words)
        if got != wanted:
            wrong.append(f"{' '.join(words)}: {got} instead of {wanted}")
    return ("not ok" if wrong else "ok"), "\n".join(wrong)


def test_machines():
    """Names of machines, from `ferry list`."""
    if not shutil.which("bash"):
        return "skip", "no bash here"
    program = os.path.join(os.getcwd(), "lists")
    with open(program, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\n[ "$1" = list ] || exec {FERRY} "$@"\n'
                "printf '%s\\n' 'NAME    STATUS' 'guest-1  running' "
                "'guest-2  paused' 'other    running'\n")
    os.chmod(program, 0o700)
    got = shell("bash", BASH.replace('"$FERRY"', "./lists"),
                ["status", "--json", "g"])
    os.unlink(program)
    return "ok" if got == ["guest-1", "guest-2"] else "not ok", str(got)


def test_zsh():
    """Each option with its help text, its words, and the arguments."""
    if not shutil.which("zsh"):
        return "skip", "no zsh here"
    wrong = []
    if shell("zsh", ZSH, [""]) != commands():
        wrong.append(str(shell("zsh", ZSH, [""])))
    for command in commands():
        got = shell("zsh", ZSH, [command, ""])
        named = [x.split("[")[0] for x in got if x.startswith("--")]
        if sorted(named) != options(command):
            wrong.append(f"{command}: {got}")
    for command, spec in (("run", ":KIND:(anon memfd hugetlb)"),
                          ("run", "--kernel[kernel to boot\\: "),
                          ("migrate", ":NAME:_ferry_machine"),
                          ("migrate", ":URI:_ferry_uri"),
                          ("dump", ":FILE:_ferry_file")):
        if not any(spec in x for x in shell("zsh", ZSH, [command, ""])):
            wrong.append(f"{command}: no {spec}")
    return ("not ok" if wrong else "ok"), "\n".join(wrong)


def main():
    failed = False
    with tempfile.TemporaryDirectory(prefix="ferry-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        os.chdir(folder)
        for name in "file-1", "file-2":
            with open(name, "w", encoding="ascii"):
                pass
        for test in test_bash, test_machines, test_zsh:
            state, why = test()
            print(f"{state} completion.{test.__name__[5:]}"
                  f"{': ' + why if state != 'ok' else ''}")
            failed |= state == "not ok"
    return failed


if __name__ == "__main__":
    sys.exit(main())
