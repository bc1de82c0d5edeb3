# SPDX-License-Identifier: MIT
"""A control socket without a machine: answers that a test chooses, for tests
of the clients of QMP that need no KVM."""

import json
import socket
import threading
import time

from errors import WAIT, check


class FakeMachine:
    """It listens at a path, and answers in threads, one for each client.

    answers: by command a value, or a function that receives the arguments and
    returns one. asked: how often each command was received.
    """

    def __init__(self, world, path, **answers):
        self.answers = {"qmp_capabilities": {}, "query-chardev": [],
                        **{k.replace("_", "-"): v for k, v in answers.items()}}
        self.changed = threading.Condition()
        self.asked = {}
        self.sending = threading.Lock()
        self.clients = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        world.closers.append(self.end)
        threading.Thread(target=self.accept, daemon=True).start()

    def end(self):
        for s in self.listener, *self.clients:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self.serve, args=(client,),
                             daemon=True).start()

    def serve(self, client):
        try:
            self.send(client, {"QMP": {"version": {}, "capabilities": []}})
            for line in client.makefile("r", encoding="utf-8"):
                self.answer(client, json.loads(line))
        except (OSError, ValueError):
            pass

    def answer(self, client, request):
        command = request["execute"]
        answer = self.answers.get(command)
        if answer is None:
            value = {"error": {"class": "CommandNotFound", "desc": command}}
        else:
            value = {"return": answer(request.get("arguments", {}))
                     if callable(answer) else answer}
        self.send(client, {**value, "id": request["id"]})
        with self.changed:
            self.asked[command] = self.asked.get(command, 0) + 1
            self.changed.notify_all()

    def send(self, client, message):
        with self.sending:
            client.sendall(json.dumps(message).encode() + b"\n")

    def emit(self, event):
        """Send an event to each client."""
        for client in self.clients:
            self.send(client, {"event": event, "timestamp":
                               {"seconds": int(time.time()),
                                "microseconds": 0}})

    def wait_asked(self, command, n):
        """Wait until a command was answered n times more."""
        with self.changed:
            wanted = self.asked.get(command, 0) + n
            check(self.changed.wait_for(
                lambda: self.asked.get(command, 0) >= wanted, WAIT),
                f"no {command} comes")
