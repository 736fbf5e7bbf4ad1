// The order of a list: by dragging a handle, with a finger too, and by buttons for the keyboard.

import { h } from "/static/mien/element.js";

const middle = (element) => {
  const box = element.getBoundingClientRect();
  return box.top + box.height / 2;
};

const places = (list) => [...list.children].filter((child) => child.dataset.place !== undefined);

/**
 * Lets the children of `list` that have `data-place` (their index) be dragged by what is `.handle` in them. `moved(from, to)` is called
 * once where the order is another one at the end. Escape puts back.
 */
export function orderable(list, moved) {
  list.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".handle");
    const item = handle?.closest("[data-place]");
    if (!item || event.button || item.parentElement !== list) return;
    event.preventDefault();
    const first = places(list), from = first.indexOf(item);
    item.classList.add("dragged");

    // The neighbours are moved round the item: an element that is itself taken out and put in again loses the finger on it.
    function move({ clientY }) {
      const beside = (step) => {
        const all = places(list);
        return all[all.indexOf(item) + step];
      };
      for (let next; (next = beside(1)) && clientY > middle(next); ) item.before(next);
      for (let before; (before = beside(-1)) && clientY < middle(before); ) item.after(before);
    }
    function end(kept) {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", cancel);
      removeEventListener("keydown", key, true);
      item.classList.remove("dragged");
      const to = places(list).indexOf(item);
      if (!kept) list.append(...first, ...[...list.children].filter((child) => !first.includes(child)));
      else if (to !== from) moved(from, to);
    }
    const up = () => end(true), cancel = () => end(false);
    function key(pressed) {
      if (pressed.key !== "Escape") return;
      pressed.preventDefault();
      end(false);
    }
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", key, true);
  });
}

/** What is taken hold of to drag. Who uses the keyboard has the buttons, so it is no stop of theirs. */
export const handle = () => h("span", { class: "handle", "aria-hidden": "true", title: "Drag to another place" }, "⠿");

/** The two buttons of the item at `place` of `count`, called `name`. */
export function movers(name, place, count, moved) {
  const button = (sign, words, step) =>
    h(
      "button",
      {
        type: "button", class: "small plain icon", "aria-label": `Move ${words}: ${name}`, title: `Move ${words}`, "data-move": words,
        disabled: place + step < 0 || place + step >= count, onclick: () => moved(place, place + step),
      },
      sign,
    );
  return [button("↑", "up", -1), button("↓", "down", 1)];
}

/** A copy of `items` with the one at `from` at `to`. */
export function reordered(items, from, to) {
  const all = [...items];
  all.splice(to, 0, ...all.splice(from, 1));
  return all;
}

/** After a list was drawn again: the focus on the button that was pressed, or at the end of the list on its neighbour. */
export function keepFocus(list, place, words) {
  const item = places(list)[place];
  const wanted = item?.querySelector(`[data-move="${words}"]:not(:disabled)`) ?? item?.querySelector("[data-move]:not(:disabled)");
  wanted?.focus();
}
