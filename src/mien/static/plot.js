// The plot of every emotion against time, drawn by Plotly, with a cursor over it that can be dragged, clicked and moved by keys.

import { valuesAt, words } from "./curve.js";
import { h } from "./element.js";
import { colour, dash } from "./emotions.js";
import { clock } from "./format.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 720px)");
const coarse = matchMedia("(pointer: coarse)");

// Long films have clock times: Plotly's dates give ticks like 1:02:30 at any zoom. They are counted from a midnight far from 1970
// because Plotly takes a number of four digits for a year.
const MIDNIGHT = Date.UTC(2000, 0, 1);

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A moment as the axis has it: a date where `clock` is set, else seconds. */
export const position = (s, clock) => (clock ? MIDNIGHT + s * 1000 : s);

/** The seconds of a position on the axis, however Plotly writes it. */
export function seconds(x, clock) {
  if (!clock) return Number(x);
  return ((typeof x === "number" ? x : Date.parse(`${x.replace(" ", "T")}Z`)) - MIDNIGHT) / 1000;
}

/** One emotion's line; values are null where nobody is. */
export function lineOf(label, x, y, { shade, pattern = "", visible = true, width = 2 }) {
  // A look between two gaps has no line to either side; it becomes a dot.
  const lone = (v, i) => v !== null && (x.length <= 90 || ((y[i - 1] ?? null) === null && (y[i + 1] ?? null) === null));
  return {
    x, y, name: label, type: "scatter", mode: "lines+markers", connectgaps: false, visible,
    line: { color: shade, width, dash: pattern ? pattern.split(" ").map((n) => `${n}px`).join(",") : "solid" },
    marker: { size: y.map((v, i) => (lone(v, i) ? 5 : 0)), color: shade, line: { width: 0 } },
    ...(narrow.matches ? { hoverinfo: "none" } : { hovertemplate: "%{y:.0%}" }),
  };
}

/** Plotly's layout of shares from 0 to 100% between two moments of the whole time from `start` to `end`. */
export function layoutOf([from, to], { start, end, clock, decimals, margin }) {
  const ink = token("--ink"), soft = token("--muted"), rule = token("--line");
  return {
    margin, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, autosize: true,
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: soft },
    hovermode: "x unified", hoverdistance: -1, dragmode: coarse.matches ? false : "zoom",
    hoverlabel: { bgcolor: token("--surface"), bordercolor: rule, font: { color: ink, size: 12 } },
    xaxis: {
      type: clock ? "date" : "linear", range: [position(from, clock), position(to, clock)], gridcolor: "rgba(0,0,0,0)", zeroline: false,
      linecolor: rule, ticks: "outside", tickcolor: rule, ticklen: 4, nticks: narrow.matches ? 5 : 10, tickangle: 0,
      ticksuffix: clock ? "" : " s", showticksuffix: "all", hoverformat: clock ? "%H:%M:%S.%1f" : `.${decimals}f`,
      tickformatstops: clock ? [
        { dtickrange: [null, 999], value: "%-M:%S.%1f" },
        { dtickrange: [1000, null], value: end < 3600 ? "%-M:%S" : "%-H:%M:%S" },
      ] : undefined,
      showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "solid", spikecolor: rule, spikesnap: "hovered data",
      minallowed: position(start, clock), maxallowed: position(end, clock),
    },
    yaxis: { range: [-0.01, 1.02], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1], gridcolor: rule, zeroline: false, fixedrange: true },
  };
}

/** Calls `draw` when the page's colours or width change, or how it is pointed at. */
export function redrawn(draw) {
  for (const query of [dark, narrow, coarse]) query.addEventListener("change", () => draw());
}

export const CONFIG = { displayModeBar: false, doubleClick: "reset", showTips: false, scrollZoom: false };

