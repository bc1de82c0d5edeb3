# SPDX-License-Identifier: MIT
"""The page in a real browser: a migration by clicks, poison by a click,
recovery, a replay, widths, schemes, the keyboard."""

import os
import re

from browser import Browser, Web, need_kvm
from fake_machine import FakeMachine
from ferry import ROOT, check, equal, soon
from firefox import Firefox

RECORDING = os.path.join(ROOT, "tests", "web", "recording.jsonl")


def source(what):
    """An expression about the machine that a guest leaves."""
    return ("[...ferry.model.machines.values()].some(m => m.migration?.ferry"
            f"?.side === 'source' && {what})")


def status(name):
    return source(f"m.migration.status === '{name}'")


# Notes what the page has received: it may be gone by the time that a test looks
NOTE = """
const apply = ferry.model.apply;
ferry.seen = new Set();
ferry.model.apply = function (msg) {
  apply.call(this, msg);
  for (const m of this.machines.values()) {
    const side = m.migration?.ferry?.side;
    if (side) ferry.seen.add(side + " " + m.migration.status);
    if (side === "destination" && m.map?.letter.includes("m"))
      ferry.seen.add("missing");
    if (m.map?.pages.dirty) ferry.seen.add("dirty");
  }
};"""


def wait_seen(b, what):
    b.wait(f"ferry.seen.has('{what}')", what)


def wait_text(b, selector, text):
    """Wait until an element shows a text. The page draws after the model has
    changed."""
    b.wait(f"document.querySelector('{selector}').textContent.includes("
           f"'{text}')", f"'{text}' in {selector}")


def demo(world, bandwidth, work="dirty"):
    """A demonstration whose guest has filled its memory. Return: browser."""
    need_kvm()
    b = Browser(world, Web(world).url)
    b.wait("!document.getElementById('demo').hidden", "the buttons")
    b.log_is_empty()
    b.js(NOTE)
    b.choose("#demo [name=memory]", "64")
    b.choose("#demo [name=work]", work)
    b.click("#start-demo")
    b.wait("ferry.model.report && ferry.sides[0].machine?.map && "
           "ferry.sides[1].machine", "the guest's first report", 60)
    b.choose("#move [name=bandwidth]", str(bandwidth))
    return b


def poison(b, side, cell):
    """Poison the first page of a cell. Return: its address."""
    b.click("#poison")
    b.click_cell(side, cell)
    b.wait(f"ferry.sides[{side}].machine.map.letter[{cell}] === 'p'",
           "the mark of the poisoned page")
    b.click("#poison")
    return b.js("return ferry.sides[arguments[0]].map.gpa(arguments[1])", side,
                cell)


def finished(b, cells):
    """The migration ends: no cell is missing on the destination, its marks are
    where the guest reports them."""
    b.wait(status("completed"), "the end of the migration", 60)
    b.wait("ferry.sides[1].machine?.map && "
           "!ferry.sides[1].machine.map.letter.some(c => 'mr'.includes(c))",
           "the last missing cell")
    for cell, gpa in cells.items():
        equal(b.letters(1)[cell], "p", f"cell {cell}")
        b.wait(f"ferry.model.retired.has({gpa})", f"the guest to retire {gpa}")
        b.wait(f"ferry.model.checks.some(c => c.gpa === {gpa})",
               f"a machine check at {gpa:#x}")
        b.wait(f"ferry.sides[1].map.retired.has({cell})",
               "a mark where the guest has retired a page")


def type_line(b, text):
    """Type a line for the guest, and wait until the server has it: the page
    sends each in a request of its own, and two may overtake each other."""
    n = "performance.getEntriesByType('resource').filter(e => " \
        "e.name.endsWith('/api/act')).length"
    before = b.js("return " + n)
    b.find(".type input", 1).send_keys(text + "\n")
    b.wait(f"{n} > {before}", f"the answer to '{text}'")


