# SPDX-License-Identifier: MIT
"""Somebody between source and destination, who can hold back, change and cut.

It passes on what both say, message by message. So a test can stop time in
the midst of a migration, instead of being lucky:

    hold()      what the source pushes after the hand-over waits; what is asked
                for on the demand connection is answered
    hold_answers()  the answers wait, too, for pages from an address on; what
                the source sends ahead of any request passes until then
    stop_at     a message that waits, and all behind it, until release()
    cut_at      a message at which, instead of passing it on, it cuts
    cut(role)   cuts at once: one connection, or all
    edit        {kind: function(message)}: gives a list to pass on instead;
                {(kind, role): function} on connections of one role
"""

import threading

from errors import WAIT, Failed
from wire import COMMIT, DEMAND, HELLO, MAIN, NAMES, PUSH, Closed, Peer, listen, \
    REQUEST, parse_hello

SOURCE, TARGET = "source", "destination"


def at(place, who, kind, role):
    """Is it the message that was named?"""
    return place is not None and place in ((who, kind), (who, kind, role))


class Relay:
    """Listens at an address of its own and connects to a destination."""

    def __init__(self, world, target):
        self.target = target.uri
        self.uri = world.uri()
        self.listener = listen(self.uri)
        self.listener.settimeout(None)
        self.changed = threading.Condition()
        self.held = {}              # role: from which address on pages wait
        self.asked = set()          # pages that were asked for
        # (SOURCE or TARGET, kind), and a role if only one is meant
        self.stop_at = self.cut_at = None
        self.edit = {}
        self.heard = []             # (who, role, kind, a, b)
        self.passed = 0             # how many were, when hold_answers() began
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

    def _held(self, who, role, m):
        if self.closed:
            return False
        return at(self.stop_at, who, m.kind, role) or \
            who == SOURCE and self.committed and role in self.held \
            and m.a >= self.held[role] \
            and (role != DEMAND or m.a in self.asked)

    def _note(self, who, role, m):
        """Enter it, let it wait if it must. Return: True to cut here."""
        with self.changed:
            self.heard.append((who, role, m.kind, m.a, m.b))
            if m.kind == REQUEST:
                self.asked.add(m.a)
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._held(who, role, m))
            return at(self.cut_at, who, m.kind, role)

    def _pass_on(self, who, here, there, role):
        here.sock.settimeout(None)
        try:
            while True:
                m = here.hear()
                if m.kind == HELLO:
                    role[0] = parse_hello(m.body)[1]
                if self._note(who, role[0], m):
                    self.cut()
                    return
                if m.kind == COMMIT:
                    self.committed = True
                edit = self.edit.get((m.kind, role[0])) or self.edit.get(
                    m.kind, lambda same: [same])
                for out in edit(m):
                    there.say(out)
        except (Closed, Failed):
            here.shut()
            there.shut()

    def hold(self, *roles):
        """Hold back what the source sends after COMMIT."""
        with self.changed:
            self.held = dict.fromkeys(roles or [MAIN, PUSH], 0)

    def hold_answers(self, low=0):
        """Hold back the answers for pages from an address on, as well."""
        with self.changed:
            self.hold(MAIN, PUSH)
            self.held[DEMAND] = low
            self.passed = len(self.heard)

    def unanswered(self):
        """Wait until such an answer is held back. Return: the page's address."""
        def there():
            return [h[3] for h in self.heard[self.passed:]
                    if h[:2] == (SOURCE, DEMAND)
                    and h[3] >= self.held[DEMAND] and h[3] in self.asked]
        with self.changed:
            if not self.changed.wait_for(there, WAIT):
                raise Failed("no answer was held back")
            return there()[0]

    def release(self):
        with self.changed:
            self.held, self.stop_at = {}, None
            self.changed.notify_all()

    def cut(self, only=None):
        """Cut the connections of a role, or all, as a failing network would.

        What is held back stays so if only one role is cut.
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
        """Wait for a message. Return: all such; they may not have passed yet."""
        def there():
            return [h for h in self.heard[since:] if h[2] == kind]
        with self.changed:
            if not self.changed.wait_for(there, WAIT):
                raise Failed(f"no {NAMES[kind]} came by")
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
