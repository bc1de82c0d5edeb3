// SPDX-License-Identifier: MIT
// player.js - Plays a recording into the model, at any speed, from any time

export class Player {
  // form: its controls; changed(): the model is another one now
  constructor(form, model, changed) {
    this.model = model;
    this.changed = changed;
    this.messages = [];
    this.next = 0;
    this.playing = false;
    this.find = (id) => form.querySelector("#" + id);
    this.form = form;
    this.find("play").onclick = () => this.toggle();
    this.find("seek").oninput = (e) =>
      this.seek(this.begin + this.length * e.target.value / 1000);
    form.onsubmit = (e) => e.preventDefault();
  }

  load(messages) {
    this.messages = messages.filter((m) => typeof m.t === "number");
    this.begin = this.messages[0]?.t || 0;
    this.length = Math.max(1, (this.messages.at(-1)?.t || 0) - this.begin);
    this.form.hidden = false;
    this.seek(this.begin);
    this.toggle(true);
  }

  toggle(on = !this.playing) {
    if (on && this.next >= this.messages.length) this.seek(this.begin);
    this.playing = on;
    this.wall = performance.now();
    this.find("play").textContent = on ? "Pause" : "Play";
    if (on) requestAnimationFrame(() => this.tick());
  }

  seek(t) {
    if (t < this.at || !this.next) {
      this.model.reset();
      this.next = 0;
    }
    this.advance(t);
    this.wall = performance.now();
  }

  advance(t) {
    const list = this.messages;
    this.at = t;
    while (this.next < list.length && list[this.next].t <= t)
      this.model.apply(list[this.next++]);
    this.model.now = Math.max(this.model.now, Math.min(t, this.begin +
                                                          this.length));
    this.find("seek").value = (t - this.begin) / this.length * 1000;
    this.find("clock").textContent = `${((t - this.begin) / 1000).toFixed(1)}` +
      ` of ${(this.length / 1000).toFixed(1)} s`;
    this.changed();
  }

  tick() {
    if (!this.playing) return;
    const now = performance.now();
    const t = this.at + (now - this.wall) * Number(this.find("speed").value);
    this.wall = now;
    this.advance(Math.min(t, this.begin + this.length));
    if (this.next >= this.messages.length) this.toggle(false);
    else requestAnimationFrame(() => this.tick());
  }
}
