// The report of a study on its page: it follows the study while it runs, keeps reports as they stood, changes markers, downloads.

import { paint } from "/static/mien/emotions.js";
import { api, errorOf } from "../shared/api.js";
import { ask, confirm, open, toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { clock } from "/static/mien/format.js";
import "../shared/menus.js";
import { show } from "/static/mien/study_report/report.js";

const SOON_MS = 1500, STALE_MS = 4000, LATER_MS = 8000;
const MARKER_LETTERS_MAX = 80;
const FILES = [
  ["review.html?download=1", "One page", "opens without a network"],
  ["review.pdf?paper=a4", "PDF, A4", "to print"],
  ["review.pdf?paper=letter", "PDF, letter", "to print in America"],
  ["director.html?download=1", "Director's sheet", "one page for each film"],
  ["director.pdf", "Its PDF", "A4 across, to print"],
  ["director.pptx", "Its slides", "for PowerPoint and others"],
  ["long.csv", "Long table", "a row for each viewer and time"],
  ["wide.csv", "Wide table", "a row for each time"],
  ["answers.csv", "Answers", "what viewers answered"],
  ["viewers.csv", "Viewers", "how well each was seen"],
  ["moments.csv", "Moments", "what stands out"],
  ["funnel.csv", "Funnel", "how far people came"],
  ["review.json", "JSON", "all of this page's numbers"],
  ["review.zip", "Everything", "all of these in one file"],
];

const root = document.getElementById("review");
const study = encodeURIComponent(root.dataset.study);
const base = `/api/studies/${study}`;
let frozen = root.dataset.frozen, tag = null, report = null, review = null, timer = null, asked = 0;

// --- what the server has --------------------------------------------------------------------------------------------------------

/** Asks for the review: {review} when it is new, {} when it has not changed, {building} while it is made for the first time. */
async function load() {
  const answer = await fetch(`${base}/review${frozen ? `?frozen=${encodeURIComponent(frozen)}` : ""}`, {
    headers: { Accept: "application/json", ...(tag ? { "If-None-Match": tag } : {}) }, credentials: "same-origin", cache: "no-store",
  });
  if (answer.status === 304) return { stale: answer.headers.get("X-Review-Stale") === "1" };
  const text = await answer.text();
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!answer.ok) throw errorOf(answer.status, text);
  const body = JSON.parse(text);
  if (answer.status === 202) return { building: true };
  tag = answer.headers.get("ETag");
  return { review: body, stale: Boolean(body.stale) };
}

async function follow() {
  clearTimeout(timer);
  const mine = ++asked;
  let next = LATER_MS;
  try {
    const got = await load();
    if (mine !== asked) return; // another one was chosen meanwhile
    document.getElementById("gone").hidden = true;
    if (got.review) draw(got.review);
    making(got.building ? "The report is being made. This can take some seconds." : got.stale ? "Something has changed; the report is being made again." : "");
    if (got.building) next = SOON_MS;
    else if (got.stale) next = STALE_MS;
    else if (frozen) return;
  } catch (error) {
    if (mine !== asked) return;
    if (error.status >= 400) {
      making("");
      root.classList.remove("waiting");
      root.replaceChildren(h("h1", {}, "There is no report"), h("p", { class: "notice bad" }, error.message), h("p", {}, h("a", { href: `/studies/${study}` }, "Back to the study")));
      return;
    }
    document.getElementById("gone").hidden = false;
  }
  if (!document.hidden) timer = setTimeout(follow, next);
}

function making(words) {
  say(document.getElementById("making-words"), words);
  document.getElementById("making").hidden = !words;
}

// --- the page -------------------------------------------------------------------------------------------------------------------

const states = h("select", { onchange: () => choose(states.value) });
const back = h("a", { href: `/studies/${study}` }, "‹ The study");

function draw(next) {
  review = next;
  root.classList.remove("waiting");
  if (report) report.update(review);
  else {
    paint(review.colours);
    report = show(root, review, {
      film: (stimulus) => (stimulus.kind === "event" ? null : `${base}/films/${encodeURIComponent(stimulus.id)}`),
      acts: acts(), back, editable: !frozen, edit, erase, mark,
    });
  }
  document.title = `${review.title} · report · mien`;
}

function acts() {
  const links = FILES.map(([name, title, words]) =>
    h("a", { class: "button", href: `${base}/${name}${frozen ? `${name.includes("?") ? "&" : "?"}frozen=${encodeURIComponent(frozen)}` : ""}`, download: true }, title, h("span", { class: "soft small" }, words)));
  const menu = h("details", { class: "menu" }, h("summary", { class: "button" }, "Download"), h("div", { class: "downloads" }, ...links));
  return [
    h("label", { class: "pick small" }, "Report", states),
    frozen ? h("button", { type: "button", class: "danger", onclick: forget }, "Delete this one") : h("button", { type: "button", onclick: freeze }, "Keep as it is now"),
    menu,
    h("button", { type: "button", onclick: () => print() }, "Print"),
  ];
}

/** Another report: as it stands (""), or one that was kept. */
function choose(name) {
  frozen = name;
  tag = null;
  report?.end();
  report = null;
  root.classList.add("waiting"); // what is there is of another report
  const address = new URL(location.href);
  if (frozen) address.searchParams.set("frozen", frozen);
  else address.searchParams.delete("frozen");
  history.replaceState(null, "", address);
  follow();
}

async function kept() {
  const { items } = await api("GET", `${base}/frozen`);
  states.replaceChildren(h("option", { value: "" }, "as it stands"), ...items.map((item) => h("option", { value: item.id }, item.name)));
  states.value = frozen;
}

