// The tab of people: how far each is, how well each was seen; exported and erased one by one.

import { api } from "../shared/api.js";
import { ask, confirm } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { percent, several, size, when } from "/static/mien/format.js";
import { keeping } from "./focus.js";

const AGAIN_MS = 5000;

/** Shares of looks with a face from which a viewer counts as seen well, or fairly, as the report has them. */
const GOOD = 0.9, FAIR = 0.6;

/** "film:2" in words. */
export function stepWords(step, films) {
  const [name, place] = String(step).split(":");
  if (name === "film") return films > 1 ? `film ${Number(place) + 1} of ${films}` : "watching";
  return { agreed: "has agreed", before: "questions before", camera: "camera check", after: "questions after", done: "done", left: "has left", screened: "not looked for", room: "in the room" }[name] ?? step;
}

const day = (iso) => new Date(iso).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });

const THIRDS = [["left", "middle", "right"], ["above", "in the centre", "below"]];

/** Where in the camera's picture a face mostly was: "left, above". */
const seatWords = (seat) => seat.map((share, k) => THIRDS[k][Math.min(2, Math.max(0, Math.floor(share * 3)))]).join(", ");

/** "2 rows and 3 files (12 kB) erased; nothing is left." */
export function proof(found) {
  const { erased, left } = found;
  const rest = left.rows + left.files;
  return `Erased: ${several(erased.rows, "row")} and ${several(erased.files, "file")}, ${size(erased.bytes)}. ${rest ? `Still there: ${several(left.rows, "row")}, ${several(left.files, "file")}.` : "Searched again: nothing is left."}`;
}

