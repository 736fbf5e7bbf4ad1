// Texts that participants read, in each language of the study: {"en": "…", "fr": "…"}. One language is written at a time.

import { h, say } from "/static/mien/element.js";

export const LANGUAGES = { en: "English", fr: "French", de: "German", tr: "Turkish" };

const heard = new EventTarget();
let made = 0;
let now = "en";

/** The language that is being written. */
export const writing = () => now;

/** Calls `changed()` when another language is written from now on. */
export const onLanguage = (changed) => heard.addEventListener("language", changed);

/** A text in `language`; where it has none, in the first language that has. */
export function told(text, language, languages = Object.keys(text ?? {})) {
  if (!text) return "";
  return text[language]?.trim() || languages.map((one) => text[one]?.trim()).find(Boolean) || Object.values(text).find(Boolean) || "";
}

/** Every text of a definition that participants read. */
function texts(definition) {
  const of = (question) => [question.title, question.help, question.low, question.high, ...[...(question.options ?? []), ...(question.rows ?? [])].map((option) => option.title)];
  return [definition.about, definition.consent?.text, ...[...(definition.before ?? []), ...(definition.after ?? [])].flatMap(of)].filter(Boolean);
}

/** How many texts are written in another language of the study, but not in this one. */
export const untranslated = (definition, language) =>
  texts(definition).filter((text) => !text[language]?.trim() && definition.languages.some((other) => text[other]?.trim())).length;

/** The row of buttons that says which language is written. `draw(definition)` keeps it current. */
export function languageSwitch() {
  const buttons = h("div", { class: "languages", role: "group", "aria-label": "Language of the texts below" });
  const element = h("div", { class: "row language-row" }, h("span", { class: "small soft", "aria-hidden": "true" }, "Texts in"), buttons);
  let drawn = null;
  function draw(definition) {
    if (!definition.languages.includes(now)) now = definition.languages[0] ?? "en";
    element.hidden = definition.languages.length < 2;
    const names = definition.languages.join();
    if (drawn !== names) {
      drawn = names;
      buttons.replaceChildren(
        ...definition.languages.map((language) =>
          h(
            "button",
            { type: "button", class: "small", "data-language": language, onclick: () => choose(language, definition) },
            LANGUAGES[language] ?? language,
            h("span", { class: "left" }),
          ),
        ),
      );
    }
    for (const button of buttons.children) {
      const language = button.dataset.language, missing = untranslated(definition, language);
      button.setAttribute("aria-pressed", String(language === now));
      say(button.querySelector(".left"), missing ? `${missing} missing` : "");
    }
  }
  function choose(language, definition) {
    now = language;
    draw(definition);
    heard.dispatchEvent(new Event("language"));
  }
  return { element, draw };
}

/**
 * A field for one text in the language that is written. `text` is what is there, `set(text)` gets the whole text with the change.
 * options: label, hint, long (rows), most (letters), languages (of the study), required, bare (the label is for screen readers only)
 */
export function textField(text, set, { label, hint = null, long = 0, most = 2000, languages, required = false, bare = false, name = null }) {
  const several = languages.length > 1;
  const others = languages.filter((language) => language !== now && text?.[language]?.trim());
  const id = `text-${(made += 1)}`;
  const control = h(long ? "textarea" : "input", {
    ...(long ? { rows: long } : { type: "text", autocomplete: "off" }),
    id, value: text?.[now] ?? "", maxlength: most, lang: now, "data-field": name, "aria-describedby": `${id}-hint ${id}-missing`,
  });
  const missing = h("span", { class: "hint missing", id: `${id}-missing` });
  const element = h(
    "div",
    { class: "field" },
    h("label", { for: id, class: bare ? "hidden-text" : null }, label, several && " ", several && h("span", { class: "language-tag" }, LANGUAGES[now])),
    control,
    hint && h("span", { class: "hint", id: `${id}-hint` }, hint),
    missing,
  );
  function mark() {
    const blank = !control.value.trim();
    const other = others[0];
    const words = !blank ? "" : other ? `Missing in ${LANGUAGES[now]}. ${LANGUAGES[other]} is shown: “${shortened(text[other])}”` : required ? "Missing." : "";
    say(missing, words);
    missing.hidden = !words;
    element.classList.toggle("lacks", Boolean(words));
  }
  control.addEventListener("input", () => {
    text = { ...text, [now]: control.value };
    if (!control.value) delete text[now];
    mark();
    set(text);
  });
  mark();
  return element;
}

const shortened = (text) => (text.length > 120 ? `${text.slice(0, 117).trim()}…` : text);
