// Which expression leads, for each face as a ribbon under the plot, on the same time axis.

import { stretches } from "/static/mien/curve.js";
import { h } from "/static/mien/element.js";
import { appears, tint } from "/static/mien/emotions.js";
import { span } from "/static/mien/format.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Rows of {key, name, curve}. `chosen(key)`: a name was pressed; `sought(t)`: a moment in a ribbon was. `first`: how many are
 * shown before the rest is asked for. Returns {element, mark(key),
 * range(from, to)}; `mark` shows whose curve is drawn above, `range` zooms all ribbons.
 */
export function ribbons(rows, { start, end, step, chosen, sought, first }) {
  const element = h("div", { class: "ribbons" });
  const drawn = [], names = [];
  let from = start, to = end;

  function add({ key, name, curve }) {
    const button = h("button", { type: "button", class: "ribbon-name", title: name, "aria-pressed": "false", onclick: () => chosen(key) }, name);
    const svg = document.createElementNS(SVG, "svg");
    const set = (node, values) => Object.entries(values).forEach(([k, v]) => node.setAttribute(k, v));
    set(svg, { class: "ribbon", viewBox: `${from} 0 ${Math.max(to - from, 0.001)} 1`, preserveAspectRatio: "none", role: "img", "aria-label": `Leading expression of ${name} through time` });
    for (const s of stretches(curve, step, end)) {
      const rect = document.createElementNS(SVG, "rect");
      set(rect, { x: s.from, y: 0, width: s.to - s.from, height: 1 });
      tint(rect, s.label);
      const title = document.createElementNS(SVG, "title");
      title.textContent = `${span(s.from, s.to, end)}: ${appears(s.label)}`;
      rect.append(title);
      svg.append(rect);
    }
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect();
      sought(from + ((event.clientX - box.left) / box.width) * (to - from));
    });
    button.dataset.key = key;
    names.push(button);
    drawn.push(svg);
    element.append(button, svg);
  }

  rows.slice(0, first).forEach(add);
  if (rows.length > first) {
    const more = h("button", { type: "button", class: "link small ribbon-more", onclick: () => { more.remove(); rows.slice(first).forEach(add); mark(marked); } }, `Show all ${rows.length} faces`);
    element.append(more);
  }
  let marked = null;
  function mark(key) {
    marked = String(key);
    for (const name of names) name.setAttribute("aria-pressed", String(name.dataset.key === marked));
  }
  return {
    element,
    mark,
    range(a, b) {
      [from, to] = [a, b];
      for (const svg of drawn) svg.setAttribute("viewBox", `${from} 0 ${Math.max(to - from, 0.001)} 1`);
    },
  };
}
