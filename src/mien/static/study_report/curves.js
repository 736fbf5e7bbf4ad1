// The audience's curves with their bands, over how alike the viewers were and how many were in view; one cursor through all of them.

import { nearest, usualStep } from "../curve.js";
import { colour, dash } from "../emotions.js";
import { h } from "../element.js";
import { clock, percent } from "../format.js";
import { CONFIG, Plot } from "../plot.js";

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const narrow = matchMedia("(max-width: 720px)");
const PAPER_WIDTH = 680, PAPER_HEIGHT = 390; // fits A4 and letter between the page's margins
const LEAST = 0.1; // of 1, from the axis’ lower end to its upper one
const GROUP_DASHES = ["", "8 4", "2 3", "10 3 2 3", "14 4", "5 3 2 3 2 3"];

/** Plotly reads tags and entities in texts; ours mean themselves. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text);

/** A signal's value in words: "43%", valence "+0.43", against the calm face "+12 points". */
export function told(signal, value, corrected = false) {
  if (value === null || value === undefined) return "–";
  const hundredths = Math.round(value * 100), sign = hundredths > 0 ? "+" : hundredths < 0 ? "−" : "";
  if (signal === "valence") return `${sign}${(Math.abs(hundredths) / 100).toFixed(2)}`;
  if (corrected) return `${sign}${Math.abs(hundredths)} point${Math.abs(hundredths) === 1 ? "" : "s"}`;
  return percent(value);
}

/** The dash and the colour of a group's line, by its position. */
export const groupDash = (k) => GROUP_DASHES[k % GROUP_DASHES.length];
export const groupColour = (k) => `var(--g${k % 6})`;

/** "#rrggbb" as see-through. */
const faint = (code, share) => `rgba(${[1, 3, 5].map((i) => parseInt(code.slice(i, i + 2), 16)).join(",")},${share})`;

const dashed = (pattern) => (pattern ? pattern.split(" ").map((n) => `${n}px`).join(",") : "solid");

export class Curves extends Plot {
  /** As Plot; what is drawn comes by `set`. */
  constructor(place, { start, end, step, label, sought, ranged }) {
    super(place, { labels: [], start, end, step, label, sought, ranged });
    this.view = null;
  }

  /**
   * Draws {lines: [{key, name, signal, group, times, mean, low, high}], title, corrected, valence, synchrony, counted, there, steps, times,
   * markers, moments}. `counted` are {group, times, n}, how many each curve is the mean of; `there` is how many were there at all. `group` is the position of a group or null. With a `difference`, {title, times, values, low, high}, of two groups that
   * stands in the place of the synchrony.
   */
  set(view) {
    // A film that is shorter than the window has no curve of it.
    const alike = view.synchrony?.values.some((value) => value !== null) ? view.synchrony : null;
    this.view = { ...view, synchrony: alike };
    this.draw();
    this.place();
  }

  /** What each line is at `t`: [{line, mean, low, high}]. */
  at(t = this.t) {
    return (this.view?.lines ?? []).map((line) => {
      const i = nearest(line.times, t);
      const near = i >= 0 && Math.abs(line.times[i] - t) <= Math.max(2.5 * usualStep(line.times), 0.05);
      return { line, mean: near ? line.mean[i] : null, low: near ? line.low[i] : null, high: near ? line.high[i] : null };
    });
  }

  draw(range) {
    const view = this.view ?? { lines: [], markers: [], moments: [] };
    const x = (times) => times.map((t) => this.x(t));
    const traces = [];
    for (const line of view.lines) {
      const shade = line.group === null ? colour(line.signal) : token(`--g${line.group % 6}`);
      const common = { x: x(line.times), type: "scatter", mode: "lines", connectgaps: false, legendgroup: line.key };
      for (const band of bands(line)) {
        traces.push({
          ...common, x: x(band.times), y: band.edge, fill: "toself", fillcolor: faint(shade, 0.17), line: { width: 0 }, hoverinfo: "skip",
        });
      }
      traces.push({
        ...common, y: line.mean, name: plain(short(line.name, 32)),
        line: { color: shade, width: 2.2, dash: dashed(line.group === null ? dash(line.signal) : groupDash(line.group)) },
        ...(narrow.matches ? { hoverinfo: "none" } : { hovertemplate: view.valence ? "%{y:+.2f}" : view.corrected ? "%{y:+.0%}" : "%{y:.0%}" }),
      });
    }
    if (view.moments.length) {
      traces.push({
        x: x(view.moments.map((m) => m.time_s)), y: view.moments.map((m) => m.y), type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false,
        marker: { symbol: view.moments.map((m) => (m.direction === "down" ? "triangle-down" : "triangle-up")), size: 11, color: token("--ink"), line: { color: token("--bg"), width: 1.5 } },
      });
    }
    const below = view.difference ?? view.synchrony;
    if (below) {
      const { times, values, low, high } = below;
      for (const band of bands({ times, low, high })) {
        traces.push({ x: x(band.times), y: band.edge, yaxis: "y2", type: "scatter", mode: "lines", fill: "toself", fillcolor: faint(token("--muted"), 0.22), line: { width: 0 }, hoverinfo: "skip" });
      }
      traces.push({ x: x(times), y: values, yaxis: "y2", type: "scatter", mode: "lines", line: { color: token("--accent"), width: 1.8 }, hoverinfo: "skip" });
    }
    const row = { yaxis: "y3", type: "scatter", mode: "lines", hoverinfo: "skip" };
    for (const { group, times, n } of view.counted ?? []) {
      const shade = token(group === null ? "--muted" : `--g${group % 6}`), fill = group === null ? { fill: "tozeroy", fillcolor: faint(shade, 0.22) } : {};
      traces.push({ ...row, ...fill, x: x(times), y: n, line: { color: shade, width: 1.2, shape: "hvh", dash: dashed(group === null ? "" : groupDash(group)) } });
    }
    if (view.there) traces.push({ ...row, x: x(view.times), y: view.there, line: { color: token("--muted"), width: 1, shape: "hvh", dash: "dot" } });
    Plotly.react(this.figure, traces, this.layout(range ?? (this.figure.layout ? this.range() : [this.start, this.end])), CONFIG);
  }

