# SPDX-License-Identifier: MIT
"""Bad sources: the destination refuses, and waits for another source."""

import contextlib
import struct
import threading
import time

import fdt
import wire
from errors import SLOW
from ferry import MIB, PAGE, Failed, check, equal, page
from wire import FakeSource, FakeTarget, Message

SANITIZERS = {"address"}

BUSY = "work=verify mib=16 seed=4"


class Stage:
    """A real guest on a source, the messages of that source, a destination."""

    def __init__(self, world, heard=True):
        self.world = world
        self.a = world.run(BUSY, cpus=2).ready()
        self.b = world.receive()
        self.heard = self._listen() if heard else None

    def _listen(self):
        with FakeTarget(self.world.uri()) as fake:
            self.a.start_migration(fake.uri)
            heard = fake.prepare()
            fake.main.shut()
            self.a.wait_migration("failed")
        return heard

    def refused(self, speak, *words, log="incoming migration failed"):
        """A source that speaks so is refused; the reason has the words."""
        with FakeSource(self.b.uri) as fake:
            try:
                speak(fake, self.heard)
            except wire.Closed:
                pass
            fake.main.refusal()
        text = self.b.said(log)
        for word in words:
            check(word in text, f"'{word}' is not in: {text}")

    def still_good(self):
        """The destination is as it was: the real guest gets in."""
        equal(self.b.state(), "inmigrate", "state of the destination")
        self.a.wait_state("running")
        self.a.migrate(self.b)
        self.b.full_pass()
        self.b.sweep()
        self.b.verdict(mce=0)


def raw(data):
    """Say bytes, and nothing more."""
    def speak(fake, _):
        fake.main.say(data)
        fake.main.sock.shutdown(1)
    return speak


def hello(**wrong):
    def speak(fake, _):
        fake.hello(**wrong)
    return speak


HTTP = b"GET / HTTP/1.1\r\nHost: ferry.example\r\nAccept: */*\r\n\r\n"
HELLO = wire.hello_body()

FIRST = {
    "nothing": (raw(b""), "closed"),
    "HTTP": (raw(HTTP), "Ferry"),
    "zeroes": (raw(bytes(4096)), "Ferry"),
    "half a header": (raw(b"\x2c\0\0"), "closed"),
    "half a HELLO": (raw(Message(wire.HELLO, HELLO).bytes()[:50]), "closed"),
    "PAGES": (raw(Message(wire.PAGES, bytes(PAGE), page(0), 1)), "PAGES"),
    "COMMIT": (raw(Message(wire.COMMIT)), "COMMIT"),
    "unknown type": (raw(Message(99)), "type 99"),
    "long HELLO": (raw(Message(wire.HELLO, HELLO + b"x")),
                   f"greeting is {len(HELLO) + 1} bytes long"),
    "endless HELLO": (raw(Message(wire.HELLO, b"", length=0xffffffff)),
                      "HELLO"),
    "reserved bits": (raw(Message(wire.HELLO, HELLO, reserved=8)), "reserved"),
    "other magic": (hello(magic=b"QEVM\0\0\0\3"), "not a Ferry"),
    "other version": (hello(version=7), "version 7"),
    "demand first": (hello(role=wire.DEMAND), "wrong kind"),
    "push first": (hello(role=wire.PUSH), "wrong kind"),
    "unknown role": (hello(role=9), "kind 9"),
    "huge pages": (hello(page=2 * MIB), "2097152"),
}


def test_first_message(world, what):
    """A connection that says no HELLO is refused, and is no migration."""
    stage = Stage(world, heard=False)
    stage.refused(*FIRST[what], log="connection refused")
    equal(stage.b.migration()["status"], "none", "status of the destination")
    stage.still_good()


test_first_message.cases = {"what": FIRST}


def describe(data, length=None):
    """Say hello rightly, and then this as the description."""
    def speak(fake, heard):
        fake.hello()
        fake.main.expect(wire.WELCOME)
        body = data(heard[wire.DESCRIPTION]) if callable(data) else data
        fake.main.say(Message(wire.DESCRIPTION, body, length=length))
        fake.main.expect(wire.BUILT)
    return speak