def test_migration_by_clicks(world):
    b = demo(world, 20000000)
    cells = {800: poison(b, 0, 800)}
    b.click("#migrate")
    wait_seen(b, "source postcopy-active")
    wait_seen(b, "missing")
    finished(b, cells)
    equal(b.letters(0)[800], "p", "the source's mark")
    cells[1200] = poison(b, 1, 1200)
    finished(b, cells)
    for gpa in cells.values():
        type_line(b, f"expect {gpa} 1")
    type_line(b, "verdict")
    verdict = b.wait("ferry.model.verdict", "the guest's verdict")
    equal(verdict["clean"], "1", f"clean in {verdict}")
    wait_text(b, "#sentence", "completed")
    b.wait("/blackout .host.[0-9.]+ (µs|ms|s)/.test("
           "document.querySelector('#figures').textContent)", "the blackout")
    b.log_is_empty()


def test_precopy_passes(world):
    """Passes are chosen in the page, the map shows what was written since, and
    a button ends them."""
    b = demo(world, 20000000)
    b.choose("#move [name=passes]", "3")
    b.click("#migrate")
    wait_seen(b, "dirty")
    wait_text(b, "#migration", "precopy passes")
    # Ignored if the third pass has ended
    b.js("document.getElementById('postcopy').click()")
    finished(b, {})
    b.log_is_empty()


def test_cut_and_recover(world):
    # Pages come by the push alone, so there is time to cut
    b = demo(world, 2000000, "idle")
    b.click("#migrate")
    b.wait(status("postcopy-active"), "postcopy")
    b.wait("!document.getElementById('cut').disabled", "the button")
    b.click("#cut")
    b.wait(status("postcopy-paused"), "the pause")
    wait_text(b, "#sentence", "postcopy-paused")
    b.wait("!document.getElementById('recover').disabled", "the button")
    b.click("#recover")
    b.wait(status("postcopy-active"), "the recovery")
    b.choose("#move [name=bandwidth]", "0")
    finished(b, {})
    b.log_is_empty()


def replay(world, browser):
    """A page that plays the recording, without a machine."""
    b = browser(world, Web(world, "--replay", RECORDING).url)
    b.wait("!document.getElementById('player').hidden", "the player")
    b.wait("ferry.sides[0].machine?.map", "a map")
    return b


def replayed(b):
    """The end of the recording, and its beginning again. Both by the
    keyboard."""
    check(b.js("return document.getElementById('demo').hidden"),
          "a replay offers an action")
    b.focus("#seek")
    b.press("End")
    b.wait(status("completed"), "the end of the recording")
    # The page draws what the model has, and sets its sides, with the next frame
    b.wait("ferry.sides.every(s => s.machine?.map && "
           "ferry.model.machines.get(s.machine.id) === s.machine)",
           "the page to be drawn")
    for side in 0, 1:
        letters = b.letters(side)
        check(not {"m", "r"} & set(letters), "a cell is missing at the end")
        check("p" in letters, "no poisoned cell")
        check(colours(b, side) > 3, "the map is not drawn")
    soon(lambda: sorted(b.js("return [...ferry.sides[1].map.retired]")),
         sorted(i for i, c in enumerate(b.letters(1)) if c == "p"),
         "cells that the guest has retired, and poisoned ones")
    wait_text(b, "#sentence", "completed")
    b.press("Home")
    b.wait("!" + status("completed"), "the beginning again")


def colours(b, side):
    """How many colours the map of a side has."""
    return b.js("""
const c = document.querySelectorAll(".map")[arguments[0]];
const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
return new Set(new Uint32Array(data.buffer)).size""", side)


def keys_choose_cells(b):
    """The details follow the cell. A recording has no single pages, and the
    page says so."""
    b.focus(".map")
    for key, cell in ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowDown", None):
        b.press(key)
        at = b.js("return ferry.sides[0].map.at")
        check(at == cell if cell else at > 2, f"cell {at} after {key}")
        gpa = b.js("return ferry.sides[0].map.gpa(arguments[0])", at)
        check(b.text(".details").startswith(f"{gpa:#x} "), b.text(".details"))
    b.press("Enter")
    wait_text(b, "#problem", "A recording has the whole map only")


