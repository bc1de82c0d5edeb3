# SPDX-License-Identifier: MIT
"""The server of `ferry web`: what it refuses, its limits, its stream."""

import json
import os
import signal
import socket
import time

from browser import Web, need_kvm
from ferry import ROOT, WAIT, check, equal

RECORDING = os.path.join(ROOT, "tests", "web", "recording.jsonl")
QUIT = {"action": "quit", "id": "a"}


def test_the_page_needs_nothing_else(world):
    """Files of the page, and what their headers forbid; no other host is
    named in them."""
    web = Web(world)
    for path in "/", "/style.css", "/page.js", "/model.js", "/map.js":
        status, text, headers = web.ask("GET", path, Ferry_Token=None)
        equal(status, 200, path)
        policy = headers["Content-Security-Policy"]
        for word in "default-src 'none'", "script-src 'self'", \
                    "frame-ancestors 'none'":
            check(word in policy, f"no {word} in {policy}")
        check("unsafe" not in policy, policy)
        equal(headers["X-Content-Type-Options"], "nosniff", "sniffing")
        check("http:" not in text.replace("http://127.0.0.1", "") and
              "https:" not in text, f"{path} names another host")


def test_strangers_are_refused(world):
    web = Web(world)
    ask = web.ask
    equal(ask("GET", "/", Host="evil.example")[0], 403, "another Host")
    equal(ask("GET", "/", Host=f"evil.example:{web.port}")[0], 403, "rebinding")
    equal(ask("GET", "/api/machines", Ferry_Token=None)[0], 401, "no token")
    equal(ask("GET", "/api/stream", Ferry_Token="0" * 32)[0], 401, "token")
    equal(ask("GET", "/api/machines", Origin="http://evil.example")[0], 403,
          "another Origin")
    equal(ask("POST", "/api/act", QUIT, Origin=None)[0], 403, "no Origin")
    equal(ask("POST", "/api/act", QUIT, Origin="null")[0], 403, "null Origin")
    equal(ask("POST", "/api/act", QUIT, Ferry_Token=None)[0], 401, "no token")
    equal(ask("GET", "/api/act")[0], 405, "an action by GET")
    equal(ask("POST", "/api/machines", {})[0], 405, "reading by POST")
    equal(ask("GET", "/../etc/passwd")[0], 404, "a path")
    equal(ask("POST", "/api/act", b"{")[0], 400, "no JSON")
    equal(ask("POST", "/api/act", {"action": "fly", "id": "a"})[0], 400,
          "no action")
    equal(ask("POST", "/api/act", QUIT)[0], 404, "no such machine")
    equal(ask("GET", "/api/pages?id=a&begin=x")[0], 400, "no number")


def test_read_only(world):
    web = Web(world, "--read-only")
    equal(web.ask("POST", "/api/act", QUIT)[0], 403, "an action")
    equal(web.ask("GET", "/api/machines")[0], 200, "reading")


def test_a_remote_address_needs_a_decision(world):
    _, err = world.ferry("web", "--listen", "0.0.0.0:1", status=1)
    check("--allow-remote" in err, err)
    _, err = world.ferry("web", "--listen", "8080", status=1)
    check("HOST:PORT" in err, err)


