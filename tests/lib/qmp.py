# SPDX-License-Identifier: MIT
"""A client of a machine's control socket, which keeps all events."""

import json
import socket
import threading
import time

from errors import WAIT, Failed


class QmpError(Exception):
    """The machine answered a command with an error."""

    def __init__(self, error):
        super().__init__(error["desc"])
        self.kind = error["class"]
        self.desc = error["desc"]


class Qmp:
    """One connection. A thread of its own sorts answers from events."""

    def __init__(self, path, alive):
        self.socket = self._connect(path, alive)
        self.changed = threading.Condition()
        self.events = []
        self.answers = {}
        self.closed = False
        self.next_id = 0
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.execute("qmp_capabilities")

    @staticmethod
    def _connect(path, alive):
        end = time.monotonic() + WAIT
        while True:
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(path)
                return s
            except OSError as e:
                s.close()
                if not alive() or time.monotonic() > end:
                    raise Failed(f"no control socket {path}: {e}") from e
            time.sleep(0.01)

    def _read(self):
        try:
            for line in self.socket.makefile("r", encoding="utf-8"):
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _take(self, message):
        with self.changed:
            if "event" in message:
                self.events.append(message)
            elif "id" in message:
                self.answers[message["id"]] = message
            self.changed.notify_all()

    def wait(self, ready, what, timeout=WAIT):
        """Wait until ready() gives something true; give that."""
        end = time.monotonic() + timeout
        with self.changed:
            while not (found := ready()):
                if self.closed:
                    raise Failed(f"the connection ended instead of {what}")
                if not self.changed.wait(end - time.monotonic()):
                    raise Failed(f"timed out while waiting for {what}")
        return found

    def execute(self, command, timeout=WAIT, **arguments):
        """Run a command, give what it returns. Raises QmpError."""
        with self.changed:
            self.next_id += 1
            number = self.next_id
        message = {"execute": command, "id": number}
        if arguments:
            message["arguments"] = arguments
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as e:
            raise Failed(f"{command}: the connection ended: {e}") from e
        answer = self.wait(lambda: self.answers.pop(number, None),
                           f"the answer to {command}", timeout)
        if "error" in answer:
            raise QmpError(answer["error"])
        return answer["return"]

    def seen(self, event, **data):
        """All events of a name so far whose data match."""
        with self.changed:
            return [e["data"] for e in self.events if e["event"] == event and
                    all(e["data"].get(k) == v for k, v in data.items())]

    def wait_event(self, event, timeout=WAIT, **data):
        """Wait for an event, which may have come already; give its data."""
        return self.wait(lambda: self.seen(event, **data),
                         f"event {event} {data}", timeout)[0]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.socket.close()
