# SPDX-License-Identifier: MIT
"""Pages that are poisoned before the migration arrive as poison.

The guest fills its memory and waits (hold=1), so that it accesses no poisoned
page on the source; on the destination "go" starts its workload.
"""

from ferry import AREA, MIB, PAGE, check, equal, page, soon
from poisoned import all_seen, scattered, touched

DATA = 32 * MIB // PAGE         # pages of the data area in most tests

PLACES = {
    "first": [0],
    "middle": [DATA // 2],
    "last": [DATA - 1],
    "slices": [DATA // 4 - 1, DATA // 4, DATA // 2 - 1, DATA // 2],
    "adjacent": list(range(1000, 1016)),
    "many": [*scattered(64, 64, 117), *range(500, 516)],
}


def carried(world, pages, *args, append="work=verify mib=32", cpus=4, **kw):
    """Migrate a waiting guest that has poisoned pages, then start its workload.
    Return: both machines."""
    a = world.run(append + " hold=1", *args, cpus=cpus, **kw).ready()
    a.poison_pages(pages)
    equal(a.poisoned(), set(pages), "poisoned pages here")
    soon(lambda: len(a.qmp.seen("MEMORY_FAILURE", action="ignore",
                                recipient="hypervisor", side="none")),
         len(pages), "events of poison that was not accessed")
    b = world.receive()
    a.migrate(b)
    equal(b.poisoned(), set(pages), "poisoned pages there")
    equal(b.injected(), [], "machine checks for pages that were not accessed")
    b.expect(pages)
    b.send("go")
    return a, b


def test_poison(world, where, ram, vendor):
    """Poisoned pages, and only those, cause the vendor's machine check."""
    pages = [page(i) for i in PLACES[where]]
    a, b = carried(world, pages, "--ram", ram, "--cpu-vendor", vendor)
    b.full_pass()
    all_seen(b, pages, vendor)
    equal(len(b.lines("retired", regenerated=1)), len(pages), "retired pages")
    equal(a.injected(), [], "machine checks on the source")
    equal(b.migration()["ferry"]["pages"]["poison"], len(pages), "figure")


test_poison.cases = {"where": PLACES, "ram": ["anon", "memfd"],
                     "vendor": ["amd", "intel"]}


def test_host_vendor(world):
    """The default vendor is the host's."""
    pages = [page(i) for i in PLACES["many"]]
    a, b = carried(world, pages)
    b.full_pass()
    all_seen(b, pages, a.wait_line("boot")["vendor"])


def test_never_touched(world, ram):
    """Poison that the guest does not access migrates twice, without effect."""
    lost = {page(3 * DATA // 4 + i) for i in range(20)} | {0}
    a = world.run("work=idle period_us=3600000000 mib=16", "--ram", ram,
                  cpus=2).ready()
    a.poison_pages(lost)
    b, c = world.receive(), world.receive(name="c")
    a.migrate(b)
    b.migrate(c)
    c.expect(lost)
    equal(c.poisoned(), lost, "poisoned pages at the end")
    equal(b.injected() + c.injected(), [], "machine checks")
    equal(c.poisoned(delivered=True), set(), "delivered")
    c.verdict(expected=len(lost), seen=0, mce=0)


test_never_touched.cases = {"ram": ["anon", "memfd"]}


def test_ends_of_ram(world, ram):
    """The last page of RAM, which is data, and the first, which is unused."""
    last = 64 * MIB - PAGE
    _, b = carried(world, [0, last], "--ram", ram, append="work=verify",
                   cpus=2)
    b.full_pass()
    touched(b, [last])
    equal(b.poisoned(), {0, last}, "poisoned pages")
    b.verdict(expected=2, seen=1, unexpected=0)


test_ends_of_ram.cases = {"ram": ["anon", "memfd"]}


def test_above_4g(world):
    """Pages beside the hole below 4 GiB, and at the end of RAM."""
    low_last, high_first = (3 << 30) - PAGE, 4 << 30
    last = (4 << 30) + 128 * MIB - PAGE
    lost = {low_last, high_first, last}
    a = world.run("work=idle period_us=3600000000 mib=16",
                  memory="3200M").ready()
    a.poison_pages(lost)
    a.refused("is not RAM", "ferry-poison", address=3 << 30)
    a.refused("is not RAM", "ferry-poison", address=last + PAGE)
    b = world.receive()
    a.migrate(b)
    equal(b.poisoned(), lost, "poisoned pages there")
    b.verdict(mce=0)


def test_workloads(world, work, ram):
    """With each workload the guest survives the loss and continues."""
    append = {"dirty": "work=dirty mib=32", "walk": "work=walk mib=32",
              "random": "work=walk order=random mib=32",
              "idle": "work=idle period_us=200 mib=8"}[work]
    pages = [page(i) for i in scattered(5, 30, 53)]
    _, b = carried(world, pages, "--ram", ram, append=append)
    b.full_pass()
    all_seen(b, pages)


test_workloads.cases = {"work": ["dirty", "walk", "random", "idle"],
                        "ram": ["anon", "memfd"]}


def test_two_vcpus_on_one_page(world, vendor):
    """Several vCPUs walk all pages: each may access a lost page, none reads
    it."""
    pages = [page(i) for i in scattered(10, 40, 97)]
    _, b = carried(world, pages, "--cpu-vendor", vendor,
                   append="work=walk share=1 mib=32")
    b.full_pass()
    b.sweep()
    met = {x["addr"] & ~(PAGE - 1) for x in b.lines("mce", kind="ar")}
    equal(met, set(pages), "addresses in the guest's machine checks")
    soon(lambda: {e["address"] for e in b.injected()}, set(pages), "events")
    soon(lambda: len(b.injected()), len(b.lines("mce", kind="ar")),
         "events against machine checks")
    equal(b.poisoned(), set(pages), "poisoned pages")
    b.verdict(expected=len(pages), seen=len(pages), readable=0, unexpected=0)


test_two_vcpus_on_one_page.sanitizers = {"thread"}
test_two_vcpus_on_one_page.cases = {"vendor": ["amd", "intel"]}


def test_token(world):
    """A page that vCPUs pass to each other is lost: the next vCPU notices."""
    pages = [page(i) for i in scattered(3, 20, 11)]
    _, b = carried(world, pages, append="work=token mib=1")
    b.full_pass()
    equal(b.poisoned(), set(pages), "poisoned pages")
    b.verdict(expected=len(pages), seen=len(pages), readable=0, unexpected=0)


def test_broadcast(world):
    """Intel without LMCE: the other vCPUs get a broadcast; on AMD they do
    not."""
    for vendor, others in ("intel", 3), ("amd", 0):
        with world.another() as w:
            _, b = carried(w, [page(10)], "--cpu-vendor", vendor)
            b.full_pass()
            all_seen(b, [page(10)], vendor)
            equal(len(b.lines("mce", kind="broadcast")), others,
                  f"broadcasts to {vendor} vCPUs")


def test_consumed_before(world, ram):
    """Poison that the guest has consumed on the source stays poison, and
    causes no second machine check."""
    a = world.run("work=verify mib=32", "--ram", ram, cpus=2).ready()
    pages = [page(i) for i in scattered(7, 12, 300)]
    a.poison_pages(pages)
    a.expect(pages)
    all_seen(a, pages)
    b = world.receive()
    a.migrate(b)
    b.full_pass()
    touched(b, [])
    equal(b.poisoned(), set(pages), "poisoned pages there")
    equal(b.poisoned(delivered=True), set(pages), "delivered")
    b.verdict(expected=len(pages), seen=len(pages), readable=0, unexpected=0)


test_consumed_before.cases = {"ram": ["anon", "memfd"]}


def test_paused_guest(world):
    """Pages are poisoned while the guest is stopped; it arrives stopped."""
    a = world.run("work=verify mib=32 hold=1", cpus=2).ready()
    a.qmp.execute("stop")
    first = [page(i) for i in (1, 2, 3, 4000)]
    a.poison_pages(first)
    b = world.receive()
    a.migrate(b)
    equal(b.state(), "paused", "state there")
    second = [page(i) for i in (5, 77, 4001)]
    b.poison_pages(second)
    b.qmp.execute("cont")
    b.expect(first + second)
    b.send("go")
    b.full_pass()
    all_seen(b, first + second)


def test_chain(world, ram):
    """A to B to C; pages are poisoned on each before the guest accesses
    any."""
    a = world.run("work=verify mib=32 hold=1", "--ram", ram, cpus=2).ready()
    hops = [a, world.receive(name="b"), world.receive(name="c")]
    lost = []
    for i, vmm in enumerate(hops):
        if i:
            hops[i - 1].migrate(vmm)
            equal(vmm.poisoned(), set(lost), f"poisoned on {vmm.name}")
        more = [page(j) for j in scattered(20 + 5 * i, 20, 101)]
        vmm.poison_pages(more)
        lost += more
    hops[-1].expect(lost)
    hops[-1].send("go")
    hops[-1].full_pass()
    all_seen(hops[-1], lost)
    for vmm in hops[:-1]:
        equal(vmm.injected(), [], f"machine checks on {vmm.name}")


test_chain.sanitizers = {"address", "thread"}
test_chain.cases = {"ram": ["anon", "memfd"]}


def test_consumed_between(world):
    """Poison is consumed on B, more is made on B, all of it arrives on C."""
    first = [page(i) for i in scattered(4, 10, 200)]
    _, b = carried(world, first, cpus=2)
    b.full_pass()
    all_seen(b, first)
    second = [page(i) for i in scattered(5, 10, 200)]
    b.qmp.execute("stop")
    b.poison_pages(second)
    c = world.receive(name="c")
    b.migrate(c)
    equal(c.poisoned(), set(first + second), "poisoned pages on c")
    c.qmp.execute("cont")
    c.expect(second)
    c.full_pass()
    touched(c, second)
    c.verdict(expected=20, seen=20, readable=0, unexpected=0)


def test_on_arrived(world, ram):
    """After a migration, pages of the guest can be poisoned as before."""
    a = world.run("work=verify mib=32", "--ram", ram, cpus=2).ready()
    b = world.receive()
    a.migrate(b)
    pages = [page(i) for i in scattered(9, 16, 250)]
    b.poison_pages(pages)
    b.expect(pages)
    b.full_pass()
    all_seen(b, pages)


test_on_arrived.cases = {"ram": ["anon", "memfd"]}


def test_area_start(world):
    """`ferry poison` accepts any address in a page, and poisons the page."""
    a = world.run("work=idle period_us=3600000000 mib=16").ready()
    how = ("--method", "simulate")
    out, _ = world.ferry("poison", "a", *how, "--address", hex(AREA + 0x5123))
    check("1 page" in out, out)
    equal(a.poisoned(), {AREA + 0x5000}, "poisoned page")
    world.ferry("poison", "a", *how, "--address", hex(AREA), "--count", "3",
                "--json")
    equal(a.poisoned(), {AREA + 0x5000, AREA, AREA + 0x1000, AREA + 0x2000},
          "poisoned pages")
