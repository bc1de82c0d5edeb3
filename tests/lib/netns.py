# SPDX-License-Identifier: MIT
"""Two network namespaces, with a link between them that a test may spoil.

The namespaces are those of two processes; they and the link vanish with them,
however the test ends.
"""

import os
import subprocess
import time

from errors import WAIT, Skip, check

ADDRESS = {"a": "10.97.0.1", "b": "10.97.0.2"}
DEVICE = "veth0"


class Network:
    """Namespaces "a" and "b"; each has DEVICE, with ADDRESS."""

    def __init__(self, world):
        self.holders = {}
        world.closers.append(self.close)
        for name in ADDRESS:
            self.holders[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep",
                 "infinity"], stderr=subprocess.DEVNULL)
        for holder in self.holders.values():
            self._wait(holder)
        self._need("ip", "link", "add", DEVICE, "type", "veth", "peer",
                   "name", DEVICE, "netns", str(self.holders["b"].pid))
        for name in ADDRESS:
            self.command(name, "ip", "link", "set", "lo", "up")
            self.address(name, "add", ADDRESS[name])
            self.link(name, "up")

    @staticmethod
    def _wait(holder):
        """Wait until the process has a network namespace of its own."""
        end = time.monotonic() + WAIT
        here = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == here:
            if holder.poll() is not None:
                raise Skip("no network namespace: needs root")
            check(time.monotonic() < end, "unshare does not start")
            time.sleep(0.01)

    def prefix(self, name):
        """What starts a program in a namespace."""
        return ["nsenter", "-t", str(self.holders[name].pid), "-n"]

    def _run(self, name, *command):
        return subprocess.run([*self.prefix(name), *command],
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)

    def command(self, name, *command):
        p = self._run(name, *command)
        check(p.returncode == 0, f"{' '.join(command)}: {p.stdout.decode()}")

    def _need(self, *command):
        """Run a command in a; skip the test if the kernel can't do it."""
        p = self._run("a", *command)
        if p.returncode:
            raise Skip(f"{' '.join(command)}: {p.stdout.decode().strip()}")

    def shape(self, *qdisc):
        """Queueing discipline of both ends; skips if the kernel lacks it."""
        self._need("tc", "qdisc", "replace", "dev", DEVICE, "root", *qdisc)
        self.command("b", "tc", "qdisc", "replace", "dev", DEVICE, "root",
                     *qdisc)

    def link(self, name, state):
        self.command(name, "ip", "link", "set", DEVICE, state)

    def address(self, name, verb, address):
        self.command(name, "ip", "address", verb, address + "/24", "dev",
                     DEVICE)

    def close(self):
        for holder in self.holders.values():
            holder.kill()
            holder.wait()
