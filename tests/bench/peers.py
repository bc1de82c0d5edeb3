# SPDX-License-Identifier: MIT
"""The VMMs that scripts/bench compares: Ferry, another build of it, QEMU

All boot the same guest ELF and are controlled through QMP, so that one harness
drives them; they differ in how a pair of processes is started, how a migration
is started, and in what their statistics say about the origin of pages.
"""

import os
import subprocess

from browser import Web
from ferry import BUILD, ROOT, Vmm

# QEMU's modes: postcopy-preempt, and the number of precopy passes before
# postcopy begins
QEMU_MODES = {"qemu": (True, 0), "qemu-plain": (False, 0),
              "qemu-hybrid": (True, 1)}
NO_LIMIT = 10 ** 11     # bytes per second


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


class Ferry:
    """Ferry: of this build, or of another one"""

    def __init__(self, name, build=BUILD):
        self.name, self.build = name, build
        if not os.access(os.path.join(build, "ferry"), os.X_OK):
            raise PeerError(f"{name}: there is no {build}/ferry")

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
    def origins(source, target):
        """Pages by their origin, and requests"""
        pages = target.migration()["ferry"]["pages"]
        return {"demand": pages["demand"], "push": pages["push"],
                "zero": pages["zero"],
                "requests": source.migration()["ram"]["postcopy-requests"]}


class Watched(Ferry):
    """Ferry while an open page of `ferry web` shows both sides"""

    def pair(self, world, cell, append):
        pair = super().pair(world, cell, append)
        Web(world, build=self.build).watch(world)
        return pair


class Qemu:
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
    def origins(source, _):
        """Pages by their origin, and requests"""
        ram = source.migration()["ram"]
        return {"demand": ram["postcopy-requests"],
                "push": ram["normal"] - ram["postcopy-requests"],
                "zero": ram["duplicate"],
                "requests": ram["postcopy-requests"]}


def make_peers(names):
    """The peers of these names, and the version of QEMU

    Raises PeerError where one cannot be had.
    """
    program, version = find_qemu() if set(names) & set(QEMU_MODES) else \
        (None, None)
    peers = []
    for name in names:
        label, _, build = name.partition("=")
        if name in QEMU_MODES:
            peers.append(Qemu(name, program))
        elif name == "ferry":
            peers.append(Ferry(name))
        elif name == "web":
            peers.append(Watched(name))
        elif build:
            peers.append(Ferry(label, os.path.abspath(build)))
        else:
            raise PeerError(f"'{name}' is no peer: ferry, web, NAME=BUILD-FOLDER, "
                            + ", ".join(QEMU_MODES))
    return peers, version


