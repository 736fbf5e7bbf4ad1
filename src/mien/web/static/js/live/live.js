// The live page: what is on it, put together. Nothing is measured, drawn or sent here.

import { api } from "../shared/api.js";
import { chips, dot, unclear } from "/static/mien/emotions.js";
import { count, several } from "/static/mien/format.js";
import { CaptureError, Grabber, cameras, canShare, hindrance, openCamera, openScreen } from "../capture/camera.js";
import { Chart, EVERYBODY } from "./chart.js";
import { Counts } from "../capture/counts.js";
import { Overlay } from "../capture/draw.js";
import { Pace } from "../capture/pace.js";
import { Region } from "./region.js";
import { LiveSocket } from "../capture/live-socket.js";
import { States } from "../capture/states.js";

const NO_FACE_S = 2, DARK_S = 1, STILL_S = 4, BACK_S = 6;
const RETURN_S = 30; // the server waits so long; `limits.return_s` says it better once it has spoken
const PREFERENCES = "mien.live.preferences", RECORDING = "mien.live.recording";

const $ = (id) => document.getElementById(id);
const page = $("live"), stage = $("stage"), video = $("video");
const now_s = () => (performance.timeOrigin + performance.now()) / 1000; // rises over a reload of the page, too

const counts = new Counts();
const grabber = new Grabber();
const overlay = new Overlay($("overlay"));
const chart = new Chart($("chart"));
const states = new States($("states"), act);
const pace = new Pace(video, due);
const region = new Region(
  stage, $("region"), { x: $("part-x"), y: $("part-y"), width: $("part-width"), height: $("part-height") }, regionChanged,
);

let source = null; // {kind, stream, name}
let opening = false; // a permission is being asked for
let socket = null;
let taking = 0; // pictures that are being encoded
let waiting = false; // a look is due and there is no room for it yet
let labels = [];
let legend = null;
let recording = { state: "none", job: null, base_s: 0, base_ms: 0, looks: 0, last_s: 0 };
let seen_ms = 0, light_ms = 0, last_ms = 0, frame_ms = 0; // when a face, enough light, an answer, a frame of the source was last there
let last = null; // the newest answer
let again_ms = 0; // when the socket tries again
let return_s = RETURN_S;
let hidden = null; // {ms, answered} when the tab went to the background
let leaving = false;

// --- what the person likes ------------------------------------------------------------------------------------------------------

const stored = (store, key) => {
  try {
    return JSON.parse(store.getItem(key)) ?? {};
  } catch {
    return {};
  }
};
const store = (place, key, value) => {
  try {
    place.setItem(key, JSON.stringify(value));
  } catch {
    // a browser that stores nothing: then it is not remembered
  }
};

const preferences = { camera: "", every_s: 0.2, mirror: true, turned: false, bars: true, ...stored(localStorage, PREFERENCES) };
$("every").value = String(preferences.every_s);
if (!$("every").value) $("every").value = "0.2";
$("mirror").checked = preferences.mirror;
$("turned").checked = preferences.turned;
$("bars").checked = preferences.bars;

function prefer() {
  preferences.every_s = Number($("every").value);
  preferences.bars = $("bars").checked;
  // A mirror is for one's own face: writing on a shared screen would be the wrong way round, and no screen hangs upside down.
  if (source?.kind !== "screen") Object.assign(preferences, { mirror: $("mirror").checked, turned: $("turned").checked });
  store(localStorage, PREFERENCES, preferences);
  show();
}
for (const id of ["every", "mirror", "turned", "bars"]) $(id).addEventListener("change", prefer);

// --- source ---------------------------------------------------------------------------------------------------------------------

async function listCameras() {
  const found = await cameras();
  const select = $("camera");
  select.replaceChildren(new Option("The browser’s choice", ""), ...found.map(({ id, name }) => new Option(name, id)));
  select.value = found.some(({ id }) => id === preferences.camera) ? preferences.camera : "";
  $("camera-field").hidden = found.length < 2 && !found.some(({ id }) => id === preferences.camera);
  return found;
}

