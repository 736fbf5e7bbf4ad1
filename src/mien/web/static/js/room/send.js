// A room of what is there already: a film of the audience, or a recording of this mien.

import { api, upload } from "../shared/api.js";
import { confirm } from "../shared/dialogs.js";
import { say } from "/static/mien/element.js";
import { dropped } from "../shared/files.js";
import { size, when } from "/static/mien/format.js";

const $ = (id) => document.getElementById(id);

/** `path` of the rooms; `ask()` gives {stimulus, label} or null where the page does not let anybody begin; `made()` when there is a room. */
export function sending(path, ask, made) {
  let file = null, going = null, jobs = [];

  function take(given) {
    file = given ?? file;
    if (file) say($("chosen"), `${file.name}, ${size(file.size)}`);
    show();
  }

  function show() {
    $("send").disabled = !file || !ask() || going !== null;
    $("take").disabled = !$("job").value || !ask();
    $("choose").disabled = going !== null;
  }

  function refuse(words) {
    $("send-problem").textContent = words;
    $("send-problem").hidden = !words;
  }

  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => take($("file").files[0]));
  const drop = $("drop");
  for (const type of ["dragenter", "dragover"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    take((await dropped(event.dataTransfer)).files[0]);
  });

  $("send").addEventListener("click", async () => {
    const { stimulus, label } = ask(), form = new FormData(), start_s = Number($("starts").value) || 0;
    for (const [name, value] of Object.entries({ stimulus, label, agreed: "true", offset_s: String(0 - start_s) })) form.append(name, value);
    form.append("file", file, file.name);
    refuse("");
    going = upload(path, form, (bytes, total) => say($("sending"), total && bytes >= total ? "Sent; the server is taking it in" : `Sending: ${size(bytes)} of ${size(file.size)}`));
    show();
    try {
      await going.done;
      file = null;
      $("file").value = "";
      say($("chosen"), "Sent. It is read now; you see how far above.");
      made();
    } catch (error) {
      refuse(error.message);
    }
    going = null;
    say($("sending"), "");
    show();
  });

  $("take").addEventListener("click", async () => {
    const job = jobs.find(({ id }) => id === $("job").value), { stimulus, label } = ask(), start_s = Number($("starts").value) || 0;
    const text = `${job.name} moves into this study. It is then erased from All analyses, with its film and pictures.`;
    if (!(await confirm({ title: "Take it in?", text, action: "Take it in", danger: false }))) return;
    refuse("");
    try {
      await api("POST", path, { job: job.id, stimulus, label, agreed: true, offset_s: 0 - start_s });
    } catch (error) {
      refuse(error.message);
    }
    made();
  });
  $("job").addEventListener("change", show);

  /** Reads which recordings could be taken in. */
  async function read(taken = new Set()) {
    try {
      const { items } = await api("GET", "/api/jobs?limit=100&state=done,recording,paused,saving");
      jobs = items.filter((job) => job.media !== "picture" && !taken.has(job.id));
    } catch {
      return; // what was there stays
    }
    const was = $("job").value;
    $("job").replaceChildren(new Option(jobs.length ? "Choose one" : "There is none", ""), ...jobs.map((job) => new Option(`${job.name} · ${when(job.created_at)}`, job.id)));
    $("job").value = jobs.some(({ id }) => id === was) ? was : "";
    show();
  }

  return { show, read };
}
