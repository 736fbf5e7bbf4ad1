// What is the matter with a live view, and what to do about it, in plain words. Several things can be so at a time.

/** kind: good, warn, bad, or "" for what is merely so. Those above stand first. `text` may be a function of what is passed to `set`. */
export const STATES = {
  insecure: {
    kind: "bad", title: "The camera needs a safe address",
    text: () => `Browsers give pages the camera and the screen only over https, or from the computer itself. This page came from `
      + `${location.origin}. Open it there as http://localhost${location.port ? `:${location.port}` : ""}, or start mien with --share, which speaks https.`,
  },
  unsupported: {
    kind: "bad", title: "This browser cannot do it",
    text: "Open this page in a current Firefox, Chrome, Edge or Safari. Films and pictures can be analysed in this one, too.",
  },
  "no-share": { kind: "", title: "No sharing in this browser", text: "It cannot share a tab, window or screen; phones cannot. The camera works." },
  login: { kind: "bad", title: "You are logged out", text: "Log in again in another tab, then come back here and try again.", actions: [["Log in", "login"], ["Try again", "hurry"]] },
  foreign: { kind: "bad", title: "The server does not accept this page", text: "It came from another address than the server's own. Open mien at the address that it printed when it was started." },
  misunderstood: { kind: "bad", title: "Page and server do not fit together", text: "The server was changed since this page was opened. Load the page again.", actions: [["Load again", "reload"]] },
  "taken-over": { kind: "warn", title: "It goes on in another tab", text: "This live view was opened in another tab or window. You can close this one." },
  full: { kind: "warn", title: "Too many people are watching", text: "The server serves no more live pages at a time. Close one that nobody needs; this page tries again in" , counts: true, actions: [["Try now", "hurry"]] },
  gone: {
    kind: "bad", title: "The server does not answer",
    text: ({ recording }) => recording
      ? "Is mien still running? The recording goes on here: for 30 seconds looks are kept and sent once the server is back. Trying again in"
      : "Is mien still running? It goes on by itself once the server is back. Trying again in",
    counts: true, actions: [["Try now", "hurry"]],
  },
  blocked: { kind: "bad", title: "The live connection does not open", text: "The server answers, but something between here and there (a proxy?) does not let the live connection (a WebSocket) through. Trying again in", counts: true, actions: [["Try now", "hurry"]] },
  slow: { kind: "warn", title: "The server is slow to answer", text: "It may be busy with an analysis. Look less often, or wait for the other to finish." },
  back: { kind: "good", title: "The server is back", text: ({ late }) => late ? `${late === 1 ? "One look" : `${late} looks`} kept here meanwhile ${late === 1 ? "is" : "are"} sent now. Nothing is missing.` : "It goes on." },
  restarted: {
    kind: "good", title: "The server was started anew",
    text: ({ late, recording }) => recording
      ? `The recording goes on where it was.${late ? ` ${late === 1 ? "One look" : `${late} looks`} kept here meanwhile ${late === 1 ? "is" : "are"} sent now.` : ""}`
      : "It goes on. People are numbered from 1 again.",
  },
  lost: { kind: "warn", title: "The recording was closed meanwhile", text: "The server waited for this page, then saved what it had. You can begin a new one.", actions: [["Open what was saved", "result"]] },
  notice: { kind: "warn", title: "The server says", text: ({ words }) => words },

  asking: { kind: "", title: "The browser asks for your permission", text: "Answer its question, near the top of the window. Nothing is seen before that." },
  choosing: { kind: "", title: "Choose what to share", text: "The browser shows your tabs, windows and screens. Nothing is seen before you choose." },
  refused: { kind: "bad", title: "The camera is not allowed", text: "Press the camera or lock sign beside this page's address, allow the camera, and start it again.", actions: [["Start the camera", "camera"]] },
  "refused-by-system": { kind: "bad", title: "The system does not allow the camera", text: "Allow this browser the camera in the system's privacy settings, and start it again.", actions: [["Start the camera", "camera"]] },
  "no-camera": { kind: "bad", title: "No camera was found", text: "Plug one in; then start it. Or share a tab, window or screen.", actions: [["Start the camera", "camera"]] },
  "camera-busy": { kind: "bad", title: "Another program uses the camera", text: "Close the other program or its video call; then start the camera again.", actions: [["Start the camera", "camera"]] },
  "camera-failed": { kind: "bad", title: "The camera does not start", text: ({ words }) => `The browser says: ${words}. Unplug it and plug it in again, or choose another one.`, actions: [["Start the camera", "camera"]] },
  unplugged: { kind: "bad", title: "The camera is gone", text: ({ recording }) => `Plug it in again, or choose another one, and start it.${recording ? " The recording waits for you; stop it if that was all." : ""}`, actions: [["Start the camera", "camera"]] },
  "share-refused": { kind: "warn", title: "Nothing is shared", text: "You closed the choice, or the system does not let this browser see the screen. Share again to choose.", actions: [["Share", "screen"]] },
  "share-failed": { kind: "bad", title: "Sharing does not start", text: ({ words }) => `The browser says: ${words}. Try another window or tab.`, actions: [["Share", "screen"]] },
  "share-ended": { kind: "warn", title: "Sharing has ended", text: ({ recording }) => `You stopped it, or the window was closed.${recording ? " The recording waits for you: share again, or stop it." : " Share again to go on."}`, actions: [["Share", "screen"]] },
  "no-picture": { kind: "warn", title: "No picture comes", text: "The camera is on but sends nothing. Is its cover shut, or the laptop's lid?" },

  returned: { kind: "warn", title: "Your recording waits", text: ({ kind }) => kind === "screen" ? "This page was loaded again while it was recording. Share again to go on, or stop and save." : "This page was loaded again while it was recording. Start the camera to go on, or stop and save.", actions: [] },
  interrupted: { kind: "warn", title: "A recording was interrupted here", text: "This page was away for too long, so the recording was closed and what it had was saved.", actions: [["All analyses", "analyses"]] },
  paused: { kind: "", title: "The recording is paused", text: "What is seen now is shown but not recorded. Press Go on to record again." },
  saving: { kind: "", title: "Saving", text: "The result is being made; its page opens by itself.", busy: true },
  saved: { kind: "good", title: "Saved", text: "The result opens now.", actions: [["Open the result", "result"]] },
  "not-saved": { kind: "bad", title: "The recording could not be made into a result", text: ({ words }) => words, actions: [["Open its page", "result"]] },
  problem: { kind: "bad", title: "The server did not take that", text: ({ words }) => words },

  dark: { kind: "warn", title: "It is too dark", text: "Expressions read in the dark are worth little. Put a light before the face, not behind it." },
  "no-face": { kind: "warn", title: "No face is seen", text: "Come closer, face the camera, or mark the part of the picture where the face is." },
  several: { kind: "", title: "Several faces", text: ({ faces }) => `${faces} people are followed, each with a number. The chart shows their mean; choose one beside it.` },
  hidden: { kind: "", title: "This tab is in the background", text: "mien goes on looking. Only the drawing waits until you are back." },
  "was-hidden": { kind: "", title: "You were in another tab", text: ({ looks, s }) => `mien went on looking: ${looks === 1 ? "one look" : `${looks} looks`} in ${s} s.${looks < 1 ? " Your browser stops pages in the background: keep this one in a window of its own." : ""}` },
  "not-started": { kind: "", title: "Nothing is seen yet", text: "Start the camera or share a tab, window or screen." },
};

