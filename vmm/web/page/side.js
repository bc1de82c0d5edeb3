// SPDX-License-Identifier: MIT
// side.js - One machine of the page: state, map, zoom, console

import { PageMap, hex, sizeText } from "./map.js";
import { applyPages } from "./model.js";
import { act, pages } from "./net.js";

const ZOOM_PAGES = 4096, ZOOM_MS = 250;

export class Side {
  // hooks: problem(text), poisoning(), live(), fixed(), chosen(id)
  constructor(role, hooks) {
    this.role = role;
    this.hooks = hooks;
    this.zoom = null;           // {begin, map, busy, at}
    const node = document.getElementById("side").content.cloneNode(true);
    this.root = node.querySelector("article");
    this.find = (what) => this.root.querySelector(what);
    this.map = new PageMap(this.find(".map"), {
      details: (text) => { this.find(".details").textContent = text; },
      choose: (gpa, grain) => this.choose(gpa, grain),
      out: () => this.leaveZoom(),
    });
    this.find(".out").onclick = () => this.leaveZoom();
    this.find("select").onchange = (e) => hooks.chosen(e.target.value);
    this.find(".type").onsubmit = (e) => this.type(e);
  }

  async type(e) {
    e.preventDefault();
    const input = e.target.elements.text, text = input.value + "\n";
    input.value = "";
    try {
      await act({ action: "type", id: this.machine.id, text });
    } catch (why) {
      this.hooks.problem(why.message);
    }
  }

  async choose(gpa, grain) {
    if (!this.hooks.poisoning()) {
      if (grain > 4096) this.enterZoom(gpa);
      return;
    }
    try {
      await act({ action: "poison", id: this.machine.id, address: gpa });
      this.hooks.problem("");
    } catch (why) {
      this.hooks.problem(`${hex(gpa)} is not poisoned: ${why.message}`);
    }
  }

  enterZoom(gpa) {
    const overview = this.machine.map;
    const size = Math.min(ZOOM_PAGES * 4096, overview.size);
    if (!this.hooks.live()) {
      this.hooks.problem("A recording has the whole map only: single pages " +
                         "are queried from a machine");
      return;
    }
    const begin = Math.min(Math.floor(gpa / size) * size,
                           overview.begin + overview.size - size);
    this.zoom = { begin, size, map: null, busy: false, at: 0 };
    this.poll();
  }

  leaveZoom() {
    this.zoom = null;
    this.find(".out").hidden = true;
    this.find(".window").textContent = "";
    this.draw();
  }

  // Single pages are queried while they are shown
  async poll() {
    const z = this.zoom, now = performance.now();
    if (!z || z.busy || now - z.at < ZOOM_MS || document.hidden) return;
    z.busy = true;
    z.at = now;
    try {
      const query = { begin: z.begin, size: z.size, grain: 4096 };
      if (z.map) query.cursor = z.map.cursor;
      const answer = await pages(this.machine.id, query);
      z.map = applyPages(answer.whole ? null : z.map, answer, Date.now());
    } catch (why) {
      this.hooks.problem(why.message);
      if (this.zoom === z) this.leaveZoom();
    }
    z.busy = false;
    if (this.zoom === z) this.draw();
  }

  set(machine, all, model) {
    if (this.machine?.id !== machine?.id && this.zoom) this.leaveZoom();
    this.machine = machine;
    this.model = model;
    this.root.hidden = !machine;
    if (!machine) return;
    this.find("h2").textContent = this.title();
    this.choices(all);
    this.find(".state").textContent = this.stateText();
    this.text(machine.console);
    this.draw();
    this.poll();
  }

  title() {
    const side = this.machine.migration?.ferry?.side;
    return side === "source" ? "Source" : side === "destination"
      ? "Destination" : this.machine.map ? "Guest" : "Waiting";
  }

  choices(all) {
    const select = this.find("select"), ids = all.map((m) => m.id);
    if (select.dataset.ids !== ids.join("\n")) {
      select.replaceChildren(...ids.map((id) => new Option(id)));
      select.dataset.ids = ids.join("\n");
    }
    select.value = this.machine.id;
  }

  stateText() {
    const m = this.machine, s = m.state;
    if (m.ended) return m.ended;
    if (!s) return "…";
    const lost = s["poisoned-bytes"] || 0;
    return `${s.status} (${s.libvirt.state}, ${s.libvirt.reason})` +
      (s.memory ? ` · ${sizeText(s.memory)}, ${s.cpus} vCPUs` : "") +
      (lost ? ` · ${lost / 4096} pages poisoned` : "") +
      (m.migration?.status && m.migration.status !== "none"
        ? ` · migration: ${m.migration.status}` : "");
  }

  text(text) {
    const pre = this.find(".console");
    if (pre.dataset.length === String(text.length) &&
        pre.textContent.endsWith(text.slice(-80))) return;
    const bottom = pre.scrollTop + pre.clientHeight > pre.scrollHeight - 30;
    pre.textContent = text.slice(-16384);
    pre.dataset.length = text.length;
    if (bottom) pre.scrollTop = pre.scrollHeight;
  }

  draw() {
    const z = this.zoom, map = z?.map || this.machine?.map;
    this.map.set(map, this.model.retired, z?.map ? Date.now()
                                                 : this.model.now);
    if (!z?.map) return;
    this.find(".out").hidden = false;
    this.find(".window").textContent =
      `${hex(z.begin)} – ${hex(z.begin + z.size - 1)}, one cell a page`;
  }
}
