// SPDX-License-Identifier: MIT
// model.js - What the messages of the server say (no DOM, no network).
// Everything that comes from a machine or a guest is data: it reaches the page
// only as text.

const CONSOLE_MAX = 64 * 1024, EVENTS_MAX = 400, SAMPLES_MAX = 4000;

function parseRuns(map, runs, t) {
  for (const part of runs.split(",")) {
    const colon = part.indexOf(":");
    if (colon < 0) continue;
    let at = Number(part.slice(0, colon));
    for (const run of part.slice(colon + 1).matchAll(/(\d*)([^\d+])(\+?)/g)) {
      const end = Math.min(at + Number(run[1] || 1), map.cells);
      for (; at < end; at++) {
        if (map.letter[at] !== run[2]) map.since[at] = t;
        map.letter[at] = run[2];
        map.mark[at] = run[3] ? 1 : 0;
      }
    }
  }
}

// An answer of query-ferry-pages becomes a map, or changes one
export function applyPages(old, answer, t) {
  let map = old;
  const cells = Math.min(Number(answer.cells) || 0, 65536);
  if (!map || map.begin !== answer.begin || map.grain !== answer.grain ||
      map.cells !== cells) {
    map = { begin: answer.begin, size: answer.size, grain: answer.grain,
            cells, letter: new Array(cells).fill("x"),
            mark: new Uint8Array(cells), since: new Float64Array(cells) };
    map.since.fill(t);
  }
  map.cursor = answer.cursor;
  map.pages = answer.pages || {};
  parseRuns(map, String(answer.runs), t);
  return map;
}

// "kind key=value …": [kind, {key: value}]
function parseLine(line) {
  return [line.split(" ", 1)[0],
          Object.fromEntries([...line.matchAll(/(\w+)=(\S*)/g)]
            .map((m) => [m[1], m[2]]))];
}

function bounded(list, item, max) {
  list.push(item);
  if (list.length > max) list.splice(0, list.length - max);
}

export class Model {
  constructor() {
    this.reset();
  }

  reset() {
    this.machines = new Map();
    this.events = [];
    this.samples = [];    // {t, speed, stall} of the guest
    this.flow = [];       // {t, demand, push, zero, poison} MB/s
    this.histogram = null;
    this.retired = new Map();   // gpa → time: the guest retired the page
    this.checks = [];           // machine checks that the guest saw
    this.verdict = null;
    this.report = null;
    this.begin = 0;
    this.now = 0;
  }

  machine(id) {
    let m = this.machines.get(id);
    if (!m) {
      m = { id, state: null, migration: null, map: null, console: "",
            partial: "", ended: null, touched: 0, last: null, flow: null };
      this.machines.set(id, m);
    }
    return m;
  }

  apply(msg) {
    const kinds = { machine: "onMachine", migration: "onMigration",
                    pages: "onPages", event: "onEvent", console: "onConsole",
                    ended: "onEnded", action: "onAction" };
    const handler = Object.hasOwn(kinds, msg.kind) && kinds[msg.kind];
    if (typeof msg.t === "number") {
      this.begin = this.begin || msg.t;
      this.now = Math.max(this.now, msg.t);
    }
    if (handler && typeof msg.id === "string")
      this[handler](this.machine(msg.id), msg);
  }

  onMachine(m, msg) {
    // Another machine of the same name
    if (m.ended) {
      this.machines.delete(m.id);
      m = this.machine(m.id);
    }
    m.state = msg.machine;
  }

  onMigration(m, msg) {
    const before = m.migration;
    m.migration = msg.migration;
    if (m.migration?.status !== "none") m.touched = msg.t;
    this.measureFlow(m, msg.t, before);
  }

  // From the side that sends, as long as there is one
  measureFlow(m, t, before) {
    const pages = m.migration?.ferry?.pages;
    if (!pages || m.migration.ferry.side !== "source") return;
    // Older machines do not have them
    const connections = (m.migration.ferry.connections || []).map((c) =>
      ({ name: String(c.name), bytes: Number(c.sent) + Number(c.received) }));
    if (m.flow && before?.ferry?.id === m.migration.ferry.id &&
        t > m.flow.t) {
      const f = { t };
      for (const kind of ["demand", "push", "zero", "poison"])
        f[kind] = Math.max(0, pages[kind] - m.flow.pages[kind]) * 4.096 /
                  (t - m.flow.t);
      f.connections = connections.map(({ name, bytes }) => {
        const last = m.flow.connections.find((c) => c.name === name);
        return { name, bytes, rate: Math.max(0, bytes - (last?.bytes || 0)) /
                                    1e3 / (t - m.flow.t) };
      });
      bounded(this.flow, f, SAMPLES_MAX);
    }
    m.flow = { t, pages, connections };
  }

