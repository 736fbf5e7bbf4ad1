// The words of a study: kinds of questions, states, addresses.

import { h } from "/static/mien/element.js";

/** kind → [name, what a participant does]. The order is that of the buttons. */
export const KINDS = {
  single: ["One choice", "chooses one of several answers"],
  multiple: ["Several choices", "ticks all that fit"],
  scale5: ["Scale of 5", "from 1 to 5, with words at both ends"],
  scale7: ["Scale of 7", "from 1 to 7, with words at both ends"],
  number: ["Number", "types a number"],
  short: ["Short text", "writes a line, up to 200 letters"],
  long: ["Long text", "writes freely, up to 4000 letters"],
  emotions: ["Eight emotions", "says how strongly each was felt, from 0 to 4"],
  liking: ["Liking", "says how much the film was liked, from 1 to 7"],
  matrix: ["Matrix", "chooses one answer in each of several lines"],
};

/** state → [word, kind of pill]. */
export const STATES = { draft: ["Draft", ""], open: ["Open", "good"], closed: ["Closed", "warn"], archived: ["Archived", ""] };

/** The state in a pill. */
export function statePill(study) {
  const [word, kind] = STATES[study.state] ?? [study.state, ""];
  return h("span", { class: `state ${kind}` }, word);
}

export const studyPage = (study) => `/studies/${encodeURIComponent(study.id)}`;
export const studyApi = (study) => `/api/studies/${encodeURIComponent(study.id)}`;

/** A study without a title yet is called so. */
export const studyName = (study) => (study.definition?.title ?? study.title ?? "").trim() || "Study without a title";

/** The fields of a study in words. */
export const FIELDS = {
  title: "the title", about: "what it is about", purpose: "what it is for", contact: "who runs it", languages: "the languages", stimuli: "the films", order: "the order of the films",
  consent: "the consent text", before: "the questions before", after: "the questions after", variables: "the groups", every_s: "how often to look", baseline_s: "the face at rest",
  keep: "what is kept", retention_days: "how long it is kept", smallest_group: "the smallest group", curve_sigma_s: "the smoothing", markers: "the marks in the film",
  recruiting: "how people come and go back", cuts: "the two cuts", cuts_shown: "who watches which cut",
};
