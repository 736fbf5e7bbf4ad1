// A study from its first page to its last: which page comes when. What is on them stands in the files beside this one.

import { h } from "/static/mien/element.js";
import { Camera } from "./camera.js";
import { LINES, baseline, cameraCheck } from "./check.js";
import { Client } from "./client.js";
import { codeCard, codeForm, draft, forget, here, keepDraft, keepNothing, remember, remembered, save } from "./code.js";
import { curves } from "./curve.js";
import { EventView, FilmView } from "./film.js";
import { Kiosk, kioskSeconds } from "./kiosk.js";
import { cameWith, wayBack } from "./recruited.js";
import { Preview } from "./preview.js";
import { asked, pages, questionForm } from "./questions.js";
import { GoneLine, actions, ask, button, progress, retitle, show, told, w, waiting, wrong } from "./screen.js";
import { chooseLanguage, clock, number, offer, onLanguage, put, quantity, t, theirs, tongue } from "./texts.js";
import { NoCamera, NoSocket } from "./without-camera.js";

const MINUTES_BESIDE_FILMS = 4;
const SAVE_MS = 1500;

const root = document.getElementById("main");
const invitation = root.dataset.invitation;
const gone = new GoneLine();
const client = root.dataset.preview
  ? new Preview(root.dataset.preview)
  : new Client(invitation, (so) => gone.set(so, () => client.hurry()));
let camera = client.camera ?? new Camera();
let connect = client.connect;

let study = null; // what the server tells of it
let me = null; // what the server tells of this person
let checked = false; // the camera was checked since this page was opened
let view = null; // the film, or the event, that runs
let addresses = null; // of the films
let blind = false; // taken part in without a camera
let noThanks = null; // the way back of who does not begin

const quiet_s = root.dataset.preview ? null : kioskSeconds(location.search);
const kiosk = quiet_s === null ? null : new Kiosk(quiet_s, {
  busy: () => Boolean(view?.state.playing),
  leave: async () => client.code && !["done", "left", "screened"].includes(me?.step) && (await client.leave()),
});
if (kiosk) keepNothing();

onLanguage(() => {
  retitle();
  if (client.code) remember(invitation, client.code, tongue());
});

// For the console and for tests: what runs now.
window.mienTakePart = {
  get state() {
    return { step: me?.step ?? null, code: client.code, ...(view?.state ?? {}) };
  },
  get film() {
    return view?.film ?? null;
  },
};

// --- beginning --------------------------------------------------------------------------------------------------------------------

const CLOSED = {
  full: () => t("state.full_title"), ended: () => t("state.ended_title"), closed: () => t("state.closed_title"), used: () => t("state.used_title"),
};

async function begin() {
  show({ title: () => t("page.title") }, waiting(() => t("page.loading")));
  if (root.dataset.preview) document.body.classList.add("preview");
  const known = remembered(invitation);
  let invited;
  try {
    invited = await client.invitation();
  } catch (error) {
    if (error.status === 404) return known ? byCode(known.code).catch(() => nowhere()) : nowhere();
    return failed(error);
  }
  study = invited.study;
  noThanks = invited.declined ?? null;
  offer(study.languages);
  if (known) {
    if (known.language && study.languages.includes(known.language)) chooseLanguage(known.language);
    if (here(invitation, known.code)) {
      try {
        return await byCode(known.code);
      } catch (error) {
        if (error.status !== 401) return failed(error);
        forget(invitation); // withdrawn, or erased
      }
    } else return back(known, invited.state);
  }
  if (invited.state !== "open") {
    if (anew()) client.opening("not_open");
    return notOpen(invited.state);
  }
  return kiosk ? kiosk.welcome(study, newcomer) : newcomer();
}

/** Whether the page was opened, not loaded again nor gone back to: told by the browser, since nothing is kept of who has not agreed. */
const anew = () => (performance.getEntriesByType("navigation")[0]?.type ?? "navigate") === "navigate";

/** Somebody who was not here before. */
function newcomer() {
  if (anew()) client.opening("opened");
  return first();
}

function nowhere() {
  show({ title: () => t("state.unknown_title") }, w("p", { class: "lead" }, () => t("state.unknown_text")));
}

function failed(error) {
  show({ title: () => t("page.failed_title") }, wrong(error), actions(button(() => t("page.again"), () => location.reload())));
}