async function start(kind) {
  if (opening) return;
  opening = true;
  states.clear(
    "refused", "refused-by-system", "no-camera", "camera-busy", "camera-failed", "unplugged", "share-refused", "share-failed", "share-ended",
    "returned", "interrupted",
  );
  states.set(kind === "camera" ? "asking" : "choosing");
  show();
  try {
    const stream = kind === "camera" ? await openCamera(preferences.camera) : await openScreen();
    await begin(kind, stream);
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    states.set(error.state, { words: error.message });
  } finally {
    opening = false;
    states.clear("asking", "choosing");
    show();
    moveFocus(source ? $("end") : $("start-camera"));
  }
}

async function begin(kind, stream) {
  const carriesOn = source === null && recording.state !== "none"; // after the camera was gone, or the page loaded again
  release();
  const [track] = stream.getVideoTracks();
  source = { kind, stream, name: track.label || (kind === "camera" ? "Camera" : "Screen") };
  track.addEventListener("ended", () => source?.stream === stream && ended());
  video.srcObject = stream;
  video.hidden = false;
  await video.play();
  if (!carriesOn) {
    region.region = null;
    chart.clear();
    connect(kind);
  }
  seen_ms = light_ms = frame_ms = performance.now();
  last = null;
  pace.start();
  remember();
  listCameras().then((found) => {
    const id = track.getSettings().deviceId;
    if (kind !== "camera" || !found.some((camera) => camera.id === id)) return;
    preferences.camera = $("camera").value = id;
    store(localStorage, PREFERENCES, preferences);
  });
}

/** Lets go of the camera or the screen; the socket stays. */
function release() {
  pace.stop();
  if (waiting) counts.droppedHere += 1;
  waiting = false;
  for (const track of source?.stream.getTracks() ?? []) track.stop();
  source = null;
  video.srcObject = null;
  video.hidden = true;
  overlay.show(null);
  last = null;
  region.marking = false;
  states.clear("no-face", "dark", "several", "no-picture", "hidden");
}

/** The camera was unplugged, or the person ended the sharing. */
function ended() {
  const { kind } = source;
  turnOff();
  states.set(kind === "camera" ? "unplugged" : "share-ended", { recording: recording.state !== "none" });
}

function turnOff() {
  release();
  if (document.activeElement === $("end")) queueMicrotask(() => moveFocus($("start-camera")));
  if (recording.state === "none") {
    socket?.close();
    socket = null;
    states.clear("gone", "blocked", "full", "slow", "back");
  }
  show();
}

video.addEventListener("resize", show);
video.addEventListener("loadedmetadata", show);
video.addEventListener("timeupdate", () => (frame_ms = performance.now()));
navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
  const found = await listCameras();
  if (states.has("unplugged") && found.some(({ id }) => id === preferences.camera)) start("camera");
});
$("camera").addEventListener("change", () => {
  preferences.camera = $("camera").value;
  store(localStorage, PREFERENCES, preferences);
  if (source?.kind === "camera") start("camera");
});

// --- looks ----------------------------------------------------------------------------------------------------------------------

const upright = () => (source?.kind === "screen" ? false : $("turned").checked);

function due() {
  if (!socket || (socket.link !== "open" && !socket.keeping) || socket.stopping || !video.videoWidth) return;
  if (recording.state === "saving") return; // the machine has the result to make, and this page is about to be left
  counts.captured += 1;
  if (taking < socket.room) take();
  else {
    if (waiting) counts.droppedHere += 1;
    waiting = true;
  }
}

async function take() {
  const to = socket;
  taking += 1;
  const captured_s = now_s();
  try {
    const { bytes } = await grabber.grab(video, { kind: source.kind, region: region.region, turned: upright() });
    to.give({ captured_s, bytes });
  } catch (error) {
    // The source went away between the due time and the picture.
    counts.droppedHere += 1;
    if (source) console.warn(`no picture: ${error}`);
  } finally {
    taking -= 1;
  }
  if (waiting) room();
}

function room() {
  if (!waiting || !socket || !source || taking >= socket.room) return;
  waiting = false;
  take();
}

// --- server ---------------------------------------------------------------------------------------------------------------------

function connect(kind, resume = null) {
  socket?.close();
  socket = new LiveSocket(counts, { source: kind, name: source?.name ?? "" }, resume);
  const mine = socket;
  const on = (type, handler) => socket.addEventListener(type, (event) => socket === mine && handler(event.detail));
  on("link", linked);
  on("ready", ready);
  on("faces", faces);
  on("recording", recordingSaid);
  on("problem", ({ error }) => states.set("problem", { words: error.message }, 10));
  on("room", room);
  socket.open();
}

