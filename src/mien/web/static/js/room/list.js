// The rooms that a study has: who was seen, the film's start put right, erased.

import { api } from "../shared/api.js";
import { confirm, toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { clock, duration, percent, several, when } from "/static/mien/format.js";
import { LEFT_OUT, facts } from "./words.js";

const AGAIN_MS = 1000;
const STATE = { analysing: ["busy", "Being made"], ready: ["good", "Ready"], failed: ["bad", "Failed"] };

/** The second of the recording at which the film's second 0 was, or would have been. */
export const startOf = (room) => {
  const [recording_s, film_s] = room.clock?.[0] ?? [0, 0];
  return recording_s - film_s - room.offset_s;
};

/** What `offset_s` must be for the film to start at this second of the recording. */
export const offsetFor = (room, start_s) => {
  const [recording_s, film_s] = room.clock?.[0] ?? [0, 0];
  return recording_s - film_s - start_s;
};

const marked = (room) => room.clock === null || room.clock.length > 0;

export class RoomList {
  #study; #stimuli; #list; #none; #changed; #rows = new Map(); #timer;

  /** Shows rooms in `list`; `changed(rooms)` after each reading. */
  constructor(study, stimuli, list, none, changed) {
    this.#study = study;
    this.#stimuli = stimuli;
    this.#list = list;
    this.#none = none;
    this.#changed = changed;
  }

  get path() {
    return `/api/studies/${encodeURIComponent(this.#study)}/rooms`;
  }

  /** Reads the rooms; again by itself while one is being made. */
  async read() {
    clearTimeout(this.#timer);
    let rooms;
    try {
      rooms = (await api("GET", this.path)).items;
    } catch (error) {
      this.#timer = setTimeout(() => this.read(), 3 * AGAIN_MS);
      if (error.status !== 0) toast(error.message);
      return;
    }
    const gone = new Set(this.#rows.keys());
    for (const room of [...rooms].reverse()) {
      const row = this.#rows.get(room.name) ?? this.#row(room.name);
      gone.delete(room.name);
      this.#fill(row, room);
    }
    for (const name of gone) {
      this.#rows.get(name).element.remove();
      this.#rows.delete(name);
    }
    this.#none.hidden = rooms.length > 0;
    if (rooms.some(({ state }) => state === "analysing")) this.#timer = setTimeout(() => this.read(), AGAIN_MS);
    this.#changed(rooms);
  }

  #row(name) {
    const id = `room-${name}`;
    const row = { room: null, shown: "" };
    row.title = h("h3", { id, class: "break" });
    row.state = h("span", { class: "state" });
    row.about = h("span", { class: "soft small" });
    row.facts = h("dl", { class: "room-facts", title: LEFT_OUT });
    row.words = h("p", { class: "hint" });
    row.problem = h("p", { class: "problem break", role: "alert", hidden: true });
    row.start = h("input", { type: "number", step: "0.1", inputmode: "decimal", id: `${id}-start` });
    row.film = h("select", { id: `${id}-film` }, ...this.#stimuli.map((film) => h("option", { value: film.id }, film.title)));
    row.save = h("button", { type: "submit", class: "small" }, "Put right");
    row.again = h("button", { type: "button", class: "small", hidden: true, onclick: () => this.#retry(row) }, "Try again");
    const erase = h("button", { type: "button", class: "small danger", onclick: () => this.#erase(row) }, "Erase");
    row.form = h(
      "form",
      { class: "room-change", onsubmit: (event) => this.#change(event, row) },
      h("div", { class: "field" }, h("label", { for: row.film.id }, "Film"), row.film),
      h("div", { class: "field" }, h("label", { for: row.start.id }, "The film starts at"), h("span", { class: "room-seconds" }, row.start, h("span", {}, "s of the recording"))),
      row.save,
      h("div", { class: "acts" }, row.again, erase),
    );
    row.element = h("li", { class: "card room-item", "aria-labelledby": id }, h("div", { class: "head" }, row.title, row.state, row.about), row.facts, row.words, row.problem, row.form);
    this.#rows.set(name, row);
    const after = [...this.#rows.values()].filter((other) => other.room && other.room.name < name);
    this.#list.insertBefore(row.element, after.length ? after.reduce((a, b) => (a.room.name > b.room.name ? a : b)).element : null);
    return row;
  }

  #fill(row, room) {
    row.room = room;
    const [kind, word] = STATE[room.state];
    say(row.title, room.label ? `Room ${room.name} · ${room.label}` : `Room ${room.name}`);
    row.state.className = `state ${kind}`;
    say(row.state, word);
    say(row.about, [when(room.made_at), room.duration_s && `recording of ${duration(room.duration_s)}`].filter(Boolean).join(" · "));
    const ready = room.state === "ready";
    row.facts.hidden = !ready || !marked(room);
    const shown = JSON.stringify(facts(room));
    if (row.shown !== shown) row.facts.replaceChildren(...facts(room).map(([n, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, String(n)))));
    row.shown = shown;
    const waiting = room.progress?.share ? `Read so far: ${percent(room.progress.share)}.` : room.progress ? `${several(room.progress.frames, "look")} so far.` : "Waiting for its recording.";
    say(row.words, room.state === "analysing" ? waiting : ready && !marked(room) ? "The film’s start is not marked: say at which second it starts. Until then this room counts for nothing." : "");
    row.words.hidden = !row.words.textContent;
    row.words.classList.toggle("problem", ready && !marked(room));
    row.problem.hidden = room.state !== "failed";
    row.problem.textContent = room.error ?? "";
    row.again.hidden = room.state !== "failed" || !room.job;
    for (const control of [row.start, row.film, row.save]) control.disabled = !ready;
    if (!row.element.contains(document.activeElement)) {
      row.start.value = marked(room) ? startOf(room).toFixed(1) : "";
      row.film.value = room.stimulus;
    }
  }

  async #change(event, row) {
    event.preventDefault();
    const { room } = row, start_s = Number(row.start.value), asked = {};
    if (row.film.value !== room.stimulus) asked.stimulus = row.film.value;
    if (row.start.value !== "" && (!marked(room) || row.start.value !== startOf(room).toFixed(1))) asked.offset_s = Math.round(offsetFor(room, start_s) * 1000) / 1000;
    await this.#say(row, async () => {
      const now = await api("PATCH", `${this.path}/${room.name}`, asked);
      toast(`Room ${now.name}: the film starts at ${clock(startOf(now))} of the recording. ${several(now.people, "viewer")}.`);
    });
  }

  #retry(row) {
    return this.#say(row, () => api("POST", `${this.path}/${row.room.name}/retry`));
  }

  async #erase(row) {
    const { name, label, state } = row.room;
    const what = `Room ${name}${label ? ` (${label})` : ""}`;
    const text = state === "analysing" ? `${what} is ended, and all that was recorded in it is erased.` : `${what} with all that was measured in it is erased. This cannot be undone, and the report changes.`;
    if (!(await confirm({ title: "Erase this room?", text, action: "Erase" }))) return;
    await this.#say(row, async () => {
      const { erased, left } = await api("DELETE", `${this.path}/${name}`);
      toast(`Erased: ${several(erased.rows, "row")} and ${several(erased.files, "file")}. Left: ${left.rows + left.files || "nothing"}.`);
    });
  }

  async #say(row, act) {
    row.problem.hidden = true;
    try {
      await act();
    } catch (error) {
      row.problem.textContent = error.message;
      row.problem.hidden = false;
      return;
    }
    document.activeElement?.blur();
    await this.read();
  }
}
