// The editor of a study: its head, its tabs, and what it still lacks.

import { api } from "../shared/api.js";
import { confirm, toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { several } from "/static/mien/format.js";
import "../shared/menus.js";
import { consentPanel } from "./consent.js";
import { draft } from "./draft.js";
import { factsPanel } from "./facts.js";
import { filmsPanel } from "./films.js";
import { keeping } from "./focus.js";
import { following, groupsPanel } from "./groups.js";
import { invitationsPanel } from "./invitations.js";
import { FIELDS, statePill, studyApi, studyName, studyPage } from "./kinds.js";
import { logPanel } from "./log.js";
import { peoplePanel, proof } from "./people.js";
import { questionsPanel } from "./questions.js";
import { recruitingPanel } from "./recruiting.js";
import { languageSwitch, onLanguage } from "./text.js";

const get = (id) => document.getElementById(id);

const given = JSON.parse(get("study-data").textContent);
let study = null, written = null;
const panels = {};
const texts = languageSwitch();

const announce = (words) => {
  get("heard").textContent = "";
  setTimeout(() => say(get("heard"), words), 50);
};

// --- the head -----------------------------------------------------------------------------------------------------------------------

const SAVED = { saved: "Saved", waiting: "Not saved yet", saving: "Saving…" };

function said(state, text) {
  const element = get("saved");
  element.dataset.state = state;
  if (SAVED[state]) say(element, SAVED[state]);
  else if (state === "offline") say(element, "The server cannot be reached. What you write is kept in this browser and saved as soon as it is back.");
  else if (state === "conflict") say(element, "Not saved: changed elsewhere too, see below");
  else if (state === "gone") say(element, "This study was erased elsewhere.");
  else say(element, "Not saved: see below");
  drawTroubles(state, text);
}

/** What could not be saved, each with what can be done about it. Nothing of it is lost until somebody says so. */
function drawTroubles() {
  if (!written) return;
  const rows = [
    ...[...written.refused].map(([field, why]) =>
      h("div", { class: "notice bad stack tight" },
        h("p", { class: "break" }, h("strong", {}, `Not saved: ${FIELDS[field] ?? "the change"}. `), why),
        field !== "*" && h("div", {}, h("button", { type: "button", class: "small", onclick: () => written.revert(field) }, "Give up this change")))),
    ...[...written.conflicts.keys()].map((field) =>
      h("div", { class: "notice warn stack tight" },
        h("p", {}, h("strong", {}, `In another window somebody changed ${FIELDS[field] ?? field} too. `), "Both are kept until you choose."),
        h("div", { class: "row" },
          h("button", { type: "button", class: "small", onclick: () => written.settle(field, true) }, "Keep what is written here"),
          h("button", { type: "button", class: "small", onclick: () => written.settle(field, false) }, "Take what is there")))),
  ];
  const key = JSON.stringify([[...written.refused], [...written.conflicts.keys()]]);
  if (get("troubles").dataset.key === key) return;
  get("troubles").dataset.key = key;
  get("troubles").replaceChildren(...rows);
}

function drawHead() {
  const name = studyName({ definition: written.now });
  say(get("title"), name);
  document.title = `${name} · mien`;
  get("state").replaceChildren(statePill(study));
  const missing = study.missing ?? [];
  const draftOrClosed = study.state === "draft" || study.state === "closed";
  get("missing").hidden = !draftOrClosed || !missing.length;
  const key = JSON.stringify(missing);
  if (get("missing-list").dataset.key !== key) {
    get("missing-list").dataset.key = key;
    get("missing-list").replaceChildren(
      ...missing.map(({ field, what }) => {
        const place = TABS.find((tab) => SHOWS[tab].includes(field));
        return h("li", {}, place ? h("a", { href: `#${place}` }, what) : what);
      }),
    );
  }
  say(get("missing-title"), `Before it can open, it needs ${missing.length === 1 ? "one thing" : `${missing.length} things`}`);
  const c = study.counts ?? {};
  drawFixed();
  say(get("counts"), c.agreed ? [`${several(c.agreed, "person", "people")} agreed`, `${c.finished ?? 0} finished`].join(" · ") : "");
  const open = get("open"), close = get("close");
  open.hidden = !draftOrClosed;
  open.textContent = study.state === "closed" ? "Open again" : "Open the study";
  open.classList.toggle("primary", !missing.length);
  close.hidden = study.state !== "open";
  get("unarchive").hidden = study.state !== "archived";
  get("archive").hidden = study.state === "archived";
  for (const [tab, count] of Object.entries({ films: written.now.stimuli.length, questions: written.now.before.length + written.now.after.length, groups: written.now.variables.length, people: c.agreed ?? 0 })) {
    say(document.querySelector(`[data-tab="${tab}"] .count`), count ? String(count) : "");
  }
}

/** Says beforehand what the server will not let be changed, where it would be written. */
function drawFixed() {
  const c = study.counts ?? {}, part = (c.agreed ?? 0) > (c.withdrawn ?? 0) || c.rooms > 0;
  const words = part && ["films", "questions", "groups"].includes(shown)
    ? "Somebody has taken part: films, questions and groups stay as they are, but for what only helps to read them. Duplicate the study and change the copy."
    : study.state === "open" && shown === "films" ? "The study is open, and somebody may be watching: close it before you add films or take them away." : "";
  say(get("fixed-words"), words);
  get("fixed").hidden = !words;
  get("fixed-duplicate").hidden = !part;
}

function answered(found) {
  study = found;
  if (written) drawHead();
}

/** After each change on the page: what follows from it elsewhere. */
function changed() {
  const groups = following(written.now);
  if (groups) written.set("variables", groups);
  texts.draw(written.now);
  say(get("title"), studyName({ definition: written.now }));
}

async function move(state, button) {
  button.disabled = true;
  get("refused").hidden = true;
  try {
    await written.flush();
    if (written.unsaved) throw new Error("Something is not saved yet; see above.");
    answered(await api("POST", `${studyApi(study)}/state`, { state }));
    announce(`The study is ${state}.`);
    for (const panel of Object.values(panels)) if (!panel.section.hidden) keeping(panel.element, panel.draw);
  } catch (error) {
    say(get("refused"), error.message);
    get("refused").hidden = false;
  } finally {
    button.disabled = false;
    const next = [get("open"), get("close"), get("unarchive")].find((one) => !one.hidden);
    next?.focus();
  }
}

get("preview").addEventListener("click", async (press) => { // it shows what the server has
  if (!written?.unsaved || press.ctrlKey || press.metaKey || press.shiftKey) return;
  press.preventDefault();
  await written.flush();
  if (!written.unsaved) location.assign(get("preview").href);
  else toast("Something is not saved yet; see above. The preview shows what is saved.");
});
get("open").addEventListener("click", () => move("open", get("open")));
get("close").addEventListener("click", async () => {
  if (await confirm({ title: "Close the study?", text: "Nobody can start any more. Who is in the middle can finish. You can open it again.", action: "Close", danger: false })) move("closed", get("close"));
});
get("archive").addEventListener("click", async () => {
  get("more").open = false;
  if (await confirm({ title: "Archive the study?", text: "It leaves the list and nobody can take part. What was measured stays until its time is over, and you can take it out again.", action: "Archive", danger: false })) move("archived", get("archive"));
});
get("unarchive").addEventListener("click", () => move("closed", get("unarchive")));
async function duplicate() {
  get("more").open = false;
  try {
    await written.flush();
    const made = await api("POST", `${studyApi(study)}/duplicate`);
    location.assign(studyPage(made));
  } catch (error) {
    toast(error.message);
  }
}
for (const button of [get("duplicate"), get("fixed-duplicate")]) button.addEventListener("click", duplicate);
get("erase").addEventListener("click", async () => {
  get("more").open = false;
  const people = study.counts?.agreed ? ` and everything of ${several(study.counts.agreed, "person", "people")}` : "";
  if (!(await confirm({ title: "Erase this study?", text: `${studyName(study)}, its films, questions, invitations${people} are erased. This cannot be undone. To keep it without people, archive it.`, action: "Erase the study" }))) return;
  try {
    sessionStorage.setItem("mien.erased", proof(await api("DELETE", studyApi(study))));
    location.assign("/studies");
  } catch (error) {
    toast(error.message);
  }
});


// --- tabs ---------------------------------------------------------------------------------------------------------------------------

const TABS = ["study", "films", "consent", "questions", "groups", "recruiting", "invitations", "people", "log"];
const WITH_TEXTS = new Set(["study", "consent", "questions"]);
let shown = null;

function show(focus = false) {
  const wanted = TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "study";
  if (shown && shown !== wanted) panels[shown].leave?.();
  for (const tab of TABS) {
    const link = document.querySelector(`[data-tab="${tab}"]`);
    if (tab === wanted) {
      link.setAttribute("aria-current", "page");
      if (link.parentElement.scrollWidth > link.parentElement.clientWidth) link.parentElement.scrollLeft = link.offsetLeft - 40;
    } else link.removeAttribute("aria-current");
    panels[tab].section.hidden = tab !== wanted;
  }
  get("texts").hidden = !WITH_TEXTS.has(wanted);
  if (shown !== wanted) {
    shown = wanted;
    drawFixed();
    panels[wanted].draw();
    panels[wanted].enter?.();
  }
  if (focus) {
    panels[wanted].section.focus({ preventScroll: true });
    if (get("tabs").getBoundingClientRect().top < 0) get("tabs").scrollIntoView();
  }
}

const redraw = () => {
  texts.draw(written.now);
  if (shown) keeping(panels[shown].element, panels[shown].draw);
};

/** What each tab shows of the definition. */
const SHOWS = {
  study: ["title", "about", "purpose", "contact", "languages", "every_s", "baseline_s", "keep", "retention_days", "smallest_group", "curve_sigma_s"],
  films: ["stimuli", "order", "cuts", "cuts_shown"], consent: ["consent", "languages"], questions: ["before", "after", "languages"], groups: ["variables", "before", "after"],
  recruiting: ["recruiting", "before", "variables"], invitations: ["variables"], people: ["variables"], log: [],
};

function taken(fields, own) {
  if (SHOWS[shown]?.some((field) => fields.includes(field))) redraw();
  else texts.draw(written.now);
  drawHead();
  if (!own) announce(`Taken over from another window: ${fields.map((field) => FIELDS[field] ?? field).join(", ")}.`);
}

// --- start --------------------------------------------------------------------------------------------------------------------------

try {
  study = await api("GET", `/api/studies/${encodeURIComponent(given.id)}`);
  const handlers = { said, answered, taken };
  written = draft(study, handlers);
  const shared = { path: studyApi(study), page: studyPage(study), told: () => study, films: () => study.films ?? [], answered, announce, changed, purposes: given.purposes, refused: given.refused };
  const makers = { study: factsPanel, films: filmsPanel, consent: consentPanel, questions: questionsPanel, groups: groupsPanel, recruiting: recruitingPanel, invitations: invitationsPanel, people: peoplePanel, log: logPanel };
  for (const tab of TABS) {
    const panel = makers[tab](written, shared);
    panel.section = get(`panel-${tab}`);
    panel.section.append(panel.element);
    panels[tab] = panel;
  }
  get("texts").append(texts.element);
  texts.draw(written.now);
  onLanguage(redraw);
  get("export").href = `${studyApi(study)}/export`;
  drawHead();
  if (!written.unsaved) said("saved");
  if (written.restored.length) toast(`What was not saved the last time is here again: ${written.restored.map((field) => FIELDS[field] ?? field).join(", ")}.`);
  show();
  addEventListener("hashchange", () => show(true)); // a tab that was chosen before is the one that was shown
  // Another window, or people who take part: looked at again when somebody comes back to this page.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) written.refresh().catch(() => {}); });
} catch (error) {
  get("refused").hidden = false;
  say(get("refused"), error.message);
}
get("editor").removeAttribute("aria-busy");
