# SPDX-License-Identifier: MIT
"""What scripts/bench compares: Ferry, another build of it, QEMU

The VMMs boot the same guest ELF and are controlled through QMP, so that one
harness (experience.py) drives them; they differ in how a pair of processes is
started, how a migration is started, and in what their statistics say.
"""

import json
import os
import subprocess

import experience
from browser import Web
from errors import Failed
from ferry import BUILD, ROOT, Vmm
from matrix import mib_of

# QEMU's modes: postcopy-preempt, and the number of precopy passes before
# postcopy begins
QEMU_MODES = {"qemu": (True, 0), "qemu-plain": (False, 0),
              "qemu-hybrid": (True, 1)}
NO_LIMIT = 10 ** 11     # bytes per second
NATIVE_S = 120          # for one run of bench-native


class PeerError(Exception):
    """A peer cannot be had on this machine; the text says why"""


def find_qemu():
    """A QEMU of version 10 or newer. Return: (program, version)"""
    found = subprocess.run(
        [os.path.join(ROOT, "scripts", "lab"), "--qemu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        raise PeerError(found.stderr.strip() or "no QEMU")
    program = found.stdout.strip()
    version = subprocess.run([program, "--version"], stdout=subprocess.PIPE,
                             text=True, check=False).stdout.split()[3:4]
    if not version or int(version[0].split(".")[0]) < 10:
        raise PeerError(f"{program} is QEMU {version}: 10 or newer is needed")
    return program, version[0]


def program_of(name, build, program):
    """A program of a build"""
    path = os.path.join(build, program)
    if not os.access(path, os.X_OK):
        raise PeerError(f"{name}: there is no {path} (make build/{program})")
    return path


class Native:
    """Ferry's sessions between two processes, without KVM: a bench-native"""

    def __init__(self, name, build=BUILD):
        self.name = name
        self.program = program_of(name, build, "bench-native")

    def run_once(self, cell):
        """One migration. Return: figures, stalls

        The program records what experience.py reads from a guest, and more.
        """
        command = [self.program, "--memory", str(mib_of(cell["memory"])),
                   "--cpus", str(cell["cpus"])]
        if cell["rate"]:
            command += ["--rate", str(cell["rate"])]
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  check=False, timeout=NATIVE_S)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{self.name}: {' '.join(command)}: no end") from error
        if done.returncode:
            raise Failed(f"{self.name}: {' '.join(command)}: {done.stderr}")
        found = {**json.loads(done.stdout), "curve": None}
        if "visits" in found:   # older builds have computed it themselves
            found["figures"].update(experience.course(
                found["visits"], 0, found["begin"], found["end"],
                found["stalls"], cell, found["figures"]["blackout_ms"]))
        return found


class Pair:
    """Two VMMs with a guest: subclasses start them, and its migration"""

    def run_once(self, cell):
        """One migration. Return: figures, curve, stalls"""
        return experience.run_once(self, cell)


class Ferry(Pair):
    """Ferry: of this build, or of another one"""

    def __init__(self, name, build=BUILD):
        self.name, self.build = name, build
        program_of(name, build, "ferry")

    def pair(self, world, cell, append):
        """A guest's machine, and one that waits for it"""
        source = world.run(append, "--ram", cell["ram"], name="source",
                           memory=cell["memory"], cpus=cell["cpus"],
                           build=self.build)
        return source, world.receive(name="target", uri=world.uri("tcp"),
                                     build=self.build)

    @staticmethod
    def migrate(source, target):
        """Start a migration"""
        source.start_migration(target.uri)

    @staticmethod
    def figures(source, target):
        """What both sides' statistics say; pages by their origin"""
        out, placed = source.migration(), target.migration()
        took, latency = out["ferry"], placed["ferry"]["demand-latency-us"]
        push_ms = took["total-ms"] - took["setup-ms"] - took["downtime-ms"]
        pages = placed["ferry"]["pages"]
        return {
            "pages_demand": pages["demand"], "pages_push": pages["push"],
            "pages_zero": pages["zero"],
            "pages_requests": out["ram"]["postcopy-requests"],
            "downtime_ms": took["downtime-ms"], "faults": latency["count"],
            "placed_p50_us": latency["p50"], "placed_p99_us": latency["p99"],
            "push_gb_s": out["ram"]["normal-bytes"] / push_ms / 1e6,
            **{f"stage_ms.{side}.{name}": ms
               for side, said in (("source", out), ("destination", placed))
               for name, ms in said["ferry"].get("stage-ms", {}).items()}}


class Watched(Ferry):
    """Ferry while an open page of `ferry web` shows both sides"""

    def pair(self, world, cell, append):
        pair = super().pair(world, cell, append)
        Web(world, build=self.build).watch(world)
        return pair


class Qemu(Pair):
    """QEMU in one of its modes"""

    def __init__(self, name, program):
        self.name, self.program = name, program
        self.preempt, self.passes = QEMU_MODES[name]

    def start(self, world, name, cell, append, *args):
        """One process. qboot starts the guest without a BIOS's menus"""
        kind = {"anon": "ram", "memfd": "memfd"}[cell["ram"]]
        control = world.path(name + ".qmp")
        vmm = Vmm(world, name, [
            "-no-user-config", "-nodefaults", "-display", "none",
            "-no-reboot", "-accel", "kvm", "-cpu", "qemu64",
            "-machine", "q35,memory-backend=ram", "-bios", "qboot.rom",
            "-m", cell["memory"], "-smp", str(cell["cpus"]), "-object",
            f"memory-backend-{kind},id=ram,size={cell['memory']}",
            "-serial", "stdio", "-qmp", f"unix:{control},server=on,wait=off",
            "-kernel", os.path.join(BUILD, "guest.elf"),
            "-append", f"{append} cpus={cell['cpus']}", *args],
            control=control, program=self.program)
        vmm.qmp.execute("migrate-set-capabilities", capabilities=[
            {"capability": c, "state": on} for c, on in (
                ("events", True), ("postcopy-ram", True),
                ("postcopy-preempt", self.preempt))])
        vmm.qmp.execute("migrate-set-parameters", **{
            "max-bandwidth": NO_LIMIT, "max-postcopy-bandwidth": 0})
        return vmm

    def pair(self, world, cell, append):
        """A guest's machine, and one that waits for it"""
        source = self.start(world, "source", cell, append)
        target = self.start(world, "target", cell, append, "-incoming",
                            "defer")
        target.uri = world.uri("tcp")
        target.qmp.execute("migrate-incoming", uri=target.uri)
        return source, target

    def migrate(self, source, target):
        """Start a migration; postcopy begins at once, or after the passes"""
        if not self.passes:
            source.qmp.execute_all(("migrate", {"uri": target.uri}),
                                   ("migrate-start-postcopy", {}))
            return
        source.qmp.execute("migrate", uri=target.uri)
        source.qmp.wait_event("MIGRATION_PASS", **{"pass": self.passes + 1})
        source.qmp.execute("migrate-start-postcopy")

    @staticmethod
    def figures(source, _):
        """What the source's statistics say: pages by their origin"""
        ram = source.migration()["ram"]
        return {"pages_demand": ram["postcopy-requests"],
                "pages_push": ram["normal"] - ram["postcopy-requests"],
                "pages_zero": ram["duplicate"],
                "pages_requests": ram["postcopy-requests"]}


def make_peers(names, native=False):
    """The peers of these names, and the version of QEMU

    Raises PeerError where one cannot be had.
    """
    program, version, kinds = None, None, {"ferry": Native}
    if not native:
        kinds = {"ferry": Ferry, "web": Watched}
        if set(names) & set(QEMU_MODES):
            program, version = find_qemu()
    peers = []
    for name in names:
        label, _, build = name.partition("=")
        if name in QEMU_MODES and not native:
            peers.append(Qemu(name, program))
        elif name in kinds:
            peers.append(kinds[name](name))
        elif build:
            peers.append(kinds["ferry"](label, os.path.abspath(build)))
        else:
            raise PeerError(f"'{name}' is no peer: " + ", ".join(
                [*kinds, "NAME=BUILD-FOLDER", *(() if native else QEMU_MODES)]))
    return peers, version
