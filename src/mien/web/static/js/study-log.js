// The tab of the log: who did what and when. It never says what somebody answered or how a face looked.

import { api } from "./api.js";
import { h, say } from "./element.js";
import { when } from "./format.js";

const WHO = { operator: "Operator", participant: "Participant", mien: "mien itself" };

/** Words for what the server writes; what is not here is shown as it is. */
const WORDS = {};

const words = (action) => WORDS[action] ?? String(action).replaceAll(/[-_]/g, " ").replace(/^./, (first) => first.toUpperCase());

function detail(found) {
  return Object.entries(found ?? {})
    .map(([name, value]) => `${name.replaceAll("_", " ")}: ${value !== null && typeof value === "object" ? JSON.stringify(value).replaceAll(/[{}"[\]]/g, "").replaceAll(",", ", ").replaceAll(":", " ") : value}`)
    .join(" · ");
}

export function logPanel(study, { path }) {
  const element = h("div", { class: "stack" });
  const body = h("tbody", {});
  const problem = h("p", { class: "problem break", role: "alert", hidden: true });
  element.append(
    h("p", { class: "soft" }, "What was made, changed, opened, seen, exported and erased in this study, the newest first. Nothing can be taken out of it but with the whole study."),
    problem,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Log" },
      h("table", {}, h("thead", {}, h("tr", {}, ...["When", "Who", "What", "More"].map((name) => h("th", { scope: "col" }, name)))), body)),
  );
  async function read() {
    try {
      const found = await api("GET", `${path}/audit`);
      const all = found.items ?? found;
      problem.hidden = true;
      body.replaceChildren(...all.map((entry) => h("tr", {}, h("td", { class: "tabular nowrap" }, when(entry.at)), h("td", {}, WHO[entry.who] ?? entry.who), h("td", {}, words(entry.action)), h("td", { class: "small soft break" }, detail(entry.detail)))));
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
    }
  }
  return { element, draw() {}, enter: read };
}