def test_limits(world):
    """Large bodies and headers, many pages, silent connections."""
    web = Web(world)
    with socket.create_connection(("127.0.0.1", web.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 60000 +
                  b"\r\n\r\n")
        answer = s.recv(100)
        check(b" 200 " not in answer, f"60 KB of headers: {answer}")
    try:
        status = web.ask("POST", "/api/act", b" " * 200000)[0]
    except (ConnectionError, OSError):
        status = 413
    check(status != 200, "a body of 200 KB")
    open_pages = [web.stream() for _ in range(9)]
    try:
        first = [s.recv(12) for s in open_pages]
        equal(first.count(b"HTTP/1.1 200"), 8, "pages that are served")
        equal(first.count(b"HTTP/1.1 503"), 1, "pages that are refused")
    finally:
        for s in open_pages:
            s.close()
    silent = [socket.create_connection(("127.0.0.1", web.port))
              for _ in range(300)]
    for s in silent:
        s.close()
    end = time.monotonic() + WAIT
    while web.ask("GET", "/")[0] != 200:
        check(time.monotonic() < end, "no answer after many connections")


def test_what_a_page_sends_is_bounded(world):
    """Bytes after a request are not read for ever."""
    web = Web(world)
    with web.stream() as s:
        s.settimeout(WAIT)
        check(s.recv(100).startswith(b"HTTP/1.1 200"), "the stream")
        s.settimeout(2)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += s.send(bytes(1 << 20))
        except socket.timeout:
            pass
        check(sent < 64 << 20, "64 MiB were read")
    equal(web.ask("GET", "/")[0], 200, "another connection")


def test_replays_are_checked(world):
    path = world.path("bad")
    with open(path, "w", encoding="ascii") as f:
        f.write('{"t":1,"kind":"a"}\n<script>\n')
    _, err = world.ferry("web", "--replay", path, status=1)
    check("line 2" in err, err)
    _, err = world.ferry("web", "--replay", world.path("none"), status=1)
    check("No such file" in err, err)
    web = Web(world, "--replay", RECORDING)
    with open(RECORDING, encoding="utf-8") as f:
        equal(web.ask("GET", "/api/recording")[1], f.read(), "the recording")


def test_recordings_are_not_copied(world):
    """Connections that do not read the recording share one."""
    path = world.path("long")
    with open(path, "w", encoding="ascii") as f:
        for i in range(240):
            f.write('{"t":%d,"kind":"a","x":"%s"}\n' % (i, "x" * 32000))
    web = Web(world, "--replay", path)
    for _ in range(30):
        s = socket.create_connection(("127.0.0.1", web.port))
        world.closers.insert(0, s.close)
        s.settimeout(WAIT)
        s.sendall(f"GET /api/recording HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                  f"Ferry-Token: {web.token}\r\n\r\n".encode())
        equal(s.recv(12), b"HTTP/1.1 200", "answer")
    kib = memory(web.process.pid)
    check(kib < 100 << 10, f"30 answers of 7.5 MiB: {kib} KiB")
    equal(len(web.ask("GET", "/api/recording")[1]), os.path.getsize(path),
          "bytes of one that is read")


def memory(pid):
    """The memory that a process has, KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("VmRSS:"))


def messages(web, *wanted):
    """The stream, until a message of each kind has come. Return: all."""
    s, data, end = web.stream(), b"", time.monotonic() + WAIT
    s.settimeout(WAIT)
    with s:
        while time.monotonic() < end:
            data += s.recv(65536)
            text = data.decode(errors="replace")
            found = [json.loads(x.split("data: ", 1)[1]) for x in
                     text.split("\n\n")[:-1] if "data: " in x]
            if all(any(w(m) for m in found) for w in wanted):
                return found
    return check(False, f"no such message in: {text[-500:]}")


def test_machines_are_followed(world):
    """Found as by `ferry list`; state, map, console and events arrive; nothing
    is sent while nothing changes."""
    need_kvm()
    web = Web(world)
    a = world.run("work=idle mib=16 period_us=1000000", "--serial", "none",
                  memory="32M")
    found = messages(web, lambda m: m["kind"] == "console" and
                     "ready" in m["text"], lambda m: m["kind"] == "machine",
                     lambda m: m["kind"] == "migration",
                     lambda m: m["kind"] == "pages" and m["pages"]["whole"])
    equal({m.get("id") for m in found} - {None}, {"a"}, "machines")
    a.qmp.execute("stop")
    messages(web, lambda m: m["kind"] == "event" and
             m["event"]["event"] == "STOP")
    with web.stream() as s:
        s.settimeout(1.5)
        quiet = b""
        try:
            while True:
                quiet = s.recv(1 << 20)
        except socket.timeout:
            pass
        time.sleep(1.2)         # holes are looked up once a second
        s.settimeout(2)
        try:
            quiet = s.recv(1 << 20)
            check(False, f"sent though nothing has changed: {quiet}")
        except socket.timeout:
            pass
    a.qmp.execute("quit")
    messages(web, lambda m: m["kind"] == "ended")


def test_nothing_outlives_it(world):
    """The demonstration ends with the server, also when that is killed."""
    need_kvm()
    for how in signal.SIGTERM, signal.SIGKILL:
        web = Web(world, "--demo")
        messages(web, lambda m: m["kind"] == "machine")
        children = subprocesses(web.process.pid)
        equal(len(children), 2, "machines of the demonstration")
        web.process.send_signal(how)
        web.process.wait(WAIT)
        end = time.monotonic() + WAIT
        while any(os.path.exists(f"/proc/{pid}/exe") for pid in children):
            check(time.monotonic() < end, "a machine outlives the server")
            time.sleep(0.05)


def subprocesses(pid):
    path = f"/proc/{pid}/task/{pid}/children"
    with open(path, encoding="ascii") as f:
        return [int(x) for x in f.read().split()]
