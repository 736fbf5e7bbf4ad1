// The participant's camera: one stream for all pages, its picture, when it is looked at, and why it may not work.

import { h } from "/static/mien/element.js";
import { CaptureError, Grabber, cameras, hindrance, openCamera } from "../capture/camera.js";
import { Pace } from "../capture/pace.js";
import { FILM_HEADER_BYTES } from "../capture/wire.js";
import { told } from "./screen.js";
import { t } from "./texts.js";

const PROBLEMS = {
  insecure: [() => t("camera.insecure_title"), (contact) => t("camera.insecure_text", { contact })],
  unsupported: [() => t("camera.unsupported_title"), () => t("camera.unsupported_text")],
  refused: [() => t("camera.refused_title"), () => t("camera.refused_text")],
  "refused-by-system": [() => t("camera.refused_by_system_title"), () => t("camera.refused_by_system_text")],
  "no-camera": [() => t("camera.no_camera_title"), () => t("camera.no_camera_text")],
  "camera-busy": [() => t("camera.camera_busy_title"), () => t("camera.camera_busy_text")],
  "camera-failed": [() => t("camera.camera_failed_title"), () => t("camera.camera_failed_text")],
  lost: [() => t("camera.lost_title"), () => t("camera.lost_text")],
  "no-picture": [() => t("camera.no_picture_title"), () => t("camera.no_picture_text")],
};

/** Why there is no picture, and what helps. */
export function problem(state, contact) {
  const [title, text] = PROBLEMS[state];
  return told("bad", title, () => text(contact));
}

/** Events: `lost` when the camera went away by itself. */
export class Camera extends EventTarget {
  video = h("video", { muted: true, playsinline: true, class: "camera-video", tabindex: "-1", "aria-hidden": "true" });
  #stream = null; #id = null; #grabber = null; #pace = null; #due = null; #taking = new Set();

  constructor() {
    super();
    this.video.muted = true; // the attribute alone does not do where it is set by a script
  }

  get on() {
    return this.#stream !== null;
  }

  get id() {
    return this.#id;
  }

  /** What this browser cannot do here, or null. */
  hindrance = hindrance;

  /** All cameras: [{id, name}]. */
  list = cameras;

  /** Opens a camera. Throws CaptureError. */
  async open(id = this.#id) {
    const hindered = hindrance();
    if (hindered) throw new CaptureError(hindered);
    this.close();
    const stream = (this.#stream = await openCamera(id));
    const [track] = stream.getVideoTracks();
    this.#id = track.getSettings().deviceId ?? id;
    track.addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.close();
      this.dispatchEvent(new Event("lost"));
    });
    this.video.srcObject = stream;
    await this.play();
  }

  /** Plays the picture. A video that is moved to another place of the page stops. */
  play = () => this.video.play().catch(() => {});

  /** Puts the picture into an element. */
  place(element) {
    element.append(this.video);
    if (this.on) this.play();
  }

  close() {
    this.rest();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
  }

  /** Looks each `every_s` seconds: `when()` says what is to be written beside the picture, or null for not now; `take(frame)` gets it. */
  look(every_s, when, take) {
    this.#grabber ??= new Grabber(FILM_HEADER_BYTES);
    this.#pace ??= new Pace(this.video, () => this.#due?.());
    const mine = (this.#due = () => {
      const beside = when();
      if (beside === null || !this.video.videoWidth || this.#taking.size >= 2) return;
      const taking = this.#grab((frame) => this.#due === mine && take({ ...frame, ...beside })).finally(() => this.#taking.delete(taking));
      this.#taking.add(taking);
    });
    this.#pace.every_s = every_s;
    this.#pace.start();
  }

  async #grab(take) {
    try {
      const captured_s = (performance.timeOrigin + performance.now()) / 1000;
      const { bytes } = await this.#grabber.grab(this.video, { kind: "camera", region: null, turned: false });
      take({ captured_s, bytes });
    } catch (error) {
      if (this.on) console.warn(`no picture: ${error}`); // the camera went between the due time and the picture
    }
  }

  /** Resolves once no picture is being made any more: all that was looked at until now has been handed on. */
  taken = () => Promise.all(this.#taking);

  /** Looks no more. */
  rest() {
    this.#due = null;
    this.#pace?.stop();
  }
}
