// The film, full screen: it plays, pauses, stalls and goes on; the face is looked at on the film's own clock, and only while it plays.

import { h } from "/static/mien/element.js";
import { problem } from "./camera.js";
import { ask, button, w } from "./screen.js";
import { clock, name, put, t } from "./texts.js";

const TOOLS_MS = 2500; // the bar goes away by itself
const STALLED_MS = 700; // without any progress for so long, the film is waiting for the network
const AGAIN_MS = 3000;
const NEAR_S = 0.25;
const OFFLINE_MS = 1500; // a short break of the line is nobody's business

/** The film's own time: of the frame that is on the screen, carried on to now; `currentTime` alone is coarse in some browsers. */
export class FilmClock {
  #video; #media_s = null; #shown_ms = 0;

  constructor(video) {
    this.#video = video;
    const note = (_, { mediaTime, expectedDisplayTime }) => {
      [this.#media_s, this.#shown_ms] = [mediaTime, expectedDisplayTime];
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback?.(note);
    video.addEventListener("seeking", () => (this.#media_s = null));
  }

  get now_s() {
    const at_s = this.#video.currentTime;
    if (this.#media_s === null || this.#video.paused) return at_s;
    const shown_s = this.#media_s + ((performance.now() - this.#shown_ms) / 1000) * this.#video.playbackRate;
    return Math.abs(shown_s - at_s) < NEAR_S ? Math.max(0, shown_s) : at_s;
  }
}

/** Keeps the screen on while `hold()`; a browser that cannot is let be. */
export class Awake {
  #lock = null; #wanted = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#wanted && document.visibilityState === "visible" && this.hold());
  }

  async hold() {
    this.#wanted = true;
    try {
      this.#lock = await navigator.wakeLock?.request("screen");
    } catch {
      // a battery that is low, or a browser that does not let it
    }
  }

  release() {
    this.#wanted = false;
    this.#lock?.release().catch(() => {});
    this.#lock = null;
  }
}

const awake = new Awake();

/**
 * Shows one film. `begin()` must be called from a press of a button (sound and full screen need it).
 * `ended(outcome)`: "end", "leave", or "refused:<why>".
 */
export class FilmView {
  #about; #stage; #film; #clock; #socket; #tools; #panel; #small; #wheel; #over = false; #playing = false; #stalled = false; #moved_ms = 0;
  #moved_s = -1; #timers = []; #toolsTimer; #reason = null; #started = false; #position_s; #away_ms = null; #listeners = []; #reloading = false; #ready;

  /** about: {camera, client, connect(stimulus id, every_s) → socket, stimulus, every_s, position_s, address() → promise of the film's
   *  url, ended, contact} */
  constructor(about) {
    this.#about = about;
    this.#position_s = about.position_s ?? 0;
    this.#film = h("video", { playsinline: true, preload: "auto", disablepictureinpicture: true, disableremoteplayback: true, class: "film", tabindex: "-1" });
    this.#film.controls = false;
    name(this.#film, "aria-label", () => about.stimulus.title);
    this.#clock = new FilmClock(this.#film);
    this.#ready = this.#load();
  }

  /** Resolves once the browser knows where the film is: to play it before would come to nothing. */
  get ready() {
    return this.#ready;
  }

  /** The film's time now, whether it is being looked at, and what waits: for tests and for the console. */
  get state() {
    const { unanswered = 0, link = "closed", lost = 0 } = this.#socket ?? {};
    return { film_s: this.#clock.now_s, playing: this.#playing, stalled: this.#stalled, paused: this.#reason, unanswered, link, lost, over: this.#over };
  }

  get film() {
    return this.#film;
  }

  /** Fetches where the film is, and lets the browser read ahead. */
  async #load() {
    const at_s = this.#film.currentTime || this.#position_s;
    this.#film.src = await this.#about.address();
    this.#film.addEventListener("loadedmetadata", () => at_s > 0 && (this.#film.currentTime = at_s), { once: true });
  }

  /** From a press of a button: full screen, sound, and off it goes. */
  begin() {
    const { connect, stimulus, every_s } = this.#about;
    this.#build();
    this.#fill();
    this.#socket = connect(stimulus.id, every_s);
    this.#socket.addEventListener("link", ({ detail }) => {
      if (detail.state === "refused") this.#finish(`refused:${detail.refusal}`);
      this.#line();
    });
    this.#socket.addEventListener("change", () => this.#line());
    this.#socket.open();
    this.#listen();
    awake.hold();
    this.#play();
  }

  #build() {
    const pause = button(() => t("film.pause"), () => this.#pause("person"), "");
    const leave = button(() => t("film.leave"), () => this.#leave(), "");
    this.#tools = h("div", { class: "film-tools" }, pause, leave);
    this.#small = h("p", { class: "film-state", role: "status" });
    this.#wheel = h("p", { class: "film-wheel", role: "status", hidden: true }, h("span", { class: "spin", "aria-hidden": "true" }), w("span", {}, () => t("film.loading")));
    this.#panel = h("div", { class: "film-panel", hidden: true, role: "dialog", "aria-modal": "true", "aria-labelledby": "film-panel-title" });
    const unseen = h("div", { class: "unseen" });
    this.#stage = h("div", { class: "film-stage", "data-tools": "hidden" }, this.#film, unseen, this.#wheel, this.#small, this.#tools, this.#panel);
    document.body.append(this.#stage);
    document.body.classList.add("film-runs");
    document.querySelector("main").inert = document.querySelector("header").inert = document.querySelector("footer").inert = true;
    this.#about.camera.place(unseen);
    pause.focus({ preventScroll: true });
  }

  /** The whole screen where the browser gives it; an iPhone does not, and the page itself is then filled. */
  #fill() {
    this.#stage.requestFullscreen?.({ navigationUI: "hide" })?.catch(() => {});
  }

  #on(target, type, handler) {
    target.addEventListener(type, handler);
    this.#listeners.push(() => target.removeEventListener(type, handler));
  }

  #listen() {
    const film = this.#film, stage = this.#stage;
    this.#on(film, "playing", () => this.#goes());
    this.#on(film, "waiting", () => this.#stalls());
    this.#on(film, "pause", () => this.#rests());
    this.#on(film, "seeking", () => this.#started && this.#tell("seek"));
    this.#on(film, "ended", () => this.#end());
    this.#on(film, "error", () => this.#broken());
    this.#on(document, "visibilitychange", () => this.#visible());
    this.#on(document, "fullscreenchange", () => {
      if (!document.fullscreenElement && !this.#over && !film.paused) this.#pause("person"); // Esc
    });
    this.#on(this.#about.camera, "lost", () => {
      this.#tell("camera-lost");
      this.#pause("camera");
    });
    for (const type of ["pointermove", "pointerdown", "keydown"]) this.#on(stage, type, () => this.#showTools());
    this.#on(document, "keydown", (event) => {
      if (event.key === " " && this.#panel.hidden && !(event.target instanceof HTMLButtonElement)) {
        event.preventDefault();
        this.#pause("person");
      }
      if (event.key === "Escape" && this.#panel.hidden) this.#pause("person"); // where the whole screen was not given
    });
    // Media keys and headsets pause the film, and go on; they do not wind it.
    for (const action of ["seekbackward", "seekforward", "seekto", "previoustrack", "nexttrack"]) {
      try {
        navigator.mediaSession?.setActionHandler(action, () => {});
      } catch {
        // an action that this browser does not know
      }
    }
    const leaving = (event) => {
      if (!this.#socket.unanswered) return;
      event.preventDefault();
    };
    this.#on(window, "beforeunload", leaving);
    this.#timers.push(setInterval(() => this.#tick(), 250));
    this.#about.camera.look(this.#about.every_s, () => (this.#playing && !this.#stalled && !film.seeking ? { film_s: this.#clock.now_s } : null), (frame) => this.#socket.give(frame));
    this.#showTools();
  }

  #tell(event) {
    this.#about.client.event(event, this.#about.stimulus.id, this.#clock.now_s);
  }

  async #play() {
    this.#reason = null;
    this.#panel.hidden = true;
    this.#tools.inert = false;
    if (this.#film.error) await this.#load();
    try {
      await this.#film.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.#pause("person"); // the browser wants a press of its own
      // AbortError: a new load or a pause came between; an unplayable film says so by its own event
    }
  }

  #goes() {
    this.#wheel.hidden = true;
    this.#stalled = false;
    this.#moved_ms = performance.now();
    this.#moved_s = this.#film.currentTime;
    if (this.#playing) return;
    this.#playing = true;
    this.#tell(this.#started ? "play" : "film-start");
    this.#started = true;
  }

  #rests() {
    if (!this.#playing || this.#film.ended) return;
    this.#playing = false;
    this.#tell("pause");
    // By a media key, or the system. The event comes late: whoever went on at once would be stopped again.
    if (this.#film.paused && !this.#reason && !this.#over) this.#pause("person");
  }

  #stalls() {
    if (!this.#playing || this.#stalled) return;
    this.#stalled = true;
    this.#wheel.hidden = false;
    this.#tell("stall");
  }

  /** A film may stand still without saying so; and one that has run out of bytes while the line was away is loaded anew. */
  #tick() {
    this.#line();
    if (!this.#playing || this.#film.seeking || this.#film.ended) return;
    const now_ms = performance.now(), at_s = this.#film.currentTime;
    if (at_s !== this.#moved_s) {
      this.#moved_s = at_s;
      this.#moved_ms = now_ms;
      if (this.#stalled && this.#film.readyState >= 3) this.#goes();
    } else if (now_ms - this.#moved_ms > STALLED_MS) this.#stalls();
  }

  async #broken() {
    if (this.#over || this.#reloading) return;
    const { error } = this.#film;
    const was = this.#clock.now_s;
    this.#stalls();
    if (error?.code === MediaError.MEDIA_ERR_DECODE || (error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED && this.#socket.link === "open" && !this.#started)) {
      this.#pause("film");
      return;
    }
    // The line broke, or the right to the film's address has run out: from the same place, with a new address, until it works.
    this.#reloading = true;
    this.#position_s = was || this.#position_s;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    this.#reloading = false;
    if (this.#over) return;
    await this.#load();
    if (!this.#reason) this.#play();
  }

  #visible() {
    if (document.visibilityState === "hidden") {
      this.#tell("hidden");
      if (!this.#film.paused) this.#pause("hidden");
    } else this.#tell("shown");
  }

  /** A small word in the corner, and only where it lasts. */
  #line() {
    if (!this.#socket || !this.#stage) return;
    const away = ["waiting", "opening", "full"].includes(this.#socket.link);
    this.#away_ms = away ? (this.#away_ms ?? performance.now()) : null;
    const offline = away && performance.now() - this.#away_ms > OFFLINE_MS;
    const behind = !away && this.#socket.unanswered > 12;
    this.#small.dataset.state = offline ? "offline" : behind ? "behind" : "";
    put(this.#small, offline ? () => t("film.offline") : behind ? () => t("film.behind") : () => "");
  }

  #showTools() {
    this.#stage.dataset.tools = "shown";
    clearTimeout(this.#toolsTimer);
    this.#toolsTimer = setTimeout(() => {
      if (!this.#tools.matches(":hover")) this.#stage.dataset.tools = "hidden";
    }, TOOLS_MS);
  }

  /** Stops the film and says why: "person", "hidden", "camera", "film". */
  #pause(reason) {
    if (this.#over) return;
    this.#reason = reason;
    this.#film.pause();
    this.#wheel.hidden = true;
    const go = button(() => t("film.on"), () => (reason === "camera" ? this.#camera(go) : this.#resume()));
    const words = {
      person: () => [w("p", {}, () => t("film.paused_text"))],
      hidden: () => [w("p", {}, () => t("film.hidden_text"))],
      camera: () => [problem("lost", this.#about.contact)],
      film: () => [w("p", {}, () => t("film.not_taken_text"))],
    }[reason]();
    if (reason === "camera") put(go, () => t("camera.start"));
    if (reason === "film") put(go, () => t("page.again"));
    this.#panel.replaceChildren(
      w("h2", { id: "film-panel-title" }, reason === "film" ? () => t("film.not_taken_title") : () => t("film.paused")),
      ...words,
      h("div", { class: "actions" }, go, button(() => t("film.leave"), () => this.#leave(), "plain")),
    );
    this.#panel.hidden = false;
    this.#tools.inert = true;
    go.focus();
  }

  #resume() {
    if (!document.fullscreenElement) this.#fill();
    this.#play();
    this.#tools.firstChild.focus({ preventScroll: true });
    this.#showTools();
  }

  async #camera(go) {
    go.disabled = true;
    try {
      await this.#about.camera.open();
    } catch (error) {
      this.#panel.querySelector(".notice").replaceWith(problem(error.state ?? "camera-failed", this.#about.contact));
      go.disabled = false;
      go.focus();
      return;
    }
    this.#tell("camera-back");
    this.#about.camera.look(this.#about.every_s, () => (this.#playing && !this.#stalled && !this.#film.seeking ? { film_s: this.#clock.now_s } : null), (frame) => this.#socket.give(frame));
    this.#resume();
  }

  async #leave() {
    const was = this.#reason;
    this.#reason ??= "asked";
    this.#film.pause();
    if (await ask({ title: () => t("leave.title"), text: () => t("leave.text"), yes: () => t("film.leave"), no: () => t("leave.stay"), danger: true })) {
      this.#finish("leave");
    } else if (!was) this.#pause("person");
  }

  #end() {
    this.#playing = false;
    this.#tell("end");
    this.#finish("end");
  }

  async #finish(outcome) {
    if (this.#over) return;
    this.#over = true;
    this.#playing = false;
    this.#film.pause();
    for (const off of this.#listeners) off();
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#toolsTimer);
    awake.release();
    if (document.fullscreenElement) await document.exitFullscreen().catch(() => {});
    this.#stage.remove();
    document.body.classList.remove("film-runs");
    document.querySelector("main").inert = document.querySelector("header").inert = document.querySelector("footer").inert = false;
    setTimeout(() => this.#about.camera.rest(), 0);
    this.#film.removeAttribute("src");
    this.#film.load();
    this.#about.ended(outcome, this.#socket);
  }
}

/** A live event: no film; the clock runs from the person's press, also while the page is away. */
export class EventView {
  #about; #socket; #timer; #over = false; #off = [];

  /** about: as FilmView's, with `began_s` (when it began, in seconds since 1970), `place` for what it shows, and `hidden()`. */
  constructor(about) {
    this.#about = about;
  }

  get state() {
    const { unanswered = 0, link = "closed", lost = 0 } = this.#socket ?? {};
    return { film_s: this.#now_s, playing: !this.#over, unanswered, link, lost, over: this.#over };
  }

  get #now_s() {
    return (performance.timeOrigin + performance.now()) / 1000 - this.#about.began_s;
  }

  begin() {
    const { camera, client, connect, stimulus, every_s } = this.#about;
    this.#socket = connect(stimulus.id, every_s);
    this.#socket.addEventListener("link", ({ detail }) => detail.state === "refused" && this.finish(`refused:${detail.refusal}`));
    this.#socket.open();
    awake.hold();
    client.event("film-start", stimulus.id, this.#now_s);
    camera.look(every_s, () => ({ film_s: this.#now_s }), (frame) => this.#socket.give(frame));
    const seen = () => {
      client.event(document.visibilityState === "hidden" ? "hidden" : "shown", stimulus.id, this.#now_s);
      if (document.visibilityState === "visible") this.#about.hidden();
    };
    const lost = () => {
      client.event("camera-lost", stimulus.id, this.#now_s);
      this.#about.lost();
    };
    document.addEventListener("visibilitychange", seen);
    camera.addEventListener("lost", lost);
    this.#off = [() => document.removeEventListener("visibilitychange", seen), () => camera.removeEventListener("lost", lost)];
    this.#timer = setInterval(() => this.#about.tick(clock(this.#now_s), this.#socket.link), 500);
  }

  /** After the camera was gone. */
  again() {
    const { camera, client, stimulus, every_s } = this.#about;
    client.event("camera-back", stimulus.id, this.#now_s);
    camera.look(every_s, () => ({ film_s: this.#now_s }), (frame) => this.#socket.give(frame));
  }

  finish(outcome) {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    for (const off of this.#off) off();
    awake.release();
    this.#about.camera.rest();
    if (outcome === "end") this.#about.client.event("end", this.#about.stimulus.id, this.#now_s);
    this.#about.ended(outcome, this.#socket);
  }
}
