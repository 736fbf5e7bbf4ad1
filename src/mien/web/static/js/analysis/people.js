// The faces of an analysis, and what a person changes about them: names, two that are one, those that do not count.

import { api } from "../shared/api.js";
import { choose, toast } from "../shared/dialogs.js";
import { h } from "/static/mien/element.js";
import { appears, dot } from "/static/mien/emotions.js";
import { percent, several, span } from "/static/mien/format.js";
import { shareBar } from "./job.js";

const AT_ONCE = 24;

/**
 * Draws the faces into `place`. `changed(result)` gets the new result after each change; `sought(track, t)`: the person wants to see
 * this face where it first appears.
 */
export function people(place, result, { changed, sought }) {
  const base = `/api/jobs/${result.job.id}`;
  const visible = result.tracks.filter((track) => !track.hidden), hidden = result.tracks.filter((track) => track.hidden);

  async function edit(method, path, body, focus) {
    try {
      changed(await api(method, `${base}${path}`, body), focus);
      return true;
    } catch (error) {
      toast(error.message);
      return false;
    }
  }

  function name(track) {
    const button = h("button", { type: "button", class: "face-name", title: "Rename", "aria-label": `Rename ${track.name}`, onclick: open }, track.name, pencil());
    const holder = h("div", {}, button);
    function open() {
      const input = h("input", { type: "text", value: track.name, maxlength: 80, "aria-label": `Name of ${track.name}`, autocomplete: "off" });
      let over = false;
      const close = async (keep) => {
        if (over) return;
        over = true;
        const next = input.value.trim();
        const same = !keep || !next || next === track.name;
        if (same || !(await edit("PATCH", `/tracks/${track.id}`, { name: next }, `[data-track="${track.id}"] .face-name`))) {
          holder.replaceChildren(button);
          if (same) button.focus({ preventScroll: true });
        }
      };
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") close(true);
        if (event.key === "Escape") close(false);
      });
      input.addEventListener("blur", () => close(true));
      holder.replaceChildren(input);
      input.focus();
      input.select();
    }
    return holder;
  }

  async function merge(track) {
    const others = visible.filter((other) => other.id !== track.id).map((other) => [other.id, other.name]);
    const into = await choose({
      title: `Who is ${track.name}?`,
      text: "Two faces that are one person seen at different times are joined into one.",
      label: "The same as",
      options: others,
      action: "Join",
    });
    if (into !== null) edit("POST", `/tracks/${track.id}/merge`, { into: Number(into) }, `[data-track="${into}"] .face-name`);
  }

  function card(track) {
    const act = (word, what) => h("button", { type: "button", class: "small plain", "aria-label": `${word} ${track.name}`, onclick: what }, word);
    const still = track.still
      ? h("img", { src: track.still, alt: "", loading: "lazy", width: 72, height: 72 })
      : h("div", { class: "blank", "aria-hidden": "true" }, track.name.slice(0, 1).toUpperCase());
    return h(
      "li",
      { class: `card face${track.hidden ? " quiet" : ""}`, "data-track": track.id },
      still,
      h(
        "div",
        { class: "face-facts" },
        track.hidden ? h("span", { class: "face-name break" }, track.name) : name(track),
        h("p", { class: "small soft tabular" }, h("button", { type: "button", class: "link", "aria-label": `Go to where ${track.name} first appears`, onclick: () => sought(track, track.start_s) }, span(track.start_s, track.end_s, result.end_s)), ` · ${several(track.rows, "look")}`),
        h("p", { class: "small" }, track.expression ? [dot(track.expression), ` ${appears(track.expression)} ${percent(track.shares[track.expression])} of the time`] : "Cannot be read"),
        track.merged?.length ? h("p", { class: "small soft" }, `Joined with ${several(track.merged.length, "other face")}`) : null,
      ),
      h("div", { class: "face-share" }, shareBar(track.shares)),
      h(
        "div",
        { class: "row face-acts no-print" },
        track.hidden
          ? act("Show", () => edit("PATCH", `/tracks/${track.id}`, { hidden: false }, `[data-track="${track.id}"] button`))
          : [
            visible.length > 1 && act("Join…", () => merge(track)),
            act("Hide", () => edit("PATCH", `/tracks/${track.id}`, { hidden: true }, `[data-track="${track.id}"] button`)),
          ],
      ),
    );
  }

  const list = h("ul", { class: "faces" }, visible.slice(0, AT_ONCE).map(card));
  const rest = visible.slice(AT_ONCE);
  const more = rest.length ? h("button", { type: "button", onclick: () => { more.remove(); list.append(...rest.map(card)); } }, `Show all ${visible.length} faces`) : null;
  place.replaceChildren(
    ...[
      h(
        "div",
        { class: "row between" },
        h("h2", {}, "Faces"),
        result.edited && h("button", { type: "button", class: "small no-print", onclick: () => edit("DELETE", "/edits", undefined, "#faces h2") }, "Undo all changes"),
      ),
      h("p", { class: "soft" }, "A face is followed by place and motion; nobody is recognised. Who leaves and comes back counts as another face: give both a name, or join them."),
      visible.length ? list : h("p", { class: "soft" }, "Every face is hidden. Show one to see its curve again."),
      more,
      hidden.length ? h("h3", { class: "hidden-title" }, "Hidden: left out of curves, shares and tables") : null,
      hidden.length ? h("ul", { class: "faces" }, hidden.map(card)) : null,
    ].filter(Boolean),
  );
}

function pencil() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M10.5 3 13 5.5 6 12.5l-3 .5.5-3z");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "1.3");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  return svg;
}
