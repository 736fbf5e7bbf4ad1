// The tab of the consent text: written in each language, with the default text at hand; each version that somebody could read is kept.

import { api } from "../shared/api.js";
import { h, say } from "/static/mien/element.js";
import { several, when } from "/static/mien/format.js";
import { keeping } from "./focus.js";
import { LANGUAGES, writing } from "./text.js";

const MOST = 20_000;

/**
 * The panel. `told()` gives the server's study; `path` is its address in the API, `page` that of its page. While nobody could have read the text it is saved by
 * itself; from then on it is written aside and becomes the next version when the operator says so.
 */
export function consentPanel(study, { told, path, page, announce, changed }) {
  const element = h("div", { class: "stack loose" });
  const key = `mien.consent.${told().id}`;
  let all = []; // every version, the newest first, as the server has them
  let aside = null; // {language: text} that is written, but not yet the next version
  let undo = null; // what the default text replaced: {language, text}
  try {
    aside = JSON.parse(localStorage.getItem(key));
  } catch {
    // not ours
  }

  const published = () => told().state !== "draft" || (told().counts?.agreed ?? 0) > 0;
  const text = () => (published() && aside ? aside : study.now.consent.text);
  const differs = () => Boolean(aside) && JSON.stringify(aside) !== JSON.stringify(study.now.consent.text);

  function write(next) {
    if (!published()) {
      aside = null;
      study.set("consent", { ...study.now.consent, text: next });
    } else aside = next;
    try {
      if (aside) localStorage.setItem(key, JSON.stringify(aside));
      else localStorage.removeItem(key);
    } catch {
      // a browser that keeps nothing: it is still on the page
    }
    changed();
  }

  function versions() {
    const now = study.now.consent.version;
    const current = all.find((one) => one.version === now);
    const since = current?.at;
    const older = all.filter((one) => one.version !== now);
    const agreed = (one) => (one?.agreed ? ` ${several(one.agreed, "person", "people")} agreed to it.` : "");
    return h(
      "section",
      { class: "stack tight", "aria-labelledby": "versions" },
      h("h2", { id: "versions" }, `Version ${now}`, since && h("span", { class: "soft since" }, `, since ${when(since)}`)),
      h("p", { class: "soft" }, published()
        ? `Participants may have read this text.${agreed(current)} A change becomes a new version; who agreed to which stays on record.`
        : "Nobody has read it yet, so you can change it freely. It gets a new version only when people could have read the last one."),
      ...older.map((one) => h("details", {}, h("summary", {}, `Version ${one.version}, from ${when(one.at)}.${agreed(one)}`), h("p", { class: "consent-text card quiet", lang: writing() }, one.text?.[writing()] || "Not written in this language."))),
    );
  }

  function draw() {
    const language = writing();
    const now = text();
    const area = h("textarea", { rows: 18, maxlength: MOST, lang: language, "data-field": "consent", value: now[language] ?? "" });
    const lacks = h("ul", { class: "small lacking", "aria-live": "polite" });
    const next = h("button", { type: "button", class: "primary" }, `Make this version ${study.now.consent.version + 1}`);
    const back = h("button", { type: "button" }, "Give up the change");
    const offer = h("div", { class: "notice warn row between", hidden: true }, h("span", {}, "Changed, but not shown to anybody yet."), h("span", { class: "row" }, back, next));

    function mark() {
      const words = [];
      const written = area.value;
      if (!written.trim()) words.push(`Missing in ${LANGUAGES[language]}. Use the default text, or write your own.`);
      else {
        const contact = study.now.contact.trim();
        if (contact && !written.includes(contact)) words.push(`It does not name who runs the study: ${contact}`);
        if (!written.includes(String(study.now.retention_days))) words.push(`It does not say that everything is erased after ${study.now.retention_days} days.`);
      }
      lacks.replaceChildren(...words.map((one) => h("li", {}, one)));
      offer.hidden = !(published() && differs());
    }
    area.addEventListener("input", () => {
      undo = null;
      write({ ...text(), [language]: area.value });
      mark();
    });
    next.addEventListener("click", async () => {
      next.disabled = true;
      study.set("consent", { ...study.now.consent, text: aside });
      await study.flush();
      if (!study.refused.has("consent") && !study.unsaved) {
        aside = null;
        localStorage.removeItem(key);
        announce(`This is now version ${study.now.consent.version}.`);
      }
      await enter();
    });
    back.addEventListener("click", () => {
      aside = null;
      localStorage.removeItem(key);
      draw();
      changed();
    });
    const problem = h("span", { class: "problem", role: "alert" });
    const standard = h("button", { type: "button", onclick: async () => {
      say(problem, "");
      try {
        await study.flush(); // the text names who runs it, and for how long everything is kept
        const found = await api("GET", `${page}/default-consent?language=${language}`);
        undo = { language, text: area.value };
        write({ ...text(), [language]: found.text });
        draw();
        announce("The default text is there.");
      } catch (error) {
        say(problem, error.message);
      }
    } }, "Use the default text");
    const before = undo?.language === language && undo.text.trim() ? h("button", { type: "button", onclick: () => { write({ ...text(), [language]: undo.text }); undo = null; draw(); } }, "Put my text back") : null;
    mark();
    element.replaceChildren(
      versions(),
      h("div", { class: "stack tight" },
        h("label", { class: "field" }, h("span", {}, "Text that everybody agrees to before anything is measured ", study.now.languages.length > 1 && h("span", { class: "language-tag" }, LANGUAGES[language])), area),
        lacks, offer,
        h("div", { class: "row" }, standard, before, problem),
        h("p", { class: "hint" }, "The default text says in plain words what is measured, what it is for, what is kept and for how long, that it is free to say no, and how to have everything erased. It is a help, not legal advice.")),
    );
  }
  async function enter() {
    try {
      all = (await api("GET", `${path}/consents`)).items;
    } catch {
      // without it the page shows the version, but not since when
    }
    keeping(element, draw);
  }
  return { element, draw, enter };
}