function notOpen(state) {
  show(
    { title: CLOSED[state] }, w("p", { class: "lead" }, () => t("state.closed_text")), declinedBack(), w("p", { class: "soft" }, () => t("state.have_code")),
    actions(button(() => t("about.return"), () => returning(() => notOpen(state)), "")),
  );
}

/** Goes on with a code. Throws ApiError 401 for one that is not known. */
async function byCode(code) {
  client.code = code;
  try {
    me = await client.me();
  } catch (error) {
    client.code = null;
    throw error;
  }
  study = me.study;
  offer(study.languages);
  if (!remembered(invitation) && study.languages.includes(me.language)) chooseLanguage(me.language);
  remember(invitation, code, tongue());
  return resume();
}

function back(known, state) {
  show(
    { title: () => t("back.title"), label: () => theirs(study.title) },
    w("p", { class: "lead" }, () => t("back.text", { code: known.code })),
    actions(
      button(() => t("back.on"), async () => {
        try {
          await byCode(known.code);
        } catch (error) {
          if (error.status !== 401) return failed(error);
          forget(invitation);
          begin();
        }
      }),
      button(() => t("back.other"), () => {
        forget(invitation);
        if (state === "open") {
          client.opening("opened");
          first();
        } else notOpen(state);
      }, ""),
    ),
  );
}

function returning(before) {
  show(
    { title: () => t("return.title") },
    codeForm(() => t("page.next"), async (code) => {
      client.code = code;
      const found = await client.me().catch((error) => {
        client.code = null;
        throw error;
      });
      if (found.invitation !== invitation && found.study.title !== study.title) {
        client.code = null;
        throw new Error(t("return.other_study"));
      }
      remember(invitation, code, tongue());
      await byCode(code);
    }),
    button(() => t("page.back"), before, "plain"),
  );
}

// --- before the consent -----------------------------------------------------------------------------------------------------------

const NAMES = Object.fromEntries([...document.getElementById("language").options].map((option) => [option.value, option.textContent]));

/** The language first, where there is a choice. */
function first() {
  if (study.languages.length < 2) return about();
  progress(0, 0);
  const choices = study.languages.map((code) => h("button", { type: "button", class: "language-choice", lang: code, "aria-pressed": String(code === tongue()), onclick: () => {
    chooseLanguage(code);
    about();
  } }, NAMES[code]));
  return show({ title: () => t("language.title"), label: () => theirs(study.title) }, h("div", { class: "language-choices" }, choices));
}

const steps = () => ["about", "consent", "code", study.before.length && "before", "camera", ...study.stimuli.map((_, k) => `film:${k}`), study.after.length && "after"].filter(Boolean);
const at = (step) => progress(steps().indexOf(step) + 1, steps().length);

/** {whole, films} in minutes, the films' rounded as in the consent text; null where nobody knows how long one lasts. */
function minutes() {
  const films = study.stimuli.map(({ duration_s }) => duration_s);
  if (films.includes(null)) return null;
  const questions = study.before.length + study.after.length, seconds = films.reduce((sum, one) => sum + one, 0);
  return { whole: Math.ceil(seconds / 60 + MINUTES_BESIDE_FILMS + questions / 4), films: Math.max(1, Math.round(seconds / 60)) };
}

/** How often a picture is sent, as the consent text says it: "About 2 times a second". */
function often() {
  const { every_s } = study, rate = (value) => number(Math.round(value * 10) / 10);
  const words = every_s === 1 ? t("rate.once") : every_s < 1 ? t("rate.times", { n: rate(1 / every_s) }) : t("rate.every", { n: rate(every_s) });
  return words[0].toLocaleUpperCase() + words.slice(1);
}

