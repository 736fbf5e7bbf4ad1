// The tab of questions: those before and after the film, each written, put in order and looked at.

import { toast } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { several } from "/static/mien/format.js";
import { KINDS } from "./kinds.js";
import { handle, keepFocus, movers, orderable, reordered } from "./order.js";
import { questionPreview } from "./question.js";
import { LANGUAGES, textField, told, writing } from "./text.js";

const PARTS = { before: "Before the film", after: "After the film" };
const EMPTY = {
  before: "No question before the film. Good ones are about the person: age band, how often they go to the cinema, their mood now.",
  after: "No question after the film. Good ones are about the film: liking, what was felt, one thing to change.",
};

const WITH_OPTIONS = new Set(["single", "multiple"]);
const WITH_ENDS = new Set(["scale5", "scale7"]);

/** A name that no other has: "q7". */
function fresh(letter, taken) {
  let number = 1;
  while (taken.has(`${letter}${number}`)) number += 1;
  return `${letter}${number}`;
}

function blank(kind, id) {
  const question = { id, kind, title: {}, help: {}, required: false, options: [], low: {}, high: {}, min: null, max: null };
  if (WITH_OPTIONS.has(kind)) question.options = [{ id: "o1", title: {} }, { id: "o2", title: {} }];
  return question;
}

/** What a question still lacks in words, or "". */
function lacks(question, languages) {
  const wanted = [question.title];
  if (WITH_OPTIONS.has(question.kind)) wanted.push(...question.options.map((option) => option.title));
  if (wanted.some((text) => !languages.some((language) => text?.[language]?.trim()))) return "Not complete";
  const missing = languages.filter((language) => wanted.some((text) => !text?.[language]?.trim()));
  return missing.length ? `Missing in ${missing.map((language) => LANGUAGES[language]).join(", ")}` : "";
}

