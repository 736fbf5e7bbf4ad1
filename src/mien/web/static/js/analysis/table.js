// The page of one table of an analysis: its rows in words, filtered and sorted; each leads to its moment on the page of the analysis.

import { api, errorOf } from "../shared/api.js";
import { cell, columnsOf } from "./columns.js";
import { rowsOf } from "./csv.js";
import { h, say } from "/static/mien/element.js";
import { paint } from "/static/mien/emotions.js";
import { clock, several } from "/static/mien/format.js";
import { rows } from "./rows.js";

const TELL_MS = 250; // how often the page is brought up to date while a table arrives

const get = (id) => document.getElementById(id);
const [, , id, , name] = location.pathname.split("/").map(decodeURIComponent);
const box = get("box"), form = get("filters");
const fields = Object.fromEntries(["from", "to", "face", "expression"].map((key) => [key, get(key)]));
const EMPTY = {
  "faces.csv": "No face was found, so there is no row. Faces under about 20 pixels, profiles and covered faces are often missed.",
  "timeline.csv": "Nothing was looked at, so there is no row.",
  "episodes.csv": "No expression was clear for long enough to count, so there is no row.",
};

let result, columns, data, view;
let length = 0; // rows that have arrived
let order = null; // which rows are shown, by their place in the file; null: all, as the file has them
let sorted = { column: null, down: false };
let complete = false;

const column = (wanted) => columns.find((other) => other.name === wanted);
const values = (wanted) => data[column(wanted)?.at];

// --- which rows, in which order ---------------------------------------------------------------------------------------------------

/** Seconds of "12.5", "4:05" or "1:02:09"; null where nothing is given, NaN where it is no time. */
function seconds(field) {
  const text = field.value.trim().replace(",", ".");
  const time = !text ? null : /^(\d+:){0,2}\d+(\.\d*)?$/.test(text) ? text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) : NaN;
  field.setAttribute("aria-invalid", String(Number.isNaN(time)));
  return time;
}

function filters() {
  const from = seconds(fields.from), to = seconds(fields.to), { face, expression } = { face: fields.face.value, expression: fields.expression.value };
  const wrong = Number.isNaN(from) || Number.isNaN(to);
  const late = !wrong && from !== null && to !== null && from > to;
  get("times-problem").hidden = !wrong && !late;
  say(get("times-problem"), wrong ? "Give seconds, as 12.5, or a time, as 4:05." : late ? "The end comes before the beginning." : "");
  const tests = [];
  const start = values("time_s") ?? values("start_s"), end = values("end_s") ?? start;
  if (from) tests.push((i) => end[i] >= from - 1e-6);
  if (to !== null && !wrong) tests.push((i) => start[i] <= to + 1e-6);
  const track = values("track"), shown = values("expression"), count = values(`${expression}_count`);
  if (face && track) tests.push((i) => track[i] === Number(face));
  if (expression && (shown || count)) tests.push(shown ? (i) => shown[i] === expression : (i) => count[i] > 0);
  return tests;
}

function select() {
  const tests = filters(), asFile = sorted.column === columns[0] && !sorted.down;
  order = null;
  if (tests.length || !asFile) {
    const found = [];
    for (let i = 0; i < length; i++) if (tests.every((test) => test(i))) found.push(i);
    order = asFile ? found : inOrder(found, data[sorted.column.at], sorted.down);
  }
  get("clear").hidden = !tests.length && [fields.from, fields.to].every((field) => !field.value);
}

/** Sorted by `by`; what is empty comes last, what is equal as in the file. */
function inOrder(found, by, down) {
  const sign = down ? -1 : 1;
  const compare = typeof by[0] === "string" ? (a, b) => sign * by[a].localeCompare(by[b]) : (a, b) => sign * (by[a] - by[b]);
  const empty = (i) => Number.isNaN(by[i]);
  return [...found.filter((i) => !empty(i)).sort((a, b) => compare(a, b) || a - b), ...found.filter(empty)];
}

const shownRows = () => order?.length ?? length;

/** Shows what is to be shown, from its first row. */
function show() {
  select();
  box.scrollTop = 0;
  view.set(shownRows());
  tell();
  remember();
}

function tell() {
  const all = several(length, "row"), n = shownRows();
  say(get("count"), !complete ? `Reading: ${all} so far` : order && n < length ? `${several(n, "row")} of ${all.replace(/ rows?$/, "")}` : all);
  get("table").setAttribute("aria-rowcount", complete ? n + 1 : -1);
  const none = complete && !n;
  get("none").hidden = !none;
  box.hidden = none;
  form.hidden = complete && !length;
  get("hint").hidden = none || result.media.kind === "picture";
  if (none) get("none").replaceChildren(length ? h("strong", {}, "No row fits") : h("strong", {}, "This table is empty"), h("span", {}, length ? "Choose a longer time, another face or another expression." : EMPTY[name]));
}

// --- the head of the table --------------------------------------------------------------------------------------------------------

function drawHead() {
  get("widths").replaceChildren(...columns.map((each) => h("col", { class: `k-${each.kind}` })));
  get("head").replaceChildren(
    ...columns.map((each) =>
      h(
        "th",
        { scope: "col", class: each.plain ? null : "num", "data-column": each.name },
        h("button", { type: "button", class: "sort", title: `${each.hint}. In the file: ${each.name}`, onclick: () => sortBy(each) }, h("span", {}, each.words, h("i", { class: "arrow", "aria-hidden": "true" })), h("span", { class: "csv-name", translate: "no" }, each.name)),
      ),
    ),
  );
  markSorted();
}