  layout(range) {
    const view = this.view ?? { lines: [], markers: [] };
    const layout = super.layout(range);
    const soft = token("--muted"), rule = token("--line");
    const [bottom, top] = extent(view), below = view.difference ?? view.synchrony;
    layout.margin = { l: 62, r: 10, t: view.markers.length ? 62 : 26, b: 28 };
    layout.xaxis.anchor = "y3";
    if (this.paper) Object.assign(layout, { autosize: false, width: PAPER_WIDTH, height: PAPER_HEIGHT });
    const row = (domain, more) => ({ gridcolor: rule, zeroline: false, fixedrange: true, domain, ...more });
    layout.yaxis = row([below ? 0.37 : 0.17, 1], {
      range: [bottom, top], nticks: 6, tickformat: view.valence ? ".1f" : view.corrected ? "+.0%" : ".0%", zeroline: bottom < 0, zerolinecolor: soft, zerolinewidth: 1,
    });
    const values = below ? [...below.values, ...below.low, ...below.high].filter((v) => v !== null) : [0, 1];
    const reach = view.difference ? Math.max(0.1, ...values.map(Math.abs)) * 1.1 : null;
    layout.yaxis2 = row([0.15, 0.27], reach
      ? { range: [-reach, reach], nticks: 3, tickformat: view.valence ? "+.1f" : "+.0%", zeroline: true, zerolinecolor: rule }
      : { range: [Math.min(-0.1, ...values) - 0.05, Math.max(0.3, ...values) + 0.05], dtick: 0.5, tick0: 0, tickformat: ".1f", zeroline: true, zerolinecolor: rule });
    const most = Math.max(1, ...(view.there ?? []), ...(view.counted ?? []).flatMap(({ n }) => n));
    layout.yaxis3 = row([0, 0.075], { range: [0, most * 1.1], tickvals: [0, most], tickformat: "d" });
    const title = (text, y) => ({ text, x: 0, xref: "paper", xanchor: "left", y, yref: "paper", yanchor: "bottom", showarrow: false, font: { size: 12, color: soft } });
    layout.annotations = [
      ...(view.title ? [{ ...title(plain(narrow.matches ? view.title.replace(/.*; /, "") : view.title), 1), yshift: view.markers.length ? 36 : 4 }] : []),
      ...(view.difference ? [title(plain(narrow.matches ? "Difference (grey: by chance)" : `${view.difference.title}; in the grey band it could be by chance`), 0.275)] : []),
      ...(view.synchrony && !view.difference ? [title(narrow.matches ? "How alike (grey: by chance)" : "How alike the viewers’ curves were; in the grey band they could be by chance", 0.275)] : []),
      ...(view.counted ? [title(narrow.matches ? "n: faces in the mean" : view.there ? "n: faces in the mean at each time; dotted: how many were there, those in no curve among them" : "n: faces in the mean at each time", 0.08)] : []),
    ];
    // Where many come or go the mean is another audience's.
    layout.shapes = (view.steps ?? []).map(({ time_s }) => ({ type: "line", xref: "x", yref: "paper", x0: this.x(time_s), x1: this.x(time_s), y0: 0, y1: 1, line: { color: token("--warn"), width: 1.5, dash: "2px,2px" } }));
    layout.annotations.push(...(view.steps ?? []).map(({ time_s, before, after }) => ({
      text: `n ${before} → ${after}`, x: this.x(time_s), xanchor: "left", xshift: 3, y: 1, yref: "paper", yanchor: "top", showarrow: false, font: { size: 11, color: token("--warn") },
    })));
    // Labels of markers stand in two rows, and are left out where there is no room; the line and the table below have them all.
    const free = [-Infinity, -Infinity], span = Math.max(range[1] - range[0], 0.001), wide = Math.max(this.figure.clientWidth - 72, 120);
    for (const marker of view.markers) {
      const line = { color: soft, width: 1, dash: "4px,3px" };
      const place = { xref: "x", yref: "paper", y0: 0, y1: 1, line, layer: "below" };
      if (marker.end_s !== null) layout.shapes.push({ ...place, type: "rect", x0: this.x(marker.time_s), x1: this.x(marker.end_s), fillcolor: faint(soft, 0.08), line: { width: 0 } });
      layout.shapes.push({ ...place, type: "line", x0: this.x(marker.time_s), x1: this.x(marker.time_s) });
      const text = short(marker.label, narrow.matches ? 10 : 22);
      const at = ((marker.time_s - range[0]) / span) * wide, room = text.length * 7.5 + 10;
      const level = free.findIndex((until) => until <= at);
      if (level < 0 || at < 0 || at > wide) continue;
      free[level] = at + room;
      const right = at + room > wide;
      layout.annotations.push({
        text: plain(text), x: this.x(marker.time_s), xanchor: right ? "right" : "left", y: 1, yref: "paper", yanchor: "bottom", yshift: 4 + 16 * level, showarrow: false, font: { size: 12, color: token("--ink") },
      });
    }
    return layout;
  }

