// The tab of films: given, converted by the server, named, looked at, put in order.

import { api, upload } from "../shared/api.js";
import { confirm } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { dropped } from "../shared/files.js";
import { duration, size } from "/static/mien/format.js";
import { bar, setBar } from "../shared/progress.js";
import { handle, keepFocus, movers, orderable, reordered } from "./order.js";

const LOOK_MS = 1500;

const WORDS = { converting: ["Being made ready", "busy"], failed: ["Cannot be used", "bad"], absent: ["Its file is missing", "warn"] };

/**
 * The panel. `study` is a draft; `path` the study's address in the API; `answered(study)` is told what the server says after a film came
 * or went; `announce(text)` is read out.
 */
export function filmsPanel(study, { path, films, answered, announce, changed }) {
  const element = h("div", { class: "stack loose" });
  const list = h("ol", { class: "films" });
  const sending = h("ul", { class: "films sending" });
  const watched = new Set(); // ids of films that are shown
  let under_way = 0;

  // --- giving films

  const input = h("input", { type: "file", accept: "video/*,.mkv,.avi,.mov,.m4v", multiple: true, hidden: true, "aria-label": "Films", onchange: () => { give([...input.files], wanted); input.value = ""; } });
  let wanted = null; // the film whose file is being chosen; null: a new one
  const choose = h("button", { type: "button", class: "primary", onclick: () => pick(null) }, "Choose a film");
  const event = h("button", { type: "button", onclick: () => addEvent() }, "Add a live event");
  const drop = h("div", { class: "drop" }, h("p", {}, h("strong", {}, "Drop the film that people will watch")), h("div", { class: "row" }, choose, event),
    h("p", { class: "soft small" }, "Any format: mien makes of it what every browser plays. A live event is a concert, a game or a screen elsewhere; nothing is shown then."), input);
  for (const name of ["dragenter", "dragover"])
    drop.addEventListener(name, (moved) => { moved.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (moved) => drop.contains(moved.relatedTarget) || drop.classList.remove("over"));
  drop.addEventListener("drop", async (moved) => {
    moved.preventDefault();
    drop.classList.remove("over");
    give((await dropped(moved.dataTransfer)).files);
  });

  function pick(film) {
    wanted = film;
    input.multiple = !film;
    input.click();
  }

  async function give(files, film = null) {
    for (const file of files) await send(file, film);
  }

  function send(file, film = null) {
    const progress = bar(`Sending ${file.name}`), words = h("p", { class: "soft small tabular" }, "Sending"), problem = h("p", { class: "problem break", role: "alert", hidden: true });
    const stop = h("button", { type: "button", class: "small", "aria-label": `Stop: ${file.name}` }, "Stop");
    const row = h("li", { class: "film card" }, h("div", { class: "film-main" }, h("strong", { class: "break" }, file.name), progress, words, problem), h("div", { class: "row acts" }, stop));
    sending.append(row);
    const form = new FormData();
    if (film) form.append("stimulus", film.id);
    else form.append("title", file.name.replace(/\.[^.]+$/, ""));
    form.append("file", file, file.name);
    const request = upload(`${path}/films`, form, (sent, total) => {
      const share = total ? sent / total : null;
      const told = share === 1 ? "Sent; the server is taking it in" : `${size(sent)} of ${size(file.size)}`;
      setBar(progress, share, told);
      say(words, told);
    });
    under_way += 1;
    stop.onclick = () => request.stop();
    return request.done.then(
      async () => {
        row.remove();
        await look();
        announce(`${file.name} is there.`);
      },
      (error) => {
        if (error.code === "stopped") return row.remove();
        progress.hidden = words.hidden = true;
        say(problem, error.message);
        problem.hidden = false;
        const again = h("button", { type: "button", class: "small", "aria-label": `Try again: ${file.name}`, onclick: () => { row.remove(); send(file, film); } }, "Try again");
        const leave = h("button", { type: "button", class: "small plain", "aria-label": `Remove: ${file.name}`, onclick: () => row.remove() }, "Remove");
        stop.parentElement.replaceChildren(again, leave);
        return undefined;
      },
    ).finally(() => (under_way -= 1));
  }
  addEventListener("beforeunload", (leaving) => under_way && leaving.preventDefault());

  function addEvent() {
    const taken = new Set(study.now.stimuli.map((film) => film.id));
    let number = 1;
    while (taken.has(`s${number}`)) number += 1;
    study.set("stimuli", [...study.now.stimuli, { id: `s${number}`, title: "Live event", kind: "event", duration_s: null, file: null, sha256: null }]);
    changed();
    draw();
    list.querySelector(`[data-film="s${number}"] input`)?.select();
  }

  // --- what the server says of them

  let timer = null;
  async function look() {
    clearTimeout(timer);
    try {
      await study.flush();
      answered(await study.refresh());
    } catch {
      // it is asked again below, or said by what saves
    }
    draw();
  }
  function follow() {
    clearTimeout(timer);
    if (films().some((film) => film.state === "converting")) timer = setTimeout(look, LOOK_MS);
  }

  // --- a film

  function card(film, place, count) {
    const known = films().find((one) => one.id === film.id) ?? {};
    const state = film.kind === "event" ? "ready" : (known.state ?? "absent");
    const title = h("input", {
      type: "text", value: film.title, maxlength: 200, autocomplete: "off",
      oninput: () => {
        study.set("stimuli", study.now.stimuli.map((one) => (one.id === film.id ? { ...one, title: title.value } : one)));
        changed();
      },
    });
    const facts = [film.kind === "event" ? "live event" : null, film.duration_s ? duration(film.duration_s) : null, known.size_bytes ? size(known.size_bytes) : null].filter(Boolean);
    const moved = (from, to) => {
      study.set("stimuli", reordered(study.now.stimuli, from, to));
      changed();
      draw();
      announce(`${film.title}: place ${to + 1} of ${count}.`);
      keepFocus(list, to, to < from ? "up" : "down");
    };
    const seen = watched.has(film.id);
    const watch = h("button", {
      type: "button", class: "small", "aria-expanded": String(seen), "aria-label": `${seen ? "Close" : "Watch"}: ${film.title}`,
      onclick: () => {
        if (seen) watched.delete(film.id);
        else watched.add(film.id);
        draw();
        list.querySelector(`[data-film="${film.id}"] [aria-expanded]`).focus();
      },
    }, seen ? "Close" : "Watch");
    const minutes = h("input", {
      type: "number", min: 1, max: 600, step: 1, inputmode: "numeric", value: film.duration_s ? Math.round(film.duration_s / 60) : "",
      oninput: () => {
        if (minutes.validity.badInput) return;
        const duration_s = minutes.value === "" ? null : Number(minutes.value) * 60;
        study.set("stimuli", study.now.stimuli.map((one) => (one.id === film.id ? { ...one, duration_s } : one)));
        changed();
      },
    });
    const [word, kind] = WORDS[state] ?? [];
    const share = known.share ?? null;
    return h(
      "li",
      { class: "film card", "data-place": String(place), "data-film": film.id },
      handle(),
      h("span", { class: "question-number soft tabular", "aria-hidden": "true" }, `${place + 1}`),
      h(
        "div",
        { class: "film-main" },
        h("div", { class: "fields" },
          h("label", { class: "field" }, film.kind === "event" ? "Name of the event" : "Title", title),
          film.kind === "event" && h("label", { class: "field minutes" }, "Length in minutes, if it is known", minutes)),
        h("p", { class: "row small soft tabular" }, ...(word ? [h("span", { class: `state ${kind}` }, word)] : []), facts.join(" · ")),
        state === "converting" && (() => { const made = bar(`Making ${film.title} ready`); setBar(made, share, "being made ready"); return made; })(),
        state === "failed" && h("p", { class: "problem break" }, known.error ?? "It cannot be read. Give another file."),
        state === "absent" && h("p", { class: "hint" }, film.file ? `It was “${film.file}” where this study was made. Give the file once more.` : "Give the file."),
        seen && h("video", { controls: true, preload: "metadata", src: `${path}/films/${encodeURIComponent(film.id)}`, class: "film-seen" }),
      ),
      h(
        "div",
        { class: "row acts" },
        ...movers(film.title, place, count, moved),
        state === "ready" && film.kind === "film" && watch,
        (state === "failed" || state === "absent") && h("button", { type: "button", class: "small", "aria-label": `Give a file for: ${film.title}`, onclick: () => pick(film) }, "Give a file"),
        h("button", { type: "button", class: "small plain danger", "aria-label": `Remove: ${film.title}`, onclick: () => remove(film) }, "Remove"),
      ),
    );
  }

  async function remove(film) {
    const text = film.kind === "event" ? `${film.title} is taken out of the study.` : `${film.title} is taken out of the study and erased here. Your own file is not touched.`;
    if (!(await confirm({ title: "Remove this film?", text, action: "Remove" }))) return;
    try {
      await study.flush();
      if (film.kind === "film") await api("DELETE", `${path}/films/${encodeURIComponent(film.id)}`);
      else {
        study.set("stimuli", study.now.stimuli.filter((one) => one.id !== film.id));
        await study.flush();
      }
      await look();
      announce(`${film.title} is removed.`);
      choose.focus();
    } catch (error) {
      say(problem, error.message);
      problem.hidden = false;
    }
  }

  // --- all of it

  const problem = h("p", { class: "problem break", role: "alert", hidden: true });
  orderable(list, (from, to) => {
    study.set("stimuli", reordered(study.now.stimuli, from, to));
    changed();
    draw();
  });

  function order() {
    const pick = (value, name, hint) =>
      h("label", { class: "check" }, h("input", { type: "radio", name: "order", value, checked: study.now.order === value, onchange: () => { study.set("order", value); changed(); } }), h("span", {}, name, h("span", { class: "hint" }, h("br"), hint)));
    return h("fieldset", { class: "card stack tight" }, h("legend", { class: "hidden-text" }, "Order"), h("h2", { "aria-hidden": "true" }, "Order"),
      pick("fixed", "As in this list", "Everybody sees them in the same order."),
      pick("random", "Another for each person", "Drawn by chance, so that what comes first does not colour the rest."));
  }

  /** Two films that are versions of one. Nothing is written before both are chosen. */
  function cuts() {
    const able = study.now.stimuli.filter((film) => film.kind === "film"), { cuts: chosen, cuts_shown } = study.now;
    if (able.length < 2 && !chosen.length) return null;
    const put = (field, value) => { study.set(field, value); changed(); };
    const pick = (label, id) => {
      const select = h("select", {}, h("option", { value: "" }, "No film"), ...able.map((film) => h("option", { value: film.id }, film.title || film.id)));
      select.value = id ?? "";
      return [select, h("label", { class: "field" }, label, select)];
    };
    const [first, firstField] = pick("First version", chosen[0]), [second, secondField] = pick("Second version", chosen[1]);
    const hint = h("p", { class: "hint", role: "status" });
    const taken = () => {
      const both = [first.value, second.value], ready = both.every(Boolean) && both[0] !== both[1];
      say(hint, both[0] && both[0] === both[1] ? "Choose two different films." : both.some(Boolean) && !ready ? "Choose the other version, too." : "");
      if (!ready && both.some(Boolean)) return;
      put("cuts", ready ? both : []);
      ways.hidden = !ready;
    };
    for (const select of [first, second]) select.addEventListener("change", taken);
    const way = (value, name, words) =>
      h("label", { class: "check" }, h("input", { type: "radio", name: "cuts_shown", value, checked: cuts_shown === value, onchange: () => put("cuts_shown", value) }), h("span", {}, name, h("span", { class: "hint" }, h("br"), words)));
    const ways = h("div", { class: "stack tight", hidden: !chosen.length },
      way("both", "Everybody watches both", "Half of them the one first, the other half the other: dealt by chance, in equal numbers."),
      way("one", "Each person watches one", "Dealt by chance, in equal numbers. Nobody knows that there is another."));
    return h("fieldset", { class: "card stack tight" }, h("legend", { class: "hidden-text" }, "Two cuts"), h("h2", { "aria-hidden": "true" }, "Two cuts"),
      h("p", { class: "soft" }, "Two of these films are versions of one? Then the report sets them beside each other and says where the audience's faces differ."),
      h("div", { class: "fields" }, firstField, secondField), hint, ways);
  }

  function draw() {
    const stimuli = study.now.stimuli;
    problem.hidden = true;
    list.replaceChildren(...stimuli.map((film, place) => card(film, place, stimuli.length)));
    // What is being sent, and a field that has the focus, stay as they are: only the parts round them are put in again.
    element.replaceChildren(...[list, sending, problem, drop, stimuli.length > 1 && order(), cuts()].filter(Boolean));
    follow();
  }
  return { element, draw };
}