  onPages(m, msg) {
    m.map = applyPages(m.map, msg.pages, msg.t);
  }

  onEvent(m, msg) {
    bounded(this.events, { t: msg.t, id: m.id, name: String(msg.event.event),
                           data: msg.event.data }, EVENTS_MAX);
  }

  onAction(m, msg) {
    bounded(this.events, { t: msg.t, id: m.id, name: "(command)",
                           data: String(msg.action) }, EVENTS_MAX);
  }

  onEnded(m, msg) {
    m.ended = String(msg.why) || "ended";
    bounded(this.events, { t: msg.t, id: m.id, name: "(ended)",
                           data: m.ended }, EVENTS_MAX);
  }

  onConsole(m, msg) {
    const text = String(msg.text);
    if (!m.console) this.continueLine(m);
    m.console = (m.console + text).slice(-CONSOLE_MAX);
    const lines = (m.partial + text).split("\n");
    m.partial = lines.pop().slice(-4096);
    for (const line of lines) this.onLine(m, ...parseLine(line), msg.t);
  }

  // A guest may be handed over in the midst of a line: its rest comes first
  continueLine(m) {
    if (m.migration?.ferry?.side !== "destination") return;
    for (const other of this.machines.values())
      if (other !== m && other.migration?.ferry?.id === m.migration.ferry.id) {
        m.partial = other.partial;
        other.partial = "";
      }
  }

  onLine(m, kind, line, t) {
    if (kind === "boot") {
      this.retired.clear();
      m.last = this.report = this.histogram = this.verdict = null;
      this.checks = [];
    } else if (kind === "report") {
      this.onReport(m, line, t);
    } else if (kind === "mce") {
      this.checks.push({ t, id: m.id, gpa: Number(line.addr) });
    } else if (kind === "retired") {
      this.retired.set(Number(line.addr), t);
    } else if (kind === "verdict") {
      this.verdict = line;
    }
  }

  onReport(m, line, t) {
    const us = Number(line.t_us), pages = Number(line.pages);
    const last = this.report;
    m.touched = Math.max(m.touched, t);
    if (last && us > last.us && pages >= last.pages)
      bounded(this.samples, { t, speed: (pages - last.pages) /
                              (us - last.us) * 1e6,
                              stall: Number(line.stall_max_us) || 0,
                              gap: Number(line.gap_max_us) || 0,
                              moved: last.id !== m.id }, SAMPLES_MAX);
    this.report = { us, pages, id: m.id };
    if (line.stalls)
      this.histogram = line.stalls.split(",").map(Number);
  }

  // Which machines to show: the two sides of the latest migration
  pair() {
    const all = [...this.machines.values()];
    const alive = (m) => !m.ended;
    const key = (m) => (m.migration?.ferry?.id || "");
    const source = all.filter((m) => m.migration?.ferry?.side === "source")
      .sort((a, b) => alive(b) - alive(a) || b.touched - a.touched)[0];
    if (source && (alive(source) || !all.some(alive))) {
      const there = all.find((m) => m !== source && key(m) === key(source));
      if (there) return [source, there];
    }
    const shown = all.filter((m) => alive(m) && m.state);
    const guest = shown.find((m) => m.map) || source || all[0];
    const other = shown.find((m) => m !== guest &&
                             m.state?.status === "inmigrate") ||
      shown.find((m) => m !== guest);
    return [guest, other].filter(Boolean);
  }
}

// Percentile of a histogram whose bucket i begins at 4·2^i µs
export function percentile(histogram, p) {
  const total = histogram.reduce((a, b) => a + b, 0);
  let seen = 0;
  for (let i = 0; i < histogram.length; i++) {
    seen += histogram[i];
    if (total && seen >= total * p) return 4 * 2 ** i * 1.5;
  }
  return 0;
}