/** The panel. `study` is a draft of draft.js; `announce(text)` is read out; `changed()` is called after each change. */
export function questionsPanel(study, { announce, changed }) {
  const element = h("div", { class: "stack loose" });
  const open = new Set(); // ids of questions that are being written
  const removed = { before: null, after: null };
  const answers = new Map(); // question's id → answers to choose from, for who changes the kind and changes it back
  const lists = {};

  const taken = () => new Set([...study.now.before, ...study.now.after].map((question) => question.id));

  function set(part, questions) {
    study.set(part, questions);
    changed();
  }

  // --- one question

  function card(part, question, place, count) {
    const languages = study.now.languages;
    const name = told(question.title, writing(), languages) || "Question without words";
    const title = h("span", { class: "question-title break" });
    const state = h("span", { class: "state warn" });
    const preview = h("div", { class: "question-preview" });
    const isOpen = open.has(question.id);
    const body = h("div", { class: "question-body", id: `body-${question.id}`, hidden: !isOpen });

    const moved = (from, to) => {
      removed[part] = null;
      set(part, reordered(study.now[part], from, to));
      draw();
      announce(`${name}: place ${to + 1} of ${count}.`);
      keepFocus(lists[part], to, to < from ? "up" : "down");
    };
    const toggle = h(
      "button",
      {
        type: "button", class: "small", "aria-expanded": String(isOpen), "aria-controls": body.id, "aria-label": `${isOpen ? "Done" : "Edit"}: ${name}`,
        onclick: () => {
          if (open.has(question.id)) open.delete(question.id);
          else open.add(question.id);
          draw();
          lists[part].querySelector(`[data-question="${question.id}"] [aria-expanded]`)?.focus();
        },
      },
      isOpen ? "Done" : "Edit",
    );
    const menu = h(
      "details",
      { class: "menu" },
      h("summary", { class: "button small plain icon", "aria-label": `More for: ${name}` }, "⋯"),
      h(
        "div",
        {},
        h("button", { type: "button", onclick: () => duplicate(part, question) }, "Duplicate"),
        h("button", { type: "button", onclick: () => across(part, question) }, part === "before" ? "Ask it after the film" : "Ask it before the film"),
        h("button", { type: "button", class: "danger", onclick: () => remove(part, question) }, "Delete"),
      ),
    );
    const element = h(
      "li",
      { class: `question card${isOpen ? " open" : ""}`, "data-place": String(place), "data-question": question.id },
      h(
        "div",
        { class: "question-head" },
        handle(),
        h("span", { class: "question-number soft tabular", "aria-hidden": "true" }, `${place + 1}`),
        h("div", { class: "question-name" }, title, h("span", { class: "row question-facts small soft" }, h("span", {}, KINDS[question.kind]?.[0] ?? question.kind), h("span", { class: "must" }), state)),
        h("div", { class: "row acts" }, ...movers(name, place, count, moved), toggle, menu),
      ),
      body,
    );
    function show() {
      say(title, told(question.title, writing(), languages) || "Question without words");
      title.classList.toggle("soft", !told(question.title, writing(), languages));
      say(element.querySelector(".must"), question.required ? "must be answered" : "");
      const what = lacks(question, languages);
      say(state, what);
      state.hidden = !what;
      if (isOpen) preview.replaceChildren(questionPreview(question, writing(), languages));
    }
    function change(fields) {
      Object.assign(question, fields);
      removed[part] = null;
      set(part, study.now[part].map((one) => (one.id === question.id ? { ...question } : one)));
      show();
    }
    if (isOpen) {
      body.append(
        h("div", { class: "stack question-fields" }, ...fields(question, languages, change)),
        h("div", { class: "stack tight question-side" }, h("p", { class: "small soft", id: `preview-${question.id}` }, "As participants see it"), preview),
      );
    }
    show();
    return element;
  }

  function fields(question, languages, change) {
    const made = [
      textField(question.title, (title) => change({ title }), { label: "Question", languages, required: true, most: 500, name: "title" }),
      textField(question.help, (help) => change({ help }), { label: "Explanation, if it needs one", languages, most: 500, name: "help" }),
    ];
    const kind = h("select", { onchange: () => {
      if (kind.value !== "single" && refusedFor(question)) {
        kind.value = question.kind;
        return;
      }
      if (question.options.length) answers.set(question.id, question.options);
      change({ kind: kind.value, options: WITH_OPTIONS.has(kind.value) ? (answers.get(question.id) ?? blank(kind.value).options) : [] });
      draw();
      element.querySelector(`[data-question="${question.id}"] .question-fields select`).focus();
    } }, ...Object.entries(KINDS).map(([value, [name, what]]) => h("option", { value }, `${name}: ${what}`)));
    kind.value = question.kind;
    made.push(h("label", { class: "field" }, "How it is answered", kind));
    if (WITH_OPTIONS.has(question.kind)) made.push(options(question, languages, change));
    if (WITH_ENDS.has(question.kind)) {
      made.push(
        h("div", { class: "fields" },
          textField(question.low, (low) => change({ low }), { label: "Words at the low end", languages, most: 100, name: "low" }),
          textField(question.high, (high) => change({ high }), { label: "Words at the high end", languages, most: 100, name: "high" })),
      );
    }
    if (question.kind === "number") {
      const bound = (field, label) => {
        const input = h("input", { type: "number", step: "any", inputmode: "decimal", value: question[field] ?? "", oninput: () => {
          if (!input.validity.badInput) change({ [field]: input.value === "" ? null : Number(input.value) });
        } });
        return h("label", { class: "field" }, label, input);
      };
      made.push(h("div", { class: "fields" }, bound("min", "Smallest, if there is one"), bound("max", "Largest, if there is one")));
    }
    const must = h("input", { type: "checkbox", checked: question.required, onchange: () => change({ required: must.checked }) });
    made.push(h("label", { class: "check" }, must, h("span", {}, "Must be answered ", h("span", { class: "hint" }, "– who does not want to, can only leave"))));
    return made;
  }

  function options(question, languages, change) {
    const list = h("ol", { class: "options" });
    const put = (all) => change({ options: all });
    const moved = (from, to) => {
      put(reordered(question.options, from, to));
      fill();
      announce(`Place ${to + 1} of ${question.options.length}.`);
      keepFocus(list, to, to < from ? "up" : "down");
    };
    function fill() {
      list.replaceChildren(
        ...question.options.map((option, place) => {
          const name = told(option.title, writing(), languages) || `answer ${place + 1}`;
          const field = textField(option.title, (title) => put(question.options.map((one) => (one.id === option.id ? { ...one, title } : one))), {
            label: `Answer ${place + 1}`, bare: true, languages, required: true, most: 200, name: `option-${option.id}`,
          });
          field.querySelector("input").addEventListener("keydown", (event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add(place + 1);
          });
          return h(
            "li",
            { "data-place": String(place) },
            handle(),
            field,
            h(
              "div",
              { class: "row acts" },
              ...movers(name, place, question.options.length, moved),
              h("button", {
                type: "button", class: "small plain icon", "aria-label": `Delete: ${name}`, title: "Delete", disabled: question.options.length <= 2,
                onclick: () => {
                  put(question.options.filter((one) => one.id !== option.id));
                  fill();
                  list.children[Math.min(place, question.options.length - 1)]?.querySelector("input").focus();
                },
              }, "✕"),
            ),
          );
        }),
      );
    }
    function add(place = question.options.length) {
      const all = [...question.options];
      all.splice(place, 0, { id: fresh("o", new Set(all.map((option) => option.id))), title: {} });
      put(all);
      fill();
      list.children[place].querySelector("input").focus();
    }
    fill();
    orderable(list, moved);
    return h("fieldset", { class: "stack tight" }, h("legend", {}, "Answers to choose from"), list, h("div", {}, h("button", { type: "button", class: "small", onclick: () => add() }, "Add an answer")));
  }

  // --- what is done with a question

  function add(part, kind) {
    const question = blank(kind, fresh("q", taken()));
    removed[part] = null;
    open.clear();
    open.add(question.id);
    set(part, [...study.now[part], question]);
    draw();
    const made = lists[part].querySelector(`[data-question="${question.id}"]`);
    made.querySelector("[data-field=title]").focus();
    made.scrollIntoView({ block: "nearest" });
  }

  function duplicate(part, question) {
    const copy = { ...structuredClone(question), id: fresh("q", taken()) };
    const all = [...study.now[part]];
    all.splice(all.findIndex((one) => one.id === question.id) + 1, 0, copy);
    removed[part] = null;
    set(part, all);
    draw();
    announce("Duplicated.");
    lists[part].querySelector(`[data-question="${copy.id}"] [aria-expanded]`).focus();
  }

  /** Whether groups are made by this question, so that it has to stay; says so. */
  function refusedFor(question) {
    const groups = study.now.variables.find((variable) => variable.by === "question" && variable.question === question.id);
    if (groups) toast(`The groups “${groups.title || "without a name"}” are made by this question. Take it out of the groups first.`);
    return Boolean(groups);
  }

  function across(part, question) {
    const other = part === "before" ? "after" : "before";
    removed[part] = null;
    set(part, study.now[part].filter((one) => one.id !== question.id));
    set(other, [...study.now[other], question]);
    draw();
    announce(`Now asked ${other} the film.`);
    lists[other].querySelector(`[data-question="${question.id}"] [aria-expanded]`).focus();
  }

  function remove(part, question) {
    if (refusedFor(question)) return;
    const place = study.now[part].findIndex((one) => one.id === question.id);
    removed[part] = { question, place };
    open.delete(question.id);
    set(part, study.now[part].filter((one) => one.id !== question.id));
    draw();
    lists[part].parentElement.querySelector(".undo button").focus();
  }

  function undo(part) {
    const { question, place } = removed[part];
    removed[part] = null;
    const all = [...study.now[part]];
    all.splice(place, 0, question);
    set(part, all);
    draw();
    lists[part].querySelector(`[data-question="${question.id}"] [aria-expanded]`).focus();
  }

  // --- all of it

  function section(part) {
    const list = (lists[part] = h("ol", { class: "questions" }));
    const questions = study.now[part];
    const kinds = h(
      "div",
      { class: "row kinds", role: "group", "aria-label": `Add a question ${part} the film` },
      h("span", { class: "small soft", "aria-hidden": "true" }, "Add:"),
      ...Object.entries(KINDS).map(([kind, [name, what]]) => h("button", { type: "button", class: "small", title: `The participant ${what}`, "data-kind": kind, onclick: () => add(part, kind) }, name)),
    );
    list.append(...questions.map((question, place) => card(part, structuredClone(question), place, questions.length)));
    orderable(list, (from, to) => {
      removed[part] = null;
      set(part, reordered(study.now[part], from, to));
      draw();
      announce(`Place ${to + 1} of ${questions.length}.`);
    });
    const gone = removed[part];
    const name = gone && (told(gone.question.title, writing(), study.now.languages) || "A question without words");
    return h(
      "section",
      { class: "stack", "aria-labelledby": `questions-${part}` },
      h("div", { class: "row between" }, h("h2", { id: `questions-${part}` }, PARTS[part]), h("span", { class: "small soft" }, questions.length ? several(questions.length, "question") : "")),
      !questions.length && h("p", { class: "soft" }, EMPTY[part]),
      list,
      gone && h("div", { class: "notice undo row between", role: "status" }, h("span", { class: "break" }, `“${name}” is deleted.`), h("button", { type: "button", class: "small", onclick: () => undo(part) }, "Undo")),
      kinds,
    );
  }

  function draw() {
    element.replaceChildren(section("before"), section("after"));
  }
  return { element, draw };
}
