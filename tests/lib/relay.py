# SPDX-License-Identifier: MIT
"""A relay between source and destination that delays, changes and cuts.

It forwards the messages of both sides one by one. With it a test can stop a
migration at a given message, instead of depending on the right moment:

    hold()      delay what the source pushes after the hand-over; requests on
                the demand connection are still answered
    hold_from()     the same for pages from an address up
    hold_answers()  delay the answers as well, for pages from an address up;
                what the source sends before any request still passes
    stop_at     delay this message and all that follow it, until release()
    cut_at      cut all connections instead of forwarding this message
    cut_after   (side, N): cut all connections after this side's message N;
                None after that
    cut(role)   cut one connection, or all, now
    edit        {kind: function(message)}: the function returns a list of
                messages to forward instead;
                {(kind, role): function} on connections of one role
"""

import threading

from errors import WAIT, Failed
from wire import BEAT, COMMIT, DEMAND, HELLO, MAIN, NAMES, PUSH, REQUEST, \
    RESUME, Closed, Peer, listen, parse_hello

SOURCE, TARGET = "source", "destination"
# What hold() lets pass: a new link can be opened, and no side looks dead
NEVER_HELD = {HELLO, RESUME, COMMIT, BEAT}


def matches(place, side, kind, role):
    """Does this message match @place, (side, kind) or (side, kind, role)?"""
    return place is not None and place in ((side, kind), (side, kind, role))


class Relay:
    """Listens at an address of its own and connects to a destination."""

    def __init__(self, world, target):
        self.target = target.uri
        self.uri = world.uri()
        self.listener = listen(self.uri)
        self.listener.settimeout(None)
        self.changed = threading.Condition()
        self.held = {}      # role: pages from this address up are delayed
        self.asked = set()          # pages that were requested
        # (SOURCE or TARGET, kind), and a role if only one is meant
        self.stop_at = self.cut_at = self.cut_after = None
        self.forwarded = {SOURCE: 0, TARGET: 0}     # messages
        self.edit = {}
        self.heard = []             # (side, role, kind, a, b)
        self.passed = 0             # len(heard) when hold_answers() was called
        self.peers, self.threads = [], []   # peers: (role, Peer)
        self.committed = self.closed = False
        self._start(self._accept)
        world.closers.append(self.close)

    def _start(self, function, *args):
        t = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(t)
        t.start()

    def _accept(self):
        while True:
            try:
                source = Peer(self.listener.accept()[0])
            except OSError:
                return
            try:
                target = Peer.connect(self.target)
            except OSError:
                source.close()
                continue
            role = [MAIN]
            with self.changed:
                self.peers += [(role, source), (role, target)]
            self._start(self._pass_on, SOURCE, source, target, role)
            self._start(self._pass_on, TARGET, target, source, role)

    def _held(self, side, role, m):
        if self.closed:
            return False
        return matches(self.stop_at, side, m.kind, role) or \
            side == SOURCE and self.committed and role in self.held \
            and m.kind not in NEVER_HELD and m.a >= self.held[role] \
            and (role != DEMAND or m.a in self.asked)

    def _note(self, side, role, m):
        """Record a message, and delay it if necessary. Return: True to cut."""
        with self.changed:
            self.heard.append((side, role, m.kind, m.a, m.b))
            if m.kind == REQUEST:
                self.asked.add(m.a)
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._held(side, role, m))
            return matches(self.cut_at, side, m.kind, role)

    def _was_last(self, side):
        """Count a message that was forwarded. Return: True to cut."""
        with self.changed:
            self.forwarded[side] += 1
            last = self.cut_after == (side, self.forwarded[side])
            if last:
                self.cut_after = None
        return last

    def _pass_on(self, side, here, there, role):
        here.sock.settimeout(None)
        try:
            while True:
                m = here.hear()
                if m.kind == HELLO:
                    role[0] = parse_hello(m.body)[1]
                if self._note(side, role[0], m):
                    self.cut()
                    return
                if m.kind == COMMIT:
                    self.committed = True
                edit = self.edit.get((m.kind, role[0])) or self.edit.get(
                    m.kind, lambda same: [same])
                for out in edit(m):
                    there.say(out)
                if self._was_last(side):
                    self.cut()
                    return
        except (Closed, Failed):
            here.shut()
            there.shut()

    def hold(self, *roles):
        """Delay what the source sends after COMMIT, on these connections."""
        with self.changed:
            self.held = dict.fromkeys(roles or [MAIN, PUSH], 0)

    def hold_from(self, low):
        """Delay the pages from an address up that the source pushes."""
        with self.changed:
            self.held = {PUSH: low}

    def hold_answers(self, low=0):
        """Delay the answers for pages from an address up, as well."""
        with self.changed:
            self.hold(MAIN, PUSH)
            self.held[DEMAND] = low
            self.passed = len(self.heard)

    def unanswered(self):
        """Wait until an answer is delayed. Return: the address of its page."""
        def there():
            return [h[3] for h in self.heard[self.passed:]
                    if h[:2] == (SOURCE, DEMAND)
                    and h[3] >= self.held[DEMAND] and h[3] in self.asked]
        with self.changed:
            if not self.changed.wait_for(there, WAIT):
                raise Failed("no answer was delayed")
            return there()[0]

    def release(self):
        with self.changed:
            self.held, self.stop_at = {}, None
            self.changed.notify_all()

    def cut(self, only=None):
        """Cut the connections of a role, or all, as a failing network would.

        If only one role is cut, messages of the others stay delayed.
        """
        with self.changed:
            for role, p in self.peers:
                if only in (None, role[0]):
                    p.shut()
            if only is not None:
                return
            self.held, self.stop_at, self.cut_at = {}, None, None
            self.changed.notify_all()

    def wait(self, kind, since=0):
        """Wait for a message of a kind. Return: all of them so far, including
        delayed ones."""
        def there():
            return [h for h in self.heard[since:] if h[2] == kind]
        with self.changed:
            if not self.changed.wait_for(there, WAIT):
                raise Failed(f"no {NAMES[kind]} message")
            return there()

    def close(self):
        with self.changed:
            self.closed = True
        self.listener.shutdown(2)
        self.cut()
        for t in self.threads:
            t.join()
        for p in [self.listener, *(p for _, p in self.peers)]:
            p.close()
