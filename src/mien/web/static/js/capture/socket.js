// The live view's socket: two frames in flight, the newest wins; comes back by itself, and a recording loses nothing meanwhile.

import { head } from "./wire.js";

const IN_FLIGHT = 2;
const KEPT_S = 30; // what the server waits for a page that went away
const KEPT_BYTES = 32 * 2 ** 20;
const SLOW_MS = 2000; // without an answer for so long, a recording's frames are kept rather than dropped
const CATCHING_UP_MS = 10_000; // new looks queue behind the kept ones for so long; then, of a slow server, the newest wins again
const LOST_MS = 10_000; // without an answer for so long, the line is taken for dead
const OPENING_MS = 8000;
const AGAIN_S = [0.3, 1, 2, 3, 5];
const FULL_AGAIN_S = 10;

/**
 * Events, each with `detail`:
 *   link       {state, again_s?, refusal?}: "opening", "open", "waiting" (again in `again_s`), "refused" (for good: "login", "foreign", "taken-over",
 *              "misunderstood"), "closed"
 *   ready      the server's message, with `first` (no view before), `lost` (a recording went on without this page), `restarted` and
 *              `late` (how many kept frames will now be sent)
 *   faces, episode, recording, problem      the server's messages; `faces` with `late`
 *   room       a frame may be given again
 */
export class LiveSocket extends EventTarget {
  live = null; // the server's id of this view
  link = "closed";
  recording = null; // null, "recording", "paused", "saving"; as the server says
  #counts; #hello; #socket = null; #sequence = 0; #flying = new Map(); #kept = []; #keptBytes = 0; #actions = []; #tries = 0; #timer;
  #watch; #slow = false; #opening; #run = null; #caughtUp_ms = 0;

  /** `hello`: {source, name, smoothing_s?}. `resume`: the id of a view that this page had before it was loaded again. */
  constructor(counts, hello, resume = null) {
    super();
    this.#counts = counts;
    this.#hello = hello;
    this.live = resume;
  }

