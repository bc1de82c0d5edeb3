# SPDX-License-Identifier: MIT
"""Metrics in Prometheus' text format: samples, and promtool's opinion."""

import os
import re
import shutil
import subprocess

from errors import WAIT, Skip, equal
from ferry import ROOT


def promtool(*args, text=""):
    """Run promtool, which must find nothing wrong."""
    unpacked = os.path.join(ROOT, "build", "promtool", "usr", "bin",
                            "promtool")
    program = shutil.which("promtool") or unpacked
    if not os.path.exists(program):
        raise Skip("no promtool: scripts/install-deps metrics")
    p = subprocess.run([program, *args], input=text.encode(), check=False,
                       timeout=WAIT, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    equal(p.returncode, 0, f"promtool {args}: {p.stdout.decode()}")


def sample(text, name, **labels):
    """The value of a sample with these labels, or None."""
    for line in text.splitlines():
        m = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line)
        if m and m[1] == name and labels.items() <= dict(
                re.findall(r'(\w+)="([^"]*)"', m[2])).items():
            return float(m[3])
    return None
