# SPDX-License-Identifier: MIT
"""`ferry web`, and a headless chromium that looks at its page. Firefox is in
firefox.py."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from errors import WAIT, Failed, Skip, check, equal
from ferry import BUILD

DRIVER = "/usr/bin/chromedriver"
# As root chromium needs --no-sandbox; the rest keeps it from calling home
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
         "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--force-device-scale-factor=1"]
# The keys that tests press, as WebDriver numbers them
KEYS = {"ArrowDown": "\ue015", "ArrowRight": "\ue014", "End": "\ue010",
        "Enter": "\ue007", "Escape": "\ue00c", "Home": "\ue011"}


def need_kvm():
    if os.environ.get("FERRY_NO_KVM") or not os.access("/dev/kvm", os.R_OK |
                                                       os.W_OK):
        raise Skip("a live migration needs /dev/kvm (in the lab there is no "
                   "browser); the replay is tested")


class Web:
    """A `ferry web` process of a world."""

    def __init__(self, world, *args, build=BUILD):
        self.port = world.port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", os.path.join(build, "ferry"),
             "web", "--listen", f"127.0.0.1:{self.port}", *args],
            env=world.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True)
        world.closers.append(self.end)
        self.url = self.process.stdout.readline().strip()
        check(self.url.startswith(self.origin + "/#token="),
              f"`ferry web` printed '{self.url}'")
        self.token = self.url.split("=")[1]

    def end(self):
        """End it as Ctrl-C does. Return: its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed("`ferry web` does not end") from None
        self.process.stdout.close()
        return self.process.returncode

    def ask(self, method, path, body=None, **headers):
        """One request. Return: status, body, headers. A header of None is not
        sent."""
        wanted = {"Host": f"127.0.0.1:{self.port}", "Origin": self.origin,
                  "Ferry-Token": self.token,
                  **{k.replace("_", "-"): v for k, v in headers.items()}}
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in wanted.items():
            if value is not None:
                c.putheader(name, value)
        data = None if body is None else (
            body if isinstance(body, bytes) else json.dumps(body).encode())
        if data is not None:
            c.putheader("Content-Length", str(len(data)))
        c.endheaders(data)
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        return r.status, text, dict(r.getheaders())

    def metrics(self):
        """The metrics, in Prometheus' text format."""
        status, text, _ = self.ask("GET", "/metrics", Accept="text/plain",
                                   Origin=None, Ferry_Token=None)
        equal(status, 200, "/metrics")
        return text

    def watch(self, world):
        """Be an open page, until the end of the test: a thread receives what
        is sent."""
        s = self.stream()
        check(s.recv(65536).startswith(b"HTTP/1.1 200"), "no stream")

        def stop():
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

        world.closers.insert(0, stop)

        def receive():
            with s:
                while s.recv(65536):
                    pass

        threading.Thread(target=receive, daemon=True).start()

    def stream(self):
        """A connection that receives the messages."""
        s = socket.create_connection(("127.0.0.1", self.port))
        s.sendall(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{self.port}"
                  f"\r\nFerry-Token: {self.token}\r\n\r\n".encode())
        return s

    def act(self, status=200, **action):
        got, text, _ = self.ask("POST", "/api/act", action)
        equal(got, status, f"status of {action} ({text})")
        return json.loads(text)


class Page:
    """A page of `ferry web` in a browser. A subclass has js(), press(),
    scheme(), resize() and log_is_empty()."""

    def js(self, code, *args):
        """Run the body of a function in the page. Return: its value."""
        raise NotImplementedError

    def wait(self, code, what, timeout=WAIT):
        """Wait until an expression is true. Return: its value."""
        end = time.monotonic() + timeout
        while not (value := self.js("return " + code)):
            check(time.monotonic() < end,
                  f"timed out while waiting for {what}")
            time.sleep(0.05)
        return value

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0])"
                       ".textContent", selector)

    def focus(self, selector):
        self.js("document.querySelector(arguments[0]).focus()", selector)

    def letters(self, side):
        return self.js("return ferry.sides[arguments[0]].machine.map.letter",
                       side)


class Browser(Page):
    """A page in chromium, through chromedriver."""

    def __init__(self, world, url, width=1400, height=1100):
        try:
            from selenium import webdriver
            from selenium.webdriver.chrome.options import Options
            from selenium.webdriver.chrome.service import Service
        except ImportError as e:
            raise Skip("python3-selenium is not installed: "
                       "scripts/install-deps browser") from e
        if not os.path.exists(DRIVER) or not shutil.which("chromium"):
            raise Skip("chromium is not installed: scripts/install-deps "
                       "browser")
        options = Options()
        for flag in [*FLAGS, f"--window-size={width},{height}",
                     "--user-data-dir=" + world.path("chromium")]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # chromedriver ends with this process, and chromium with chromedriver
        wrapper = world.path("chromedriver")
        with open(wrapper, "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {DRIVER} '
                    '"$@"\n')
        os.chmod(wrapper, 0o700)
        self.driver = webdriver.Chrome(service=Service(wrapper),
                                       options=options)
        world.closers.insert(0, self.driver.quit)
        self.driver.get(url)

    def js(self, code, *args):
        return self.driver.execute_script(code, *args)

    def find(self, selector, i=0):
        from selenium.webdriver.common.by import By
        return self.driver.find_elements(By.CSS_SELECTOR, selector)[i]

    def click(self, selector):
        self.find(selector).click()

    def choose(self, selector, value):
        from selenium.webdriver.support.select import Select
        Select(self.find(selector)).select_by_value(value)

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains
        ActionChains(self.driver).send_keys(
            *(KEYS.get(key, key) for key in keys)).perform()

    def click_cell(self, side, cell):
        """Click a cell of the map of a side, 0 or 1."""
        from selenium.webdriver.common.action_chains import ActionChains
        canvas = self.find(".map", side)
        self.js("arguments[0].scrollIntoView()", canvas)
        at = self.js("return ferry.sides[arguments[0]].map.where("
                     "arguments[1])", side, cell)
        size = canvas.size
        ActionChains(self.driver).move_to_element_with_offset(
            canvas, round(at["x"] - size["width"] / 2),
            round(at["y"] - size["height"] / 2)).click().perform()

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": name}]})

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": width < 600})

    def log_is_empty(self):
        log = self.driver.get_log("browser")
        equal(log, [], "the browser's console log")
