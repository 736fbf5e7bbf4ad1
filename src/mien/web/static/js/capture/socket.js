// The socket of a camera: says hello, sends frames, hears answers, and comes back by itself when the line breaks. What a frame is worth
// while the line is away, whoever extends it says.

import { head } from "./wire.js";

const OPENING_MS = 8000;
const LOOK_MS = 250;
const AGAIN_S = [0.3, 1, 2, 3, 5];

/**
 * Events, each with `detail`:
 *   link   {state, refusal?, again_s?}: "opening", "open", "waiting" (again in `again_s`), "refused" (for good), "closed"
 */
export class CameraSocket extends EventTarget {
  link = "closed";
  flying = new Map(); // sequence → frame that has no answer yet
  tries = 0;
  lost_ms = 10_000; // without an answer for so long, the line is taken for dead
  fullAgain_s = 10; // where the server has too many
  refusals = { 4400: "misunderstood", 4401: "login", 4403: "foreign", 4409: "taken-over" };
  #path; #socket = null; #timer; #opening; #watch;
  #online = () => this.hurry();

  constructor(path) {
    super();
    this.#path = path;
  }

  // --- for whoever extends it

  /** The first message. */
  hello() {}

  /** A message of the server. */
  heard() {}

  /** The line broke; these frames have no answer. */
  broke() {}

  /** A few times a second. */
  look() {
    if (this.link === "open" && this.age_ms > this.lost_ms) this.#cut();
  }

  /** Nothing more will be sent. */
  ended() {}

  // --- the line

  open() {
    clearTimeout(this.#timer);
    this.say("opening");
    const socket = (this.#socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.#path}`));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.post(JSON.stringify({ type: "hello", ...this.hello() }));
    socket.onmessage = (event) => this.#message(JSON.parse(event.data));
    socket.onclose = (event) => this.#gone(event.code);
    this.#opening = setTimeout(() => this.#cut(), OPENING_MS);
    this.#watch ??= setInterval(() => this.look(), LOOK_MS);
    addEventListener("online", this.#online);
  }

  /** Ends it for good. */
  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#opening);
    clearInterval(this.#watch);
    removeEventListener("online", this.#online);
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close(1000);
    }
    this.ended();
    this.flying.clear();
    this.say("closed");
  }

  /** Tries at once where it waits to try again. */
  hurry() {
    if (this.link === "waiting" || this.link === "full") this.open();
  }

  /** How long the oldest frame on its way has been without an answer. */
  get age_ms() {
    const [oldest] = this.flying.values();
    return oldest ? performance.now() - oldest.sent_ms : 0;
  }

  say(link, more = {}) {
    this.link = link;
    this.tell("link", { state: link, ...more });
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** A socket that is closing takes nothing more; what becomes of it is dealt with once it is closed. */
  post(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  send(frame) {
    frame.sent_ms = performance.now();
    this.flying.set(frame.sequence, frame);
    this.post(head(frame.bytes, frame));
  }

  #message(message) {
    if (message.type === "ready") {
      clearTimeout(this.#opening);
      this.tries = 0;
    }
    this.heard(message);
  }

  /** The line is dead though the browser has not noticed. */
  #cut() {
    const socket = this.#socket;
    socket.onclose = socket.onmessage = null;
    socket.close();
    this.#gone(1006);
  }

  #gone(code) {
    clearTimeout(this.#opening);
    const flying = [...this.flying.values()];
    this.flying.clear();
    this.broke(flying);
    const refusal = this.refusals[code];
    if (refusal) return this.say("refused", { refusal });
    const full = code === 4429, again_s = full ? this.fullAgain_s : AGAIN_S[Math.min(this.tries, AGAIN_S.length - 1)];
    this.tries += 1;
    this.#timer = setTimeout(() => this.open(), again_s * 1000);
    this.say("waiting", { again_s, full, tries: this.tries });
  }
}
