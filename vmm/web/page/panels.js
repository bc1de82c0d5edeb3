// SPDX-License-Identifier: MIT
// panels.js - What is shown below the maps: guest, migration, events

import { histogram, lines, short } from "./chart.js";
import { hex, sizeText } from "./map.js";
import { percentile } from "./model.js";

const WINDOW = 60000;   // ms of the charts
const byId = (id) => document.getElementById(id);

function figures(dl, pairs) {
  const wanted = pairs.filter(([, value]) => value !== null);
  const text = JSON.stringify(wanted);
  if (dl.dataset.text === text) return;
  dl.dataset.text = text;
  dl.replaceChildren(...wanted.map(([name, value]) => {
    const div = document.createElement("div");
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = value;
    div.append(dt, dd);
    return div;
  }));
}

function duration(us) {
  return us < 1000 ? `${+us.toPrecision(3)} µs` : us < 1e6
    ? `${+(us / 1e3).toPrecision(3)} ms` : `${+(us / 1e6).toPrecision(3)} s`;
}

const milli = (ms) => ms === undefined ? null : duration(ms * 1e3);

function row(cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const td = document.createElement("td");
    td.append(cell);
    tr.append(td);
  }
  return tr;
}

// When the guest continued on the other side, and other turning points
function marks(model) {
  const wanted = { RESUME: "resumed", STOP: "stopped" };
  const result = [];
  for (const e of model.events) {
    const status = e.name === "MIGRATION" && e.data?.status;
    if (status === "device") result.push({ t: e.t, text: "hand-over" });
    else if (status === "postcopy-paused")
      result.push({ t: e.t, text: "paused" });
    else if (status === "completed" && !result.some((m) =>
             m.text === "completed" && e.t - m.t < 3000))
      result.push({ t: e.t, text: "completed" });
    else if (wanted[e.name] && e.name === "STOP" &&
             e.data?.libvirt?.reason?.endsWith("PAUSED_USER"))
      result.push({ t: e.t, text: wanted[e.name] });
  }
  return result.slice(-6);
}

export function guestPanel(model, pair, colours) {
  const source = pair.find((m) => m.migration?.ferry?.side === "source");
  const gap = model.samples.filter((s) => s.moved).at(-1)?.gap;
  const h = model.histogram || [];
  const p = [.5, .9, .99].map((q) => percentile(h, q));
  const last = model.samples.at(-1);
  figures(byId("figures"), [
    ["speed now", last ? `${short(last.speed)}/s` : "–"],
    ["blackout (host)", milli(source?.migration.ferry["downtime-ms"]) || "–"],
    ["blackout (guest)", gap ? duration(gap) : "–"],
    ["stall p50", p[0] ? duration(p[0]) : "–"],
    ["stall p90", p[1] ? duration(p[1]) : "–"],
    ["stall p99", p[2] ? duration(p[2]) : "–"],
    ["machine checks", String(model.checks.length)],
    ["wrong words", model.verdict ? model.verdict.bad : "–"],
  ]);
  const to = model.now, from = Math.max(model.begin, to - WINDOW) - 1;
  const m = marks(model);
  lines(byId("speed-chart"), colours, { from, to, marks: m, series: [
    { name: "speed", colour: "pushed",
      points: model.samples.map((s) => [s.t, s.speed]) }] });
  lines(byId("stall-chart"), colours, { from, to, marks: m, log: true,
    series: [{ name: "stall", colour: "requested",
               points: model.samples.map((s) => [s.t, s.stall]) }] });
  byId("histogram-caption").textContent =
    `${short(h.reduce((a, b) => a + b, 0))} stalls since boot, by duration ` +
    "(both axes logarithmic)";
  histogram(byId("histogram"), colours, h, p[0] ?
    [[p[0], "p50"], [p[1], "p90"], [p[2], "p99"]] : []);
}

function timeLeft(migration, flow) {
  const rate = flow ? flow.demand + flow.push + flow.zero : 0;
  if (migration?.status !== "postcopy-active" || rate < .01) return null;
  return duration(migration.ram.remaining / rate);
}

