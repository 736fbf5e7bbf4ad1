// Boxes, numbers, expressions and bars over the live picture; as the annotated film has them.

import { colour, inkOn, unclear } from "/static/mien/emotions.js";

const PANEL = "rgb(22 24 28 / .72)", TRACK = "rgb(255 255 255 / .16)", LIGHT = "#eceef2", UNCLEAR = "#8a8f98";
const OLD_S = 1.5; // boxes older than this are drawn pale: the face may have moved
const ROW = 15, NAME = 66, BAR = 58, PAD = 7;

const bright = (code) => `rgb(${[1, 3, 5].map((i) => Math.round(parseInt(code.slice(i, i + 2), 16) * 0.7 + 76)).join(" ")})`;
const meets = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

export class Overlay {
  #canvas; #pen; #labels = []; #answer = null; #width = 0; #height = 0;
  mirror = false; bars = true; region = null;

  /** Draws onto `canvas`, which lies exactly over the picture. */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  set labels(labels) {
    this.#labels = labels;
  }

  /** The faces of one answer, or null for none. `at_ms`: when its picture was taken. */
  show(answer, at_ms = 0) {
    this.#answer = answer && { ...answer, at_ms };
    this.draw();
  }

  #fit() {
    const scale = window.devicePixelRatio || 1;
    [this.#width, this.#height] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    this.#canvas.width = Math.round(this.#width * scale);
    this.#canvas.height = Math.round(this.#height * scale);
    this.draw();
  }

  draw() {
    const pen = this.#pen, scale = window.devicePixelRatio || 1;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.#width, this.#height);
    if (!this.#answer) return;
    pen.globalAlpha = performance.now() - this.#answer.at_ms > OLD_S * 1000 ? 0.45 : 1;
    const faces = this.#answer.faces.map((face) => ({ ...face, ...this.#place(face.box) })).sort((a, b) => b.h - a.h);
    const taken = [];
    for (const face of faces) this.#box(face);
    for (const face of faces) this.#label(face, taken);
    if (this.bars) for (const face of faces) this.#barsOf(face, faces, taken);
    pen.globalAlpha = 1;
  }

  /** A box of the picture that was sent → CSS pixels of the shown one. */
  #place([x1, y1, x2, y2]) {
    const part = this.region ?? { x: 0, y: 0, width: 1, height: 1 };
    const across = (x) => part.x + (x / this.#answer.width) * part.width, down = (y) => part.y + (y / this.#answer.height) * part.height;
    const [left, right] = this.mirror ? [1 - across(x2), 1 - across(x1)] : [across(x1), across(x2)];
    const x = Math.max(0, left) * this.#width, y = Math.max(0, down(y1)) * this.#height;
    return { x, y, w: Math.min(1, right) * this.#width - x, h: Math.min(1, down(y2)) * this.#height - y };
  }

  #colour(face) {
    return face.expression ? colour(face.expression, this.#labels.indexOf(face.expression)) : UNCLEAR;
  }

  #box({ x, y, w, h, ...face }) {
    const pen = this.#pen;
    pen.strokeStyle = "rgb(0 0 0 / .55)";
    pen.lineWidth = 4.5;
    pen.strokeRect(x, y, w, h);
    pen.strokeStyle = this.#colour(face);
    pen.lineWidth = 2.5;
    pen.strokeRect(x, y, w, h);
  }

  #label(face, taken) {
    const pen = this.#pen, code = this.#colour(face);
    const share = face.expression ? ` ${Math.round(face.smoothed[this.#labels.indexOf(face.expression)] * 100)}%` : "";
    pen.font = "600 13px system-ui, sans-serif";
    const texts = [`${face.track} ${face.expression || unclear(face)}${share}`, `${face.track}${share}`, `${face.track}`], h = 21;
    const clear = (place) => place.y >= 0 && place.y + h <= this.#height && !taken.some((other) => meets(place, other));
    let place;
    for (const text of texts) {
      const w = pen.measureText(text).width + 12, x = Math.min(Math.max(face.x - 1, 0), Math.max(0, this.#width - w));
      const places = [face.y - h, face.y + face.h, face.y, face.y + face.h - h].map((y) => ({ x, y, w, h, text }));
      place = places.find(clear) ?? { ...places[0], y: Math.min(Math.max(face.y - h, 0), this.#height - h) };
      // The longest text that is free and does not reach far beyond its face.
      if (w <= Math.max(face.w + 90, 60) && clear(place)) break;
    }
    taken.push(place);
    pen.fillStyle = code;
    pen.fillRect(place.x, place.y, place.w, h);
    pen.fillStyle = inkOn(code);
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    pen.fillText(place.text, place.x + 6, place.y + h / 2 + 1);
  }

  #barsOf(face, faces, taken) {
    if (face.h < 56) return; // too small beside it to read
    const pen = this.#pen, blocked = [...taken, ...faces.filter((other) => other !== face)];
    let place, named;
    for (named of [true, false]) {
      const w = (named ? NAME : 0) + BAR + 2 * PAD, row = named ? ROW : 8, h = row * this.#labels.length + 2 * PAD;
      const y = Math.min(Math.max(face.y, 0), this.#height - h);
      const places = [face.x + face.w + 5, face.x - 5 - w].map((x) => ({ x, y, w, h, row }));
      const fits = (place) => place.x >= 0 && place.y >= 0 && place.x + w <= this.#width && !blocked.some((other) => meets(place, other));
      if ((place = places.find(fits))) break;
    }
    if (!place) return;
    taken.push(place);
    pen.fillStyle = PANEL;
    pen.fillRect(place.x, place.y, place.w, place.h);
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    this.#labels.forEach((label, k) => {
      const y = place.y + PAD + k * place.row, x = place.x + PAD + (named ? NAME : 0), thick = place.row * 0.6;
      if (named) {
        pen.fillStyle = LIGHT;
        pen.fillText(label, place.x + PAD, y + place.row / 2 + 0.5, NAME - 6);
      }
      pen.fillStyle = TRACK;
      pen.fillRect(x, y + (place.row - thick) / 2, BAR, thick);
      pen.fillStyle = bright(colour(label, k));
      pen.fillRect(x, y + (place.row - thick) / 2, BAR * face.smoothed[k], thick);
    });
  }
}
