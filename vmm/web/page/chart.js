// SPDX-License-Identifier: MIT
// chart.js - Lines over time, and a histogram, on a canvas

function prepare(canvas, colours) {
  const scale = devicePixelRatio || 1;
  const height = Number(canvas.getAttribute("data-height") ||
                        canvas.getAttribute("height"));
  canvas.setAttribute("data-height", height);
  canvas.style.height = `${height}px`;
  const width = canvas.clientWidth;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.font = "11px system-ui, sans-serif";
  g.fillStyle = colours.soft;
  return { g, width, height };
}

export function short(n) {
  if (n >= 1e6) return `${+(n / 1e6).toPrecision(3)}M`;
  if (n >= 1e4) return `${+(n / 1e3).toPrecision(3)}k`;
  return `${+n.toPrecision(3)}`;
}

const LEFT = 40, FOOT = 16, HEAD = 6, ROW = 13;

function frame(p, colours, from, to, marks, head) {
  const { g, width, height } = p;
  const x = (t) => LEFT + (t - from) / (to - from) * (width - LEFT - 4);
  g.strokeStyle = colours.line;
  g.lineWidth = 1;
  g.beginPath();
  g.moveTo(LEFT, height - FOOT + .5);
  g.lineTo(width, height - FOOT + .5);
  g.stroke();
  g.fillText(`${((from - to) / 1000).toFixed(0)} s`, LEFT, height - 3);
  g.textAlign = "right";
  g.fillText("now", width, height - 3);
  g.textAlign = "left";
  for (const [i, m] of marks.entries()) {
    if (m.t < from || m.t > to) continue;
    g.strokeStyle = colours.soft;
    g.setLineDash([3, 3]);
    g.beginPath();
    g.moveTo(x(m.t), head);
    g.lineTo(x(m.t), height - FOOT);
    g.stroke();
    g.setLineDash([]);
    const left = x(m.t) > width - 80;
    g.textAlign = left ? "right" : "left";
    g.fillText(m.text, x(m.t) + (left ? -4 : 4), head + 8 + i % 2 * ROW);
    g.textAlign = "left";
  }
  return x;
}

// series: [{name, colour, dash, points: [[t, value]…]}]; log: of the values
export function lines(canvas, colours, { series, from, to, marks, log }) {
  const p = prepare(canvas, colours), { g, width, height } = p;
  const values = series.flatMap((s) => s.points.map((q) => q[1]));
  const top = Math.max(1, ...values);
  const foot = height - FOOT, head = series.length > 1 ? HEAD + 16 : HEAD;
  const room = foot - head - 10;
  const scale = log ? (v) => Math.log(Math.max(v, 1)) / Math.log(top * 1.3)
                    : (v) => v / top;
  const y = (v) => foot - scale(v) * room;
  const x = frame(p, colours, from, to, marks, head);
  g.fillText(short(top), 0, y(top) + 4);
  g.fillText(log ? "1" : "0", 0, foot);
  for (const s of series) {
    g.strokeStyle = g.fillStyle = colours[s.colour];
    g.lineWidth = 1.6;
    g.setLineDash(s.dash || []);
    g.beginPath();
    let last = null;
    for (const [t, v] of s.points) {
      if (t < from) continue;
      if (last === null || t - last > 3000) g.moveTo(x(t), y(v));
      else g.lineTo(x(t), y(v));
      last = t;
    }
    g.stroke();
    g.setLineDash([]);
  }
  g.fillStyle = colours.soft;
  let at = width - 4;
  g.textAlign = "right";
  if (series.length > 1)
    for (const s of [...series].reverse()) {
      g.fillStyle = colours.text;
      g.fillText(s.name, at, HEAD + 4);
      at -= g.measureText(s.name).width + 4;
      g.strokeStyle = colours[s.colour];
      g.setLineDash(s.dash || []);
      g.lineWidth = 2;
      g.beginPath();
      g.moveTo(at - 14, HEAD);
      g.lineTo(at, HEAD);
      g.stroke();
      g.setLineDash([]);
      at -= 24;
    }
  g.textAlign = "left";
}

// counts[i]: of [4·2^i, 8·2^i) µs; marks: [[µs, text]…]
export function histogram(canvas, colours, counts, marks) {
  const p = prepare(canvas, colours), { g, width, height } = p;
  const n = Math.max(12, counts.length), w = (width - 4) / n;
  const top = Math.log1p(Math.max(1, ...counts));
  const foot = height - FOOT;
  g.strokeStyle = colours.line;
  g.beginPath();
  g.moveTo(0, foot + .5);
  g.lineTo(width, foot + .5);
  g.stroke();
  for (let i = 0; i < n; i++) {
    const h = Math.log1p(counts[i] || 0) / top * (foot - 26);
    g.fillStyle = colours.pushed;
    if (h) g.fillRect(i * w + 1, foot - Math.max(h, 1.5), w - 2, Math.max(h, 1.5));
    if (i % 2) continue;
    g.fillStyle = colours.soft;
    const us = 4 * 2 ** i;
    g.fillText(us < 1000 ? `${us}µs` : us < 1e6 ?
      `${Math.round(us / 1024)}ms` : `${Math.round(us / 2 ** 20)}s`,
      i * w, height - 3);
  }
  marks.forEach(([us, text], row) => {
    const x = Math.max(0, Math.log2(us / 4)) * w;
    g.strokeStyle = colours.text;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x, 4 + row * 8);
    g.lineTo(x, foot);
    g.stroke();
    g.fillStyle = colours.text;
    const left = x > width - 40;
    g.textAlign = left ? "right" : "left";
    g.fillText(text, x + (left ? -3 : 3), 11 + row * 8);
    g.textAlign = "left";
  });
}
