// The page before the audience: camera, recording, the film's clock and the rooms, put together.

import { api } from "../shared/api.js";
import { several } from "/static/mien/format.js";
import { hindrance } from "../capture/camera.js";
import { States } from "../capture/states.js";
import { CaptureError, RoomCamera, now_s } from "./camera.js";
import { FilmClock } from "./clock.js";
import { RoomList } from "./list.js";
import { sending } from "./send.js";
import { hint, seenNow } from "./words.js";

const SAVE_EVERY_MS = 5000; // so much of the film's clock is lost at most with a page that is killed while the film runs
const SCREEN_GONE_MS = 4000, STILL_S = 4;
const KEPT = "mien.room.recording";

const $ = (id) => document.getElementById(id);
const study = JSON.parse($("room-data").textContent);
const path = `/api/studies/${encodeURIComponent(study.id)}/rooms`;
const page = $("room"), stage = $("stage"), video = $("video");

const camera = new RoomCamera(video, $("overlay"), study.every_s);
const states = new States($("states"), act);
const channel = new BroadcastChannel(`mien.room.${study.id}`);
const list = new RoomList(study.id, study.stimuli, $("rooms"), $("none"), roomsRead);
const others = sending(path, () => ($("agreed").checked && stimulus() ? { stimulus: stimulus().id, label: $("label").value.trim() } : null), () => {
  list.read();
  others.read(taken);
});

let opening = false;
let leaving = false;
let recording = { state: "none", job: null, time_s: 0, looks: 0, at_ms: 0 };
let room = null; // the number of the room that this recording becomes
let telling = false; // the room is being told to the server
let clock = new FilmClock();
let unsaved = false, saving = false, saved_ms = 0;
let last = null, last_ms = 0, frame_ms = 0, again_ms = 0;
let screen = { there: false, seen_ms: 0, running: false };
let taken = new Set(); // recordings that rooms are made of
let awaited = null; // the number of a room that this page recorded and that is being taken in

const stimulus = () => study.stimuli.find(({ id }) => id === $("stimulus").value) ?? null;
const byMien = () => stimulus()?.kind === "film" && $("how-mien").checked;
/** This moment in seconds of the recording; null before its first look. */
const recorded_s = (at_s = now_s()) => (camera.origin_s === null ? null : Math.max(0, at_s - camera.origin_s));

// --- camera ---------------------------------------------------------------------------------------------------------------------

async function start() {
  if (opening) return;
  opening = true;
  states.clear("refused", "refused-by-system", "no-camera", "camera-busy", "camera-failed", "unplugged", "returned");
  states.set("asking");
  show();
  try {
    const id = await camera.start($("camera").value);
    last = null;
    frame_ms = performance.now();
    await listCameras(id);
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    states.set(error.state, { words: error.message });
  } finally {
    opening = false;
    states.clear("asking");
    show();
  }
}

async function listCameras(id = $("camera").value) {
  const found = await camera.cameras();
  $("camera").replaceChildren(new Option("The browser’s choice", ""), ...found.map(({ id, name }) => new Option(name, id)));
  $("camera").value = found.some((one) => one.id === id) ? id : "";
  $("camera-field").hidden = found.length < 2;
}

$("start-camera").addEventListener("click", start);
$("camera").addEventListener("change", () => camera.stream && start());
$("end").addEventListener("click", () => {
  camera.close();
  states.clear("gone", "blocked", "full", "no-picture");
  show();
});
video.addEventListener("timeupdate", () => (frame_ms = performance.now()));
for (const type of ["resize", "loadedmetadata"]) video.addEventListener(type, show);
camera.addEventListener("ended", () => {
  states.set("unplugged", { recording: recording.state === "recording" });
  show();
});

// --- what the server says -------------------------------------------------------------------------------------------------------

camera.addEventListener("faces", ({ detail }) => {
  last = detail;
  last_ms = performance.now();
  if (!detail.recorded) return;
  recording.looks += 1;
  recording.time_s = detail.time_s;
  recording.at_ms = performance.now();
  if (recording.looks === 1) {
    ask();
    show();
  }
});
camera.addEventListener("recording", ({ detail }) => {
  const before = recording.state;
  recording = { ...recording, state: detail.state, job: detail.job, looks: detail.rows, time_s: detail.duration_s, at_ms: performance.now() };
  if (before === "none" && detail.state === "recording" && room === null) tellRoom();
  if (detail.state === "saving") ended();
  if (["done", "failed"].includes(detail.state)) ended(true);
  remember();
  show();
});
camera.addEventListener("link", ({ detail }) => {
  const { state, again_s, refusal, full } = detail;
  if (state === "waiting") {
    again_ms = performance.now() + again_s * 1000;
    states.set(full ? "full" : "gone", { recording: recording.state === "recording" });
  } else if (state === "refused") {
    states.clear("gone", "full");
    states.set(refusal);
  }
  show();
});
camera.addEventListener("ready", ({ detail }) => {
  const was = states.has("gone");
  states.clear("gone", "full", "login");
  if (detail.lost || (recording.state === "recording" && !detail.recording)) {
    states.set("lost-room");
    ended(true);
  } else if (detail.recording) {
    recording = { ...recording, state: detail.recording.state, job: detail.recording.job, looks: detail.recording.rows, time_s: detail.recording.duration_s };
    if (room === null && recording.state === "recording") tellRoom();
    if (was && !detail.first) states.set(detail.restarted ? "restarted" : "back", { late: detail.late, recording: true }, 6);
  }
  show();
});
camera.addEventListener("problem", ({ detail }) => states.set("problem", { words: detail.error.message }, 10));