def tree(change):
    """A description with one thing changed."""
    def changed(blob):
        root = fdt.parse(blob)
        change(root)
        return fdt.build(root)
    return describe(changed)


def set_prop(path, name, value):
    def change(root):
        node = root
        for part in path.split("/")[1:]:
            node = node.child(part) if part else node
        if value is None:
            del node.props[name]
        else:
            node.props[name] = value
    return tree(change)


def drop(name):
    return tree(lambda root: root.children.remove(root.child(name)))


def add(path, name):
    def change(root):
        (root.child(path) if path else root).children.append(fdt.Node(name))
    return tree(change)


def vcpus(n):
    def change(root):
        cpus = root.child("cpus")
        cpus.children = [fdt.Node(f"cpu@{i:x}", {"reg": fdt.u32(i)})
                         for i in range(n)]
    return tree(change)


def memory(*reg):
    return set_prop("/memory@0", "reg", fdt.u64(*reg))


def foreign_cpuid(root):
    cpus = root.child("cpus")
    cells = list(struct.iter_unpack(">7I", cpus.props["ferry,cpuid"]))
    cpus.props["ferry,cpuid"] = b"".join(
        fdt.u32(*c[:5], 0xffffffff, 0xffffffff) if c[0] == 1 else fdt.u32(*c)
        for c in cells)


