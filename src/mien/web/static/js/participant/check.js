// The camera check (is a face found, near enough, in light enough, alone?) and the quiet seconds that the rest is compared with.

import { h } from "/static/mien/element.js";
import { problem } from "./camera.js";
import { actions, button, show, told, w } from "./screen.js";
import { WatchSocket } from "./socket.js";
import { name, put, quantity, t } from "./texts.js";

const LOOK_S = 0.3;
const NEAR_PX = 70; // the face's shorter side in a picture of 640 px; smaller ones are read less well
const STEADY_MS = 1200; // all must be well for so long
const ANYWAY_MS = 12_000; // after so long nobody is held up any more
const NO_PICTURE_MS = 4000;
const BASELINE_LOOK_S = 0.25;
const FACE_SHARE = 0.5; // of the looks in the quiet seconds that must show a face

const CHECKS = [
  ["face", (seen) => seen.faces > 0, () => t("camera.face_good"), () => t("camera.face_bad")],
  ["size", (seen) => (seen.faces ? seen.size_px >= NEAR_PX : null), () => t("camera.size_good"), () => t("camera.size_bad")],
  ["light", (seen) => !seen.dark, () => t("camera.light_good"), () => t("camera.light_bad")],
  ["one", (seen) => (seen.faces ? seen.faces === 1 : null), () => t("camera.one_good"), () => t("camera.one_bad")],
];

/** What is told of a socket that does not run. */
export const LINES = {
  opening: () => t("line.waiting"), waiting: () => t("line.gone"), full: () => t("line.full"), open: () => "", closed: () => "", refused: () => "",
};

/** What a page holds while the camera is looked at. */
class Looking {
  socket = null; timer = null; over = false;
  #camera; #lost;

