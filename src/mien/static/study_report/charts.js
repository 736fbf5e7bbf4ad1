// What was asked, as charts; and what was said beside what was shown.

import { dot, tint } from "../emotions.js";
import { h } from "../element.js";
import { percent, several } from "../format.js";
import { groupColour } from "./curves.js";

const TEXTS_SHOWN = 5;
const STRONGEST = 4;
const FEW = "What few people chose is not shown, nor what would tell it.";

const round = (value, decimals = 1) => (value === null || value === undefined ? "–" : String(Number(value.toFixed(decimals))).replace("-", "−"));

function bar(share, paint = null) {
  const fill = h("span");
  fill.style.width = `${Math.max(share * 100, share > 0 ? 0.6 : 0)}%`;
  paint?.(fill);
  return h("span", { class: "track" }, fill);
}

/** A row for each answer: its words, a bar, how many. With `groups` a thin bar for each of them, too. */
function counted(question, groups) {
  const rows = question.counts.flatMap((option) => [
    h("dt", { class: "break" }, option.title || option.id),
    h(
      "dd",
      {},
      bar(option.share),
      ...groups
        .filter(({ answers }) => answers.counts)
        .map(({ answers, k }) => bar(answers.counts.find((other) => other.id === option.id)?.share ?? 0, (fill) => (fill.style.background = groupColour(k)))),
    ),
    h("dd", { class: "num" }, option.n === null ? "not shown" : `${option.n} · ${percent(option.share)}`),
  ]);
  const list = h("dl", { class: `bars${groups.length ? " by-group" : ""}` }, ...rows);
  return question.few ? h("div", {}, list, h("p", { class: "small soft" }, FEW)) : list;
}

/** A matrix: its lines one below the other, each as a question of its own. */
const lines = (rows) => h("div", { class: "stack tight" }, ...rows.map((row) =>
  h("div", {}, h("h5", { class: "break" }, row.title || row.id), row.hidden ? h("p", { class: "small soft" }, "Too few answers to show.") : counted(row, []))));

/** Columns from the lowest to the highest answer; with groups, of each a thin one beside it. Heights are shares: of all, and of each group. */
function columns(cells, low, high, groups = []) {
  const most = Math.max(...[cells, ...groups.map(({ answers }) => answers.counts)].flat().map((cell) => cell.share)) || 1;
  return h(
    "figure",
    { class: "columns" },
    h("div", { class: "columns-bars" }, ...cells.map((cell) => {
      const block = h("span", { class: `column-bar${groups.length ? " all" : ""}` });
      block.style.height = `${(cell.share / most) * 100}%`;
      const thin = groups.map(({ answers, k }) => {
        const bar = h("span", { class: "column-bar thin" });
        bar.style.height = `${((answers.counts.find((other) => other.id === cell.id)?.share ?? 0) / most) * 100}%`;
        bar.style.background = groupColour(k);
        return bar;
      });
      return h("div", { class: "column" }, h("span", { class: "column-n" }, String(cell.n)), h("span", { class: "column-space" }, block, ...thin), h("span", { class: "column-name" }, cell.title));
    })),
    low || high ? h("figcaption", { class: "row between small soft" }, h("span", {}, low ?? ""), h("span", {}, high ?? "")) : null,
  );
}

function numbers(question) {
  if (question.mean === undefined || question.mean === null) return null;
  const spread = question.sd === undefined || question.sd === null ? "" : `, spread (standard deviation) ${round(question.sd)}`;
  const median = question.median === undefined || question.median === null ? "" : `, median ${round(question.median)}`;
  return h("p", { class: "small soft" }, `Mean ${round(question.mean)}${median}${spread}.`);
}

function texts(question) {
  const list = (some) => h("ul", { class: "said" }, ...some.map((text) => h("li", { class: "break" }, text)));
  const first = question.texts.slice(0, TEXTS_SHOWN), rest = question.texts.slice(TEXTS_SHOWN);
  return h("div", {},
    list(first),
    rest.length ? h("details", {}, h("summary", {}, `${several(rest.length, "more answer")}`), list(rest)) : null,
    question.withheld ? h("p", { class: "small soft" }, `${several(question.withheld, "answer")} in words that few people gave: only in the table of answers.`) : null);
}

function emotions(question, groups) {
  const rows = Object.entries(question.emotions).sort(([, a], [, b]) => b.mean - a.mean);
  return h(
    "div",
    {},
    h("dl", { class: `bars${groups.length ? " by-group" : ""}` }, ...rows.flatMap(([label, answers]) => [
      h("dt", { class: "row one-line" }, dot(label), label),
      h("dd", {}, bar(answers.mean / STRONGEST, (fill) => tint(fill, label)),
        ...groups.map(({ answers: of, k }) => bar((of.emotions?.[label]?.mean ?? 0) / STRONGEST, (fill) => (fill.style.background = groupColour(k))))),
      h("dd", { class: "num" }, round(answers.mean, 1)),
    ])),
    h("p", { class: "small soft" }, `Mean of 0 (not at all) to ${STRONGEST} (very strongly).`),
  );
}

