// The words of participants' pages, in the language that is chosen; what stands on the page follows when it is changed.

const catalogue = JSON.parse(document.getElementById("texts").textContent);
const changed = new Set();

let language = document.documentElement.lang;

/** The language now: "en", "fr", "de" or "tr". */
export const tongue = () => language;

/** A text of the catalogue; `{name}` in it becomes `values.name`. */
export function t(key, values = {}) {
  return catalogue[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** A text of the study's: a string, or {"en": …, "fr": …}, whose first language stands in for one that lacks. */
export function theirs(words) {
  if (typeof words === "string" || !words) return words ?? "";
  return words[language] || Object.values(words).find(Boolean) || "";
}

/** Writes `text()` into an element, now and whenever the language changes. */
export function put(element, text) {
  element.said = text;
  element.setAttribute("data-said", "");
  const words = text();
  if (element.textContent !== words) element.textContent = words;
  return element;
}

/** The same for an attribute: `name(element, "aria-label", () => …)`. */
export function name(element, attribute, text) {
  element.named = { ...element.named, [attribute]: text };
  element.setAttribute("data-named", "");
  element.setAttribute(attribute, text());
  return element;
}

/** Calls `listener` after each change of the language. */
export const onLanguage = (listener) => changed.add(listener);

/** Changes the language of all that stands on the page. */
export function speak(code) {
  if (!catalogue["page.language"][code]) return;
  language = document.documentElement.lang = code;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-said]")) put(element, element.said);
  for (const element of document.querySelectorAll("[data-named]")) {
    for (const [attribute, text] of Object.entries(element.named)) element.setAttribute(attribute, text());
  }
  for (const listener of changed) listener();
}

/** The languages that a study speaks stay in the choice; where there is one only, the choice goes. */
export function offer(languages) {
  const select = document.getElementById("language");
  for (const option of [...select.options]) if (!languages.includes(option.value)) option.remove();
  if (!languages.includes(language)) speak(languages[0]);
  select.value = language;
  document.getElementById("language-field").hidden = languages.length < 2;
}

export function chooseLanguage(code) {
  document.getElementById("language").value = code;
  speak(code);
}

document.getElementById("language").addEventListener("change", (event) => speak(event.target.value));

/** 5, "minute" → "5 minutes", "5 Minuten". */
export const quantity = (n, unit) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 }).format(n);

export const number = (n) => new Intl.NumberFormat(language, { maximumFractionDigits: 6, useGrouping: false }).format(n);

export const percent = (share) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 }).format(share);

/** 65 → "1:05". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), rest = String(whole % 60).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