const ICONS = {
  "": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v2h-2zm0 4h2v6h-2z",
  good: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.6 14.6L6 12.2l1.5-1.5 2.9 2.9 6-6L17.9 9z",
  warn: "M12 2 1 21h22zm-1 7h2v6h-2zm0 8h2v2h-2z",
  bad: "M8 2 2 8v8l6 6h8l6-6V8l-6-6zm3 5h2v7h-2zm0 9h2v2h-2z",
};

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[kind]);
  path.setAttribute("fill", "currentColor");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

export class States {
  #element; #act; #shown = new Map(); #timers = new Map();

  /** Shows states in `element`, a live region; `act(name)` is called when a button of one is pressed. */
  constructor(element, act) {
    this.#element = element;
    this.#act = act;
  }

  has(name) {
    return this.#shown.has(name);
  }

  /** Shows a state; `about` fills its text; for `for_s` seconds only, where given. */
  set(name, about = {}, for_s = null) {
    clearTimeout(this.#timers.get(name));
    if (for_s !== null) this.#timers.set(name, setTimeout(() => this.clear(name), for_s * 1000));
    const state = STATES[name];
    const words = typeof state.text === "function" ? state.text(about) : state.text;
    const shown = this.#shown.get(name);
    if (shown) {
      const place = shown.querySelector(".words");
      if (place.textContent !== words) place.textContent = words;
      return;
    }
    const row = document.createElement("div");
    row.className = `notice live-state ${state.kind}`;
    row.dataset.state = name;
    const body = document.createElement("p");
    const title = document.createElement("strong");
    title.textContent = `${state.title}. `;
    const text = document.createElement("span");
    text.className = "words";
    text.textContent = words;
    body.append(title, text);
    if (state.counts) {
      // Not read out: a screen reader would speak every second.
      const left = document.createElement("span");
      left.className = "left tabular";
      left.setAttribute("aria-hidden", "true");
      body.append(left);
    }
    row.append(state.busy ? Object.assign(document.createElement("span"), { className: "spin" }) : icon(state.kind), body);
    for (const [label, action] of state.actions ?? []) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: label });
      button.addEventListener("click", () => this.#act(action));
      row.append(button);
    }
    this.#shown.set(name, row);
    const order = Object.keys(STATES);
    const after = [...this.#element.children].find((other) => order.indexOf(other.dataset.state) > order.indexOf(name));
    this.#element.insertBefore(row, after ?? null);
  }

  /** Sets or clears: `when("dark", isDark)`. */
  when(name, so, about) {
    if (so) this.set(name, about);
    else this.clear(name);
  }

  clear(...names) {
    for (const name of names) {
      this.#shown.get(name)?.remove();
      this.#shown.delete(name);
    }
  }

  /** The seconds left, behind a state that counts. */
  count(name, seconds) {
    const place = this.#shown.get(name)?.querySelector(".left");
    if (place) place.textContent = ` ${Math.max(0, Math.ceil(seconds))} s.`;
  }

  get names() {
    return [...this.#shown.keys()];
  }
}
