// The plot in the file of an analysis' report: which expressions, whose, and which part of the time. Until Plotly is ready, or where it
// cannot run, the static plot stays.

import { clock } from "./format.js";
import { startPlotly } from "./packed_plotly.js";
import { CONFIG, layoutOf, lineOf, position, redrawn, seconds } from "./plot.js";

const root = document.documentElement, get = (id) => document.getElementById(id);

function draw() {
  const data = JSON.parse(get("curves").textContent);
  root.classList.add("js");
  const plot = get("plot"), select = get("whose"), when = get("when");
  const chips = [...document.querySelectorAll(".chips .chip")];
  const ribbons = [...document.querySelectorAll("svg.ribbon")], names = [...document.querySelectorAll("button.name")];
  const scale = [...document.querySelectorAll(".scale span")];
  const shown = data.labels.map(() => true);
  const moment = (s) => clock(s, data.end, data.decimals);
  const range = () => plot.layout.xaxis.range.map((x) => seconds(x, data.clock));

  function redraw(part = range()) {
    const curve = data.curves[select.value];
    const x = curve.t.map((ms) => position(ms / 1000, data.clock));
    const lines = data.labels.map((label, k) =>
      lineOf(label, x, curve.y[k].map((v) => (v === null ? null : v / 1000)), {
        shade: getComputedStyle(root).getPropertyValue(`--e${k}`).trim(), visible: shown[k],
      }),
    );
    Plotly.react(plot, lines, layoutOf(part, { ...data, margin: { l: 52, r: 12, t: 10, b: 34 } }), { ...CONFIG, responsive: true });
    for (const name of names) name.setAttribute("aria-pressed", String(name.dataset.curve === select.value));
  }

  redraw([data.start, data.end]);
  redrawn(redraw);
  select.addEventListener("change", () => redraw());

  function press(k, alone) {
    const all = alone && shown.every((on, i) => on === (i === k));
    chips.forEach((chip, i) => {
      shown[i] = alone ? all || i === k : i === k ? !shown[i] : shown[i];
      chip.setAttribute("aria-pressed", String(shown[i]));
    });
    Plotly.restyle(plot, { visible: shown });
  }
  chips.forEach((chip, k) => {
    chip.addEventListener("click", () => press(k, false));
    chip.addEventListener("dblclick", () => press(k, true));
  });

  plot.on("plotly_hover", ({ points: [{ pointNumber: i }] }) => {
    const curve = data.curves[select.value];
    when.textContent = `at ${moment(curve.t[i] / 1000)}`;
    chips.forEach((chip, k) => (chip.lastElementChild.textContent = curve.y[k][i] === null ? "" : `${Math.round(curve.y[k][i] / 10)}%`));
  });
  plot.on("plotly_unhover", () => {
    for (const element of [when, ...chips.map((chip) => chip.lastElementChild)]) element.textContent = "";
  });
  plot.on("plotly_relayout", () => {
    const [from, to] = range();
    for (const ribbon of ribbons) ribbon.setAttribute("viewBox", `${from} 0 ${Math.max(to - from, 0.001)} 1`);
    get("whole").hidden = Math.abs(from - data.start) + Math.abs(to - data.end) < 0.01;
    if (scale.length) [scale[0].textContent, scale[1].textContent] = [moment(from), moment(to)];
  });

  function zoom(from, to) {
    Plotly.relayout(plot, { "xaxis.range": [Math.max(data.start, from), Math.min(data.end, to)].map((s) => position(s, data.clock)) });
  }
  for (const name of names) {
    name.addEventListener("click", () => {
      select.value = select.value === name.dataset.curve ? "all" : name.dataset.curve;
      redraw();
    });
  }
  for (const link of document.querySelectorAll("a[data-from]")) {
    link.addEventListener("click", () => {
      const from = Number(link.dataset.from), to = Number(link.dataset.to), room = Math.max(2, to - from);
      if (data.curves[link.dataset.curve]) select.value = link.dataset.curve;
      redraw();
      zoom(from - room, to + room);
    });
  }
  get("whole").addEventListener("click", () => zoom(data.start, data.end));
}

try {
  await startPlotly();
  draw();
} catch (error) {
  root.classList.remove("js");
  throw error;
}