function linked({ state, again_s, refusal, full, tries }) {
  if (state === "waiting") {
    again_ms = performance.now() + again_s * 1000;
    states.clear("back", "restarted", "slow");
    if (full) states.set("full");
    else if (!states.has("blocked")) states.set("gone", { recording: recording.state === "recording" });
    if (tries === 2) whyGone();
    states.count("full", again_s);
  } else if (state === "refused") {
    states.clear("gone", "blocked", "full");
    states.set(refusal);
  } else if (state === "open") {
    states.clear("login", "full", "problem");
  }
  show();
}

/** The server may answer, and only the socket not get through. */
async function whyGone() {
  try {
    await api("GET", "/api/info");
  } catch (error) {
    if (error.status === 0) return;
  }
  if (socket?.link === "open" || !states.has("gone")) return;
  states.clear("gone");
  states.set("blocked");
}

function ready({ labels: names, recording: running, limits, notice, resumed, first, lost, restarted, late }) {
  return_s = limits?.return_s ?? return_s;
  if (names.join() !== labels.join()) {
    labels = names;
    overlay.labels = chart.labels = names;
    legend = chips(names, (shown) => {
      chart.shown = shown;
      chart.draw(now_s());
    });
    $("legend").replaceChildren(legend.element);
  }
  const was = states.has("gone") || states.has("blocked");
  states.clear("gone", "blocked", "full", "slow");
  if (lost) {
    recordingEnded();
    states.set("lost");
  } else if (running) recordingSaid({ ...running, type: "recording" });
  else if (recording.state !== "none" && !resumed) recordingEnded();
  if (notice && !restarted && !lost) states.set("notice", { words: notice }, 20);
  else if (was && !first && !lost) states.set(restarted ? "restarted" : "back", { late, recording: recording.state !== "none" }, BACK_S);
  show();
}

function faces(answer) {
  const now_ms = performance.now(), captured_ms = answer.captured_s * 1000 - performance.timeOrigin;
  last = answer;
  last_ms = now_ms;
  if (answer.faces.length) seen_ms = now_ms;
  if (!answer.dark) light_ms = now_ms;
  chart.break_s = Math.max(1, 2.5 * pace.every_s);
  chart.add(answer.captured_s, answer.faces);
  if (answer.recorded) recordedLook(answer);
  if (answer.late || !source) return; // its place on the picture is history
  if (document.visibilityState === "hidden") return;
  requestAnimationFrame(() => {
    if (last !== answer) return; // a newer one came between two drawings of the screen and is drawn instead
    overlay.show(answer, captured_ms);
    counts.drawn(performance.now() - captured_ms);
  });
}

// --- recording ------------------------------------------------------------------------------------------------------------------

$("record").addEventListener("click", () => {
  socket.record("start", { keep_film: $("keep-film").checked, name: $("name").value.trim() || null, every_s: pace.every_s });
  $("record").disabled = true;
});
$("pause").addEventListener("click", () => {
  socket.record(recording.state === "paused" ? "resume" : "pause");
});
$("stop").addEventListener("click", () => {
  if (recording.state === "paused" && !source) pace.stop();
  socket.record("stop");
  show();
});

function recordingSaid({ state, job, rows, duration_s, error, note }) {
  const before = recording.state;
  recording = { ...recording, state, job, base_s: duration_s, base_ms: performance.now(), looks: rows };
  states.when("paused", state === "paused");
  states.when("saving", state === "saving");
  if (state === "saving") overlay.show((last = null));
  if (state === "recording" || state === "paused") remember();
  if (before !== state && state === "saving") ask(job);
  if (state === "done") done(job);
  if (state === "failed") {
    recordingEnded();
    states.set("not-saved", { words: error ?? note ?? "The server does not say why." });
  }
  show();
  if (before === "none") moveFocus($("pause"));
}

function recordedLook({ time_s }) {
  recording.looks += 1;
  recording.base_s = time_s;
  recording.base_ms = performance.now();
}