DESCRIPTIONS = {
    "empty": (describe(b""), "DESCRIPTION"),
    "endless": (describe(b"", length=0xfffffff0), "DESCRIPTION"),
    "zeroes": (describe(bytes(4096)), "not a flattened device tree"),
    "text": (describe(b"memory=64M cpus=2 please" * 20),
             "not a flattened device tree"),
    "cut off": (describe(lambda d: d[:len(d) // 2]),
                "not a flattened device tree"),
    "bad structure": (describe(lambda d: d[:80] + bytes(40) + d[120:]),
                      "device tree"),
    "other machine": (set_prop("/", "compatible", b"pc,q35\0"), "/",
                      "compatible"),
    "unknown node": (add(None, "gpu@0"), "/gpu@0"),
    "no memory": (drop("memory@0"), "/memory@0"),
    "no serial": (drop("serial@3f8"), "/serial@3f8"),
    "no cpus": (drop("cpus"), "/cpus"),
    "no vCPU": (vcpus(0), "/cpus", "no vCPU"),
    "65 vCPUs": (vcpus(65), "/cpus", "64"),
    "no reg": (set_prop("/memory@0", "reg", None), "/memory@0", "reg"),
    "RAM with a gap": (memory(0, 32 * MIB, 4 << 30, 32 * MIB), "/memory@0",
                       "reg"),
    "RAM elsewhere": (memory(MIB, 64 * MIB), "/memory@0", "reg"),
    "too much low RAM": (memory(0, 4 << 30), "/memory@0", "reg"),
    "8 MiB": (memory(0, 8 * MIB), "/memory@0", "reg"),
    "exabytes": (memory(0, 3 << 30, 4 << 30, 1 << 60), "/memory@0", "reg"),
    "wraps": (memory(0, 3 << 30, 4 << 30, (1 << 64) - (3 << 30)),
              "/memory@0", "reg"),
    "half a cell": (set_prop("/memory@0", "reg", b"\0" * 7), "/memory@0",
                    "reg"),
    "unknown RAM": (set_prop("/memory@0", "ferry,backing", b"core\0"),
                    "/memory@0", "ferry,backing"),
    "no string": (set_prop("/memory@0", "ferry,backing", b"anon"),
                  "/memory@0", "ferry,backing"),
    "unknown vendor": (set_prop("/cpus", "ferry,cpuid-vendor",
                                b"CyrixInstead\0"), "ferry,cpuid-vendor"),
    "no CPUID": (set_prop("/cpus", "ferry,cpuid", None), "ferry,cpuid"),
    "odd CPUID": (set_prop("/cpus", "ferry,cpuid", bytes(29)), "ferry,cpuid"),
    "foreign CPUID": (tree(foreign_cpuid), "CPUID 0x1 ECX: "),
    "other TSC": (set_prop("/cpus", "ferry,tsc-khz", fdt.u32(123456)),
                  "ferry,tsc-khz", "123456"),
    "serial elsewhere": (set_prop("/serial@3f8", "reg", fdt.u64(0x2f8, 8)),
                         "/serial@3f8", "reg"),
    "other serial": (set_prop("/serial@3f8", "compatible", b"ns8250\0"),
                     "/serial@3f8", "compatible"),
    "long arguments": (set_prop("/chosen", "bootargs", b"a" * 30000 + b"\0"),
                       "bootargs"),
}


def test_description(world, what):
    """A machine that can't be built is refused, naming node and property."""
    stage = Stage(world)
    stage.refused(*DESCRIPTIONS[what])
    stage.still_good()


test_description.cases = {"what": DESCRIPTIONS}


def test_description_unchanged(world):
    """Taken apart and put together, the description is good: so the change
    is what was refused."""
    stage = Stage(world)
    with FakeSource(stage.b.uri) as fake:
        blob = stage.heard[wire.DESCRIPTION]
        fake.attach(fdt.build(fdt.parse(blob)))
    stage.b.said("incoming migration failed")
    stage.still_good()


def attach(**wrong):
    """The second connection says this."""
    def speak(fake, heard):
        fake.hello()
        fake.main.expect(wire.WELCOME)
        fake.main.say(Message(wire.DESCRIPTION, heard[wire.DESCRIPTION]))
        fake.main.expect(wire.BUILT)
        fake.demand = wire.Peer.connect(fake.uri)
        body = wire.hello_body(**{"role": wire.DEMAND, "ident": fake.id,
                                  **wrong})
        fake.demand.say(Message(wire.HELLO, body))
        fake.demand.expect(wire.WELCOME)
    return speak


def images(*messages):
    """These instead of the kernel and the initrd."""
    def speak(fake, heard):
        fake.boot = lambda _: [fake.main.say(m) for m in messages]
        fake.attach(heard[wire.DESCRIPTION])
    return speak


def boot(*sizes):
    return Message(wire.BOOT, struct.pack(f"<{len(sizes)}Q", *sizes))


def load(change, push=0):
    """All that was heard from the real source, with changes."""
    def speak(fake, heard):
        said = {k: Message(k, heard[k]) for k in
                (wire.ZERO_LIST, wire.STATE, wire.WRITTEN_LIST,
                 wire.DISCARD, wire.POISON_LIST)}
        said.update(enumerate(heard[wire.PAGES], 100))
        said[wire.PREPARE] = Message(wire.PREPARE)
        said = change(said)
        fake.attach(heard[wire.DESCRIPTION], push=push,
                    zero=said.pop(wire.ZERO_LIST))
        for m in said.values():
            fake.main.say(m)
        fake.main.expect(wire.PREPARED)
    return speak


def instead(kind, message):
    """One message is another."""
    return load(lambda said: {**said, kind: message})


def body(kind, change, length=None):
    """One message's payload is changed."""
    return load(lambda said: {**said, kind: Message(
        kind, change(said[kind].body), length=length)})


def poison(*entries, n=None):
    data = struct.pack("<I", len(entries) if n is None else n)
    data += b"".join(struct.pack("<QQB", *e) for e in entries)
    return body(wire.POISON_LIST, lambda _: data)


def zero(*entries, n=None, kind=wire.ZERO_LIST):
    data = struct.pack("<I", len(entries) if n is None else n)
    data += b"".join(struct.pack("<QQ", *e) for e in entries)
    return body(kind, lambda _: data)


def written(*entries, n=None):
    return zero(*entries, n=n, kind=wire.WRITTEN_LIST)


def discard(*entries, n=None):
    return zero(*entries, n=n, kind=wire.DISCARD)


def passing(*messages, then=load(lambda said: said)):
    """These between READY and the last PASS."""
    def speak(fake, heard):
        fake.passes = messages
        then(fake, heard)
    return speak


def early(message):
    """A message between the lists and PREPARE, where first pages may be."""
    return load(lambda said: {**{k: v for k, v in said.items()
                                 if k != wire.PREPARE},
                              "early": message,
                              wire.PREPARE: said[wire.PREPARE]})


RAM = 64 * MIB

STATES = {
    "other id": (attach(ident=b"f" * 16), "did not connect"),
    "main twice": (attach(role=wire.MAIN), "did not connect"),
    "push for demand": (attach(role=wire.PUSH), "did not connect"),
    "no images": (images(), "ZERO_LIST", "BOOT"),
    "three images": (images(boot(1, 2, 3)), "BOOT"),
    "huge kernel": (images(boot(1 << 40, 0)), "kernel", "too large"),
    "huge initrd": (images(boot(0, (512 << 20) + 1)), "initrd", "too large"),
    "kernel cut off": (images(boot(9, 0), Message(wire.IMAGE, b"12345678")),
                       "ZERO_LIST", "lacks 1"),
    "long kernel": (images(boot(9, 0), Message(wire.IMAGE, b"1234567890")),
                    "IMAGE of 10", "lacks 9"),
    "long IMAGE": (images(boot(1 << 20, 0), Message(wire.IMAGE, b"",
                                                    length=1 << 20)), "IMAGE"),
    "empty IMAGE": (images(boot(1, 0), Message(wire.IMAGE)), "IMAGE"),
    "IMAGE for nothing": (images(boot(0, 0), Message(wire.IMAGE, b"x")),
                          "IMAGE"),
    "no STATE": (instead(wire.STATE, Message(wire.PREPARE)), "STATE"),
    "empty STATE": (body(wire.STATE, lambda _: b""), "STATE"),
    "endless STATE": (body(wire.STATE, lambda d: d, length=0xffffffff),
                      "STATE"),
    "1 byte of STATE": (body(wire.STATE, lambda d: d[:1]), ""),
    "half of STATE": (body(wire.STATE, lambda d: d[:len(d) // 2]), ""),
    "a byte less": (body(wire.STATE, lambda d: d[:-1]), ""),
    "a byte more": (body(wire.STATE, lambda d: d + b"\0"), ""),
    "zeroes for STATE": (body(wire.STATE, lambda d: bytes(len(d))), ""),
    "text for STATE": (body(wire.STATE, lambda d: b"ferry " * 1000), ""),
    # Section "machine" is first: a header of 24 bytes, then the vCPUs
    "no vCPUs in STATE": (body(wire.STATE, lambda d: d[:25] + bytes(4) +
                               d[29:]), "state of 0 vCPUs"),
    "a later version": (body(wire.STATE, lambda d: d[:19] + b"\x09" +
                             d[20:]), "version 9 of section 'machine' 0"),
    "poison beyond RAM": (poison((RAM, PAGE, 0)), "no RAM"),
    "poison over the end": (poison((RAM - PAGE, 2 * PAGE, 0)), "no RAM"),
    "poison wraps": (poison(((1 << 64) - PAGE, 2 * PAGE, 0)), "poison list"),
    "odd poison": (poison((page(0) + 1, PAGE, 0)), "whole pages"),
    "half a page of poison": (poison((page(0), 100, 0)), "whole pages"),
    "no poison in it": (poison((page(0), 0, 0)), "poison list"),
    "poison descends": (poison((page(1), PAGE, 0), (page(0), PAGE, 0)),
                        "poison list"),
    "poison twice": (poison((page(1), PAGE, 0), (page(1), PAGE, 0)),
                     "poison list"),
    "poison cut off": (poison((page(0), PAGE, 0), n=2), "poison list"),
    "endless poison": (poison(n=0xffffffff), "poison list"),
    "poison and more": (body(wire.POISON_LIST, lambda d: d + bytes(3)),
                        "poison list"),
    "zeroes beyond RAM": (zero((RAM, PAGE)), "zero list"),
    "zeroes over the end": (zero((RAM - PAGE, 2 * PAGE)), "zero list"),
    "zeroes wrap": (zero((PAGE, (1 << 64) - PAGE)), "zero list"),
    "odd zeroes": (zero((1, PAGE)), "zero list"),
    "zeroes cut off": (zero((0, PAGE), n=2), "zero list"),
    "endless zeroes": (zero(n=0xffffffff), "zero list"),
    "zeroes and more": (body(wire.ZERO_LIST, lambda d: d + b"x"),
                        "zero list"),
    "zeroes descend": (zero((2 * PAGE, PAGE), (PAGE, PAGE)), "zero list"),
    "zeroes twice": (zero((PAGE, PAGE), (PAGE, PAGE)), "zero list",
                     "ascend"),
    "zeroes overlap": (zero((0, 2 * PAGE), (PAGE, PAGE)), "zero list",
                       "ascend"),
    "empty zeroes": (zero((PAGE, 0)), "zero list"),
    "all zeroes a million times": (zero(*[(0, RAM)] * 1000000), "zero list"),
    "written beyond RAM": (written((RAM, PAGE)), "written list"),
    "written twice": (written((PAGE, PAGE), (PAGE, PAGE)), "written list",
                      "ascend"),
    "written and more": (body(wire.WRITTEN_LIST, lambda d: d + b"x"),
                         "written list"),
    "discarded beyond RAM": (discard((RAM, PAGE)), "discard list"),
    "discarded twice": (discard((PAGE, PAGE), (PAGE, PAGE)), "discard list",
                        "ascend"),
    "discarded and more": (body(wire.DISCARD, lambda d: d + b"x"),
                           "discard list"),
    "endless discarding": (discard(n=0xffffffff), "discard list"),
    "no DISCARD": (instead(wire.DISCARD, Message(wire.PREPARE)), "PREPARE"),
    "page of a pass beyond RAM": (
        passing(Message(wire.PAGES, bytes(PAGE), RAM, 1)), "no RAM"),
    "zeroes of a pass beyond RAM": (
        passing(Message(wire.ZERO, b"", 0, 1 << 30)), "no RAM"),
    "poison in a pass": (passing(Message(wire.POISON, b"", page(0), 1)),
                         "POISON"),
    "odd PASS": (passing(Message(wire.PASS, b"\2")), "PASS"),
    "PREPARE in a pass": (passing(Message(wire.PREPARE)), "PREPARE"),
    "sent, lost and not discarded": (
        passing(Message(wire.PAGES, bytes(PAGE), page(0), 1),
                then=poison((page(0), PAGE, 0))), "not discarded"),
    "no WRITTEN_LIST": (instead(wire.WRITTEN_LIST, Message(wire.PREPARE)),
                        "PREPARE"),
    "lists swapped": (instead(wire.POISON_LIST, Message(wire.ZERO_LIST,
                                                        bytes(4))),
                      "ZERO_LIST"),
    "COMMIT for PREPARE": (instead(wire.PREPARE, Message(wire.COMMIT)),
                           "COMMIT"),
    "PREPARE with payload": (instead(wire.PREPARE,
                                     Message(wire.PREPARE, b"x")), "PREPARE"),
    "early page beyond RAM": (early(Message(wire.PAGES, bytes(PAGE), RAM, 1)),
                              "no RAM"),
    "early odd page": (early(Message(wire.PAGES, bytes(PAGE), 5, 1)),
                       "impossible range"),
    "early page, no count": (early(Message(wire.PAGES, bytes(PAGE), PAGE, 0)),
                             "impossible range"),
    "early short page": (early(Message(wire.PAGES, bytes(PAGE), PAGE, 2)),
                         "PAGES"),
    "too many early pages": (early(Message(wire.PAGES, bytes(65 * PAGE),
                                           PAGE, 65)), "PAGES"),
    "early zeroes wrap": (early(Message(wire.ZERO, b"", (1 << 64) - PAGE, 9)),
                          "impossible range"),
    "early zeroes beyond RAM": (early(Message(wire.ZERO, b"", 0, 1 << 30)),
                                "no RAM"),
    "early REQUEST": (early(Message(wire.REQUEST, b"", 0, 1)), "REQUEST"),
}


def hello_timeout(vmm, ms):
    vmm.qmp.execute("migrate-set-parameters",
                    **{"ferry-hello-timeout": int(ms * SLOW)})


def test_state(world, what):
    """Lists and state that can't be are refused before anything runs."""
    stage = Stage(world)
    hello_timeout(stage.b, 2000)
    stage.refused(*STATES[what])
    hello_timeout(stage.b, 10000)
    stage.still_good()


test_state.cases = {"what": STATES}


def handed_over(stage, fake, run=True):
    """Be a source up to the hand-over: the guest runs, or is stopped."""
    def same(said):
        said[wire.STATE].body = bytes([run]) + said[wire.STATE].body[1:]
        return said

    load(same, push=1)(fake, stage.heard)
    fake.main.say(Message(wire.COMMIT))
    fake.main.expect(wire.RUNNING)


AFTER = {
    "garbage": (HTTP, "Ferry"),
    "pages beyond RAM": (Message(wire.PAGES, bytes(PAGE), RAM, 1), "no RAM"),
    "poison beyond RAM": (Message(wire.POISON, b"", RAM, 1), "no RAM"),
    "endless zeroes": (Message(wire.ZERO, b"", 0, 1 << 33), "no RAM"),
    "HELLO": (Message(wire.HELLO, HELLO), "HELLO"),
    "COMMIT again": (Message(wire.COMMIT), "COMMIT"),
    "REFUSE": (Message(wire.REFUSE, b"changed my mind"), "REFUSE"),
}


def test_after_the_hand_over(world, what, role):
    """Nonsense among the pages: paused, kept, visible, and alive."""
    stage = Stage(world)
    message, word = AFTER[what]
    words = [word]
    if role == "main" and isinstance(message, Message):
        words = [message.name()]    # no pages belong there
    elif role == "demand":
        words.append("has requested nothing yet")   # the guest may be slow
    with FakeSource(stage.b.uri) as fake:
        handed_over(stage, fake)
        getattr(fake, role).say(message)
        m = stage.b.wait_migration("postcopy-paused")
    check(any(word in m["error-desc"] for word in words),
          f"none of {words} is in: {m['error-desc']}")
    equal(stage.b.status()["libvirt"]["reason"],
          "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED", "libvirt's reason")
    stage.b.qmp.execute("quit")
    equal(stage.b.wait_end(), 0, "exit status")


test_after_the_hand_over.cases = {
    "what": AFTER, "role": ["main", "demand", "push"]}


def test_too_many_pushes(world):
    """A source that would push on 60000 connections may on eight."""
    stage = Stage(world)
    with FakeSource(stage.b.uri) as fake:
        fake.hello(push=60000)
        body = fake.main.expect(wire.WELCOME).body
        equal(wire.parse_hello(body)[5], wire.PUSH_MAX, "connections")
    stage.still_good()


def test_push_missing(world):
    """A push connection that was promised and doesn't come."""
    stage = Stage(world)
    hello_timeout(stage.b, 2000)
    with FakeSource(stage.b.uri) as fake:
        fake.hello(push=1)
        fake.main.expect(wire.WELCOME)
        fake.main.say(Message(wire.DESCRIPTION,
                              stage.heard[wire.DESCRIPTION]))
        fake.main.expect(wire.BUILT)
        fake.demand = wire.Peer.connect(fake.uri)
        fake.demand.say(Message(wire.HELLO, wire.hello_body(
            wire.DEMAND, ident=fake.id)))
        fake.demand.expect(wire.WELCOME)
        check("did not connect" in fake.main.refusal(), "no reason")
    hello_timeout(stage.b, 10000)
    stage.still_good()


def test_finished_too_early(world):
    """DONE with pages missing is no end: paused, and it says what lacks."""
    stage = Stage(world)
    stage.b.qmp.execute("migrate-set-parameters",
                        **{"ferry-last-pages-timeout": 1000})
    with FakeSource(stage.b.uri) as fake:
        handed_over(stage, fake, run=False)
        fake.push.say(Message(wire.DONE))
        fake.main.say(Message(wire.DONE))
        m = stage.b.wait_migration("postcopy-paused")
    check("missing" in m["error-desc"], m["error-desc"])
    check(stage.b.alive(), "the process ended")


def test_many_in_a_row(world):
    """A hundred bad ones later, a good one is served."""
    stage = Stage(world, heard=False)
    for i in range(100):
        with FakeSource(stage.b.uri) as fake:
            fake.main.say(HTTP if i % 2 else Message(wire.COMMIT))
            fake.main.refusal()
    stage.still_good()


def trickle(peers, stop):
    """Each sends a byte of a HELLO now and then."""
    data = Message(wire.HELLO, HELLO).bytes()
    for i in range(len(data)):
        for p in peers:
            try:
                p.sock.send(data[i:i + 1])
            except OSError:
                pass
        if stop.wait(0.05):
            break


@contextlib.contextmanager
def slow_greetings(uri, silent, slow):
    """So many connections that say nothing, and so many that say a HELLO byte
    by byte, meanwhile.

    They are all open before: of many that come at the same moment as a real
    one, that one would be the oldest, which the destination closes.
    """
    peers = [wire.Peer.connect(uri) for _ in range(silent + slow)]
    stop = threading.Event()
    thread = threading.Thread(target=trickle, args=(peers[silent:], stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for p in peers:
            p.close()


def soon_enough(began, what):
    check(time.monotonic() - began < 15 * SLOW, what, "had to wait")


def test_slow_greetings(world):
    """Connections that say nothing, or single bytes, delay no other one."""
    stage = Stage(world, heard=False)
    with slow_greetings(stage.b.uri, silent=10, slow=40):
        began = time.monotonic()
        stage.still_good()
        soon_enough(began, "the real guest")


def test_slow_greetings_while_attaching(world):
    """The same between the connections of one source; and `quit` is quick."""
    stage = Stage(world)
    with slow_greetings(stage.b.uri, silent=10, slow=10):
        with FakeSource(stage.b.uri) as fake:
            began = time.monotonic()
            fake.attach(stage.heard[wire.DESCRIPTION], push=1)
            soon_enough(began, "attaching")
        stage.b.said("incoming migration failed")
        began = time.monotonic()
        stage.b.qmp.execute("quit")
        equal(stage.b.wait_end(), 0, "exit status")
        soon_enough(began, "quit")


def test_greeting_has_one_deadline(world):
    """A HELLO that comes byte by byte is given up in total time."""
    stage = Stage(world, heard=False)
    hello_timeout(stage.b, 500)
    with slow_greetings(stage.b.uri, silent=0, slow=1):
        stage.b.said("no HELLO came in time")
    equal(stage.b.migration()["status"], "none", "status")


def test_a_long_poison_list(world):
    """2^19 - 1 entries of one page each: few reports, no failure.

    Of so many pages every second one is in the list, so that none are
    neighbours: the guest's RAM is 4 GiB, which costs nothing."""
    a = world.run("work=idle mib=16 period_us=1000000",
                  memory="4200M").ready()
    b = world.receive()
    with FakeTarget(world.uri()) as fake:
        a.start_migration(fake.uri)
        heard = fake.prepare()
        fake.main.shut()
        a.wait_migration("failed")
    n = (1 << 19) - 1
    entries = b"".join(struct.pack("<QQB", page(2000 + 2 * i), PAGE, 0)
                       for i in range(n))

    def change(said):
        said[wire.POISON_LIST] = Message(wire.POISON_LIST,
                                         struct.pack("<I", n) + entries)
        return said
    with FakeSource(b.uri) as fake:
        try:
            load(change, push=1)(fake, heard)
        except wire.Closed as e:
            raise Failed(b.said("incoming migration failed")) from e
    check(len(b.qmp.seen("MEMORY_FAILURE")) < 200, "events")
    check(len(b.err.lines) < 200, "log lines")
