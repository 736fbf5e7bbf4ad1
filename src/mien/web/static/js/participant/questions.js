// Questions of all kinds as a form: real buttons and fields, errors beside them, and answers that outlive a reload.

import { h } from "/static/mien/element.js";
import { actions, w } from "./screen.js";
import { name, number, put, t, theirs } from "./texts.js";

const EMOTIONS = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"];
const LEVELS = [0, 1, 2, 3, 4];
const POINTS = { scale5: 5, scale7: 7, liking: 7 };
const LETTERS = { short: 200, long: 4000 };

/** Those of `questions` that are asked of somebody with these answers, as the server has it. */
export function asked(questions, answers) {
  const given = { ...answers }, shown = [];
  for (const question of questions) {
    const { shown_if: on = null } = question;
    if (!on || [given[on.question]].flat().some((id) => on.options.includes(id))) shown.push(question);
    else delete given[question.id];
  }
  return shown;
}

/** The questions page by page. */
export function pages(questions) {
  const all = [];
  for (const question of questions) {
    if (!all.length || question.new_page) all.push([]);
    all.at(-1).push(question);
  }
  return all;
}

/**
 * The form. `answers`: {question id: answer} to begin with; `others`: questions that are asked before these. `changed(answers, id, fit)` after each change, `fit`
 * where that answer could be kept as it is; `send(answers)` once all is right
 * (a promise; while it runs the button waits; where it throws {detail} or {message}, that is shown). `more`: buttons beside it.
 */
export function questionForm({ questions, answers, others = [], changed, send, go, more = [] }) {
  const given = { ...answers };
  const fields = questions.map((question) => {
    const field = KINDS[question.kind](question, given[question.id], (value) => {
      if (value === undefined) delete given[question.id];
      else given[question.id] = value;
      if (field.element.classList.contains("wrong") && !field.check()) mark(field, null);
      reveal();
      if (!summary.hidden) summarise();
      changed(given, question.id, value === undefined || !field.check());
    });
    return Object.assign(field, { question });
  });
  const list = h("ul");
  const summary = h("div", { class: "notice bad", role: "alert", hidden: true, tabindex: "-1" }, w("p", {}, () => t("questions.problems")), list);
  const submit = w("button", { class: "primary" }, go);

  function mark(field, text) {
    field.element.classList.toggle("wrong", Boolean(text));
    put(field.problem, text ?? (() => ""));
    for (const control of field.controls) {
      if (text) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
  }

  const shown = () => fields.filter((field) => !field.element.hidden);

  /** A question that is asked only after some answers comes and goes with them. */
  function reveal() {
    const wanted = asked([...others, ...questions], given);
    for (const field of fields) {
      field.element.hidden = !wanted.includes(field.question);
      if (field.element.hidden) mark(field, null);
    }
  }

  /** What is still wrong, each with a way there; what is mended goes from the list. */
  function summarise() {
    const wrong = fields.filter((field) => field.element.classList.contains("wrong"));
    summary.hidden = !wrong.length;
    list.replaceChildren(...wrong.map((field) => h("li", {}, w("a", {
      href: `#${field.controls[0].id}`,
      onclick: (press) => {
        press.preventDefault();
        field.controls[0].focus();
      },
    }, () => theirs(field.question.title)))));
  }

  reveal();
  return h(
    "form",
    {
      class: "questions", novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        const wrong = shown().filter((field) => {
          const text = field.check();
          mark(field, text);
          return text;
        });
        summarise();
        if (wrong.length) {
          wrong[0].element.scrollIntoView({ block: "center" });
          wrong[0].controls[0].focus({ preventScroll: true });
          return;
        }
        submit.disabled = true;
        try {
          await send(Object.fromEntries(questions.map(({ id }) => [id, shown().some((field) => field.question.id === id) ? (given[id] ?? null) : null])));
        } catch (error) {
          summary.hidden = false;
          list.replaceChildren(h("li", { lang: "en" }, error.message));
          summary.focus();
        } finally {
          submit.disabled = false;
        }
      },
    },
    questions.some((question) => question.required) ? w("p", { class: "hint" }, () => t("questions.required")) : null,
    ...fields.map((field) => field.element),
    summary,
    actions(submit, ...more),
  );
}

// --- kinds: each gives {element, problem, controls, check() → null or a function that says what is wrong} -------------------------