/** The word that all is saved could be lost with the socket: ask, too. */
async function ask(job) {
  while (recording.state === "saving" && recording.job === job) {
    await new Promise((done) => setTimeout(done, 1500));
    try {
      const { state, error } = await api("GET", `/api/jobs/${encodeURIComponent(job)}`);
      if (recording.state === "saving" && ["done", "failed"].includes(state)) recordingSaid({ state, job, rows: recording.looks, duration_s: recording.base_s, error });
    } catch {
      // gone or busy: ask again
    }
  }
}

function done(job) {
  recordingEnded();
  states.clear("saving");
  states.set("saved");
  leaving = true;
  setTimeout(() => location.assign(`/analyses/${encodeURIComponent(job)}`), 600);
}

function recordingEnded() {
  recording = { ...recording, state: "none", base_s: 0, looks: 0, last_s: 0 };
  states.clear("paused", "saving", "returned");
  try {
    sessionStorage.removeItem(RECORDING);
  } catch {
    // as in `stored`
  }
  if (!source) turnOff();
}

/** What a page that is loaded again needs to go on with its recording. */
function remember() {
  if (recording.state === "none" || !socket?.live) return;
  const kind = source?.kind ?? stored(sessionStorage, RECORDING).kind;
  store(sessionStorage, RECORDING, { live: socket.live, job: recording.job, kind, region: region.region, turned: $("turned").checked, at_s: Date.now() / 1000, return_s });
}

/** Goes on with a recording that ran when this page was left. */
function comeBack() {
  const was = stored(sessionStorage, RECORDING);
  if (!was.live) return;
  sessionStorage.removeItem(RECORDING);
  if (Date.now() / 1000 - was.at_s > (was.return_s ?? RETURN_S)) {
    recording.job = was.job;
    states.set("interrupted");
    return;
  }
  recording = { ...recording, state: "recording", job: was.job, base_ms: performance.now() };
  $("turned").checked = was.turned;
  region.region = was.region;
  connect(was.kind, was.live);
  socket.recording = "recording";
  states.set("returned", { kind: was.kind });
  if (was.kind === "camera") start("camera");
}

addEventListener("beforeunload", (event) => {
  if (recording.state !== "none" && !leaving) event.preventDefault();
});
addEventListener("pagehide", () => {
  remember();
  for (const track of source?.stream.getTracks() ?? []) track.stop();
});
addEventListener("pageshow", (event) => event.persisted && location.reload());

// --- buttons --------------------------------------------------------------------------------------------------------------------

function act(name) {
  const acts = {
    camera: () => start("camera"),
    screen: () => start("screen"),
    hurry: () => (socket?.link === "refused" ? socket.open() : socket?.hurry()),
    reload: () => location.reload(),
    login: () => window.open("/login", "_blank", "noopener"),
    result: () => location.assign(`/analyses/${encodeURIComponent(recording.job ?? "")}`),
    analyses: () => location.assign("/analyses"),
  };
  acts[name]();
}
$("start-camera").addEventListener("click", () => start("camera"));
$("start-screen").addEventListener("click", () => start("screen"));
$("other").addEventListener("click", () => start(source?.kind === "camera" ? "screen" : "camera"));
$("end").addEventListener("click", turnOff);
$("mark").addEventListener("click", () => {
  region.marking = !region.marking;
  show();
  if (region.marking) $("region").focus();
});
$("whole").addEventListener("click", () => {
  region.region = null;
  regionChanged();
});

function regionChanged() {
  overlay.show(null); // boxes of the part that was looked at before
  last = null;
  seen_ms = performance.now();
  show();
}

$("who").addEventListener("change", () => {
  chart.chosen = $("who").value === EVERYBODY ? EVERYBODY : Number($("who").value);
  chart.draw(now_s());
});

// --- what is shown --------------------------------------------------------------------------------------------------------------

