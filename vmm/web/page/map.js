// SPDX-License-Identifier: MIT
// map.js - The page map of one machine: drawing, pointer, keyboard.
// A state has a shape as well as a colour.

export const STATES = {
  ".": ["never written", "never"], "w": ["here, not moved", "here"],
  "m": ["missing", "missing"], "r": ["requested: a vCPU waits", "requested"],
  "d": ["arrived on demand", "demanded"], "s": ["pushed", "pushed"],
  "z": ["zero", "zero"],
  "o": ["written since it was sent", "dirty"], "p": ["poisoned", "poisoned"],
  "x": ["not RAM", "no-ram"],
};
export const RETIRED = "retired by the guest";

let colours = {};

// The style sheet's variables: once, and when the scheme changes
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["never", "here", "missing", "edge", "requested",
                      "demanded", "pushed", "zero", "dirty", "poisoned",
                      "on-poison",
                      "no-ram", "mark", "text", "soft", "line", "accent",
                      "card"])
    colours[name] = style.getPropertyValue("--" + name).trim();
  return colours;
}

function cross(g, x, y, w, h, colour) {
  g.strokeStyle = colour;
  g.lineWidth = Math.max(1.2, Math.min(w, h) / 7);
  g.beginPath();
  g.moveTo(x + w * .25, y + h * .25);
  g.lineTo(x + w * .75, y + h * .75);
  g.moveTo(x + w * .75, y + h * .25);
  g.lineTo(x + w * .25, y + h * .75);
  g.stroke();
}

// One cell with its upper left corner at x, y
export function drawCell(g, x, y, w, h, letter, mark, retired) {
  const name = (STATES[letter] || STATES.x)[1];
  g.fillStyle = colours[name];
  if (letter === "m") {
    g.strokeStyle = colours.edge;
    g.lineWidth = 1;
    g.strokeRect(x + .5, y + .5, w - 1, h - 1);
  } else if (letter === "r") {
    g.strokeStyle = colours.requested;
    g.lineWidth = Math.max(1.5, w / 5);
    g.strokeRect(x + 1, y + 1, w - 2, h - 2);
  } else if (letter === "z") {
    g.fillRect(x, y + h * .36, w, Math.max(1.5, h * .3));
  } else if (letter === "w") {
    g.fillRect(x, y, w, h);
    g.clearRect(x, y, w * .34, h * .34);
  } else if (letter === "o") {
    g.beginPath();
    g.moveTo(x, y);
    g.lineTo(x + w, y + h);
    g.lineTo(x, y + h);
    g.fill();
  } else {
    g.fillRect(x, y, w, h);
  }
  if (letter === "d" || mark) {
    g.fillStyle = letter === "d" ? colours.mark : colours.demanded;
    const r = Math.max(.8, Math.min(w, h) * (letter === "d" ? .22 : .16));
    g.beginPath();
    g.arc(x + w / 2, y + h / 2, r, 0, 7);
    g.fill();
  }
  if (letter === "p") cross(g, x, y, w, h, colours["on-poison"]);
  if (retired) {
    g.strokeStyle = colours.text;
    g.lineWidth = 1.5;
    g.strokeRect(x + .75, y + .75, w - 1.5, h - 1.5);
  }
}

export const hex = (n) => "0x" + n.toString(16);

export function sizeText(bytes) {
  for (const [unit, n] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 1024]])
    if (bytes >= n) return `${+(bytes / n).toFixed(2)} ${unit}`;
  return `${bytes} bytes`;
}

const RATIO = 2;        // of the map's width to its height, about

export class PageMap {
  // hooks: details(text), choose(gpa, grain, button)
  constructor(canvas, hooks) {
    this.canvas = canvas;
    this.hooks = hooks;
    this.map = null;
    this.at = -1;       // the cell under the pointer or the keyboard
    this.retired = new Set();
    canvas.addEventListener("pointermove", (e) => this.point(e));
    canvas.addEventListener("pointerleave", () => this.select(-1));
    canvas.addEventListener("click", (e) => {
      this.point(e);
      this.choose();
    });
    canvas.addEventListener("keydown", (e) => this.key(e));
    canvas.addEventListener("focus", () => this.select(Math.max(0, this.at)));
  }