export class Plot {
  /**
   * `place` is the element to draw in. start, end: seconds that the axis spans; step: usual seconds between looks; label: what it is
   * called to a screen reader. sought(t): the person moved the cursor to `t`; ranged(from, to, whole): another part is shown.
   */
  constructor(place, { labels, start, end, step, label, sought, ranged = () => {} }) {
    Object.assign(this, { labels, start, end: Math.max(end, start + 0.001), step, sought, ranged });
    this.clock = this.end >= 120;
    this.decimals = step >= 0.1 ? 1 : 2;
    this.shown = Object.fromEntries(labels.map((name) => [name, true]));
    this.curve = { times: [], values: Object.fromEntries(labels.map((name) => [name, []])) };
    this.t = start;
    this.figure = h("div", { class: "plot", "aria-hidden": "true" });
    this.handle = h("span", { class: "cursor-handle" });
    this.line = h(
      "div",
      { class: "cursor", role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": start.toFixed(2), "aria-valuemax": this.end.toFixed(2) },
      this.handle,
    );
    this.frame = h("div", { class: "plot-frame" }, this.figure, this.line);
    place.replaceChildren(this.frame);
    this.draw();
    this.figure.on("plotly_relayout", () => {
      const [from, to] = this.range();
      this.ranged(from, to, Math.abs(from - this.start) + Math.abs(to - this.end) < 0.01);
      this.place();
    });
    this.figure.on("plotly_afterplot", () => this.place());
    redrawn(() => this.draw());
    // Not Plotly's `responsive`: it hears the window alone, and the figure's box changes with what stands beside it, too.
    new ResizeObserver(([{ contentRect: box }]) => box.width && Plotly.Plots.resize(this.figure)).observe(this.figure);
    this.listen();
  }

  x(s) {
    return position(s, this.clock);
  }

  /** The part of time that is shown: [from, to] in seconds. */
  range() {
    return this.figure.layout.xaxis.range.map((x) => seconds(x, this.clock));
  }

  /** Shows another curve: {times, values}. The part of time that is shown stays. */
  set(curve) {
    this.curve = curve;
    this.draw();
    this.place();
  }

  /** Which emotions have a line: {label: bool}. */
  show(shown) {
    this.shown = { ...shown };
    Plotly.restyle(this.figure, { visible: this.labels.map((label) => this.shown[label]) });
  }

  /** Shows the time between two moments only; without them all. */
  zoom(from = this.start, to = this.end) {
    return Plotly.relayout(this.figure, { "xaxis.range": [this.x(Math.max(this.start, from)), this.x(Math.min(this.end, to))] });
  }

  /** Another end of time: a second analysis was shifted. */
  span(start, end) {
    [this.start, this.end] = [start, Math.max(end, start + 0.001)];
    this.clock = this.end >= 120;
    this.line.setAttribute("aria-valuemin", this.start.toFixed(2));
    this.line.setAttribute("aria-valuemax", this.end.toFixed(2));
    this.draw([this.start, this.end]);
    this.place();
  }

  /** Moves the cursor without telling anybody. */
  cursor(t) {
    this.t = Math.min(Math.max(t, this.start), this.end);
    this.place();
  }

  values(t = this.t) {
    return valuesAt(this.curve, t, this.step);
  }

  // --- drawing ------------------------------------------------------------------------------------------------------------------

  draw(range) {
    const { times, values } = this.curve;
    const x = times.map((t) => this.x(t));
    const lines = this.labels.map((label, k) =>
      lineOf(label, x, values[label] ?? [], { shade: colour(label, k), pattern: dash(label), visible: this.shown[label] }),
    );
    Plotly.react(this.figure, lines, this.layout(range ?? (this.figure.layout ? this.range() : [this.start, this.end])), CONFIG);
  }

  layout(range) {
    return layoutOf(range, { ...this, margin: { l: 62, r: 10, t: 22, b: 28 } });
  }

  /** Puts the cursor's line where its time is. */
  place() {
    const axis = this.figure._fullLayout?.xaxis;
    if (!axis?._length) return;
    const at = axis.d2p(this.x(this.t));
    this.line.style.left = `${axis._offset + at}px`;
    this.line.style.opacity = at < -1 || at > axis._length + 1 ? "0" : ""; // it can still be reached by keys
    this.line.setAttribute("aria-valuenow", this.t.toFixed(2));
    this.line.setAttribute("aria-valuetext", `${clock(this.t, this.end, this.decimals)}: ${words(this.values())}`);
  }

  /** The time under a pointer; null beside the plot. */
  under(event, clamp = false) {
    const axis = this.figure._fullLayout?.xaxis;
    if (!axis?._length) return null;
    const at = event.clientX - this.figure.getBoundingClientRect().left - axis._offset;
    if (!clamp && (at < -4 || at > axis._length + 4)) return null;
    return seconds(axis.p2l(Math.min(Math.max(at, 0), axis._length)), this.clock);
  }

  // --- moving the cursor --------------------------------------------------------------------------------------------------------

  seek(t) {
    this.cursor(t);
    this.sought(this.t);
  }

  listen() {
    let down = null;
    // Before Plotly, which keeps what follows a press to itself.
    this.frame.addEventListener("pointerdown", (event) => (down = event.button === 0 && !this.line.contains(event.target) ? event : null), true);
    addEventListener("pointerup", (event) => {
      const pressed = down;
      down = null;
      if (!pressed || Math.abs(event.clientX - pressed.clientX) + Math.abs(event.clientY - pressed.clientY) > 5) return; // a drag
      const t = this.under(pressed);
      if (t !== null) this.seek(t);
    });
    this.line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.line.focus({ preventScroll: true });
      this.line.setPointerCapture(event.pointerId);
    });
    this.line.addEventListener("pointermove", (event) => {
      if (this.line.hasPointerCapture(event.pointerId)) this.seek(this.under(event, true) ?? this.t);
    });
    this.line.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const whole = this.end - this.start, step = Math.max(this.step, whole / 400) * (event.shiftKey ? 10 : 1);
      const to = {
        ArrowLeft: this.t - step, ArrowDown: this.t - step, ArrowRight: this.t + step, ArrowUp: this.t + step,
        PageDown: this.t - whole / 10, PageUp: this.t + whole / 10, Home: this.start, End: this.end,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.seek(to);
    });
  }
}
