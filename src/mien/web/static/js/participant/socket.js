// The socket of a participant's camera. Of a film every picture is kept until it is answered, and sent again where the line broke; of
// the camera check only the newest counts.

export const HEADER_BYTES = 24;
const VERSION = 2, LATE = 1;
const IN_FLIGHT = 4; // until the server says
const KEPT_S = 600;
const KEPT_BYTES = 128 * 2 ** 20;
const LOST_MS = 12_000; // without an answer for so long, the line is taken for dead
const OPENING_MS = 8000;
const AGAIN_S = [0.3, 1, 2, 3, 5];
const FULL_AGAIN_S = 5;
const REFUSALS = { 4400: "misunderstood", 4401: "unknown", 4403: "foreign", 4409: "taken-over", 4410: "over" };

/**
 * Events, each with `detail`:
 *   link    {state, refusal?}: "opening", "open", "waiting" (it tries again by itself), "full" (as waiting), "refused" (for good), "closed"
 *   ready   the server's message
 *   seen    the server's answer to a picture
 *   change  how many pictures are unanswered
 */
export class WatchSocket extends EventTarget {
  link = "closed";
  lost = 0; // pictures that found no place any more
  refusal = null; // why it was refused for good
  #hello; #every_s; #keeps; #socket = null; #next = null; #waiting = []; #flying = []; #late = false; #inFlight = IN_FLIGHT; #tries = 0; #timer;
  #opening; #watch; #met = false;

  /** `stimulus`: a film's id, "baseline", or "check", of which nothing is kept. `every_s`: how often pictures come. */
  constructor(code, stimulus, every_s) {
    super();
    this.#hello = { type: "hello", code, stimulus };
    this.#keeps = stimulus !== "check";
    this.#every_s = every_s;
  }

  open() {
    clearTimeout(this.#timer);
    this.#say("opening");
    const socket = (this.#socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/participant/live`));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ ...this.#hello, resume: this.#met }));
    socket.onmessage = (event) => this.#message(JSON.parse(event.data));
    socket.onclose = (event) => this.#gone(event.code);
    this.#opening = setTimeout(() => this.#cut(), OPENING_MS);
    this.#watch ??= setInterval(() => this.#look(), 500);
    this.#hurry ??= () => this.hurry();
    addEventListener("online", this.#hurry);
  }

  #hurry = null;

  /** Ends it for good; what is unanswered is let go. */
  close() {
    for (const timer of [this.#timer, this.#opening]) clearTimeout(timer);
    clearInterval(this.#watch);
    removeEventListener("online", this.#hurry);
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close(1000);
    }
    this.#waiting = [];
    this.#flying = [];
    this.#say("closed");
  }

  /** Tries at once where it waits to try again. */
  hurry() {
    if (this.link === "waiting" || this.link === "full") this.open();
  }

  /** How many pictures have no answer yet. */
  get unanswered() {
    return this.#waiting.length + this.#flying.length;
  }

  /** Whether a picture of the check would be of use now. */
  get room() {
    return this.#keeps || (this.link === "open" && this.#flying.length < 2);
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

  #say(state, more = {}) {
    this.link = state;
    this.#tell("link", { state, ...more });
    this.#tell("change", this.unanswered);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
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
    while (this.link === "open" && this.#waiting.length && this.#flying.length < this.#inFlight && this.#socket.readyState === WebSocket.OPEN) {
      const frame = this.#waiting.shift();
      frame.sequence ??= this.#next++;
      frame.sent_ms = performance.now();
      this.#flying.push(frame);
      this.#socket.send(headed(frame));
    }
    this.#tell("change", this.unanswered);
  }

  #message(message) {
    if (message.type === "ready") return this.#ready(message);
    if (message.type === "seen") this.#tell("seen", message);
    else if (message.type === "error") console.warn(`${message.error?.code}: ${message.error?.message}`);
    this.#flying = this.#flying.filter((frame) => frame.sequence !== message.sequence);
    this.#pump();
  }

  #ready(message) {
    clearTimeout(this.#opening);
    this.#met = true;
    this.#tries = 0;
    this.#inFlight = message.limits?.in_flight ?? IN_FLIGHT;
    // Numbers are given when a picture is sent first, so that those taken before the server was ever reached do not meet older ones.
    this.#next = Math.max(this.#next ?? 0, message.received + 1);
    this.#waiting = this.#waiting.filter((frame) => frame.sequence === null || frame.sequence > message.received);
    this.#say("open");
    this.#tell("ready", message);
    this.#pump();
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
    for (const frame of this.#flying) frame.late = true;
    this.#waiting = this.#keeps ? [...this.#flying, ...this.#waiting] : [];
    this.#flying = [];
    const refusal = REFUSALS[code];
    if (refusal) {
      this.refusal = refusal;
      return this.#say("refused", { refusal });
    }
    const full = code === 4429, again_s = full ? FULL_AGAIN_S : AGAIN_S[Math.min(this.#tries, AGAIN_S.length - 1)];
    this.#tries += 1;
    this.#timer = setTimeout(() => this.open(), again_s * 1000);
    this.#say(full ? "full" : "waiting");
  }

  #look() {
    if (this.link === "open" && this.#flying.length && performance.now() - this.#flying[0].sent_ms > LOST_MS) this.#cut();
  }
}

/** The picture with its header, as mien.web.capture.wire reads it. */
function headed({ bytes, sequence, captured_s, film_s, late }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  view.setUint8(0, VERSION);
  view.setUint8(1, late ? LATE : 0);
  view.setUint16(2, 0, true);
  view.setUint32(4, sequence, true);
  view.setFloat64(8, captured_s, true);
  view.setFloat64(16, film_s, true);
  return bytes;
}
