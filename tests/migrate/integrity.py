# SPDX-License-Identifier: MIT
"""A guest under load migrates without a wrong byte: each workload, each kind
of RAM, 1 and 4 vCPUs."""

from crossing import exits, whole
from ferry import MIB, check, equal

WORKLOADS = {
    "verify": "work=verify mib=48 seed=1",
    "dirty": "work=dirty mib=48 seed=2",
    "walk-seq": "work=walk order=seq mib=48 seed=3",
    "walk-stride": "work=walk order=stride stride=7 mib=48 seed=4",
    "walk-random": "work=walk order=random mib=48 seed=5",
    "idle": "work=idle period_us=300 mib=4 seed=6",
    "token": "work=token mib=4 seed=7",
}


def cross(world, append, *args, uri="unix", **kw):
    """Run a guest, and migrate it under load. Return: both machines."""
    a = world.run(append, *args, **kw).ready()
    a.working()
    b = world.receive(uri=world.uri(uri))
    a.migrate(b)
    return a, b


def whole_to_the_end(vmm, sweep=True):
    """Every page is used, checked and right; the guest ends with success."""
    whole(vmm, sweep)
    exits(vmm)


def test_integrity(world, work, ram, cpus):
    """No byte is wrong after a migration under load, and after one more
    pass."""
    _, b = cross(world, WORKLOADS[work], "--ram", ram, cpus=cpus)
    whole_to_the_end(b, sweep=work != "token")


test_integrity.cases = {"work": WORKLOADS, "ram": ["anon", "memfd"],
                        "cpus": [1, 4]}


def test_tcp(world, ram):
    """The same over TCP."""
    _, b = cross(world, WORKLOADS["verify"], "--ram", ram, uri="tcp", cpus=2)
    whole_to_the_end(b)


test_tcp.sanitizers = {"address", "thread"}
test_tcp.cases = {"ram": ["anon", "memfd"]}


def test_several_faults_on_one_page(world, ram):
    """vCPUs that walk the same pages at the same time wait for the same
    ones."""
    _, b = cross(world, "work=walk share=1 order=random mib=48", "--ram", ram,
                 cpus=4)
    whole_to_the_end(b)


test_several_faults_on_one_page.sanitizers = {"address", "thread"}
test_several_faults_on_one_page.cases = {"ram": ["anon", "memfd"]}


def test_other_seed_is_found(world):
    """The guest's check finds pages of another guest.

    Two guests that differ only in their seed migrate at the same time: a page
    that went to the wrong one would be reported.
    """
    a = world.run("work=verify mib=8 seed=1", name="a").ready()
    c = world.run("work=verify mib=8 seed=2", name="c").ready()
    b, d = world.receive(name="b"), world.receive(name="d")
    a.start_migration(b.uri)
    c.start_migration(d.uri)
    for vmm in a, b, c, d:
        vmm.wait_migration("completed")
    whole_to_the_end(b)
    whole_to_the_end(d)


def test_hole_below_4g(world, ram):
    """RAM above the hole below 4 GiB keeps its address, size and contents."""
    memory = 3300 * MIB
    a, b = cross(world, "work=idle period_us=1000 mib=16", "--ram", ram,
                 memory="3300M", cpus=2)
    equal(b.status()["memory"], memory, "memory there")
    pages = b.migration()["ferry"]["pages"]
    equal(sum(pages.values()), memory // 4096, "pages that came")
    check(pages["zero"] > memory // 4096 * 9 // 10,
          "RAM that was never written is sent")
    equal(a.migration()["ram"]["remaining"], 0, "bytes that remain")
    whole_to_the_end(b)


test_hole_below_4g.long = True
test_hole_below_4g.cases = {"ram": ["anon", "memfd"]}


def test_data_above_4g(world):
    """A walk over data on both sides of the hole finds no wrong byte."""
    a = world.run("work=walk order=seq", memory="3200M", cpus=2).ready()
    b = world.receive()
    a.migrate(b)
    whole_to_the_end(b)


test_data_above_4g.long = True


def test_smallest(world):
    """16 MiB of RAM, used for data up to its end."""
    _, b = cross(world, "work=verify", memory="16M")
    whole_to_the_end(b)


def test_64_vcpus(world):
    """The largest number of vCPUs, each with its state."""
    _, b = cross(world, "work=walk mib=64", memory="128M", cpus=64)
    equal(b.status()["cpus"], 64, "vCPUs there")
    whole_to_the_end(b)


test_64_vcpus.long = True
