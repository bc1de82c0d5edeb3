# SPDX-License-Identifier: MIT
"""RAM of huge pages on the source, on the destination, or on both."""

from ferry import MIB, PAGE, Skip, check, equal, page, soon
from poisoned import all_seen, scattered, touched
from relay import Relay

SANITIZERS = {"address", "thread"}

HUGE = 2 * MIB
PER = HUGE // PAGE
KINDS = ["anon", "memfd", "hugetlb"]
PAIRS = {f"{a}-{b}": (a, b) for a in KINDS for b in KINDS
         if "hugetlb" in (a, b)}


def pair(world, kinds, append="work=verify mib=48", cpus=2, memory=64):
    """A guest on the one kind, and a machine that has the other."""
    world.huge_pages(kinds.count("hugetlb") * memory * MIB // HUGE)
    a = world.run(append, "--ram", kinds[0], cpus=cpus,
                  memory=f"{memory}M").ready()
    return a, world.receive("--ram", kinds[1])


def test_moves(world, pair_of, work):
    """Every byte arrives, whatever the guest does meanwhile."""
    a, b = pair(world, PAIRS[pair_of], {
        "verify": "work=verify mib=48", "dirty": "work=dirty mib=48",
        "random": "work=walk order=random mib=48"}[work])
    here, there = a.migrate(b)
    b.full_pass()
    b.sweep()
    b.verdict(mce=0)
    pages = there["ferry"]["pages"]
    equal(sum(pages.values()), 64 * MIB // PAGE, f"pages: {pages}")
    equal(there["ram"]["remaining"], 0, "remaining")
    check(here["ferry"]["pages"]["zero"] >= 2000, f"zero pages: {here}")


test_moves.cases = {"pair_of": PAIRS, "work": ["verify", "dirty", "random"]}


def saved(vmm, path):
    """All of a guest's RAM."""
    vmm.qmp.execute("pmemsave", val=0, size=64 * MIB, filename=path)
    with open(path, "rb") as f:
        return f.read()


def test_all_of_ram(world, pair_of):
    """All is the same, what the guest never looks at included: zeroes in a huge
    page that has something else in it, too."""
    a, b = pair(world, PAIRS[pair_of], "work=verify mib=33")
    a.qmp.execute("stop")
    here = saved(a, world.path("here"))
    a.migrate(b)
    there = saved(b, world.path("there"))
    different = [i for i in range(0, 64 * MIB, PAGE)
                 if here[i:i + PAGE] != there[i:i + PAGE]]
    # KVM writes the clocks of the vCPUs when their state is loaded
    check(len(different) <= 1, len(different), different[:8])
    for i in different:
        bytes_ = sum(here[i + k] != there[i + k] for k in range(PAGE))
        check(bytes_ <= 2 * 32, "more than two clocks", hex(i), bytes_)


test_all_of_ram.cases = {"pair_of": PAIRS}


def test_poison(world, pair_of):
    """A lost page is lost alone, and the huge page around it is not."""
    lost = [page(i) for i in (0, 1, PER - 1, PER, 3 * PER + 7, 3 * PER + 9,
                              *scattered(6 * PER, 9, 83), 48 * MIB // PAGE - 1)]
    a, b = pair(world, PAIRS[pair_of], "work=verify mib=48 hold=1")
    a.poison_pages(lost)
    equal(a.poisoned(), set(lost), "poisoned here")
    a.migrate(b)
    equal(b.poisoned(), set(lost), "poisoned there")
    equal(b.injected(), [], "machine checks")
    b.expect(lost)
    b.send("go")
    b.full_pass()
    all_seen(b, lost)
    equal(b.migration()["ferry"]["pages"]["poison"], len(lost), "figure")


test_poison.cases = {"pair_of": PAIRS}


def test_met_at_home(world):
    """Poisoned under the guest's hands; then twice on, over both kinds."""
    world.huge_pages(2 * 32)
    a = world.run("work=verify mib=48", "--ram", "hugetlb", cpus=4).ready()
    lost = [page(i) for i in scattered(7, 12, 900)]
    a.poison_pages(lost)
    a.expect(lost)
    all_seen(a, lost)
    b, c = world.receive("--ram", "anon"), world.receive("--ram", "hugetlb",
                                                         name="c")
    a.migrate(b)
    b.full_pass()
    a.qmp.execute("quit")
    b.migrate(c)
    c.full_pass()
    touched(c, [])
    equal(c.poisoned(), set(lost), "poisoned at the end")
    c.verdict(expected=12, seen=12, readable=0, unexpected=0)
    more = [page(i) for i in (8, 3000, 12000)]
    c.poison_pages(more)
    c.expect(more)
    c.full_pass()
    touched(c, more)


def test_poison_among_zeroes(world, pair_of):
    """Lost where nothing was ever written: nobody sends the rest of it."""
    a, b = pair(world, PAIRS[pair_of], "work=idle mib=8")
    lost = [page(i) for i in scattered(48 * MIB // PAGE, 3, 700)]
    a.poison_pages(lost)
    a.migrate(b)
    equal(b.poisoned(), set(lost), "poisoned pages there")
    b.verdict(mce=0)


test_poison_among_zeroes.cases = {"pair_of": PAIRS}


def test_demand(world):
    """No push: what a vCPU waits for comes whole, and is asked for."""
    a, b = pair(world, ("anon", "hugetlb"), "work=walk order=random mib=48")
    relay = Relay(world, b)
    relay.hold()
    lost = page(5 * PER + 100)
    a.poison(lost)
    a.expect([lost])
    a.start_migration(relay.uri)
    b.wait_migration("postcopy-active")
    b.full_pass()
    m = b.migration()["ferry"]
    check(m["demand-latency-us"]["count"] >= 10, f"demand: {m}")
    check(m["pages"]["demand"] > 40 * MIB // PAGE, f"pages: {m['pages']}")
    relay.release()
    b.wait_migration("completed")
    b.sweep()
    b.verdict(seen=1, readable=0, unexpected=0)


def test_poison_meanwhile(world):
    """Pages poisoned on either side while the guest's pages arrive."""
    a, b = pair(world, ("hugetlb", "hugetlb"), "work=idle period_us=3600000000 "
                "mib=48")
    a.qmp.execute("migrate-set-parameters",
                  **{"max-postcopy-bandwidth": 2 * MIB})
    a.start_migration(b.uri)
    b.wait_migration("postcopy-active")
    lost = [page(i) for i in (9000, 9001, 11000)]
    b.poison_pages(lost[:2])
    try:
        a.poison(lost[2])
    except Exception as e:      # pylint: disable=broad-except
        check("already handed over" in str(e), str(e))
        lost.pop()
    a.qmp.execute("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
    b.wait_migration("completed")
    equal(b.poisoned(), set(lost), "poisoned pages")
    b.expect(lost)
    b.sweep()
    touched(b, lost)
    b.verdict(seen=len(lost), readable=0, unexpected=0)


def test_as_the_source(world):
    """Nothing said: the kind of RAM is that of the source."""
    world.huge_pages(2 * 32)
    a = world.run("work=verify mib=16", "--ram", "hugetlb").ready()
    b = world.receive()
    free = _free()
    a.migrate(b)
    check(free - _free() == 32, "the destination took no huge pages")
    b.sweep()
    b.verdict()


def _free():
    values = []
    for name in ("free_hugepages", "resv_hugepages"):
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/" + name,
                  encoding="ascii") as f:
            values.append(int(f.read()))
    return values[0] - values[1]


def test_reset(world):
    """After a reset all pages are huge again, and none is poison."""
    world.huge_pages(32)
    a = world.run("work=verify mib=48", "--ram", "hugetlb", cpus=2).ready()
    free = _free()
    lost = [page(i) for i in (3, 1000, 12000)]
    a.poison_pages(lost)
    a.expect(lost)
    all_seen(a, lost)
    a.qmp.execute("system_reset")
    a.out.wait(lambda lines: len([x for x in lines if x.kind == "ready"])
               >= 2, "the second boot")
    equal(a.poisoned(), set(), "poisoned pages")
    a.full_pass()
    a.sweep()
    a.verdict(mce=0, seen=0)
    equal(_free(), free, "free huge pages")
    a.poison_pages(lost)    # so each is in a huge page once more
    a.expect(lost)
    a.sweep()
    soon(lambda: {e["address"] for e in a.injected()[len(lost):]}, set(lost),
         "machine checks of the second life")


def test_too_few(world):
    """A pool that is too small: said with the number that is needed."""
    world.huge_pages(32)
    _, err = world.ferry("run", "--name", "x", "--memory", "8G", "--ram",
                         "hugetlb", "--kernel", "/dev/null", status=1)
    for word in ("4096 of 2 MiB", "vm.nr_hugepages=", "another --ram"):
        check(word in err, f"'{word}' is not in: {err}")
    _, err = world.ferry("run", "--name", "x", "--memory", "17M", "--ram",
                         "hugetlb", "--kernel", "/dev/null", status=1)
    check("17 MiB is no whole number" in err, err)
    a = world.run("work=verify mib=16", "--ram", "hugetlb").ready()
    b = world.receive()
    a.start_migration(b.uri)
    m = a.wait_migration("failed")
    check("vm.nr_hugepages=" in m["error-desc"], m["error-desc"])
    a.working()
    b.end()
    c = world.receive("--ram", "anon", name="c")
    a.migrate(c)
    c.sweep()
    c.verdict()


def test_hwpoison(world, pair_of):
    """The kernel's own poison in a huge page: lost is what is lost."""
    world.need_hwpoison()
    lost = [page(i) for i in (5, 2 * PER, 4 * PER - 1)]
    a, b = pair(world, PAIRS[pair_of], "work=verify mib=16 hold=1")
    for gpa in lost:
        equal(a.poison(gpa, method="hwpoison")["method"], "hwpoison", "method")
    equal(a.poisoned(), set(lost), "poisoned here")
    a.migrate(b)
    equal(b.poisoned(), set(lost), "poisoned there")
    b.expect(lost)
    b.send("go")
    b.full_pass()
    all_seen(b, lost)


test_hwpoison.cases = {"pair_of": PAIRS}