function sortBy(each) {
  sorted = { column: each, down: sorted.column === each ? !sorted.down : each.high };
  markSorted();
  show();
  say(get("sorted"), `Sorted by ${each.words}, ${sorted.down ? "highest" : "lowest"} first`);
}

function markSorted() {
  for (const th of get("head").children) {
    const here = th.dataset.column === sorted.column.name;
    if (here) th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  }
}

// --- a row ------------------------------------------------------------------------------------------------------------------------

function row(i) {
  const at = order ? order[i] : i;
  const about = { end: result.end_s, names };
  const shown = values("expression")?.[at];
  return h(
    "tr",
    {},
    ...columns.map((each, k) => {
      const element = cell(each, data[each.at][at], about);
      if (each.label && each.label === shown) element.classList.add("most");
      if (k) return element;
      return h("th", { scope: "row", class: "num" }, h("a", { href: leadsTo(at), tabindex: "-1", title: element.title }, element.textContent));
    }),
  );
}

function leadsTo(at) {
  if (result.media.kind === "picture") return `/analyses/${id}`;
  const time = data[columns[0].at][at], face = values("track")?.[at];
  return `/analyses/${id}#t=${Number(time.toFixed(3))}${face === undefined ? "" : `&face=${face}`}`;
}

// --- what the address remembers, so that coming back shows the same ---------------------------------------------------------------

function remember() {
  const wanted = new URLSearchParams();
  for (const [key, field] of Object.entries(fields)) if (field.value.trim()) wanted.set(key, field.value.trim());
  if (sorted.column !== columns[0] || sorted.down) wanted.set("sort", `${sorted.down ? "-" : ""}${sorted.column.name}`);
  history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
}

function recall() {
  const given = new URLSearchParams(location.search), by = given.get("sort") ?? "";
  for (const [key, field] of Object.entries(fields)) {
    field.value = given.get(key) ?? "";
    if (field.selectedIndex < 0) field.value = "";
  }
  sorted = { column: column(by.replace(/^-/, "")) ?? columns[0], down: by.startsWith("-") };
}

get("body").addEventListener("click", () => history.replaceState({ top: box.scrollTop }, "")); // on the way to a moment

// --- reading it -------------------------------------------------------------------------------------------------------------------

let names;

function begin(header) {
  columns = columnsOf(header, result.labels);
  data = header.map(() => []);
  const still = result.media.kind === "picture", tracks = result.tracks.filter((track) => !track.hidden);
  get("times").hidden = still;
  fields.from.placeholder = clock(0, result.end_s, 0);
  fields.to.placeholder = clock(result.end_s, result.end_s);
  get("face-field").hidden = !column("track") || tracks.length < 2;
  fields.face.replaceChildren(h("option", { value: "" }, "Everybody"), ...tracks.map((track) => h("option", { value: track.id }, track.name)));
  fields.expression.replaceChildren(h("option", { value: "" }, "Any"), ...result.labels.map((label) => h("option", { value: label }, label)));
  if (!column("expression")) say(get("expression-label"), "Shown by somebody");
  recall();
  drawHead();
  view = rows(box, get("body"), row);
  form.hidden = false;
  get("waiting").hidden = true;
  box.hidden = false;
}

function take(some) {
  for (const each of columns) {
    const kept = data[each.at];
    for (const cells of some) kept.push(each.kept(cells[each.at]));
  }
  length += some.length;
}

async function read() {
  const wanted = fetch(`/api/jobs/${id}/files/${name}`, { credentials: "same-origin", cache: "no-store" });
  wanted.catch(() => {}); // said below
  result = await api("GET", `/api/jobs/${id}/result`);
  paint(result.colours);
  names = new Map(result.tracks.map((track) => [track.id, track.name]));
  const answer = await wanted;
  if (!answer.ok) throw errorOf(answer.status, await answer.text());
  let told = -Infinity;
  for await (const some of rowsOf(answer.body)) {
    if (!columns) begin(some.shift());
    take(some);
    if (performance.now() - told < TELL_MS || !length) continue;
    select();
    if (order) view.set(shownRows());
    else view.grow(length);
    tell();
    told = performance.now();
  }
  complete = true;
  select();
  tell();
  view.set(shownRows());
  if (history.state?.top) box.scrollTop = history.state.top;
  box.removeAttribute("aria-busy");
}

for (const field of Object.values(fields)) field.addEventListener(field.tagName === "SELECT" ? "change" : "input", () => view && show());
form.addEventListener("submit", (event) => event.preventDefault());
get("clear").addEventListener("click", () => {
  for (const field of Object.values(fields)) field.value = "";
  show();
  fields[get("times").hidden ? "expression" : "from"].focus();
});

try {
  await read();
} catch (error) {
  const words = error.status === undefined ? "The table could not be read to its end. Is mien still running?" : error.message;
  get("waiting").hidden = false;
  get("waiting").replaceChildren(h("div", { class: "notice bad", role: "alert" }, words), h("div", { class: "row" }, h("button", { type: "button", onclick: () => location.reload() }, "Try again")));
}
