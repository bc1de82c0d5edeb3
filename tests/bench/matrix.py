# SPDX-License-Identifier: MIT
"""Which guests scripts/bench --peer measures: loads, sizes, kinds of RAM"""

import itertools

PACED_RATE = 5000       # visits per second
LOADS = {
    "saturating": "work=dirty",
    "paced": f"work=dirty rate={PACED_RATE}",
    "quarter": "work=dirty part=4",
    "sequential": "work=walk order=seq",
    "strided": "work=walk order=stride stride=16",
}
SMALL = {"load": "saturating,paced", "memory": "256M,1G",
         "ram": "anon,memfd", "cpus": "1", "thp": "off",
         "peer": "ferry,qemu"}
FULL = {"load": ",".join(LOADS), "memory": "256M,1G", "ram": "anon,memfd",
        "cpus": "1,4", "thp": "off,on",
        "peer": "ferry,qemu,qemu-plain,qemu-hybrid"}


# Without KVM there are two loads, and only memory that is not shared
NATIVE = {"load": "saturating,paced", "memory": "256M,1G", "ram": "anon",
          "cpus": "1", "thp": "off", "peer": "ferry"}


def rate_of(load):
    """Visits per second of a paced load; 0 for another"""
    name, _, rate = load.partition("-")
    if name != "paced":
        return 0
    return int(rate) if rate.isdigit() else PACED_RATE


def append_of(load, cpus):
    """Boot arguments of a load; paced-N has N visits per second in all"""
    rate = rate_of(load)
    return f"work=dirty rate={max(1, rate // cpus)}" if rate else LOADS[load]


def mib_of(memory):
    """A size like 256M or 1G in MiB"""
    return int(memory[:-1]) << {"M": 0, "G": 10}[memory[-1]]


def cells_of(options):
    """All combinations that were chosen"""
    for thp, memory, ram, cpus, load in itertools.product(
            options.thp, options.memory, options.ram, options.cpus,
            options.load):
        yield {"load": load, "memory": memory, "ram": ram, "cpus": cpus,
               "thp": thp, "append": append_of(load, cpus),
               "rate": rate_of(load),
               "name": f"{load}, {memory} {ram}, {cpus} vCPU"
                       + ("s" if cpus > 1 else "")
                       + (", huge pages" if thp == "on" else "")}


def choose(options, parser):
    """The matrix: what was named, else the small or the full one"""
    defaults = NATIVE if options.native else FULL if options.full else SMALL
    for key, default in defaults.items():
        text = getattr(options, key) or default
        if key == "peer" and text and "ferry" not in text.split(","):
            text = "ferry," + text
        setattr(options, key, text.split(","))
    for load in options.load:
        if load.partition("-")[0] != "paced" and load not in LOADS:
            parser.error(f"--load: '{load}' is none of " + ", ".join(LOADS)
                         + ", paced-N")
    if options.native and (options.ram != ["anon"] or
                           {l.partition("-")[0] for l in options.load}
                           - {"saturating", "paced"}):
        parser.error("--native has anon RAM, and the loads saturating and "
                     "paced")
    for thp in set(options.thp) - {"off", "on"}:
        parser.error(f"--thp: '{thp}' is neither off nor on")
    try:
        options.cpus = [int(n) for n in options.cpus]
    except ValueError:
        parser.error("--cpus wants numbers")
