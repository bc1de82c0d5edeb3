# SPDX-License-Identifier: MIT
"""How often a page is updated, and what is known while nothing changes. The
machine is a fake one: no KVM is needed."""

import contextlib
import http.client
import json
import threading
import time

from browser import Web
from errors import WAIT
from fake_machine import FakeMachine
from ferry import check, equal, soon
from metrics_text import promtool, sample

PAUSED = {
    "status": "postcopy-paused",
    "ram": {"total": 1 << 26, "remaining": 1 << 20, "page-size": 4096,
            "postcopy-requests": 3},
    "ferry": {"side": "destination", "id": "00", "stage": "pages",
              "pages": {"demand": 1, "push": 2, "zero": 3, "poison": 0},
              "recoveries": 0, "stage-ms": {"hello": 1.5}}}


class Changing:
    """A machine of which a page changes between two queries, as long as
    `changes` is true. The paused migration's clocks run in any case."""

    def __init__(self, world):
        self.changes = True
        self.cursor = 0
        self.asked_at = {}          # when, by cursor
        self.begun = time.monotonic()
        self.path = world.path("machine.sock")
        self.fake = FakeMachine(
            world, self.path, query_migrate=self.migration,
            query_status={"status": "paused", "running": False, "libvirt": {}},
            query_ferry_pages=self.pages)

    def pages(self, _):
        runs = ""
        if self.changes or not self.cursor:
            self.cursor += 1
            runs = f"{self.cursor % 64}:1s"
            self.asked_at[self.cursor] = time.monotonic()
        return {"begin": 0, "size": 64 << 12, "grain": 4096, "cells": 64,
                "cursor": self.cursor, "whole": False, "pages": {},
                "runs": runs}

    def migration(self, _):
        ms = (time.monotonic() - self.begun) * 1000
        return {**PAUSED, "total-time": int(ms),
                "ram": {**PAUSED["ram"], "mbps": 1 / (1 + ms)},
                "ferry": {**PAUSED["ferry"], "total-ms": ms,
                          "stage-ms": {"hello": 1.5, "pages": ms},
                          "waiting": {"for": "a link", "ms": int(ms),
                                      "remedy": "wait",
                                      "automatic": True}},
                "libvirt": {"time_elapsed": int(ms)}}


def stream(world, web):
    """The messages that a page which is open from now on receives, as they
    come."""
    s = web.stream()
    world.closers.insert(0, s.close)
    s.settimeout(WAIT)
    return messages_of(s)


def messages_of(s):
    data = b""
    while received := s.recv(65536):
        *parts, data = (data + received).split(b"\n\n")
        for part in parts:
            if b"data: " in part:
                yield json.loads(part.split(b"data: ", 1)[1])


def until_event(messages, name):
    """What comes before an event of a machine."""
    before = []
    for m in messages:
        if m["kind"] == "event" and m["event"]["event"] == name:
            return before
        before.append(m)
    return check(False, f"the stream ends before {name}")


def test_five_updates_a_second(world):
    """Each change arrives, and on a machine that has the time for it six of
    them arrive within a second."""
    machine = Changing(world)
    last, end = None, time.monotonic() + WAIT
    for m in stream(world, Web(world, "--control", machine.path)):
        if m["kind"] != "pages":
            continue
        cursor = m["pages"]["cursor"]
        check(last is None or cursor == last + 1, f"{cursor} after {last}")
        last = cursor
        at = machine.asked_at
        if cursor > 5 and at[cursor] - at[cursor - 5] <= 1:
            return
        check(time.monotonic() < end, "never five updates within a second:",
              list(at.values()))


def test_nothing_is_sent_while_nothing_changes(world):
    """Also not that the clocks of a paused migration run."""
    machine = Changing(world)
    messages = stream(world, Web(world, "--control", machine.path))
    while next(messages)["kind"] != "live":
        pass
    machine.fake.wait_asked("query-ferry-pages", 3)
    machine.changes = False
    machine.fake.wait_asked("query-ferry-pages", 2)
    machine.fake.emit("QUIET")
    check(any(m["kind"] == "pages" for m in until_event(messages, "QUIET")),
          "no page has changed")
    machine.fake.wait_asked("query-ferry-pages", 10)
    machine.fake.emit("OVER")
    equal(until_event(messages, "OVER"), [], "sent though nothing has changed")