  /** `lost` is called where the camera goes by itself. */
  constructor(camera, lost) {
    [this.#camera, this.#lost] = [camera, lost];
    camera.addEventListener("lost", lost);
  }

  /** Lets go of all of it. */
  end = () => {
    this.over = true;
    clearInterval(this.timer);
    this.#camera.rest();
    this.socket?.close();
    this.#camera.removeEventListener("lost", this.#lost);
  };
}

/**
 * Resolves when the camera shows one face well enough, or the person goes on all the same; to "without" where that is offered and chosen.
 * `refused(reason)`: the server ends it; `tell(state)`: how the camera is, "works" and "without" among it.
 */
export function cameraCheck({ camera, code, contact, again, refused, tell, without = false }) {
  return new Promise((resolve) => {
    let steady_ms = null, begun_ms = null, picture_ms = null;
    const looking = new Looking(camera, lost);
    const stage = h("div", { class: "mirror", "data-state": "off" });
    const outline = h("div", { class: "mirror-face", hidden: true });
    const place = h("div", { class: "stack", "aria-live": "polite" });
    const line = h("p", { class: "hint", role: "status" });
    const list = h("ul", { class: "checks", hidden: true });
    const rows = Object.fromEntries(CHECKS.map(([id]) => {
      const row = h("li", { "data-check": id, "data-state": "unknown" }, h("i", { "aria-hidden": "true" }), w("span", {}, () => t("camera.looking")));
      list.append(row);
      return [id, row];
    }));
    const select = h("select", { id: "camera-choice", onchange: () => start(select.value) });
    const choice = h("div", { class: "field", hidden: true }, w("label", { for: "camera-choice" }, () => t("camera.choose")), select);
    const begin = button(() => t("camera.start"), () => start());
    const next = button(() => t("page.next"), finish);
    const anyway = button(() => t("camera.anyway"), finish, "plain");
    const live = h("p", { class: "hidden-text", role: "status" });
    next.hidden = anyway.hidden = true;
    stage.append(outline);
    name(stage, "aria-label", () => t("camera.picture"));
    stage.setAttribute("role", "img");

    show(
      { title: () => t("camera.title"), end: looking.end },
      w("p", { class: "lead" }, () => (again ? t("camera.again_intro") : t("camera.intro"))),
      h("div", { class: "camera-check" }, stage, h("div", { class: "stack" }, place, list, choice, line, live)),
      actions(begin, next, anyway),
      without ? button(() => t("kiosk.no_camera"), () => finish("without"), "link") : null,
    );
    const hindered = camera.hindrance();
    if (hindered) {
      tell(hindered);
      place.replaceChildren(problem(hindered, contact));
      put(begin, () => t("page.again"));
    } else if (camera.on) start(camera.id);

    function fail(state) {
      tell(state);
      stage.dataset.state = "off";
      outline.hidden = list.hidden = next.hidden = anyway.hidden = true;
      begin.hidden = begin.disabled = false;
      put(begin, () => t("page.again"));
      put(line, () => "");
      camera.rest();
      place.replaceChildren(problem(state, contact));
      cameraList();
    }
    function lost() {
      fail("lost");
      begin.focus();
    }

    async function start(id) {
      begin.disabled = true;
      place.replaceChildren(told("", () => t("camera.asking")));
      try {
        await camera.open(id);
      } catch (error) {
        if (!looking.over) fail(error.state ?? "camera-failed");
        return;
      }
      if (looking.over) return;
      place.replaceChildren();
      camera.place(stage);
      stage.append(outline);
      stage.dataset.state = "on";
      begin.hidden = true;
      list.hidden = false;
      begun_ms = picture_ms = performance.now();
      steady_ms = null;
      cameraList();
      if (!looking.socket) {
        looking.socket = new WatchSocket(code, "check", LOOK_S);
        looking.socket.addEventListener("link", ({ detail }) => {
          put(line, LINES[detail.state]);
          if (detail.state === "refused") refused(detail.refusal);
        });
        looking.socket.addEventListener("seen", ({ detail }) => seen(detail));
        looking.socket.open();
      }
      const { socket } = looking;
      const began_s = performance.now() / 1000;
      camera.look(LOOK_S, () => (socket.room ? { film_s: performance.now() / 1000 - began_s } : null), (frame) => socket.give(frame));
      clearInterval(looking.timer);
      looking.timer = setInterval(look, 500);
    }

    async function cameraList() {
      const found = await camera.list();
      select.replaceChildren(...found.map(({ id, name: called }, k) => h("option", { value: id }, called || t("camera.number", { n: k + 1 }))));
      select.value = camera.id ?? "";
      choice.hidden = found.length < 2;
    }

    /** What only time tells: that no picture comes, that somebody is held up. */
    function look() {
      if (!camera.on) return;
      if (camera.video.videoWidth) picture_ms = performance.now();
      const dead = performance.now() - picture_ms > NO_PICTURE_MS;
      if (dead && !place.firstChild) place.replaceChildren(problem("no-picture", contact));
      else if (!dead) place.replaceChildren();
      if (next.hidden && performance.now() - begun_ms > ANYWAY_MS) anyway.hidden = false;
    }

    function seen(answer) {
      let well = true;
      for (const [id, judge, good, bad] of CHECKS) {
        const so = judge(answer), state = so === null ? "unknown" : so ? "good" : "bad";
        const row = rows[id];
        if (row.dataset.state !== state) {
          row.dataset.state = state;
          put(row.lastChild, so === null ? () => t("camera.looking") : so ? good : bad);
        }
        well &&= so === true;
      }
      const box = answer.box;
      outline.hidden = !box;
      if (box) {
        const [x1, y1, x2, y2] = box;
        Object.assign(outline.style, {
          left: `${(1 - x2 / answer.width) * 100}%`, top: `${(y1 / answer.height) * 100}%`,
          width: `${((x2 - x1) / answer.width) * 100}%`, height: `${((y2 - y1) / answer.height) * 100}%`,
        });
        stage.style.setProperty("--ratio", answer.width / answer.height);
      }
      outline.dataset.state = well ? "good" : "bad";
      const now_ms = performance.now();
      steady_ms = well ? (steady_ms ?? now_ms) : null;
      if (steady_ms !== null && now_ms - steady_ms > STEADY_MS) {
        if (next.hidden) {
          next.hidden = false;
          anyway.hidden = true;
          put(live, () => t("camera.all_good"));
          next.focus({ preventScroll: true });
        }
      } else if (!well && !next.hidden && now_ms - begun_ms < ANYWAY_MS) next.hidden = true;
    }

    function finish(how) {
      looking.end();
      tell(how === "without" ? how : "works");
      resolve(how);
    }
  });
}

/** The quiet seconds, as often as it takes. Resolves when they are on the server. */
export function baseline({ camera, code, baseline_s, refused, cameraGone }) {
  return new Promise((resolve) => {
    const point = h("div", { class: "point", "aria-hidden": "true" }, h("i"));
    const count = h("p", { class: "point-count", role: "timer", "aria-live": "off" });
    const place = h("div", { class: "stack" });
    const line = h("p", { class: "hint", role: "status" });
    const text = w("p", { class: "lead" }, () => t("baseline.text", { time: quantity(baseline_s, "second") }));
    const start = button(() => t("baseline.start"), run);
    const unseen = h("div", { class: "unseen" });
    const looking = new Looking(camera, () => {
      looking.end();
      cameraGone();
    });
    show({ title: () => t("baseline.title"), end: looking.end }, text, place, h("div", { class: "point-stage" }, point, count, unseen), line, actions(start));
    camera.place(unseen);

    async function run() {
      place.replaceChildren();
      start.hidden = true;
      text.hidden = true;
      put(line, () => t("baseline.look"));
      point.classList.add("running");
      looking.socket?.close();
      let faces = 0, looks = 0;
      const socket = (looking.socket = new WatchSocket(code, "baseline", BASELINE_LOOK_S));
      socket.addEventListener("link", ({ detail }) => {
        if (detail.state !== "open") put(line, LINES[detail.state]);
        if (detail.state === "refused") refused(detail.refusal);
      });
      socket.addEventListener("seen", ({ detail }) => {
        looks += 1;
        faces += detail.box !== null;
      });
      // The count begins once the server is there, so that what it says of the face comes in time.
      const ready = new Promise((done) => socket.addEventListener("ready", done, { once: true }));
      socket.open();
      await ready;
      if (looking.over) return;
      put(line, () => t("baseline.look"));
      const began_ms = performance.now();
      const spent_s = () => (performance.now() - began_ms) / 1000;
      camera.look(BASELINE_LOOK_S, () => (spent_s() < baseline_s && document.visibilityState === "visible" ? { film_s: spent_s() } : null), (frame) => socket.give(frame));
      await new Promise((done) => {
        const tick = () => {
          const left_s = Math.ceil(baseline_s - spent_s());
          count.textContent = left_s > 0 ? String(left_s) : "";
          if (left_s <= 0) done();
        };
        tick();
        looking.timer = setInterval(tick, 100);
      });
      clearInterval(looking.timer);
      await camera.taken();
      camera.rest();
      await socket.settled();
      if (looking.over) return;
      point.classList.remove("running");
      if (looks && faces / looks >= FACE_SHARE) {
        looking.end();
        resolve();
        return;
      }
      put(line, () => "");
      text.hidden = false;
      place.replaceChildren(told("warn", () => t("baseline.again_title"), () => t("baseline.again_text")));
      put(start, () => t("baseline.again"));
      start.hidden = false;
      start.focus();
    }
  });
}
