# SPDX-License-Identifier: MIT
"""The results of scripts/bench: comparison with the goals, and tables"""

import math

GOAL_BLACKOUT_MS = 5
GOAL_DEMAND_RATIO = 1.5
GOAL_PUSH_RATIO = 0.6

# key, heading and unit
FIGURES = (
    ("blackout_ms", "blackout seen by the guest, ms"),
    ("downtime_ms", "downtime by Ferry's clock, ms"),
    ("gap_ms", "longest gap of the whole migration, ms"),
    ("demand_p50_us", "demand, guest, p50, us"),
    ("stall_p99_us", "all stalls, guest, p99, us"),
    ("stall_max_us", "all stalls, guest, max, us"),
    ("placed_p50_us", "fault reported to page placed, p50, us"),
    ("placed_p99_us", "fault reported to page placed, p99, us"),
    ("faults", "faults"),
    ("total_ms", "total time, walking guest, ms"),
    ("lost_ms", "guest time lost, ms"),
    ("push_gb_s", "push, resting guest, GB/s"),
    ("total_rest_ms", "total time, resting guest, ms"),
)


def dig(limits, path):
    """A limit, or None where bench-limits could not measure it"""
    for key in path.split():
        limits = limits.get(key) if isinstance(limits, dict) else None
    return limits


def bounds(limits, ram):
    """The limits that Ferry's figures are compared with, for a kind of RAM

    Loopback is the faster placement of the stream's two ends. The chain is that
    of a vCPU with interrupts, as a machine's are; the one without is given for
    comparison (tests/bench/vcpu.c says why they differ).
    """
    loopback = max(filter(None, (
        dig(limits, f"loopback_gb_s {where} median")
        for where in ("unpinned", "pinned_apart"))), default=None)
    ns = dig(limits, f"ioctl_ns copy_{ram} batch_512 median")
    copy = 4096 / ns if ns else None
    return {"loopback_gb_s": loopback, "copy_gb_s": copy,
            "push_gb_s": min(loopback, copy) if loopback and copy else None,
            "chain_p50_us": dig(limits, "chain_us vcpu_irqs tcp free p50"),
            "chain_no_irqs_p50_us": dig(limits, "chain_us vcpu tcp free p50")}


def judge(figures, bound):
    """Compare the figures with the goals"""
    def goal(value, limit, at_most, unit):
        if value is None:
            return {"unavailable": "the limit could not be measured"}
        reached = value <= limit if at_most else value >= limit
        return {"value": value, "goal": limit, "at_most": at_most,
                "unit": unit, "reached": reached}

    def ratio(key, limit):
        return figures[key]["median"] / limit if limit else None

    return {
        "blackout": goal(figures["blackout_ms"]["median"], GOAL_BLACKOUT_MS,
                         True, "ms"),
        "demand": goal(ratio("demand_p50_us", bound["chain_p50_us"]),
                       GOAL_DEMAND_RATIO, True, "x bare chain"),
        "push": goal(ratio("push_gb_s", bound["push_gb_s"]),
                     GOAL_PUSH_RATIO, False, "x limit"),
    }


def number(value):
    """Three significant digits"""
    if value is None:
        return "-"
    if not value:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def print_limits(results, out):
    """The limits of the machine"""
    print("\nLimits of this machine", file=out)
    for ram, bound in results["bounds"].items():
        print(f"  {ram:6} loopback {number(bound['loopback_gb_s'])} GB/s, "
              f"batched UFFDIO_COPY {number(bound['copy_gb_s'])} GB/s, "
              f"bare chain of a vCPU p50 {number(bound['chain_p50_us'])} us "
              f"(no interrupts: {number(bound['chain_no_irqs_p50_us'])} us)",
              file=out)


def print_table(results, out):
    """The figures, medians and ranges, one column a configuration"""
    guests = results["guests"]
    print(f"\nFerry, medians (ranges) of {results['runs']} runs\n", file=out)
    print(f"{'':42}" + "".join(f"{g['memory'] + ' ' + g['ram']:>24}"
                               for g in guests), file=out)
    for key, heading in FIGURES:
        cells = ""
        for g in guests:
            f = g["figures"][key]
            text = number(f["median"])
            if results["runs"] > 1:
                text += f" ({number(f['min'])}-{number(f['max'])})"
            cells += f"{text:>24}"
        print(f"{heading:42}{cells}", file=out)


def print_goals(results, out):
    """The goals, and whether they were reached"""
    print("\nGoals", file=out)
    for g in results["guests"]:
        for name, goal in g["goals"].items():
            head = f"  {g['memory'] + ' ' + g['ram']:12} {name:9}"
            if "unavailable" in goal:
                print(f"{head} {goal['unavailable']}", file=out)
                continue
            sign = "<=" if goal["at_most"] else ">="
            print(f"{head} {number(goal['value'])} {goal['unit']}, goal {sign} "
                  f"{goal['goal']}: "
                  f"{'reached' if goal['reached'] else 'NOT reached'}",
                  file=out)


def print_machine(results, out):
    """Where it ran"""
    m = results["machine"]
    print(f"{m['model']}, {m['cpus']} CPUs, {m['kvm']}, Linux {m['kernel']}, "
          f"{m['stolen_percent']} % stolen by the host", file=out)
    print("The first migrations are not counted (cold memory).", file=out)
    worst = max(m["busy_cpus"])
    if worst > 0.3:
        print(f"Other programs use this machine, too (up to {worst} CPUs "
              "before a round): expect worse figures.", file=out)


def show(results, out):
    """All tables"""
    for part in (print_machine, print_limits, print_table, print_goals):
        part(results, out)
    print(f"\n{results['seconds']} s in all", file=out)
