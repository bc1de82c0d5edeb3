# SPDX-License-Identifier: MIT
"""Ferry's protocol (docs/protocol.md), written down a second time for tests.

Message, the types, a Peer that speaks it over a socket, and what a test needs
to be a source or a destination itself.
"""

import os
import socket
import struct

from errors import WAIT, Failed, equal

(HELLO, WELCOME, REFUSE, DESCRIPTION, BUILT, STATE, POISON_LIST, ZERO_LIST,
 PREPARE, PREPARED, COMMIT, RUNNING, PAGES, ZERO, POISON, REQUEST, DONE,
 COMPLETE, BOOT, IMAGE, READY, WRITTEN_LIST, RESUME, REPORT, BEAT, CHUNK_ACK,
 CONFIRMED, ENDED, PASS, PASSED, DISCARD) = range(1, 32)
NAMES = [None, "HELLO", "WELCOME", "REFUSE", "DESCRIPTION", "BUILT", "STATE",
         "POISON_LIST", "ZERO_LIST", "PREPARE", "PREPARED", "COMMIT",
         "RUNNING", "PAGES", "ZERO", "POISON", "REQUEST", "DONE", "COMPLETE",
         "BOOT", "IMAGE", "READY", "WRITTEN_LIST", "RESUME", "REPORT", "BEAT",
         "CHUNK_ACK", "CONFIRMED", "ENDED", "PASS", "PASSED", "DISCARD"]

HEADER = struct.Struct("<IHHQQQ")
HELLO_BODY = struct.Struct("<8sHHII16sHHI16s32s")
REPORT_HEAD = struct.Struct("<II")
REPORT_RUN = struct.Struct("<QQB")
MAGIC = b"Ferry\0\0\1"
VERSION = 5
LAST_PASS = b"\0"       # payload of PASS: no precopy pass follows
SMALL_PAGES = struct.pack("<I", 4096)   # payload of READY
MAIN, DEMAND, PUSH = 0, 1, 2
PUSH_MAX = 8
HAS_POISON = 1
REPORT_END, REPORT_COMMITTED, REPORT_WHOLE = 1, 2, 4
PRESENT, ZEROES, POISONED, STAGED = 1, 2, 3, 4  # kinds of runs in REPORT
SECRET = b"0123456789ABCDEF"       # of a session that a test makes


class Closed(Exception):
    """The other side closed the connection."""


class Refused(Closed):
    """It said why before it did."""


class Message:
    """One message; length and what is reserved can be made wrong."""

    def __init__(self, kind, body=b"", a=0, b=0, length=None, reserved=0):
        self.kind, self.body, self.a, self.b = kind, body, a, b
        self.length = len(body) if length is None else length
        self.reserved = reserved

    def bytes(self):
        return HEADER.pack(self.length, self.kind, self.reserved, self.a,
                           self.b, 0) + self.body

    def name(self):
        return NAMES[self.kind] if 0 < self.kind < len(NAMES) else "?"


def hello_body(role=MAIN, version=VERSION, features=HAS_POISON, page=4096,
               ident=b"0123456789abcdef", push=0, magic=MAGIC, resume=False,
               epoch=1, secret=SECRET):
    return HELLO_BODY.pack(magic, version, role, features, page, ident, push,
                           int(resume), epoch, secret, bytes(32))


def parse_hello(body):
    """(version, role, features, page size, id, push, resume, epoch, secret)
    of HELLO or WELCOME."""
    return HELLO_BODY.unpack(body)[1:10]


def parse_report(body):
    """(flags, [(offset, pages, kind)]) of REPORT."""
    flags, n = REPORT_HEAD.unpack_from(body)
    runs = list(REPORT_RUN.iter_unpack(body[REPORT_HEAD.size:]))
    equal(len(runs), n, "runs in REPORT")
    return flags, runs


def acknowledge(pages):
    """A CHUNK_ACK message."""
    return Message(CHUNK_ACK, struct.pack("<Q", pages))


def report(flags, runs=()):
    """A REPORT message."""
    return Message(REPORT, REPORT_HEAD.pack(flags, len(runs)) + b"".join(
        REPORT_RUN.pack(*run) for run in runs))


def address(uri):
    """(family, address) for a socket."""
    kind, rest = uri.split(":", 1)
    if kind == "unix":
        return socket.AF_UNIX, rest
    host, port = rest.rsplit(":", 1)
    return socket.AF_INET, (host, int(port))


def listen(uri):
    family, where = address(uri)
    s = socket.socket(family)
    s.bind(where)
    s.listen(8)
    s.settimeout(WAIT)
    return s


