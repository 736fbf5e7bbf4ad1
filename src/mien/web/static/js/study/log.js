// The tab of the log: who did what and when. It never says what somebody answered or how a face looked.

import { api } from "../shared/api.js";
import { h, say } from "/static/mien/element.js";
import { when } from "/static/mien/format.js";
import { FIELDS } from "./kinds.js";
import { stepWords } from "./people.js";

const WHO = { operator: "Operator", participant: "Participant", mien: "mien itself" };

const TOGETHER_MS = 10 * 60_000; // an editor that saves by itself writes a line for every pause in the typing

const words = (action) => String(action).replaceAll(/[-_]/g, " ").replace(/^./, (first) => first.toUpperCase());

/** Entries, the newest first; what one changed within some minutes in one line. */
function joined(entries) {
  const lines = [];
  for (const entry of entries) {
    const last = lines.at(-1);
    const follows = last?.action === "changed" && entry.action === "changed" && last.who === entry.who && new Date(last.from) - new Date(entry.at) < TOGETHER_MS;
    if (follows) {
      last.from = entry.at;
      last.detail = { fields: [...new Set([...(entry.detail.fields ?? []), ...(last.detail.fields ?? [])])] };
    } else lines.push({ ...entry, from: entry.at });
  }
  return lines;
}

export function logPanel(study, { path }) {
  function told(name, value) {
    if (name === "fields") return value.map((field) => FIELDS[field] ?? field).join(", ");
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (name === "step") return stepWords(value, study.now.stimuli.length);
    if (name === "film" || name === "stimulus") return study.now.stimuli.find((film) => film.id === value)?.title ?? value;
    return value !== null && typeof value === "object" ? JSON.stringify(value).replaceAll(/[{}"[\]]/g, "").replaceAll(/([:,])/g, "$1 ") : String(value);
  }
  const detail = (found) => Object.entries(found ?? {}).map(([name, value]) => (name === "fields" ? told(name, value) : `${name.replaceAll("_", " ")}: ${told(name, value)}`)).join(" · ");
  const element = h("div", { class: "stack" });
  const body = h("tbody", {});
  const problem = h("p", { class: "problem break", role: "alert", hidden: true });
  element.append(
    h("p", { class: "soft" }, "What was made, changed, opened, seen, exported and erased in this study, the newest first. Nothing can be taken out of it but with the whole study."),
    problem,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lines of the log" },
      h("table", {}, h("thead", {}, h("tr", {}, ...["When", "Who", "What", "More"].map((name) => h("th", { scope: "col" }, name)))), body)),
  );
  async function read() {
    try {
      const found = await api("GET", `${path}/audit`);
      const all = found.items;
      problem.hidden = true;
      body.replaceChildren(...joined(all).map((entry) => h("tr", {}, h("td", { class: "tabular nowrap" }, when(entry.at)), h("td", {}, WHO[entry.who] ?? entry.who), h("td", {}, words(entry.action)), h("td", { class: "small soft break" }, detail(entry.detail)))));
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
    }
  }
  return { element, draw() {}, enter: read };
}
