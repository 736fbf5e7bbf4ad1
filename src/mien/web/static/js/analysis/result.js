// The page of one analysis: how far it is while it runs, what came out when it is done.

import { api, events } from "../shared/api.js";
import { h, say } from "/static/mien/element.js";
import { appears, paint, tint } from "/static/mien/emotions.js";
import { clock, count, duration, percent, size, span, when } from "/static/mien/format.js";
import { acts, progressText, statePill } from "./job.js";
import { bar, setBar } from "../shared/progress.js";
import { people } from "./people.js";
import { picture } from "./picture.js";
import { viewer } from "./viewer.js";

const MOMENTS = 60;
const POINTS = 2000;

const get = (id) => document.getElementById(id);
const id = decodeURIComponent(location.pathname.split("/").pop());
let shown = null; // the result that is drawn
let view = null;

// --- not done yet, or never -------------------------------------------------------------------------------------------------------

const progress = bar("Progress"), progressWords = h("p", { class: "soft tabular", role: "status" });

function drawUnfinished(job) {
  get("result").hidden = true;
  get("waiting").hidden = false;
  drawTop(job, job.name);
  document.title = `${job.name} · mien`;
  const text = progressText(job);
  setBar(progress, job.state === "queued" ? 0 : (job.progress?.share ?? null), text);
  say(progressWords, text);
  if (get("waiting").dataset.state === job.state) return;
  get("waiting").dataset.state = job.state;
  const button = (word, act, kind = "") => h("button", { type: "button", class: kind, onclick: () => act(job).then((done) => done && done !== true && follow(done)) }, word);
  const remove = h("button", { type: "button", class: "plain danger", onclick: () => acts.remove(job).then((done) => done && location.assign("/analyses")) }, "Delete");
  const live = job.kind === "live";
  get("waiting").replaceChildren(
    ...{
      failed: [h("div", { class: "notice bad" }, job.error ?? "It failed."), h("div", { class: "row" }, !live && button("Try again", acts.retry, "primary"), h("a", { class: "button", href: "/" }, "Give another file"), remove)],
      cancelled: [h("p", {}, "This analysis was cancelled. What was read of it is not kept."), h("div", { class: "row" }, !live && button("Try again", acts.retry, "primary"), remove)],
    }[job.state] ?? (live
      ? [h("p", { class: "soft" }, job.state === "saving" ? "The recording is being saved; its result appears here." : "This recording is not over yet. Its result appears here when it is stopped."), progressWords, job.state === "saving" ? progress : "", h("div", { class: "row" }, h("a", { class: "button", href: "/live" }, "To the live page"))]
      : [progress, progressWords, h("p", { class: "soft small" }, "The result appears here by itself. You can leave this page; the reading goes on."), h("div", { class: "row" }, button("Cancel", acts.cancel))]),
  );
}

// --- the head of the page ---------------------------------------------------------------------------------------------------------

function drawTop(job, headline) {
  say(get("headline"), headline);
  get("file").replaceChildren(
    h("span", { class: "break" }, headline === job.name ? when(job.created_at) : job.name),
    ...(job.state === "done" ? [] : [statePill(job)]),
  );
  get("note").hidden = !job.note;
  say(get("note"), job.note ?? "");
  document.title = `${job.name} · mien`;
}

function drawActs(result) {
  const job = result.job;
  get("acts").replaceChildren(
    h("a", { class: "button primary", href: `/api/jobs/${id}/archive.zip`, download: "" }, "Download all (zip)"),
    ...(result.report ? [h("a", { class: "button", href: result.report, target: "_blank", rel: "noopener" }, "Open the report")] : []),
    ...(result.media.kind === "picture" ? [] : [h("a", { class: "button", href: `/compare?a=${encodeURIComponent(id)}` }, "Compare")]),
    h("button", { type: "button", class: "plain", onclick: () => acts.rename(job).then((done) => done && done !== true && refresh()) }, "Rename"),
    h("button", { type: "button", class: "plain danger", onclick: () => acts.remove(job).then((done) => done && location.assign("/analyses")) }, "Delete"),
  );
}