def fits(b):
    """From a phone to a wall display nothing is cut off, and the dark scheme
    is dark."""
    back = {}
    for scheme in "light", "dark":
        b.scheme(scheme)
        b.wait(f"matchMedia('(prefers-color-scheme: {scheme})').matches",
               f"the {scheme} scheme")
        for width, height in (360, 740), (1280, 900), (3840, 2160):
            b.resize(width, height)
            b.wait(f"innerWidth === {width}", "the width")
            # Canvases are drawn for the new width with the next frame
            b.wait(f"document.documentElement.scrollWidth <= {width}",
                   f"a page that is {width} pixels wide")
        back[scheme] = b.js(
            "return getComputedStyle(document.body).backgroundColor")
    check(brightness(back["light"]) > 200 and brightness(back["dark"]) < 60,
          f"the schemes have {back}")


def brightness(colour):
    """Of "rgb(r, g, b)": 0 to 255."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_connections(world):
    """The page shows what each connection carries, and how fast."""
    sent = 0

    def migration(_):
        nonlocal sent
        sent += 1 << 20
        return {"status": "postcopy-active", "ram": {
                    "total": 1 << 30, "remaining": 1 << 29},
                "ferry": {"side": "source", "id": "00", "stage": "pages",
                          "pages": {"demand": 0, "push": sent >> 12,
                                    "zero": 0, "poison": 0},
                          "connections": [
                              {"name": "main", "sent": 2048, "received": 0},
                              {"name": "push-0", "sent": sent,
                               "received": 0}]}}

    path = world.path("machine.sock")
    FakeMachine(world, path, query_migrate=migration, query_status={
        "status": "postmigrate", "running": False,
        "libvirt": {"state": "", "reason": ""}})
    b = Browser(world, Web(world, "--control", path).url)
    text = "document.querySelector('#connections').innerText"
    b.wait(f"/main\\s+0.00\\s+2 KiB/.test({text})", "the main connection")
    b.wait(f"/push-0\\s+[1-9][0-9.]*\\s+[1-9][0-9]* MiB/.test({text})",
           "the push connection")
    b.log_is_empty()


def test_waiting(world):
    """A machine with no source beside it says what its session waits for."""
    path = world.path("machine.sock")
    FakeMachine(world, path, query_migrate={
        "status": "completed",
        "ferry": {"side": "destination", "id": "00", "stage": "pages",
                  "waiting": {"for": "a question", "ms": 1, "remedy": "none",
                              "automatic": False}}},
        query_status={"status": "running", "running": True,
                      "libvirt": {"state": "x", "reason": "y"}})
    b = Browser(world, Web(world, "--control", path).url)
    wait_text(b, "#sentence", "waits for a question. none")
    b.log_is_empty()


def test_replay(world):
    """A recording, from its file, without a machine."""
    b = replay(world, Browser)
    keys_choose_cells(b)
    replayed(b)
    b.log_is_empty()


def test_widths_and_schemes(world):
    b = replay(world, Browser)
    fits(b)
    b.log_is_empty()


def test_firefox(world):
    """The same in Firefox, of which one start takes long."""
    b = replay(world, Firefox)
    keys_choose_cells(b)
    replayed(b)
    fits(b)
    b.log_is_empty()


def test_keyboard(world):
    """The map by keys: choose a cell, zoom in, out; the details follow."""
    need_kvm()
    b = demo(world, 0)
    b.focus(".map")
    b.press("ArrowDown", "ArrowRight")
    details = b.text(".details")
    check(details.startswith("0x"), f"details: {details}")
    b.press("Enter")
    b.wait("ferry.sides[0].zoom?.map", "single pages")
    equal(b.js("return ferry.sides[0].map.map.grain"), 4096, "grain")
    b.press("Escape")
    b.wait("!ferry.sides[0].zoom", "the whole map")
    b.press("p")
    equal(b.find("#poison").get_attribute("aria-pressed"), "true", "key P")
    b.log_is_empty()
