// The first page: files are given, choices made, and what is under way and new is listed.

import { api, events } from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { dropped, isOther, isPicture, length, ofFolder } from "../shared/files.js";
import { duration, several, size, wait } from "/static/mien/format.js";
import { jobRow, UNFINISHED } from "./job.js";
import { uploads } from "./uploads.js";

const LATEST = 6;
const FRAMES_PER_S = 25; // supposed of a film of which only the length is known
const REMEMBERED = "mien.choices";
const USUAL = { smoothing_s: "0.2", baseline_s: "0", keep_film: "true", keep_stills: "true" };

const get = (id) => document.getElementById(id);
const given = new Map(); // File → seconds: 0 picture, null not known, undefined not yet known
let info = { intervals_s: [0, 0.2, 0.5, 1, 2, 5], looks_per_s: null, limits: {} };
const informed = api("GET", "/api/info").then((found) => (info = found));

// --- how often to look ------------------------------------------------------------------------------------------------------------

const OFTEN = { 0: "Every frame", 0.2: "5 times a second", 0.5: "Twice a second", 1: "Once a second" };
const often = (s) => OFTEN[s] ?? `Every ${s} s`;

function drawOften() {
  // Whoever is choosing already keeps the focus, and the press.
  if ([...document.getElementsByName("every_s")].map((one) => Number(one.value)).join() === info.intervals_s.join()) return;
  const chosen = choices().every_s;
  get("often").replaceChildren(
    ...info.intervals_s.map((s) =>
      h(
        "label",
        { class: "pick" },
        h("input", { type: "radio", name: "every_s", value: s, checked: String(s) === chosen }),
        h("span", { class: "pick-name" }, often(s)),
        h("span", { class: "pick-time soft small tabular", "data-every": s }),
      ),
    ),
  );
}

function choices() {
  const form = get("options");
  return {
    every_s: form.querySelector("[name=every_s]:checked")?.value ?? remembered.every_s ?? "0.2",
    smoothing_s: form.smoothing_s.value,
    baseline_s: form.baseline_s.value,
    keep_film: String(form.keep_film.checked),
    keep_stills: String(form.keep_stills.checked),
  };
}

let remembered = {};
try {
  remembered = JSON.parse(localStorage.getItem(REMEMBERED)) ?? {};
} catch {
  // no storage, or not ours: the defaults
}
for (const [name, value] of Object.entries(remembered)) {
  const control = get("options").elements[name];
  if (control?.type === "checkbox") control.checked = value === "true";
  else if (control?.options && [...control.options].some((o) => o.value === value)) control.value = value;
}
get("more").open = Object.entries(USUAL).some(([name, usual]) => (remembered[name] ?? usual) !== usual);
get("options").addEventListener("change", () => {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify(choices()));
  } catch {
    // a browser that keeps nothing
  }
  tellTimes();
});

/** Seconds of work for what was given, looked at each `every` seconds; null where no length is known. */
function work(every) {
  const films = [...given.values()].filter((s) => s > 0), pictures = [...given.values()].filter((s) => s === 0).length;
  if (!info.looks_per_s || (!films.length && !pictures)) return null;
  const looks = films.reduce((sum, s) => sum + (every ? Math.max(1, s / every) : s * FRAMES_PER_S), 0) + pictures;
  return looks / info.looks_per_s;
}

function tellTimes() {
  for (const place of document.querySelectorAll("[data-every]")) {
    const seconds = work(Number(place.dataset.every));
    say(place, seconds === null ? "" : wait(seconds));
  }
  const unknown = [...given.values()].filter((s) => s === null).length;
  const seconds = work(Number(choices().every_s));
  const parts = [];
  if (seconds !== null) parts.push(`Takes ${wait(seconds)}`);
  if (unknown) parts.push(`${several(unknown, "file")} of a length that is not known yet`);
  say(get("total"), parts.join(", and ") + (parts.length ? "." : ""));
}

// --- giving files -----------------------------------------------------------------------------------------------------------------

function lengthWords(file, seconds) {
  if (seconds === 0) return "picture";
  if (seconds === undefined) return "…";
  return seconds === null ? "length not known" : duration(seconds);
}

function drawGiven() {
  get("given").hidden = !given.size;
  const films = [...given.keys()].filter((file) => !isPicture(file)).length;
  const words = [films && several(films, "film"), given.size - films && several(given.size - films, "picture")].filter(Boolean).join(", ");
  say(get("given-title"), words || "Chosen");
  get("given-list").replaceChildren(
    ...[...given].map(([file, seconds]) =>
      h(
        "li",
        {},
        h("span", { class: "break" }, file.name),
        h("span", { class: "soft small num" }, lengthWords(file, seconds)),
        h("span", { class: "soft small num" }, size(file.size)),
        h("button", { type: "button", class: "small plain icon", "aria-label": `Remove ${file.name}`, title: "Remove", onclick: () => { given.delete(file); drawGiven(); } }, "✕"),
      ),
    ),
  );
  const start = get("start");
  start.disabled = !given.size;
  start.textContent = !given.size ? "Choose files first" : given.size === 1 ? "Analyse" : `Analyse ${given.size} files`;
  tellTimes();
}

let probing = Promise.resolve();

