# SPDX-License-Identifier: MIT
"""The guest reports a VMM that loses poison: builds with deliberate faults.

`make FAULTS=1 BUILD=build/faults` makes them; FERRY_FAULTS_BUILD names the
folder.
"""

import os

from ferry import ROOT, Skip, check, equal, page
from poisoned import all_seen, scattered

BUILD = os.environ.get("FERRY_FAULTS_BUILD",
                       os.path.join(ROOT, "build", "faults"))
LOST = [page(i) for i in scattered(50, 8, 900)]


def faulty(world, fault, ram):
    """A guest that expects lost pages, migrated by a build with a fault."""
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
    equal(b.wait_end(), 1, "exit status of the guest")


def test_caught(world, fault, ram):
    """Poison is dropped, or a page is copied over it: the guest reads the page,
    and reports that."""
    caught(faulty(world, fault, ram), len(LOST))


test_caught.cases = {"fault": ["drop-poison", "late-copy"],
                     "ram": ["anon", "memfd"]}


def test_without_fault(world):
    """The same build without a fault is clean."""
    b = faulty(world, "", "anon")
    all_seen(b, LOST)
