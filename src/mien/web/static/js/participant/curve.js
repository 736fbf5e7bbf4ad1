// A participant's own curve: three lines that say the most, and words for those who do not see them.

import { h } from "/static/mien/element.js";
import { dash, stroke, tint } from "/static/mien/emotions.js";
import { w } from "./screen.js";
import { clock, percent, t } from "./texts.js";

const LINES = 3, WIDTH = 640, HEIGHT = 200, EDGE = 4;
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(properties)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** The figures of all films: curve as GET /api/participant/curve gives it. Null where there is nothing to draw. */
export function curves({ films }) {
  const drawn = films.map(figure).filter(Boolean);
  return drawn.length ? h("div", { class: "stack" }, drawn) : null;
}

function figure({ title, times, curves, leads }) {
  const labels = Object.keys(leads);
  if (times.length < 2 || !labels.length) return null;
  // What moves says more than what is always there.
  const spread = Object.fromEntries(labels.map((label) => {
    const there = curves[label].filter((value) => value !== null);
    return [label, Math.max(...there) - Math.min(...there)];
  }));
  const shown = [...labels].sort((a, b) => spread[b] - spread[a]).slice(0, LINES);
  const most = labels.reduce((a, b) => (leads[b] > leads[a] ? b : a));
  const end = times.at(-1), step = Math.min(...times.slice(1).map((time, k) => time - times[k]));
  const x = (time) => (time / end) * WIDTH, y = (value) => EDGE + (1 - value) * (HEIGHT - 2 * EDGE);
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "own-curve", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const value of [0, 0.5, 1]) drawing.append(svg("line", { x1: 0, x2: WIDTH, y1: y(value), y2: y(value), class: "grid-line" }));
  for (const label of shown) {
    let path = "", last = null;
    curves[label].forEach((value, k) => {
      if (value === null) return (last = null);
      const open = last === null || times[k] - last > 2.5 * step;
      path += `${open ? "M" : "L"}${x(times[k]).toFixed(1)} ${y(value).toFixed(1)}`;
      last = times[k];
      return null;
    });
    drawing.append(tint(svg("path", { d: path, class: "curve-line", ...(dash(label) ? { "stroke-dasharray": dash(label) } : {}) }), label));
  }
  const legend = h("div", { class: "row curve-legend" }, shown.map((label) => h("span", {}, stroke(label), w("span", {}, () => t(`emotion.${label}`)))));
  return h(
    "figure", { class: "card stack tight" },
    w("figcaption", { class: "small soft" }, () => t("done.curve_says", { title, label: t(`emotion.${most}`), share: percent(leads[most]) })),
    drawing, h("div", { class: "curve-times" }, h("span", {}, clock(0)), h("span", {}, clock(end))), legend,
  );
}