class Peer:
    """A connection on which messages are said and heard."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(WAIT)

    @classmethod
    def connect(cls, uri):
        family, where = address(uri)
        s = socket.socket(family)
        # With a time limit, a full backlog of a Unix socket is an error
        s.connect(where)
        return cls(s)

    def _read(self, n):
        data = bytearray(n)
        view, done = memoryview(data), 0
        while done < n:
            try:
                got = self.sock.recv_into(view[done:])
            except TimeoutError as e:
                raise Failed("the other side is silent") from e
            except OSError as e:
                raise Closed from e
            if not got:
                raise Closed
            done += got
        return bytes(data)

    def hear(self):
        length, kind, _, a, b, _ = HEADER.unpack(self._read(HEADER.size))
        return Message(kind, self._read(length), a, b)

    def say(self, message):
        try:
            self.sock.sendall(message.bytes() if isinstance(message, Message)
                              else message)
        except TimeoutError as e:
            raise Failed("the other side does not read") from e
        except OSError as e:
            raise Closed from e

    def expect(self, kind):
        m = self.hear()
        if m.kind == REFUSE != kind:
            raise Refused(m.body.decode(errors="replace"))
        equal(m.name(), NAMES[kind], "the other side's message")
        return m

    def refusal(self):
        """What it says before it closes, or "" if it only closes."""
        text = ""
        try:
            while True:
                m = self.hear()
                if m.kind == REFUSE:
                    text = m.body.decode(errors="replace")
        except Closed:
            return text

    def shut(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.shut()
        self.sock.close()


class FakeSource:
    """A source that says what a test wants it to say."""

    def __init__(self, uri):
        self.uri = uri
        self.id = os.urandom(16)
        self.main = self.demand = self.push = None
        self.pushes, self.more = [], []
        self.passes = ()        # messages between READY and PASS

    def __enter__(self):
        self.main = Peer.connect(self.uri)
        return self

    def __exit__(self, *exc):
        for peer in self.main, self.demand, *self.more:
            if peer:
                peer.close()

    def hello(self, **wrong):
        self.main.say(Message(HELLO, hello_body(ident=self.id, **wrong)))

    def attach(self, description, push=0, images=(b"", b""), zero=None):
        """All until the source may hold its guest, without precopy passes.

        zero is the ZERO_LIST message, or None for one without entries."""
        self.hello(push=push)
        equal(parse_hello(self.main.expect(WELCOME).body)[5], push, "pushes")
        self.main.say(Message(DESCRIPTION, description))
        self.main.expect(BUILT)
        self.demand = self.open(DEMAND)
        self.pushes = [self.open(PUSH) for _ in range(push)]
        self.push = self.pushes[0] if push else None
        self.boot(images)
        self.main.say(zero or Message(ZERO_LIST, bytes(4)))
        self.main.expect(READY)
        for m in self.passes:
            self.main.say(m)
        self.main.say(Message(PASS, LAST_PASS))

    def open(self, role):
        """A further connection, up to its WELCOME."""
        peer = Peer.connect(self.uri)
        self.more.append(peer)
        peer.say(Message(HELLO, hello_body(role, ident=self.id)))
        peer.expect(WELCOME)
        return peer

    def boot(self, images):
        """The images that the guest can be started from again."""
        self.main.say(Message(BOOT, struct.pack("<QQ", *map(len, images))))
        for data in images:
            for i in range(0, len(data), 256 << 10):
                self.main.say(Message(IMAGE, data[i:i + (256 << 10)]))


class FakeTarget:
    """A destination that says what a test wants it to say."""

    def __init__(self, uri):
        self.uri = uri
        self.listener = listen(uri)
        self.main = self.demand = self.push = None
        self.pushes = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for peer in self.main, self.demand, *self.pushes, self.listener:
            if peer:
                peer.close()
        if self.uri.startswith("unix:"):
            os.unlink(self.uri[5:])

    def accept(self):
        try:
            return Peer(self.listener.accept()[0])
        except TimeoutError as e:
            raise Failed("the source does not connect") from e

    def welcome(self, peer, **wrong):
        """Hear HELLO and answer it."""
        hello = parse_hello(peer.expect(HELLO).body)
        same = {"ident": hello[4], "epoch": hello[7], "secret": hello[8]}
        peer.say(Message(WELCOME, hello_body(**{**same, **wrong})))

    def greet(self, push=1, **wrong):
        self.main = self.accept()
        self.welcome(self.main, push=push, **wrong)
        return self.main

    def attach(self, push=1):
        """All until the connections are there. Gives the description."""
        description = self.greet(push=push).expect(DESCRIPTION).body
        self.main.say(Message(BUILT))
        self.demand = self.accept()
        self.welcome(self.demand, role=DEMAND)
        for _ in range(push):
            self.push = self.accept()
            self.pushes.append(self.push)
            self.welcome(self.push, role=PUSH)
        return description

    def prepare(self, push=1):
        """All until PREPARE was heard: {kind: body} of what came.

        The pages that come before it are a list of messages.
        """
        heard = {DESCRIPTION: self.attach(push), PAGES: []}
        while PREPARE not in heard:
            m = self.main.hear()
            if m.kind in (PAGES, ZERO):
                heard[PAGES].append(m)
            elif m.kind == IMAGE:
                heard[IMAGE] = heard.get(IMAGE, b"") + m.body
            else:
                heard[m.kind] = m.body
            if m.kind == ZERO_LIST:
                self.main.say(Message(READY, SMALL_PAGES))
        return heard