// --- recording ------------------------------------------------------------------------------------------------------------------

$("record").addEventListener("click", () => {
  room = null;
  clock = new FilmClock();
  unsaved = false;
  states.clear("room-ready", "room-not-ready", "no-mark", "screen-gone", "screen-refused");
  const label = $("label").value.trim();
  camera.record(`In a room: ${study.title}${label ? `, ${label}` : ""}`.slice(0, 120));
  $("record").disabled = true;
});
$("stop").addEventListener("click", () => {
  const at_s = recorded_s();
  if (at_s !== null && clock.running) clock.stand(at_s);
  if (clock.begun) changed();
  if (byMien()) post("pause");
  camera.finish();
  show();
});

/** Says what the recording is for, while it runs: then it becomes a room, whatever happens to this page. */
async function tellRoom() {
  if (telling || room !== null || !recording.job) return;
  telling = true;
  const asked = { job: recording.job, stimulus: stimulus().id, label: $("label").value.trim(), agreed: true, clock: [] };
  try {
    room = (await api("POST", path, asked)).name;
    states.clear("room-failed");
    remember();
    list.read();
    if (clock.begun) changed();
  } catch (error) {
    states.set("room-failed", { words: error.message });
    setTimeout(() => recording.state !== "none" && tellRoom(), 3000);
  }
  telling = false;
}

/** The recording is over: what the server makes of it is read in the list. */
function ended(over = false) {
  if (room !== null && awaited !== room) {
    awaited = room;
    states.set("room-taking");
    if (!clock.begun) states.set("no-mark");
    list.read();
  }
  if (!over) return;
  recording = { state: "none", job: null, time_s: 0, looks: 0, at_ms: 0 };
  sessionStorage.removeItem(KEPT);
  show();
}

function roomsRead(rooms) {
  taken = new Set(rooms.map(({ job }) => job).filter(Boolean));
  const found = rooms.find(({ name }) => name === awaited);
  if (!found || found.state === "analysing") return;
  awaited = null;
  states.clear("room-taking");
  if (found.state === "failed") states.set("room-not-ready", { words: found.error });
  else if (found.clock === null || found.clock.length) states.set("room-ready", { room: found });
  if (recording.state === "saving") ended(true);
  others.read(taken);
}

function remember() {
  if (recording.state !== "recording" || !camera.live) return;
  const kept = { study: study.id, live: camera.live, job: recording.job, room, stimulus: $("stimulus").value, label: $("label").value, mien: $("how-mien").checked, clock: clock.pairs(recorded_s() ?? 0), running: clock.running };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    // a browser that stores nothing: a page that is loaded again then finds the room in the list
  }
}

/** Goes on with a recording that ran when this page was left. */
async function comeBack() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    // as above
  }
  if (kept?.study !== study.id) return;
  $("agreed").checked = true;
  $("stimulus").value = kept.stimulus;
  $("label").value = kept.label;
  $(kept.mien ? "how-mien" : "how-elsewhere").checked = true;
  room = kept.room;
  recording = { ...recording, state: "recording", job: kept.job };
  clock = new FilmClock(kept.clock, kept.running);
  states.set("returned", { kind: "camera" });
  camera.connect(kept.live);
  await start();
}

addEventListener("beforeunload", (event) => {
  if (recording.state === "recording" && !leaving) event.preventDefault();
});
addEventListener("pagehide", remember);
addEventListener("pageshow", (event) => event.persisted && location.reload());

// --- the film's clock -----------------------------------------------------------------------------------------------------------

const post = (what, more = {}) => channel.postMessage({ from: "room", what, recording: recording.state === "recording", stimulus: stimulus()?.id ?? null, ...more });
const ask = () => post("who");

