// The socket of a participant's camera. Of a film every picture is kept until it is answered, and sent again where the line broke; of
// the camera check only the newest counts.

import { CameraSocket } from "../capture/socket.js";

const IN_FLIGHT = 4; // until the server says
const KEPT_S = 600;
const KEPT_BYTES = 128 * 2 ** 20;

/**
 * Events beside `link`, which also has the state "full" (as waiting), each with `detail`:
 *   ready   the server's message
 *   seen    the server's answer to a picture
 *   change  how many pictures are unanswered
 */
export class WatchSocket extends CameraSocket {
  lost = 0; // pictures that found no place any more
  refusal = null; // why it was refused for good
  lost_ms = 12_000;
  fullAgain_s = 5;
  refusals = { 4400: "misunderstood", 4401: "unknown", 4403: "foreign", 4409: "taken-over", 4410: "over" };
  #hello; #every_s; #keeps; #next = null; #waiting = []; #inFlight = IN_FLIGHT; #met = false;

  /** `stimulus`: a film's id, "baseline", or "check", of which nothing is kept. `every_s`: how often pictures come. */
  constructor(code, stimulus, every_s) {
    super("/api/participant/live");
    this.#hello = { code, stimulus };
    this.#keeps = stimulus !== "check";
    this.#every_s = every_s;
  }

  hello() {
    return { ...this.#hello, resume: this.#met };
  }

  /** What is unanswered is let go. */
  ended() {
    this.#waiting = [];
  }

  /** How many pictures have no answer yet. */
  get unanswered() {
    return this.#waiting.length + this.flying.size;
  }

  /** Whether a picture of the check would be of use now. */
  get room() {
    return this.#keeps || (this.link === "open" && this.flying.size < 2);
  }

  /** Takes a picture: {captured_s, film_s, bytes}, with room for the header before the JPEG. */
  give({ captured_s, film_s, bytes }) {
    if (!this.room) return;
    this.#waiting.push({ captured_s, film_s, bytes, sequence: null, late: this.link !== "open" });
    this.#thin();
    this.#pump();
  }

  /** Resolves once everything is answered. */
  async settled() {
    while (this.unanswered && this.link !== "refused" && this.link !== "closed") await new Promise((done) => this.addEventListener("change", done, { once: true }));
  }

  say(state, more = {}) {
    this.refusal = more.refusal ?? this.refusal;
    super.say(more.full ? "full" : state, more);
    this.tell("change", this.unanswered);
  }

  /** Within bounds; beyond them every second picture goes, so that no stretch of the film is without. */
  #thin() {
    const bytes = () => this.#waiting.reduce((sum, frame) => sum + frame.bytes.length, 0);
    while (this.#waiting.length > 2 && (this.#waiting.length > KEPT_S / this.#every_s || bytes() > KEPT_BYTES)) {
      const before = this.#waiting.length;
      this.#waiting = this.#waiting.filter((frame, k) => frame.sequence !== null || k % 2 === 0);
      this.lost += before - this.#waiting.length;
      if (before === this.#waiting.length) break;
    }
  }

  #pump() {
    while (this.link === "open" && this.#waiting.length && this.flying.size < this.#inFlight) {
      const frame = this.#waiting.shift();
      frame.sequence ??= this.#next++;
      this.send(frame);
    }
    this.tell("change", this.unanswered);
  }

  heard(message) {
    if (message.type === "ready") return this.#ready(message);
    if (message.type === "seen") this.tell("seen", message);
    else if (message.type === "error") console.warn(`${message.error?.code}: ${message.error?.message}`);
    this.flying.delete(message.sequence);
    this.#pump();
  }

  #ready(message) {
    this.#met = true;
    this.#inFlight = message.limits?.in_flight ?? IN_FLIGHT;
    // Numbers are given when a picture is sent first, so that those taken before the server was ever reached do not meet older ones.
    this.#next = Math.max(this.#next ?? 0, message.received + 1);
    this.#waiting = this.#waiting.filter((frame) => frame.sequence === null || frame.sequence > message.received);
    this.say("open");
    this.tell("ready", message);
    this.#pump();
  }

  broke(flying) {
    for (const frame of flying) frame.late = true;
    this.#waiting = this.#keeps ? [...flying, ...this.#waiting] : [];
  }
}
