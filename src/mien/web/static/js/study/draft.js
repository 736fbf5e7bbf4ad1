// What an operator writes in a study is saved by itself. It is not lost when the server is gone, refuses it, or another window changed
// the same: until the server has it, it is also kept in this browser, beyond the end of the page.

import { api } from "../shared/api.js";
import { alike, merged } from "./merge.js";

const SOON_MS = 700;
const AGAIN_MS = [2000, 4000, 8000, 15000];

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const copy = (value) => (value === undefined ? undefined : structuredClone(value));

/**
 * The definition of `study` (the server's JSON) while it is edited.
 *
 * handlers   said(state, text): "saved", "waiting", "saving", "offline", "refused", "conflict", "gone" · answered(study): each time the
 *            server told the study · taken(fields, own): fields that changed on the server and now are as there; `own`: by what was
 *            saved from here, else by another window
 */
export function draft(study, handlers) {
  const key = `mien.study.${study.id}`;
  const path = `/api/studies/${encodeURIComponent(study.id)}`;
  const now = copy(study.definition);
  const base = copy(study.definition);
  const dirty = new Set();
  const refused = new Map(); // field → why
  const conflicts = new Map(); // field → what the server has
  let timer = null, saving = null, failures = 0, gone = false, wrote = false;

  // --- kept in this browser

  function keep() {
    try {
      if (dirty.size) {
        const of = (from) => Object.fromEntries([...dirty].map((field) => [field, from[field] ?? null]));
        localStorage.setItem(key, JSON.stringify({ now: of(now), base: of(base) }));
        wrote = true;
      } else if (wrote) localStorage.removeItem(key);
    } catch {
      // a browser that keeps nothing, or is full: it is still on the page
    }
  }

  function restore() {
    let kept = null;
    try {
      kept = JSON.parse(localStorage.getItem(key));
    } catch {
      // not ours
    }
    const fields = Object.keys(kept?.now ?? {}).filter((field) => field in now && !alike(kept.now[field], now[field]));
    for (const field of fields) {
      now[field] = kept.now[field];
      base[field] = kept.base[field];
      dirty.add(field);
    }
    wrote = Boolean(kept);
    keep();
    return fields;
  }

  // --- states

  function tell() {
    if (gone) return;
    if (conflicts.size) handlers.said("conflict", "Changed elsewhere too");
    else if (refused.size) handlers.said("refused", [...refused.values()].join(" "));
    else if (failures) handlers.said("offline", "");
    else if (saving) handlers.said("saving", "");
    else if (dirty.size) handlers.said("waiting", "");
    else handlers.said("saved", "");
  }

  // --- saving

  /** What is not saved yet, with its fields: two may have the same value. */
  const unsent = () => JSON.stringify([...dirty].map((field) => [field, now[field]]));

  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(save, ms);
  }

  /** The server's study: what is not being written here is taken over; what is, and differs there, is put together or is a conflict. */
  function take(found, own = false) {
    const fields = [];
    for (const field of Object.keys(found.definition)) {
      const theirs = found.definition[field];
      if (alike(theirs, base[field])) {
        conflicts.delete(field);
        continue;
      }
      if (dirty.has(field) && !alike(theirs, now[field])) {
        const both = merged(base[field], now[field], theirs);
        if (both) {
          base[field] = copy(theirs);
          now[field] = both;
          conflicts.delete(field);
          fields.push(field);
        } else conflicts.set(field, copy(theirs));
        continue;
      }
      base[field] = copy(theirs);
      conflicts.delete(field);
      if (dirty.has(field)) dirty.delete(field);
      else {
        now[field] = copy(theirs);
        fields.push(field);
      }
    }
    handlers.answered(found);
    if (fields.length) handlers.taken(fields, own);
  }

  async function send(fields) {
    const sent = Object.fromEntries(fields.map((field) => [field, copy(now[field])]));
    const found = await api("PATCH", path, sent);
    for (const field of fields) {
      refused.delete(field);
      // The server may have tidied it (spaces, the version of a text): what is typed meanwhile wins, and is sent next.
      base[field] = copy(found.definition[field]);
      if (!same(now[field], sent[field])) continue;
      now[field] = copy(found.definition[field]);
      dirty.delete(field);
    }
    take(found, true);
  }

  async function attempt() {
    take(await api("GET", path));
    const fields = [...dirty].filter((field) => !conflicts.has(field));
    if (!fields.length) return;
    try {
      await send(fields);
    } catch (error) {
      if (error.status !== 409 && error.status !== 422) throw error;
      if (fields.length === 1) {
        refused.set(fields[0], error.message);
        return;
      }
      for (const field of fields) { // one that is refused must not hold up the others
        try {
          await send([field]);
        } catch (one) {
          if (one.status !== 409 && one.status !== 422) throw one;
          refused.set(field, one.message);
        }
      }
    }
  }

  async function save() {
    clearTimeout(timer);
    timer = null;
    if (gone || !dirty.size) return;
    if (saving) {
      await saving;
      return;
    }
    let again = null;
    const before = unsent();
    saving = attempt().then(
      () => (failures = 0),
      (error) => {
        if (error.status === 404) {
          gone = true;
          handlers.said("gone", error.message);
        } else if (error.status === 403) {
          refused.set("*", error.message);
        } else {
          again = AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)];
          failures += 1;
        }
      },
    );
    tell();
    await saving;
    saving = null;
    keep();
    tell();
    if (again) later(again);
    else if (dirty.size && before !== unsent() && !conflicts.size) later(SOON_MS);
  }

  addEventListener("online", () => failures && later(0));

  const restored = restore();
  if (dirty.size) later(0);

  return {
    now,
    restored,
    conflicts,
    refused,
    get unsaved() { return dirty.size > 0; },
    /** Says that `field` is now `value`; it is saved soon. */
    set(field, value) {
      now[field] = value;
      dirty.add(field);
      refused.delete(field);
      keep();
      if (!failures) later(SOON_MS);
      tell();
    },
    /** Saves what waits, now; resolves when the server answered or was not there. */
    async flush() {
      while (saving) await saving;
      await save();
    },
    /** Ends a conflict: what is here is written, or what is there is taken. */
    async settle(field, mine) {
      base[field] = conflicts.get(field);
      conflicts.delete(field);
      if (!mine) {
        now[field] = copy(base[field]);
        dirty.delete(field);
        keep();
        handlers.taken([field], true);
      }
      tell();
      await save();
    },
    /** Gives up what the server refused: `field` is again as it is there. */
    revert(field) {
      refused.delete("*");
      refused.delete(field);
      dirty.delete(field);
      if (field in base) now[field] = copy(base[field]);
      keep();
      handlers.taken([field], true);
      tell();
    },
    /** Takes over what the server says now (after an upload, on coming back to the page). */
    take(found) {
      take(found);
      keep();
      tell();
    },
    async refresh() {
      const found = await api("GET", path);
      this.take(found);
      return found;
    },
  };
}