/** The groups of `grouping`, a variable or null, of which the answers to a question may be told: [{name, k, answers}]. */
function parted(asked, grouping) {
  const of = grouping && asked.by_group?.[grouping.id];
  return of ? grouping.values.map((value, k) => ({ name: value.title, k, answers: of[value.id] })).filter(({ answers }) => answers && !answers.hidden) : [];
}

/** A card for one question; with a `grouping`, a variable as the review has it, also by its groups. */
export function question(asked, grouping) {
  const groups = parted(asked, grouping);
  const body = [];
  if (asked.hidden) body.push(h("p", { class: "small soft" }, "Too few answers to show."));
  else if (asked.texts) body.push(texts(asked));
  else if (asked.emotions) body.push(emotions(asked, groups));
  else if (asked.rows) body.push(lines(asked.rows));
  else if (asked.histogram) body.push(columns(asked.histogram.map((cell) => ({ n: cell.n, share: cell.n / asked.n, title: `${round(cell.low)}–${round(cell.high)}` }))), numbers(asked));
  else if (asked.counts && ["scale5", "scale7", "liking"].includes(asked.kind)) body.push(columns(asked.counts.map((c) => ({ ...c, title: c.title || c.id })), asked.low, asked.high, groups.filter(({ answers }) => answers.counts)), numbers(asked));
  else if (asked.counts) body.push(counted(asked, groups));
  else body.push(numbers(asked));
  if (groups.length) {
    body.push(h("ul", { class: "legend small" }, ...groups.map(({ name, k, answers }) => {
      const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = groupColour(k);
      const mean = answers.mean === undefined || answers.mean === null ? "" : `: mean ${round(answers.mean)}`;
      return h("li", {}, swatch, h("span", { class: "break" }, `${name}${mean} (${several(answers.n, "answer")})`));
    })));
  }
  return h(
    "article",
    { class: "card question stack tight" },
    h("h4", { class: "break" }, asked.title),
    h("p", { class: "small soft" }, `${several(asked.n, "answer")}${asked.kind === "multiple" ? "; several could be ticked" : ""}`),
    ...body.filter(Boolean),
  );
}

function interval(row) {
  const place = (value) => `${((value + 1) / 2) * 100}%`;
  const line = h("span", { class: "interval", "aria-hidden": "true" }, h("i", { class: "interval-zero" }));
  if (row.rho !== null && row.rho !== undefined) {
    if ((row.low ?? null) !== null && (row.high ?? null) !== null) {
      const reach = h("i", { class: "interval-reach" });
      reach.style.left = place(row.low);
      reach.style.width = `${((row.high - row.low) / 2) * 100}%`;
      line.append(reach);
    }
    const spot = h("i", { class: "interval-dot" });
    spot.style.left = place(row.rho);
    line.append(spot);
  }
  return line;
}

const reach = (row) => (row.rho === null || row.rho === undefined ? "–" : `${round(row.rho, 2)}${row.low === null ? "" : ` (${round(row.low, 2)} to ${round(row.high, 2)})`}`);

/** The table of what viewers said they felt beside what their faces showed. */
export function agreement(found) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Said and shown" },
    h(
      "table",
      { class: "agreement" },
      h("caption", { class: "hidden-text" }, "What viewers said they felt and what their faces showed"),
      h("thead", {}, h("tr", {}, ...["Emotion", "Said (0–4)", "Shown", "Do those who said more show more?", "Correlation (95%)", "Viewers"].map((name, k) =>
        h("th", { scope: "col", class: k === 1 || k === 2 || k > 3 ? "num" : null }, name)))),
      h("tbody", {}, ...found.rows.map((row) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("span", { class: "row one-line" }, dot(row.label), row.label)),
          h("td", { class: "num" }, round(row.reported_mean, 1)),
          h("td", { class: "num" }, percent(row.expressed_mean)),
          h("td", {}, h("span", { class: "row one-line" }, interval(row), h("span", { class: "small" }, row.says ?? "–"))),
          h("td", { class: "num" }, reach(row)),
          h("td", { class: "num" }, String(row.n)),
        ))),
    ),
  );
}

/** A sentence on liking; reports that were kept before 0.3 say nothing of how the two go together. */
export const liking = (found) =>
  found ? `Liking and mean valence: ${found.says ?? "–"}${found.rho === null ? "" : `, correlation ${reach(found)}`}.` : "";
