// SPDX-License-Identifier: MIT
// page.js - Connects the server's messages, the model, and what is shown

import { RETIRED, STATES, drawCell, readColours } from "./map.js";
import { Model } from "./model.js";
import { act, recording, stream } from "./net.js";
import { eventsPanel, guestPanel, migrationPanel } from "./panels.js";
import { Player } from "./player.js";
import { Side } from "./side.js";

const byId = (id) => document.getElementById(id);
const model = new Model();
let colours = readColours();
let live = true, fixed = true, poisoning = false, history = [];
let chosen = [null, null], drawn = false, connected = false;

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

const sides = [0, 1].map((i) => new Side(i, {
  problem, poisoning: () => poisoning, live: () => live, fixed: () => fixed,
  chosen: (id) => { chosen[i] = id; show(); },
}));
byId("sides").append(...sides.map((s) => s.root));

function pair() {
  const found = model.pair();
  return [0, 1].map((i) => model.machines.get(chosen[i]) || found[i]);
}

// The sentence of `ferry status`, for the side that has the guest
function sentence(shown) {
  const [a, b] = shown;
  if (!a) return connected ? "No machine is running on this host."
                           : "connecting…";
  const m = a.migration;
  const wait = m?.ferry?.waiting;
  const waits = wait ? ` · waits for ${wait.for}. ${wait.remedy}` : "";
  if (b && m?.ferry?.side === "source") {
    return `${a.id} → ${b.id}: ${m.status}, stage ${m.ferry.stage}` +
      (m["error-desc"] ? ` · ${m["error-desc"]}` : "") + waits;
  }
  const s = a.state;
  return s ? `${a.id}: ${s.status} (${s.libvirt.state}, ` +
             `${s.libvirt.reason})${waits}`
           : `${a.id}: …`;
}

function options(select, ids, value) {
  const key = ids.join("\n");
  if (select.dataset.key !== key) {
    const before = select.value;
    select.replaceChildren(...ids.map((id) => new Option(id)));
    select.dataset.key = key;
    select.value = [before, value].find((v) => ids.includes(v)) || ids[0] ||
      "";
  }
}

function controls(shown) {
  const all = [...model.machines.values()].filter((m) => !m.ended);
  const here = ["running", "paused", "prelaunch"];
  const guests = all.filter((m) => here.includes(m.state?.status));
  const waiting = all.filter((m) => m.state?.status === "inmigrate" &&
                                    !m.map);
  for (const node of document.querySelectorAll(".writes"))
    node.hidden = fixed;
  byId("move").hidden = fixed || !all.length;
  const form = byId("move").elements;
  options(form.from, guests.map((m) => m.id), shown[0]?.id);
  const list = byId("destinations");
  options(list, waiting.map((m) => m.id));
  const stale = model.machines.has(form.to.value) &&
    !waiting.some((m) => m.id === form.to.value);
  if ((!form.to.value || stale) && document.activeElement !== form.to)
    form.to.value = waiting[0]?.id || "";
  const source = shown.find((m) => m?.migration?.ferry?.side === "source");
  const status = source?.migration.status;
  byId("migrate").disabled = !guests.length || !form.to.value;
  byId("postcopy").disabled = status !== "active" ||
    source.migration.ferry.stage !== "precopy";
  byId("cut").disabled = status !== "postcopy-active";
  byId("recover").disabled = status !== "postcopy-paused";
  byId("save").disabled = !live;
}

function show() {
  drawn = false;
  const shown = pair(), all = [...model.machines.values()];
  sides.forEach((side, i) => side.set(shown[i], all, model));
  byId("sentence").textContent = sentence(shown);
  const both = shown.filter(Boolean);
  guestPanel(model, both, colours);
  migrationPanel(model, both, colours);
  eventsPanel(model);
  controls(shown);
}

// At most one drawing for each frame
function changed() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(show);
}

const player = new Player(byId("player"), model, changed);