  open() {
    clearTimeout(this.#timer);
    this.#say("opening");
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/live`);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#post(JSON.stringify({ type: "hello", ...this.#hello, resume: this.live }));
    socket.onmessage = (event) => this.#message(JSON.parse(event.data));
    socket.onclose = (event) => this.#gone(event.code);
    this.#opening = setTimeout(() => this.#cut(), OPENING_MS);
    this.#watch ??= setInterval(() => this.#look(), 250);
  }

  /** Ends the view for good. */
  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#opening);
    clearInterval(this.#watch);
    if (this.#socket) {
      this.#socket.onclose = this.#socket.onmessage = null;
      this.#socket.close(1000);
    }
    this.#counts.droppedHere += this.#flying.size + this.#kept.length;
    this.#flying.clear();
    this.#kept = [];
    this.#say("closed");
  }

  /** Tries at once where it waits to try again. */
  hurry() {
    if (this.link === "waiting") this.open();
  }

  get kept() {
    return this.#kept.length;
  }

  /** Whether frames are put by for later: of a recording, while the server is away or catches up. */
  get keeping() {
    const behind = this.#kept.length > 0 && performance.now() < this.#caughtUp_ms;
    return this.recording === "recording" && (this.link !== "open" || this.#slow || behind);
  }

  /** How many frames may be on their way to `give` now. */
  get room() {
    if (this.#actions.some((action) => action.action !== "start")) return 0; // a pause or stop waits until all before it is answered
    if (this.keeping) return IN_FLIGHT;
    return this.link === "open" && !this.#kept.length ? IN_FLIGHT - this.#flying.size : 0;
  }

  /** Takes a frame {captured_s, bytes} (see Grabber): sends it, keeps it, or drops it, and counts which. */
  give({ captured_s, bytes }) {
    const frame = { sequence: this.#sequence++, captured_s, bytes, recorded: this.recording === "recording", late: false, counted: false };
    if (this.keeping) this.#keep([...this.#kept, frame]);
    else if (this.link === "open" && !this.#kept.length && this.#flying.size < IN_FLIGHT) this.#send(frame);
    else this.#counts.droppedHere += 1;
  }

  /** record("start", {keep_film, name, every_s}), record("pause"), "resume", "stop": sent once all frames before it are answered. */
  record(action, options = {}) {
    this.#actions.push({ type: "record", action, ...options });
    this.#pump();
  }

  get stopping() {
    return this.#actions.some((action) => action.action === "stop");
  }

  #say(link, more = {}) {
    this.link = link;
    this.#tell("link", { state: link, ...more });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** A socket that is closing takes nothing more; what becomes of it is dealt with once it is closed. */
  #post(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  #send(frame) {
    if (!frame.counted) this.#counts.sent += 1;
    frame.counted = true;
    frame.sent_ms = performance.now();
    this.#flying.set(frame.sequence, frame);
    this.#post(head(frame.bytes, frame));
  }

  /** Replaces what is kept, within its bounds: none older than `KEPT_S`; where the bytes are too many, every second one goes. */
  #keep(frames) {
    const newest_s = frames.at(-1)?.captured_s ?? 0;
    let kept = frames.filter((frame) => frame.captured_s >= newest_s - KEPT_S);
    const bytes = () => kept.reduce((sum, frame) => sum + frame.bytes.length, 0);
    while (kept.length > 1 && bytes() > KEPT_BYTES) kept = kept.filter((_, k) => k % 2 === 1);
    this.#counts.droppedHere += frames.length - kept.length;
    for (const frame of kept) frame.late = true;
    this.#kept = kept;
  }

  #pump() {
    if (this.link !== "open") return;
    while (this.#kept.length && this.#flying.size < IN_FLIGHT) this.#send(this.#kept.shift());
    if (this.#flying.size === 0) {
      for (const action of this.#actions.splice(0)) this.#post(JSON.stringify(action));
    }
    if (this.room > 0) this.#tell("room");
  }

  #message(message) {
    switch (message.type) {
      case "ready":
        return this.#ready(message);
      case "faces":
        this.#slow = false;
        this.#counts.answer(performance.now());
        if (message.recorded) this.#counts.recorded += 1;
        this.#tell("faces", { ...message, late: this.#flying.get(message.sequence)?.late ?? false });
        break;
      case "dropped":
        this.#counts.droppedThere += 1;
        break;
      case "recording":
        this.recording = ["recording", "paused", "saving"].includes(message.state) ? message.state : null;
        this.#tell("recording", message);
        break;
      case "error":
        if (this.#flying.has(message.sequence)) this.#counts.droppedThere += 1;
        this.#tell("problem", message);
        break;
      case "episode":
        this.#tell("episode", message);
        break;
    }
    this.#flying.delete(message.sequence);
    this.#pump();
  }

  #ready(message) {
    clearTimeout(this.#opening);
    const first = this.live === null;
    const lost = !message.resumed && this.recording !== null;
    const restarted = this.#run !== null && this.#run !== message.run;
    this.live = message.live;
    this.#run = message.run;
    this.#tries = 0;
    this.#slow = false;
    this.#caughtUp_ms = performance.now() + CATCHING_UP_MS;
    this.recording = message.recording?.state ?? null;
    const unanswered = this.#kept.filter((frame) => frame.sequence > message.received);
    // What the server had answered when the line broke is answered, though its boxes were never seen here.
    if (message.resumed) this.#counts.answered += this.#kept.length - unanswered.length;
    else this.#counts.droppedHere += this.#kept.length;
    this.#kept = message.resumed ? unanswered : [];
    this.#sequence = Math.max(this.#sequence, message.received + 1);
    if (lost) this.#actions = [];
    this.#say("open");
    this.#tell("ready", { ...message, first, lost, restarted, late: this.#kept.length });
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
    const flying = [...this.#flying.values()];
    this.#flying.clear();
    const save = flying.filter((frame) => frame.recorded && this.recording !== null);
    this.#counts.droppedHere += flying.length - save.length;
    this.#keep([...save, ...this.#kept]);
    const refusal = { 4401: "login", 4403: "foreign", 4400: "misunderstood", 4409: "taken-over" }[code];
    if (refusal) return this.#say("refused", { refusal });
    const again_s = code === 4429 ? FULL_AGAIN_S : AGAIN_S[Math.min(this.#tries, AGAIN_S.length - 1)];
    this.#tries += 1;
    this.#timer = setTimeout(() => this.open(), again_s * 1000);
    this.#say("waiting", { again_s, full: code === 4429, tries: this.#tries });
  }

  #look() {
    const oldest_ms = Math.min(...[...this.#flying.values()].map((frame) => frame.sent_ms));
    const age_ms = performance.now() - oldest_ms;
    this.#slow = age_ms > SLOW_MS;
    if (this.#slow) this.#caughtUp_ms = performance.now() + CATCHING_UP_MS;
    if (this.link === "open" && age_ms > LOST_MS) this.#cut();
  }
}
