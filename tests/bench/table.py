# SPDX-License-Identifier: MIT
"""The results of scripts/bench: comparison with the goals, and tables"""

# name, figure, limit that it is divided by, goal, is it the most?, unit
GOALS = (
    ("blackout", "blackout_ms", None, 5, True, "ms"),
    ("demand", "demand_p50_us", "chain_p50_us", 1.5, True, "x bare chain"),
    ("push", "push_gb_s", "push_gb_s", 0.6, False, "x limit"),
)

# key, workload and its figure (experience.py, peers.py), heading and unit
FIGURES = (
    ("blackout_ms", "wake", "blackout_ms", "blackout seen by the guest, ms"),
    ("downtime_ms", "wake", "downtime_ms", "downtime by Ferry's clock, ms"),
    ("gap_ms", "wake", "gap_ms", "longest gap of the whole migration, ms"),
    ("demand_p50_us", "walk", "demand_p50_us", "demand, guest, p50, us"),
    ("stall_p99_us", "walk", "any_stall_p99_us", "all stalls, guest, p99, us"),
    ("stall_max_us", "walk", "any_stall_max_us", "all stalls, guest, max, us"),
    ("placed_p50_us", "walk", "placed_p50_us",
     "fault reported to page placed, p50, us"),
    ("placed_p99_us", "walk", "placed_p99_us",
     "fault reported to page placed, p99, us"),
    ("faults", "walk", "faults", "faults"),
    ("total_ms", "walk", "total_ms", "total time, walking guest, ms"),
    ("lost_ms", "walk", "lost_ms", "guest time lost, ms"),
    ("push_gb_s", "rest", "push_gb_s", "push, resting guest, GB/s"),
    ("total_rest_ms", "rest", "total_ms", "total time, resting guest, ms"),
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
    result = {}
    for name, key, limit, goal, at_most, unit in GOALS:
        limit = bound[limit] if limit else 1
        if not limit:
            result[name] = {"unavailable": "the limit could not be measured"}
            continue
        if figures[key]["median"] is None:
            result[name] = {"unavailable": "one of the runs has no number"}
            continue
        value = figures[key]["median"] / limit
        result[name] = {
            "value": value, "goal": goal, "at_most": at_most, "unit": unit,
            "reached": value <= goal if at_most else value >= goal}
    return result


def number(value):
    """Three significant digits, or all before the decimal point"""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def spread(figure):
    """Median, and the range of several runs"""
    return number(figure["median"]) + (
        f" ({number(figure['min'])}-{number(figure['max'])})"
        if len(figure["runs"]) > 1 else "")


def limit_lines(results):
    """The limits of the machine"""
    yield "\nLimits of this machine"
    for ram, bound in results["bounds"].items():
        b = {key: number(value) for key, value in bound.items()}
        yield (f"  {ram:6} loopback {b['loopback_gb_s']} GB/s, "
               f"batched UFFDIO_COPY {b['copy_gb_s']} GB/s, "
               f"bare chain of a vCPU p50 {b['chain_p50_us']} us "
               f"(no interrupts: {b['chain_no_irqs_p50_us']} us)")


def figure_lines(results):
    """The figures, medians and ranges, one column a configuration"""
    guests = results["guests"]
    yield f"\nFerry, medians (ranges) of {results['runs']} runs\n"
    yield f"{'':42}" + "".join(f"{g['memory'] + ' ' + g['ram']:>24}"
                               for g in guests)
    for key, _, _, heading in FIGURES:
        yield f"{heading:42}" + "".join(f"{spread(g['figures'][key]):>24}"
                                        for g in guests)


def goal_lines(results):
    """The goals, and whether they were reached"""
    yield "\nGoals"
    for g in results["guests"]:
        for name, goal in g["goals"].items():
            yield (f"  {g['memory'] + ' ' + g['ram']:12} {name:9} "
                   + (goal["unavailable"] if "unavailable" in goal else
                      f"{number(goal['value'])} {goal['unit']}, goal "
                      f"{'<=' if goal['at_most'] else '>='} {goal['goal']}: "
                      f"{'reached' if goal['reached'] else 'NOT reached'}"))


def machine_lines(results):
    """Where it ran"""
    m = results["machine"]
    yield (f"{m['model']}, {m['cpus']} CPUs, {m['kvm']}, Linux {m['kernel']}, "
           f"{m['stolen_percent']} % stolen by the host")
    yield "The first migrations are not counted (cold memory)."
    worst = max(m["busy_cpus"])
    if worst > 0.3:
        yield (f"Other programs use this machine, too (up to {worst} CPUs "
               "before a round): expect worse figures.")


def show(results, out):
    """All tables"""
    for part in machine_lines, limit_lines, figure_lines, goal_lines:
        for line in part(results):
            print(line, file=out)
    print(f"\n{results['seconds']} s in all", file=out)