  values() {
    return null;
  }

  /** On paper the plot has its own size, and the colours that the page has by then. */
  print(on) {
    this.paper = on;
    Object.assign(this.figure.style, on ? { width: `${PAPER_WIDTH}px`, height: `${PAPER_HEIGHT}px` } : { width: "", height: "" });
    this.draw();
  }

  place() {
    super.place();
    const words = this.at().map(({ line, mean }) => `${line.name} ${told(line.signal, mean, this.view?.corrected)}`).join(", ");
    this.line.setAttribute("aria-valuetext", `${clock(this.t, this.end, this.decimals)}: ${words || "no curve"}`);
  }
}

/** The closed outlines of a line's band, one for each stretch without a gap. */
function bands(line) {
  const out = [];
  let from = null;
  for (let i = 0; i <= line.times.length; i++) {
    const here = i < line.times.length && line.low[i] !== null && line.high[i] !== null;
    if (here && from === null) from = i;
    if (!here && from !== null) {
      const times = line.times.slice(from, i);
      out.push({ times: [...times, ...times.toReversed()], edge: [...line.low.slice(from, i), ...line.high.slice(from, i).toReversed()] });
      from = null;
    }
  }
  return out;
}

/** The ends of the axis: all that is shown, with a little room; an expression's axis begins at 0. */
function extent(view) {
  let low = Infinity, high = -Infinity;
  for (const line of view.lines) {
    for (let i = 0; i < line.times.length; i++) {
      if (line.mean[i] === null) continue;
      low = Math.min(low, line.low[i] ?? line.mean[i]);
      high = Math.max(high, line.high[i] ?? line.mean[i]);
    }
  }
  if (low > high) return [0, 1];
  if (!view.valence && !view.corrected) low = 0;
  // An axis of a few hundredths would make mountains of noise, and its numbers would repeat.
  const lacks = Math.max(0, LEAST - (high - low)) / (view.valence || view.corrected ? 2 : 1);
  high += lacks;
  if (view.valence || view.corrected) low -= lacks;
  const room = (high - low) * 0.06;
  return [low < 0 || view.valence || view.corrected ? Math.max(-1.02, low - room) : -0.005, Math.min(1.02, high + room)];
}

/** A row of stills under the plot, each over the time it shows; `sought(t)` when one is pressed. */
export class Strip {
  constructor(stills, sought) {
    this.stills = stills;
    this.element = h("div", { class: "strip", "aria-hidden": "true" });
    this.element.addEventListener("click", (event) => {
      const at = event.target.dataset?.time;
      if (at) sought(Number(at));
    });
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Shows the stills between two moments. */
  range(from, to) {
    this.shown = [from, to];
    this.draw();
  }

  draw() {
    if (!this.shown || !this.stills.length || !this.element.clientWidth) return;
    const [from, to] = this.shown, slots = Math.max(3, Math.round(this.element.clientWidth / 92)), times = this.stills.map((still) => still.time_s);
    const cells = [];
    for (let k = 0; k < slots; k++) {
      const still = this.stills[nearest(times, from + ((k + 0.5) / slots) * (to - from))];
      const image = h("img", { src: still.image, alt: "", draggable: "false" });
      image.dataset.time = String(still.time_s);
      cells.push(image);
    }
    this.element.replaceChildren(...cells);
  }

  /** The still that is seen at `t`: the last one before it. */
  still(t) {
    const before = this.stills.filter((still) => still.time_s <= t + 0.001);
    return before[before.length - 1] ?? this.stills[0] ?? null;
  }
}