/** The panel. `path` is the study's address in the API. */
export function peoplePanel(study, { path, changed, answered }) {
  const element = h("div", { class: "stack" });
  const heard = h("div", { class: "notice good", role: "status", hidden: true });
  const problem = h("p", { class: "problem break", role: "alert", hidden: true });
  const body = h("tbody", {});
  const table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Everybody who is measured" },
    h("table", { class: "people" },
      h("thead", {}, h("tr", {}, ...["Viewer", "Step", "Agreed", "Groups", "Face found", "In the report", "Erases itself"].map((name) => h("th", { scope: "col" }, name)), h("th", { scope: "col" }, h("span", { class: "hidden-text" }, "What can be done")))),
      body));
  const empty = h("div", { class: "empty" }, h("strong", {}, "Nobody has taken part yet"), h("span", {}, "Send a link, or measure a room: both are under Invitations. This page follows by itself."));
  const counts = h("p", { class: "soft" });
  element.append(counts, heard, problem, table, empty);
  let all = [], timer = null, drawn = null;

  async function read() {
    clearTimeout(timer);
    if (!element.isConnected || element.closest("[hidden]")) return;
    try {
      const found = await api("GET", `${path}/viewers`), many = all.length;
      all = found.items;
      problem.hidden = true;
      if (all.length !== many) study.refresh().then(answered, () => {}); // the counts at the head of the page
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
    }
    draw();
    timer = setTimeout(read, AGAIN_MS);
  }

  const groupsOf = (viewer) =>
    study.now.variables
      .map((variable) => variable.values.find((value) => value.id === viewer.groups?.[variable.id])?.title)
      .filter(Boolean)
      .join(", ");

  function row(viewer) {
    const { looks = 0, with_face = 0, with_others = 0, pauses = 0 } = viewer.quality ?? {};
    const share = looks ? with_face / looks : null;
    const seen = share === null ? null : share >= GOOD ? ["good", "good"] : share >= FAIR ? ["fair", "warn"] : ["poor", "bad"];
    const cut = study.now.cuts_shown === "one" && study.now.stimuli.find(({ id }) => study.now.cuts.includes(id) && viewer.order?.includes(id));
    const done = [
      cut && `watches “${cut.title}”`, viewer.pictures && "pictures kept", viewer.seat && `${seatWords(viewer.seat)} in the picture`, pauses && several(pauses, "pause"),
      with_others && `somebody else in view in ${percent(with_others / looks)} of the looks`, viewer.seen_at && `last here ${when(viewer.seen_at)}`,
    ].filter(Boolean).join(" · ");
    return h(
      "tr",
      { "data-viewer": viewer.name },
      h("th", { scope: "row" }, `Viewer ${viewer.name}`),
      h("td", {}, h("span", { class: `state ${["done", "room"].includes(viewer.step) ? "good" : ["left", "screened"].includes(viewer.step) || viewer.stopped ? "warn" : "busy"}` }, `${viewer.stopped ? "stopped: " : ""}${stepWords(viewer.step, viewer.order?.length || study.now.stimuli.length)}`)),
      h("td", {}, h("span", { class: "tabular" }, when(viewer.consented_at)), h("p", { class: "small soft tabular" }, done)),
      h("td", {}, groupsOf(viewer) || "–"),
      h("td", {}, seen ? h("span", { class: "row tabular nowrap" }, h("span", { class: `state ${seen[1]}` }, seen[0]), percent(share)) : h("span", { class: "soft" }, "not yet")),
      h("td", {}, inReport(viewer)),
      h("td", { class: "tabular nowrap" }, day(viewer.erased_at)),
      h("td", { class: "acts" }, h("div", { class: "row acts" },
        h("a", { class: "button small", href: `${path}/viewers/${encodeURIComponent(viewer.name)}/export`, download: "", "aria-label": `Export what is kept of viewer ${viewer.name}` }, "Export"),
        h("button", { type: "button", class: "small plain danger", "aria-label": `Erase viewer ${viewer.name}`, onclick: () => erase(viewer) }, "Erase"))),
    );
  }

  /** A tick: without it the report is made without this viewer, and says so with the reason. */
  function inReport(viewer) {
    const tick = h("input", { type: "checkbox", checked: !viewer.left_out, "aria-label": `Viewer ${viewer.name} counts in the report`, onchange: async () => {
      const reason = tick.checked ? null : await ask({ title: `Leave viewer ${viewer.name} out of the report?`, label: "Why", hint: "The report says who was left out and why. What is kept of them stays.", action: "Leave out" });
      if (!tick.checked && !reason) {
        tick.checked = true;
        return;
      }
      try {
        await api("PUT", `${path}/viewers/${encodeURIComponent(viewer.name)}/left-out`, { reason });
        await read();
      } catch (error) {
        tick.checked = !viewer.left_out;
        say(problem, error.message);
        problem.hidden = false;
      }
    } });
    return h("label", { class: "check" }, tick, h("span", { class: "small soft break" }, viewer.left_out ? `Left out: ${viewer.left_out}` : ""));
  }

  async function erase(viewer) {
    const text = `Everything that is kept of viewer ${viewer.name} is erased: scores, answers, pictures if there are any. The report is made again without them. This cannot be undone.`;
    if (!(await confirm({ title: `Erase viewer ${viewer.name}?`, text, action: "Erase" }))) return;
    heard.hidden = true;
    try {
      const found = await api("DELETE", `${path}/viewers/${encodeURIComponent(viewer.name)}`);
      heard.hidden = false;
      say(heard, `Viewer ${viewer.name}. ${proof(found)}`);
      await read();
      changed();
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
    }
  }

  function draw() {
    table.hidden = !all.length;
    empty.hidden = all.length > 0;
    const faces = all.filter((viewer) => viewer.room).length, agreed = all.length - faces, done = all.filter((viewer) => viewer.step === "done").length;
    const words = [agreed && `${several(agreed, "person", "people")} agreed, ${done} came to the end`, faces && `${several(faces, "face")} counted in rooms`].filter(Boolean);
    say(counts, all.length ? `${words.join("; ")}. They have numbers; nobody’s name is kept.` : "");
    counts.hidden = !all.length;
    const key = JSON.stringify([all, study.now.variables, study.now.stimuli, study.now.cuts, study.now.cuts_shown]);
    if (key === drawn) return;
    drawn = key;
    keeping(body, () => body.replaceChildren(...all.map(row)));
  }
  return { element, draw, enter: read, leave: () => clearTimeout(timer) };
}
