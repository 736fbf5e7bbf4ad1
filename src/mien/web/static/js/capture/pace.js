// When a picture is looked at: each frame, or one each so many seconds.

const FRESH_MS = 80; // a due look waits so long for the next frame of the camera: it shows more recent things than the last one
const EACH_FRAME_S = 1 / 25; // "every frame" where the browser does not say when there is one: old ones, and tabs in the background
const STILL_S = 1; // a shared window where nothing moves sends no frames; it is looked at all the same

export class Pace {
  #video; #due; #clock; #every_s = 0.2; #running = false; #owed = false; #seen_ms = 0; #handle = null;

  /** `due()` is called each time that the picture of `video` is to be looked at. */
  constructor(video, due) {
    this.#video = video;
    this.#due = due;
    this.#clock = new Worker(new URL("./clock.js", import.meta.url), { type: "module" });
    this.#clock.onmessage = () => this.#tick();
    document.addEventListener("visibilitychange", () => this.#wind());
  }

  /** Seconds between two looks; 0 is every frame. */
  set every_s(value) {
    this.#every_s = value;
    this.#wind();
  }

  get every_s() {
    return this.#every_s;
  }

  start() {
    this.#running = true;
    this.#wind();
  }

  stop() {
    this.#running = false;
    this.#wind();
  }

  /** Whether the browser tells of each frame: it does not for tabs that nobody sees. */
  get #told() {
    return "requestVideoFrameCallback" in this.#video && document.visibilityState === "visible";
  }

  #wind() {
    if (this.#handle !== null) this.#video.cancelVideoFrameCallback(this.#handle);
    this.#handle = null;
    this.#owed = false;
    const each_s = this.#every_s || (this.#told ? STILL_S : EACH_FRAME_S);
    this.#clock.postMessage(this.#running ? each_s * 1000 : null);
    if (this.#running && this.#told) this.#listen();
  }

  #listen() {
    this.#handle = this.#video.requestVideoFrameCallback(() => {
      this.#seen_ms = performance.now();
      this.#listen();
      if (this.#owed || this.#every_s === 0) this.#look();
    });
  }

  #tick() {
    if (!this.#running) return;
    if (!this.#told) this.#look();
    else if (this.#every_s > 0) {
      this.#owed = true;
      setTimeout(() => this.#owed && this.#look(), FRESH_MS);
    } else if (performance.now() - this.#seen_ms > STILL_S * 1000) this.#look();
  }

  #look() {
    this.#owed = false;
    if (this.#running) this.#due();
  }
}
