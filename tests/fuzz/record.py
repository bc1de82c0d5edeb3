# SPDX-License-Identifier: MIT
"""Inputs for the fuzzers from real runs: record.py FOLDER

Writes FOLDER/TARGET/real-N for each target that real runs can feed. A real
migration passes through a relay that keeps the messages; a real control
session is what a client sends. Needs KVM: scripts/fuzz runs it in the lab
where this machine has none.
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "lib"))

from ferry import World  # noqa: E402
from qmp import QmpError  # noqa: E402
from relay import SOURCE, TARGET, Relay  # noqa: E402
from wire import DESCRIPTION, IMAGE, PAGES, POISON_LIST, STATE  # noqa: E402

INPUT_MAX = 48 << 10        # FUZZ_INPUT_MAX
PAGE = 4096

# What the guests do, and what they have: (arguments, machine, poisoned pages)
RUNS = [("", {"memory": "64M"}, 0),
        ("work=talk period_us=20000 mib=1", {"memory": "64M", "cpus": 2}, 3)]


class Recorder(Relay):
    """Keeps what is sent, in the order in which it passes."""

    def __init__(self, world, target):
        self.messages = []          # (side, role, Message)
        super().__init__(world, target)

    def _note(self, side, role, m):
        with self.changed:
            self.messages.append((side, role, m))
        return super()._note(side, role, m)


class Inputs:
    """The inputs of one target."""

    def __init__(self, folder, target):
        self.folder, self.n = os.path.join(folder, target), 0
        os.makedirs(self.folder, exist_ok=True)

    def add(self, data):
        if len(data) <= INPUT_MAX:
            path = os.path.join(self.folder, f"real-{self.n}")
            with open(path, "wb") as f:
                f.write(data)
            self.n += 1


def migrations():
    """The messages of real migrations, a list for each."""
    for append, machine, poisoned in RUNS:
        with World() as world:
            a = world.run(append, **machine).ready()
            for i in range(poisoned):
                a.poison((4 << 20) + 2 * i * PAGE)
            b = world.receive()
            relay = Recorder(world, b)
            a.start_migration(relay.uri)
            a.wait_migration("completed")
            b.wait_migration("completed")
            yield relay.messages


def record_wire(inputs, messages):
    """Each connection's stream, without what is in pages and images."""
    for side in SOURCE, TARGET:
        for role in 0, 1, 2:
            inputs.add(b"".join(
                m.bytes() for s, r, m in messages if (s, r) == (side, role)
                and m.kind not in (PAGES, IMAGE))[:INPUT_MAX])


def record_description(inputs, messages):
    for _, _, m in messages:
        if m.kind == DESCRIPTION:
            inputs.add(m.body)


def record_state(inputs, messages):
    """fuzz_state.c: the first byte chooses the parser."""
    for _, _, m in messages:
        if m.kind == POISON_LIST:
            inputs.add(b"\1" + m.body)
        elif m.kind == STATE:
            inputs.add(b"\0" + m.body)


class Spy:
    """A socket that keeps what is sent."""

    def __init__(self, sock):
        self.sock, self.sent = sock, b""

    def sendall(self, data):
        self.sent += data
        self.sock.sendall(data)

    def __getattr__(self, name):
        return getattr(self.sock, name)


def commands(path):
    """A client's session: what an operator and libvirt ask for."""
    return [
        ("query-status", {}), ("query-name", {}), ("query-commands", {}),
        ("query-cpus-fast", {}), ("query-chardev", {}), ("query-version", {}),
        ("stop", {}), ("cont", {}), ("system_reset", {}),
        ("ferry-poison", {"address": 0x500000, "count": 2,
                          "method": "simulate"}),
        ("ferry-poison", {"address": -1}),
        ("pmemsave", {"val": 0, "size": PAGE, "filename": path}),
        ("dump-guest-memory", {"paging": False, "detach": True,
                               "protocol": "file:" + path}),
        ("query-dump", {}),
        ("migrate-set-capabilities", {"capabilities": [
            {"capability": "postcopy-ram", "state": True}]}),
        ("query-migrate-capabilities", {}),
        ("migrate-set-parameters", {"downtime-limit": 500,
                                    "max-bandwidth": 1 << 30}),
        ("query-migrate-parameters", {}), ("query-migrate", {}),
        ("migrate", {"uri": "unix:" + path + ".sock", "detach": True}),
        ("migrate_cancel", {}), ("no-such-command", {"x": [1, None, "ä"]}),
        ("quit", {})]


def record_qmp(inputs):
    with World() as world:
        a = world.run().ready()
        spy = a.qmp.socket = Spy(a.qmp.socket)
        for name, arguments in commands(world.path("x")):
            try:
                a.qmp.execute(name, **arguments)
            except QmpError:
                pass            # that, too, is what a client sends
            inputs.add(b'{"execute":"qmp_capabilities"}\n' + spy.sent)
            spy.sent = b""


RECORDERS = {"wire": record_wire, "description": record_description,
             "state": record_state}


def main():
    folder = sys.argv[1]
    record_qmp(Inputs(folder, "qmp"))
    inputs = {t: Inputs(folder, t) for t in RECORDERS}
    for messages in migrations():
        for target, record in RECORDERS.items():
            record(inputs[target], messages)


if __name__ == "__main__":
    main()
