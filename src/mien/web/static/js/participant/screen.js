// What every page of a participant is made of: one heading, its words, its buttons; a line for a lost connection; questions back.

import { h } from "/static/mien/element.js";
import { name, put, t } from "./texts.js";

const main = document.getElementById("main");
let ending = null;

/** An element with words that follow the language: w("p", {class: "soft"}, () => t("…")). */
export const w = (tag, properties, text) => put(h(tag, properties), text);

export const button = (text, press, kind = "primary") => w("button", { type: "button", class: kind, onclick: press }, text);

/** The buttons at a page's foot. The first is the one to press. */
export const actions = (...buttons) => h("div", { class: "actions" }, ...buttons);

/**
 * Shows a page. `end` is called when another one takes its place. The heading gets the focus, so that screen readers begin to read.
 */
export function show({ title, label = null, end = null, wide = false }, ...content) {
  ending?.();
  ending = end;
  const heading = w("h1", { tabindex: "-1" }, title);
  main.replaceChildren(h("div", { class: wide ? "page wide-page" : "page" }, label && w("p", { class: "eyebrow" }, label), heading, ...content));
  main.removeAttribute("aria-busy");
  retitle();
  scrollTo(0, 0);
  heading.focus({ preventScroll: true });
  return heading;
}

/** The window's title is the page's heading. */
export function retitle() {
  const heading = main.querySelector("h1");
  if (heading) document.title = `${heading.textContent} · mien`;
}

/** A few words that are read out as they come: notice("warn", …). Returns the element, to be removed. */
export const notice = (kind, ...content) => h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "status" }, ...content);

/** A heading within a notice and the words below it. */
export const told = (kind, title, text, ...more) => notice(kind, h("div", { class: "stack tight" }, w("strong", {}, title), text && w("p", {}, text), ...more));

/** What went wrong at the server: what to do, and its own words, which are English. */
export const wrong = (error) => notice("bad", h("div", { class: "stack tight" }, w("p", {}, () => t("page.failed_text")), h("p", { lang: "en", class: "break" }, error.message)));

/** Asks; true for `yes`. The button that changes nothing has the focus. */
export function ask({ title, text, yes, no, danger = false }) {
  return new Promise((resolve) => {
    const id = `ask-${Math.random().toString(36).slice(2)}`;
    const dialog = h("dialog", { "aria-labelledby": id, class: "take-part-ask" });
    const stay = w("button", { value: "" }, no);
    dialog.append(
      h(
        "form", { method: "dialog" }, w("h2", { id }, title), w("p", {}, text),
        h("div", { class: "actions" }, w("button", { value: "yes", class: danger ? "primary danger" : "primary" }, yes), stay),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    (document.fullscreenElement ?? document.body).append(dialog);
    dialog.showModal();
    stay.focus();
  });
}

/** A bar at the head of the page while the server cannot be reached. */
export class GoneLine {
  #bar = null;

  set(gone, hurry) {
    if (!gone) {
      this.#bar?.remove();
      this.#bar = null;
    } else if (!this.#bar) {
      this.#bar = told("warn", () => t("state.gone_title"), () => t("state.gone_text"), button(() => t("page.again"), hurry, "small"));
      this.#bar.classList.add("take-part-gone");
      main.before(this.#bar);
    }
  }
}

/** How far along: a bar and words, in the head. */
export function progress(step, steps) {
  const place = document.getElementById("progress");
  place.hidden = !steps;
  if (!steps) return;
  put(document.getElementById("progress-words"), () => t("page.step", { step, steps }));
  place.querySelector(".bar > span").style.width = `${Math.round((step / steps) * 100)}%`;
}

/** A wheel that turns and says why. */
export const waiting = (text) => h("p", { class: "row take-part-waiting", role: "status" }, h("span", { class: "spin", "aria-hidden": "true" }), w("span", {}, text));

export { name };
