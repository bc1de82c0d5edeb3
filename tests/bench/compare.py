# SPDX-License-Identifier: MIT
"""Ferry beside its peers: the same guests, in turn; medians, ranges, ratios"""

import itertools
import time

import experience
from limits import summarize_runs
from matrix import cells_of, mib_of
from peers import make_peers
from table import spread

# Figure, heading, and for each load the goal: at most this share of QEMU's
FIGURES = (
    ("blackout_ms", "blackout, ms", {"saturating": .08}),
    ("stall_p50_us", "stalls over 100 us, p50, us", {"paced": .40}),
    ("stall_p99_us", "the same, p99, us", {"saturating": .30, "paced": .12}),
    ("stall_max_us", "the same, longest, us", {}),
    ("stalls", "their number", {}),
    ("total_ms", "total time, ms", {"saturating": .30}),
    ("lost_ms", "guest time lost, ms", {"saturating": .30, "paced": .25}),
    ("stopped_ms", "stopped by the VMM's clock, ms", {}),
    ("tsc_lost_ms", "the guest's TSC stood still, ms", {}),
    ("after_percent", "speed just after the end, %", {}),
    ("pages_demand", "pages that the guest asked for", {}),
    ("pages_push", "pages pushed", {}),
    ("pages_zero", "pages of zeroes", {}),
    ("faults", "faults", {}),
    ("duplicates", "pages that came twice", {}),
    ("source_cpu_ms", "processor, source, ms", {}),
    ("target_cpu_ms", "processor, destination, ms", {}),
    ("vcpu_cpu_ms", "processor, vCPUs, ms", {}),
)


def goal_of(cell, key, goals):
    """The goal of issue 11; the small guest's total time has its own"""
    small = key == "total_ms" and cell["memory"] == "256M"
    return .35 if small and "saturating" in goals and \
        cell["load"] == "saturating" else goals.get(cell["load"])


def measure_cell(result, peers, cell, options, warm, tell):
    """Runs of all peers in turn, added to their lists in result"""
    runs = options.runs
    for n in range(runs):
        for peer in peers:
            if warm:
                warm(mib_of(cell["memory"]) << 20)
            run = peer.run_once(cell)
            result[peer.name].append(run)
            f = run["figures"]
            tell(f"{cell['name']}: {n + 1}/{runs} {peer.name}: blackout "
                 f"{f['blackout_ms']:.2f} ms, p50 {f['stall_p50_us']} us, p99 "
                 f"{f['stall_p99_us']} us, total {f['total_ms']:.0f} ms, lost "
                 f"{f['lost_ms']:.0f} ms")


def summarize(cell, found):
    """A cell's medians and ranges, and the curve of each median run"""
    peers = {}
    for name, runs in found.items():
        middle = sorted(runs, key=lambda r: r["figures"]["total_ms"])[
            len(runs) // 2]
        stalls = {}
        for us, n in itertools.chain.from_iterable(
                r["stalls"] for r in runs):
            stalls[us] = stalls.get(us, 0) + n
        peers[name] = {
            "figures": summarize_runs([r["figures"] for r in runs]),
            "curve": middle["curve"], "stalls": sorted(stalls.items())}
    return {**cell, "runs": min(map(len, found.values())), "peers": peers,
            "ratios": ratios(cell, peers)}


def ratios(cell, peers):
    """The first peer's medians as shares of the others', with the goals"""
    first, *others = peers
    result = {}
    for other, (key, _, goals) in itertools.product(others, FIGURES):
        a, b = (peers[p]["figures"].get(key, {"median": None})["median"]
                for p in (first, other))
        if a is None or not b:
            continue
        entry = {"ratio": a / b}
        goal = goal_of(cell, key, goals)
        if goal and other == "qemu":
            entry.update(goal=goal, reached=a / b <= goal)
        result.setdefault(other, {})[key] = entry
    return result


def cell_lines(cell):
    """One cell as a table"""
    peers = cell["peers"]
    yield f"\n{cell['name']}: {cell['runs']} run" + "s"[cell["runs"] == 1:]
    if cell["busy_cpus"] > .3:
        yield (f"Other programs kept {cell['busy_cpus']} CPUs busy before: "
               "expect worse figures.")
    yield f"{'':34}" + "".join(f"{p:>28}" for p in peers) + "".join(
        f"{'of ' + p:>17}" for p in cell["ratios"])

    def share(ratio):
        if not ratio:
            return ""
        mark = "" if "goal" not in ratio else \
            " ok" if ratio["reached"] else f" >{ratio['goal']:.2f}"
        return f"{ratio['ratio']:.2f}{mark:6}"

    for key, heading, _ in FIGURES:
        if not all(key in p["figures"] for p in peers.values()) or \
                not any(p["figures"][key]["max"] for p in peers.values()):
            continue
        yield f"{heading:34}" + "".join(
            f"{spread(p['figures'][key]):>28}" for p in peers.values()
        ) + "".join(f"{share(r.get(key)):>17}"
                    for r in cell["ratios"].values())


def show(results, out):
    """All tables"""
    m = results["machine"]
    print(f"{m['model']}, {m['cpus']} CPUs, {m['kvm']}, Linux {m['kernel']}"
          + (f", QEMU {results['qemu']}" if results["qemu"] else "") +
          "\nMedians (ranges) of runs in turn; a ratio with 'ok' has reached its goal, after '>' "
          "stands a goal that was missed.", file=out)
    for cell in results["cells"]:
        for line in cell_lines(cell):
            print(line, file=out)
    print(f"\n{results['seconds']} s in all", file=out)


def measure(options, peers, warm, busy, tell):
    """All cells, or, after Ctrl-C, those with a run of each peer by then"""
    found = []
    try:
        for cell in cells_of(options):
            thp, cell["busy_cpus"] = cell["thp"] == "on", busy()
            experience.allow_huge_pages(thp)
            found.append((cell, {peer.name: [] for peer in peers}))
            measure_cell(found[-1][1], peers, cell, options,
                         warm if thp else None, tell)
    except KeyboardInterrupt:
        found = [(c, runs) for c, runs in found if all(runs.values())]
        if not found:
            raise
        tell("interrupted")
    return [summarize(*cell) for cell in found]


def compare(options, machine, warm, busy, tell):
    """Measure everything. Return: the results, as in the JSON

    warm(bytes) has free memory at hand; busy() tells how many CPUs are in use.
    """
    began = time.monotonic()
    peers, version = make_peers(options.peer, options.native)
    needed = 3 * max(map(mib_of, options.memory)) + 1024
    warmth = None
    if "off" in options.thp:
        tell(f"warming {needed} MiB of memory up")
        warmth = experience.Warmth(needed << 20)
    try:
        cells = measure(options, peers, warm, busy, tell)
    finally:
        if warmth:
            warmth.close()
    return {"machine": machine, "qemu": version, "peers": options.peer, "cells": cells,
            "seconds": round(time.monotonic() - began, 1)}
