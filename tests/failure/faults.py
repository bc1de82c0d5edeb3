# SPDX-License-Identifier: MIT
"""Would the guest notice? Builds that lie about poison, and are caught.

They are made with `make FAULTS=1 BUILD=build/faults`; FERRY_FAULTS_BUILD says
where they are.
"""

import os

from ferry import ROOT, Skip, check, equal, page
from poisoned import all_seen, scattered

BUILD = os.environ.get("FERRY_FAULTS_BUILD",
                       os.path.join(ROOT, "build", "faults"))
LOST = [page(i) for i in scattered(50, 8, 900)]


def lied_to(world, fault, ram):
    """A guest that was told of lost pages, carried over by such a build."""
    if not os.access(os.path.join(BUILD, "ferry"), os.X_OK):
        raise Skip(f"no {BUILD}/ferry (make FAULTS=1 BUILD=build/faults)")
    env = {"FERRY_FAULT": fault}
    a = world.run("work=verify mib=32 hold=1", "--ram", ram, cpus=2,
                  build=BUILD, env=env).ready()
    b = world.receive(build=BUILD, env=env)
    a.poison_pages(LOST)
    a.migrate(b)
    b.expect(LOST)
    b.send("go")
    b.full_pass()
    return b


def caught(b, readable):
    v = b.ask("verdict", "verdict")
    equal((v["clean"], v["readable"]), (0, readable), f"'{v.text}'")
    check(len(b.lines("bad", readable=1)) >= readable, "no 'bad' lines")
    b.send("exit")
    equal(b.wait_end(), 1, "exit status of a guest that was lied to")


def test_caught(world, fault, ram):
    """The poison list dropped or copied over: the guest reads, and says so."""
    caught(lied_to(world, fault, ram), len(LOST))


test_caught.cases = {"fault": ["drop-poison", "late-copy"],
                     "ram": ["anon", "memfd"]}


def test_not_lied_to(world):
    """The same build without a fault is clean: the fault is what was found."""
    b = lied_to(world, "", "anon")
    all_seen(b, LOST)
