// The last minute of a person's expressions, or of everybody's mean: a line for each, on a canvas.

import { colour, dash } from "/static/mien/emotions.js";

const SPAN_S = 60;
const MARGIN = { left: 40, right: 10, top: 8, bottom: 22 };
export const EVERYBODY = "mean";

export class Chart {
  #canvas; #pen; #labels = []; #lines = new Map(); #seen = new Map(); #width = 0; #height = 0;
  shown = {}; // label: whether its line is drawn
  chosen = EVERYBODY; // or the number of a person
  break_s = 1; // a longer time without the face is a gap in its lines

  constructor(canvas) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
  }

  set labels(labels) {
    this.#labels = labels;
    this.shown = Object.fromEntries(labels.map((label) => [label, true]));
  }

  clear() {
    this.#lines.clear();
    this.#seen.clear();
  }

  /** The faces of one answer; `captured_s` rises. */
  add(captured_s, faces) {
    const put = (key, values) => {
      if (!this.#lines.has(key)) this.#lines.set(key, []);
      this.#lines.get(key).push({ t: captured_s, values });
    };
    for (const face of faces) {
      put(face.track, face.smoothed);
      this.#seen.set(face.track, captured_s);
    }
    if (faces.length) put(EVERYBODY, this.#labels.map((_, k) => faces.reduce((sum, face) => sum + face.smoothed[k], 0) / faces.length));
    for (const [key, line] of this.#lines) {
      while (line.length && line[0].t < captured_s - SPAN_S - 5) line.shift();
      if (!line.length && key !== this.chosen) this.#lines.delete(key);
    }
  }

  /** The numbers of those seen in the span, the lowest first. */
  get people() {
    return [...this.#lines.keys()].filter((key) => key !== EVERYBODY).sort((a, b) => a - b);
  }

  /** The newest values of the chosen line, or null where it was not seen for a while. */
  latest(now_s) {
    const last = this.#lines.get(this.chosen)?.at(-1);
    return last && now_s - last.t <= Math.max(this.break_s, 1) ? last.values : null;
  }

  /** What the picture says, in a sentence for those who cannot see it. */
  sentence(now_s) {
    const line = (this.#lines.get(this.chosen) ?? []).filter((point) => point.t > now_s - SPAN_S);
    const who = this.chosen === EVERYBODY ? "Everybody's mean" : `Face ${this.chosen}`;
    if (!line.length) return `${who}: nobody was seen in the last minute.`;
    const means = this.#labels.map((label, k) => [label, line.reduce((sum, point) => sum + point.values[k], 0) / line.length]);
    const most = means.sort((a, b) => b[1] - a[1]).slice(0, 2).map(([label, share]) => `${label} ${Math.round(share * 100)}%`);
    return `${who} in the last minute: most of all ${most.join(", then ")}.`;
  }

  #fit() {
    const scale = window.devicePixelRatio || 1;
    [this.#width, this.#height] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    this.#canvas.width = Math.round(this.#width * scale);
    this.#canvas.height = Math.round(this.#height * scale);
    this.draw(this.now_s ?? 0);
  }

  /** Draws the minute that ends at `now_s`, on the clock of `captured_s`. */
  draw(now_s) {
    this.now_s = now_s;
    const pen = this.#pen, scale = window.devicePixelRatio || 1, style = getComputedStyle(this.#canvas);
    const [muted, edge] = ["--muted", "--line"].map((name) => style.getPropertyValue(name));
    const left = MARGIN.left, top = MARGIN.top, wide = this.#width - left - MARGIN.right, high = this.#height - top - MARGIN.bottom;
    const x = (t) => left + wide * (1 - (now_s - t) / SPAN_S), y = (share) => top + high * (1 - share);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.#width, this.#height);
    pen.font = `12px ${style.fontFamily}`;
    pen.fillStyle = muted;
    pen.strokeStyle = edge;
    pen.lineWidth = 1;
    pen.setLineDash([]);
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      const at = Math.round(y(share)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, at);
      pen.lineTo(left + wide, at);
      pen.stroke();
      pen.fillText(`${share * 100}%`, left - 6, at);
    }
    pen.textBaseline = "alphabetic";
    const words = [[60, "60 s ago", "left"], [30, "30 s", "center"], [0, "now", "right"]];
    for (const [ago, word, align] of words) {
      pen.textAlign = align;
      pen.fillText(word, x(now_s - ago), this.#height - 6);
    }
    const line = this.#lines.get(this.chosen);
    if (!line?.length) return;
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, wide + 1, this.#height);
    pen.clip();
    pen.lineJoin = "round";
    this.#labels.forEach((label, k) => {
      if (!this.shown[label]) return;
      pen.strokeStyle = pen.fillStyle = colour(label, k);
      pen.lineWidth = 2;
      pen.setLineDash(dash(label) ? dash(label).split(" ").map(Number) : []);
      pen.lineDashOffset = (line[0].t % 1000) * -wide / SPAN_S; // the dashes move with the line, not along it
      pen.beginPath();
      let before = null;
      for (const point of line) {
        if (before === null || point.t - before > this.break_s) pen.moveTo(x(point.t), y(point.values[k]));
        else pen.lineTo(x(point.t), y(point.values[k]));
        before = point.t;
      }
      pen.stroke();
    });
    pen.restore();
  }
}
