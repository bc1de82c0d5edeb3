# SPDX-License-Identifier: MIT
"""Linux finds its processors consistent, and keeps them in a migration."""

import re

import linux
from ferry import check, equal
from linux import wait_text

INIT = r"""
echo "up cpus=$(grep -c ^processor /proc/cpuinfo)"
dmesg | grep -iE "firmware bug|apic id|mismatch|topo.*(bug|broken|invalid)|fpu:|mce:" |
	sed "s/^/dmesg /"
sed -n -e "s/^model name\t: /name /p" -e "s/^apicid\t\t: /apic /p" \
	-e "s/^core id\t\t: /core /p" -e "s/^cpu cores\t: /cores /p" \
	-e "s/^siblings\t: /siblings /p" /proc/cpuinfo
echo "listed"
read go
sed -n "s/^apicid\t\t: /after /p" /proc/cpuinfo
echo "end"
poweroff -f
"""


def values(vmm, word):
    return [m[1] for x in vmm.out.lines
            if (m := re.fullmatch(word + r" (.*?)\r?", x.text))]


def test_processors(world, vendor, model):
    """No firmware bug is reported; each vCPU is a core with an APIC ID of its
    own, also after a migration."""
    cpus = {"host": 2, "baseline": 4}[model]
    a = linux.linux(world, INIT, "--cpu", model, "--cpu-vendor", vendor,
                    cpus=cpus)
    wait_text(a, "listed")
    every = [str(i) for i in range(cpus)]
    equal([x for x in values(a, "dmesg") if "fpu:" not in x], [],
          "complaints of Linux")
    equal((values(a, "apic"), values(a, "core")), (every, every),
          "APIC IDs and cores")
    equal((set(values(a, "cores")), set(values(a, "siblings"))),
          ({str(cpus)}, {str(cpus)}), "cores and siblings")
    if model == "baseline":
        check(any("FXSAVE" in x for x in values(a, "dmesg")), a.out.text())
        check(all(x.startswith("Ferry baseline")
                  for x in values(a, "name")), values(a, "name"))
    b = world.receive()
    a.migrate(b)
    b.send("go")
    wait_text(b, "end")
    equal(values(b, "after"), every, "APIC IDs after the migration")
    equal(b.wait_end(), 0, "exit status")


test_processors.cases = {"vendor": ["amd", "intel"],
                         "model": ["host", "baseline"]}
