// All studies, the newest first: made, duplicated, archived, brought in from a file and written to one.

import { api } from "../shared/api.js";
import { confirm, toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { several, when } from "/static/mien/format.js";
import "../shared/menus.js";
import { statePill, studyApi, studyName, studyPage } from "./kinds.js";
import { proof } from "./people.js";

const get = (id) => document.getElementById(id);
const purposes = JSON.parse(get("purposes").textContent);
let all = [];

function counts(study) {
  const c = study.counts ?? {};
  return c.agreed ? `${several(c.agreed, "person", "people")} agreed · ${c.finished ?? 0} finished` : study.state === "draft" ? "" : "nobody yet";
}

function row(study) {
  const name = studyName(study);
  const act = (word, what, kind = "") => h("button", { type: "button", class: kind, onclick: () => { menu.open = false; what(study).catch((error) => toast(error.message)); } }, word);
  const menu = h(
    "details",
    { class: "menu" },
    h("summary", { class: "button small plain icon", "aria-label": `What can be done with ${name}` }, "⋯"),
    h(
      "div",
      {},
      act("Duplicate", duplicate),
      h("a", { class: "button", href: `${studyApi(study)}/export`, download: "" }, "Export as a file"),
      study.state === "archived" ? act("Take out of the archive", unarchive) : act("Archive", archive),
      act("Erase", erase, "danger"),
    ),
  );
  const stimuli = study.definition?.stimuli ?? [];
  const lacks = study.state === "draft" && study.missing?.length ? `still needs ${study.missing.length === 1 ? study.missing[0].what : several(study.missing.length, "thing")}` : "";
  const facts = [
    purposes.allowed[study.definition?.purpose] ?? "", stimuli.length ? several(stimuli.length, "film") : "", `made ${when(study.created_at)}`,
  ].filter(Boolean);
  return h(
    "li",
    { class: "card study-row", "data-study": study.id },
    h(
      "div",
      { class: "stack tight" },
      h("div", { class: "row" }, h("a", { class: "study-name break", href: studyPage(study) }, name), statePill(study), study.simulated && h("span", { class: "state warn" }, "Simulated")),
      h("p", { class: "small soft tabular" }, facts.join(" · ")),
      (counts(study) || lacks) && h("p", { class: "small tabular" }, [counts(study), lacks].filter(Boolean).join(" · ")),
    ),
    h("div", { class: "row acts" }, study.counts?.agreed || study.counts?.rooms ? h("a", { class: "button small", href: `${studyPage(study)}/review`, "aria-label": `Report: ${name}` }, "Report") : null, menu),
  );
}

async function duplicate(study) {
  const made = await api("POST", `${studyApi(study)}/duplicate`);
  location.assign(studyPage(made));
}

async function archive(study) {
  await api("POST", `${studyApi(study)}/state`, { state: "archived" });
  await read();
  toast(`${studyName(study)} is in the archive.`);
}

async function unarchive(study) {
  await api("POST", `${studyApi(study)}/state`, { state: "closed" });
  await read();
}

async function erase(study) {
  const people = study.counts?.agreed ? `, and everything of ${several(study.counts.agreed, "person", "people")}` : "";
  if (!(await confirm({ title: "Erase this study?", text: `${studyName(study)}, its films, questions and invitations${people}. This cannot be undone.`, action: "Erase the study" }))) return;
  const found = await api("DELETE", studyApi(study));
  toast(proof(found));
  await read();
  get("heading").focus();
}

function draw() {
  const wanted = get("which").value;
  const shown = all.filter((study) => (wanted === "archived") === (study.state === "archived") && (!wanted || wanted === "archived" || study.state === wanted));
  get("list").replaceChildren(...shown.map(row));
  get("empty").hidden = all.length > 0;
  get("nothing").hidden = !all.length || shown.length > 0;
  get("filters").hidden = !all.length;
  say(get("found"), all.length ? `${several(shown.length, "study", "studies")}.` : "");
}

async function read() {
  try {
    const found = await api("GET", "/api/studies");
    all = found.items;
    get("gone").hidden = true;
  } catch (error) {
    say(get("gone"), error.message);
    get("gone").hidden = false;
  }
  draw();
}

// --- a new one ----------------------------------------------------------------------------------------------------------------------

const dialog = get("new-dialog");

function drawWhy() {
  const reason = purposes.refused[get("purpose").value]?.[1];
  get("why").textContent = reason ? `Not with mien. ${reason}` : "";
  get("why").hidden = !reason;
  get("purpose").setAttribute("aria-invalid", String(Boolean(reason)));
  get("make").disabled = Boolean(reason);
}

for (const button of document.querySelectorAll("[data-new]"))
  button.addEventListener("click", () => {
    say(get("new-problem"), "");
    dialog.showModal();
  });
get("purpose").addEventListener("change", drawWhy);
get("cancel").addEventListener("click", () => dialog.close());
get("new-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  get("make").disabled = true;
  say(get("new-problem"), "");
  try {
    const made = await api("POST", "/api/studies", { title: get("new-title").value.trim(), purpose: get("purpose").value });
    location.assign(studyPage(made));
  } catch (error) {
    say(get("new-problem"), error.message);
    get("make").disabled = false;
  }
});

// --- ready ones: in one press -------------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-ready]"))
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      location.assign(studyPage(await api("POST", `/api/studies/ready-made/${button.dataset.ready}`)));
    } catch (error) {
      toast(error.message);
      button.disabled = false;
    }
  });

// --- from a file --------------------------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-import]")) button.addEventListener("click", () => get("file").click());
get("file").addEventListener("change", async () => {
  const [file] = get("file").files;
  get("file").value = "";
  get("import-problem").hidden = true;
  try {
    let content;
    try {
      content = JSON.parse(await file.text());
    } catch {
      throw new Error(`${file.name} is no study: it is not a JSON file. Wanted is a file that “Export as a file” wrote.`);
    }
    const made = await api("POST", "/api/studies/import", content);
    location.assign(studyPage(made));
  } catch (error) {
    say(get("import-problem"), error.message);
    get("import-problem").hidden = false;
  }
});

get("which").addEventListener("change", draw);
const erased = sessionStorage.getItem("mien.erased");
if (erased) toast(erased);
sessionStorage.removeItem("mien.erased");
await read();
get("studies").removeAttribute("aria-busy");
