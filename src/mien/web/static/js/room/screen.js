// The film's window: plays the film before everybody, and tells the page with the camera where it is.

import { clock as time } from "/static/mien/format.js";

const QUIET_MS = 2500, TICK_MS = 1000, ALONE_MS = 3000;
const $ = (id) => document.getElementById(id);
const { study, stimulus } = JSON.parse($("screen-data").textContent);
const film = $("film"), stage = $("screen"), place = $("place");
const channel = new BroadcastChannel(`mien.room.${study}`);
const now_s = () => (performance.timeOrigin + performance.now()) / 1000;

let heard_ms = 0; // when the page with the camera last spoke
let recording = false;
let sliding = false;

/** what: "here" (state, on being asked), "run", "stand", "tick", "end", "gone", "refused". A film second of null: wherever it was. */
function tell(what, film_s = film.currentTime) {
  const duration_s = Number.isFinite(film.duration) ? film.duration : null;
  channel.postMessage({ from: "screen", what, stimulus, at_s: now_s(), film_s, running: running(), duration_s });
}

/** Whether pictures move: not while it waits for data. */
const running = () => !film.paused && !film.ended && !film.seeking && film.readyState > 2;

film.addEventListener("playing", () => tell("run"));
film.addEventListener("pause", () => tell(film.ended ? "end" : "stand"));
film.addEventListener("waiting", () => tell("stand"));
film.addEventListener("seeking", () => tell("stand", null));
film.addEventListener("seeked", () => tell(running() ? "run" : "stand"));
film.addEventListener("ended", () => tell("end"));
film.addEventListener("error", () => {
  stage.dataset.state = "broken";
  $("words").textContent = "The film cannot be played. Is it there, and has it been converted? Look at the study's films.";
  $("begin").disabled = $("toggle").disabled = true;
});
setInterval(() => {
  if (running()) tell("tick");
  show();
}, TICK_MS);
addEventListener("pagehide", () => tell("gone"));

channel.onmessage = ({ data }) => {
  if (data.from !== "room") return;
  heard_ms = performance.now();
  recording = Boolean(data.recording);
  if (data.what === "who") tell("here");
  if (data.what === "play" && data.stimulus === stimulus) play();
  if (data.what === "pause") film.pause();
  show();
};

async function play() {
  if (film.ended) film.currentTime = 0;
  try {
    await film.play();
  } catch (error) {
    if (error.name === "NotAllowedError") tell("refused");
  }
}
const toggle = () => (film.paused ? play() : film.pause());
async function full() {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen?.();
}

$("begin").addEventListener("click", play);
$("toggle").addEventListener("click", toggle);
film.addEventListener("click", toggle);
for (const id of ["full", "full-too"]) $(id).addEventListener("click", full);
place.addEventListener("input", () => {
  sliding = true;
  $("time").textContent = time(Number(place.value), 3600);
});
place.addEventListener("change", () => {
  sliding = false;
  film.currentTime = Number(place.value);
});
addEventListener("keydown", (event) => {
  if (event.target.matches("button, input") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === " " || event.key === "k") toggle();
  else if (event.key === "f") full();
  else if (event.key === "ArrowLeft") film.currentTime -= 5;
  else if (event.key === "ArrowRight") film.currentTime += 5;
  else return;
  event.preventDefault();
});

let quiet;
function wake() {
  stage.classList.remove("quiet");
  clearTimeout(quiet);
  quiet = setTimeout(() => stage.classList.toggle("quiet", !film.paused || Boolean(document.fullscreenElement)), QUIET_MS);
}
for (const type of ["pointermove", "pointerdown", "keydown"]) addEventListener(type, wake);

function show() {
  if (stage.dataset.state !== "broken") stage.dataset.state = film.paused ? (film.currentTime > 0 ? "paused" : "waiting") : "playing";
  const alone = performance.now() - heard_ms > ALONE_MS, whole = Boolean(document.fullscreenElement);
  $("toggle").textContent = $("begin").textContent = film.paused ? "Play" : "Pause";
  stage.classList.toggle("whole", whole);
  $("full").textContent = $("full-too").textContent = whole ? "Leave full screen" : "Full screen";
  if (stage.dataset.state === "paused") $("words").textContent = film.ended ? "The film is over." : "The film stands still. What is seen meanwhile does not count.";
  const words = alone ? "The page with the camera is not open: what plays now is not measured." : recording ? "The audience is being recorded." : "Nothing is recorded yet: start the recording on the page with the camera.";
  if ($("heard").textContent !== words) $("heard").textContent = words;
  if (Number.isFinite(film.duration)) place.max = String(film.duration);
  if (!sliding) {
    place.value = String(film.currentTime);
    $("time").textContent = `${time(film.currentTime, 3600)} / ${Number.isFinite(film.duration) ? time(film.duration, 3600) : "–"}`;
  }
}
for (const type of ["play", "playing", "pause", "ended", "seeked", "timeupdate", "durationchange"]) film.addEventListener(type, show);
document.addEventListener("fullscreenchange", show);
tell("here");
show();
wake();
