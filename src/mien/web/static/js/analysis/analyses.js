// All analyses, the newest first: searched, renamed, deleted, two of them chosen to compare.

import { api, events } from "../shared/api.js";
import { toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { duration, several, size, when } from "/static/mien/format.js";
import { acts, facts, page, progressText, shareBar, statePill, UNFINISHED } from "./job.js";
import { bar, setBar } from "../shared/progress.js";

const AT_ONCE = 30;

const get = (id) => document.getElementById(id);
const rows = new Map(); // id → {element, update}
const chosen = new Map(); // id → name, in the order of ticking
let cursor = null, asked = 0;

// --- a row ------------------------------------------------------------------------------------------------------------------------

function row(job) {
  const tick = h("input", { type: "checkbox", onchange: () => choose(job, tick.checked) });
  const cells = {
    tick: h("td", { class: "tick" }, tick), who: h("td", { class: "who" }), shares: h("td", { class: "shares-cell" }),
    length: h("td", { class: "num far" }), people: h("td", { class: "num far" }), space: h("td", { class: "num far" }),
    when: h("td", { class: "num far" }), acts: h("td", { class: "acts" }),
  };
  const element = h("tr", { "data-job": job.id }, ...Object.values(cells));
  let current = job, told = null;

  // Progress comes several times a second: then only the bar moves, and what has the focus stays.
  const progress = bar(job.name), words = h("p", { class: "soft small tabular" });

  function update(next) {
    current = next;
    const unfinished = UNFINISHED.has(next.state);
    if (unfinished) {
      const text = progressText(next);
      say(words, text);
      setBar(progress, next.state === "queued" ? 0 : (next.progress?.share ?? null), text);
    }
    const key = JSON.stringify([next.state, next.name, next.note, next.error, next.headline, next.size_bytes]);
    if (key === told) return;
    told = key;
    tick.checked = chosen.has(next.id);
    tick.disabled = next.state !== "done" || next.media === "picture";
    tick.setAttribute("aria-label", `Choose ${next.name} to compare`);
    tick.title = next.media === "picture" ? "A picture has no time to compare" : next.state === "done" ? "" : "Only what is done can be compared";
    cells.who.replaceChildren(
      h("div", { class: "row" }, h("a", { href: page(next), class: "break" }, next.name), ...(next.state === "done" && !next.note ? [] : [statePill(next)])),
      ...(unfinished ? [words] : []),
      ...(next.state === "failed" ? [h("p", { class: "small soft break" }, next.error ?? "It failed.")] : []),
      ...(next.headline ? [h("p", { class: "small soft break" }, next.headline)] : []),
      ...(next.note ? [h("p", { class: "small soft break" }, next.note)] : []),
      h("p", { class: "small soft tabular below" }, [facts(next), size(next.size_bytes)].join(" · ")),
    );
    cells.shares.replaceChildren(...(unfinished && next.kind === "file" ? [progress] : next.people ? [shareBar(next.shares)] : []));
    cells.length.textContent = next.media === "picture" ? "picture" : duration(next.duration_s);
    cells.people.textContent = next.people ?? "–";
    cells.space.textContent = size(next.size_bytes);
    cells.when.textContent = when(next.created_at);
    const act = (word, what, kind = "") => h("button", { type: "button", class: kind, onclick: () => { menu.open = false; what(current).then((done) => done && done !== true && update(done)); } }, word);
    const menu = h(
      "details",
      { class: "menu" },
      h("summary", { class: "button small plain icon", "aria-label": `What can be done with ${next.name}` }, "⋯"),
      h(
        "div",
        {},
        act("Rename", acts.rename),
        (next.state === "queued" || next.state === "running") && act("Cancel", acts.cancel),
        (next.state === "failed" || next.state === "cancelled") && next.kind === "file" && act("Try again", acts.retry),
        act("Delete", acts.remove, "danger"),
      ),
    );
    cells.acts.replaceChildren(menu);
  }
  update(job);
  return { element, update };
}

// One menu at a time; it closes when the focus or a click goes elsewhere, and by Escape.
const closeMenus = (but) => document.querySelectorAll(".menu[open]").forEach((menu) => menu.contains(but) || (menu.open = false));
addEventListener("click", (event) => closeMenus(event.target));
addEventListener("focusin", (event) => closeMenus(event.target));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector(".menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// --- the list ---------------------------------------------------------------------------------------------------------------------

const wanted = () => ({ search: get("search").value.trim(), state: get("state").value });
const fits = (job) => {
  const { search, state } = wanted();
  return (!state || job.state === state) && job.name.toLowerCase().includes(search.toLowerCase());
};

function tell() {
  const { search, state } = wanted();
  get("table").hidden = !rows.size;
  get("empty").hidden = rows.size > 0 || Boolean(search || state);
  get("nothing").hidden = rows.size > 0 || !(search || state);
  get("more").hidden = !cursor;
}

async function read(more = false) {
  const { search, state } = wanted();
  const query = new URLSearchParams({ limit: AT_ONCE, ...(search && { search }), ...(state && { state }), ...(more && cursor && { cursor }) });
  const ask = ++asked;
  try {
    const found = await api("GET", `/api/jobs?${query}`);
    if (ask !== asked) return; // a newer search is under way
    cursor = found.next_cursor;
    if (!more) {
      rows.clear();
      get("rows").replaceChildren();
    }
    for (const job of found.items) {
      if (rows.has(job.id)) continue;
      const made = row(job);
      rows.set(job.id, made);
      get("rows").append(made.element);
    }
    if (more) get("rows").children[get("rows").children.length - found.items.length]?.querySelector("a").focus();
    say(get("found"), `${several(rows.size, "analysis", "analyses")}${cursor ? ", and more" : ""}.`);
    tell();
  } catch (error) {
    toast(error.message);
  }
}

function remove(id) {
  rows.get(id)?.element.remove();
  rows.delete(id);
  chosen.delete(id);
  tell();
  tellChosen();
}

function choose(job, on) {
  if (on) chosen.set(job.id, job.name);
  else chosen.delete(job.id);
  tellChosen();
}

function tellChosen() {
  const [first, second] = chosen.keys();
  get("chosen").hidden = !chosen.size;
  const two = chosen.size === 2;
  say(get("chosen-words"), chosen.size === 1 ? "One is chosen; tick another to compare the two." : two ? "Two are chosen." : "More than two are chosen; two can be compared.");
  const link = get("compare");
  if (two) link.href = `/compare?a=${encodeURIComponent(first)}&b=${encodeURIComponent(second)}`;
  else link.removeAttribute("href");
  link.setAttribute("aria-disabled", String(!two));
}

// --- start ------------------------------------------------------------------------------------------------------------------------

const asks = new URLSearchParams(location.search);
get("search").value = asks.get("search") ?? "";
get("state").value = asks.get("state") ?? "";

let timer;
function searched() {
  const { search, state } = wanted();
  const query = new URLSearchParams({ ...(search && { search }), ...(state && { state }) }).toString();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
  read();
}
get("search").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(searched, 200);
});
get("state").addEventListener("change", searched);
get("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  searched();
});
get("all").addEventListener("click", () => {
  get("search").value = get("state").value = "";
  searched();
  get("search").focus();
});
get("more").addEventListener("click", () => read(true));
get("none").addEventListener("click", () => {
  chosen.clear();
  for (const tick of get("rows").querySelectorAll(".tick input")) tick.checked = false;
  tellChosen();
  get("search").focus();
});

await read();
events({
  job(job) {
    const known = rows.get(job.id);
    if (known) known.update(job);
    else if (fits(job)) {
      const made = row(job);
      rows.set(job.id, made);
      get("rows").prepend(made.element);
      tell();
    }
  },
  removed: remove,
  gone: () => (get("gone").hidden = false),
  back: () => {
    get("gone").hidden = true;
    read();
  },
});
