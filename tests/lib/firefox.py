# SPDX-License-Identifier: MIT
"""A page in headless Firefox, by WebDriver BiDi, which Firefox speaks itself:
Debian has no geckodriver."""

import json
import os
import shutil
import signal
import subprocess
import time

from browser import KEYS, Page
from errors import WAIT, Skip, check

SCHEMES = {"dark": 0, "light": 1}


class Firefox(Page):
    """A page of `ferry web` in firefox-esr.

    Tests change the colour scheme of a page that is open. WebDriver BiDi has
    no command for that, a preference of Firefox does it: so the session may
    also run scripts in the browser's own window (moz:scope).
    """

    def __init__(self, world, url):
        try:
            import websocket
        except ImportError as e:
            raise Skip("python3-websocket is not installed: "
                       "scripts/install-deps browser") from e
        if not shutil.which("firefox-esr"):
            raise Skip("firefox-esr is not installed: scripts/install-deps "
                       "browser")
        self.profile = world.path("firefox")
        os.mkdir(self.profile)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "firefox-esr", "--headless",
             "--no-remote", "--profile", self.profile,
             "--remote-debugging-port", "0", "--remote-allow-system-access",
             "about:blank"],
            env={**world.env, "HOME": self.profile,
                 "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        world.closers.insert(0, self.end)
        self.commands = 0
        self.log = []
        self.socket = websocket.create_connection(
            f"ws://127.0.0.1:{self.port()}/session", timeout=WAIT,
            suppress_origin=True)
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.window = self.first_context(**{"moz:scope": "chrome"})
        self.page = self.first_context()
        self.ask("browsingContext.navigate", context=self.page, url=url,
                 wait="complete")

    def port(self):
        """Where it listens: it writes that to a file of its profile."""
        path = os.path.join(self.profile, "WebDriverBiDiServer.json")
        end = time.monotonic() + WAIT
        while True:
            try:
                with open(path, encoding="utf-8") as f:
                    return json.load(f)["ws_port"]
            except (FileNotFoundError, ValueError):
                check(self.process.poll() is None, "firefox has ended")
                check(time.monotonic() < end, "firefox does not listen")
                time.sleep(0.05)

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, method, **params):
        """Run a command. Return: its result."""
        self.commands += 1
        self.socket.send(json.dumps({"id": self.commands, "method": method,
                                     "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != \
                self.commands:
            check(answer["type"] == "event", answer)
            self.log.append(answer["params"]["text"])
        check(answer["type"] == "success", method, answer)
        return answer["result"]

    def first_context(self, **params):
        return self.ask("browsingContext.getTree",
                        **params)["contexts"][0]["context"]

    def run(self, context, code, args):
        """Run the body of a function there. Return: its value. Arguments and
        value travel as JSON."""
        answer = self.ask(
            "script.callFunction", target={"context": context},
            awaitPromise=False,
            arguments=[{"type": "string", "value": json.dumps(args)}],
            functionDeclaration="args => JSON.stringify((function () {"
            f"{code}\n}}).apply(null, JSON.parse(args))) ?? 'null'")
        check(answer["type"] == "success", code, answer)
        return json.loads(answer["result"]["value"])

    def js(self, code, *args):
        return self.run(self.page, code, args)

    def press(self, *keys):
        self.ask("input.performActions", context=self.page, actions=[{
            "type": "key", "id": "keyboard", "actions": [
                {"type": what, "value": KEYS.get(key, key)}
                for key in keys for what in ("keyDown", "keyUp")]}])

    def scheme(self, name):
        self.run(self.window, "Services.prefs.setIntPref('layout.css.prefers-"
                 "color-scheme.content-override', arguments[0])",
                 [SCHEMES[name]])

    def resize(self, width, height):
        self.ask("browsingContext.setViewport", context=self.page,
                 viewport={"width": width, "height": height},
                 devicePixelRatio=1)

    def log_is_empty(self):
        self.js("")         # events that happened before come before its answer
        check(not self.log, "the browser's console log:", self.log)
