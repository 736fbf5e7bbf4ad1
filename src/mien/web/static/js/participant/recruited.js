// Who came from elsewhere: what the address says of them, and the way back.

import { h } from "/static/mien/element.js";
import { button, w } from "./screen.js";
import { put, t } from "./texts.js";

const PLACE = "mien.take-part-address.";

/** The parameters of the address called `names`, {name: value}: those of this visit, also once the page was loaded without them. */
export function cameWith(names, invitation) {
  const given = new URLSearchParams(location.search), found = {};
  for (const name of names ?? []) {
    const value = [...(given.get(name) ?? "").replaceAll("\0", "")].slice(0, 200).join(""); // what the server can keep, no half of a letter
    if (value) found[name] = value;
  }
  if (new URLSearchParams(location.search).has("kiosk")) return found; // a device that many use keeps nothing
  try {
    if (Object.keys(found).length) sessionStorage.setItem(PLACE + invitation, JSON.stringify(found));
    else return JSON.parse(sessionStorage.getItem(PLACE + invitation)) ?? {};
  } catch {
    // a browser that keeps nothing
  }
  return found;
}

/** The code to hand in and the button that leads back, out of `ending`, {code, address}; null where there is neither. `known` fills in
 *  what the server could not know yet. */
export function wayBack(ending, known = {}) {
  if (!ending?.code && !ending?.address) return null;
  const { code, address } = ending;
  const filled = address?.replace(/\{([^{}]*)\}/g, (_, name) => encodeURIComponent({ code, ...known }[name] ?? ""));
  const copy = code && navigator.clipboard && button(() => t("way.copy"), async () => {
    await navigator.clipboard.writeText(code);
    put(copy, () => t("code.copied"));
  }, "small");
  return h(
    "section", { class: "card stack way-back" },
    code ? [w("p", {}, () => t("way.code")), h("div", { class: "row" }, h("output", { class: "code-shown", translate: "no" }, code), copy)] : null,
    filled ? h("div", { class: "actions" }, w("a", { class: "button primary", href: filled, rel: "noreferrer" }, () => t("way.go"))) : null,
  );
}
