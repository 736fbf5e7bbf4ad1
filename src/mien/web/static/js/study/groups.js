// The tab of groups: by the answer to a question, or by the link with which somebody came.

import { h } from "/static/mien/element.js";
import { keeping } from "./focus.js";
import { told } from "./text.js";

function fresh(letter, taken) {
  let number = 1;
  while (taken.has(`${letter}${number}`)) number += 1;
  return `${letter}${number}`;
}

/** The values of groups that are made by a question: its answers, in the study's first language. */
export const ofQuestion = (question, languages, known = []) =>
  question.options.map((option) => ({ id: option.id, title: told(option.title, languages[0], languages).slice(0, 200), most: known.find((one) => one.id === option.id)?.most ?? null }));

/** The groups as they have to be now that questions changed; null where nothing has to. */
export function following(definition) {
  const questions = new Map([...definition.before, ...definition.after].map((question) => [question.id, question]));
  const now = definition.variables.map((variable) => {
    const question = variable.by === "question" ? questions.get(variable.question) : null;
    return question?.kind === "single" ? { ...variable, values: ofQuestion(question, definition.languages, variable.values) } : variable;
  });
  return JSON.stringify(now) === JSON.stringify(definition.variables) ? null : now;
}

export function groupsPanel(study, { announce, changed }) {
  const element = h("div", { class: "stack loose" });

  const put = (variables) => {
    study.set("variables", variables);
    changed();
  };
  const edit = (id, fields) => put(study.now.variables.map((one) => (one.id === id ? { ...one, ...fields } : one)));
  const known = (id) => study.now.variables.find((one) => one.id === id);
  const choices = () => [...study.now.before, ...study.now.after].filter((question) => question.kind === "single");
  const name = (question) => told(question.title, study.now.languages[0], study.now.languages) || "Question without words";

  /** How many of a group may take part. */
  function most(variable, value, place) {
    const input = h("input", { type: "number", min: 1, max: 1000000, step: 1, inputmode: "numeric", value: value.most ?? "", placeholder: "any number", "aria-label": `At most, of ${value.title || `group ${place + 1}`}`,
      oninput: () => {
        const wanted = input.value === "" && !input.validity.badInput ? null : Number(input.value);
        const wrong = wanted !== null && (!Number.isInteger(wanted) || wanted < 1 || wanted > 1000000);
        input.setAttribute("aria-invalid", String(wrong));
        if (!wrong) edit(variable.id, { values: known(variable.id).values.map((one) => (one.id === value.id ? { ...one, most: wanted } : one)) });
      } });
    return h("span", { class: "unit quota" }, h("span", { class: "soft small" }, "at most"), input);
  }

  function values(variable) {
    const list = h("ol", { class: "options" });
    const fill = () =>
      list.replaceChildren(
        ...known(variable.id).values.map((value, place) => {
          const input = h("input", { type: "text", value: value.title, maxlength: 200, autocomplete: "off", "aria-label": `Group ${place + 1}`,
            oninput: () => edit(variable.id, { values: known(variable.id).values.map((one) => (one.id === value.id ? { ...one, title: input.value } : one)) }),
            onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); add(); } } });
          return h("li", { class: "plain-value" }, input, most(variable, value, place), h("button", { type: "button", class: "small plain icon", "aria-label": `Delete: ${value.title || `group ${place + 1}`}`, title: "Delete",
            onclick: () => { edit(variable.id, { values: known(variable.id).values.filter((one) => one.id !== value.id) }); fill(); list.parentElement.querySelector(".add").focus(); } }, "✕"));
        }),
      );
    function add() {
      const all = known(variable.id).values;
      edit(variable.id, { values: [...all, { id: fresh("g", new Set(all.map((one) => one.id))), title: "", most: null }] });
      fill();
      list.lastElementChild.querySelector("input").focus();
    }
    fill();
    return h("div", { class: "stack tight" }, h("span", { class: "label" }, "Groups"), list,
      h("div", {}, h("button", { type: "button", class: "small add", onclick: add }, "Add a group")),
      h("p", { class: "hint" }, "“At most” is a quota: links of a group that is full say so."),
      h("p", { class: "hint" }, "Each invitation says to which of these its people belong: make one invitation for each group."));
  }

  function card(variable) {
    const title = h("input", { type: "text", value: variable.title, maxlength: 200, autocomplete: "off", placeholder: "Age band, cell, cinema …", oninput: () => edit(variable.id, { title: title.value }) });
    const asked = choices();
    const pick = (value, words, hint, able = true) =>
      h("label", { class: "check" }, h("input", { type: "radio", name: `by-${variable.id}`, value, checked: variable.by === value, disabled: !able, onchange: () => {
        if (value === "link") edit(variable.id, { by: "link", question: null, values: [] });
        else edit(variable.id, { by: "question", question: asked[0].id, values: ofQuestion(asked[0], study.now.languages) });
        keeping(element, draw);
      } }), h("span", {}, words, h("span", { class: "hint" }, h("br"), hint)));
    const question = h("select", { onchange: () => {
      const chosen = asked.find((one) => one.id === question.value);
      edit(variable.id, { question: chosen.id, values: ofQuestion(chosen, study.now.languages) });
      keeping(element, draw);
    } }, ...asked.map((one) => h("option", { value: one.id }, name(one))));
    question.value = variable.question ?? "";
    return h(
      "li",
      { class: "card stack", "data-variable": variable.id },
      h("div", { class: "row between" }, h("label", { class: "field grow" }, "What sets the groups apart", title),
        h("button", { type: "button", class: "small plain danger", "aria-label": `Delete: ${variable.title || "these groups"}`, onclick: () => {
          put(study.now.variables.filter((one) => one.id !== variable.id));
          draw();
          announce("Deleted.");
          element.querySelector(".add-groups").focus();
        } }, "Delete")),
      h("fieldset", { class: "stack tight" }, h("legend", {}, "Who is in which group is said by"),
        pick("question", "an answer", asked.length ? "A question with one choice that everybody answers." : "There is no question with one choice yet: add one under Questions.", asked.length > 0),
        pick("link", "the link with which somebody comes", "You know beforehand, and give each group its own link.")),
      variable.by === "question"
        ? h("div", { class: "stack tight" }, h("label", { class: "field" }, "Question", question),
            h("ul", { class: "quotas stack tight" }, ...variable.values.map((value, place) => h("li", { class: "row" }, h("span", { class: "state" }, value.title || "without words"), most(variable, value, place)))),
            h("p", { class: "hint" }, "“At most” is a quota: who belongs to a group that is full is thanked after the questions, before anything is measured."))
        : values(variable),
    );
  }

  function draw() {
    const all = study.now.variables;
    element.replaceChildren(
      h("p", { class: "soft" }, "Groups let the report draw one curve for each: younger and older, two cuts of a scene, two cinemas. ",
        `A group is shown from ${study.now.smallest_group} people on.`),
      ...(all.length ? [h("ol", { class: "groups-list stack" }, ...all.map(card))] : [h("div", { class: "empty" }, h("strong", {}, "No groups"), h("span", {}, "None are needed: the report is then of everybody together."))]),
      h("div", {}, h("button", { type: "button", class: "add-groups", onclick: () => {
        const id = fresh("v", new Set(all.map((one) => one.id)));
        put([...all, { id, title: "", by: "link", question: null, values: [] }]);
        draw();
        element.querySelector(`[data-variable="${id}"] input`).focus();
      } }, "Add groups")),
    );
  }
  return { element, draw };
}
