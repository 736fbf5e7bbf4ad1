// The live view's socket: two frames in flight, the newest wins; a recording loses nothing while the line is away.

import { CameraSocket } from "./socket.js";

const IN_FLIGHT = 2;
const KEPT_S = 30; // what the server waits for a page that went away
const KEPT_BYTES = 32 * 2 ** 20;
const SLOW_MS = 2000; // without an answer for so long, a recording's frames are kept rather than dropped
const CATCHING_UP_MS = 10_000; // new looks queue behind the kept ones for so long; then, of a slow server, the newest wins again

/**
 * Events beside `link`, each with `detail`:
 *   ready      the server's message, with `first` (no view before), `lost` (a recording went on without this page), `restarted` and
 *              `late` (how many kept frames will now be sent)
 *   faces, episode, recording, problem      the server's messages; `faces` with `late`
 *   room       a frame may be given again
 */
export class LiveSocket extends CameraSocket {
  live = null; // the server's id of this view
  recording = null; // null, "recording", "paused", "saving"; as the server says
  #counts; #hello; #sequence = 0; #kept = []; #actions = []; #slow = false; #run = null; #caughtUp_ms = 0;

  /** `hello`: {source, name, smoothing_s?}. `resume`: the id of a view that this page had before it was loaded again. */
  constructor(counts, hello, resume = null) {
    super("/api/live");
    this.#counts = counts;
    this.#hello = hello;
    this.live = resume;
  }

  hello() {
    return { ...this.#hello, resume: this.live };
  }

  ended() {
    this.#counts.droppedHere += this.flying.size + this.#kept.length;
    this.#kept = [];
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
    return this.link === "open" && !this.#kept.length ? IN_FLIGHT - this.flying.size : 0;
  }

  /** Takes a frame {captured_s, bytes} (see Grabber): sends it, keeps it, or drops it, and counts which. */
  give({ captured_s, bytes }) {
    const frame = { sequence: this.#sequence++, captured_s, bytes, recorded: this.recording === "recording", late: false, counted: false };
    if (this.keeping) this.#keep([...this.#kept, frame]);
    else if (this.link === "open" && !this.#kept.length && this.flying.size < IN_FLIGHT) this.#send(frame);
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

  #send(frame) {
    if (!frame.counted) this.#counts.sent += 1;
    frame.counted = true;
    this.send(frame);
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
    while (this.#kept.length && this.flying.size < IN_FLIGHT) this.#send(this.#kept.shift());
    if (this.flying.size === 0) {
      for (const action of this.#actions.splice(0)) this.post(JSON.stringify(action));
    }
    if (this.room > 0) this.tell("room");
  }

  heard(message) {
    switch (message.type) {
      case "ready":
        return this.#ready(message);
      case "faces":
        this.#slow = false;
        this.#counts.answer(performance.now());
        if (message.recorded) this.#counts.recorded += 1;
        this.tell("faces", { ...message, late: this.flying.get(message.sequence)?.late ?? false });
        break;
      case "dropped":
        this.#counts.droppedThere += 1;
        break;
      case "recording":
        this.recording = ["recording", "paused", "saving"].includes(message.state) ? message.state : null;
        this.tell("recording", message);
        break;
      case "error":
        if (this.flying.has(message.sequence)) this.#counts.droppedThere += 1;
        this.tell("problem", message);
        break;
      case "episode":
        this.tell("episode", message);
        break;
    }
    this.flying.delete(message.sequence);
    this.#pump();
  }

  #ready(message) {
    const first = this.live === null;
    const lost = !message.resumed && this.recording !== null;
    const restarted = this.#run !== null && this.#run !== message.run;
    this.live = message.live;
    this.#run = message.run;
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
    this.say("open");
    this.tell("ready", { ...message, first, lost, restarted, late: this.#kept.length });
    this.#pump();
  }

  broke(flying) {
    const save = flying.filter((frame) => frame.recorded && this.recording !== null);
    this.#counts.droppedHere += flying.length - save.length;
    this.#keep([...save, ...this.#kept]);
  }

  look() {
    this.#slow = this.age_ms > SLOW_MS;
    if (this.#slow) this.#caughtUp_ms = performance.now() + CATCHING_UP_MS;
    super.look();
  }
}
