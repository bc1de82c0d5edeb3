# SPDX-License-Identifier: MIT
"""What /proc says of a process under test.

Its threads and descriptors come and go while they are listed: one that is gone
by the time that it is looked at is left out.
"""

import os
import re


def _of_threads(pid, name):
    """{thread id: text of a file in /proc/PID/task/TID}."""
    tasks, found = f"/proc/{pid}/task", {}
    for tid in os.listdir(tasks):
        try:
            with open(f"{tasks}/{tid}/{name}", encoding="ascii") as f:
                found[tid] = f.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def threads(pid):
    """{thread id: name}, without those that the kernel has in a process."""
    return {tid: name for tid, name in _of_threads(pid, "comm").items()
            if not name.startswith("kvm-")}


def thread_values(pid, key):
    """A number in /proc/PID/task/TID/status, of each thread."""
    found = (re.search(rf"^{key}:\s*(\d+)$", text, re.M)
             for text in _of_threads(pid, "status").values())
    return [int(match[1]) for match in found if match]


def sockets(pid):
    """How many sockets a process has open."""
    fds, n = f"/proc/{pid}/fd", 0
    for fd in os.listdir(fds):
        try:
            n += os.readlink(f"{fds}/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return n
