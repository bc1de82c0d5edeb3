# SPDX-License-Identifier: MIT
"""A client of a machine's control socket. It keeps all events."""

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
    """One connection. A thread separates answers from events."""

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
        """Wait until ready() is true. Return: its value."""
        end = time.monotonic() + timeout
        with self.changed:
            while not (found := ready()):
                if self.closed:
                    raise Failed(f"the connection ended instead of {what}")
                if not self.changed.wait(end - time.monotonic()):
                    raise Failed(f"timed out while waiting for {what}")
        return found

    def execute(self, command, timeout=WAIT, **arguments):
        """Run a command. Return: what it returns. Raises QmpError."""
        answer, = self.execute_all((command, arguments), timeout=timeout)
        if isinstance(answer, QmpError):
            raise answer
        return answer

    def execute_all(self, *commands, timeout=WAIT):
        """Send several commands (name, arguments) at once.

        The machine runs them one after the other, however slow this process
        is. Return: for each what it returns, or its QmpError.
        """
        with self.changed:
            first = self.next_id + 1
            self.next_id += len(commands)
        lines = []
        for number, (command, arguments) in enumerate(commands, first):
            message = {"execute": command, "id": number}
            if arguments:
                message["arguments"] = arguments
            lines.append(json.dumps(message).encode() + b"\n")
        try:
            self.socket.sendall(b"".join(lines))
        except OSError as e:
            raise Failed(f"{commands[0][0]}: the connection ended: {e}") from e
        result = []
        for number, (command, _) in enumerate(commands, first):
            answer = self.wait(lambda n=number: self.answers.pop(n, None),
                               f"the answer to {command}", timeout)
            result.append(QmpError(answer["error"]) if "error" in answer
                          else answer["return"])
        return result

    def seen(self, event, **data):
        """Data of all events so far that have this name and match @data."""
        with self.changed:
            return [e.get("data", {}) for e in self.events
                    if e["event"] == event and
                    all(e["data"].get(k) == v for k, v in data.items())]

    def when(self, event, **data):
        """Time at which the first such event happened, s since the epoch."""
        with self.changed:
            for e in self.events:
                if e["event"] == event and all(
                        e.get("data", {}).get(k) == v for k, v in data.items()):
                    t = e["timestamp"]
                    return t["seconds"] + t["microseconds"] / 1e6
        raise Failed(f"there was no event {event} {data}")

    def wait_event(self, event, timeout=WAIT, **data):
        """Wait for an event, unless it has arrived already. Return: its
        data."""
        return self.wait(lambda: self.seen(event, **data),
                         f"event {event} {data}", timeout)[0]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()
        self.socket.close()


class FakeMachine:
    """A control socket that serves one client, and answers as a test wants.

    @answers: {command: function(arguments), which returns the answer}; to any
    other command it is empty.
    """

    def __init__(self, path, answers):
        self.answers = answers
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()

    def _serve(self):
        client, _ = self.listener.accept()
        with client, client.makefile("r", encoding="utf-8") as lines:
            client.sendall(b'{"QMP": {"version": {}, "capabilities": []}}\n')
            for line in lines:
                client.sendall(self._answer(json.loads(line)))

    def _answer(self, command):
        function = self.answers.get(command["execute"], lambda _: {})
        answer = {"return": function(command.get("arguments", {})),
                  **({"id": command["id"]} if "id" in command else {})}
        return json.dumps(answer).encode() + b"\n"
