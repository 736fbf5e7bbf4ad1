// Two analyses under each other on one time axis, with one cursor; the second can be shifted in time.

import { api } from "../shared/api.js";
import { curveOf, usualStep, words } from "/static/mien/curve.js";
import { toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { chips, paint, tint } from "/static/mien/emotions.js";
import { clock, percent } from "/static/mien/format.js";
import { page } from "./job.js";
import { Plot } from "/static/mien/plot.js";

const get = (id) => document.getElementById(id);
const sides = ["a", "b"];
const state = { a: null, b: null, t: 0, shift: 0 }; // a, b: {result, series, whose, plot, words}

// --- choosing two -----------------------------------------------------------------------------------------------------------------

const asked = () => new URLSearchParams(location.search);

async function offer() {
  const { items } = await api("GET", "/api/jobs?limit=200&state=done");
  const films = items.filter((job) => job.media !== "picture");
  for (const side of sides) {
    const given = asked().get(side);
    if (given && !films.some((job) => job.id === given)) {
      try {
        films.push(await api("GET", `/api/jobs/${encodeURIComponent(given)}`)); // older than those listed
      } catch {
        // erased: it is not offered
      }
    }
  }
  for (const side of sides) {
    get(side).replaceChildren(h("option", { value: "" }, "Choose one"), ...films.map((job) => h("option", { value: job.id }, job.name)));
    get(side).value = films.some((job) => job.id === asked().get(side)) ? asked().get(side) : "";
  }
  get("few").hidden = films.length >= 2;
}

async function read() {
  const ids = sides.map((side) => get(side).value);
  const query = new URLSearchParams(sides.flatMap((side, i) => (ids[i] ? [[side, ids[i]]] : [])));
  history.replaceState(null, "", `?${query}`);
  get("both").hidden = true;
  const same = ids[0] && ids[0] === ids[1];
  get("ask").hidden = ids.every(Boolean) && !same;
  get("ask").textContent = same ? "Choose two that differ." : "Choose two analyses to see their curves under each other.";
  if (!ids.every(Boolean) || same) return;
  try {
    const found = await Promise.all(ids.map((id) => Promise.all([api("GET", `/api/jobs/${id}/result`), api("GET", `/api/jobs/${id}/series?points=2000`)])));
    if (sides.some((side, i) => get(side).value !== ids[i])) return; // chosen anew meanwhile
    sides.forEach((side, i) => (state[side] = { result: found[i][0], series: found[i][1], whose: "all" }));
    state.shift = 0;
    get("shift").value = "0";
    draw();
  } catch (error) {
    toast(error.message);
  }
}

// --- drawing ----------------------------------------------------------------------------------------------------------------------

const shiftOf = (side) => (side === "b" ? state.shift : 0);

function ends() {
  const starts = sides.map((side) => state[side].result.start_s + shiftOf(side)), stops = sides.map((side) => state[side].result.end_s + shiftOf(side));
  return [Math.min(...starts), Math.max(...stops)];
}

function moved(side) {
  const curve = curveOf(state[side].series, state[side].whose);
  const shift = shiftOf(side);
  return shift ? { ...curve, times: curve.times.map((t) => t + shift) } : curve;
}

function draw() {
  const labels = [...new Set(sides.flatMap((side) => state[side].result.labels))];
  sides.forEach((side) => paint(state[side].result.colours));
  get("both").hidden = false;
  const [start, end] = ends();
  state.t = start;
  const shown = chips(labels, (on) => sides.forEach((side) => state[side].plot.show(on)));
  get("emotions").replaceChildren(shown.element);
  let zooming = false;
  for (const side of sides) {
    const it = state[side], { result, series } = it;
    const link = get(`${side}-name`);
    link.textContent = result.job.name;
    link.href = page(result.job);
    say(get(`${side}-headline`), result.headline);
    it.words = get(`${side}-now`);
    const visible = result.tracks.filter((track) => !track.hidden && series.tracks[track.id]);
    const select = get(`${side}-whose`);
    select.replaceChildren(h("option", { value: "all" }, "Everybody (mean)"), ...visible.map((track) => h("option", { value: track.id }, track.name)));
    select.value = "all";
    select.parentElement.hidden = visible.length < 2;
    select.onchange = () => {
      it.whose = select.value;
      it.plot.set(moved(side));
      tell();
    };
    it.plot = new Plot(get(`${side}-plot`), {
      labels, start, end, step: usualStep(series.times), label: `Moment in ${result.job.name}`, sought: at,
      ranged(from, to, all) {
        get("whole").hidden = all;
        if (zooming) return;
        // What is looked at more closely in one is in the other too; the other tells of it as well, and that must not come back.
        zooming = true;
        const other = state[side === "a" ? "b" : "a"].plot;
        other.zoom(from, to).then(() => (zooming = false));
      },
    });
    it.plot.set(moved(side));
  }
  get("whole").onclick = () => state.a.plot.zoom();
  drawShares(labels);
  tell();
}

function drawShares(labels) {
  const most = Math.max(0.0001, ...sides.flatMap((side) => Object.values(state[side].result.shares)));
  const order = [...labels].sort((x, y) => Math.max(...sides.map((s) => state[s].result.shares[y] ?? 0)) - Math.max(...sides.map((s) => state[s].result.shares[x] ?? 0)));
  const rows = order.map((label) =>
    h("tr", {}, h("th", { scope: "row" }, label), ...sides.flatMap((side) => {
      const share = state[side].result.shares[label] ?? 0;
      return [
        h("td", { class: "share-cell", "aria-hidden": "true" }, h("span", { class: "share-track" }, tint(h("span", { style: `width:${(share / most) * 100}%` }), label))),
        h("td", { class: "num" }, percent(share)),
      ];
    })),
  );
  get("share-rows").replaceChildren(...rows);
  sides.forEach((side) => say(get(`${side}-share-name`), state[side].result.job.name));
}

function at(t) {
  state.t = t;
  for (const side of sides) state[side].plot.cursor(t);
  tell();
}

function tell() {
  const [, end] = ends();
  say(get("now"), clock(state.t, end, 2));
  for (const side of sides) {
    const values = state[side].plot.values(state.t);
    const within = state.t - shiftOf(side) >= state[side].result.start_s - 0.05 && state.t - shiftOf(side) <= state[side].result.end_s + 0.05;
    say(state[side].words, `${shiftOf(side) ? `its own ${clock(state.t - shiftOf(side), end, 1)}: ` : ""}${within ? words(values) : "not running then"}`);
  }
}

function shift(seconds) {
  state.shift = seconds;
  const [start, end] = ends();
  state.b.plot.set(moved("b"));
  for (const side of sides) state[side].plot.span(start, end);
  get("whole").hidden = true;
  at(Math.min(Math.max(state.t, start), end));
}

get("shift").addEventListener("input", () => {
  const seconds = Number(get("shift").value.replace(",", "."));
  const fine = get("shift").value.trim() !== "" && Number.isFinite(seconds) && Math.abs(seconds) <= 86_400;
  get("shift").setAttribute("aria-invalid", String(!fine));
  get("shift-problem").hidden = fine;
  if (fine && state.b) shift(seconds);
});
for (const [id, by] of [["earlier", -0.1], ["later", 0.1]]) {
  get(id).addEventListener("click", () => {
    get("shift").value = (Math.round((state.shift + by) * 100) / 100).toString();
    get("shift").dispatchEvent(new Event("input"));
  });
}
get("here").addEventListener("click", () => {
  // The moment under the cursor of the first and the beginning of the second are put together.
  get("shift").value = (Math.round((state.t - state.b.result.start_s) * 100) / 100).toString();
  get("shift").dispatchEvent(new Event("input"));
});
for (const side of sides) get(side).addEventListener("change", read);

try {
  await offer();
  await read();
} catch (error) {
  toast(error.message);
}