/** Does what changes something at the server, and says what went wrong. */
async function change(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

async function freeze() {
  const name = await ask({ title: "Keep this report", label: "Name", hint: "It stays as it is now, whatever comes after.", value: new Date().toISOString().slice(0, 10), action: "Keep" });
  if (!name) return;
  await change(async () => {
    await api("POST", `${base}/frozen`, { name });
    await kept();
    toast(`Kept as “${name}”.`);
  });
}

async function forget() {
  const name = states.selectedOptions[0]?.textContent ?? "";
  if (!(await confirm({ title: "Delete a kept report", text: `“${name}” is deleted. What was measured stays.`, action: "Delete" }))) return;
  if (await change(() => api("DELETE", `${base}/frozen/${encodeURIComponent(frozen)}`))) {
    choose("");
    await kept();
  }
}

// --- markers --------------------------------------------------------------------------------------------------------------------

/** Seconds from "72", "1:12.5" or "1:02:09"; null for anything else, NaN for nothing. */
function seconds(text) {
  const given = text.trim().replace(",", ".").replace(/\s*s$/, "");
  if (!given) return NaN;
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(given)) return null;
  return given.split(":").reduce((sum, piece) => sum * 60 + Number(piece), 0);
}

const exact = (t) => {
  const rest = (t % 60).toFixed(1);
  return t < 60 ? rest : `${t >= 3600 ? `${Math.floor(t / 3600)}:${String(Math.floor(t / 60) % 60).padStart(2, "0")}` : Math.floor(t / 60)}:${rest.padStart(4, "0")}`;
};

/** All markers of all films, as the study keeps them. */
const all = () => review.stimuli.flatMap((one) => one.markers.map(({ id, label, time_s, end_s }) => ({ id, stimulus: one.id, time_s, end_s, label })));

async function put(markers, words) {
  // The report may be of a while ago: what was marked since, here or in another window, stays.
  if (await change(() => api("PUT", `${base}/markers`, { markers, was: all() }))) {
    // They are there at once; what they say of before and after comes with the next report.
    const known = new Map(all().map((marker, k) => [marker.id, [marker, review.stimuli.flatMap((one) => one.markers)[k].effects]]));
    const effects = (marker) => {
      const [was, found] = known.get(marker.id) ?? [{}, {}];
      return was.time_s === marker.time_s && was.end_s === marker.end_s ? found : {};
    };
    draw({ ...review, stimuli: review.stimuli.map((one) => ({ ...one, markers: markers.filter(({ stimulus }) => stimulus === one.id).map((marker) => ({ ...marker, effects: effects(marker) })) })) });
    toast(words);
    await follow();
  }
}

async function edit({ stimulus, time_s, marker }) {
  const film = review.stimuli.find((one) => one.id === stimulus), end = film.duration_s ?? film.times[film.times.length - 1] ?? Infinity;
  const label = h("input", { type: "text", required: true, maxlength: MARKER_LETTERS_MAX, value: marker?.label ?? "", autocomplete: "off" });
  const from = h("input", { type: "text", required: true, inputmode: "decimal", value: exact(time_s), autocomplete: "off" });
  const to = h("input", { type: "text", inputmode: "decimal", value: (marker?.end_s ?? null) === null ? "" : exact(marker.end_s), autocomplete: "off" });
  const check = () => {
    const [a, b] = [seconds(from.value), seconds(to.value)];
    from.setCustomValidity(a === null || Number.isNaN(a) ? "Write a time such as 1:12." : a > end ? `The film ends at ${clock(end)}.` : "");
    to.setCustomValidity(b === null ? "Write a time such as 1:12, or nothing." : b <= a ? "The end comes after the beginning." : b > end ? `The film ends at ${clock(end)}.` : "");
  };
  for (const input of [from, to]) input.addEventListener("input", check);
  check();
  const given = open(
    marker ? "Change a marker" : "Mark this moment",
    [
      h("label", { class: "field" }, "What happens here", label, h("span", { class: "hint" }, "Such as joke, logo, first cut.")),
      h("div", { class: "fields" }, h("label", { class: "field" }, "At", from), h("label", { class: "field" }, "Until (may stay empty)", to)),
    ],
    "Save",
    { value: () => ({ label: label.value.trim(), time_s: seconds(from.value), end_s: Number.isNaN(seconds(to.value)) ? null : seconds(to.value) }) },
  );
  label.focus();
  const told = await given;
  if (!told?.label) return;
  if (marker) await put(all().map((one) => (one.id === marker.id ? { ...one, ...told } : one)), `“${told.label}” is changed.`);
  else await put([...all(), { id: `m${Date.now().toString(36)}`, stimulus, ...told }], `“${told.label}” is marked.`);
}

let marking = Promise.resolve();

/** One at once, with a name that can be changed later; the next waits until it is kept. */
function mark({ stimulus, time_s }) {
  marking = marking.then(() => {
    const taken = new Set(all().map((marker) => marker.label));
    let number = 1;
    while (taken.has(`Mark ${number}`)) number += 1;
    return put([...all(), { id: `m${Date.now().toString(36)}`, stimulus, time_s: Math.round(time_s * 100) / 100, end_s: null, label: `Mark ${number}` }], `“Mark ${number}” is marked.`);
  });
}

async function erase({ marker }) {
  if (!(await confirm({ title: "Delete a marker", text: `“${marker.label}” is deleted from this film.`, action: "Delete" }))) return;
  await put(all().filter((one) => one.id !== marker.id), `“${marker.label}” is deleted.`);
}

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : follow()));
await follow();
await kept().catch(() => {});
