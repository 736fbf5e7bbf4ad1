// Film and curves on one time axis: the cursor follows the film, a click in the plot seeks the film. Without a film the cursor stands
// alone, and the values under it are shown as bars.

import { curveOf, usualStep, valuesAt } from "/static/mien/curve.js";
import { h, say } from "/static/mien/element.js";
import { chips, tint } from "/static/mien/emotions.js";
import { clock, count } from "/static/mien/format.js";
import { Plot } from "/static/mien/plot.js";
import { ribbons } from "./ribbons.js";

const ROWS = 200; // of the table of numbers
const RIBBONS = 12; // shown at first
const WITHIN_S = 0.002; // beyond a frame's beginning, so that rounding does not show the one before

/** Builds the view of `result` and `series` into `place`, with `moments` beside it. Returns {seek(t), choose(whose), get(), set(result, series)}. */
export function viewer(place, moments, result, series) {
  const state = { t: result.start_s, whose: "all" };
  let step = usualStep(series.times);
  let plot, under, curve;

  const film = result.film && h("video", { src: result.film, controls: true, preload: "metadata", playsinline: true, "aria-label": `The film ${result.job.name} with boxes` });
  const play = film && h("button", { type: "button", class: "small play", onclick: toggle }, "Play");
  const bars = !film && h("div", { class: "shares now" });
  const now = h("span", { class: "now-time tabular" });
  const select = h("select", { id: "whose", onchange: () => choose(select.value) });
  const whole = h("button", { type: "button", class: "small", hidden: true, onclick: () => plot.zoom() }, "Whole film");
  const emotions = chips(result.labels, (shown) => plot.show(shown));
  const drawing = h("div"), below = h("div");
  const table = h("div", { class: "scroll numbers" });
  const numbers = h("details", { class: "no-print", ontoggle: () => numbers.open && fillTable() }, h("summary", {}, "The same numbers as a table"), table);

  const left = film
    ? h("div", { class: "film-side" }, film)
    : h(
      "div",
      { class: "film-side card no-film" },
      h("div", { class: "row between" }, h("h3", {}, "At the cursor"), now),
      bars,
      h("p", { class: "hint" }, result.job.kind === "live" ? "No picture was kept of this recording, only what was measured." : "The film with boxes was not made or kept; the curves are complete without it."),
    );
  const who = h("label", { class: "row small", for: "whose" }, "Show", select);
  const right = h(
    "div",
    { class: "plot-side" },
    h("div", { class: "row plot-tools" }, play, who, whole, film && now),
    emotions.element,
    drawing,
    below,
    h("p", { class: "hint no-print" }, coarseHint()),
    numbers,
  );
  place.replaceChildren(h("div", { class: `view${film ? "" : " without-film"}` }, left, right, moments));

  function coarseHint() {
    const pieces = ["Click in the plot to go to a moment; drag across it to look closer, double-click to see all."];
    pieces.push(film ? "Keys: space plays, the arrows move the cursor once it has the focus." : "Keys: the arrows move the cursor once it has the focus.");
    return pieces.join(" ");
  }

  // --- what is drawn ------------------------------------------------------------------------------------------------------------

  function fill() {
    const visible = result.tracks.filter((track) => !track.hidden && series.tracks[track.id]);
    const alone = visible.length <= 1;
    who.hidden = alone;
    if (alone || (state.whose !== "all" && !visible.some((track) => String(track.id) === state.whose))) state.whose = "all";
    select.replaceChildren(
      h("option", { value: "all" }, "Everybody (mean)"),
      ...(alone ? [] : visible).map((track) => h("option", { value: track.id }, track.name)),
    );
    select.value = state.whose;
    step = usualStep(series.times);
    // Of a crowd those first who are there for long.
    const long = new Set([...visible].sort((a, b) => b.rows - a.rows).slice(0, RIBBONS));
    const ordered = [...visible].sort((a, b) => long.has(b) - long.has(a));
    const rows = ordered.map((track) => ({ key: alone ? "all" : String(track.id), name: track.name, curve: curveOf(series, String(track.id)) }));
    under = ribbons(rows, {
      start: result.start_s, end: result.end_s, step, sought: seek, first: RIBBONS,
      chosen: (key) => choose(state.whose === key ? "all" : key),
    });
    below.replaceChildren(...(rows.length ? [h("h3", { class: "small soft ribbon-title" }, "Leading expression"), under.element] : []));
    if (!plot) {
      plot = new Plot(drawing, {
        labels: result.labels, start: result.start_s, end: result.end_s, step, label: "Moment in the film", sought: seek,
        ranged(from, to, all) {
          whole.hidden = all;
          under.range(from, to);
        },
      });
    } else under.range(...plot.range());
    redraw();
  }

  function redraw() {
    curve = curveOf(series, state.whose);
    plot.set(curve);
    under.mark(state.whose);
    if (numbers.open) fillTable();
    tell();
  }

  function choose(whose) {
    select.value = String(whose);
    if (select.selectedIndex < 0) select.value = "all"; // a single face is everybody
    state.whose = select.value;
    redraw();
  }

  function fillTable() {
    const spread = Math.max(1, Math.ceil(curve.times.length / ROWS));
    const name = result.tracks.find((track) => String(track.id) === state.whose)?.name ?? "everybody (mean)";
    const rows = [];
    for (let i = 0; i < curve.times.length; i += spread) {
      rows.push(
        h(
          "tr",
          {},
          h("th", { scope: "row", class: "num" }, clock(curve.times[i], result.end_s, 2)),
          ...result.labels.map((label) => {
            const value = curve.values[label][i];
            return h("td", { class: "num" }, value === null || value === undefined ? "–" : `${Math.round(value * 100)}%`);
          }),
        ),
      );
    }
    const caption = `${name}${spread > 1 ? `; each ${count(spread)}th of ${count(curve.times.length)} points, faces.csv has every look` : ""}`;
    const caught = h("caption", {}, caption);
    table.replaceChildren(
      h("table", {}, caught, h("thead", {}, h("tr", {}, h("th", { class: "num" }, "Time"), ...result.labels.map((label) => h("th", { class: "num" }, label)))), h("tbody", {}, ...rows)),
    );
    table.tabIndex = 0; // it scrolls: keys must reach it
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", "Numbers");
  }

  function tell() {
    const values = valuesAt(curve, state.t, step);
    emotions.read(values ?? {});
    const length = result.media.duration_s ?? result.end_s;
    say(now, film ? `${clock(state.t, result.end_s)} of ${clock(length, result.end_s)}` : clock(state.t, result.end_s, 2));
    if (bars) {
      bars.replaceChildren(
        ...result.labels.flatMap((label) => {
          const value = values?.[label] ?? 0;
          return [
            h("span", {}, label),
            h("span", { class: "track" }, tint(h("span", { style: `width:${value * 100}%` }), label)),
            h("span", { class: "num" }, values ? `${Math.round(value * 100)}%` : "–"),
          ];
        }),
      );
    }
  }

  // --- time ---------------------------------------------------------------------------------------------------------------------

  function at(t) {
    state.t = t;
    plot.cursor(t);
    const [from, to] = plot.range();
    if (film && !film.paused && t > to && t < result.end_s) plot.zoom(t, t + (to - from));
    tell();
  }

  function seek(t) {
    if (film) film.currentTime = Math.max(0, t + WITHIN_S);
    at(t);
  }

  function toggle() {
    if (!film) return;
    if (film.paused) film.play().catch(() => {}); // it says so itself when it cannot
    else film.pause();
  }

  if (film) {
    // Standing, the cursor stays where it was put; a frame's own time is a little before that.
    const follow = (t) => film.paused || at(t);
    const shown = (_, frame) => {
      follow(frame.mediaTime);
      film.requestVideoFrameCallback(shown);
    };
    if ("requestVideoFrameCallback" in film) film.requestVideoFrameCallback(shown);
    else film.addEventListener("timeupdate", () => follow(film.currentTime));
    film.addEventListener("seeking", () => Math.abs(film.currentTime - state.t) > 2 * WITHIN_S && at(film.currentTime));
    film.addEventListener("pause", () => at(film.currentTime));
    for (const name of ["play", "pause", "ended"]) film.addEventListener(name, () => (play.textContent = film.paused ? "Play" : "Pause"));
    film.addEventListener("error", () => left.replaceChildren(h("div", { class: "notice warn" }, "The film with boxes cannot be played here. It can still be downloaded below.")));
    addEventListener("keydown", (event) => {
      if (event.key !== " " || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.target.closest?.("button, a, input, select, textarea, summary, video, dialog")) return;
      event.preventDefault();
      toggle();
    });
  }

  fill();
  at(state.t);
  return {
    seek,
    choose,
    set(nextResult, nextSeries) {
      [result, series] = [nextResult, nextSeries];
      fill();
    },
  };
}
