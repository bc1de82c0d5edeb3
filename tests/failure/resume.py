# SPDX-License-Identifier: MIT
"""The commands that continue a migration after a lost connection, as a user
types them: ferry migrate --resume, ferry recover, ferry resolve."""

from concurrent.futures import ThreadPoolExecutor

import wire
from crossing import begin, in_postcopy
from ferry import check, equal, page
from loss import lost_source, paused, silent
from qmp import FakeMachine
from relay import SOURCE

SANITIZERS = {"address"}

BUSY = "work=verify mib=8 seed=6"


def manual(*machines):
    """No machine opens a new link without an operator."""
    for vmm in machines:
        vmm.qmp.execute("migrate-set-capabilities", capabilities=[
            {"capability": "ferry-recover-automatically", "state": False}])


def lost(world):
    """A guest in postcopy whose connection is lost, and no retry."""
    a, b, relay = in_postcopy(world, BUSY, before=manual, cpus=1)
    relay.cut()
    paused(a, "source")
    paused(b, "destination")
    return a, b


def in_doubt(world):
    """A guest whose COMMIT was lost, and no retry."""
    a, b, relay = begin(world, BUSY, cpus=1)
    manual(a, b)
    relay.cut_at = (SOURCE, wire.COMMIT)
    a.start_migration(relay.uri)
    for vmm, side in (a, "source"), (b, "destination"):
        check("in doubt" in paused(vmm, side)["error-desc"], "no doubt")
    return a, b


def whole(vmm):
    vmm.full_pass()
    vmm.sweep()
    vmm.verdict()


def refused(world, word, *args):
    """The command fails, with an error that has this word."""
    _, err = world.ferry(*args, status=1)
    check(word in err, f"'{word}' is not in: {err}")


def test_nothing_is_paused(world):
    """Where no migration is paused each command is refused, with the reason,
    and the guest runs on."""
    a, b = world.run(BUSY).ready(), world.receive()
    refused(world, "no migration arrives", "recover", "a", world.uri())
    refused(world, "postcopy-paused", "recover", "b", world.uri())
    refused(world, "paused", "migrate", "--resume", "a", b.uri)
    for name in "a", "b":
        for decision in "--run-here", "--give-up":
            refused(world, "nothing is to be resolved", "resolve", name,
                    decision)
    a.migrate(b)
    whole(b)


def test_resume(world, where):
    """The migration is continued at the same or at another address, and the
    guest is complete."""
    a, b = lost(world)
    uri = b.uri
    if where == "elsewhere":
        uri = world.uri()
        world.ferry("recover", "b", uri)
    out, _ = world.ferry("migrate", "--resume", "a", uri)
    check(f"a is at {uri} now" in out, out)
    equal(a.wait_migration("completed")["ferry"]["side"], "source", "side")
    b.wait_migration("completed")
    whole(b)


test_resume.cases = {"where": ["there", "elsewhere"]}


def test_resume_fails(world):
    """An address at which nobody listens: exit status 3, paused as before."""
    a, b = lost(world)
    _, err = world.ferry("migrate", "--resume", "a",
                         "unix:" + world.path("nobody"), status=3)
    check("--resume" in err, err)
    paused(a, "source")
    world.ferry("migrate", "--resume", "a", b.uri)
    whole(b)


def test_automatically(world, word):
    """--recover-automatically says whether the source connects again."""
    a, b, relay = begin(world, BUSY, cpus=1)
    relay.hold()
    world.ferry("migrate", "--recover-automatically", word, "--detach", "a",
                relay.uri)
    relay.wait(wire.RUNNING)
    b.report()
    relay.cut()
    if word == "yes":
        a.wait_migration("completed", recovers=True)
        b.wait_migration("completed", recovers=True)
        whole(b)
        return
    lost_source(a)
    out, _ = world.ferry("status", "a")
    check("waits for:" in out and "--resume" in out, out)


test_automatically.cases = {"word": ["yes", "no"]}


def test_command_waits(world):
    """`ferry migrate` waits for a source that connects again by itself, and
    says that the connection was lost."""
    a, _, relay = begin(world, BUSY, cpus=1)
    relay.hold()
    with ThreadPoolExecutor() as pool:
        command = pool.submit(world.ferry, "migrate", "a", relay.uri,
                              "--recover-automatically", "yes")
        relay.wait(wire.RUNNING)
        relay.cut()
        out, err = command.result()
    check(f"a is at {relay.uri} now" in out, out)
    check("it is opened again" in err, err)


def test_command_is_late(world):
    """It says so, too, if the connection was lost and opened again between two
    of its queries."""
    path = world.path("late")
    with FakeMachine(path, {"query-migrate": lambda _: {
            "status": "completed", "ferry": {"recoveries": 1}}}):
        out, err = world.ferry("migrate", "--control", path, "unix:/x")
    check("is at unix:/x now" in out, out)
    equal(err.count("it is opened again"), 1, err)


def test_never_two(world):
    """After RUNNING the destination is known to run the guest: it can't be
    run on the source, but it can be given up there."""
    a, _ = lost(world)
    refused(world, "known to run", "resolve", "a", "--run-here")
    refused(world, "runs here already", "resolve", "b", "--run-here")
    lost_source(a)
    world.ferry("resolve", "a", "--give-up")
    a.wait_migration("failed", recovers=True)
    silent(a)
    refused(world, "", "migrate", "--resume", "a", world.uri())


def test_source_decides(world):
    """In doubt, and the destination is gone: the guest runs on the source."""
    a, b = in_doubt(world)
    silent(a)
    b.kill()
    world.ferry("resolve", "a", "--run-here")
    a.wait_state("running")
    whole(a)


def test_destination_gives_up(world):
    """In doubt, and the destination gives the guest up: it waits for the next
    one, and the guest can run on the source, and come again."""
    a, b = in_doubt(world)
    world.ferry("resolve", "b", "--give-up")
    b.wait_migration("failed", recovers=True)
    world.ferry("resolve", "a", "--run-here")
    a.wait_migration("failed", recovers=True)
    a.wait_state("running")
    a.migrate(b)
    whole(b)


def test_destination_decides(world):
    """In doubt, and the source is gone: the guest runs on the destination with
    the pages that have arrived."""
    a, b = in_doubt(world)
    a.kill()
    world.ferry("resolve", "b", "--run-here")
    b.wait_state("running")
    check(b.migration()["ram"]["remaining"] > 0, "nothing is missing")
    b.poison(page(0))
