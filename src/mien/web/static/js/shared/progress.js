// A bar that shows how far something is.

import { h } from "/static/mien/element.js";

/** An empty progress bar of what is called `name`. */
export const bar = (name) => h("div", { class: "bar", role: "progressbar", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 }, h("span"));

/** Sets a progress bar made by `bar()`. `share` null: it moves without saying how far. */
export function setBar(element, share, text) {
  const known = share !== null && share !== undefined;
  element.classList.toggle("unknown", !known);
  element.firstElementChild.style.width = known ? `${Math.min(share, 1) * 100}%` : "";
  if (known) element.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  else element.removeAttribute("aria-valuenow");
  element.setAttribute("aria-valuetext", text);
}
