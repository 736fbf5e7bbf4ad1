// Makes elements. Text from outside gets in as text only, never as markup.

/**
 * h("a", {class: "name", href}, "text", child, …). A property that starts with "on" is a listener, `true` an empty attribute; null,
 * undefined and false are left out. Children are nodes or texts; empty ones are left out.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** Sets the text where it differs, so that a screen reader is not told the same twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