const mark = (question) => () => `${theirs(question.title)}${question.required ? " *" : ""}`;
const hint = (question) => (Object.values(question.help ?? {}).some(Boolean) ? w("p", { class: "hint", id: `${question.id}-help` }, () => theirs(question.help)) : null);
const problemOf = (question) => h("p", { class: "problem", id: `${question.id}-problem` });
const described = (question) => `${question.id}-help ${question.id}-problem`;
const missing = (question, value) => (question.required && (value === undefined || value === "" || value?.length === 0) ? () => t("questions.missing") : null);

/** A group of choices: a fieldset whose legend is the question. */
function group(question, controls, ...content) {
  const problem = problemOf(question);
  const element = h("fieldset", { class: `question ${question.kind}`, "aria-describedby": described(question) }, w("legend", {}, mark(question)), hint(question), ...content, problem);
  return { element, problem, controls };
}

function line(question, control, ...more) {
  const problem = problemOf(question);
  control.id = `q-${question.id}`;
  control.setAttribute("aria-describedby", described(question));
  if (question.required) control.setAttribute("aria-required", "true");
  const element = h("div", { class: `question ${question.kind}` }, w("label", { for: control.id }, mark(question)), hint(question), control, ...more, problem);
  return { element, problem, controls: [control] };
}

/** Radio buttons can be pressed but not taken back; a button does that where no answer is needed. */
function takeBack(question, radios, change) {
  if (question.required) return null;
  const element = w("button", { type: "button", class: "link small", hidden: !radios.some((radio) => radio.checked) }, () => t("questions.clear"));
  element.addEventListener("click", () => {
    for (const radio of radios) radio.checked = false;
    element.hidden = true;
    change(undefined);
    radios[0].focus();
  });
  for (const radio of radios) radio.addEventListener("change", () => (element.hidden = false));
  return element;
}

function single(question, value, change) {
  const radios = question.options.map(({ id }) => h("input", {
    type: "radio", name: `q-${question.id}`, id: `q-${question.id}-${id}`, value: id, checked: id === value, required: question.required, onchange: () => change(id),
  }));
  const rows = question.options.map((option, k) => h("label", { class: "choice" }, radios[k], w("span", {}, () => theirs(option.title))));
  const field = group(question, radios, h("div", { class: "choices" }, rows), takeBack(question, radios, change));
  return { ...field, check: () => missing(question, radios.find((radio) => radio.checked)?.value) };
}

function multiple(question, value = [], change) {
  const read = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const boxes = question.options.map(({ id }) => h("input", {
    type: "checkbox", id: `q-${question.id}-${id}`, value: id, checked: value.includes(id), onchange: () => change(read().length ? read() : undefined),
  }));
  const rows = question.options.map((option, k) => h("label", { class: "choice" }, boxes[k], w("span", {}, () => theirs(option.title))));
  const field = group(question, boxes, w("p", { class: "hint" }, () => t("questions.several")), h("div", { class: "choices" }, rows));
  return { ...field, check: () => missing(question, read()) };
}

function scale(question, value, change) {
  const most = POINTS[question.kind];
  const liking = question.kind === "liking";
  const low = () => theirs(question.low) || (liking ? t("liking.low") : ""), high = () => theirs(question.high) || (liking ? t("liking.high") : "");
  const radios = Array.from({ length: most }, (_, k) => {
    const point = k + 1;
    const radio = h("input", {
      type: "radio", name: `q-${question.id}`, id: `q-${question.id}-${point}`, value: String(point), checked: point === value, required: question.required,
      onchange: () => change(point),
    });
    return name(radio, "aria-label", () => [point, point === 1 ? low() : point === most ? high() : ""].filter(Boolean).join(", "));
  });
  const points = radios.map((radio, k) => h("label", { class: "point-choice" }, radio, h("span", { "aria-hidden": "true" }, String(k + 1))));
  const ends = h("div", { class: "scale-ends", "aria-hidden": "true" }, w("span", {}, low), w("span", {}, high));
  const field = group(question, radios, h("div", { class: "scale", style: `--points: ${most}` }, points, ends), takeBack(question, radios, change));
  return { ...field, check: () => missing(question, radios.find((radio) => radio.checked)?.value) };
}

