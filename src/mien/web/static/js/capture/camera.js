// Cameras and screens → frames as JPEG.

import { HEADER_BYTES } from "./wire.js";

const QUALITY = 0.8;
/** Longest side of what is sent, in pixels. On a shared screen faces are small beside the rest, in a room full of people smaller. */
const LARGEST = { camera: 640, screen: 960, room: 1920 };
const ASKED = { camera: [1280, 720], room: [1920, 1080] };

/** Why there is no picture; `state` is one of states.js. */
export class CaptureError extends Error {
  constructor(state, cause) {
    super(cause?.message ?? state);
    this.name = "CaptureError";
    this.state = state;
  }
}

/** What this browser cannot do here: "insecure", "unsupported" or null. */
export function hindrance() {
  if (!window.isSecureContext) return "insecure";
  if (!navigator.mediaDevices?.getUserMedia || !window.WebSocket || !window.Worker || !window.createImageBitmap) return "unsupported";
  return null;
}

export const canShare = () => Boolean(navigator.mediaDevices?.getDisplayMedia);

/** The cameras that the browser tells of: [{id, name}]. Before the first permission they have no names. */
export async function cameras() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device, k) => ({ id: device.deviceId, name: device.label || `Camera ${k + 1}` }));
}

/** A stream of the camera `id`, or of any where it is gone. Throws CaptureError. */
export async function openCamera(id, kind = "camera") {
  const [width, height] = ASKED[kind];
  const size = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30 } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...size, ...(id ? { deviceId: { exact: id } } : {}) }, audio: false });
  } catch (error) {
    if (id && ["OverconstrainedError", "NotFoundError"].includes(error.name)) return openCamera(null, kind);
    throw new CaptureError(cameraState(error), error);
  }
}

function cameraState(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return /system/i.test(error.message) ? "refused-by-system" : "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "no-camera";
    case "NotReadableError":
    case "AbortError":
      return "camera-busy";
    default:
      return "camera-failed";
  }
}

/** A stream of the tab, window or screen that the person chooses. Throws CaptureError. */
export async function openScreen() {
  try {
    return await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { ideal: 30 } }, audio: false, selfBrowserSurface: "include", surfaceSwitching: "include",
    });
  } catch (error) {
    throw new CaptureError(error.name === "NotAllowedError" ? "share-refused" : "share-failed", error);
  }
}

/**
 * Makes JPEGs of what a video element shows now. `grab(video, {kind, region, turned})` gives {bytes, width, height}: `bytes` has room
 * for a header of `room` bytes before the JPEG. `region`: {x, y, width, height} as shares of the upright picture, or null for all of it; `turned`:
 * the camera hangs upside down, and what is sent is turned round.
 */
export class Grabber {
  #worker = null; #waiting = new Map(); #id = 0; #canvas = null; #room;

  constructor(room = HEADER_BYTES) {
    this.#room = room;
    if (!window.OffscreenCanvas?.prototype.convertToBlob) return; // an old browser: the page's own canvas must do
    this.#worker = new Worker(new URL("./encode.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      const { done, failed } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.problem) failed(new Error(data.problem));
      else done(data);
    };
  }

  async grab(video, { kind, region, turned }) {
    const whole = [video.videoWidth, video.videoHeight];
    const part = region ?? { x: 0, y: 0, width: 1, height: 1 };
    const left = turned ? 1 - part.x - part.width : part.x, top = turned ? 1 - part.y - part.height : part.y;
    const from = [left * whole[0], top * whole[1], part.width * whole[0], part.height * whole[1]].map(Math.round);
    from[2] = Math.max(from[2], 1);
    from[3] = Math.max(from[3], 1);
    const scale = Math.min(1, LARGEST[kind] / Math.max(from[2], from[3]));
    const width = Math.max(1, Math.round(from[2] * scale)), height = Math.max(1, Math.round(from[3] * scale));
    if (!this.#worker) return this.#byCanvas(video, from, width, height, turned);
    const bitmap = await createImageBitmap(video, ...from, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
    return new Promise((done, failed) => {
      this.#id += 1;
      this.#waiting.set(this.#id, { done, failed });
      this.#worker.postMessage({ id: this.#id, bitmap, turned, quality: QUALITY, room: this.#room }, [bitmap]);
    });
  }

  async #byCanvas(video, from, width, height, turned) {
    this.#canvas ??= document.createElement("canvas");
    Object.assign(this.#canvas, { width, height });
    const pen = this.#canvas.getContext("2d", { alpha: false });
    if (turned) pen.setTransform(-1, 0, 0, -1, width, height);
    pen.drawImage(video, ...from, 0, 0, width, height);
    const blob = await new Promise((done) => this.#canvas.toBlob(done, "image/jpeg", QUALITY));
    const bytes = new Uint8Array(this.#room + blob.size);
    bytes.set(new Uint8Array(await blob.arrayBuffer()), this.#room);
    return { bytes, width, height };
  }
}
