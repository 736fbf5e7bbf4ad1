// Questions in a dialog, and short messages at the foot of the page.

import { h } from "/static/mien/element.js";

/** Opens a dialog made of `fields`; resolves with `value()` when it is agreed to, with null when it is not. */
export function open(title, fields, action, { danger = false, value = () => true } = {}) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: `dialog-${Math.random().toString(36).slice(2)}` }, title);
    const dialog = h(
      "dialog",
      { "aria-labelledby": heading.id },
      h(
        "form",
        { method: "dialog" },
        heading,
        ...fields,
        h(
          "div",
          { class: "actions" },
          h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button", { class: danger ? "primary danger" : "primary", value: "yes" }, action),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? value() : null);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** True when the person agrees, else null. */
export const confirm = ({ title, text, action, danger = true }) => open(title, [h("p", { class: "break" }, text)], action, { danger });

/** A text of the person's, without spaces around it; null when cancelled or left empty. */
export function ask({ title, label, hint = null, value = "", action = "Save", most = 200 }) {
  const input = h("input", { type: "text", value, maxlength: most, required: true, autocomplete: "off" });
  const answer = open(title, [h("label", { class: "field" }, label, input, hint && h("span", { class: "hint" }, hint))], action, {
    value: () => input.value.trim() || null,
  });
  input.select();
  return answer;
}

/** One of `options` ([value, text]) or null. */
export function choose({ title, text = null, label, options, action }) {
  const select = h("select", {}, ...options.map(([value, name]) => h("option", { value }, name)));
  return open(title, [text && h("p", {}, text), h("label", { class: "field" }, label, select)].filter(Boolean), action, {
    value: () => select.value,
  });
}

let showing = null;

/** Says something for a while at the foot of the page. */
export function toast(text) {
  showing?.remove();
  const message = (showing = h("div", { class: "toast", role: "status" }));
  document.body.append(message);
  message.textContent = text; // after it is in the page: only then is it read out
  setTimeout(() => message.remove(), 4000 + text.length * 50);
}