function drawFacts(result) {
  const visible = result.tracks.filter((track) => !track.hidden);
  const pairs = [];
  if (result.media.kind === "picture") {
    pairs.push(["Picture", `${result.media.width} × ${result.media.height}`], ["Faces", count(result.faces.length)]);
  } else {
    pairs.push(["Length", duration(result.media.duration_s ?? result.end_s - result.start_s)], ["Looks", count(result.frames)], ["Faces followed", count(visible.length)]);
  }
  const [lead, share] = Object.entries(result.shares).sort((a, b) => b[1] - a[1])[0] ?? [];
  if (visible.length && share) pairs.push(["Leads most often", `${appears(lead)}, ${percent(share)}`]);
  pairs.push(["Read on", when(result.job.ended_at ?? result.job.created_at)]);
  get("facts").replaceChildren(...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

// --- what came out ----------------------------------------------------------------------------------------------------------------

function drawMoments(result) {
  const place = get("moments");
  place.hidden = result.media.kind === "picture";
  if (place.hidden) return;
  const hidden = new Set(result.tracks.filter((track) => track.hidden).map((track) => track.id));
  const told = result.episodes.filter((episode) => !hidden.has(episode.track));
  const several = new Set(told.map((episode) => episode.track)).size > 1;
  const item = (episode) =>
    h(
      "li",
      {},
      tint(
        h(
          "button",
          { type: "button", class: "moment", onclick: () => jump(episode.track, episode.start_s) },
          h("b", {}, appears(episode.expression)),
          several ? h("span", { class: "break" }, episode.name) : "",
          h("span", { class: "tabular" }, span(episode.start_s, episode.end_s, result.end_s)),
          h("span", { class: "soft small tabular" }, `up to ${percent(episode.peak)} at ${clock(episode.peak_time_s, result.end_s)}`),
        ),
        episode.expression,
      ),
    );
  const list = h("ul", { class: "moments" }, told.slice(0, MOMENTS).map(item));
  const more = told.length > MOMENTS ? h("button", { type: "button", onclick: () => { more.remove(); list.append(...told.slice(MOMENTS).map(item)); } }, `Show all ${count(told.length)}`) : "";
  place.replaceChildren(
    h("h3", {}, "Moments"),
    h("p", { class: "soft small" }, told.length ? "Where one expression held. Press one to go there." : "No expression was clear for long enough to count."),
    list,
    more,
  );
}

function jump(track, t) {
  if (!view) return;
  view.choose(track);
  view.seek(t);
  get("through").scrollIntoView({ block: "start", behavior: "smooth" });
}

function drawShares(result) {
  const order = Object.entries(result.shares).sort((a, b) => b[1] - a[1]);
  get("shares").hidden = !order.some(([, share]) => share > 0);
  get("shares-title").textContent = result.media.kind === "picture" ? "Share of the faces" : "Share of the time";
  get("shares-words").textContent = result.media.kind === "picture" ? "How many of the faces show each expression most." : "How often each expression is the most probable one, over every look at a face that can be read.";
  get("share-bars").replaceChildren(
    ...order.flatMap(([label, share]) => [
      h("span", {}, label),
      h("span", { class: "track" }, tint(h("span", { style: `width:${share * 100}%` }), label)),
      h("span", { class: "num" }, percent(share)),
    ]),
  );
}

function drawFiles(result) {
  get("stays").hidden = !(result.edited && result.film);
  get("files-list").replaceChildren(
    ...result.files.map((file) => {
      const url = `/api/jobs/${id}/files/${encodeURIComponent(file.name)}`;
      return h("tr", {}, h("th", { scope: "row" }, h("a", { href: url, download: "", class: "break" }, file.name), h("span", { class: "soft small below-name" }, file.what)), h("td", {}, file.name.endsWith(".csv") && h("a", { href: `/analyses/${id}/tables/${file.name}`, "aria-label": `View ${file.name}` }, "View")), h("td", { class: "num" }, size(file.size_bytes)));
    }),
  );
}

function drawMade(result) {
  const words = { true: "yes", false: "no" };
  const plain = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : (words[value] ?? String(value)));
  const options = result.job.options ?? {};
  const pairs = [
    ["Looked at", options.every_s ? `every ${options.every_s} s` : "every frame"],
    ["Curves smoothed over", options.smoothing_s ? `${options.smoothing_s} s` : "not smoothed"],
    ["Compared with the beginning", options.baseline_s ? `the first ${options.baseline_s} s of each face` : "no"],
    ...Object.entries(result.settings).filter(([key]) => !["every", "every_s", "smoothing_s", "baseline_s", "damage", "models"].includes(key)).map(([key, value]) => [key.replaceAll("_", " "), plain(value)]),
  ];
  get("made").replaceChildren(...pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

async function draw(result, focus) {
  const first = shown === null;
  shown = result;
  paint(result.colours);
  get("waiting").hidden = true;
  get("waiting").dataset.state = "";
  drawTop(result.job, result.headline);
  say(get("caveat"), result.caveat);
  drawActs(result);
  drawFacts(result);
  drawMoments(result);
  drawShares(result);
  drawFiles(result);
  drawMade(result);
  get("result").hidden = false;
  const still = result.media.kind === "picture";
  get("faces").hidden = still || !result.tracks.length;
  if (!get("faces").hidden) people(get("faces"), result, { changed: draw, sought: (track, t) => jump(track.id, t) });
  get("picture").hidden = !still;
  get("through").hidden = still || !result.tracks.length;
  if (still) picture(get("picture"), result);
  else if (result.tracks.length) {
    const series = await api("GET", `/api/jobs/${id}/series?points=${POINTS}`);
    if (shown !== result) return; // changed meanwhile
    if (view) view.set(result, series);
    else view = viewer(get("view"), get("moments"), result, series);
  } else get("nobody").hidden = false;
  if (focus) document.querySelector(focus)?.focus({ preventScroll: true });
  if (first) goToHash();
}

/** "#t=12.4" is a moment of the film, "#t=12.4&face=2" that of one face, as the tables link to them; else a place on the page. */
function goToHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const t = Number.parseFloat(wanted.get("t"));
  if (Number.isFinite(t)) jump(wanted.get("face") ?? "all", t);
  else if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}
addEventListener("hashchange", goToHash);

// --- following it -----------------------------------------------------------------------------------------------------------------

async function refresh() {
  try {
    const job = await api("GET", `/api/jobs/${id}`);
    if (job.state === "done") await draw(await api("GET", `/api/jobs/${id}/result`));
    else drawUnfinished(job);
  } catch (error) {
    if (error.status === 404) drawGone();
    else {
      get("waiting").hidden = false;
      get("waiting").replaceChildren(h("div", { class: "notice bad", role: "alert" }, error.message), h("div", { class: "row" }, h("button", { type: "button", onclick: refresh }, "Try again")));
      get("waiting").dataset.state = "";
    }
  }
}

function follow(job) {
  if (job.id !== id) return;
  if (job.state !== "done") {
    shown = null;
    drawUnfinished(job);
  } else if (!shown) refresh();
  else if (shown.job.name !== job.name || shown.job.note !== job.note) drawTop((shown.job = job), shown.headline);
}

function drawGone() {
  get("result").hidden = true;
  get("waiting").hidden = false;
  get("acts").replaceChildren();
  get("file").replaceChildren();
  say(get("headline"), "This analysis was erased");
  get("waiting").replaceChildren(h("p", {}, "Its files are gone from this mien."), h("div", { class: "row" }, h("a", { class: "button", href: "/analyses" }, "All analyses")));
}

await refresh();
events({
  job: follow,
  removed: (gone) => gone === id && drawGone(),
  gone: () => (get("gone").hidden = false),
  back: () => {
    get("gone").hidden = true;
    if (!shown) refresh();
  },
});
