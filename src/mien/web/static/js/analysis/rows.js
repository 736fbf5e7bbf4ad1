// The rows of a long table in a box that scrolls: only those in sight stand in the page. One row's link is reached by Tab; the arrows,
// PageUp, PageDown, Home and End go on from there.

import { h } from "/static/mien/element.js";

const BEYOND = 12; // rows that stand above and below what is in sight
const TALLEST_PX = 12_000_000; // browsers end at some 17 million pixels; of more rows each pixel of the scrollbar counts for several

/** Draws rows into `body`, a tbody in `box`; `make(i)` gives the row i, all of one height. Returns {set(n), grow(n)}: other rows, more. */
export function rows(box, body, make) {
  const [above, below] = [0, 0].map(() => h("tr", { "aria-hidden": "true" }, h("td", { class: "space" })));
  const standing = new Map();
  let n = 0, height = 0, current = 0, waiting = false;
  body.append(above, below);

  const linkOf = (i) => standing.get(i)?.querySelector("a");

  function measures() {
    const view = Math.max(0, box.clientHeight - body.previousElementSibling.offsetHeight);
    const total = n * height, tall = Math.min(total, TALLEST_PX);
    return { view, total, tall, ratio: tall > view ? (total - view) / (tall - view) : 1 };
  }

  function draw() {
    waiting = false;
    if (!height && n) {
      const probe = make(0);
      above.after(probe);
      height = probe.getBoundingClientRect().height;
      probe.remove();
    }
    const { view, tall, ratio } = measures();
    const top = box.scrollTop * ratio;
    const first = Math.max(0, Math.min(n, Math.floor(top / height) - BEYOND)), last = Math.min(n, Math.ceil((top + view) / height) + BEYOND);
    for (const [i, row] of standing) {
      if (i >= first && i < last) continue;
      if (row.contains(document.activeElement)) box.focus({ preventScroll: true });
      row.remove();
      standing.delete(i);
    }
    let next = above.nextSibling;
    for (let i = first; i < last; i++) {
      let row = standing.get(i);
      if (row) next = row.nextSibling;
      else {
        row = make(i);
        row.setAttribute("aria-rowindex", i + 2); // the header is the first
        standing.set(i, row);
        body.insertBefore(row, next);
      }
    }
    const start = Math.max(0, box.scrollTop - (top - first * height));
    above.firstChild.style.height = `${start}px`;
    below.firstChild.style.height = `${Math.max(0, tall - start - (last - first) * height)}px`;
    reach(Math.max(Math.min(current, Math.floor((top + view) / height) - 1), Math.ceil(top / height - 0.01)));
  }

  /** Row i is the one that Tab leads to. */
  function reach(i) {
    linkOf(current)?.setAttribute("tabindex", "-1");
    current = Math.max(0, Math.min(i, n - 1));
    linkOf(current)?.setAttribute("tabindex", "0");
  }

  function go(i) {
    i = Math.max(0, Math.min(i, n - 1));
    const { view, ratio } = measures();
    const top = box.scrollTop * ratio;
    if (i * height < top) box.scrollTop = (i * height) / ratio;
    else if ((i + 1) * height > top + view) box.scrollTop = ((i + 1) * height - view) / ratio;
    draw();
    reach(i);
    linkOf(i)?.focus({ preventScroll: true });
    linkOf(i)?.scrollIntoView({ block: "nearest", inline: "nearest" }); // the box itself may reach out of sight
  }

  body.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !event.target.closest("a")) return;
    const page = Math.max(1, Math.floor(measures().view / height) - 1);
    const to = { ArrowUp: current - 1, ArrowDown: current + 1, PageUp: current - page, PageDown: current + page, Home: 0, End: n - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });
  body.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr");
    reach(Number(row.getAttribute("aria-rowindex")) - 2);
  });
  box.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  });
  new ResizeObserver(() => {
    height = 0; // letters may have become larger
    draw();
  }).observe(box);

  return {
    set(count) {
      for (const row of standing.values()) row.remove();
      standing.clear();
      n = count;
      current = 0;
      above.firstChild.style.height = "0";
      below.firstChild.style.height = `${Math.min(n * height, TALLEST_PX)}px`; // the box as tall as it will be, before it is measured
      draw();
    },
    grow(count) {
      n = count;
      draw();
    },
  };
}
