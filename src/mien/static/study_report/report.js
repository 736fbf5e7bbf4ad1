// The report of a study: what happened, the film in step with the curves, moments, markers, viewers, answers, methods.

import { nearest, smooth, usualStep } from "../curve.js";
import { dot, stroke } from "../emotions.js";
import { h, say } from "../element.js";
import { clock, duration, percent, several, span } from "../format.js";
import { agreement, liking, question } from "./charts.js";
import { Curves, groupColour, groupDash, Strip, told } from "./curves.js";

const SIGNALS_AT_FIRST = 3;
const EFFECTS_AT_FIRST = 3;
const NAMES_TOLD = 12;
const QUALITIES = { good: "good", fair: "warn", poor: "bad" };

let number = 0;

/** "21 Nov 2026, 14:20": a report is read long after "today". */
function when(iso) {
  if (!iso) return "–";
  return new Date(iso).toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** Radio buttons that look like one: [[value, text], …]. */
function switcher(legend, options, chosen, changed) {
  const name = `switch-${number++}`;
  return h(
    "fieldset",
    { class: "switcher" },
    h("legend", { class: "hidden-text" }, legend),
    ...options.map(([value, text]) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => changed(value) }), h("span", {}, text))),
  );
}

/** The signals to show at first: those of the highest moments, else the liveliest. */
function liveliest(part, labels) {
  const risen = part.moments.filter((m) => m.signal !== "valence").sort((a, b) => Math.abs(b.rise) - Math.abs(a.rise));
  const of = [...new Set(risen.map((m) => m.signal))];
  if (of.length) return new Set(of.slice(0, SIGNALS_AT_FIRST));
  const reach = (label) => {
    const values = (part.curves?.raw[label]?.mean ?? []).filter((v) => v !== null);
    return Math.max(...values, 0) - Math.min(...values, 1);
  };
  const expressive = labels.filter((label) => label !== "neutral");
  return new Set(expressive.sort((a, b) => reach(b) - reach(a)).slice(0, SIGNALS_AT_FIRST));
}

/**
 * Draws the review into `root` and returns {update(review), seek(t), time(), stimulus(), end()}; `end` before another one takes its place.
 *
 * film(stimulus) gives the address of a film or null; acts: elements for the right of the head; back: an element over the title;
 * editable: markers can be changed, by edit({stimulus, time_s, marker}) (marker null: a new one) and erase({stimulus, marker});
 * mark({stimulus, time_s}) makes one at once, for the key M while film or plot has the focus.
 */