function about() {
  at("about");
  const films = study.stimuli.filter(({ kind }) => kind === "film"), long = minutes();
  const what = films.length === 0 ? () => t("about.what_event") : films.length === 1 ? () => t("about.what_film") : () => t("about.what_films", { n: films.length });
  const time = () => (long === null ? t("about.time_open") : t("about.time_text", { time: quantity(long.whole, "minute"), films: quantity(long.films, "minute") }));
  const part = (title, ...texts) => h("section", {}, w("h2", {}, title), ...texts.map((text) => w("p", {}, text)));
  const fact = (title, text) => h("div", {}, w("dt", {}, title), w("dd", {}, text));
  show(
    { title: () => theirs(study.title), label: () => t("about.eyebrow") },
    w("p", { class: "lead own-text" }, () => theirs(study.about)),
    h("dl", { class: "take-part-facts" }, fact(() => t("about.time"), time), fact(() => t("about.who"), () => study.contact), fact(() => t("about.need"), () => t("about.need_text"))),
    h(
      "div", { class: "explained" },
      part(() => t("about.what"), what, ...(study.before.length + study.after.length ? [() => t("about.what_questions")] : [])),
      part(() => t("about.measured"), () => t("about.measured_text", { Often: often() })),
      part(() => t("about.kept"), study.keep === "pictures" ? () => t("about.kept_pictures") : () => t("about.kept_scores"), () => (study.retention_days === 1 ? t("about.kept_day") : t("about.kept_days", { n: study.retention_days }))),
      part(() => t("about.ai"), () => t("about.ai_text")),
      part(() => t("about.free"), () => t("about.free_text")),
    ),
    actions(button(() => t("page.next"), () => consent()), button(() => t("about.no"), declined, "plain")),
    kiosk ? null : button(() => t("about.return"), () => returning(about), "link small"),
  );
}

/** Back to where somebody came from who does not begin. */
const declinedBack = () => wayBack(noThanks, cameWith(study?.identifiers, invitation));

let saidNo = false;

function declined() {
  if (!saidNo) client.opening("declined");
  saidNo = true;
  progress(0, 0);
  show({ title: () => t("declined.title") }, w("p", { class: "lead" }, () => t("declined.text")), declinedBack(), actions(button(() => t("declined.back"), about, "")), kiosk && kiosk.ending());
}

function consent(changed = false) {
  at("consent");
  const agree = h("input", { type: "checkbox", id: "agree", "aria-describedby": "agree-problem" });
  const pictures = study.keep === "pictures" ? h("input", { type: "checkbox", id: "pictures", "aria-describedby": "pictures-hint" }) : null;
  const problem = h("p", { class: "problem", id: "agree-problem", role: "alert" });
  const go = w("button", { class: "primary" }, () => t("consent.go"));
  agree.addEventListener("change", () => {
    if (!agree.checked) return;
    agree.removeAttribute("aria-invalid");
    put(problem, () => "");
  });
  show(
    { title: () => t("consent.title"), label: () => theirs(study.title) },
    changed ? told("warn", () => t("consent.changed")) : null,
    w("p", { class: "soft" }, () => t("consent.read_first", { contact: study.contact })),
    h("div", { class: "card" }, w("p", { class: "own-text" }, () => theirs(study.consent.text))),
    w("p", { class: "hint" }, () => t("consent.version", { version: study.consent.version })),
    h(
      "form",
      {
        class: "stack", novalidate: true,
        onsubmit: async (event) => {
          event.preventDefault();
          if (!agree.checked) {
            agree.setAttribute("aria-invalid", "true");
            put(problem, () => t("consent.agree_missing"));
            agree.focus();
            return;
          }
          go.disabled = true;
          try {
            const code = await client.consent({ language: tongue(), version: study.consent.version, pictures: Boolean(pictures?.checked), identifiers: cameWith(study.identifiers, invitation) });
            if (saidNo) client.opening("reconsidered");
            remember(invitation, code, tongue());
            me = await client.me();
            yourCode();
          } catch (error) {
            if (error.code === "consent_changed") {
              study = (await client.invitation()).study;
              consent(true);
            } else if (error.code?.startsWith("invitation_") && CLOSED[error.code.slice(11)]) notOpen(error.code.slice(11));
            else {
              go.disabled = false;
              put(problem, () => `${t("page.failed_title")}: ${error.message}`);
            }
          }
        },
      },
      h("label", { class: "check big" }, agree, w("span", {}, () => t("consent.agree"))),
      problem,
      pictures && h("div", { class: "stack tight" }, h("label", { class: "check big" }, pictures, w("span", {}, () => t("consent.pictures"))), w("p", { class: "hint", id: "pictures-hint" }, () => t("consent.pictures_hint"))),
      actions(go, button(() => t("consent.no"), declined, "plain")),
    ),
  );
}

// --- with a code ------------------------------------------------------------------------------------------------------------------

const withdrawLink = () => (kiosk ? h("span", { class: "break" }, `${location.origin}/withdraw`) : h("a", { href: "/withdraw", target: "_blank", class: "break" }, `${location.origin}/withdraw`));