channel.onmessage = ({ data }) => {
  if (data.from !== "screen") return;
  if (data.stimulus !== stimulus()?.id) {
    if (byMien() && data.what !== "gone") states.set("screen-other");
    return;
  }
  states.clear("screen-other");
  screen = { ...screen, there: data.what !== "gone", seen_ms: performance.now(), running: data.running, duration_s: data.duration_s, film_s: data.film_s ?? screen.film_s };
  if (screen.there) states.clear("screen-gone");
  states.when("screen-refused", data.what === "refused");
  if (data.what === "gone" && clock.running) states.set("screen-gone");
  if (byMien()) follow(data);
  show();
};

/** Takes down what the film's window says. */
function follow({ what, at_s, film_s, running }) {
  const second = recorded_s(at_s);
  if (recording.state !== "recording" || second === null) return;
  if (what === "run" || (running && !clock.running)) {
    clock.run(second, film_s);
    changed();
  } else if (["stand", "end", "gone"].includes(what)) {
    if (!clock.running) return;
    clock.stand(second, film_s ?? undefined);
    changed();
  } else if (what === "tick" && clock.tick(second, film_s)) changed();
}

$("play").addEventListener("click", () => post(screen.running ? "pause" : "play"));
$("open-screen").addEventListener("click", (event) => {
  event.preventDefault();
  window.open($("open-screen").href, "mien-screen", "popup,width=1280,height=760");
});
$("mark").addEventListener("click", () => {
  const second = recorded_s();
  if (second === null) return;
  if (clock.begun) clock.run(second);
  else clock.run(second, 0);
  changed();
  show();
  moveFocus($("stand"));
});
$("stand").addEventListener("click", () => {
  const second = recorded_s();
  if (second === null) return;
  clock.stand(second);
  changed();
  show();
  moveFocus($("mark"));
});

function changed() {
  unsaved = true;
  save();
}

