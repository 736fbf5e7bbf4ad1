// A question as a participant sees it, drawn beside the fields it is written in. Nothing that is chosen here is kept.

import { h } from "/static/mien/element.js";
import { told } from "./text.js";

const POINTS = { scale5: 5, scale7: 7, liking: 7 };
const LEVELS = [0, 1, 2, 3, 4];
const LABELS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"];

/** The words of participants' pages: {key: {language: text}}. */
const catalogue = JSON.parse(document.getElementById("texts-data").textContent);
const say = (key, language) => catalogue[key]?.[language] ?? "";

let made = 0;

/** A fieldset. `languages` are the study's, of which the first stands in where a text lacks. */
export function questionPreview(question, language, languages) {
  const name = `preview-${(made += 1)}`;
  const words = (text) => told(text, language, languages);
  const pick = (type, content) => h("label", { class: "check" }, h("input", { type, name }), h("span", { class: "break" }, content));
  const field = (control) => h("div", { class: "field" }, control);

  const grid = (rows, columns) => [
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": words(question.title) || "Lines" },
      h("table", { class: "levels" },
        h("thead", {}, h("tr", {}, h("td", {}), ...columns.map((column) => h("th", { scope: "col" }, column)))),
        h("tbody", {}, ...rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.words),
          ...columns.map((column) => h("td", {}, h("input", { type: "radio", name: `${name}-${row.id}`, "aria-label": `${row.words}: ${column}` })))))))),
  ];
  const kinds = {
    single: () => question.options.map((option, place) => pick("radio", words(option.title) || `${place + 1} …`)),
    multiple: () => [h("p", { class: "hint" }, say("questions.several", language)), ...question.options.map((option, place) => pick("checkbox", words(option.title) || `${place + 1} …`))],
    number: () => {
      const bounds = question.min !== null && question.max !== null ? say("questions.between", language).replace("{min}", question.min).replace("{max}", question.max) : "";
      return [field(h("input", { type: "number", "aria-label": words(question.title) || "Number" })), bounds && h("p", { class: "hint" }, bounds)];
    },
    short: () => [field(h("input", { type: "text", maxlength: 200, "aria-label": words(question.title) || "Text" }))],
    long: () => [field(h("textarea", { rows: 4, maxlength: 4000, "aria-label": words(question.title) || "Text" }))],
    emotions: () => grid(LABELS.map((label) => ({ id: label, words: say(`emotion.${label}`, language) })), LEVELS.map((level) =>
      (level === 0 && words(question.low)) || (level === LEVELS.at(-1) && words(question.high)) || say(`level.${level}`, language))),
    matrix: () => grid((question.rows ?? []).map((row, place) => ({ id: row.id, words: words(row.title) || `${place + 1} …` })), question.options.map((option, place) => words(option.title) || `${place + 1} …`)),
  };
  const scale = () => {
    const low = words(question.low) || (question.kind === "liking" ? say("liking.low", language) : "");
    const high = words(question.high) || (question.kind === "liking" ? say("liking.high", language) : "");
    const points = Array.from({ length: POINTS[question.kind] }, (_, place) => place + 1);
    return [
      h("div", { class: "points" }, ...points.map((point) => h("label", {}, h("input", { type: "radio", name }), h("span", { class: "tabular" }, String(point))))),
      (low || high) && h("div", { class: "row between hint" }, h("span", {}, low), h("span", {}, high)),
    ];
  };
  return h(
    "fieldset",
    { class: "stack tight asked", lang: language },
    h("legend", {}, words(question.title) || "…", question.required && h("span", { "aria-hidden": "true" }, " *")),
    words(question.help) && h("p", { class: "hint" }, words(question.help)),
    ...(kinds[question.kind] ?? scale)(),
  );
}
