# SPDX-License-Identifier: MIT
"""Ferry's sessions between two processes, without KVM (tests/bench/native)

The program records what experience.py reads from a guest, and some figures more.
"""

import json
import os
import subprocess

from errors import Failed
from experience import course
from matrix import mib_of
from peers import PeerError

TIMEOUT_S = 120


class Native:
    """A build's bench-native"""

    def __init__(self, name, build):
        self.name = name
        self.program = os.path.join(build, "bench-native")
        if not os.access(self.program, os.X_OK):
            raise PeerError(f"{name}: there is no {self.program} (make "
                            "build/bench-native)")


def make_peers(names, build):
    """This build, and those named NAME=FOLDER"""
    peers = []
    for name in names:
        label, _, folder = name.partition("=")
        if name != "ferry" and not folder:
            raise PeerError(f"'{name}': without KVM, peers are NAME=FOLDER")
        peers.append(Native(label, os.path.abspath(folder or build)))
    return peers, None


def run_once(peer, cell):
    """One migration. Return: figures, stalls"""
    command = [peer.program, "--memory", str(mib_of(cell["memory"])),
               "--cpus", str(cell["cpus"])]
    if cell["rate"]:
        command += ["--rate", str(cell["rate"])]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{peer.name}: {' '.join(command)}: no end") from error
    if done.returncode:
        raise Failed(f"{peer.name}: {' '.join(command)}: {done.stderr}")
    found = {**json.loads(done.stdout), "curve": None}
    if "visits" in found:   # a build before this one computed all by itself
        found["figures"].update(course(
            found["visits"], 0, found["begin"], found["end"], found["stalls"],
            cell, found["figures"]["blackout_ms"]))
    return found