class Waiting(Changing):
    """One whose migration is over, and which waits still."""

    def migration(self, _):
        ms = (time.monotonic() - self.begun) * 1000
        return {**PAUSED, "status": "completed", "ferry": {
            **PAUSED["ferry"], "waiting": {"for": "x", "ms": int(ms),
                                           "remedy": "y"}}}


def test_a_wait_after_the_end_is_sent_once(world):
    machine = Waiting(world)
    messages = stream(world, Web(world, "--control", machine.path))
    while next(messages)["kind"] != "live":
        pass
    machine.changes = False
    machine.fake.wait_asked("query-migrate", 3)
    machine.fake.emit("QUIET")
    until_event(messages, "QUIET")
    machine.fake.wait_asked("query-migrate", 5)
    machine.fake.emit("OVER")
    equal(until_event(messages, "OVER"), [], "sent though nothing has changed")


def test_paused_migrations_have_times(world):
    """The metrics have the duration of each stage, so far, while a migration
    is paused, and a page has those of the last change."""
    machine = Changing(world)
    web = Web(world, "--control", machine.path)
    for m in stream(world, web):
        if m["kind"] == "migration":
            break
    equal(m["migration"]["ferry"]["stage-ms"]["hello"], 1.5, "in the page")

    def duration(stage):
        return sample(web.metrics(), "ferry_migration_stage_duration_seconds",
                      stage=stage)

    equal(duration("hello"), 0.0015, "a stage that is over")
    first = duration("pages")
    machine.fake.wait_asked("query-ferry-pages", 3)
    check(duration("pages") > first > 0, "the stage that is paused", first,
          duration("pages"))
    check(sample(web.metrics(), "ferry_migration_duration_seconds") > first,
          "the whole migration")


def test_promtool(world):
    """promtool accepts the metrics of a paused migration."""
    machine = Changing(world)
    web = Web(world, "--control", machine.path)
    soon(lambda: "ferry_migration_stage_duration" in web.metrics(), True,
         "the duration of a stage")
    promtool("check", "metrics", text=web.metrics())


def poison(web, machine, count):
    """Poison pages, as the page does. Return: the status and the answer."""
    return web.ask("POST", "/api/act", {
        "action": "poison", "id": machine.path, "address": 0,
        "count": count})[:2]


def test_long_commands(world):
    """A command that takes longer than a query may is waited for, and the
    machine is followed further."""
    machine = Changing(world)
    web = Web(world, "--control", machine.path)
    machine.fake.wait_asked("query-status", 1)

    def late(args):
        time.sleep(6)           # FOLLOWER_TIMEOUT_MS is 5 s
        return {"poisoned": args["count"], "method": "simulate"}

    machine.fake.answers["ferry-poison"] = late
    status, text = poison(web, machine, 2)
    equal((status, json.loads(text).get("poisoned")), (200, 2), text)
    machine.fake.wait_asked("query-status", 2)
    equal(machine.fake.asked["qmp_capabilities"], 1, "connections")


def test_an_end_waits_for_no_answer(world):
    """`ferry web` ends while a machine owes it an answer that may take
    long: 4096 pages have 50 s."""
    machine = Changing(world)
    web = Web(world, "--control", machine.path)
    machine.fake.wait_asked("query-status", 1)
    asked, over = threading.Event(), threading.Event()
    world.closers.insert(0, over.set)

    def never(_):
        asked.set()
        over.wait()
        return {}

    machine.fake.answers["ferry-poison"] = never
    client = threading.Thread(target=ask_in_vain, args=(web, machine))
    client.start()
    check(asked.wait(WAIT), "the command does not come")
    begun = time.monotonic()
    equal(web.end(), 0, "exit status")
    took = time.monotonic() - begun
    client.join(WAIT)
    check(took < 30, f"`ferry web` took {took:.1f} s to end")


def ask_in_vain(web, machine):
    with contextlib.suppress(OSError, http.client.HTTPException):
        poison(web, machine, 4096)
