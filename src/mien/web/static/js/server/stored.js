// What is stored: the numbers, and the button that erases all of it.

import { api } from "../shared/api.js";
import { confirm } from "../shared/dialogs.js";
import { h, say } from "/static/mien/element.js";
import { several, size, when } from "/static/mien/format.js";

const find = (id) => document.getElementById(id);

async function show() {
  const stored = await api("GET", "/api/storage");
  say(find("jobs"), String(stored.jobs));
  say(find("recordings"), String(stored.recordings));
  say(find("studies"), String(stored.studies));
  say(find("participants"), String(stored.participants));
  say(find("bytes"), size(stored.bytes));
  say(find("oldest"), stored.oldest_at ? when(stored.oldest_at) : "–");
  find("items").replaceChildren(
    ...stored.items.map((item) =>
      h("tr", {}, h("th", { scope: "row" }, item.what), h("td", {}, item.pictures ? "yes" : "no"), h("td", { class: "num" }, size(item.bytes))),
    ),
  );
  return stored;
}

function question(stored) {
  const studies = stored.studies ? `, ${several(stored.studies, "study", "studies")} with ${several(stored.participants, "participant")}` : "";
  const things = `${several(stored.jobs, "analysis", "analyses")}, ${several(stored.recordings, "recording")}${studies}`;
  const ending = stored.unfinished ? ` What is under way (${stored.unfinished}) ends.` : "";
  return `${things}, ${size(stored.bytes)} in all, with every film, picture, name and number.${ending} This cannot be undone.`;
}

find("erase").addEventListener("click", async () => {
  const button = find("erase"), state = find("state");
  state.className = "";
  try {
    const stored = await show();
    if (!(await confirm({ title: "Erase everything?", text: question(stored), action: "Erase everything" }))) return;
    button.disabled = true;
    say(state, "Erasing…");
    await api("DELETE", "/api/storage", { confirm: "erase" });
    await show();
    say(state, "Everything is erased.");
  } catch (error) {
    state.className = "problem";
    say(state, error.message);
  } finally {
    button.disabled = false;
    button.focus();
  }
});

find("logout")?.addEventListener("click", async () => {
  await api("POST", "/api/logout");
  location.assign("/login");
});

const oldest = document.querySelector("#oldest time");
if (oldest) oldest.textContent = when(oldest.dateTime);