/** Brings buttons, picture and settings in line with what is so. */
function show() {
  const on = source !== null, idle = recording.state === "none", screen = source?.kind === "screen", blocked = hindrance();
  page.dataset.link = socket?.link ?? "closed";
  page.dataset.recording = recording.state;
  page.dataset.source = source?.kind ?? "none";
  stage.classList.toggle("idle", !on);
  $("empty").hidden = on;
  $("overlay").hidden = !on;
  stage.style.setProperty("--ratio", String(on && video.videoWidth ? video.videoWidth / video.videoHeight : 16 / 9));
  const mirror = on && !screen && $("mirror").checked;
  video.style.transform = `${mirror ? "scaleX(-1)" : ""}${upright() ? " rotate(180deg)" : ""}` || "none";
  region.mirror = overlay.mirror = mirror;
  overlay.region = region.region;
  overlay.bars = $("bars").checked;
  overlay.draw();
  region.show();
  if (!on) $("region").hidden = true;
  pace.every_s !== Number($("every").value) && (pace.every_s = Number($("every").value));

  $("start-camera").disabled = $("start-screen").disabled = opening || Boolean(blocked);
  if (!canShare()) $("start-screen").disabled = true;
  $("tools").hidden = !on;
  $("part").hidden = !on || !region.marking;
  $("mark").setAttribute("aria-pressed", String(region.marking));
  $("mark").textContent = region.marking ? "Done marking" : "Mark a part";
  $("whole").hidden = !region.region || !idle;
  $("mark").hidden = !idle;
  if (!idle && region.marking) region.marking = false;
  $("end").textContent = screen ? "Stop sharing" : "Turn the camera off";
  $("other").textContent = screen ? "Use the camera instead" : "Share instead";
  $("other").hidden = !idle || (!screen && !canShare());
  $("end").hidden = !idle;
  $("mirror").disabled = on && screen;
  $("turned").disabled = !idle || (on && screen);
  $("camera").disabled = !idle && on;
  $("locked").hidden = idle;

  const open = socket?.link === "open", stopping = socket?.stopping || recording.state === "saving";
  $("record").hidden = !idle;
  $("record").disabled = !on || !open;
  $("record-hint").hidden = !idle || (on && open);
  $("record-hint").textContent = on ? "Waiting for the server." : "Start the camera or share something first.";
  $("record-options").hidden = !idle;
  $("pause").hidden = $("stop").hidden = idle || stopping;
  $("pause").textContent = recording.state === "paused" ? "Go on" : "Pause";
  $("pause").disabled = !open;
  $("clock").hidden = idle;
  $("recording-light").hidden = !on || !["recording", "paused"].includes(recording.state);
  $("recording-light").classList.toggle("paused", recording.state === "paused");
  $("light-words").textContent = recording.state === "paused" ? "Paused" : "Recording";
  document.title = `${recording.state === "recording" ? "● " : ""}Live · mien`;
  showClock();
}

/** Whoever works by keyboard goes on from `target` where the button that was pressed is gone. */
function moveFocus(target) {
  const now = document.activeElement;
  if (now === null || now === document.body || now.disabled || now.offsetParent === null) target.focus({ preventScroll: true });
}

function showClock() {
  if (recording.state === "none") return;
  const running = recording.state === "recording" && source && recording.looks > 0;
  const since_s = running ? Math.min((performance.now() - recording.base_ms) / 1000, 2 * Math.max(pace.every_s, return_s)) : 0;
  // Never back: an answer that comes late tells of an earlier time than the clock shows.
  recording.last_s = Math.max(recording.base_s + since_s, recording.last_s ?? 0);
  const s = Math.floor(recording.last_s), two = (n) => String(n).padStart(2, "0");
  $("clock-time").textContent = s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  $("clock-looks").textContent = several(recording.looks, "look");
}

function showPeople() {
  const list = $("people"), present = source && last && performance.now() - last_ms < Math.max(2, 2.5 * pace.every_s) * 1000 ? last.faces : [];
  const items = new Map([...list.children].map((item) => [item.dataset.track, item]));
  for (const face of [...present].sort((a, b) => a.track - b.track)) {
    const key = String(face.track), words = face.expression ? `${face.expression} ${Math.round(face.smoothed[labels.indexOf(face.expression)] * 100)}%` : unclear(face);
    let item = items.get(key);
    items.delete(key);
    if (!item) {
      item = document.createElement("li");
      item.dataset.track = key;
      const name = document.createElement("span"), value = document.createElement("strong");
      name.textContent = `Face ${key}`;
      value.className = "num";
      item.append(dot(face.expression), name, value);
      list.append(item);
    }
    const value = item.querySelector("strong");
    if (value.textContent === words) continue;
    value.textContent = words;
    item.querySelector("i").replaceWith(dot(face.expression));
  }
  for (const item of items.values()) item.remove();
  $("nobody").hidden = list.children.length > 0;
  $("nobody").textContent = source ? "Nobody is seen." : "Nobody.";

  const people = chart.people, select = $("who");
  const wanted = [EVERYBODY, ...people.map(String)];
  if (chart.chosen !== EVERYBODY && !people.includes(chart.chosen)) wanted.push(String(chart.chosen));
  if ([...select.options].map((option) => option.value).join() !== wanted.join() && document.activeElement !== select) {
    select.replaceChildren(...wanted.map((key) => new Option(key === EVERYBODY ? "Everybody’s mean" : `Face ${key}`, key)));
    select.value = String(chart.chosen);
  }
}