function replay(messages) {
  live = false;
  fixed = true;
  chosen = [null, null];
  player.load(messages);
}

let catching = true, isReplay = false;

function onMessage(msg) {
  if (msg.kind === "hello") {
    fixed = msg.server["read-only"];
    isReplay = msg.server.replay;
    catching = true;
    history = [];
    if (live) model.reset();
  } else if (msg.kind === "live") {
    catching = false;
    if (isReplay) replay(history);
    history = [];
  } else if (isReplay && catching) {
    history.push(msg);
    return;
  } else if (live) {
    model.apply(msg);
  }
  if (!catching) changed();
}

stream(onMessage, () => {
  connected = true;
  problem("");
}, (why) => {
  connected = false;
  if (!live) return false;
  problem(`Not connected: ${why}`);
  return true;
});

async function run(action) {
  try {
    await act(action);
    problem("");
  } catch (why) {
    problem(why.message);
  }
}

byId("demo").onsubmit = (e) => {
  e.preventDefault();
  const f = e.target.elements;
  chosen = [null, null];
  byId("move").elements.to.value = "";
  run({ action: "demo", memory: Number(f.memory.value),
        cpus: Number(f.cpus.value), work: f.work.value });
};

byId("move").onsubmit = (e) => {
  e.preventDefault();
  const f = e.target.elements, to = f.to.value.trim();
  const action = { action: "migrate", id: f.from.value,
                   bandwidth: Number(f.bandwidth.value),
                   passes: f.passes.value };
  action[to.includes(":") ? "uri" : "to"] = to;
  run(action);
};

byId("move").elements.bandwidth.onchange = (e) => {
  const source = pair().find((m) => m?.migration?.ferry?.side === "source");
  if (source && !["completed", "failed", "cancelled"].includes(
      source.migration.status))
    run({ action: "bandwidth", id: source.id,
          bandwidth: Number(e.target.value) });
};

for (const action of ["postcopy", "cut", "recover"])
  byId(action).onclick = () => run({ action, id: pair().find((m) =>
    m?.migration?.ferry?.side === "source").id });

function togglePoison() {
  poisoning = !poisoning;
  byId("poison").setAttribute("aria-pressed", poisoning);
}

byId("poison").onclick = togglePoison;
document.addEventListener("keydown", (e) => {
  if (e.key === "p" && !fixed && !/^(INPUT|SELECT|TEXTAREA)$/.test(
      e.target.tagName)) togglePoison();
});

byId("save").onclick = async () => {
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await recording()],
      { type: "application/x-ndjson" }));
    link.download = `ferry-${new Date().toISOString().slice(0, 19)
      .replaceAll(":", "")}.jsonl`;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (why) {
    problem(why.message);
  }
};

byId("open").onchange = async (e) => {
  const file = e.target.files[0];
  if (!file) return;
  try {
    replay((await file.text()).split("\n").filter(Boolean)
      .map((line) => JSON.parse(line)));
    problem("");
  } catch {
    problem(`${file.name} is not a recording`);
  }
};

function legend() {
  const entries = Object.entries(STATES).map(([letter, [name]]) =>
    [name, letter, 0, false]);
  entries.push(["some pages on demand", "s", 1, false],
               [RETIRED, "p", 0, true]);
  byId("legend").replaceChildren(...entries.map(([name, ...cell]) => {
    const span = document.createElement("span");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 28;
    const g = canvas.getContext("2d");
    g.scale(2, 2);
    drawCell(g, 0, 0, 14, 14, ...cell);
    span.append(canvas, name);
    return span;
  }));
}

legend();
new ResizeObserver(changed).observe(byId("sides"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours = readColours();
  legend();
  changed();
});
// Times since a change grow; single pages are queried
setInterval(() => sides.forEach((s) => s.zoom && s.poll()), 250);
// For the browser tests
window.ferry = { model, sides };