function yourCode() {
  at("code");
  show(
    { title: () => t("code.title") },
    w("p", { class: "lead" }, () => t("code.text")),
    codeCard(client.code),
    h("ul", { class: "plain-list" }, kiosk ? null : w("li", {}, () => t("code.return")), h("li", {}, w("span", {}, () => t("code.withdraw")), " ", withdrawLink())),
    actions(button(() => t("code.next"), () => step(study.before.length ? "before" : "camera"))),
  );
}

/** Tells the server of the next step and shows it. */
async function step(next) {
  show({ title: () => t("page.loading") }, waiting(() => t("page.loading")));
  try {
    const { step: now } = await client.step(next);
    me.step = now;
    if (["done", "screened"].includes(now)) me = await client.me(); // which now has the way back
  } catch (error) {
    if (error.code === "answers_missing") me.step = error.detail?.some(({ question }) => study.before.some(({ id }) => id === question)) ? "before" : "after";
    else return over(error);
  }
  return resume();
}

/** Shows the page of the step at which somebody is. */
function resume() {
  const now = me.step;
  if (now === "agreed") return yourCode();
  if (now === "before") return study.before.length ? questions("before", "camera") : step("camera");
  if (now === "camera") return cameraStep();
  if (now.startsWith("film:")) return filmStep(Number(now.slice(5)));
  if (now === "after") return study.after.length ? questions("after", "done") : step("done");
  if (now === "left") return left();
  if (now === "screened") return screened();
  return done();
}

/** What the server does not let go on. */
function over(error) {
  if (error.status === 401) {
    forget(invitation, client.code);
    client.code = me = null;
    return begin();
  }
  if (["study_over", "over"].includes(error.code)) return studyOver();
  return failed(error);
}

function studyOver() {
  camera.close();
  progress(0, 0);
  show({ title: () => t("state.over_title") }, w("p", { class: "lead" }, () => t("state.over_text")), codeCard(client.code), h("p", {}, withdrawLink()), kiosk && kiosk.ending());
}

/** The questions of a part, page by page. A page of which nothing is asked of this person is passed over. */
function questions(part, next, from = 0) {
  at(part);
  const code = client.code, all = pages(study[part]), others = part === "after" ? study.before : [];
  const answers = { ...(me.answers?.[part] ?? {}), ...(draft(code, part) ?? {}) };
  const known = () => ({ ...(part === "after" ? me.answers?.before : {}), ...answers });
  const some = (page) => asked([...others, ...study[part]], known()).some((question) => all[page].includes(question));
  const to = (page, way) => {
    while (page in all && !some(page)) page += way;
    return page in all ? page : null;
  };
  const page = to(from, 1);
  if (page === null) return step(next);
  const shown = all[page], before = to(page - 1, -1);
  let timer, unsent = {};
  const save = () => {
    const some = unsent;
    unsent = {};
    // In the background, so that another device has them, too. What cannot be kept yet is said where the person presses the button.
    if (Object.keys(some).length) client.answers(part, some).catch(() => {});
  };
  return show(
    { title: part === "before" ? () => t("questions.before") : () => t("questions.after"), label: () => theirs(study.title), end: () => clearTimeout(timer) },
    questionForm({
      questions: shown, others: [...others, ...all.slice(0, page).flat()], answers: known(), go: () => t("page.next"),
      more: before === null ? [] : [button(() => t("page.back"), () => questions(part, next, before), "plain")],
      changed: (given, id, fit) => {
        answers[id] = given[id];
        if (given[id] === undefined) delete answers[id];
        keepDraft(code, part, answers);
        if (fit) unsent[id] = given[id] ?? null;
        else delete unsent[id];
        clearTimeout(timer);
        timer = setTimeout(save, SAVE_MS);
      },
      send: async (given) => {
        clearTimeout(timer);
        const kept = await client.answers(part, given, true);
        me.answers = { ...me.answers, [part]: kept.answers };
        if (kept.step === "screened") {
          me = await client.me();
          keepDraft(code, part, null);
          return resume();
        }
        if (to(page + 1, 1) !== null) return questions(part, next, page + 1);
        keepDraft(code, part, null);
        return step(next);
      },
    }),
  );
}

const refused = (reason) => {
  if (reason === "taken-over") return takenOver();
  if (reason === "unknown") return over({ status: 401 });
  if (reason === "over") return studyOver();
  return failed(new Error(reason));
};