function showCounts() {
  const { captured, answered, droppedHere, droppedThere, median_ms, p95_ms } = counts.stats();
  const rate = source ? counts.perSecond(performance.now()) : 0, ms = (value) => (value === null ? "–" : `${Math.round(value)} ms`);
  const left = droppedHere + droppedThere;
  $("pulse").textContent = source && answered ? `${rate.toFixed(1)} looks a second · answer in ${ms(median_ms)} · ${left ? count(left) : "none"} left out` : "";
  $("count-rate").textContent = rate ? rate.toFixed(1) : "–";
  $("count-median").textContent = ms(median_ms);
  $("count-p95").textContent = ms(p95_ms);
  const numbers = { captured, answered, here: droppedHere, there: droppedThere, kept: socket?.kept ?? 0 };
  for (const [name, n] of Object.entries(numbers)) $(`count-${name}`).textContent = count(n);
}

function showStates() {
  const now_ms = performance.now(), looking = source && socket?.link === "open" && document.visibilityState === "visible";
  const patience_ms = Math.max(NO_FACE_S, 2.2 * pace.every_s) * 1000;
  const answered = looking && last && now_ms - last_ms < patience_ms;
  const dark = Boolean(answered && now_ms - light_ms > Math.max(DARK_S, 1.2 * pace.every_s) * 1000);
  states.when("dark", dark);
  states.when("no-face", answered && !last.faces.length && !dark && now_ms - seen_ms >= NO_FACE_S * 1000);
  states.when("several", answered && last.faces.length > 1, { faces: last?.faces.length });
  const track = source?.stream.getVideoTracks()[0];
  states.when("no-picture", source?.kind === "camera" && (track.muted || (looking && now_ms - frame_ms > STILL_S * 1000)));
  states.when("slow", looking && !!last && now_ms - last_ms > Math.max(2, 2 * pace.every_s + 1) * 1000 && !states.has("no-picture"));
  for (const name of ["gone", "blocked", "full"]) states.count(name, (again_ms - now_ms) / 1000);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    hidden = { ms: performance.now(), answered: counts.answered };
    if (source) states.set("hidden");
    return;
  }
  states.clear("hidden");
  const s = hidden ? (performance.now() - hidden.ms) / 1000 : 0;
  if (source && s > 2) states.set("was-hidden", { looks: counts.answered - hidden.answered, s: Math.round(s) }, BACK_S);
  hidden = null;
  light_ms = seen_ms = frame_ms = performance.now();
  chart.draw(now_s());
});

let tick = 0;
setInterval(() => {
  tick += 1;
  showStates();
  showClock();
  overlay.draw();
  if (document.visibilityState === "visible" && (source || recording.state !== "none")) chart.draw(now_s());
  if (tick % 4) return;
  showPeople();
  showCounts();
  const values = chart.latest(now_s());
  legend?.read(values && Object.fromEntries(labels.map((label, k) => [label, values[k]])));
  if (recording.state !== "none") remember();
  if (tick % 20 === 0 && source) $("chart").setAttribute("aria-label", chart.sentence(now_s()));
}, 250);

// For tests and for whoever wants to see the numbers.
window.mienLive = {
  stats: () => ({ ...counts.stats(), kept: socket?.kept ?? 0, waiting, taking, per_second: counts.perSecond(performance.now()) }),
  get state() {
    return { link: socket?.link ?? "closed", live: socket?.live ?? null, recording: { ...recording }, source: source?.kind ?? null, states: states.names, region: region.region, faces: last?.faces ?? [] };
  },
  get stream() {
    return source?.stream ?? null;
  },
};

const obstacle = hindrance();
if (obstacle) states.set(obstacle);
else {
  if (!canShare()) states.set("no-share");
  listCameras();
  comeBack();
}
show();
