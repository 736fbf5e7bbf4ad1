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

const WITH_OPTIONS = new Set(["single", "multiple", "matrix"]);
const CHOSEN = new Set(["single", "multiple"]); // kinds on which another question may hang
const WITH_ENDS = new Set(["scale5", "scale7", "liking", "emotions"]);
const COLUMNS_MAX = 7;
const COLUMN = /^[A-Za-z][A-Za-z0-9_]{0,39}$/;

/** A name that no other has: "q7". */
function fresh(letter, taken) {
  let number = 1;
  while (taken.has(`${letter}${number}`)) number += 1;
  return `${letter}${number}`;
}

function blank(kind, id) {
  const question = { id, kind, title: {}, help: {}, required: false, options: [], low: {}, high: {}, min: null, max: null, rows: [], column: null, screen_out: [], shown_if: null, new_page: false };
  if (WITH_OPTIONS.has(kind)) question.options = [{ id: "o1", title: {} }, { id: "o2", title: {} }];
  if (kind === "matrix") question.rows = [{ id: "r1", title: {} }, { id: "r2", title: {} }];
  return question;
}

/** What a question still lacks in words, or "". */
function lacks(question, languages) {
  const wanted = [question.title];
  if (WITH_OPTIONS.has(question.kind)) wanted.push(...question.options.map((option) => option.title));
  if (question.kind === "matrix") wanted.push(...(question.rows ?? []).map((row) => row.title));
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

  const taken = () => new Set([...study.now.before, ...study.now.after].flatMap((question) => [question.id, question.column]));

  /** Whether each question hangs on an earlier one in this order; says so where not. */
  function inOrder(part, questions) {
    const parts = { before: study.now.before, after: study.now.after, [part]: questions };
    const ids = [...parts.before, ...parts.after].map((question) => question.id);
    const late = [...parts.before, ...parts.after].find((question, place) => question.shown_if && !ids.slice(0, place).includes(question.shown_if.question));
    if (late) toast(`“${told(late.title, writing(), study.now.languages) || "A question"}” is asked only after some answers to another question, which has to come before it.`);
    return !late;
  }

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
      if (!inOrder(part, reordered(study.now[part], from, to))) return;
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
      say(element.querySelector(".must"), [question.required && "must be answered", question.new_page && "begins a page", question.shown_if && "asked of some", question.screen_out?.length && "screens out"].filter(Boolean).join(" · "));
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
        h("div", { class: "stack question-fields" }, ...fields(part, question, languages, change)),
        h("div", { class: "stack tight question-side" }, h("p", { class: "small soft", id: `preview-${question.id}` }, "As participants see it"), preview),
      );
    }
    show();
    return element;
  }

  function fields(part, question, languages, change) {
    const made = [
      textField(question.title, (title) => change({ title }), { label: "Question", languages, required: true, most: 500, name: "title" }),
      textField(question.help, (help) => change({ help }), { label: "Explanation, if it needs one", languages, most: 500, name: "help" }),
    ];
    const kind = h("select", { onchange: () => {
      const wide = kind.value === "matrix" && question.options.length > COLUMNS_MAX;
      if (wide) toast(`A matrix has ${COLUMNS_MAX} answers at most, to fit a phone.`);
      if (wide || (kind.value !== "single" && refusedFor(question)) || (!CHOSEN.has(kind.value) && hangsOn(question))) {
        kind.value = question.kind;
        return;
      }
      if (question.options.length) answers.set(question.id, question.options);
      const rows = kind.value === "matrix" ? (question.rows?.length ? question.rows : blank("matrix").rows) : [];
      change({ kind: kind.value, rows, screen_out: CHOSEN.has(kind.value) ? question.screen_out : [], options: WITH_OPTIONS.has(kind.value) ? (answers.get(question.id) ?? blank(kind.value).options) : [] });
      draw();
      element.querySelector(`[data-question="${question.id}"] .question-fields select`).focus();
    } }, ...Object.entries(KINDS).map(([value, [name, what]]) => h("option", { value }, `${name}: ${what}`)));
    kind.value = question.kind;
    made.push(h("label", { class: "field" }, "How it is answered", kind));
    if (question.kind === "matrix") made.push(options(question, languages, change, { field: "rows", letter: "r", least: 1, legend: "Lines", one: "Line", more: "Add a line" }));
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
    made.push(way(part, question, change));
    return made;
  }

  /** Who is asked, on which page, who is screened out by it, and how its column is called. */
  function way(part, question, change) {
    const page = h("input", { type: "checkbox", checked: question.new_page, onchange: () => change({ new_page: page.checked }) });
    const problem = h("span", { class: "problem", hidden: true });
    const column = h("input", { type: "text", value: question.column ?? "", maxlength: 40, autocomplete: "off", spellcheck: "false", placeholder: question.id, name: "column", oninput: () => {
      const name = column.value.trim(), others = [...study.now.before, ...study.now.after].filter((one) => one.id !== question.id).map((one) => one.column ?? one.id);
      const wrong = name && !COLUMN.test(name) ? "Letters, digits and _, beginning with a letter." : others.includes(name) ? "Another question has this name." : "";
      say(problem, wrong);
      problem.hidden = !wrong;
      column.setAttribute("aria-invalid", String(Boolean(wrong)));
      if (!wrong) change({ column: name || null });
    } });
    const earlier = [...study.now.before, ...(part === "after" ? study.now.after : [])];
    const at = earlier.findIndex((one) => one.id === question.id);
    const able = (at < 0 ? earlier : earlier.slice(0, at)).filter((one) => CHOSEN.has(one.kind));
    const name = (one) => told(one.title, writing(), study.now.languages) || "Question without words";
    const ticks = (legend, options, chosen, put) => h("fieldset", { class: "stack tight" }, h("legend", {}, legend), ...options.map((option, place) => {
      const tick = h("input", { type: "checkbox", checked: chosen.includes(option.id), onchange: () => put(options.filter((one) => (one.id === option.id ? tick.checked : chosen.includes(one.id))).map((one) => one.id)) });
      return h("label", { class: "check" }, tick, h("span", { class: "break" }, told(option.title, writing(), study.now.languages) || `Answer ${place + 1}`));
    }));
    const place = h("div", { class: "stack tight" });
    const on = h("select", { onchange: () => {
      const other = able.find((one) => one.id === on.value);
      change({ shown_if: other ? { question: other.id, options: [other.options[0].id] } : null });
      fill();
    } }, h("option", { value: "" }, "Everybody"), ...able.map((one) => h("option", { value: one.id }, `Who answered: ${name(one)}`)));
    function fill() {
      const { shown_if } = question, other = able.find((one) => one.id === shown_if?.question);
      on.value = other?.id ?? "";
      place.replaceChildren(...[other && ticks("… with any of", other.options, shown_if.options, (options) => {
        if (options.length) change({ shown_if: { question: other.id, options } });
        fill(); // the last tick stays
      })].filter(Boolean));
    }
    fill();
    const out = h("div", { class: "stack tight" });
    function screen() {
      out.replaceChildren(ticks("Who answers this is thanked and not measured", question.options, question.screen_out ?? [], (screen_out) => {
        change({ screen_out });
        screen();
      }));
    }
    if (part === "before" && CHOSEN.has(question.kind)) screen();
    return h("details", { class: "question-way" }, h("summary", {}, "Page, who is asked, name in the table"),
      h("div", { class: "stack" },
        h("label", { class: "check" }, page, h("span", {}, "Begins another page")),
        h("label", { class: "field" }, "Who is asked", on, !able.length && h("span", { class: "hint" }, "To ask only some, ask a question with answers to choose from before this one.")), place, out,
        h("label", { class: "field" }, "Name of its column in answers.csv", column, problem)));
  }

  function options(question, languages, change, { field: place_of = "options", letter = "o", least = 2, legend = "Answers to choose from", one: word = "Answer", more = "Add an answer" } = {}) {
    const list = h("ol", { class: "options" });
    const items = () => question[place_of];
    const put = (all) => {
      const left = new Set(all.map((one) => one.id));
      change({ [place_of]: all, ...(place_of === "options" ? { screen_out: (question.screen_out ?? []).filter((id) => left.has(id)) } : {}) });
    };
    const moved = (from, to) => {
      put(reordered(items(), from, to));
      fill();
      announce(`Place ${to + 1} of ${items().length}.`);
      keepFocus(list, to, to < from ? "up" : "down");
    };
    function fill() {
      list.replaceChildren(
        ...items().map((option, place) => {
          const name = told(option.title, writing(), languages) || `${word.toLowerCase()} ${place + 1}`;
          const field = textField(option.title, (title) => put(items().map((one) => (one.id === option.id ? { ...one, title } : one))), {
            label: `${word} ${place + 1}`, bare: true, languages, required: true, most: 200, name: `${place_of === "rows" ? "row" : "option"}-${option.id}`,
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
              ...movers(name, place, items().length, moved),
              h("button", {
                type: "button", class: "small plain icon", "aria-label": `Delete: ${name}`, title: "Delete", disabled: items().length <= least,
                onclick: () => {
                  if (place_of === "options" && hangsOn(question, option.id)) return;
                  put(items().filter((one) => one.id !== option.id));
                  fill();
                  list.children[Math.min(place, items().length - 1)]?.querySelector("input").focus();
                },
              }, "✕"),
            ),
          );
        }),
      );
    }
    function add(place = items().length) {
      if (place_of === "options" && question.kind === "matrix" && items().length >= COLUMNS_MAX) return toast(`A matrix has ${COLUMNS_MAX} answers at most, to fit a phone.`);
      const all = [...items()];
      all.splice(place, 0, { id: fresh(letter, new Set(all.map((option) => option.id))), title: {} });
      put(all);
      fill();
      list.children[place].querySelector("input").focus();
    }
    fill();
    orderable(list, moved);
    return h("fieldset", { class: "stack tight" }, h("legend", {}, legend), list, h("div", {}, h("button", { type: "button", class: "small", onclick: () => add() }, more)));
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
    const copy = { ...structuredClone(question), id: fresh("q", taken()), column: null };
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

  /** Whether another question is asked only after some answers, or after this one, to a question; says so. */
  function hangsOn(question, answer = null) {
    const other = [...study.now.before, ...study.now.after].find((one) => one.shown_if?.question === question.id && (!answer || one.shown_if.options.includes(answer)));
    if (other) toast(`“${told(other.title, writing(), study.now.languages) || "Another question"}” is asked only after some answers to this one. Change that first.`);
    return Boolean(other);
  }

  function across(part, question) {
    if (hangsOn(question) || question.shown_if) {
      if (question.shown_if) toast("It is asked only after some answers to another question. Change that first.");
      return;
    }
    const other = part === "before" ? "after" : "before";
    removed[part] = null;
    set(part, study.now[part].filter((one) => one.id !== question.id));
    set(other, [...study.now[other], { ...question, screen_out: [] }]);
    draw();
    announce(`Now asked ${other} the film.`);
    lists[other].querySelector(`[data-question="${question.id}"] [aria-expanded]`).focus();
  }

  function remove(part, question) {
    if (refusedFor(question) || hangsOn(question)) return;
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
    const on = [...study.now.before, ...study.now.after].find((one) => one.id === question.shown_if?.question);
    all.splice(place, 0, on || !question.shown_if ? question : { ...question, shown_if: null });
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
      if (!inOrder(part, reordered(study.now[part], from, to))) return draw();
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