async function give({ files, left = 0 }) {
  await informed.catch(() => {}); // how large a file may be; `start` says what went wrong
  const most = info.limits.upload_max_mib;
  const refused = [];
  for (const file of files) {
    const known = [...given.keys()].some((other) => other.name === file.name && other.size === file.size && other.lastModified === file.lastModified);
    if (known) continue;
    if (isOther(file)) {
      refused.push(`${file.name} is no picture or film.`);
      continue;
    }
    if (most && file.size > most * 1024 * 1024) {
      refused.push(`${file.name} has ${size(file.size)}; at most ${size(most * 1024 * 1024)} are taken. Cut it or make it smaller.`);
      continue;
    }
    given.set(file, isPicture(file) ? 0 : undefined);
    // One after the other: a browser opens no more than some dozens of films at once.
    probing = probing.then(async () => {
      if (given.get(file) !== undefined || !given.has(file)) return;
      const seconds = await length(file);
      if (given.has(file)) given.set(file, seconds);
      drawGiven();
    });
  }
  const note = get("given-note");
  const notes = [...refused];
  if (left) notes.push(`${several(left, "file")} in the folder ${left === 1 ? "is" : "are"} no picture or film and left out.`);
  note.textContent = notes.join(" ");
  note.hidden = !notes.length;
  note.classList.toggle("problem", refused.length > 0);
  drawGiven();
  if (notes.length) get("given").hidden = false;
  if (!files.length && !left) return;
  if (given.size) get("start").focus({ preventScroll: true });
}

get("choose-files").addEventListener("click", () => get("files").click());
get("choose-folder").addEventListener("click", () => get("folder").click());
get("files").addEventListener("change", (event) => {
  give({ files: [...event.target.files] });
  event.target.value = "";
});
get("folder").addEventListener("change", (event) => {
  give(ofFolder(event.target.files));
  event.target.value = "";
});
get("clear").addEventListener("click", () => {
  given.clear();
  get("given-note").hidden = true;
  drawGiven();
  get("choose-files").focus();
});

// The whole page takes a drop: who misses the field must not lose the page to the film that the browser would open.
const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let over = 0;
const mark = (on) => get("drop").classList.toggle("over", on);
addEventListener("dragenter", (event) => carriesFiles(event) && mark(++over > 0));
addEventListener("dragleave", (event) => carriesFiles(event) && mark((over = Math.max(0, over - 1)) > 0));
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  mark((over = 0) > 0);
  try {
    await give(await dropped(event.dataTransfer));
  } catch {
    toast("The browser could not read what was dropped. Use “Choose files” or “Choose a folder”.");
  }
});
addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  // Every picture out of the clipboard is called image.png.
  const stamp = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  give({ files: files.map((file) => (file.name === "image.png" ? new File([file], `pasted ${stamp}.png`, { type: file.type }) : file)) });
});

get("options").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = choices();
  for (const file of given.keys()) sending.add(file, fields);
  given.clear();
  get("given-note").hidden = true;
  drawGiven();
  get("choose-files").focus({ preventScroll: true });
  if (matchMedia("(max-width: 1099px)").matches) get("under-way-title").scrollIntoView({ behavior: "smooth", block: "start" });
});

// --- what is under way and what is new --------------------------------------------------------------------------------------------

const rows = new Map(); // id → row

function place(job) {
  const known = rows.get(job.id);
  const row = known ?? jobRow(job);
  const before = known?.job.state;
  row.update(job);
  rows.set(job.id, row);
  const list = UNFINISHED.has(job.state) ? get("under-way") : get("latest");
  if (row.element.parentElement !== list) {
    if (list.id === "latest") list.prepend(row.element);
    else list.append(row.element);
    while (get("latest").children.length > LATEST) {
      const last = get("latest").lastElementChild;
      rows.delete(last.dataset.job);
      last.remove();
    }
  }
  if (before && UNFINISHED.has(before) && !UNFINISHED.has(job.state)) {
    say(get("heard"), job.state === "failed" ? `${job.name}: ${job.error}` : `${job.name} is ${job.state}.`);
  }
  tellEmpty();
}

function drop(id) {
  rows.get(id)?.element.remove();
  rows.delete(id);
  tellEmpty();
}

function tellEmpty() {
  get("nothing").hidden = get("uploads").children.length + get("under-way").children.length > 0;
  const some = get("latest").children.length > 0;
  get("empty").hidden = some || get("nothing").hidden;
  get("finished").hidden = !some && get("empty").hidden; // nothing has ended yet, but something is under way
  get("all").hidden = !some;
}

const sending = uploads(get("uploads"), { sent: place, changed: tellEmpty });
new MutationObserver(tellEmpty).observe(get("uploads"), { childList: true });
addEventListener("beforeunload", (event) => sending.busy && event.preventDefault());

async function readLatest() {
  const { items } = await api("GET", "/api/jobs?limit=50");
  const here = new Set(items.map((job) => job.id));
  for (const id of rows.keys()) if (!here.has(id)) drop(id);
  const finished = items.filter((job) => !UNFINISHED.has(job.state)).slice(0, LATEST);
  for (const job of finished.reverse()) place(job);
  for (const job of items.filter((job) => UNFINISHED.has(job.state)).reverse()) place(job);
  tellEmpty();
}

async function start() {
  drawOften();
  drawGiven();
  try {
    await Promise.all([informed, readLatest()]);
    drawOften();
    tellTimes();
  } catch (error) {
    toast(error.message);
  }
  events({
    job: place,
    removed: drop,
    gone: () => (get("gone").hidden = false),
    back: () => {
      get("gone").hidden = true;
      readLatest().catch((error) => toast(error.message));
    },
  });
}

start();
