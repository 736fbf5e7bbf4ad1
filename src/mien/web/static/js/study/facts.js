// The tab "Study": what it is called, what it is for, who runs it, in which languages, what is measured, kept and shown.

import { h, say } from "/static/mien/element.js";
import { LANGUAGES, textField } from "./text.js";

const OFTEN = { 0.2: "5 times a second", 0.5: "Twice a second", 1: "Once a second", 2: "Every 2 seconds", 5: "Every 5 seconds" };
const SMOOTH = { 0: "not at all", 1: "a little (1 s)", 2: "moderately (2 s)", 4: "more (4 s)", 8: "strongly (8 s)" };
const BASELINE = { 0: "no", 3: "3 seconds", 5: "5 seconds", 10: "10 seconds" };

/** The panel. `purposes` and `refused` are the server's: {value: name}, {value: [name, why not]}. */
export function factsPanel(study, { purposes, refused, changed }) {
  const element = h("div", { class: "facts-panel" });

  const set = (field, value) => {
    study.set(field, value);
    changed();
  };

  function text(field, label, { hint = null, most = 200, ...more } = {}) {
    const input = h("input", { type: "text", value: study.now[field] ?? "", maxlength: most, autocomplete: "off", name: field, oninput: () => set(field, input.value), ...more });
    return h("label", { class: "field" }, label, input, hint && h("span", { class: "hint" }, hint));
  }

  /** A choice among numbers; one that the file brought and the list does not have is in it, too. */
  function choice(field, label, known, hint, unit = "s") {
    const now = study.now[field];
    const options = Object.entries(known).map(([value, name]) => [Number(value), name]);
    if (!options.some(([value]) => value === now)) options.push([now, `${now} ${unit}`]);
    const select = h("select", { name: field, onchange: () => set(field, Number(select.value)) }, ...options.sort((a, b) => a[0] - b[0]).map(([value, name]) => h("option", { value }, name)));
    select.value = String(now);
    return h("label", { class: "field" }, label, select, h("span", { class: "hint" }, hint));
  }

  function whole(field, label, least, most, hint, unit) {
    const problem = h("span", { class: "problem", hidden: true });
    const input = h("input", { type: "number", inputmode: "numeric", min: least, max: most, step: 1, value: study.now[field], name: field, oninput: () => {
      const value = Number(input.value);
      const wrong = input.value === "" || !Number.isInteger(value) || value < least || value > most;
      say(problem, wrong ? `A whole number from ${least} to ${most}, please.` : "");
      problem.hidden = !wrong;
      input.setAttribute("aria-invalid", String(wrong));
      if (!wrong) set(field, value);
    } });
    return h("label", { class: "field" }, label, h("span", { class: "unit" }, input, h("span", { class: "soft" }, unit)), h("span", { class: "hint" }, hint), problem);
  }

  function purpose() {
    const why = h("p", { class: "notice bad", role: "alert", hidden: true });
    const select = h(
      "select",
      { name: "purpose", onchange: () => {
        const reason = refused[select.value]?.[1];
        why.textContent = reason ? `Not with mien. ${reason}` : "";
        why.hidden = !reason;
        select.setAttribute("aria-invalid", String(Boolean(reason)));
        if (!reason) set("purpose", select.value || null);
      } },
      h("option", { value: "" }, "Please choose"),
      ...Object.entries(purposes).map(([value, name]) => h("option", { value }, name)),
      h("optgroup", { label: "Not possible, and why" }, ...Object.entries(refused).map(([value, [name]]) => h("option", { value }, name))),
    );
    select.value = study.now.purpose ?? "";
    return h("div", { class: "stack tight" }, h("label", { class: "field" }, "What it is for", select), why);
  }

  function languages() {
    const now = study.now.languages;
    const ticks = Object.entries(LANGUAGES).map(([code, name]) => {
      const tick = h("input", { type: "checkbox", checked: now.includes(code), disabled: now.length === 1 && now.includes(code), onchange: () => {
        set("languages", tick.checked ? [...now, code] : now.filter((one) => one !== code));
        draw();
        element.querySelector(`[data-code="${code}"]`).focus();
      }, "data-code": code });
      return h("label", { class: "check" }, tick, h("span", {}, name));
    });
    const first = h("select", { name: "first", onchange: () => {
      set("languages", [first.value, ...now.filter((one) => one !== first.value)]);
      draw();
      element.querySelector("[name=first]").focus();
    } }, ...now.map((code) => h("option", { value: code }, LANGUAGES[code])));
    first.value = now[0];
    return h("fieldset", { class: "stack tight" }, h("legend", {}, "Languages of the participants’ pages"), h("div", { class: "row ticks" }, ...ticks),
      now.length > 1 && h("label", { class: "field short" }, "All others read", first));
  }

  function kept() {
    const pick = (value, name, hint) =>
      h("label", { class: "check" }, h("input", { type: "radio", name: "keep", value, checked: study.now.keep === value, onchange: () => set("keep", value) }), h("span", {}, name, h("span", { class: "hint" }, h("br"), hint)));
    return h("fieldset", { class: "stack tight" }, h("legend", {}, "What is kept of each person"),
      pick("scores", "Scores only", "Numbers for each look. The pictures are looked at and forgotten. Enough for the report."),
      pick("pictures", "Scores and pictures", "The pictures are stored as well, of those who agree to that separately. Only where you need to look at faces again."));
  }

  const card = (title, ...children) => h("section", { class: "card stack" }, h("h2", {}, title), ...children);

  function draw() {
    element.replaceChildren(
      card(
        "What it is",
        text("title", "Title", { hint: "Participants read it." }),
        textField(study.now.about, (about) => set("about", about), {
          label: "What it is about", long: 3, languages: study.now.languages, required: false, name: "about",
          hint: "One or two sentences that participants read first: what they will watch, how long it takes.",
        }),
        purpose(),
        text("contact", "Who runs it", { hint: "Name and e-mail address or telephone number. Participants turn to it with questions, and to see or erase what is kept of them." }),
        languages(),
      ),
      h("div", { class: "stack" }, card(
        "What is measured and kept",
        h("div", { class: "fields" },
          choice("every_s", "How often to look", OFTEN, "Twice a second is right for most films."),
          choice("baseline_s", "Look at the face at rest first", BASELINE, "Some faces look stern or glad when nothing happens. The report can take that off.")),
        kept(),
        h("div", { class: "fields" }, whole("retention_days", "Keep it for", 1, 3650, "Then everything of the participants is erased by itself.", "days")),
      ),
      card(
        "What the report shows",
        h("div", { class: "fields" },
          whole("smallest_group", "Show results from", 1, 1000, "Of fewer people nothing is shown, so that nobody can be picked out.", "people"),
          choice("curve_sigma_s", "Smooth the curves", SMOOTH, "Takes out flicker. The tables of numbers stay as measured.")),
      )),
    );
  }
  return { element, draw };
}
