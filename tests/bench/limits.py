# SPDX-License-Identifier: MIT
"""Limits of this machine: starts bench-limits, and computes the statistics

A measurement gives a dict of paths (tuples of keys) with a number each, or a
string that says why this machine has no such figure.
"""

import contextlib
import itertools
import math
import os
import socket
import statistics
import subprocess

MIB = 1 << 20
TIMEOUT_S = 120     # one measurement takes a second or two
UNAVAILABLE = 77    # exit status of bench-limits
MEMORY = ("process_vm_readv_256k", "memcpy_256k", "zero_scan")
PLACINGS = ("copy_anon", "copy_memfd", "zeropage_anon", "zeropage_memfd",
            "poison_anon", "continue_memfd")
CHAIN = ("p50", "p90", "p99", "max", "pages_per_run")
STREAMS = {"discard": ("loopback_gb_s",), "anon": ("pipeline_gb_s", "anon"),
           "memfd": ("pipeline_gb_s", "memfd")}
STREAM_PLACEMENTS = {"unpinned": (None, None), "pinned_apart": (1, 0)}
# What reads the pages, and its keys below chain_us
TOUCHERS = {"thread": (), "vcpu": ("vcpu",), "vcpu_irqs": ("vcpu_irqs",)}
# Where toucher, handler and server run: one of two CPUs, or any (None). The
# placement matters more than what the three do
PLACEMENTS = {"free": (None, None, None), "one_core": (0, 0, 0),
              "toucher_apart": (1, 0, 0)}


class LimitError(Exception):
    """A measurement failed; the text says why"""


class Unavailable(Exception):
    """The kernel or machine lacks it; the text says what"""


def two_cpus():
    """Two CPUs for threads, on two cores if possible; one if there is one"""
    cpus = sorted(os.sched_getaffinity(0))

    def core(cpu):
        path = f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
        with contextlib.suppress(OSError), open(path, encoding="ascii") as f:
            return f.read()
        return cpu

    other = [c for c in cpus if core(c) != core(cpus[0])] or cpus[1:]
    return [cpus[0], *other[:1]]


class Limits:
    """One round of all measurements"""

    def __init__(self, program, quick):
        self.program = program
        self.quick = quick
        self.cpus = two_cpus()
        self.figures = {("machine", "cpus_used"): len(self.cpus)}

    def cpu(self, index):
        """Number of one of the two CPUs; -1, which stands for any, for None"""
        if index is None:
            return -1
        if index >= len(self.cpus):
            raise Unavailable("needs two CPUs")
        return self.cpus[index]

    def start(self, *args, cpu=-1, **kw):
        """Start a command of bench-limits, on a CPU if one is given"""
        return subprocess.Popen(
            [self.program, *map(str, args)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, preexec_fn=None if cpu < 0
            else lambda: os.sched_setaffinity(0, [cpu]), **kw)

    def finish(self, process):
        """The numbers that it prints"""
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as e:
            raise LimitError(f"{process.args}: no result in {TIMEOUT_S} s") \
                from e
        finally:
            process.kill()
        reason = err.strip().removeprefix("bench-limits: ")
        if process.returncode == UNAVAILABLE:
            raise Unavailable(reason)
        if process.returncode:
            raise LimitError(f"{' '.join(process.args)}: {reason}")
        return [float(word) for word in out.split()]

    def run(self, *args):
        """Run a command to its end"""
        return self.finish(self.start(*args))

    def run_pair(self, tcp, server, client, server_cpu=-1, client_cpu=-1):
        """Run two commands that a socket connects; the client's numbers"""
        if tcp:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                ends = (socket.create_connection(listener.getsockname()),
                        listener.accept()[0])
            for end in ends:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            ends = socket.socketpair()
        fds = [end.fileno() for end in ends]
        a = self.start(server[0], fds[0], *server[1:], cpu=server_cpu,
                       pass_fds=fds[:1])
        b = self.start(client[0], fds[1], *client[1:], cpu=client_cpu,
                       pass_fds=fds[1:])
        for end in ends:
            end.close()
        try:
            numbers = self.finish(b)
            self.finish(a)
        finally:
            a.kill()
        return numbers

    def add(self, path, names, measure):
        """Add numbers below a path, or the reason why there are none"""
        try:
            self.figures.update(((*path, *([name] if name else [])), number)
                                for name, number in zip(names, measure()))
        except Unavailable as reason:
            self.figures[path] = str(reason)

    def streams(self):
        """How fast bytes arrive by TCP, and can be placed while they arrive"""
        for what, path in STREAMS.items():
            total = MIB * ((256 if self.quick else 2048) if what == "discard"
                           else (128 if self.quick else 256))
            for name, cpus in STREAM_PLACEMENTS.items():
                self.add((*path, name), [None], lambda: self.run_pair(
                    True, ("send", total), ("receive", total, what),
                    *map(self.cpu, cpus)))

    def chain(self, tcp, toucher, cpus):
        """Percentiles, maximum, number of the single demand faults, us"""
        pages = 1000 if self.quick else 4096
        *own, server = map(self.cpu, cpus)
        us = sorted(self.run_pair(tcp, ("serve", pages), (
            "touch", pages, toucher, *own), server))
        return [*(us[pages * p // 100] for p in (50, 90, 99)), us[-1], pages]

    def chains(self):
        """All kinds of toucher, socket and placement"""
        for toucher, keys in TOUCHERS.items():
            for kind, (name, cpus) in itertools.product(
                    ("tcp", "unix"), PLACEMENTS.items()):
                self.add(("chain_us", *keys, kind, name), CHAIN,
                         lambda: self.chain(kind == "tcp", toucher, cpus))

    def pages(self):
        """What one page costs"""
        size = (16 if self.quick else 64) * MIB
        scan = (256 if self.quick else 1024) * MIB
        for name in PLACINGS:
            self.add(("ioctl_ns", name), ("alone", "batch_512"),
                     lambda: self.run("place", *name.split("_"), size))
        self.add(("memory_ns",), MEMORY, lambda: self.run("memory", size))
        self.figures[("pagemap_scan_us", "bytes")] = scan
        self.add(("pagemap_scan_us",), ("populated", "unpopulated"),
                 lambda: self.run("scan", scan))


def measure(program, quick):
    """One round of all measurements. Return: path -> number or reason"""
    limits = Limits(program, quick)
    limits.streams()
    limits.chains()
    limits.pages()
    return limits.figures


def summary(values):
    """Median and range; None if one of the runs has no number"""
    if not all(v is not None and math.isfinite(v) for v in values):
        return {"median": None, "min": None, "max": None}
    return {"median": statistics.median(values), "min": min(values),
            "max": max(values)}


def summarize_runs(runs):
    """Each figure that all runs have: median, range, and the runs"""
    return {key: {**summary(values), "runs": [
        None if v is None or math.isnan(v) else v for v in values]} for key, values in (
        (key, [run[key] for run in runs]) for key in runs[0]
        if all(key in run for run in runs))}


def summarize(rounds):
    """All rounds as nested objects"""
    result = {}
    for path, first in rounds[0].items():
        at = result
        for key in path[:-1]:
            at = at.setdefault(key, {})
        key = path[-1]
        values = [r[path] for r in rounds if path in r]
        if isinstance(first, str):
            at.setdefault(key, {})["unavailable"] = first
        elif path[0] in ("machine", "chain_us") or \
                key in ("bytes", "stolen_cpus", "seconds"):
            at[key] = (max if key == "max" else statistics.median)(values)
            if key == "p50":
                at.update(p50_min=min(values), p50_max=max(values))
        else:
            at[key] = summary(values)
    return result