function stages(pair) {
  const body = byId("stages").tBodies[0], list = [];
  for (const m of pair)
    for (const [name, ms] of
         Object.entries(m.migration?.ferry?.["stage-ms"] || {}))
      list.push([m.migration.ferry.side, name, ms]);
  const text = JSON.stringify(list);
  if (body.dataset.text === text) return;
  body.dataset.text = text;
  const top = Math.log1p(Math.max(1, ...list.map((s) => s[2] * 100)));
  body.replaceChildren(...list.map(([side, name, ms]) => {
    const bar = document.createElement("div");
    bar.className = "length";
    bar.style.width = `${Math.log1p(ms * 100) / top * 100}%`;
    return row([side, name, ms < 10 ? ms.toFixed(2) : ms.toFixed(0), bar]);
  }));
}

// Megabytes a second, as of the last two answers of the source
function connections(source, flow) {
  const running = ["active", "device", "postcopy-active"]
    .includes(source?.migration.status);
  const table = byId("connections");
  const list = (source && flow?.connections || []).map((c) =>
    [c.name, running ? c.rate.toFixed(c.rate < 10 ? 2 : 0) : "–",
     sizeText(c.bytes)]);
  const text = JSON.stringify(list);
  if (table.dataset.text === text) return;
  table.dataset.text = text;
  table.hidden = !list.length;
  table.tBodies[0].replaceChildren(...list.map(row));
}

export function migrationPanel(model, pair, colours) {
  const source = pair.find((m) => m.migration?.ferry?.side === "source");
  const target = pair.find((m) =>
    m.migration?.ferry?.side === "destination");
  const m = (source || target)?.migration, flow = model.flow.at(-1);
  const n = m?.ferry?.pages, passes = m?.ferry?.precopy;
  const running = m?.status === "postcopy-active";
  const latency = (target || source)?.migration?.ferry?.["demand-latency-us"];
  figures(byId("migration"), [
    ["status", m?.status || "none"],
    ["total time", milli(m?.ferry?.["total-ms"])],
    ["sent", m?.ram ? sizeText(m.ram.total - m.ram.remaining) : null],
    ["remaining", m?.ram ? sizeText(m.ram.remaining) : null],
    ["time left", running ? timeLeft(m, flow) || "…" : null],
    ["precopy passes", passes ? String(passes.passes) : null],
    ["left by the last", passes?.passes ? `${passes.dirty} pages` : null],
    ["on demand", n ? String(n.demand) : null],
    ["pushed", n ? String(n.push) : null],
    ["zero", n ? String(n.zero) : null],
    ["poisoned", n ? String(n.poison) : null],
    ["fault p50", latency?.count ? duration(latency.p50) : null],
    ["fault p99", latency?.count ? duration(latency.p99) : null],
  ]);
  const to = model.now, from = Math.max(model.begin, to - WINDOW) - 1;
  lines(byId("throughput"), colours, { from, to, marks: marks(model), series:
    [["push", "pushed", []], ["demand", "demanded", [6, 3]],
     ["zero", "zero", [2, 2]]].map(([name, colour, dash]) =>
      ({ name, colour, dash,
         points: model.flow.map((f) => [f.t, f[name]]) })) });
  connections(source, flow);
  stages(pair);
}

function eventText(e) {
  const d = e.data;
  if (d === undefined || d === null) return "";
  if (typeof d === "string") return d;
  if (e.name === "MEMORY_FAILURE")
    return `${hex(d.address)}, ${sizeText(d.size)}: ${d.action}, ` +
      d.recipient +
      (d.flags?.["action-required"] ? ", action required" : "");
  return [d.status, d.reason, d.libvirt?.reason, d.action]
    .filter((x) => typeof x === "string").join(", ")
    .replaceAll("VIR_DOMAIN_", "");
}

export function eventsPanel(model) {
  const body = byId("events").tBodies[0], last = model.events.at(-1);
  const key = `${model.events.length} ${last?.t} ${last?.name}`;
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(...model.events.slice(-200).reverse().map((e) => {
    const tr = row([((e.t - model.begin) / 1000).toFixed(2), e.id, e.name,
                    eventText(e)]);
    if (/FAIL|PANIC|paused|LOST/.test(`${e.name} ${eventText(e)}`))
      tr.className = "loud";
    return tr;
  }));
}