  layout() {
    const n = this.map.cells, width = this.canvas.clientWidth;
    let cols = 2 ** Math.round(Math.log2(Math.sqrt(n * RATIO)));
    cols = Math.max(8, Math.min(cols, 2 ** Math.floor(Math.log2(width / 3))));
    const w = width / cols, rows = Math.ceil(n / cols);
    const h = Math.max(3, Math.min(w, 18));
    return { cols, rows, w, h };
  }

  set(map, retired, now) {
    this.map = map;
    this.now = now;
    this.retired.clear();
    if (map)
      for (const gpa of retired.keys())
        if (gpa >= map.begin && gpa < map.begin + map.size)
          this.retired.add(Math.floor((gpa - map.begin) / map.grain));
    this.draw();
    this.describe();
  }

  draw() {
    const c = this.canvas, scale = devicePixelRatio || 1;
    if (!this.map) {
      c.style.height = "0";
      return;
    }
    const l = this.layout(), g = c.getContext("2d");
    c.style.height = `${Math.ceil(l.rows * l.h)}px`;
    const width = Math.round(c.clientWidth * scale);
    const height = Math.round(l.rows * l.h * scale);
    if (c.width !== width || c.height !== height) {
      c.width = width;
      c.height = height;
    }
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, c.width, c.height);
    for (let i = 0; i < this.map.cells; i++) {
      const x = (i % l.cols) * l.w, y = Math.floor(i / l.cols) * l.h;
      const gap = l.w > 5 ? 1 : 0;
      drawCell(g, x, y, l.w - gap, l.h - gap, this.map.letter[i],
               this.map.mark[i], this.retired.has(i));
    }
    if (this.at >= 0 && this.at < this.map.cells) {
      g.strokeStyle = colours.text;
      g.lineWidth = 2;
      g.strokeRect((this.at % l.cols) * l.w,
                   Math.floor(this.at / l.cols) * l.h, l.w - 1, l.h - 1);
    }
    c.setAttribute("aria-label", "Page map. " + this.summary() +
                   " Arrow keys choose a cell, Enter zooms in, Escape out.");
  }

  summary() {
    return Object.entries(this.map.pages).filter(([, n]) => n)
      .map(([name, n]) => `${n} pages ${name}`).join(", ") + ".";
  }

  // The middle of a cell, for tests
  where(cell) {
    const l = this.layout();
    return { x: (cell % l.cols + .5) * l.w,
             y: (Math.floor(cell / l.cols) + .5) * l.h };
  }

  point(e) {
    if (!this.map) return;
    const l = this.layout(), box = this.canvas.getBoundingClientRect();
    const x = Math.floor((e.clientX - box.left) / l.w);
    const y = Math.floor((e.clientY - box.top) / l.h);
    this.select(y * l.cols + Math.max(0, Math.min(x, l.cols - 1)));
  }

  select(cell) {
    if (cell === this.at || !this.map) return;
    this.at = cell;
    this.draw();
    this.describe();
  }

  gpa(cell) {
    return this.map.begin + cell * this.map.grain;
  }

  describe() {
    const m = this.map, i = this.at;
    if (!m || i < 0 || i >= m.cells) {
      this.hooks.details(m ? this.summary() : "");
      return;
    }
    const from = this.gpa(i), pages = m.grain / 4096;
    const [name] = STATES[m.letter[i]] || STATES.x;
    const since = ((this.now - m.since[i]) / 1000).toFixed(1);
    this.hooks.details(hex(from) + (pages > 1 ?
      ` – ${hex(from + m.grain - 1)}, ${pages} pages: ` : ": ") + name +
      (m.mark[i] ? ", some on demand" : "") +
      (this.retired.has(i) ? ", " + RETIRED : "") + `; for ${since} s`);
  }

  choose() {
    if (this.map && this.at >= 0 && this.at < this.map.cells)
      this.hooks.choose(this.gpa(this.at), this.map.grain);
  }

  key(e) {
    if (!this.map) return;
    const l = this.layout();
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -l.cols,
                   ArrowDown: l.cols }[e.key];
    if (step) {
      const to = Math.max(0, this.at) + step;
      if (to >= 0 && to < this.map.cells) this.select(to);
    } else if (e.key === "Enter") {
      this.choose();
    } else if (e.key === "Escape") {
      this.hooks.out();
    } else {
      return;
    }
    e.preventDefault();
  }
}