/** "1 234,5" and "1234.5" are the same number; null for none. */
function parsed(text) {
  const plain = text.trim().replace(/[\s\u00a0\u202f]/g, "").replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

function numeric(question, value, change) {
  const { min = null, max = null } = question;
  const input = h("input", { type: "text", inputmode: Number.isInteger(min) && min >= 0 ? "decimal" : "text", autocomplete: "off", maxlength: 30, class: "number" });
  input.value = value === undefined ? "" : typeof value === "number" ? number(value) : value;
  input.addEventListener("input", () => change(input.value.trim() ? (parsed(input.value) ?? input.value) : undefined));
  const bounds = min !== null && max !== null ? w("p", { class: "hint" }, () => t("questions.between", { min: number(min), max: number(max) })) : null;
  const field = line(question, input, bounds);
  return {
    ...field,
    check() {
      if (!input.value.trim()) return missing(question, "");
      const given = parsed(input.value);
      if (given === null) return () => t("questions.number");
      if (min !== null && given < min) return () => t("questions.number_least", { min: number(min) });
      if (max !== null && given > max) return () => t("questions.number_most", { max: number(max) });
      return null;
    },
  };
}

function text(question, value = "", change) {
  const most = LETTERS[question.kind], long = question.kind === "long";
  const input = long ? h("textarea", { rows: 4, maxlength: most }) : h("input", { type: "text", maxlength: most, autocomplete: "off" });
  input.value = value;
  const count = h("p", { class: "hint letters" });
  const say = () => put(count, () => (long || input.value.length > most * 0.8 ? t("questions.letters", { n: input.value.length, most }) : ""));
  say();
  input.addEventListener("input", () => {
    say();
    change(input.value.trim() ? input.value : undefined);
  });
  const field = line(question, input, count);
  return { ...field, check: () => missing(question, input.value.trim()) };
}

/** Lines in each of which one answer is chosen: a matrix, and how strongly each of eight emotions was felt. `rows`: [{id, words}];
 *  `columns`: [{value, sign, words}], whose `sign` stands in the small cells of a phone. */
function lines(question, value, change, { rows, columns, note }) {
  const given = { ...value };
  const controls = [];
  const drawn = rows.map((row) => {
    const id = `q-${question.id}-${row.id}`;
    const radios = columns.map((column, place) => {
      const radio = h("input", {
        type: "radio", name: id, id: `${id}-${place}`, value: String(column.value), checked: given[row.id] === column.value,
        onchange: () => {
          given[row.id] = column.value;
          change({ ...given });
        },
      });
      controls.push(radio);
      return name(radio, "aria-label", column.words);
    });
    const cells = radios.map((radio, place) => h("label", { class: "point-choice" }, radio, w("span", { "aria-hidden": "true" }, columns[place].sign)));
    return h("div", { class: "emotion-row", role: "radiogroup", "aria-labelledby": `${id}-name` }, w("span", { class: "emotion-name", id: `${id}-name` }, row.words), h("div", { class: "emotion-points" }, cells));
  });
  const head = h("div", { class: "emotion-head", "aria-hidden": "true" }, h("span"), h("div", { class: "emotion-points" }, columns.map((column) => w("span", {}, column.words))));
  const clear = takeBack(question, controls, (nothing) => {
    for (const row of rows) delete given[row.id];
    change(nothing);
  });
  const field = group(question, controls, h("div", { class: "emotions", style: `--columns: ${columns.length}` }, note, head, drawn), clear);
  return {
    ...field,
    check() {
      const n = Object.keys(given).length;
      if (!n) return question.required ? () => t("questions.missing") : null;
      return n < rows.length ? () => t("questions.missing_rows") : null;
    },
  };
}

function emotions(question, value = {}, change) {
  const most = LEVELS.at(-1);
  const low = () => theirs(question.low) || t("level.0"), high = () => theirs(question.high) || t("level.4");
  return lines(question, value, change, {
    rows: EMOTIONS.map((label) => ({ id: label, words: () => t(`emotion.${label}`) })),
    columns: LEVELS.map((level) => ({ value: level, sign: () => String(level), words: level === 0 ? low : level === most ? high : () => t(`level.${level}`) })),
    note: w("p", { class: "hint", "aria-hidden": "true" }, () => t("questions.levels", { most, low: low(), high: high() })),
  });
}

function matrix(question, value = {}, change) {
  const key = h("ol", { class: "hint matrix-key", "aria-hidden": "true" }, question.options.map((option) => w("li", {}, () => theirs(option.title))));
  return lines(question, value, change, {
    rows: question.rows.map((row) => ({ id: row.id, words: () => theirs(row.title) })),
    columns: question.options.map((option, place) => ({ value: option.id, sign: () => String(place + 1), words: () => theirs(option.title) })),
    note: key,
  });
}

const KINDS = { single, multiple, scale5: scale, scale7: scale, liking: scale, number: numeric, short: text, long: text, emotions, matrix };