/** Sends the pairs; what cannot be sent is sent again. */
async function save() {
  if (saving || room === null || (clock.running && recorded_s() === null)) return; // after a reload the first look says what time it is
  saving = true;
  while (unsaved) {
    unsaved = false;
    try {
      await api("PATCH", `${path}/${room}`, { clock: clock.pairs(recorded_s() ?? 0) });
      saved_ms = performance.now();
      states.clear("clock-late");
    } catch (error) {
      if (error.status === 404) break; // erased
      unsaved = true;
      states.set("clock-late");
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
  saving = false;
}

// --- what is shown --------------------------------------------------------------------------------------------------------------

function act(name) {
  const acts = { camera: start, hurry: () => camera.hurry(), reload: () => location.reload(), login: () => window.open("/login", "_blank", "noopener"), report: () => location.assign(`/studies/${encodeURIComponent(study.id)}/review`) };
  acts[name]?.();
}

for (const id of ["agreed", "stimulus", "how-mien", "how-elsewhere"]) $(id).addEventListener("change", () => {
  if (id === "stimulus") $(stimulus()?.kind === "film" ? "how-mien" : "how-elsewhere").checked = true;
  ask();
  show();
});

function moveFocus(target) {
  const now = document.activeElement;
  if (now === null || now === document.body || now.disabled || now.offsetParent === null) target.focus({ preventScroll: true });
}

const two = (n) => String(n).padStart(2, "0");
const digits = (seconds) => {
  const s = Math.floor(Math.max(0, seconds));
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
};

/** Brings buttons, picture and words in line with what is so. */
function show() {
  const on = camera.stream !== null, runs = recording.state === "recording", idle = recording.state === "none", film = stimulus();
  const agreed = $("agreed").checked, blocked = hindrance();
  page.dataset.recording = recording.state;
  page.dataset.source = on ? "camera" : "none";
  stage.classList.toggle("idle", !on);
  $("empty").hidden = on;
  $("overlay").hidden = !on;
  stage.style.setProperty("--ratio", String(on && video.videoWidth ? video.videoWidth / video.videoHeight : 16 / 9));
  $("start-camera").disabled = opening || Boolean(blocked) || !agreed || !film;
  $("empty-words").textContent = !film ? "This study needs a film or an event first." : agreed ? "Turn the camera to the audience." : "First say on this page that everybody agreed.";
  $("now").hidden = !on;
  $("end").hidden = !idle;
  $("no-film").hidden = study.stimuli.length > 0;
  for (const id of ["stimulus", "agreed", "label"]) $(id).disabled = !idle;
  $("camera").disabled = !idle && on;

  $("record").hidden = !idle;
  $("record").disabled = !on || camera.link !== "open" || !agreed || !film;
  $("stop").hidden = !runs;
  $("stop").disabled = camera.stopping;
  $("clock").hidden = idle;
  $("recording-light").hidden = !on || !runs;
  $("record-hint").textContent = !on && idle ? "Start the camera first." : idle ? "Start it some seconds before the film: that is what the faces are compared with." : runs && !clock.begun ? "Now play the film." : recording.state === "saving" ? "It is being saved." : "If this page or the server goes away, nothing is lost.";

  const event = film?.kind === "event";
  $("how").hidden = event;
  $("by-mien").hidden = !byMien();
  $("by-hand").hidden = byMien();
  if (film) $("open-screen").href = `/studies/${encodeURIComponent(study.id)}/screen/${encodeURIComponent(film.id)}`;
  $("how-mien").disabled = $("how-elsewhere").disabled = runs && clock.begun;
  $("play").disabled = !screen.there || !runs || camera.origin_s === null;
  $("play").textContent = screen.running ? "Pause" : "Play";
  const what = event ? "event" : "film";
  $("clock-title").lastChild.textContent = event ? " The event" : " Play the film";
  $("mark").hidden = clock.running;
  $("mark").disabled = !runs || camera.origin_s === null;
  $("mark").textContent = clock.begun ? "It goes on" : `The ${what} starts now`;
  $("stand").hidden = !clock.running;
  $("stand").disabled = !runs;
  showClock();
  others.show();
  document.title = `${runs ? "● " : ""}In a room · ${study.title} · mien`;
}

function showClock() {
  if (recording.state !== "none") {
    const since_s = recording.state === "recording" && camera.stream && recording.looks ? Math.min((performance.now() - recording.at_ms) / 1000, 30) : 0;
    $("clock-time").textContent = digits(recording.time_s + since_s);
    $("clock-looks").textContent = several(recording.looks, "look");
  }
  const second = recorded_s(), runs = recording.state === "recording";
  let words = "";
  if (byMien() && !screen.there) words = "The film’s window is not open.";
  else if (byMien() && !runs) words = "The film’s window is open. Start recording, then play.";
  else if (runs && second !== null && clock.begun) words = `${clock.running ? "Plays" : "Stands still"} at ${digits(clock.film(second))}${byMien() && screen.duration_s ? ` of ${digits(screen.duration_s)}` : ""}`;
  else if (runs && byMien()) words = "Ready to play.";
  if ($("film-state").textContent !== words) $("film-state").textContent = words;
}

let told = "";
function showNow() {
  const now_ms = performance.now(), looking = camera.stream && camera.link === "open";
  const fresh = looking && last && now_ms - last_ms < Math.max(2, 2.5 * camera.every_s) * 1000;
  const n = fresh ? last.faces.length : 0, { words, warn } = fresh ? hint(last) : { words: looking ? "Looking …" : "", warn: false };
  $("people-now").textContent = String(n);
  $("people-words").textContent = seenNow(n);
  $("hint").textContent = words;
  $("hint").classList.toggle("warn", warn);
  const said = fresh ? `${n} ${seenNow(n)}. ${words}` : "";
  if (said !== told && now_ms % 4 < 2) $("heard").textContent = told = said;
  const track = camera.stream?.getVideoTracks()[0];
  states.when("no-picture", Boolean(track && (track.muted || (looking && document.visibilityState === "visible" && now_ms - frame_ms > STILL_S * 1000))));
  for (const name of ["gone", "full"]) states.count(name, (again_ms - now_ms) / 1000);
  if (screen.there && now_ms - screen.seen_ms > SCREEN_GONE_MS && screen.running) {
    screen.there = screen.running = false;
    if (byMien() && clock.running) {
      const second = recorded_s(now_s() - (now_ms - screen.seen_ms) / 1000);
      if (second !== null) clock.stand(second);
      states.set("screen-gone");
      changed();
    }
    show();
  }
}

let tick = 0;
setInterval(() => {
  tick += 1;
  showClock();
  showNow();
  if (tick % 4) return;
  post("hello");
  if (clock.running && recording.state === "recording" && performance.now() - saved_ms > SAVE_EVERY_MS) changed();
  remember();
}, 250);

// For tests and for whoever wants to see the numbers.
window.mienRoom = {
  get state() {
    return { link: camera.link, recording: { ...recording }, room, clock: clock.pairs(recorded_s() ?? 0), running: clock.running, screen: { ...screen }, origin_s: camera.origin_s, states: states.names, faces: last?.faces.length ?? 0 };
  },
  stats: () => camera.stats,
};

$("stimulus").replaceChildren(...study.stimuli.map((film) => new Option(film.kind === "event" ? `${film.title} (event)` : film.title, film.id)));
$("stimulus").disabled = !study.stimuli.length;
$(stimulus()?.kind === "film" ? "how-mien" : "how-elsewhere").checked = true;
const obstacle = hindrance();
if (obstacle) states.set(obstacle);
else {
  listCameras();
  comeBack();
}
list.read();
others.read();
ask();
show();
