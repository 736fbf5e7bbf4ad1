// One analysis in words, and as a row of a list that follows its progress.

import { api } from "../shared/api.js";
import { ask, confirm, toast } from "../shared/dialogs.js";
import { bar, setBar } from "../shared/progress.js";
import { h, say } from "/static/mien/element.js";
import { tint } from "/static/mien/emotions.js";
import { count, duration, percent, several, wait, when } from "/static/mien/format.js";

export const UNFINISHED = new Set(["queued", "running", "recording", "paused", "saving"]);

const STATES = {
  queued: ["Waiting", ""], running: ["Reading", "busy"], done: ["Done", "good"], failed: ["Failed", "bad"], cancelled: ["Cancelled", "warn"],
  recording: ["Recording", "busy"], paused: ["Paused", "warn"], saving: ["Saving", "busy"],
};

/** The state in a pill. A damaged film is done, and says so. */
export function statePill(job) {
  const [word, kind] = job.state === "done" && job.note ? ["Done, with a note", "warn"] : (STATES[job.state] ?? [job.state, ""]);
  return h("span", { class: `state ${kind}` }, word);
}

/** "120 frames · 4.1 of 19.6 s · 88 frames a second · about 3 s left" */
export function progressText(job) {
  const p = job.progress;
  if (job.state === "queued") return job.waiting > 1 ? `Waiting; ${job.waiting - 1} before it` : "Waiting; next in line";
  if (job.state === "saving") return "Writing the result";
  if (!p) return job.state === "running" ? "Starting" : "";
  const parts = [];
  if (job.kind === "live") return [duration(p.done_s ?? 0), several(p.frames ?? 0, "look")].join(" · ");
  if (p.frames) parts.push(several(p.frames, "frame"));
  if (p.total_s) parts.push(p.total_s < 120 ? `${(p.done_s ?? 0).toFixed(1)} of ${duration(p.total_s)}` : `${duration(p.done_s ?? 0)} of ${duration(p.total_s)}`);
  if (p.frames_per_s) parts.push(`${p.frames_per_s < 10 ? p.frames_per_s.toFixed(1) : count(p.frames_per_s)} a second`);
  if (p.share >= 1) parts.push("writing the result");
  else if (p.left_s !== null && p.left_s !== undefined) parts.push(`${wait(p.left_s)} left`);
  return parts.join(" · ") || "Starting";
}

/** "today, 14:20 · 19.6 s · 2 faces" */
export function facts(job) {
  const parts = [when(job.created_at)];
  if (job.media === "picture") parts.push("picture");
  else if (job.duration_s) parts.push(duration(job.duration_s));
  if (job.kind === "live") parts.push(job.media === "screen" ? "screen" : "camera");
  if (job.people !== null && job.people !== undefined) parts.push(job.people ? several(job.people, "face") : "no face");
  return parts.join(" · ");
}

/** Shares of time as one bar of colours, told in words for those who do not see it. */
export function shareBar(shares) {
  const told = Object.entries(shares ?? {}).filter(([, share]) => share >= 0.005);
  const words = [...told].sort((a, b) => b[1] - a[1]).map(([label, share]) => `${label} ${percent(share)}`);
  return h(
    "div",
    { class: "stackbar", role: "img", "aria-label": words.join(", ") || "no expression", title: words.join(", ") },
    ...told.map(([label, share]) => tint(h("span", { style: `width:${share * 100}%` }), label)),
  );
}

export const page = (job) => `/analyses/${encodeURIComponent(job.id)}`;

/** What a person can do with an analysis; each says what went wrong by itself and returns whether it was done. */
export const acts = {
  cancel: (job) => attempt(() => api("POST", `/api/jobs/${job.id}/cancel`)),
  retry: (job) => attempt(() => api("POST", `/api/jobs/${job.id}/retry`)),
  async remove(job) {
    const text = UNFINISHED.has(job.state)
      ? `${job.name} is stopped, and everything stored about it is erased.`
      : `The result of ${job.name}, its tables, pictures and film, is erased. This cannot be undone.`;
    if (!(await confirm({ title: "Delete this analysis?", text, action: "Delete" }))) return false;
    return attempt(() => api("DELETE", `/api/jobs/${job.id}`));
  },
  async rename(job) {
    const name = await ask({ title: "Rename the analysis", label: "Name", value: job.name });
    return name !== null && name !== job.name && attempt(() => api("PATCH", `/api/jobs/${job.id}`, { name }));
  },
};

async function attempt(call) {
  try {
    return (await call()) ?? true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

/** A row of the first page: name, how far it is or what came out, and what can be done. `update(job)` keeps it current. */
export function jobRow(job) {
  const name = h("a", { class: "job-name break" });
  const pill = h("span");
  const text = h("p", { class: "soft small tabular break" });
  const progress = bar(job.name);
  const shares = h("div");
  const buttons = h("div", { class: "row job-acts" });
  const element = h("li", { class: "job", "data-job": job.id }, h("div", { class: "job-head" }, name, pill), progress, shares, h("div", { class: "job-foot" }, text, buttons));
  let current = job, state = null;

  function update(next) {
    current = next;
    say(name, next.name);
    name.href = page(next);
    const unfinished = UNFINISHED.has(next.state);
    progress.hidden = !unfinished || next.kind === "live";
    const words = progressText(next);
    setBar(progress, next.state === "queued" ? 0 : (next.progress?.share ?? null), words);
    progress.setAttribute("aria-label", next.name);
    say(text, unfinished ? words : next.state === "failed" ? (next.error ?? "It failed.") : [facts(next), next.note].filter(Boolean).join(" · "));
    const key = `${next.state} ${next.note ?? ""}`;
    if (key === state) return;
    state = key;
    pill.replaceChildren(next.state === "done" && !next.note ? "" : statePill(next));
    shares.replaceChildren(...(next.state === "done" && next.shares && next.people ? [shareBar(next.shares)] : []));
    const button = (word, act, kind = "") => h("button", { type: "button", class: `small ${kind}`, "aria-label": `${word}: ${next.name}`, onclick: () => act(current) }, word);
    buttons.replaceChildren(
      ...[
        next.kind === "live" && unfinished && h("a", { class: "button small", href: "/live" }, "To the live page"),
        (next.state === "queued" || next.state === "running") && button("Cancel", acts.cancel),
        (next.state === "failed" || next.state === "cancelled") && next.kind === "file" && button("Try again", acts.retry),
        !unfinished && button("Delete", acts.remove, "plain soft"),
      ].filter(Boolean),
    );
  }
  update(job);
  return { element, update, get job() { return current; } };
}
