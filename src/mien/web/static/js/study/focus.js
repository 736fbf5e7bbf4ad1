// Draws a part of the page anew without taking the focus and the cursor away from who is typing in it.

/** Calls `draw()`; what had the focus in `element` has it again, if it is still at the same place. */
export function keeping(element, draw) {
  const had = document.activeElement;
  if (!had || had === element || !element.contains(had)) {
    draw();
    return;
  }
  const way = [];
  for (let one = had; one !== element; one = one.parentElement) way.unshift([...one.parentElement.children].indexOf(one));
  const selected = typeof had.selectionStart === "number" ? [had.selectionStart, had.selectionEnd] : null;
  draw();
  const now = way.reduce((one, place) => one?.children[place], element);
  if (now?.tagName !== had.tagName) return;
  now.focus({ preventScroll: true });
  if (selected && typeof now.selectionStart === "number") now.setSelectionRange(...selected);
}