function takenOver() {
  camera.close();
  show({ title: () => t("line.taken_over_title") }, w("p", { class: "lead" }, () => t("line.taken_over_text")), actions(button(() => t("line.here"), async () => {
    me = await client.me();
    checked = false;
    resume();
  })));
}

const tell = (state) => client.cameraIs(state);

async function cameraStep() {
  at("camera");
  const about = { camera, code: client.code, contact: study.contact, refused, tell };
  prefetch();
  if (client.preview) return client.cameraPage(() => step("film:0"));
  if (await cameraCheck({ ...about, again: false, without: Boolean(kiosk) }) === "without") {
    camera.close();
    [camera, connect, blind] = [new NoCamera(), () => new NoSocket(), true];
    return step("film:0");
  }
  checked = true;
  if (study.baseline_s > 0) {
    await baseline({ ...about, baseline_s: study.baseline_s, cameraGone: () => {
      checked = false;
      cameraStep();
    } });
  }
  await step("film:0");
}

async function prefetch() {
  addresses ??= await client.films().catch(() => null);
}

async function filmStep(k) {
  at(`film:${k}`);
  const id = me.order[k], stimulus = study.stimuli.find((other) => other.id === id);
  if (!client.preview && !blind && (!checked || !camera.on)) {
    await cameraCheck({ camera, code: client.code, contact: study.contact, refused, tell, again: true });
    checked = true;
  }
  if (stimulus.kind === "event") return eventIntro(stimulus, k);
  const position_s = me.positions?.[id] ?? 0;
  let spent = false; // an address that was used once and failed is asked for anew
  view = new FilmView({
    camera, client, code: client.code, stimulus, every_s: study.every_s, position_s, contact: study.contact, connect,
    address: async () => {
      if (spent || !addresses?.[id]) addresses = await client.films();
      spent = true;
      return addresses[id];
    },
    ended: (outcome, socket) => ended(outcome, socket, k),
  });
  try {
    await view.ready;
  } catch (error) {
    return over(error);
  }
  return show(
    { title: () => stimulus.title, label: me.order.length > 1 ? () => t("film.count", { k: k + 1, n: me.order.length }) : () => theirs(study.title) },
    w("p", { class: "lead" }, () => t("film.intro")),
    w("p", { class: "soft" }, () => t("film.intro_pause")),
    position_s > 1 ? told("", () => t("film.on_from", { time: clock(position_s) })) : null,
    actions(button(position_s > 1 ? () => t("film.on") : () => t("film.start"), () => view.begin())),
  );
}

async function eventIntro(stimulus, k) {
  const began = draft(client.code, stimulus.id);
  if (began) return eventRuns(stimulus, k, began.began_s);
  show(
    { title: () => stimulus.title, label: me.order.length > 1 ? () => t("film.count", { k: k + 1, n: me.order.length }) : () => theirs(study.title) },
    w("p", { class: "lead" }, () => t("event.intro")),
    actions(button(() => t("event.start"), () => {
      const began_s = (performance.timeOrigin + performance.now()) / 1000;
      keepDraft(client.code, stimulus.id, { began_s });
      eventRuns(stimulus, k, began_s);
    })),
  );
}

function eventRuns(stimulus, k, began_s) {
  const time = h("p", { class: "event-clock", role: "timer", "aria-live": "off" }, "0:00");
  const line = h("p", { class: "hint", role: "status" }), place = h("div", { class: "stack" }), mirror = h("div", { class: "mirror small-mirror" });
  const stop = button(() => t("event.stop"), async () => {
    if (await ask({ title: () => t("event.stop_title"), text: () => t("event.stop_text"), yes: () => t("event.stop"), no: () => t("leave.stay") })) view.finish("end");
  });
  const leave = button(() => t("film.leave"), async () => {
    if (await ask({ title: () => t("leave.title"), text: () => t("leave.text"), yes: () => t("film.leave"), no: () => t("leave.stay"), danger: true })) view.finish("leave");
  }, "plain");
  view = new EventView({
    camera, client, code: client.code, stimulus, every_s: study.every_s, began_s, connect,
    tick: (words, link) => {
      time.textContent = words;
      put(line, LINES[link] ?? (() => ""));
    },
    hidden: () => place.replaceChildren(told("warn", () => t("event.hidden"))),
    lost: () => {
      const again = button(() => t("camera.start"), async () => {
        await camera.open().then(() => {
          place.replaceChildren();
          view.again();
        }).catch(() => {});
      }, "small");
      place.replaceChildren(told("bad", () => t("camera.lost_title"), () => t("camera.lost_text"), again));
    },
    ended: (outcome, socket) => {
      if (outcome === "end") keepDraft(client.code, stimulus.id, null);
      ended(outcome, socket, k);
    },
  });
  show(
    { title: () => stimulus.title, label: () => t("event.running") },
    h("div", { class: "event-runs" }, mirror, time), place, line, actions(stop, leave),
  );
  camera.place(mirror);
  view.begin();
}