export function show(root, review, { film = () => null, acts = [], back = null, editable = false, edit = null, erase = null, mark = null } = {}) {
  const state = { stimulus: review.stimuli[0]?.id ?? null, valence: false, signals: null, group: "", corrected: false, measured: false, everybody: false, sort: "name", down: false, t: 0 };
  const places = Object.fromEntries(
    ["head", "cuts", "films", "view", "moments", "markers", "presence", "synchrony", "funnel", "viewers", "answers", "agreement", "methods"].map((name) => [name, h("section", { id: `review-${name}` })]),
  );
  state.answersBy = review.variables.find((variable) => review.questions.some((asked) => asked.by_group?.[variable.id]))?.id ?? "";
  let drawn = {}, screen = null, beside = null;
  root.classList.add("review");
  root.replaceChildren(...Object.values(places));

  /** The film that is shown, with the figures of everybody where those are chosen. */
  function part() {
    const found = review.stimuli.find((one) => one.id === state.stimulus) ?? null;
    return state.everybody && found?.everybody ? { ...found, ...found.everybody, groups: {}, differences: {} } : found;
  }
  const corrected = () => state.corrected && Boolean(part()?.curves?.corrected);
  const values = (signal, value) => told(signal, value, corrected());

  /** A section is made again only when what it shows has changed, so that open details, focus and scrolling stay. */
  function fill(name, given, make) {
    const print = JSON.stringify(given);
    if (drawn[name] === print) return;
    drawn[name] = print;
    const made = make();
    places[name].hidden = !made;
    places[name].replaceChildren(...(made ?? []));
  }

  function heading(id, title, words) {
    places[id].setAttribute("aria-labelledby", `${id}-title`);
    return h("div", { class: "section-head" }, h("h2", { id: `${id}-title` }, title), words && h("p", { class: "soft" }, words));
  }

  // --- the head -----------------------------------------------------------------------------------------------------------------

  function head() {
    const c = review.counts;
    const facts = [
      review.hidden ? ["Measured so far", String(c.measured)] : ["Viewers in the report", String(c.shown)], ["Agreed to take part", String(c.agreed)], c.started === undefined ? null : ["Began to watch", String(c.started)], ["Finished", String(c.finished)],
      ["Left before the end", String(c.left)], c.rooms ? ["Rooms", String(c.rooms)] : null, c.withdrawn ? ["Withdrawn and erased", String(c.withdrawn)] : null,
    ].filter(Boolean);
    const state = review.live ? "This study still runs; the report follows it." : review.until ? `As it stood ${when(review.until)}.` : "";
    return [
      review.simulated && h("p", { class: "notice warn simulated" }, h("strong", {}, "Simulated. "), review.simulated),
      h("div", { class: "review-top" },
        h("div", { class: "stack tight" },
          h("div", { class: "row small" }, back, h("span", { class: "soft break" }, review.title)),
          h("h1", { class: "break" }, review.headline ?? review.hidden ?? review.title),
          h("p", { class: "soft small caveat" }, `${review.caveat} `, h("a", { href: "#review-methods" }, "How to read this page")),
          h("p", { class: "soft small" }, `Made ${when(review.made_at)}. ${state}`)),
        acts.length ? h("div", { class: "row no-print review-acts" }, ...acts) : null),
      review.hidden && h("p", { class: "notice" }, `Curves and answers of fewer than ${review.smallest_group} people could tell who is who, so they are not shown yet.`),
      h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    ].filter(Boolean);
  }

  // --- two cuts -----------------------------------------------------------------------------------------------------------------

  const WAYS = { within: "the same people saw both", between: "each person saw one", mixed: "some people saw both, others one" };

  /** Two cuts of one film on one axis, and the second minus the first. */
  function cuts() {
    const found = review.cuts;
    if (!found) return null;
    const films = [found.first, found.second].map((id) => review.stimuli.find((one) => one.id === id));
    const names = Object.keys(found.signals), real = names.filter((signal) => found.signals[signal].where.length);
    const most = (signal) => Math.max(0, ...found.signals[signal].difference.map((v) => Math.abs(v ?? 0)));
    state.cutSignal ??= (real.length ? real : names.filter((one) => one !== "neutral")).reduce((best, one) => (most(one) > most(best) ? one : best));
    const signal = state.cutSignal, one = found.signals[signal], times = found.times, step = usualStep(times), place = h("div", {});
    const sigma = 2 * found.sigma_s < step ? 0 : found.sigma_s;
    const lines = films.map((film, group) => {
      const edges = (film.steps ?? []).map(({ time_s }) => times.findIndex((t) => t >= time_s)).filter((k) => k > 0), curve = film.curves.raw[signal];
      const calmed = (values) => (sigma ? smooth(values.slice(0, times.length), sigma / step, edges) : values.slice(0, times.length));
      return { key: film.id, name: `${film.title} (${found.n[group]})`, signal, group, times, ...Object.fromEntries(["mean", "low", "high"].map((part) => [part, calmed(curve[part])])) };
    });
    const select = h("select", { onchange: () => {
      state.cutSignal = select.value;
      draw();
      places.cuts.querySelector("select").focus();
    } }, ...names.map((name) => h("option", { value: name, selected: name === signal }, `${name}${real.includes(name) ? " (differs)" : ""}`)));
    queueMicrotask(() => {
      beside = new Curves(place, { start: 0, end: times[times.length - 1] + step / 2, step, label: "Time in both cuts", sought() {}, ranged() {} });
      beside.set({
        lines, corrected: false, valence: signal === "valence", times, steps: [], synchrony: null, there: null, markers: [], moments: [],
        title: `${signal === "valence" ? "Apparent valence" : "How sure the program is that a face appears to show it"}; ${sigma ? `smoothed, σ = ${sigma} s` : "as measured"}`,
        counted: films.map((film, group) => ({ group, times, n: film.n.slice(0, times.length) })),
        difference: { title: `${found.titles[1]} minus ${found.titles[0]}`, times, values: one.difference, low: one.low, high: one.high },
      });
    });
    return [
      heading("cuts", "Two cuts beside each other", `One clock for both, from the beginning of each; ${WAYS[found.way]}${found.way === "mixed" && found.pairs ? ` (${found.pairs} saw both)` : ""}.`),
      ...found.says.map((words) => h("p", { class: "lead-sentence break" }, words)),
      h("label", { class: "pick small no-print" }, "Expression", select),
      h("ul", { class: "row small plain-lines" }, ...lines.map((line) => h("li", { class: "row one-line" }, groupStroke(line.group), h("span", { class: "break" }, line.name)))),
      place,
    ];
  }

  function films() {
    if (review.stimuli.length < 2) return null;
    return [
      h("h2", { class: "hidden-text" }, "Films"),
      switcher("Film", review.stimuli.map((one) => [one.id, one.title]), state.stimulus, (id) => {
        state.stimulus = id;
        Object.assign(state, { signals: null, group: "", t: 0, everybody: false });
        draw();
      }),
    ];
  }

  // --- film and curves ----------------------------------------------------------------------------------------------------------

  /** By how many seconds the lines are smoothed now; null in reports that were kept before 0.5, whose numbers are. */
  const smoothing = () => (part()?.sigma_s === undefined ? null : state.measured ? 0 : part().sigma_s);

  /** A curve as it is drawn: as measured, or smoothed, over no gap and no step in who is there. */
  function calm(times, curve) {
    const sigma = smoothing(), step = usualStep(times);
    if (!sigma || 2 * sigma < step) return { times, ...curve };
    const cuts = (part().steps ?? []).map(({ time_s }) => times.findIndex((t) => t >= time_s));
    return { times, ...Object.fromEntries(["mean", "low", "high"].map((name) => [name, smooth(curve[name], sigma / step, cuts)])) };
  }

  /** The lines that are shown now. */
  function lines() {
    const now = part(), kind = corrected() ? "corrected" : "raw";
    const signals = state.valence ? ["valence"] : review.labels.filter((label) => state.signals.has(label));
    if (!state.group) {
      return signals.map((signal) => ({ key: signal, name: signal, signal, group: null, ...calm(now.times, now.curves[kind][signal]) }));
    }
    const variable = review.variables.find((one) => one.id === state.group), groups = now.groups[state.group] ?? {};
    return variable.values.flatMap((value, k) => {
      const group = groups[value.id];
      if (!group) return [];
      const curves = (corrected() ? group.corrected : group.raw) ?? group.raw;
      return signals.slice(0, 1).map((signal) => ({ key: value.id, name: `${value.title} (${group.n})`, signal, group: k, seen: group.seen, ...calm(group.times, curves[signal]) }));
    });
  }

  /** The two groups that are compared in the chosen way of grouping: {first, second, found}; null where there are not two. */
  function compared(now) {
    const found = state.group && now.differences?.[state.group];
    if (!found) return null;
    const titles = review.variables.find((one) => one.id === state.group).values;
    const [first, second] = found.groups.map((id) => titles.find((value) => value.id === id)?.title ?? id);
    return { first, second, found };
  }

  /** What the plot draws of two groups: one curve minus the other. */
  function difference(now, signal) {
    const pair = compared(now), one = pair && ((corrected() ? pair.found.corrected : null) ?? pair.found.raw)[signal];
    return one ? { title: `${pair.first} minus ${pair.second}`, times: pair.found.times, values: one.difference, low: one.low, high: one.high } : null;
  }

  function view() {
    const now = part();
    if (!now) return null;
    if (!now.curves) {
      const address = film(now);
      if (!address && !now.strip.length) return null;
      return [
        heading("view", now.title),
        h("div", { class: "curves-none" },
          address ? h("video", { src: address, controls: true, playsinline: true, preload: "metadata", "aria-label": `Film: ${now.title}` }) : null,
          h("p", { class: "empty" }, h("strong", {}, "No curves yet"), review.hidden ?? "Nobody has been measured on this film yet.")),
      ];
    }
    state.signals ??= liveliest(now, [...review.labels]);
    return new Screen(now).parts;
  }

  /** Film or stills, controls, curves; made once for a film, then only told what to show. */
  class Screen {
    constructor(now) {
      screen = this;
      this.id = now.id;
      const address = film(now);
      const end = now.duration_s ?? now.times[now.times.length - 1] ?? 1;
      this.scale = end;
      this.video = address && h("video", { src: address, controls: true, playsinline: true, preload: "metadata", "aria-label": `Film: ${now.title}` });
      this.still = !address && now.strip.length ? h("img", { class: "big-still", alt: "The film at the cursor" }) : null;
      this.read = h("div", { class: "reading", "aria-live": "off" });
      this.tools = h("div", { class: "plot-tools row" });
      this.chips = h("div", { class: "chips", role: "group", "aria-label": "Expressions shown" });
      this.words = h("p", { class: "small soft" });
      this.groups = h("p", { class: "small break", role: "status", hidden: true });
      this.whole = h("button", { type: "button", class: "small no-print", hidden: true, onclick: () => this.curves.zoom() }, "Whole film");
      this.strip = new Strip(now.strip, (t) => this.seek(t));
      const place = h("div", {});
      const add = editable && h("button", { type: "button", class: "small no-print", onclick: () => edit({ stimulus: state.stimulus, time_s: state.t, marker: null }) }, "Mark this moment");
      const hint = add && mark && h("p", { class: "small soft no-print" }, "While the film plays, the key M marks the moment.");
      const side = h("div", { class: "film-side" }, this.video || this.still, this.read, add, hint);
      this.parts = [
        heading("view", review.stimuli.length > 1 ? now.title : "The film and its audience"),
        h("div", { class: "review-view", onkeydown: (event) => {
          if (!add || !mark || event.key.toLowerCase() !== "m" || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
          event.preventDefault(); // the browser's own: without sound
          mark({ stimulus: state.stimulus, time_s: state.t });
        } },
          side,
          h("div", { class: "plot-side" }, this.tools, this.chips, this.words, this.groups, place, now.strip.length ? this.strip.element : null, h("div", { class: "row" }, this.whole))),
      ];
      // Plotly needs a place with a size, which this has once it is in the page.
      queueMicrotask(() => {
        this.curves = new Curves(place, {
          start: 0, end, step: usualStep(now.times), label: "Time in the film", sought: (t) => this.seek(t, false),
          ranged: (from, to, all) => {
            this.whole.hidden = all;
            this.strip.range(from, to);
          },
        });
        this.strip.range(0, end);
        this.show();
        // Without a film the page begins at what stands out most, since its still is what is seen first.
        const first = this.still && now.moments.reduce((best, m) => (best && Math.abs(best.rise) >= Math.abs(m.rise) ? best : m), null);
        this.seek(first && !state.t ? first.time_s : state.t);
      });
      if (this.video) this.follow();
    }

    /** The cursor goes with the film. */
    follow() {
      const moved = () => this.moved(this.video.currentTime);
      for (const event of ["timeupdate", "seeking", "seeked"]) this.video.addEventListener(event, moved);
      const run = () => {
        if (this.video.paused || !this.video.isConnected) return;
        moved();
        requestAnimationFrame(run);
      };
      this.video.addEventListener("play", run);
    }

    moved(t) {
      state.t = t;
      this.curves?.cursor(t);
      this.tell();
    }

    seek(t, cursor = true) {
      state.t = Math.min(Math.max(t, 0), this.scale);
      if (cursor) this.curves?.cursor(state.t);
      if (this.video) this.video.currentTime = state.t;
      this.tell();
    }

    tell() {
      if (!this.curves?.view) return;
      const now = part(), still = this.still && this.strip.still(state.t);
      if (still && this.still.getAttribute("src") !== still.image) this.still.src = still.image;
      const rows = this.curves.at().map(({ line, mean, low, high }) => {
        const swatch = line.group === null ? stroke(line.signal) : groupStroke(line.group);
        return h("li", {}, swatch, h("span", { class: "reading-name break" }, line.name), h("b", { class: "tabular" }, values(line.signal, mean)),
          h("span", { class: "soft tabular" }, mean === null ? "" : `${values(line.signal, low)} to ${values(line.signal, high)}`));
      });
      this.read.replaceChildren(
        h("p", { class: "reading-time" }, h("b", { class: "tabular" }, clock(state.t, this.scale)), h("span", { class: "soft" }, ` · ${faces(now)}`)),
        h("ul", {}, ...rows),
      );
    }

    /** Draws what is chosen. */
    show() {
      const now = part(), all = lines();
      this.controls(now);
      const line = (m) => all.find(({ signal }) => signal === m.signal);
      const moments = state.group || corrected() ? [] : now.moments.filter(line).map((m) => ({ ...m, y: line(m).mean[nearest(now.times, m.time_s)] ?? m.value }));
      const counted = state.group && all.some((line) => line.seen) ? all.map((line) => ({ ...line, n: line.seen })) : [{ group: null, times: now.times, n: now.n }];
      this.curves.set({
        lines: all, corrected: corrected(), title: this.axis(), valence: state.valence, times: now.times, counted, there: now.there, steps: now.steps ?? [],
        synchrony: now.synchrony, difference: difference(now, all[0]?.signal), markers: now.markers, moments,
      });
      this.apart(now, all[0]?.signal);
      this.tell();
    }

    /** What the curves are, over the plot: so nobody takes a drawing for a measurement. */
    axis() {
      const sigma = smoothing(), what = state.valence ? "Apparent valence" : "How sure the program is that a face appears to show it";
      return `${what}; ${sigma === null ? "smoothed" : sigma ? `smoothed, σ = ${sigma} s` : "as measured"}`;
    }

    /** Whether the two groups differ by more than chance would have it, and where. */
    apart(now, signal) {
      const pair = compared(now), drawn = difference(now, signal);
      this.groups.hidden = !drawn;
      if (!drawn) return;
      const { times, values: gap, low, high } = drawn, one = ((corrected() ? pair.found.corrected : null) ?? pair.found.raw)[signal];
      if (one.p === null) return say(this.groups, `“${pair.first}” and “${pair.second}” are too few together to say whether they differ: the curves are shown, and no verdict.`);
      const p = one.p_corrected ?? one.p, all = one.overall, points = (v) => told(signal, v, true).replace(/ points?$/, "");
      const whole = all ? ` Over the whole film the first is higher by ${told(signal, all.difference, true)} (${points(all.low)} to ${points(all.high)} with ${Math.round(review.methods.level * 100)}% certainty; ${chance(all.p_corrected)}).` : "";
      const outside = gap.map((v, i) => v !== null && (v > high[i] || v < low[i]));
      const first = outside.indexOf(true);
      if (first < 0 || p >= 0.05) return say(this.groups, `“${pair.first}” and “${pair.second}” do not differ in ${signal} by more than chance would have it (${chance(p)}).${whole}`);
      const most = gap.reduce((best, v, i) => (outside[i] && Math.abs(v) > Math.abs(gap[best]) ? i : best), first);
      const by = told(signal, Math.abs(gap[most]), true).replace("+", ""), [more, less] = gap[most] > 0 ? [pair.first, pair.second] : [pair.second, pair.first];
      say(this.groups, `“${pair.first}” and “${pair.second}” differ in ${signal} by more than chance would have it (${chance(p)}): most at ${clock(times[most], this.scale)}, where it is higher by ${by} for “${more}” than for “${less}”.${whole}`);
    }

    controls(now) {
      const again = () => this.show();
      const variables = review.variables.filter((variable) => Object.keys(now.groups[variable.id] ?? {}).length);
      const print = JSON.stringify([state.valence, state.group, state.corrected, state.measured, state.everybody, [...state.signals], variables, Boolean(now.curves.corrected), now.sigma_s]);
      if (print === this.controlled) return;
      this.controlled = print;
      if (!this.tools.children.length || JSON.stringify([variables, now.least_watched]) !== this.toolsOf) {
        this.toolsOf = JSON.stringify([variables, now.least_watched]);
        const select = (label, options, chosen, changed) =>
          h("label", { class: "pick small" }, label, h("select", { onchange: (event) => changed(event.target.value) }, ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
        this.tools.replaceChildren(
          switcher("What is shown", [["", "Expressions"], ["valence", "Valence"]], state.valence ? "valence" : "", (value) => {
            state.valence = value === "valence";
            again();
          }),
          ...(now.curves.corrected ? [switcher("Values", [["", "Raw"], ["corrected", "Baseline-corrected"]], state.corrected ? "corrected" : "", (value) => {
            state.corrected = value === "corrected";
            again();
          })] : []),
          ...(now.sigma_s ? [switcher("Smoothing", [["", "Smoothed"], ["measured", "As measured"]], state.measured ? "measured" : "", (value) => {
            state.measured = value === "measured";
            again();
          })] : []),
          ...(now.everybody ? [switcher("Whose curves", [["", `Saw ${percent(now.least_watched)} of it`], ["everybody", "Everybody"]], state.everybody ? "everybody" : "", (value) => {
            Object.assign(state, { everybody: value === "everybody", group: "" });
            draw();
          })] : []),
          ...(variables.length ? [select("Viewers", [["", "all together"], ...variables.map((v) => [v.id, `by group: ${v.title}`])], state.group, (value) => {
            state.group = value;
            if (value) state.signals = new Set([[...state.signals][0] ?? review.labels[0]]);
            again();
          })] : []),
        );
      }
      this.chips.hidden = state.valence;
      if (this.chips.children.length !== review.labels.length) {
        this.chips.replaceChildren(...review.labels.map((label) => h("button", { type: "button", class: "chip", "data-label": label, onclick: () => {
          if (state.group) state.signals = new Set([label]);
          else if (state.signals.has(label)) state.signals.delete(label);
          else state.signals.add(label);
          again();
        } }, stroke(label), label)));
      }
      for (const chip of this.chips.children) chip.setAttribute("aria-pressed", String(state.signals.has(chip.dataset.label)));
      const m = review.methods; // of kept reports `curve_sigma_s` may have its former name
      const what = state.valence
        ? "Apparent valence: happiness minus the largest unpleasant expression, from −1 to +1; above 0 is pleasant."
        : corrected()
          ? `Baseline-corrected: how far each face is from its own calm look in the ${m.baseline_s} s before the film.`
          : "Raw: how sure the program is that a face appears to show each expression, from 0 to 100%.";
      const sigma = smoothing();
      const drawn = sigma === null ? `smoothed over ${m.curve_sigma_s ?? m.smoothing_s} s` : sigma ? `smoothed by a Gaussian of ${sigma} s, over no edge and no step in who is there` : "as measured";
      say(this.words, `${what} The line is the mean of the viewers, ${drawn}; the band is where the mean lies with ${Math.round(m.level * 100)}% certainty.`);
    }

    update(now) {
      if (!this.curves) return;
      this.strip.stills = now.strip;
      this.strip.draw();
      this.show();
    }
  }

  function groupStroke(k) {
    const svg = stroke("neutral");
    svg.style.setProperty("--c", groupColour(k));
    const line = svg.firstChild;
    if (groupDash(k)) line.setAttribute("stroke-dasharray", groupDash(k));
    else line.removeAttribute("stroke-dasharray");
    return svg;
  }

  /** How many faces the mean at the cursor is made of. */
  function faces(now) {
    const n = now.n?.[nearest(now.times, state.t)] ?? null;
    return n === null ? "too few faces to show" : `${several(n, "face")} found of ${now.in_curves ?? now.viewers}`;
  }

  // --- moments and markers ------------------------------------------------------------------------------------------------------

  /** Goes to a moment and shows its signal. */
  function visit(t, signal = null) {
    if (signal === "valence") state.valence = true;
    else if (signal) {
      state.valence = false;
      if (state.group) state.signals = new Set([signal]);
      else state.signals.add(signal);
    }
    if (!screen?.curves) return;
    screen.toolsOf = null;
    screen.show();
    screen.seek(t);
    document.getElementById("view-title")?.scrollIntoView({ block: "start", behavior: "smooth" });
  }

  function moments() {
    const now = part();
    if (!now?.curves) return null;
    const words = `Where the audience's mean rises above what chance alone would give (viewers shifted against each other in time ${review.methods.shifts} times).`;
    if (!now.moments.length && now.tested === false) {
      return [heading("moments", "Moments that stand out"), h("p", { class: "empty" }, h("strong", {}, "Too few viewers to name a moment"), `Moments are named from 10 viewers on; these are the curves of ${now.in_curves}.`)];
    }
    if (!now.moments.length) {
      return [heading("moments", "Moments that stand out"), h("p", { class: "empty" }, h("strong", {}, "No moment stands out"), "The curves stay within what chance alone would give. That is a result, too."), within(now)].filter(Boolean);
    }
    return [
      heading("moments", "Moments that stand out", words),
      h("ol", { class: "review-moments" }, ...now.moments.map((m) =>
        h("li", { class: "card moment-card" },
          m.still ? h("img", { src: m.still, alt: "" }) : null,
          h("div", { class: "moment-text" },
            h("button", { type: "button", class: "link moment-go", onclick: () => visit(m.time_s, m.signal) }, `${clock(m.time_s, screen?.scale ?? now.duration_s ?? m.time_s)} · ${m.signal}`, " ", h("span", { "aria-hidden": "true" }, m.direction === "down" ? "▼" : "▲")),
            h("p", {}, m.signal === "valence" ? null : dot(m.signal), " ", m.says),
            h("p", { class: "small soft tabular" }, `${told(m.signal, m.value)} at the peak, ${m.signal === "valence" ? told("valence", m.rise) : told("", m.rise, true)} from the film's mean${surely(m)}; ${span(m.start_s, m.end_s, now.duration_s ?? m.end_s)}`),
            m.viewers.length ? (m.viewers.length <= NAMES_TOLD
              ? h("p", { class: "small soft" }, `Viewers ${m.viewers.join(", ")}`)
              : h("details", { class: "small" }, h("summary", {}, `${several(m.viewers.length, "viewer")}`), h("p", { class: "soft" }, m.viewers.join(", ")))) : null)))),
      within(now),
    ].filter(Boolean);
  }

  /** The interval of a moment's rise over viewers, and how often chance gives one like it anywhere. */
  function surely(m) {
    if ((m.low ?? null) === null) return "";
    const by = (v) => (m.signal === "valence" ? told("valence", v) : told("", v, true).replace(/ points?$/, ""));
    return ` (${by(m.low)} to ${by(m.high)} with ${Math.round(review.methods.level * 100)}% certainty; ${chance(m.p)} over all times and expressions)`;
  }

  /** Why the highest point of the other expressions is no moment. */
  function within(now) {
    if (!now.peaks?.length) return null;
    const end = now.duration_s ?? now.times[now.times.length - 1];
    const exact = (signal, v) => (signal === "valence" ? told(signal, v) : `${(v * 100).toFixed(1)}%`);
    return h("details", { class: "small" }, h("summary", {}, "Why other high points are no moments"),
      h("p", { class: "soft prose" }, "An expression that wanders by itself, or at a time when fewer faces were seen, has to rise further before chance is an unlikely reason. So 30% of one can be no moment where 28% of another is."),
      h("ul", {}, ...now.peaks.map((peak) => h("li", {}, h("b", {}, peak.signal), `${now.moments.some((m) => m.signal === peak.signal) ? ", beside its moments," : ""} was ${peak.direction === "down" ? "lowest" : "highest"} at ${clock(peak.time_s, end)} with ${exact(peak.signal, peak.value)}; it would have needed ${peak.direction === "down" ? "less" : "more"} than ${exact(peak.signal, peak.threshold)} (${chance(peak.p)}).`))));
  }

  function chance(p) {
    if (p === null || p === undefined) return "–";
    return p < 0.05 ? `p = ${p < 0.001 ? "under .001" : p.toFixed(3).replace(/^0/, "")}` : `p = ${p.toFixed(2).replace(/^0/, "")}, could be chance`;
  }

  /** Before and after as two dots on one line, with the interval of the difference told beside. */
  function step(signal, effect, most) {
    const place = (v) => `${signal === "valence" ? ((v + 1) / 2) * 100 : (Math.max(v, 0) / most) * 100}%`;
    const from = h("i", { class: "step-from" }), to = h("i", { class: "step-to" }), line = h("i", { class: "step-line" });
    const [low, high] = [effect.before, effect.after].sort((a, b) => a - b);
    from.style.left = place(effect.before);
    to.style.left = place(effect.after);
    line.style.left = place(low);
    line.style.width = `calc(${place(high)} - ${place(low)})`;
    return h("span", { class: "step", "aria-hidden": "true" }, line, from, to);
  }

  function effects(marker, signals) {
    const known = signals.filter((signal) => (marker.effects?.[signal]?.before ?? null) !== null);
    if (!known.length) return h("p", { class: "small soft" }, "No before and after: too few viewers were seen on both sides, or the marker is new.");
    const most = Math.max(0.1, ...known.filter((s) => s !== "valence").flatMap((s) => [marker.effects[s].before, marker.effects[s].after]));
    return h("ul", { class: "effects" }, ...known.map((signal) => {
      const e = marker.effects[signal], by = (v) => told(signal, v, true);
      return h("li", {},
        h("span", { class: "row one-line" }, signal === "valence" ? null : dot(signal), signal),
        step(signal, e, most),
        h("span", { class: "tabular" }, `${told(signal, e.before)} → ${told(signal, e.after)}`),
        h("b", { class: "tabular num" }, by(e.difference)),
        h("span", { class: "effects-more small soft tabular" }, e.says ? `${e.says}; ` : "", (e.low ?? null) === null ? "" : `${by(e.low).replace(/ points?$/, "")} to ${by(e.high)} with ${Math.round(review.methods.level * 100)}% certainty; `, e.p === null ? "" : e.says ? `${chance(e.p_corrected)} corrected` : chance(e.p)));
    }));
  }

  function markers() {
    const now = part();
    if (!now?.curves || (!now.markers.length && !editable)) return null;
    const words = "Moments that were marked by hand, with the viewers' mean in the seconds before and after (or within the marked span).";
    if (!now.markers.length) {
      return [heading("markers", "Marked moments", words), h("p", { class: "empty" }, h("strong", {}, "Nothing is marked yet"), "Move the cursor to a joke, a logo, a cut, and press “Mark this moment”.")];
    }
    const all = [...review.labels, "valence"];
    // Neutral falls wherever anything rises; it is told with the rest, and so is what could be chance or is under a point.
    const clear = (e) => e.p === null || (e.clear ?? true);
    const strongest = (marker) => all.filter((signal) => signal !== "neutral" && (marker.effects?.[signal]?.difference ?? null) !== null && clear(marker.effects[signal]))
      .sort((a, b) => Math.abs(marker.effects[b].difference) - Math.abs(marker.effects[a].difference)).slice(0, EFFECTS_AT_FIRST);
    return [
      heading("markers", "Marked moments", words),
      h("ul", { class: "review-markers" }, ...[...now.markers].sort((a, b) => a.time_s - b.time_s).map((marker) =>
        h("li", { class: "card stack tight" },
          h("div", { class: "row between" },
            h("h3", { class: "break" }, h("button", { type: "button", class: "link", onclick: () => visit(marker.time_s) }, marker.end_s === null ? clock(marker.time_s, now.duration_s ?? marker.time_s) : span(marker.time_s, marker.end_s, now.duration_s ?? marker.end_s)), " ", marker.label),
            editable ? h("span", { class: "row no-print" },
              h("button", { type: "button", class: "small plain", "aria-label": `Change ${marker.label}`, onclick: () => edit({ stimulus: now.id, time_s: marker.time_s, marker }) }, "Change"),
              h("button", { type: "button", class: "small plain danger", "aria-label": `Delete ${marker.label}`, onclick: () => erase({ stimulus: now.id, marker }) }, "Delete")) : null),
          strongest(marker).length || !marker.effects?.valence ? effects(marker, strongest(marker)) : h("p", { class: "small soft" }, `No expression appears to change clearly here, of ${several(marker.effects.valence.n, "viewer")}.`),
          marker.effects?.valence ? h("details", { class: "small" }, h("summary", {}, "All expressions"), effects(marker, all)) : null))),
    ];
  }

  // --- who was there ------------------------------------------------------------------------------------------------------------

  function presence() {
    const now = part();
    if (!now?.curves || !now.there?.length || !now.left.length) return null;
    const least = percent(now.least_watched), end = now.duration_s ?? now.times[now.times.length - 1], most = Math.max(...now.there);
    const rest = now.viewers - now.left.length;
    const words = now.compared
      ? `${several(rest, "viewer")} of ${now.viewers} saw at least ${least} of it: the curves are theirs, so that a mean does not move because others left. “Everybody” over the curves adds the others.`
      : `Only ${rest} of ${now.viewers} viewers saw at least ${least} of it, too few to show: the curves are of everybody, and what moves where many come or go is no reaction.`;
    return [
      heading("presence", "Who left when", words),
      walk(now.times, now.there, most, end),
      h("details", { class: "small" }, h("summary", {}, `${several(now.left.length, "viewer")} who saw less than ${least}`),
        h("ul", {}, ...now.left.map((row) => h("li", {}, h("b", {}, row.viewer), ` ${row.why}`)))),
    ];
  }

  /** How many were there, as steps from the beginning to the end. */
  function walk(times, there, most, end) {
    const x = (t) => (Math.min(Math.max(t, 0), end) / end) * 100, y = (n) => 30 - (n / most) * 28;
    const half = usualStep(times) / 2;
    const path = there.map((n, k) => `${k ? "H" : "M"}${x(k ? times[k] - half : 0).toFixed(2)}${k ? "V" : " "}${y(n).toFixed(2)}`).join("");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), line = document.createElementNS(svg.namespaceURI, "path");
    svg.setAttribute("viewBox", "0 0 100 31");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    line.setAttribute("d", `${path}H100`);
    svg.append(line);
    return h("figure", { class: "walk" }, svg,
      h("figcaption", { class: "row between small soft tabular" }, h("span", {}, `${clock(0, end)}: ${several(there[0], "viewer")} there`), h("span", {}, `${clock(end, end)}: ${there[there.length - 1]}`)));
  }

  // --- how alike ----------------------------------------------------------------------------------------------------------------

  function synchrony() {
    const now = part(), found = now?.synchrony;
    if (!found) return null;
    const clear = found.p !== null && found.p < 0.05;
    const number = (v) => (v === null || v === undefined ? "–" : v.toFixed(2).replace("-", "−").replace("0.", "."));
    const rows = Object.entries(found.by_signal ?? {});
    return [
      heading("synchrony", "How alike the viewers reacted"),
      h("p", { class: "lead-sentence" }, clear
        ? "The viewers' faces moved together more than chance would have it: they reacted to the same things at the same time."
        : "The viewers' faces moved together no more than chance would have it."),
      h("p", { class: "soft prose" }, `Each viewer's ${found.signal} was compared with the mean of all others (inter-subject correlation): ${number(found.isc)} over the whole film${found.n ? ` (n = ${found.n})` : ""}, where 0 is nothing in common and 1 the same curve. `
        + `By chance, with viewers shifted against each other in time, it lies between ${number(found.null_low)} and ${number(found.null_high)} (${chance(found.p)}).`),
      rows.length ? h("details", {}, h("summary", {}, "Each expression"), h("table", { class: "narrow-table" },
        h("caption", { class: "hidden-text" }, "How alike, by expression"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Expression"), h("th", { scope: "col", class: "num" }, "Correlation"), h("th", { scope: "col" }, "By chance"))),
        h("tbody", {}, ...rows.map(([signal, one]) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "row one-line" }, signal === "valence" ? null : dot(signal), signal)), h("td", { class: "num" }, number(one.isc)), h("td", { class: "small soft" }, chance(one.p))))))) : null,
    ].filter(Boolean);
  }

  // --- the funnel ---------------------------------------------------------------------------------------------------------------

  /** "4 said no, 7 for other reasons": why people did not come further, as far as that is told. */
  const reasons = (part) => part.reasons.map((one) => `${one.n} ${one.reason === "others" ? "for " : ""}${one.title}`).join(", ");

  function funnel() {
    const found = review.funnel;
    if (!found) return null;
    const most = Math.max(1, ...found.stages.map((stage) => stage.n ?? 0));
    const stage = (title, n, part, words) => {
      const bar = h("i", { "aria-hidden": "true" });
      bar.style.width = `${((n ?? 0) / most) * 100}%`;
      return h("li", {}, h("span", {}, title), h("span", { class: "funnel-bar" }, bar), h("b", { class: "tabular num" }, n === null ? "–" : String(n)),
        words(part) ? h("span", { class: "small soft break" }, `${words(part)}.`) : null);
    };
    const without = found.without_camera ? h("p", { class: "small soft" }, `${found.without_camera} of those past the camera check went on without a camera.`) : null;
    return [
      heading("funnel", "How far people came", `Reasons are what page and server saw: nobody is asked. None is told of fewer than ${review.smallest_group} people; such are taken together.`),
      h("ul", { class: "funnel" },
        ...found.stages.map((one) => stage(one.title, one.n, one.lost, (lost) => lost.n && `${lost.n} did not${lost.reasons.length ? `: ${reasons(lost)}` : ""}`)),
        found.withdrawn.n ? stage("Withdrawn, all erased", found.withdrawn.n, found.withdrawn, reasons) : null),
      without,
    ].filter(Boolean);
  }

  // --- viewers ------------------------------------------------------------------------------------------------------------------

  const order = (name) => {
    const [, room, own] = name.match(/^(?:R(\d+)-)?(\d+)$/) ?? [null, "0", "0"];
    return Number(room ?? 0) * 1e6 + Number(own);
  };

  function viewers() {
    // Who agreed and never watched is told in the head: there is nothing whose quality could be judged.
    const many = review.viewers.filter((viewer) => viewer.quality !== "none");
    const excluded = review.excluded ?? [];
    const out = excluded.length ? h("div", { class: "notice warn" }, h("p", {}, `${several(excluded.length, "viewer")} left out of this report by whoever runs the study:`), h("ul", {}, ...excluded.map(({ viewer, reason }) => h("li", { class: "break" }, `Viewer ${viewer}: ${reason}`)))) : null;
    if (!many.length) return out && [heading("viewers", "Viewers"), out];
    const rank = { good: 0, fair: 1, poor: 2 };
    const group = (variable) => (viewer) => variable.values.find((value) => value.id === viewer.groups?.[variable.id])?.title ?? "–";
    const columns = [
      { key: "name", title: "Viewer", text: (v) => (v.room ? `${v.name} (in the room)` : v.name), by: (v) => order(v.name) },
      { key: "quality", title: "Quality", by: (v) => rank[v.quality] ?? 3 },
      { key: "face_share", title: "Face found", number: true, text: (v) => percent(v.face_share), by: (v) => v.face_share ?? -1 },
      ...review.variables.filter((variable) => many.some((viewer) => viewer.groups?.[variable.id])).map((variable) => ({ key: `g-${variable.id}`, title: variable.title, wraps: true, text: group(variable), by: group(variable) })),
      { key: "finished", title: "To the end", text: (v) => (v.finished ? "yes" : "no"), by: (v) => Number(v.finished) },
      { key: "started_at", title: "Began", text: (v) => when(v.started_at), by: (v) => v.started_at ?? "" },
      { key: "minutes", title: "Minutes", number: true, text: (v) => v.minutes?.toFixed(1) ?? "–", by: (v) => v.minutes ?? -1 },
      { key: "looks", title: "Looks", number: true, text: (v) => String(v.looks), by: (v) => v.looks },
      { key: "late", title: "Late", number: true, text: (v) => String(v.late), by: (v) => v.late },
      { key: "dropped", title: "Lost", number: true, text: (v) => String(v.dropped), by: (v) => v.dropped },
      ...(many.some((viewer) => viewer.others_share) ? [{ key: "others", title: "Others in view", number: true, text: (v) => percent(v.others_share), by: (v) => v.others_share ?? -1 }] : []),
      ...(many.some((viewer) => viewer.gone_on) ? [{ key: "gone_on", title: "Found anew", number: true, text: (v) => String(v.gone_on), by: (v) => v.gone_on }] : []),
      { key: "pauses", title: "Pauses", number: true, text: (v) => String(v.pauses), by: (v) => v.pauses },
    ];
    const body = h("tbody");
    const heads = columns.map((column) => {
      const button = h("button", { type: "button", class: "sort", onclick: () => {
        state.down = state.sort === column.key ? !state.down : Boolean(column.number);
        state.sort = column.key;
        rows();
      } }, column.title, h("span", { "aria-hidden": "true", class: "sort-mark" }));
      return h("th", { scope: "col", class: column.number ? "num" : null }, button);
    });
    function rows() {
      const by = columns.find((column) => column.key === state.sort) ?? columns[0];
      const sorted = [...many].sort((a, b) => {
        const [x, y] = [by.by(a), by.by(b)];
        return (x < y ? -1 : x > y ? 1 : order(a.name) - order(b.name)) * (state.down && x !== y ? -1 : 1);
      });
      columns.forEach((column, k) => {
        const on = column.key === by.key;
        if (on) heads[k].setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else heads[k].removeAttribute("aria-sort");
        say(heads[k].querySelector(".sort-mark"), on ? (state.down ? " ↓" : " ↑") : "");
      });
      body.replaceChildren(...sorted.map((viewer) => h("tr", {}, ...columns.map((column, k) => {
        if (column.key === "quality") {
          return h("td", {}, h("span", { class: `state ${QUALITIES[viewer.quality] ?? ""}` }, viewer.quality), viewer.why ? h("span", { class: "why small soft" }, viewer.why) : null);
        }
        return h(k ? "td" : "th", { scope: k ? null : "row", class: column.number ? "num" : column.wraps ? "break" : null }, column.text(viewer));
      }))));
    }
    rows();
    const poor = many.filter((viewer) => viewer.quality === "poor").length;
    const words = `${several(many.length, "viewer")}${poor ? `, ${poor} of poor quality` : ""}. A look is one reading of the camera; late looks came after a break of the network and are kept.`;
    return [
      heading("viewers", "Viewers", words),
      ...(out ? [out] : []),
      h("div", { class: "scroll viewers-scroll", tabindex: 0, role: "region", "aria-label": "Table of viewers" },
        h("table", { class: "viewers" }, h("caption", { class: "hidden-text" }, "Viewers and how well they were seen"), h("thead", {}, h("tr", {}, ...heads)), body)),
    ];
  }

  // --- answers ------------------------------------------------------------------------------------------------------------------

  function answers() {
    if (!review.questions.length) return null;
    const ways = review.variables.filter((variable) => review.questions.some((asked) => asked.by_group?.[variable.id]));
    const grouping = ways.find((variable) => variable.id === state.answersBy) ?? null;
    const by = h("select", { onchange: () => {
      state.answersBy = by.value;
      draw();
      places.answers.querySelector("select").focus();
    } }, ...[["", "all together"], ...ways.map((variable) => [variable.id, `by group: ${variable.title}`])].map(([value, text]) => h("option", { value, selected: value === (grouping?.id ?? "") }, text)));
    const pick = ways.length ? h("label", { class: "pick small answers-by no-print" }, "Answers", by) : null;
    const of = (name) => review.questions.filter((asked) => asked.part === name);
    // Before and after are not the same people: those who left are among the first only.
    const group = (title, some) => (some.length ? [h("h3", {}, `${title}: ${several(Math.max(...some.map((asked) => asked.n)), "person", "people")} answered`), h("div", { class: "questions" }, ...some.map((asked) => question(asked, grouping)))] : []);
    return [heading("answers", "What viewers answered"), pick, ...group("Before the film", of("before")), ...group("After the film", of("after"))].filter(Boolean);
  }

  function agreements() {
    const found = review.agreement;
    if (!found?.rows?.length && !found?.liking) return null;
    return [
      heading("agreement", "What viewers said and what their faces showed"),
      h("p", { class: "notice" }, found.text),
      found.rows?.length ? agreement(found) : null,
      found.liking ? h("p", { class: "soft" }, liking(found.liking)) : null,
    ].filter(Boolean);
  }

  /** A text to take along. */
  function pasted(text) {
    const quote = h("blockquote", { class: "break methods-paragraph" }, text), copy = h("button", { type: "button", class: "small no-print" }, "Copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        say(copy, "Copied");
      } catch { // without https, or opened as a file: there is no clipboard of its own
        getSelection().selectAllChildren(quote);
        say(copy, "Press Ctrl+C to copy");
      }
    });
    return h("div", { class: "stack tight" }, quote, h("div", { class: "row" }, copy));
  }

  function methods() {
    return [
      heading("methods", "How to read this page"),
      h("div", { class: "prose" },
        h("p", {}, review.caveat),
        h("p", {}, "People show the same feeling in different ways, and a face can be posed, polite or at rest. Programs of this kind are often wrong, more so for faces turned away, badly lit or covered, and for people unlike those they learned from. A curve of many viewers evens some of this out; it does not remove what is wrong in the same way for all."),
        h("p", {}, review.law),
        h("h3", {}, "How it was made"),
        h("ul", {}, ...review.methods.text.map((line) => h("li", { class: "break" }, line))),
        ...(review.methods.paragraph ? [h("h3", {}, "Methods, ready to paste"), pasted(review.methods.paragraph)] : []),
        ...review.stimuli.filter((one) => one.facts?.length).map((one) => h("p", { class: "small soft break" }, `${one.title}${one.duration_s ? `, ${duration(one.duration_s)}` : ""}: ${one.facts.join(" ")}`))),
    ];
  }

  function draw() {
    const now = part();
    fill("head", [review.headline, review.hidden, review.title, review.counts, review.made_at, review.live, review.until, review.simulated, acts.length], head);
    fill("cuts", ["cuts", review.cuts, state.cutSignal], cuts);
    fill("films", [review.stimuli.map((one) => [one.id, one.title]), state.stimulus], films);
    if (now?.curves && screen?.id === now.id) screen.update(now);
    else {
      screen = null;
      fill("view", [state.stimulus, Boolean(now?.curves), now?.strip?.length, review.hidden], view);
    }
    fill("moments", ["moments", state.stimulus, state.everybody, now?.moments, Boolean(now?.curves)], moments);
    fill("markers", ["markers", state.everybody, now?.markers, state.stimulus, Boolean(now?.curves)], markers);
    fill("presence", ["presence", state.stimulus, now?.left, now?.there, Boolean(now?.curves)], presence);
    fill("synchrony", ["synchrony", state.stimulus, now?.synchrony && [now.synchrony.isc, now.synchrony.p]], synchrony);
    fill("funnel", ["funnel", review.funnel], funnel);
    fill("viewers", [review.viewers, review.variables, review.excluded], viewers);
    fill("answers", [review.questions, review.variables, state.answersBy], answers);
    fill("agreement", [review.agreement], agreements);
    fill("methods", [review.methods, review.caveat, review.law, review.stimuli.map((one) => [one.title, one.facts])], methods);
  }

  // On paper all is dark on light; the plot bakes its colours in, so it is drawn again.
  const paper = (on) => () => {
    document.documentElement.classList.toggle("on-paper", on);
    screen?.curves?.print(on);
    beside?.print(on);
  };
  const printing = { beforeprint: paper(true), afterprint: paper(false) };
  for (const [type, listener] of Object.entries(printing)) addEventListener(type, listener);

  draw();
  return {
    update(next) {
      review = next;
      if (!part()) state.stimulus = review.stimuli[0]?.id ?? null;
      draw();
    },
    seek: (t) => screen?.seek(t),
    time: () => state.t,
    stimulus: () => state.stimulus,
    end() {
      for (const [type, listener] of Object.entries(printing)) removeEventListener(type, listener);
    },
  };
}

