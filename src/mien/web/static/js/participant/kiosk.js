// A device that guests use one after the other: it begins with a screen for the next one, clears itself, and keeps nothing of the last.

import { h } from "/static/mien/element.js";
import { actions, button, show, w } from "./screen.js";
import { put, t, theirs } from "./texts.js";

const QUIET_S = 90, LEFT_S = 30;
const LIFE = ["pointerdown", "pointermove", "keydown", "touchstart", "wheel", "input"];

/** The seconds without a touch after which it asks who is there, out of the address (?kiosk or ?kiosk=90); null where it is no kiosk. */
export function kioskSeconds(search) {
  const given = new URLSearchParams(search).get("kiosk");
  return given === null ? null : Number(given) >= 1 ? Number(given) : QUIET_S;
}

export class Kiosk {
  #quiet_s; #busy; #leave; #last_ms = performance.now(); #asked = null; #over_ms = null; #line = null;

  /** `busy()`: something runs that nobody has to touch; `leave()` ends taking part for who is gone, a promise. */
  constructor(quiet_s, { busy, leave }) {
    this.#quiet_s = quiet_s;
    this.#busy = busy;
    this.#leave = leave;
    document.body.classList.add("kiosk");
    for (const event of LIFE) addEventListener(event, () => this.#alive(), { capture: true, passive: true });
    setInterval(() => this.#look(), 500);
  }

  /** The screen for the next guest; `begin()` when one is there. Nothing is counted meanwhile. */
  welcome(study, begin) {
    document.body.classList.add("kiosk-waits");
    show(
      { title: () => t("kiosk.welcome"), label: () => theirs(study.title) }, w("p", { class: "lead" }, () => t("kiosk.text")),
      actions(button(() => t("kiosk.begin"), () => {
        document.body.classList.remove("kiosk-waits");
        this.#alive();
        begin();
      })),
    );
  }

  /** What stands at the end of each way: who is next clears it at once, or it clears itself. */
  ending() {
    this.#over_ms ??= performance.now();
    this.#line ??= h("p", { class: "hint" });
    this.#count();
    return h("section", { class: "stack kiosk-end" }, w("p", {}, () => t("kiosk.code")), actions(button(() => t("kiosk.next"), () => this.clear())), this.#line);
  }

  /** To the next guest: the page is made anew, and nothing of the last is in it, in its history or on the device. */
  clear() {
    location.replace(location.pathname + location.search); // a fragment would keep the page
  }

  #alive() {
    this.#last_ms = performance.now();
    if (this.#over_ms !== null) this.#over_ms = performance.now();
  }

  #left_s = (since_ms, wait_s) => Math.ceil(wait_s - (performance.now() - since_ms) / 1000);

  #count() {
    const n = Math.max(0, this.#left_s(this.#over_ms, this.#quiet_s));
    put(this.#line, () => t("kiosk.reset", { n }));
    return n;
  }

  #look() {
    if (document.body.classList.contains("kiosk-waits")) return;
    if (this.#over_ms !== null) {
      if (!this.#count()) this.clear();
    } else if (this.#busy()) this.#last_ms = performance.now();
    else if (!this.#asked && this.#left_s(this.#last_ms, this.#quiet_s) <= 0) this.#ask();
    else if (this.#asked) {
      const n = this.#left_s(this.#asked.since_ms, Math.min(LEFT_S, this.#quiet_s));
      put(this.#asked.text, () => t("kiosk.there_text", { n: Math.max(0, n) }));
      if (n <= 0) this.#gone();
    }
  }

  #ask() {
    const text = h("p", { "aria-live": "off" }), dialog = h("dialog", { class: "take-part-ask", "aria-labelledby": "kiosk-there" });
    const stay = button(() => t("kiosk.stay"), () => dialog.close());
    dialog.append(w("h2", { id: "kiosk-there" }, () => t("kiosk.there_title")), text, actions(stay, button(() => t("kiosk.next"), () => this.#gone(), "")));
    dialog.addEventListener("close", () => {
      this.#asked = null;
      this.#alive();
      dialog.remove();
    });
    this.#asked = { since_ms: performance.now(), text };
    (document.fullscreenElement ?? document.body).append(dialog);
    dialog.showModal();
    stay.focus();
  }

  async #gone() {
    this.#asked = { since_ms: Infinity, text: h("p") };
    await Promise.race([this.#leave().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 3000))]);
    this.clear();
  }
}
