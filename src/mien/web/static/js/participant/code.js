// The participant's code: how it is written, where this device remembers it, and the form that asks for it.

import { h } from "/static/mien/element.js";
import { button, actions, w } from "./screen.js";
import { put, t } from "./texts.js";

const PLACE = "mien.take-part.", DRAFTS = "mien.take-part-draft.";
const LETTERS = 12;

/** Written as people do, with letters that are easily mistaken (O and 0, I, L and 1) → "K7PM-4QXD-9RTB"; null where it is none. */
export function read(text) {
  const plain = text.toUpperCase().replace(/[\s\-–—_.]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  if (!new RegExp(`^[0-9A-HJKMNP-TV-Z]{${LETTERS}}$`).test(plain)) return null;
  return plain.match(/.{4}/g).join("-");
}

const stored = (storage, key) => {
  try {
    return JSON.parse(storage().getItem(key));
  } catch {
    return null; // a browser that stores nothing
  }
};
const store = (storage, key, value) => {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
  } catch {
    // as above: then it is not remembered, and the code on paper serves
  }
};
const memory = new Map(); // of a device that many use: gone with the page
const mine = { getItem: (key) => memory.get(key) ?? null, setItem: (key, value) => memory.set(key, value), removeItem: (key) => memory.delete(key) };
let shared = false;
const device = () => (shared ? mine : localStorage), tab = () => (shared ? mine : sessionStorage);

/** From now on nothing of a participant is kept on this device, nor looked for. */
export const keepNothing = () => (shared = true);

/** What this device remembers of an invitation: {code, language} or null. */
export const remembered = (invitation) => stored(device, PLACE + invitation);

export function remember(invitation, code, language) {
  if (!invitation) return; // a preview
  store(device, PLACE + invitation, { code, language });
  store(tab, PLACE + invitation, code);
}

/** Whether it was this very tab that last went on with the code: then nobody needs to be asked who is there. */
export const here = (invitation, code) => stored(tab, PLACE + invitation) === code;

export function forget(invitation, code = remembered(invitation)?.code) {
  store(device, PLACE + invitation, null);
  store(tab, PLACE + invitation, null);
  for (const what of ["before", "after"]) keepDraft(code, what, null);
}

/** Takes away whatever this device remembers of a code, of whichever invitation. */
export function forgetCode(code) {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(PLACE) && stored(device, key)?.code === code) forget(key.slice(PLACE.length), code);
    }
  } catch {
    // nothing is stored here
  }
}

/** Answers that are not sent yet, and when a live event began: {…} or null. */
export const draft = (code, what) => stored(device, `${DRAFTS}${code}.${what}`);
export const keepDraft = (code, what, value) => store(device, `${DRAFTS}${code}.${what}`, value);

/** A form that asks for a code. `done(code)` resolves, or throws an error whose `say()` goes beside the field. */
export function codeForm(go, done, value = "") {
  const input = h("input", {
    id: "code", type: "text", value, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 40, class: "code-input",
    "aria-describedby": "code-hint code-problem",
  });
  const problem = h("p", { class: "problem", id: "code-problem", role: "alert" });
  const fail = (text) => {
    input.setAttribute("aria-invalid", "true");
    put(problem, text);
    input.focus();
  };
  return h(
    "form",
    {
      class: "stack", novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        const code = read(input.value);
        if (!code) return fail(() => t("return.short"));
        input.removeAttribute("aria-invalid");
        put(problem, () => "");
        input.value = code;
        try {
          await done(code);
        } catch (error) {
          if (error.status === 429) fail(() => t("return.too_many"));
          else if ([401, 403, 404, 410].includes(error.status)) fail(() => t("return.wrong"));
          else fail(() => (error.status === undefined ? error.message : `${t("page.failed_title")}: ${error.message}`));
        }
      },
    },
    h("div", { class: "field" }, w("label", { for: "code" }, () => t("return.label")), input, w("p", { class: "hint", id: "code-hint" }, () => t("return.hint")), problem),
    actions(w("button", { class: "primary" }, go)),
  );
}

/** Hands a file to the browser: {blob, name}. */
export function save({ blob, name }) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** The code in large letters with a button that copies it. */
export function codeCard(code) {
  const copy = button(() => t("code.copy"), async () => {
    try {
      await navigator.clipboard.writeText(code);
      put(copy, () => t("code.copied"));
    } catch {
      getSelection().selectAllChildren(shown); // it is marked at least
    }
  }, "small");
  const shown = h("output", { class: "code-shown", translate: "no" }, code);
  return h("div", { class: "code-card" }, shown, navigator.clipboard ? copy : null);
}
