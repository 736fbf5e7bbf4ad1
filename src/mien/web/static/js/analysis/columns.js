// What the columns of a table mean: their words, how a value is shown, and how it is sorted.

import { h } from "/static/mien/element.js";
import { dot, tint } from "/static/mien/emotions.js";
import { count, moment } from "/static/mien/format.js";

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
const signed = (value, decimals) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(decimals)}`;
const number = (text) => (text === "" ? NaN : Number(text));
const share = (value) => `${(value * 100).toFixed(1)}%`;

const SEEN = 0.005; // a bar of less is not seen

// Kinds in the order in which they are read; `high`: sorted from the highest on at first.
const KINDS = {
  time: { text: (value, about) => moment(value, about.end) },
  face: { text: (value, about) => about.names.get(value) ?? `Face ${value}`, plain: true },
  expression: { plain: true, kept: String, cell: (value) => value && tint(h("span", { class: "mark" }, dot(value), value), value) },
  view: { text: count, high: true },
  share: { text: share, high: true },
  faces: { text: count, high: true },
  valence: { text: (value) => signed(value, 2), high: true },
  change: { text: (value) => signed(value * 100, 1), high: true },
  moment: { text: (value, about) => moment(value, about.end) },
  sure: { text: share, high: true },
  flags: { plain: true, kept: String, cell: (value) => value.replaceAll(";", ", ") },
  pixels: { text: (value) => value.toFixed(0) },
  frame: { text: count },
};

const KNOWN = {
  time_s: ["time", "Time", "Since the beginning"],
  start_s: ["time", "From", "Since the beginning"],
  end_s: ["time", "To", "Since the beginning"],
  track: ["face", "Face", "The number of a face that was followed, or the name you gave it"],
  expression: ["expression", "Expression", "The most probable one: what the face appears to show; empty where it cannot be relied on"],
  reliability: ["sure", "Can be believed", "How likely it is that the expression is what most people would say"],
  flags: ["flags", "Unsure because", "What makes the reading unsure"],
  faces: ["view", "Faces in view", "How many faces are in view"],
  valence: ["valence", "Positive or negative", "How probable happiness is, minus the most probable of anger, sadness, fear, disgust and contempt: −1 to +1"],
  peak: ["share", "At most", "The highest probability, of the smoothed curve"],
  peak_time_s: ["moment", "At most at", "When the probability was highest"],
  face_score: ["sure", "Sure it is a face", "How sure the detector is that this is a face"],
  x1: ["pixels", "Box left", "Left edge of the box, in pixels"],
  y1: ["pixels", "Box top", "Top edge of the box, in pixels"],
  x2: ["pixels", "Box right", "Right edge of the box, in pixels"],
  y2: ["pixels", "Box bottom", "Bottom edge of the box, in pixels"],
  frame: ["frame", "Picture no.", "The number of the picture in the film, from 0"],
};

function meaning(name, labels, mean) {
  for (const label of labels) {
    if (name === label) return { kind: "share", label, words: capital(label), hint: mean ? `How probable ${label} is, as the mean of the faces in view` : `How probable ${label} is` };
    if (name === `${label}_change`) return { kind: "change", label, words: `${capital(label)}, change`, hint: "Against the first seconds of this face, in points of a hundred" };
    if (name === `${label}_count`) return { kind: "faces", label, words: `${capital(label)}: faces`, hint: `How many faces show ${label} most` };
  }
  const [kind, words, hint] = KNOWN[name] ?? ["frame", name, name];
  return { kind, words, hint };
}

/**
 * The columns of a header, in the order in which they are read: {name, at, kind, words, hint, label, high, plain, kept}. `at` is the place
 * in the file; a `plain` column stands at the left, numbers at the right; `kept(text)` is what is kept of a cell, NaN where it is empty.
 */
export function columnsOf(header, labels) {
  const order = Object.keys(KINDS), mean = !header.includes("track");
  return header
    .map((name, at) => {
      const column = { name, at, ...meaning(name, labels, mean) };
      const { high = false, plain = false, kept = number } = KINDS[column.kind];
      return { ...column, high, plain, kept };
    })
    .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || a.at - b.at);
}

/** A cell of a row. `about` is {end, names}: seconds of the whole film, names of the faces by number. */
export function cell(column, value, about) {
  if (KINDS[column.kind].cell) return h("td", {}, KINDS[column.kind].cell(value));
  const empty = Number.isNaN(value);
  const element = h("td", { class: column.plain ? "cut" : "num", title: empty ? null : column.kind === "face" ? KINDS.face.text(value, about) : String(value) }, empty ? "–" : KINDS[column.kind].text(value, about));
  if (column.kind === "share" && column.label && value >= SEEN) {
    tint(element, column.label).classList.add("share");
    element.style.setProperty("--p", value);
  }
  return element;
}