/** A film is over: what is unanswered is sent first, however long that takes. */
async function ended(outcome, socket, k) {
  if (outcome.startsWith("refused:")) {
    socket.close();
    return refused(outcome.slice(8));
  }
  if (socket.unanswered) {
    const text = h("p", { class: "lead" });
    const say = () => put(text, () => t("film.sending_text", { n: socket.unanswered }));
    say();
    const line = h("p", { class: "hint", role: "status" });
    socket.addEventListener("change", () => {
      say();
      put(line, LINES[socket.link] ?? (() => ""));
    });
    show({ title: () => t("film.sending_title") }, text, waiting(() => t("page.loading")), line);
    await socket.settled();
  }
  if (socket.link === "refused") return refused(socket.refusal);
  socket.close();
  if (outcome === "leave") {
    await client.leave().catch(() => {});
    me = await client.me().catch(() => me);
    return left();
  }
  if (k + 1 < me.order.length) return between(k);
  camera.close();
  return step("after");
}

function between(k) {
  const values = { k: k + 1, n: me.order.length };
  // Whoever closes the page now comes back to the next film.
  const going = client.step(`film:${k + 1}`).then(({ step: now }) => (me.step = now));
  show({ title: () => t("between.title", values) }, w("p", { class: "lead" }, () => t("between.text")), actions(button(() => t("between.next"), async () => {
    try {
      await going;
    } catch (error) {
      return over(error);
    }
    return resume();
  })));
}

// --- the end ----------------------------------------------------------------------------------------------------------------------

/** Who is not among those looked for, or of whose group enough are there. */
function screened() {
  camera.close();
  progress(0, 0);
  show(
    { title: () => t("screened.title"), label: () => theirs(study.title) }, w("p", { class: "lead" }, () => t("screened.text")), wayBack(me.ending),
    kiosk && kiosk.ending(),
  );
}

function left() {
  camera.close();
  progress(0, 0);
  show(
    { title: () => t("left.title") }, w("p", { class: "lead" }, () => t("left.text")), wayBack(me.ending), codeCard(client.code),
    kiosk ? h("p", {}, withdrawLink()) : h("p", {}, put(h("a", { href: "/withdraw" }), () => t("left.erase"))),
    kiosk && kiosk.ending(),
  );
}

function done() {
  camera.close();
  progress(0, 0);
  const place = h("section", { class: "stack" }, w("h2", {}, () => t("done.curve")), w("p", { class: "soft" }, () => t("done.curve_text")));
  const wheel = waiting(() => t("page.loading"));
  place.append(wheel);
  const forgotten = h("p", { class: "hint", role: "status" });
  const forgetting = button(() => t("done.forget"), () => {
    forget(invitation, client.code);
    put(forgotten, () => t("done.forgotten"));
    forgetting.remove();
  }, "small");
  show(
    { title: () => t("done.title"), label: () => theirs(study.title) },
    w("p", { class: "lead" }, () => t("done.text")),
    wayBack(me.ending),
    place,
    h(
      "section", { class: "stack" },
      w("p", {}, () => t("done.keep_code")), codeCard(client.code), h("p", {}, withdrawLink()),
      ...(kiosk ? [] : [
        h("div", { class: "row" }, button(() => t("done.export"), async () => save(await client.export()), "small"), forgetting),
        w("p", { class: "hint" }, () => t("done.forget_hint")), forgotten,
      ]),
    ),
    kiosk && kiosk.ending(),
  );
  client.curve().then(
    (found) => wheel.replaceWith(curves(found) ?? w("p", { class: "soft" }, () => t("done.no_curve"))),
    (error) => wheel.replaceWith(wrong(error)),
  );
}

begin();
