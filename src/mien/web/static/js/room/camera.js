// The camera before an audience: looks go to the server as those of the live page do, with the same socket and the same recording.

import { CaptureError, Grabber, cameras, openCamera } from "../capture/camera.js";
import { Counts } from "../capture/counts.js";
import { Overlay } from "../capture/draw.js";
import { Pace } from "../capture/pace.js";
import { LiveSocket } from "../capture/live-socket.js";

/** Seconds of a clock that all windows of this browser share, and that rises over a reload of the page. */
export const now_s = () => (performance.timeOrigin + performance.now()) / 1000;

/**
 * Events, each with `detail`: faces (an answer), recording (the server's word on it), ready, link, problem (those of LiveSocket), ended
 * (the camera is gone).
 */
export class RoomCamera extends EventTarget {
  stream = null;
  origin_s = null; // of the recording's 0 s on `now_s`'s clock; known with its first look
  #video; #overlay; #counts = new Counts(); #grabber = new Grabber(); #pace; #socket = null; #taking = 0; #waiting = false;

  /** `every_s`: seconds between looks. */
  constructor(video, canvas, every_s) {
    super();
    this.#video = video;
    this.#overlay = new Overlay(canvas);
    this.#overlay.bars = false;
    this.#pace = new Pace(video, () => this.#due());
    this.#pace.every_s = every_s;
  }

  get link() {
    return this.#socket?.link ?? "closed";
  }

  /** The id of the live view, by which a page that is loaded again finds its recording. */
  get live() {
    return this.#socket?.live ?? null;
  }

  get every_s() {
    return this.#pace.every_s;
  }

  get stopping() {
    return this.#socket?.stopping ?? false;
  }

  get stats() {
    return { ...this.#counts.stats(), per_second: this.#counts.perSecond(performance.now()) };
  }

  cameras() {
    return cameras();
  }

  /** Opens the camera `id`, or any. Throws CaptureError. */
  async start(id) {
    const stream = await openCamera(id, "room");
    this.release();
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => {
      if (this.stream !== stream) return;
      this.release();
      this.#tell("ended");
    });
    this.#video.srcObject = stream;
    this.#video.hidden = false;
    await this.#video.play();
    if (!this.#socket) this.connect(null, track.label);
    this.#pace.start();
    return track.getSettings().deviceId ?? "";
  }

  /** Opens the socket; `resume` is the live view of a page that was loaded again. */
  connect(resume = null, name = "") {
    const socket = (this.#socket = new LiveSocket(this.#counts, { source: "camera", name }, resume));
    if (resume) socket.recording = "recording";
    for (const type of ["link", "ready", "faces", "recording", "problem", "room"]) {
      socket.addEventListener(type, ({ detail }) => this.#socket === socket && this.#heard(type, detail));
    }
    socket.open();
  }

  #heard(type, detail) {
    if (type === "room") return this.#room();
    if (type === "ready") this.#overlay.labels = detail.labels;
    if (type === "faces") {
      if (detail.recorded) this.origin_s = detail.captured_s - detail.time_s;
      const captured_ms = detail.captured_s * 1000 - performance.timeOrigin;
      if (!detail.late && this.stream && document.visibilityState === "visible") {
        requestAnimationFrame(() => {
          if (!this.stream) return;
          this.#overlay.show(detail, captured_ms);
          this.#counts.drawn(performance.now() - captured_ms);
        });
      }
    }
    this.#tell(type, detail);
  }

  /** Lets go of the camera; a recording waits for it. */
  release() {
    this.#pace.stop();
    this.#waiting = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.#video.srcObject = null;
    this.#video.hidden = true;
    this.#overlay.show(null);
  }

  /** Ends the live view for good. */
  close() {
    this.release();
    this.#socket?.close();
    this.#socket = null;
    this.origin_s = null;
  }

  record(name) {
    this.origin_s = null;
    this.#socket.record("start", { keep_film: false, name, every_s: this.every_s });
  }

  finish() {
    this.#socket.record("stop");
  }

  hurry() {
    if (this.link === "refused") this.#socket.open();
    else this.#socket?.hurry();
  }

  #tell(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #due() {
    const socket = this.#socket;
    if (!socket || (socket.link !== "open" && !socket.keeping) || socket.stopping || !this.#video.videoWidth) return;
    if (socket.recording === "saving") return;
    this.#counts.captured += 1;
    if (this.#taking < socket.room) this.#take();
    else {
      if (this.#waiting) this.#counts.droppedHere += 1;
      this.#waiting = true;
    }
  }

  async #take() {
    const to = this.#socket, captured_s = now_s();
    this.#taking += 1;
    try {
      const { bytes } = await this.#grabber.grab(this.#video, { kind: "room", region: null, turned: false });
      to.give({ captured_s, bytes });
    } catch (error) {
      this.#counts.droppedHere += 1;
      if (this.stream) console.warn(`no picture: ${error}`);
    } finally {
      this.#taking -= 1;
    }
    if (this.#waiting) this.#room();
  }

  #room() {
    if (!this.#waiting || !this.#socket || !this.stream || this.#taking >= this.#socket.room) return;
    this.#waiting = false;
    this.#take();
  }
}

export { CaptureError };
