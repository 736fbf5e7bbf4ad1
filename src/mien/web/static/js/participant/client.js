// Calls of a participant's page. The code in the header is the whole right to call. While the server cannot be reached, calls wait.

import { ApiError, errorOf } from "../shared/api.js";
import { WatchSocket } from "./socket.js";

const AGAIN_S = [0.5, 1, 2, 3, 5];
const ANSWER_WITHIN_S = 20;
const AWAY = [0, 502, 503, 504];

const json = async (answer) => (answer.status === 204 ? null : answer.json());

async function kept(answer) {
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "participant.json";
  return { blob: await answer.blob(), name };
}

export class Client {
  code = null;
  #invitation; #gone; #waiting = new Map(); #said = Promise.resolve(); #urgent = 0;

  /** `gone(bool)` is told when a call begins, and when the last one ends, to wait for the server. */
  constructor(invitation, gone = () => {}) {
    this.#invitation = invitation;
    this.#gone = gone;
    addEventListener("online", () => this.hurry());
  }

  /** Tries at once what waits to be tried again. */
  hurry() {
    for (const wake of this.#waiting.values()) wake();
  }

  invitation = () => this.#call("GET", `/api/take-part/${encodeURIComponent(this.#invitation)}`);

  /** Counts somebody who has not agreed: "opened", "declined", "not_open". In the background; what is not counted is let go. */
  opening = (what) => this.#call("POST", `/api/take-part/${encodeURIComponent(this.#invitation)}/opening`, { what }, true).catch(() => {});

  async consent(given) {
    const { code } = await this.#call("POST", `/api/take-part/${encodeURIComponent(this.#invitation)}/consent`, given);
    this.code = code;
    return code;
  }

  /** The socket of the camera. */
  connect = (stimulus, every_s) => new WatchSocket(this.code, stimulus, every_s);

  me = () => this.#call("GET", "/api/participant");
  answers = (part, answers, through = false) => this.#call("PUT", "/api/participant/answers", { part, answers, through });
  step = (step) => this.#afterNotes("POST", "/api/participant/step", { step });
  films = () => this.#call("GET", "/api/participant/films");
  curve = () => this.#call("GET", "/api/participant/curve");
  /** {blob, name}: a JSON file, or a zip where there are pictures. */
  export = () => this.#call("GET", "/api/participant/export", undefined, false, kept);
  leave = () => this.#afterNotes("POST", "/api/participant/leave");
  erase = () => this.#afterNotes("DELETE", "/api/participant");

  /** Says how the camera is, in the background. */
  cameraIs(state) {
    this.#said = this.#said.then(() => this.#call("POST", "/api/participant/camera", { state }, true)).catch((error) => console.warn(`not noted: ${error.message}`));
    return this.#said;
  }

  /** Notes what happens to the film. One after the other, in the background; a note that the server does not take is let go. */
  event(event, stimulus, film_s) {
    const at_s = (performance.timeOrigin + performance.now()) / 1000;
    const body = { event, stimulus, film_s: Math.max(0, film_s), at_s };
    this.#said = this.#said.then(() => this.#call("POST", "/api/participant/events", body, true)).catch((error) => console.warn(`not noted: ${error.message}`));
    return this.#said;
  }

  /** A call that may end taking part: nothing is noted of who has ended, so what is on its way arrives first. */
  async #afterNotes(method, path, body) {
    this.#urgent += 1;
    this.hurry(); // a note that waits for the server is waited for in sight from here on
    try {
      await this.#said;
      return await this.#call(method, path, body);
    } finally {
      this.#urgent -= 1;
    }
  }

  async #call(method, path, body, quietly = false, read = json) {
    const me = Symbol(path);
    let told = false;
    try {
      for (let tries = 0; ; tries += 1) {
        try {
          return await this.#once(method, path, body, read);
        } catch (error) {
          if (!AWAY.includes(error.status)) throw error;
        }
        const again_s = AGAIN_S[Math.min(tries, AGAIN_S.length - 1)];
        await new Promise((wake) => {
          this.#waiting.set(me, wake);
          told ||= !quietly || this.#urgent > 0;
          if (told) this.#gone(true);
          setTimeout(wake, again_s * 1000);
        });
      }
    } finally {
      this.#waiting.delete(me);
      if (told) this.#gone(false);
    }
  }

  async #once(method, path, body, read) {
    let answer, content;
    try {
      answer = await fetch(path, {
        method,
        headers: {
          Accept: "application/json",
          ...(this.code ? { "X-Participant-Code": this.code } : {}),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit", // whoever is logged in to mien in this browser takes part as anybody else
        cache: "no-store",
        signal: AbortSignal.timeout?.(ANSWER_WITHIN_S * 1000),
      });
      content = answer.ok ? await read(answer) : await answer.text();
    } catch {
      throw new ApiError(0, "gone", "no connection");
    }
    if (!answer.ok) throw errorOf(answer.status, content);
    return content;
  }
}
